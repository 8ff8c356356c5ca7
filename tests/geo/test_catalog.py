"""Finding scenes in static catalogs and STAC APIs; what is refused, and why."""

from __future__ import annotations

import json
from datetime import date
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import shapely

from geo.catalog import find_scenes
from geo.errors import BadInput, SourceUnavailable
from geo.scenes import Refusal, Scene
from geo.types import Boundary, Period
from tests.geo.landscape import (
    S2_SAID,
    Shot,
    boundary_on,
    item_document,
    sentinel_shot,
    ten_metre_grid,
    write_catalog,
)
from tests.geo.serving import files_of, served

if TYPE_CHECKING:
    from geo.catalog import SceneSearch

SAMPLES = Path("data/samples/catalog")
AREA = boundary_on(ten_metre_grid())
YEAR = Period(date(2020, 1, 1), date(2020, 12, 31))


def find(source: Path | str, collection: str = "toy", **changes: Any) -> SceneSearch:
    settings: dict[str, Any] = {"boundary": AREA, "period": YEAR, **changes}
    return find_scenes(str(source), collection, **settings)


def reasons(search: SceneSearch) -> dict[str, str]:
    return {entry.item_id: entry.reason for entry in search.refused}


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    shots = [sentinel_shot(f"day{n}", f"2020-07-{n:02d}", seed=n, size=4) for n in (9, 3, 6)]
    return write_catalog(tmp_path, shots)


class TestStatic:
    def test_scenes_come_oldest_first(self, catalog: Path) -> None:
        assert [scene.item_id for scene in find(catalog).scenes] == ["day3", "day6", "day9"]

    def test_the_folder_may_stand_for_its_catalog(self, catalog: Path) -> None:
        assert find(catalog.parent) == find(catalog)

    def test_a_collection_file_may_be_the_source(self, catalog: Path) -> None:
        assert len(find(catalog.parent / "toy" / "collection.json").scenes) == 3

    def test_addresses_are_relative_to_the_catalog(self, catalog: Path) -> None:
        red = find(catalog).scenes[0].asset("red")
        assert red is not None
        assert red.href == "toy/day3/B04.tif"

    def test_other_dates_are_neither_used_nor_refused(self, catalog: Path) -> None:
        search = find(catalog, period=Period(date(2020, 7, 3), date(2020, 7, 6)))
        assert [scene.item_id for scene in search.scenes] == ["day3", "day6"]
        assert search.refused == ()

    def test_items_may_lie_in_catalogs_below_the_collection(self, catalog: Path) -> None:
        node = catalog.parent / "toy" / "collection.json"
        links = json.loads(node.read_text())["links"]
        below = node.parent / "2020" / "catalog.json"
        below.parent.mkdir()
        moved = [{**link, "href": f"../{link['href']}"} for link in links]
        below.write_text(json.dumps({"type": "Catalog", "id": "2020", "links": moved}))
        edit(node, links=[{"rel": "child", "href": "2020/catalog.json"}])
        assert len(find(catalog).scenes) == 3

    def test_links_in_a_circle_come_to_an_end(self, catalog: Path) -> None:
        root = json.loads(catalog.read_text())
        edit(catalog, links=[{"rel": "child", "href": "./catalog.json"}, *root["links"]])
        assert len(find(catalog).scenes) == 3

    def test_an_unknown_collection_lists_those_there_are(self, catalog: Path) -> None:
        with pytest.raises(BadInput, match=r"collection other: is not in .*It has: toy"):
            find(catalog, "other")

    def test_nothing_in_the_period_is_said_with_the_dates(self, catalog: Path) -> None:
        nothing = Period(date(1999, 1, 1), date(1999, 12, 31))
        with pytest.raises(BadInput, match=r"none of its 3 items .* from 1999-01-01 to 1999-12-31"):
            find(catalog, period=nothing)

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"type": "Feature"}', "\x00\x01"])
    def test_what_is_no_catalog_is_refused(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "catalog.json"
        path.write_text(text)
        with pytest.raises(BadInput, match=r"catalog\.json"):
            find(path)

    def test_a_missing_catalog_is_refused_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="absent"):
            find(tmp_path / "absent.json")


class TestRefused:
    def test_a_broken_document(self, catalog: Path) -> None:
        (catalog.parent / "toy/day6/item.json").write_text('{"type": "Feat')
        search = find(catalog)
        assert len(search.scenes) == 2
        assert "its document is not JSON" in reasons(search)["item.json"]

    def test_a_missing_document(self, catalog: Path) -> None:
        (catalog.parent / "toy/day6/item.json").unlink()
        assert "its document cannot be read" in reasons(find(catalog))["item.json"]

    def test_an_item_without_a_date(self, catalog: Path) -> None:
        edit(catalog.parent / "toy/day6/item.json", properties={"constellation": "sentinel-2"})
        assert reasons(find(catalog)) == {"day6": "it has neither a datetime nor a start and end"}

    def test_an_item_without_a_needed_band(self, catalog: Path) -> None:
        path = catalog.parent / "toy/day6/item.json"
        assets = json.loads(path.read_text())["assets"]
        edit(path, assets={key: asset for key, asset in assets.items() if key != "B08"})
        assert reasons(find(catalog)) == {"day6": "it lacks nir"}

    def test_an_item_without_its_quality_layer(self, catalog: Path) -> None:
        path = catalog.parent / "toy/day6/item.json"
        assets = json.loads(path.read_text())["assets"]
        edit(path, assets={key: asset for key, asset in assets.items() if key != "SCL"})
        assert "quality layer (SCL or scl)" in reasons(find(catalog))["day6"]

    def test_an_item_that_states_another_scale(self, catalog: Path) -> None:
        path = catalog.parent / "toy/day6/item.json"
        assets = json.loads(path.read_text())["assets"]
        assets["B04"]["raster:bands"] = [{"scale": 0.0002}]
        edit(path, assets=assets)
        assert reasons(find(catalog)) == {
            "day6": "its red has scale 0.0002, sentinel-2-l2a has 0.0001"
        }

    def test_an_item_whose_band_lies_in_a_store_not_spoken_here(self, catalog: Path) -> None:
        path = catalog.parent / "toy/day6/item.json"
        assets = json.loads(path.read_text())["assets"]
        assets["B08"]["href"] = "s3://bucket/B08.tif"
        edit(path, assets=assets)
        assert "it lacks nir (its asset s3://bucket/B08.tif" in reasons(find(catalog))["day6"]

    def test_an_item_of_landsat_tier_2(self, tmp_path: Path) -> None:
        shots = [landsat("LC08_02_T2", **{"landsat:collection_category": "T2"}), landsat("LC08_b")]
        assert "tier 2" in reasons(find(write_catalog(tmp_path, shots)))["LC08_02_T2"]

    def test_an_item_elsewhere(self, tmp_path: Path) -> None:
        far = sentinel_shot("far", "2020-07-05", seed=1, size=4, bbox=(30, 10, 31, 11))
        near = sentinel_shot("near", "2020-07-05", seed=1, size=4)
        search = find(write_catalog(tmp_path, [far, near]))
        assert reasons(search) == {"far": "it lies outside the area"}

    def test_an_unreadable_footprint_leaves_the_choice_to_the_bbox(self, catalog: Path) -> None:
        path = catalog.parent / "toy/day6/item.json"
        edit(path, geometry={"type": "Polygon", "coordinates": [[1, 2]]}, bbox=[30, 10, 31, 11])
        assert reasons(find(catalog)) == {"day6": "it lies outside the area"}

    def test_all_items_outside_is_nothing_found(self, catalog: Path) -> None:
        ring = shapely.MultiPolygon([shapely.box(100, 10, 101, 11)])
        with pytest.raises(BadInput, match="it lies outside the area"):
            find(catalog, boundary=Boundary("far", ring, 1.0))

    def test_ids_that_give_one_folder_name(self, tmp_path: Path) -> None:
        shots = [
            sentinel_shot("a_b", "2020-07-01", seed=1, size=4),
            sentinel_shot("a_c", "2020-07-02", seed=2, size=4),
        ]
        catalog = write_catalog(tmp_path, shots)
        edit(tmp_path / "toy/a_c/item.json", id="a:b")
        assert "same folder name" in reasons(find(catalog))["a:b"]


def landsat(item_id: str, **properties: Any) -> Shot:
    picture = sentinel_shot("x", "2020-07-05", seed=1, size=4).bands["B04"]
    bands = dict.fromkeys(("red", "nir08", "qa_pixel"), picture)
    said = {"constellation": "landsat", "platform": "landsat-8", **properties}
    return Shot(
        item_id, "2020-07-05", bands, said, bbox=(20.9, 45.0, 21.2, 45.2 + len(item_id) / 100)
    )


def tile(item_id: str, baseline: str, **properties: Any) -> Shot:
    said = {
        "constellation": "sentinel-2",
        "platform": "sentinel-2a",
        "s2:mgrs_tile": "34TFR",
        "s2:processing_baseline": baseline,
        **properties,
    }
    return sentinel_shot(item_id, "2020-07-05", seed=1, size=4, properties=said, said=S2_SAID)


class TestDuplicates:
    def test_the_newest_baseline_of_one_acquisition_is_used_once(self, tmp_path: Path) -> None:
        shots = [tile("old", "02.14"), tile("new", "05.00"), tile("mid", "04.00")]
        search = find(write_catalog(tmp_path, shots))
        assert [scene.item_id for scene in search.scenes] == ["new"]
        assert set(reasons(search)) == {"old", "mid"}
        assert "same acquisition as new" in reasons(search)["old"]

    def test_of_one_baseline_the_later_processing_is_used(self, tmp_path: Path) -> None:
        shots = [
            tile("a", "05.00", **{"s2:generation_time": "2023-02-01T00:00:00Z"}),
            tile("b", "05.00", **{"s2:generation_time": "2023-01-01T00:00:00Z"}),
        ]
        assert [scene.item_id for scene in find(write_catalog(tmp_path, shots)).scenes] == ["a"]

    def test_another_tile_of_the_day_is_no_duplicate(self, tmp_path: Path) -> None:
        shots = [tile("a", "05.00"), tile("b", "05.00", **{"s2:mgrs_tile": "34TFS"})]
        assert len(find(write_catalog(tmp_path, shots)).scenes) == 2

    def test_an_id_that_is_listed_twice_is_used_once(self, catalog: Path) -> None:
        node = catalog.parent / "toy" / "collection.json"
        copy = catalog.parent / "toy" / "copy"
        copy.mkdir()
        text = (catalog.parent / "toy/day6/item.json").read_text()
        (copy / "item.json").write_text(text)
        links = json.loads(node.read_text())["links"]
        edit(node, links=[*links, {"rel": "item", "href": "./copy/item.json"}])
        search = find(catalog)
        assert len(search.scenes) == 3
        assert "same acquisition as day6" in reasons(search)["day6"]

    def test_landsat_tier_1_comes_before_real_time(self, tmp_path: Path) -> None:
        same = {"landsat:wrs_path": "185", "landsat:wrs_row": "29"}
        shots = [
            landsat(f"LC08_L2SP_185029_20200705_{tier}", **same) for tier in ("02_RT", "02_T1")
        ]
        search = find(write_catalog(tmp_path, shots))
        assert [scene.item_id[-5:] for scene in search.scenes] == ["02_T1"]


class TestSamples:
    def test_the_romanian_series_has_140_scenes_with_two_witnesses_each(self) -> None:
        boundary = Boundary(
            "r", shapely.MultiPolygon([shapely.box(22.15, 45.203, 22.153, 45.206)]), 1
        )
        search = find(
            SAMPLES,
            "s2-l2a-romania",
            boundary=boundary,
            period=Period(date(2015, 1, 1), date(2021, 12, 31)),
        )
        assert search.card.id == "sentinel-2-l2a"
        assert len(search.scenes) == 140
        assert {tuple(w.name for w in scene.witnesses) for scene in search.scenes} == {
            ("raster-bands", "date")
        }

    def test_the_peruvian_epochs_count_at_their_midpoints(self) -> None:
        boundary = Boundary("p", shapely.MultiPolygon([shapely.box(-74.6, -8.5, -74.5, -8.4)]), 1)
        search = find(
            SAMPLES,
            "landsat-epochs-pucallpa",
            boundary=boundary,
            period=Period(date(1985, 1, 1), date(2020, 12, 31)),
        )
        assert search.card.id == "landsat-epochs-8bit"
        assert [scene.observed_on.year for scene in search.scenes] == list(range(1985, 2021, 5))
        assert search.scenes[0].observed_on == date(1985, 7, 2)


class TestJson:
    def test_scenes_and_refusals_survive_json(self, catalog: Path) -> None:
        (catalog.parent / "toy/day9/item.json").write_text("{")
        search = find(catalog)
        for scene in search.scenes:
            assert Scene.from_json(json.loads(json.dumps(scene.to_json()))) == scene
        for entry in search.refused:
            assert Refusal.from_json(json.loads(json.dumps(entry.to_json()))) == entry


class SmallApi(BaseHTTPRequestHandler):
    """The part of a STAC API that a search needs, with one page for each item."""

    shots: list[Shot]
    searches: list[dict[str, Any]]

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""

    def do_GET(self) -> None:
        here = f"http://{self.headers['Host']}"
        collection = {
            "type": "Collection",
            "id": "toy",
            "stac_version": "1.0.0",
            "description": "x",
            "license": "x",
            "links": [],
            "extent": {
                "spatial": {"bbox": [[0, 0, 1, 1]]},
                "temporal": {"interval": [[None, None]]},
            },
        }
        documents: dict[str, Any] = {
            "/": {
                "type": "Catalog",
                "id": "api",
                "stac_version": "1.0.0",
                "description": "x",
                "conformsTo": [
                    "https://api.stacspec.org/v1.0.0/core",
                    "https://api.stacspec.org/v1.0.0/collections",
                    "https://api.stacspec.org/v1.0.0/item-search",
                ],
                "links": [
                    {
                        "rel": "search",
                        "href": f"{here}/search",
                        "type": "application/geo+json",
                        "method": "POST",
                    },
                    {"rel": "data", "href": f"{here}/collections"},
                    {"rel": "self", "href": f"{here}/"},
                    {"rel": "root", "href": f"{here}/"},
                ],
            },
            "/collections": {"collections": [collection], "links": []},
        }
        self._answer(documents.get(self.path))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.searches.append(asked)
        page = int(asked.get("token", 0))
        here = f"http://{self.headers['Host']}"
        item = item_document(self.shots[page], "toy")
        item["links"] = [{"rel": "self", "href": f"{here}/items/{page}"}]
        more = page + 1 < len(self.shots)
        step = {
            "rel": "next",
            "href": f"{here}/search",
            "method": "POST",
            "merge": True,
            "body": {"token": str(page + 1)},
        }
        self._answer(
            {"type": "FeatureCollection", "features": [item], "links": [step] if more else []}
        )

    def _answer(self, document: Any) -> None:
        body = json.dumps(document or {}).encode()
        self.send_response(200 if document else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class TestRemote:
    def test_a_static_catalog_is_read_over_http(self, catalog: Path) -> None:
        with served(files_of(catalog.parent)) as address:
            search = find(f"{address}/catalog.json")
        assert [scene.item_id for scene in search.scenes] == ["day3", "day6", "day9"]
        red = search.scenes[0].asset("red")
        assert red is not None
        assert red.address(address) == f"{address}/toy/day3/B04.tif"

    def test_an_item_that_a_server_denies_is_refused(self, catalog: Path) -> None:
        (catalog.parent / "toy/day6/item.json").unlink()
        with served(files_of(catalog.parent)) as address:
            assert "404" in reasons(find(f"{address}/catalog.json"))["item.json"]

    def test_a_server_that_falls_silent_decides_nothing(self, catalog: Path) -> None:
        # refusing the scene would make the result depend on the network
        with (
            served(files_of(catalog.parent, failing="day6")) as address,
            pytest.raises(SourceUnavailable, match=r"day6.*run again"),
        ):
            find(f"{address}/catalog.json")

    def test_a_server_that_is_not_there_is_named(self) -> None:
        with pytest.raises(BadInput, match=r"127\.0\.0\.1:9"):
            find("http://127.0.0.1:9/catalog.json")

    def test_an_api_is_searched_by_collection_place_and_dates_over_all_pages(self) -> None:
        shots = [sentinel_shot(f"d{n}", f"2020-07-0{n}", seed=n, size=4) for n in (1, 2, 3)]
        api = type("Api", (SmallApi,), {"shots": shots, "searches": []})
        with served(api) as address:
            search = find(address)
        assert [scene.item_id for scene in search.scenes] == ["d1", "d2", "d3"]
        asked = api.searches[0]  # type: ignore[attr-defined]
        assert asked["collections"] == ["toy"]
        assert asked["bbox"] == pytest.approx(AREA.geometry.bounds)
        assert asked["datetime"].startswith("2020-01-01")

    def test_an_unknown_collection_of_an_api_lists_those_there_are(self) -> None:
        api = type("Api", (SmallApi,), {"shots": [], "searches": []})
        with served(api) as address, pytest.raises(BadInput, match="It has: toy"):
            find(address, "other")
