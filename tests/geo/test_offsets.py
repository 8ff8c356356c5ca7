"""The Sentinel-2 offset: four witnesses, at least two, all of one mind, or no scene."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from geo.items import ItemRecord, read_item
from geo.offsets import OffsetUnsettled, metadata_witnesses, pixel_witness, settle_offset
from geo.scenes import QUALITY, Scene, Witness, offset_in_dn, scene_from_item
from geo.sensors import builtin_cards

CARD = builtin_cards()["sentinel-2-l2a"]


def item(
    day: str = "2020-07-01",
    raster: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
) -> ItemRecord:
    band = {"raster:bands": [raster]} if raster is not None else {}
    assets = {key: {"href": f"{key}.tif", **band} for key in ("B02", "B04", "B08")}
    document = {
        "type": "Feature",
        "id": "x",
        "properties": {
            "datetime": f"{day}T10:00:00Z",
            "constellation": "sentinel-2",
            **(properties or {}),
        },
        "assets": {**assets, "SCL": {"href": "SCL.tif"}},
    }
    return read_item(document, base="/c/x.json", collection="c")


def told(found: ItemRecord) -> dict[str, int]:
    return {w.name: w.offset_dn for w in metadata_witnesses(found, scene_from_item(found, CARD))}


MINUS = {"scale": 0.0001, "offset": -0.1}
NOUGHT = {"scale": 0.0001, "offset": 0}


class TestMetadata:
    @pytest.mark.parametrize(
        ("baseline", "applied", "says"),
        [
            ("04.00", None, -1000),
            ("05.09", None, -1000),
            ("05.09", False, -1000),
            ("04.00", True, 0),
            ("03.01", None, 0),
            ("02.14", False, 0),
        ],
    )
    def test_baseline_and_applied_flag(
        self, baseline: str, *, applied: bool | None, says: int
    ) -> None:
        flag = {} if applied is None else {"earthsearch:boa_offset_applied": applied}
        found = told(item(properties={"s2:processing_baseline": baseline, **flag}))
        assert found == {"baseline": says}

    @pytest.mark.parametrize(
        ("raster", "says"),
        [
            (MINUS, -1000),
            (NOUGHT, 0),
            ({"offset": -0.1}, -1000),
            ({"scale": 0.0001}, None),
            (None, None),
        ],
    )
    def test_raster_bands(self, raster: dict[str, Any] | None, says: int | None) -> None:
        assert told(item(raster=raster)).get("raster-bands") == says

    @pytest.mark.parametrize(
        ("day", "says"), [("2022-01-24", 0), ("2022-01-25", -1000), ("2024-06-01", -1000)]
    )
    def test_the_date_speaks_only_where_no_baseline_is_stated(self, day: str, says: int) -> None:
        assert told(item(day)) == {"date": says}
        assert "date" not in told(item(day, properties={"s2:processing_baseline": "04.00"}))

    def test_bands_that_state_different_offsets_are_two_voices(self) -> None:
        assets = {
            "B02": {"href": "a.tif", "raster:bands": [NOUGHT]},
            "B04": {"href": "b.tif", "raster:bands": [MINUS]},
            "B08": {"href": "c.tif", "raster:bands": [MINUS]},
            "SCL": {"href": "d.tif"},
        }
        document = {
            "type": "Feature",
            "id": "x",
            "properties": {"datetime": "2020-01-01T00:00:00Z", "constellation": "sentinel-2"},
            "assets": assets,
        }
        found = read_item(document, base="/c/x.json", collection="c")
        scene = scene_from_item(found, CARD)
        with pytest.raises(OffsetUnsettled, match="disagree"):
            settle_offset(scene, metadata_witnesses(found, scene))


def forest(offset: int, *, share: float = 1.0, count: int = 200) -> dict[str, Any]:
    """Give DN of beech in summer (blue 0.025, red 0.02, nir 0.40), the rest bare soil."""
    draw = np.random.default_rng(3)
    green = np.arange(count) < share * count

    def band(leaf: int, soil: int) -> Any:
        return np.where(green, leaf, soil) + draw.integers(-40, 40, count) + offset

    return {"blue": band(250, 900), "red": band(200, 1400), "nir": band(4000, 2200)}


class TestPixels:
    def test_a_forest_without_offset_says_0(self) -> None:
        witness = pixel_witness(**forest(0))
        assert witness is not None
        assert witness.offset_dn == 0

    def test_a_forest_with_the_offset_in_its_numbers_says_minus_1000(self) -> None:
        witness = pixel_witness(**forest(1000))
        assert witness is not None
        assert witness.offset_dn == -1000

    def test_too_little_forest_says_nothing(self) -> None:
        assert pixel_witness(**forest(0, share=0.4)) is None

    def test_too_few_pixels_say_nothing(self) -> None:
        assert pixel_witness(**forest(0, count=29)) is None

    def test_bare_ground_says_nothing(self) -> None:
        assert pixel_witness(**forest(0, share=0)) is None

    def test_haze_halfway_says_nothing(self) -> None:
        bands = forest(0)
        assert pixel_witness(**(bands | {"blue": bands["blue"] + 500})) is None


ZERO, LESS = (0, -1000)


def settle(**said: int) -> Scene:
    scene = scene_from_item(item(), CARD)
    return settle_offset(scene, tuple(Witness(name, dn, "told") for name, dn in said.items()))


class TestVerdict:
    @pytest.mark.parametrize("offset", [ZERO, LESS])
    @pytest.mark.parametrize(
        "names",
        [
            ("baseline", "raster-bands"),
            ("baseline", "pixels"),
            ("raster-bands", "pixels"),
            ("raster-bands", "date"),
            ("pixels", "date"),
            ("baseline", "raster-bands", "pixels"),
        ],
    )
    def test_two_that_concur_settle_it(self, names: tuple[str, ...], offset: int) -> None:
        settled = settle(**dict.fromkeys(names, offset))
        bands = [asset for asset in settled.assets if asset.role != QUALITY]
        assert {offset_in_dn(asset) for asset in bands} == {offset}
        assert [witness.name for witness in settled.witnesses] == list(names)

    @pytest.mark.parametrize("name", ["baseline", "raster-bands", "pixels", "date"])
    def test_one_alone_does_not(self, name: str) -> None:
        with pytest.raises(OffsetUnsettled, match=f"fewer than 2 witnesses: {name} says 0"):
            settle(**{name: 0})

    def test_none_does_not(self) -> None:
        with pytest.raises(OffsetUnsettled, match="witnesses: none"):
            settle()

    @pytest.mark.parametrize("odd", ["baseline", "raster-bands", "pixels"])
    def test_one_that_disagrees_with_two_refuses_the_scene_and_is_named(self, odd: str) -> None:
        said = {"baseline": -1000, "raster-bands": -1000, "pixels": -1000, odd: 0}
        with pytest.raises(OffsetUnsettled, match=f"disagree.*{odd} says 0"):
            settle(**said)

    def test_the_quality_layer_never_gets_an_offset(self) -> None:
        quality = settle(baseline=-1000, date=-1000).asset(QUALITY)
        assert quality is not None
        assert quality.offset == "0"

    def test_a_double_subtraction_is_caught(self) -> None:
        # the publisher took the offset off, says so, and still states -0.1
        properties = {"s2:processing_baseline": "05.00", "earthsearch:boa_offset_applied": True}
        found = item(raster=MINUS, properties=properties)
        scene = scene_from_item(found, CARD)
        with pytest.raises(OffsetUnsettled, match="disagree"):
            settle_offset(scene, metadata_witnesses(found, scene))


def test_the_first_day_with_the_offset_is_25_january_2022() -> None:
    from geo.offsets import FIRST_DAY_WITH_OFFSET  # noqa: PLC0415 - only here

    assert date(2022, 1, 25) == FIRST_DAY_WITH_OFFSET
