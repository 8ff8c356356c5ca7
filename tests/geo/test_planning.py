"""Plans: scenes, grid, seasons and offsets decided once, as JSON, before any measurement."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from geo.aoi import read_boundary
from geo.errors import BadInput
from geo.grid import crs_of, share_grid
from geo.planning import ScenePlan, plan_scenes
from geo.scenes import QUALITY, offset_in_dn
from geo.types import Period
from tests.geo.landscape import (
    S2_SAID,
    TEN_METRES,
    Shot,
    boundary_on,
    four_summers,
    quiet,
    sentinel_shot,
    ten_metre_grid,
    write_catalog,
    write_tiff,
)

SAMPLES = Path("data/samples/catalog")
AREA = boundary_on(ten_metre_grid())
YEARS = Period(date(2017, 1, 1), date(2020, 12, 31))
SUMMER = "06-01/08-31"


def plan(source: Path, **changes: Any) -> ScenePlan:
    settings: dict[str, Any] = {
        "boundary": AREA,
        "period": YEARS,
        "season": SUMMER,
        "progress": quiet,
        **changes,
    }
    return plan_scenes(str(source), settings.pop("collection", "toy"), **settings)


def codes(found: ScenePlan) -> dict[str, str]:
    return {finding.code: finding.severity for finding in found.findings}


class TestPlan:
    def test_it_survives_json(self, tmp_path: Path) -> None:
        found = plan(write_catalog(tmp_path, four_summers(dates=2)))
        assert ScenePlan.from_json(json.loads(json.dumps(found.to_json()))) == found

    def test_the_grid_is_the_scenes_own(self, tmp_path: Path) -> None:
        assert share_grid(
            plan(write_catalog(tmp_path, four_summers(dates=1))).grid, ten_metre_grid()
        )

    def test_scenes_outside_the_season_are_neither_used_nor_refused(self, tmp_path: Path) -> None:
        winter = sentinel_shot("winter", "2018-01-05", seed=99)
        found = plan(write_catalog(tmp_path, [*four_summers(dates=1), winter]))
        assert [scene.observed_on.year for scene in found.scenes] == [2017, 2018, 2019, 2020]
        assert found.refused == ()

    def test_without_a_season_it_is_the_whole_year_with_a_warning(self, tmp_path: Path) -> None:
        winter = sentinel_shot("winter", "2018-01-05", seed=99)
        found = plan(write_catalog(tmp_path, [*four_summers(dates=1), winter]), season=None)
        assert found.season == "01-01/12-31"
        assert len(found.scenes) == 5
        assert codes(found) == {"season-whole-year": "warning"}

    def test_an_end_without_scenes_is_blocking_a_gap_between_is_told(self, tmp_path: Path) -> None:
        shots = [s for s in four_summers(dates=1) if "2018" not in s.item_id]
        found = plan(write_catalog(tmp_path, shots), period=Period(date(2016, 1, 1), YEARS.end))
        assert codes(found) == {
            "end-season-without-scenes": "blocking",
            "season-without-scenes": "info",
        }

    def test_unlike_grids_are_brought_to_utm(self, tmp_path: Path) -> None:
        shots = four_summers(dates=1)
        shots[1].transform = TEN_METRES @ Affine.translation(0.5, 0)
        grid = plan(write_catalog(tmp_path, shots)).grid
        assert crs_of(grid).epsg == 32634
        assert grid.transform.c % 10 == 0

    def test_nothing_in_the_season_is_refused_with_the_season(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="no scene of the seasons 11-01/11-30"):
            plan(write_catalog(tmp_path, four_summers(dates=1)), season="11-01/11-30")


class TestRefused:
    def test_a_scene_that_cannot_be_opened(self, tmp_path: Path) -> None:
        source = write_catalog(tmp_path, four_summers(dates=2))
        (tmp_path / "toy/S2_2018_1/B04.tif").write_bytes(b"II*\x00")
        found = plan(source)
        assert len(found.scenes) == 7
        assert [entry.item_id for entry in found.refused] == ["S2_2018_1"]
        assert "B04.tif cannot be read" in found.refused[0].reason

    def test_a_scene_whose_blue_band_is_cut(self, tmp_path: Path) -> None:
        source = write_catalog(tmp_path, four_summers(dates=2))
        blue = tmp_path / "toy/S2_2018_1/B02.tif"
        blue.write_bytes(blue.read_bytes()[:-700])
        assert "B02.tif cannot be read" in plan(source).refused[0].reason

    def test_a_scene_of_another_type_than_the_sensor_s(self, tmp_path: Path) -> None:
        source = write_catalog(tmp_path, four_summers(dates=2))
        write_tiff(tmp_path / "toy/S2_2018_1/B04.tif", np.ones((32, 32), dtype=np.uint8))
        assert plan(source).refused[0].reason == (
            "its red band holds uint8, sentinel-2-l2a is uint16"
        )

    def test_a_scene_whose_pixels_do_not_reach_the_area(self, tmp_path: Path) -> None:
        shots = four_summers(dates=2)
        shots[3].transform = TEN_METRES @ Affine.translation(4000, 0)
        assert plan(write_catalog(tmp_path, shots)).refused[0].reason == (
            "its pixels do not reach the area"
        )

    def test_when_every_scene_is_refused_the_reasons_are_told(self, tmp_path: Path) -> None:
        source = write_catalog(tmp_path, four_summers(dates=1))
        for path in tmp_path.rglob("B04.tif"):
            path.write_bytes(b"")
        with pytest.raises(BadInput, match=r"B04\.tif cannot be read"):
            plan(source)


def brighter(shot: Shot, dn: int) -> Shot:
    bands = {key: v if key == "SCL" else v + np.uint16(dn) for key, v in shot.bands.items()}
    shot.bands = bands
    return shot


class TestOffsets:
    def test_pixels_join_the_witnesses_of_the_metadata(self, tmp_path: Path) -> None:
        found = plan(write_catalog(tmp_path, four_summers(dates=1)))
        for scene in found.scenes:
            assert [w.name for w in scene.witnesses] == ["raster-bands", "date", "pixels"]
            assert {w.offset_dn for w in scene.witnesses} == {0}

    def test_a_new_baseline_is_settled_by_flag_and_pixels(self, tmp_path: Path) -> None:
        properties = {"constellation": "sentinel-2", "s2:processing_baseline": "05.09"}
        shots = [
            brighter(
                sentinel_shot(f"n{y}", f"{y}-07-01", seed=y, properties=properties, said={}), 1000
            )
            for y in (2023, 2024)
        ]
        found = plan(
            write_catalog(tmp_path, shots), period=Period(date(2023, 1, 1), date(2024, 12, 31))
        )
        bands = [a for scene in found.scenes for a in scene.assets if a.role != QUALITY]
        assert {offset_in_dn(asset) for asset in bands} == {-1000}
        assert [w.name for w in found.scenes[0].witnesses] == ["baseline", "pixels"]

    def test_a_scene_whose_pixels_contradict_its_metadata_is_refused(self, tmp_path: Path) -> None:
        shots = four_summers(dates=2)
        brighter(shots[3], 1000)
        found = plan(write_catalog(tmp_path, shots))
        assert [entry.item_id for entry in found.refused] == [shots[3].item_id]
        assert "disagree" in found.refused[0].reason
        assert "pixels says -1000" in found.refused[0].reason

    def test_clouds_leave_the_pixels_silent(self, tmp_path: Path) -> None:
        shots = [sentinel_shot(f"c{y}", f"{y}-07-01", seed=y, cloud=1.0) for y in range(2017, 2021)]
        found = plan(write_catalog(tmp_path, shots))
        assert [w.name for w in found.scenes[0].witnesses] == ["raster-bands", "date"]

    def test_a_single_witness_is_not_enough(self, tmp_path: Path) -> None:
        properties = {"constellation": "sentinel-2", "s2:processing_baseline": "02.14"}
        shots = four_summers(dates=1)
        lonely = sentinel_shot(
            "lonely", "2018-07-20", seed=5, cloud=1.0, properties=properties, said={}
        )
        found = plan(write_catalog(tmp_path, [*shots, lonely]))
        assert "fewer than 2 witnesses: baseline" in found.refused[0].reason

    def test_the_witness_of_a_large_area_is_taken_from_its_middle(self, tmp_path: Path) -> None:
        shots = [
            sentinel_shot(f"b{y}", f"{y}-07-01", seed=y, size=640, cloud=0, said=S2_SAID)
            for y in (2017, 2020)
        ]
        area = boundary_on(ten_metre_grid(640, 640))
        found = plan(write_catalog(tmp_path, shots), boundary=area)
        detail = found.scenes[0].witnesses[-1].detail
        assert int(detail.split(" in ")[1].split()[0]) <= 512 * 512


class TestSamples:
    def test_every_summer_scene_of_the_romanian_series_is_settled(self) -> None:
        boundary = read_boundary(SAMPLES / "s2-l2a-romania/projects.geojson", feature="RO-STABLE")
        found = plan(
            SAMPLES,
            collection="s2-l2a-romania",
            boundary=boundary,
            period=Period(date(2016, 1, 1), date(2020, 12, 31)),
        )
        assert (len(found.scenes), found.refused, found.findings) == (50, (), ())
        assert sum(len(scene.witnesses) == 3 for scene in found.scenes) >= 25
        assert crs_of(found.grid).epsg == 3035

    def test_the_hazy_scene_of_september_2020_is_refused(self) -> None:
        boundary = read_boundary(SAMPLES / "s2-l2a-romania/projects.geojson", feature="RO-HARVEST")
        found = plan(
            SAMPLES,
            collection="s2-l2a-romania",
            boundary=boundary,
            season="09-01/09-30",
            period=Period(date(2019, 1, 1), date(2020, 12, 31)),
        )
        assert [entry.item_id for entry in found.refused] == ["S2_MSIL2A_ROMANIA_20200903"]
        assert "pixels says -1000" in found.refused[0].reason

    def test_the_peruvian_epochs_are_measured_in_degrees(self) -> None:
        path = SAMPLES / "landsat-epochs-pucallpa/projects.geojson"
        found = plan(
            SAMPLES,
            collection="landsat-epochs-pucallpa",
            boundary=read_boundary(path, feature="PE-CONVERTED"),
            season=None,
            period=Period(date(2010, 1, 1), date(2015, 12, 31)),
        )
        assert crs_of(found.grid).epsg == 4326
        assert [scene.observed_on.year for scene in found.scenes] == [2010, 2015]
        assert codes(found) == {"season-without-scenes": "info"}
