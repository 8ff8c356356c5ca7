"""Archived inputs: original numbers, kept when complete, refused when damaged, read lazily."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geo.catalog import find_scenes
from geo.errors import BadInput
from geo.grid import choose_grid
from geo.load import MISSING_DN, archive, open_inputs, read_index, verify_inputs
from geo.measure import input_roles
from geo.raster_io import pixel_digest, read_bands, read_header, write_cog
from geo.types import Period
from tests.geo.landscape import (
    SIZE,
    TEN_METRES,
    UTM,
    assert_lazy,
    boundary_on,
    quiet,
    sentinel_shot,
    ten_metre_grid,
    write_catalog,
    write_tiff,
)

if TYPE_CHECKING:
    from pathlib import Path

    from geo.scenes import Refusal, Scene

AREA = boundary_on(ten_metre_grid())
GRID = choose_grid(AREA.geometry, [ten_metre_grid()])
YEAR = Period(date(2020, 1, 1), date(2020, 12, 31))
SHOTS = [sentinel_shot(f"day{n}", f"2020-07-0{n}", seed=n) for n in (1, 2, 3)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_catalog(tmp_path / "source", SHOTS).parent


@pytest.fixture
def scenes(source: Path) -> tuple[Scene, ...]:
    return find_scenes(str(source), "toy", boundary=AREA, period=YEAR).scenes


def store(
    scenes: tuple[Scene, ...], source: Path, target: Path, grid: GeoBox = GRID
) -> tuple[Refusal, ...]:
    return archive(
        scenes, target, folder=str(source), grid=grid, roles=input_roles(), progress=quiet
    )


def whole_to_grid(values: np.ndarray[Any, Any], grid: GeoBox = GRID) -> np.ndarray[Any, Any]:
    """Cut a 32 x 32 picture to the grid by plain slicing, padded with nothing around."""
    padded = np.full((3 * SIZE, 3 * SIZE), MISSING_DN, dtype=np.int64)
    padded[SIZE : 2 * SIZE, SIZE : 2 * SIZE] = values
    left = round((grid.transform.c - TEN_METRES.c) / 10) + SIZE
    top = round((TEN_METRES.f - grid.transform.f) / 10) + SIZE
    return padded[top : top + grid.shape[0], left : left + grid.shape[1]]


class TestArchive:
    def test_the_archived_numbers_are_the_publisher_s(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        assert store(scenes, source, tmp_path / "inputs") == ()
        path = tmp_path / "inputs" / "day2" / "B04.tif"
        header = read_header(str(path))
        column, row = (round(n) for n in ~TEN_METRES @ (header.geobox.transform @ (0, 0)))
        rows, columns = header.geobox.shape
        part = SHOTS[1].bands["B04"][row : row + rows, column : column + columns]
        np.testing.assert_array_equal(read_bands(path)[0], part)
        assert header.nodata == 0

    def test_only_what_covers_the_grid_is_kept(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        small = ten_metre_grid()[10:14, 10:14]
        store(scenes, source, tmp_path / "inputs", small)
        assert read_header(str(tmp_path / "inputs/day1/B04.tif")).geobox.shape == (6, 6)
        assert read_header(str(tmp_path / "inputs/day1/SCL.tif")).geobox.shape == (4, 4)

    def test_the_index_names_every_file_with_its_checksums(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        store(scenes, source, tmp_path / "inputs")
        files = read_index(tmp_path / "inputs")["files"]
        written = {str(p.relative_to(tmp_path / "inputs")) for p in tmp_path.rglob("inputs/*/*")}
        assert set(files) == written
        entry = files["day1/B08.tif"]
        assert entry["pixels_sha256"] == pixel_digest(tmp_path / "inputs/day1/B08.tif")
        assert (entry["item_id"], entry["role"]) == ("day1", "nir")
        assert entry["source"] == "toy/day1/B08.tif"

    def test_a_second_run_keeps_complete_files_and_mends_a_broken_one(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        target = tmp_path / "inputs"
        store(scenes, source, target)
        before = {p: p.stat().st_mtime_ns for p in target.glob("*/*.tif")}
        index = (target / "index.json").read_text()
        broken = target / "day3" / "B08.tif"
        broken.write_bytes(broken.read_bytes()[:100])
        store(scenes, source, target)
        changed = {p.name for p, when in before.items() if p.stat().st_mtime_ns != when}
        assert changed == {"B08.tif"}
        assert (target / "index.json").read_text() == index

    def test_a_file_of_another_window_is_not_kept(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        store(scenes, source, tmp_path / "inputs", ten_metre_grid()[10:14, 10:14])
        store(scenes, source, tmp_path / "inputs")
        shape = read_header(str(tmp_path / "inputs/day1/B04.tif")).geobox.shape
        assert shape[0] >= GRID.shape[0] - 8

    def test_a_damaged_scene_is_refused_by_name_and_leaves_nothing(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        band = source / "toy/day2/SCL.tif"
        band.write_bytes(band.read_bytes()[:-60])
        said: list[str] = []
        refused = archive(
            scenes,
            tmp_path / "inputs",
            folder=str(source),
            grid=GRID,
            roles=input_roles(),
            progress=said.append,
        )
        assert [entry.item_id for entry in refused] == ["day2"]
        assert "SCL.tif cannot be read" in refused[0].reason
        assert not (tmp_path / "inputs" / "day2").exists()
        assert read_index(tmp_path / "inputs")["refused"][0]["item_id"] == "day2"
        assert any("day2" in line or "SCL.tif" in line for line in said)

    def test_a_scene_whose_pixels_lie_elsewhere_is_refused(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        write_tiff(
            source / "toy/day1/B04.tif",
            SHOTS[0].bands["B04"],
            transform=TEN_METRES @ Affine.translation(9000, 0),
        )
        assert "does not reach the area" in store(scenes, source, tmp_path / "inputs")[0].reason


class TestNodata:
    @pytest.mark.parametrize("nodata", [-9999, 70_000])
    def test_a_missing_value_that_the_type_cannot_hold_is_none(
        self, nodata: int, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        odd = tuple(
            replace(scene, assets=tuple(replace(asset, nodata=nodata) for asset in scene.assets))
            for scene in scenes
        )
        store(odd, source, tmp_path / "inputs")
        assert verify_inputs(tmp_path / "inputs") == ()
        assert read_header(str(tmp_path / "inputs/day1/B04.tif")).nodata is None


class TestVerify:
    def test_an_untouched_archive_has_no_difference(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        store(scenes, source, tmp_path / "inputs")
        assert verify_inputs(tmp_path / "inputs") == ()

    def test_a_changed_pixel_names_its_file(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        store(scenes, source, tmp_path / "inputs")
        path = tmp_path / "inputs/day2/B04.tif"
        values = read_bands(path)
        values[0, 3, 4] += 1
        write_cog(path, values, geobox=read_header(str(path)).geobox, nodata=0)
        assert verify_inputs(tmp_path / "inputs") == (
            "The pixels of day2/B04.tif differ from those that were archived.",
        )

    def test_missing_damaged_and_rewritten_files_are_told_apart(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        store(scenes, source, tmp_path / "inputs")
        missing, damaged, rewritten = (tmp_path / f"inputs/day{n}/B08.tif" for n in (1, 2, 3))
        missing.unlink()
        damaged.write_bytes(damaged.read_bytes()[:90])
        grid = read_header(str(rewritten)).geobox
        write_cog(rewritten, read_bands(rewritten), geobox=grid, nodata=0)
        told = verify_inputs(tmp_path / "inputs")
        assert told[0] == "day1/B08.tif is missing."
        assert "B08.tif cannot be read" in told[1]
        assert told[2] == "The bytes of day3/B08.tif differ (its pixels are the same)."

    def test_a_folder_without_an_index_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="not an index"):
            verify_inputs(tmp_path)


class TestOpen:
    def test_nothing_is_read_when_inputs_are_opened(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        store(scenes, source, tmp_path / "inputs")
        with assert_lazy():
            opened = open_inputs(scenes, tmp_path / "inputs", grid=GRID, chunk=7)
        assert opened["red"].dims == ("time", "y", "x")
        assert opened["red"].chunks is not None
        assert opened["red"].chunks[0] == (3,)
        assert set(opened["red"].chunks[1][:-1]) == {7}
        assert opened.rio.crs.to_epsg() == 32634
        assert opened.rio.transform() == GRID.transform
        assert opened["item_id"].values.tolist() == ["day1", "day2", "day3"]

    def test_ten_metre_bands_are_the_picture_and_twenty_metre_ones_replicated(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        store(scenes, source, tmp_path / "inputs")
        opened = open_inputs(scenes, tmp_path / "inputs", grid=GRID)
        for number, shot in enumerate(SHOTS):
            red = whole_to_grid(shot.bands["B04"])
            coarse = whole_to_grid(np.kron(shot.bands["B11"], np.ones((2, 2), dtype=np.int64)))
            np.testing.assert_array_equal(opened["red"].values[number], red)
            np.testing.assert_array_equal(opened["swir16"].values[number], coarse)

    @settings(
        max_examples=8,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(chunk=st.integers(4, 30))
    def test_any_chunk_gives_the_same_numbers(
        self, chunk: int, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        target = tmp_path / "inputs"
        if not target.exists():
            store(scenes, source, target)
        askew = GeoBox((14, 15), Affine(9.0, 0, TEN_METRES.c + 87, 0, -9, TEN_METRES.f - 101), UTM)
        for grid in (GRID, askew):
            cut = open_inputs(scenes, target, grid=grid, chunk=chunk)
            whole = open_inputs(scenes, target, grid=grid)
            roles = ["red", "swir16"]
            assert cut[roles].compute(scheduler="sync").equals(whole[roles].compute())

    def test_nodata_and_what_no_file_covers_are_missing(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        holed = SHOTS[0].bands["B04"].copy()
        holed[15, 16] = 0
        write_tiff(source / "toy/day1/B04.tif", holed)
        wide = ten_metre_grid().pad(5)
        store(scenes, source, tmp_path / "inputs", wide)
        red = open_inputs(scenes, tmp_path / "inputs", grid=wide)["red"].values
        assert red[0, 15 + 5, 16 + 5] == MISSING_DN
        assert (red[:, :5] == MISSING_DN).all()
        assert (red[1:, 5:-5, 5:-5] > 0).all()

    def test_another_projection_is_read_by_the_pixel_under_the_centre(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        lon, lat = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True).transform(
            TEN_METRES.c + 100, TEN_METRES.f - 100
        )
        step = 0.00011
        grid = GeoBox((9, 8), Affine(step, 0, lon, 0, -step, lat), "EPSG:4326")
        store(scenes, source, tmp_path / "inputs", grid)
        red = open_inputs(scenes, tmp_path / "inputs", grid=grid)["red"].values[0]
        back = Transformer.from_crs("EPSG:4326", UTM, always_xy=True)
        for row, column in np.ndindex(9, 8):
            x, y = back.transform(lon + (column + 0.5) * step, lat - (row + 0.5) * step)
            there = int((TEN_METRES.f - y) // 10), int((x - TEN_METRES.c) // 10)
            assert red[row, column] == SHOTS[0].bands["B04"][there]

    def test_a_band_that_one_scene_lacks_is_missing_there_and_said(
        self, source: Path, tmp_path: Path
    ) -> None:
        path = source / "toy/day2/item.json"
        document = json.loads(path.read_text())
        del document["assets"]["B12"]
        path.write_text(json.dumps(document))
        scenes = find_scenes(str(source), "toy", boundary=AREA, period=YEAR).scenes
        store(scenes, source, tmp_path / "inputs")
        opened = open_inputs(scenes, tmp_path / "inputs", grid=GRID)
        assert opened["swir22"].attrs["present"] == [1, 0, 1]
        assert (opened["swir22"].values[1] == MISSING_DN).all()

    def test_no_scene_at_all_is_refused(
        self, scenes: tuple[Scene, ...], source: Path, tmp_path: Path
    ) -> None:
        store(scenes, source, tmp_path / "inputs")
        with pytest.raises(BadInput, match="no scene is left"):
            open_inputs([], tmp_path / "inputs", grid=GRID)


def test_a_folder_name_is_safe_for_any_item_id(scenes: tuple[Scene, ...]) -> None:
    names = {
        replace(scenes[0], item_id=name).folder for name in ("a/../../b", "..", "x y", "ok-1.2")
    }
    assert names == {"a_.._.._b", "item_2", "x_y", "ok-1.2"}
