"""STAC items of versions 1.0 and 1.1: dates, bands, addresses, Sentinel-2 particulars."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from geo.items import ItemRecord, UnreadableItem, read_item, resolve_href


def document(**changes: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": "x",
        "properties": {"datetime": "2020-07-01T10:00:00Z"},
        "assets": {"red": {"href": "./red.tif"}},
        **changes,
    }


def read(**changes: Any) -> ItemRecord:
    return read_item(document(**changes), base="/cat/col/x/x.json", collection="col")


def with_properties(**properties: Any) -> ItemRecord:
    return read(properties={"datetime": "2020-07-01T10:00:00Z", **properties})


class TestDates:
    def test_a_time_east_of_greenwich_is_brought_to_utc(self) -> None:
        found = read(properties={"datetime": "2020-07-01T01:00:00+05:00"})
        assert found.observed_on == date(2020, 6, 30)

    def test_an_interval_counts_at_its_midpoint(self) -> None:
        found = read(
            properties={
                "datetime": None,
                "start_datetime": "2010-01-01T00:00:00Z",
                "end_datetime": "2010-12-31T23:59:59Z",
            }
        )
        assert found.observed_on == date(2010, 7, 2)
        assert found.interval is not None

    def test_a_time_beside_an_interval_is_no_composite(self) -> None:
        interval = {
            "start_datetime": "2020-07-01T00:00:00Z",
            "end_datetime": "2020-07-02T00:00:00Z",
        }
        assert with_properties(**interval).interval is None

    @pytest.mark.parametrize(
        ("properties", "reason"),
        [
            ({"datetime": None}, "neither a datetime nor a start and end"),
            ({"datetime": "yesterday"}, "not ISO 8601"),
            ({"start_datetime": "2020-01-02", "end_datetime": "2020-01-01"}, "before it starts"),
        ],
    )
    def test_what_has_no_date_is_refused(self, properties: dict[str, Any], reason: str) -> None:
        with pytest.raises(UnreadableItem, match=reason):
            read(properties=properties)


class TestShape:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"type": "Collection"}, "not a STAC item"),
            ({"id": None}, "no id"),
            ({"properties": []}, "no properties"),
            ({"assets": {}}, "no assets"),
        ],
    )
    def test_what_is_no_item_is_refused(self, changes: dict[str, Any], reason: str) -> None:
        with pytest.raises(UnreadableItem, match=reason):
            read(**changes)

    def test_an_asset_without_an_address_is_left_out(self) -> None:
        found = read(assets={"red": {"href": "./red.tif"}, "odd": {"title": "no href"}})
        assert [asset.key for asset in found.assets] == ["red"]

    def test_an_asset_in_a_store_that_is_not_spoken_here_is_told(self) -> None:
        found = read(assets={"red": {"href": "s3://bucket/red.tif"}})
        assert found.assets == ()
        assert "s3://bucket/red.tif is neither a file path" in found.unreachable["red"]

    def test_a_bbox_with_heights_is_brought_to_the_plane(self) -> None:
        assert read(bbox=[1, 2, 0, 3, 4, 900]).bbox == (1, 2, 3, 4)


class TestBands:
    def test_version_1_0_merges_its_two_band_lists(self) -> None:
        asset = {
            "href": "r.tif",
            "eo:bands": [{"name": "B4", "common_name": "red"}],
            "raster:bands": [{"data_type": "uint16", "nodata": 0, "scale": 0.0001, "offset": -0.1}],
        }
        band = read(assets={"B04": asset}).assets[0].bands[0]
        assert band.names == ("red", "b4")
        assert (band.data_type, band.nodata, band.scale, band.offset) == (
            "uint16",
            0,
            "0.0001",
            "-0.1",
        )

    def test_version_1_1_says_the_same_in_one_list(self) -> None:
        band = {
            "name": "B4",
            "eo:common_name": "red",
            "data_type": "uint16",
            "raster:scale": 0.0001,
            "raster:offset": -0.1,
        }
        found = read(assets={"B04": {"href": "r.tif", "bands": [band]}}).assets[0].bands[0]
        assert found.names == ("red", "b4")
        assert (found.scale, found.offset) == ("0.0001", "-0.1")

    def test_version_1_1_may_say_it_for_the_whole_asset(self) -> None:
        asset = {"href": "r.tif", "data_type": "uint8", "nodata": 255, "eo:common_name": "red"}
        band = read(assets={"red": asset}).assets[0].bands[0]
        assert (band.names, band.data_type, band.nodata) == (("red",), "uint8", 255)

    def test_a_nodata_that_is_no_whole_number_says_nothing(self) -> None:
        asset = {"href": "r.tif", "raster:bands": [{"nodata": "nan"}]}
        assert read(assets={"red": asset}).assets[0].bands[0].nodata is None


class TestAddresses:
    @pytest.mark.parametrize(
        ("href", "base", "absolute"),
        [
            ("./a.tif", "/cat/x/x.json", "/cat/x/a.tif"),
            ("../y/a.tif", "/cat/x/x.json", "/cat/y/a.tif"),
            ("a.tif", "https://h.org/cat/x.json", "https://h.org/cat/a.tif"),
            ("/b/a.tif", "https://h.org/cat/x.json", "https://h.org/b/a.tif"),
            ("https://h.org/a.tif", "/cat/x.json", "https://h.org/a.tif"),
            ("HTTPS://h.org/A.tif", "/cat/x.json", "https://h.org/A.tif"),
            ("HTTP://h.org/a.tif", "https://h.org/cat/x.json", "http://h.org/a.tif"),
            ("file:///d/a.tif", "/cat/x.json", "/d/a.tif"),
            ("/d/a.tif", "/cat/x.json", "/d/a.tif"),
        ],
    )
    def test_a_link_is_read_against_its_document(self, href: str, base: str, absolute: str) -> None:
        assert resolve_href(href, base) == absolute

    @pytest.mark.parametrize(
        "href",
        ["s3://bucket/a.tif", "GS://bucket/a.tif", "ftp://h/a", "zip:///d/a.zip!a.tif",
         "ZIP+FILE:///d/a.zip!a.tif", "/vsicurl/http://h/a.tif", "file:///vsimem/x", "../vsimem/x",
         "http://[broken"],
    )  # fmt: skip
    def test_other_schemes_are_refused(self, href: str) -> None:
        with pytest.raises(UnreadableItem) as caught:
            resolve_href(href, "/cat/x.json")
        assert href in str(caught.value)

    @pytest.mark.parametrize(
        "href",
        ["file:///etc/passwd", "FILE:///etc/passwd", "File:/etc/passwd", "zip:///d/a.zip!a.tif",
         "zip+file:///d/a.zip!a.tif", "s3://bucket/a.tif", "gs://bucket/a.tif", "/vsimem/x"],
    )  # fmt: skip
    @pytest.mark.parametrize("base", ["https://h.org/cat/x.json", "HTTPS://h.org/cat/x.json"])
    def test_a_remote_catalog_may_point_to_http_only(self, href: str, base: str) -> None:
        with pytest.raises(UnreadableItem, match="no http") as caught:
            resolve_href(href, base)
        assert href in str(caught.value)

    def test_an_absolute_path_in_a_remote_catalog_is_one_of_its_server(self) -> None:
        assert resolve_href("/etc/a.tif", "https://h.org/cat/x.json") == "https://h.org/etc/a.tif"

    def test_a_link_may_not_climb_out_of_the_file_system(self) -> None:
        with pytest.raises(UnreadableItem, match="leaves the file system"):
            resolve_href("../../../../a.tif", "/cat/x.json")


class TestSentinel:
    @pytest.mark.parametrize(
        ("properties", "baseline"),
        [
            ({"s2:processing_baseline": "04.00"}, "04.00"),
            ({"s2:processing_baseline": "5.1"}, "05.10"),
            ({"constellation": "sentinel-2", "processing:version": "05.09"}, "05.09"),
            ({"s2:product_uri": "S2A_MSIL2A_20220126T_N0400_R1_T34TFR_x.SAFE"}, "04.00"),
            ({"processing:version": "1.2"}, None),
            ({}, None),
        ],
    )
    def test_the_baseline_is_found_where_publishers_write_it(
        self, properties: dict[str, Any], baseline: str | None
    ) -> None:
        assert with_properties(**properties).baseline == baseline

    def test_the_baseline_may_stand_in_the_id(self) -> None:
        assert read(id="S2B_MSIL2A_20220126T093209_N0400_R136_T34TFR_x").baseline == "04.00"

    @pytest.mark.parametrize(
        ("properties", "tile"),
        [
            ({"s2:mgrs_tile": "34TFR"}, "34TFR"),
            ({"grid:code": "MGRS-34TFR"}, "34TFR"),
            ({"landsat:wrs_path": "007", "landsat:wrs_row": "66"}, "007066"),
            ({}, None),
        ],
    )
    def test_the_tile_is_found_where_publishers_write_it(
        self, properties: dict[str, Any], tile: str | None
    ) -> None:
        assert with_properties(**properties).tile == tile
