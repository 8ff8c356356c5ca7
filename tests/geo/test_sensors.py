"""Sensor cards: exact numbers, every problem at once, and which card fits which items."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from geo.errors import BadInput
from geo.items import read_item
from geo.recognition import exact_decimal, find_band, recognise
from geo.sensors import MaskRule, SensorCard, builtin_cards, card_from_json, read_card, season_days

if TYPE_CHECKING:
    from pathlib import Path

    from geo.items import ItemRecord

CARD: dict[str, Any] = {
    "schema": "amanar.sensor/1",
    "id": "my-camera",
    "title": "A camera of ours",
    "bands": {"red": ["R"], "nir": ["N"]},
    "scale": 0.001,
    "offset": 0,
    "nodata": None,
    "valid_dn": [0, 4095],
    "mask": {"rule": "none"},
    "source": "measured in our laboratory",
}


class TestCards:
    def test_every_built_in_card_survives_json(self) -> None:
        for card in builtin_cards().values():
            assert card_from_json(json.loads(json.dumps(card.to_json()))) == card

    def test_landsat_offset_in_dn_is_minus_80000_elevenths(self) -> None:
        scale, offset = builtin_cards()["landsat-c2-l2"].exact_scale()
        assert offset / scale == Fraction(-80_000, 11)

    def test_a_number_is_taken_as_written_not_as_binary(self) -> None:
        assert card_from_json(CARD).exact_scale()[0] == Fraction(1, 1000)

    def test_a_composite_needs_one_look_others_three(self) -> None:
        cards = builtin_cards()
        assert cards["landsat-epochs-8bit"].min_looks == 1
        assert cards["sentinel-2-l2a"].min_looks == 3

    def test_a_user_s_card_is_read_from_its_file(self, tmp_path: Path) -> None:
        path = tmp_path / "card.json"
        path.write_text(json.dumps(CARD))
        card = read_card(path)
        assert (card.id, card.valid_dn, card.mask) == ("my-camera", (0, 4095), MaskRule("none"))

    def test_every_problem_is_named_at_once(self) -> None:
        bad = {
            **CARD,
            "id": "",
            "bands": {"red": [], "purple": ["P"]},
            "scale": "one",
            "nodata": 0.5,
            "valid_dn": [9, 1],
            "mask": {"rule": "scl", "assets": ["SCL"], "keep": ["4"]},
            "season": "summer",
        }
        with pytest.raises(BadInput) as caught:
            card_from_json(bad)
        for word in (
            "id",
            "bands.red",
            "purple",
            "no nir",
            "scale 'one'",
            "nodata 0.5",
            "valid_dn",
            "mask.keep",
            "season",
        ):
            assert word in str(caught.value)

    def test_a_misspelt_key_is_not_swallowed(self) -> None:
        with pytest.raises(BadInput, match="nodatta is not a key"):
            card_from_json({**CARD, "nodatta": 1})

    def test_a_missing_key_is_named(self) -> None:
        with pytest.raises(BadInput, match="source is missing"):
            card_from_json({key: value for key, value in CARD.items() if key != "source"})

    def test_a_mask_key_of_another_rule_is_refused(self) -> None:
        mask = {"rule": "qa_pixel", "assets": ["qa"], "reject_bits": [3], "keep": [4]}
        with pytest.raises(BadInput, match=r"mask\.keep has no meaning"):
            card_from_json({**CARD, "mask": mask})

    @pytest.mark.parametrize("text", ["", "[1]", '{"schema": 1', "\x00"])
    def test_what_is_no_card_is_refused(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "card.json"
        path.write_text(text)
        with pytest.raises(BadInput, match=r"card\.json"):
            read_card(path)

    def test_a_missing_file_is_refused_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="absent"):
            read_card(tmp_path / "absent.json")

    def test_a_season_is_two_days(self) -> None:
        assert season_days("11-15/02-29") == ((11, 15), (2, 29))


def item(
    bands: dict[str, dict[str, Any]],
    properties: dict[str, Any] | None = None,
    *,
    day: str | None = "2020-07-01T00:00:00Z",
) -> ItemRecord:
    when = {"datetime": day}
    if day is None:
        when |= {"start_datetime": "2020-01-01T00:00:00Z", "end_datetime": "2020-12-31T23:59:59Z"}
    document = {
        "type": "Feature",
        "id": "x",
        "properties": {**when, **(properties or {})},
        "assets": {key: {"href": f"{key}.tif", **said} for key, said in bands.items()},
    }
    return read_item(document, base="/data/x.json", collection="somewhere")


U16, U8 = {"raster:bands": [{"data_type": "uint16"}]}, {"raster:bands": [{"data_type": "uint8"}]}
S2 = {"constellation": "sentinel-2"}
LANDSAT = {"constellation": "landsat"}


def named(common: str, **band: Any) -> dict[str, Any]:
    return {"eo:bands": [{"name": "x", "common_name": common}], "raster:bands": [band]}


def chosen(*items: ItemRecord, sensor: str = "auto") -> SensorCard:
    return recognise(items, sensor=sensor).card


class TestRecognition:
    def test_sentinel_with_esa_names(self) -> None:
        assert chosen(item({"B04": {}, "B08": {}, "SCL": {}}, S2)).id == "sentinel-2-l2a"

    def test_sentinel_with_earth_search_names(self) -> None:
        assert chosen(item({"red": U16, "nir": U16, "scl": {}}, S2)).id == "sentinel-2-l2a"

    @pytest.mark.parametrize("end", ["2020-07-01T10:00:20Z", "2020-07-06T10:00:00Z"])
    def test_sentinel_with_sensing_start_and_end_is_one_acquisition(self, end: str) -> None:
        times = {"start_datetime": "2020-07-01T10:00:00Z", "end_datetime": end}
        found = chosen(item({"B04": {}, "B08": {}, "SCL": {}}, {**S2, **times}, day=None))
        assert (found.id, found.composite) == ("sentinel-2-l2a", False)

    def test_sentinel_over_more_than_five_days_is_a_composite(self) -> None:
        times = {"start_datetime": "2020-07-01T10:00:00Z", "end_datetime": "2020-07-06T10:00:01Z"}
        with pytest.raises(BadInput, match=r"--sensor CARD\.json"):
            chosen(item({"B04": {}, "B08": {}, "SCL": {}}, {**S2, **times}, day=None))

    def test_sentinel_without_its_scene_classification_is_not_level_2a(self) -> None:
        with pytest.raises(BadInput, match=r"--sensor CARD\.json"):
            chosen(item({"B04": U16, "B08": U16}, S2))

    def test_the_same_assets_of_an_unnamed_mission_are_not_taken_for_it(self) -> None:
        with pytest.raises(BadInput, match=r"--sensor CARD\.json"):
            chosen(item({"B04": U16, "B08": U16, "SCL": {}}))

    def test_landsat_collection_2(self) -> None:
        assert chosen(item({"red": U16, "nir08": U16, "qa_pixel": {}}, LANDSAT)).id == (
            "landsat-c2-l2"
        )

    def test_eight_bit_landsat_composites(self) -> None:
        found = chosen(item({"red": U8, "nir08": U8}, LANDSAT, day=None))
        assert (found.id, found.composite, found.scale_inferred) == (
            "landsat-epochs-8bit",
            True,
            True,
        )

    def test_eight_bit_landsat_is_never_taken_for_collection_2(self) -> None:
        bands = {"red": named("red", data_type="uint8", scale=0.0016, nodata=0)}
        bands |= {"nir08": named("nir08", data_type="uint8", scale=0.0016, nodata=0)}
        found = chosen(item({**bands, "qa_pixel": U16}, LANDSAT))
        assert found.derived
        assert found.scale_inferred
        assert found.bands == {"red": ("red",), "nir": ("nir08",)}

    def test_landsat_with_another_scale_is_not_the_built_in(self) -> None:
        said = {"data_type": "uint16", "scale": 0.0001, "offset": 0, "nodata": 0}
        bands = {"red": named("red", **said), "nir08": named("nir08", **said), "qa_pixel": U16}
        found = chosen(item(bands, LANDSAT))
        assert (found.derived, found.scale, found.mask.rule) == (True, "1/10000", "qa_pixel")

    def test_a_derived_card_brings_a_warning_that_names_the_option(self) -> None:
        said = {"data_type": "uint16", "scale": 0.0001, "offset": -0.1, "nodata": 0}
        answer = recognise([item({"a": named("red", **said), "b": named("nir", **said)})])
        assert answer.card.offset == "-1/10"
        assert [finding.code for finding in answer.findings] == ["sensor-card-derived"]
        assert "--sensor CARD.json" in answer.findings[0].message

    def test_an_interval_without_a_time_is_a_composite(self) -> None:
        said = {"data_type": "uint16", "scale": 0.0001, "nodata": 0}
        found = chosen(item({"a": named("red", **said), "b": named("nir", **said)}, day=None))
        assert (found.composite, found.season) == (True, "01-01/12-31")

    def test_bands_of_one_file_are_told_apart(self) -> None:
        bands = [
            {"name": name, "eo:common_name": name, "data_type": "uint16", "raster:scale": 0.0001}
            for name in ("blue", "red", "nir")
        ]
        found = chosen(item({"data": {"bands": bands}}))
        assert found.bands["nir"] == ("data#3",)

    def test_bands_without_a_scale_are_not_guessed(self) -> None:
        bands = {"a": named("red", data_type="uint16"), "b": named("nir", data_type="uint16")}
        with pytest.raises(BadInput, match=r"--sensor CARD\.json"):
            chosen(item(bands))

    def test_a_named_sensor_is_taken(self) -> None:
        assert chosen(item({"x": {}}), sensor="landsat-c2-l2").id == "landsat-c2-l2"

    def test_an_unknown_sensor_lists_the_built_in_ones(self) -> None:
        with pytest.raises(BadInput, match="landsat-c2-l2, landsat-epochs-8bit, sentinel-2-l2a"):
            chosen(item({"x": {}}), sensor="spot")

    def test_the_first_key_that_an_item_has_is_used(self) -> None:
        found = find_band(item({"red": U16}), ("B04", "red"))
        assert found is not None
        assert found[0].key == "red"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0.0000275", Fraction(11, 400_000)),
        ("2.75e-05", Fraction(11, 400_000)),
        ("9.999999747378752e-05", Fraction(1, 10_000)),
        ("-0.20000000298023224", Fraction(-1, 5)),
        ("0.0015686275", Fraction("0.0015686275")),
        ("0", Fraction(0)),
        ("0.5", Fraction(1, 2)),
    ],
)
def test_a_scale_is_read_as_the_publisher_meant_it(written: str, meant: Fraction) -> None:
    assert exact_decimal(written) == meant
