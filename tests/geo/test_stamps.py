"""What is kept of an earlier run: only what its source still is and what nobody touched."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest

from geo.catalog import find_scenes
from geo.errors import SourceUnavailable
from geo.grid import choose_grid
from geo.load import archive, read_index
from geo.measure import input_roles
from geo.raster_io import read_bands, read_header, write_cog
from geo.stamps import source_stamp
from geo.types import Period
from tests.geo.landscape import (
    boundary_on,
    quiet,
    sentinel_shot,
    ten_metre_grid,
    write_catalog,
    write_tiff,
)
from tests.geo.serving import files_of, served

if TYPE_CHECKING:
    from pathlib import Path

AREA = boundary_on(ten_metre_grid())
GRID = choose_grid(AREA.geometry, [ten_metre_grid()])
YEAR = Period(date(2020, 1, 1), date(2020, 12, 31))
SHOT = sentinel_shot("day1", "2020-07-01", seed=1)


def store(catalog: str, target: Path) -> str:
    """Archive the one scene; give the digest of its red pixels."""
    scenes = find_scenes(f"{catalog}/catalog.json", "toy", boundary=AREA, period=YEAR).scenes
    archive(scenes, target, folder=catalog, grid=GRID, roles=input_roles(), progress=quiet)
    return str(read_index(target)["files"]["day1/B04.tif"]["pixels_sha256"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_catalog(tmp_path / "source", [SHOT]).parent


def correct(source: Path) -> None:
    write_tiff(source / "toy/day1/B04.tif", SHOT.bands["B04"] + np.uint16(1))


def test_a_source_corrected_in_place_is_fetched_again(source: Path, tmp_path: Path) -> None:
    first = store(str(source), tmp_path / "inputs")
    correct(source)
    assert store(str(source), tmp_path / "inputs") == store(str(source), tmp_path / "new") != first


def test_so_is_one_on_a_server(source: Path, tmp_path: Path) -> None:
    with served(files_of(source)) as address:
        first = store(address, tmp_path / "inputs")
        path = tmp_path / "inputs/day1/B08.tif"
        when = path.stat().st_mtime_ns
        write_tiff(source / "toy/day1/B04.tif", np.zeros_like(SHOT.bands["B04"]))
        assert store(address, tmp_path / "inputs") == store(address, tmp_path / "new") != first
        assert path.stat().st_mtime_ns == when


def test_a_kept_file_that_was_touched_is_not_believed(source: Path, tmp_path: Path) -> None:
    first = store(str(source), tmp_path / "inputs")
    path = tmp_path / "inputs/day1/B04.tif"
    header, values = read_header(str(path)), read_bands(path)
    values[0, 3, 4] += 1
    tags = {"AMANAR_INPUT": header.tags["AMANAR_INPUT"]}
    write_cog(path, values, geobox=header.geobox, nodata=header.nodata, tags=tags)
    assert store(str(source), tmp_path / "inputs") == first


def test_what_an_interrupted_run_archived_is_kept(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "inputs"

    def killed(*_: object, **__: object) -> None:
        raise SourceUnavailable(path="x", reason="killed")

    with monkeypatch.context() as patch:
        patch.setattr("geo.load._write_index", killed)
        with pytest.raises(SourceUnavailable):
            store(str(source), target)
    when = {path: path.stat().st_mtime_ns for path in target.glob("*/*.tif")}
    store(str(source), target)
    assert {path: path.stat().st_mtime_ns for path in target.glob("*/*.tif")} == when
    assert not list(target.glob(".*"))


def test_the_index_says_by_what_the_source_was_known(source: Path, tmp_path: Path) -> None:
    store(str(source), tmp_path / "inputs")
    stamps = json.loads((tmp_path / "inputs/index.json").read_text())["stamps"]
    assert stamps["day1/B04.tif"] == source_stamp(str(source / "toy/day1/B04.tif"))


def test_what_is_gone_or_silent_has_no_stamp(source: Path) -> None:
    assert source_stamp(str(source / "none.tif")) is None
    with served(files_of(source, failing="B04")) as address:
        assert source_stamp(f"{address}/none.tif") is None
        said = source_stamp(f"{address}/toy/day1/B08.tif")
    assert said is not None
    assert {"Last-Modified", "Content-Length"} <= set(said)
