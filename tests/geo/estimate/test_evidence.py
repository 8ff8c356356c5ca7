"""The evidence bundle: what is in it, and that it says the same everywhere."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac
import pytest
import rasterio

from geo.errors import BadInput
from geo.estimate import archive_inputs, finish_estimate, plan_estimate, run_estimate
from geo.estimate_plan import plan_essence
from geo.evidence import timeseries_csv
from geo.raster_io import pixel_digest
from geo.survey import SeriesRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from geo.request import EstimateRequest
    from tests.geo.estimate.conftest import Bundle

EXPECTED = {
    "estimate.json",
    "item.json",
    "looks.tif",
    "loss_year.tif",
    "manifest.json",
    "map.png",
    "ndvi_end.tif",
    "ndvi_series.tif",
    "ndvi_start.tif",
    "plan.json",
    "timeseries.csv",
    "timeseries.png",
}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())  # type: ignore[no-any-return]


def quiet(_: str) -> None:
    return None


def test_the_bundle_holds_what_it_should_and_nothing_left_over(stable: Bundle) -> None:
    assert {path.name for path in stable.folder.iterdir()} == {*EXPECTED, "inputs"}
    inputs = {path.name for path in (stable.folder / "inputs").iterdir() if path.is_file()}
    assert inputs == {"boundary.geojson", "index.json", "plots.csv", "project.json"}
    assert not list(stable.folder.rglob(".*"))


def test_every_file_stands_in_the_manifest_with_its_checksum(stable: Bundle) -> None:
    files = manifest(stable.folder)["files"]
    there = {
        p.relative_to(stable.folder).as_posix() for p in stable.folder.rglob("*") if p.is_file()
    }
    assert set(files) == there - {"manifest.json"}
    assert all(entry["sha256"] == sha256(stable.folder / name) for name, entry in files.items())


def test_the_manifest_digests_the_decoded_pixels(stable: Bundle) -> None:
    said = manifest(stable.folder)
    assert said["digest"] == stable.document["digest"]
    rasters = said["digest_parts"]["rasters"]
    assert set(rasters) == {name for name in EXPECTED if name.endswith(".tif")}
    assert all(pixel_digest(stable.folder / name) == value for name, value in rasters.items())


def test_the_manifest_lists_each_scene_with_its_archived_files(stable: Bundle) -> None:
    scenes = manifest(stable.folder)["scenes"]
    assert len(scenes) == 27
    assert all(len(scene["witnesses"]) >= 2 for scene in scenes)
    red = scenes[0]["assets"]["red"]
    assert sha256(stable.folder / red["file"]) == red["sha256"]


def test_the_plots_are_archived_byte_for_byte(stable: Bundle) -> None:
    given = Path("data/samples/projects/RO-STABLE-plots.csv")
    assert sha256(stable.folder / "inputs" / "plots.csv") == sha256(given)
    assert stable.document["parameters"]["plots_sha256"] == sha256(given)


def test_the_stac_item_carries_multihash_checksums(stable: Bundle) -> None:
    item = pystac.Item.from_file(str(stable.folder / "item.json"))
    asset = item.assets["ndvi_start"]
    checksum = asset.extra_fields["file:checksum"]
    assert checksum == "1220" + sha256(stable.folder / "ndvi_start.tif")
    assert asset.extra_fields["file:size"] == (stable.folder / "ndvi_start.tif").stat().st_size
    assert item.properties["start_datetime"] == "2016-01-01T00:00:00Z"
    assert item.properties["proj:code"] == "EPSG:3035"
    assert {asset_.href for asset_ in item.assets.values()} == {
        f"./{name}" for name in EXPECTED - {"item.json", "manifest.json", "plan.json"}
    }


def test_the_rasters_are_integers_with_their_missing_value(stable: Bundle) -> None:
    kinds = {}
    for path in sorted(stable.folder.glob("*.tif")):
        with rasterio.open(path) as raster:
            kinds[path.name] = (raster.dtypes[0], raster.nodata, raster.count)
    assert kinds == {
        "looks.tif": ("uint16", None, 3),
        "loss_year.tif": ("uint16", 0.0, 1),
        "ndvi_end.tif": ("int16", -32768.0, 1),
        "ndvi_series.tif": ("int16", -32768.0, 27),
        "ndvi_start.tif": ("int16", -32768.0, 1),
    }


def test_each_band_of_the_series_is_named_by_its_date(stable: Bundle) -> None:
    with rasterio.open(stable.folder / "ndvi_series.tif") as raster:
        names = raster.descriptions
    used = stable.document["observations"]["scenes_used"]
    assert list(names) == [f"{scene['date']} {scene['item_id']}" for scene in used]


def test_the_time_series_table_is_the_series_raster_over_the_area(stable: Bundle) -> None:
    """A second way: plain pixel centres against exact fractions, equal to 0.01."""
    with (stable.folder / "timeseries.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["item_id", "date", "clear_share", "ndvi_mean", "ndvi_median"]
    with rasterio.open(stable.folder / "ndvi_series.tif") as raster:
        series = raster.read()
    known = [row for row in rows if row["clear_share"] == "1.000000"]
    assert known
    for row in known:
        band = series[rows.index(row)][6:48, 6:18].astype(float)
        assert float(row["ndvi_median"]) == pytest.approx(np.median(band) / 10_000, abs=0.02)


def test_a_date_without_a_clear_pixel_has_empty_values_and_not_zero() -> None:
    rows = [
        SeriesRow("A", date(2016, 6, 6), 0.0, None, None),
        SeriesRow("B", date(2016, 6, 16), 0.5, 0.123456789, 0.1234),
    ]
    assert timeseries_csv(rows).splitlines() == [
        "item_id,date,clear_share,ndvi_mean,ndvi_median",
        "A,2016-06-06,0.000000,,",
        "B,2016-06-16,0.500000,0.123457,0.1234",
    ]


def test_a_second_run_into_the_same_folder_changes_no_byte(
    copy: Path, request_for: Callable[..., EstimateRequest]
) -> None:
    before = {p: sha256(p) for p in copy.rglob("*") if p.is_file()}
    run_estimate(request_for(), copy, progress=quiet)
    assert {p: sha256(p) for p in copy.rglob("*") if p.is_file()} == before


def test_a_bundle_that_stopped_half_way_is_taken_up_again(
    copy: Path, request_for: Callable[..., EstimateRequest], stable: Bundle
) -> None:
    for name in ("manifest.json", "item.json", "estimate.json", "map.png", "ndvi_end.tif"):
        (copy / name).unlink()
    victim = sorted((copy / "inputs").glob("*/B04.tif"))[3]
    kept = sorted((copy / "inputs").glob("*/B04.tif"))[4]
    victim.write_bytes(victim.read_bytes()[:200])
    (copy / ".ndvi_end.tif.1.part").write_bytes(b"cut off")
    stamp = kept.stat().st_mtime_ns
    document = run_estimate(request_for(), copy, progress=quiet)
    assert document["digest"] == stable.document["digest"]
    assert kept.stat().st_mtime_ns == stamp
    assert {p.name for p in copy.iterdir() if not p.name.startswith(".")} == {*EXPECTED, "inputs"}


def test_a_folder_with_another_estimate_is_not_written_over(
    copy: Path, request_for: Callable[..., EstimateRequest]
) -> None:
    before = sha256(copy / "manifest.json")
    with pytest.raises(BadInput, match="holds the evidence of another estimate"):
        run_estimate(request_for(end="2017-12-31"), copy, progress=quiet)
    assert sha256(copy / "manifest.json") == before


def test_a_plan_survives_json_and_another_folder(
    tmp_path: Path, request_for: Callable[..., EstimateRequest], stable: Bundle
) -> None:
    plan = json.loads(json.dumps(plan_estimate(request_for()), sort_keys=True))
    archive_inputs(plan, tmp_path / "archived", progress=quiet)
    shutil.copytree(tmp_path / "archived", tmp_path / "finished")
    document = finish_estimate(plan, tmp_path / "finished", progress=quiet)
    assert document["digest"] == stable.document["digest"]


def test_pictures_are_the_same_bytes_each_time(stable: Bundle, copy: Path) -> None:
    assert sha256(copy / "map.png") == sha256(stable.folder / "map.png")
    assert (stable.folder / "map.png").stat().st_size > 20_000
    assert b"matplotlib" not in (stable.folder / "timeseries.png").read_bytes()[:2000].lower()


def test_the_same_question_to_another_catalog_is_another_estimate(
    copy: Path, tmp_path: Path
) -> None:
    other = shutil.copytree("data/samples/catalog", tmp_path / "other", symlinks=True)
    plan = json.loads((copy / "plan.json").read_text())
    moved = plan | {"imagery": plan["imagery"] | {"catalog": str(other / "catalog.json")}}
    assert plan_essence(plan) != plan_essence(moved)
    with pytest.raises(BadInput, match="holds the evidence of another estimate"):
        archive_inputs(moved, copy, progress=quiet)
    absolute = str(Path(plan["imagery"]["catalog"]).absolute())
    same = plan | {"imagery": plan["imagery"] | {"catalog": absolute}}
    assert plan_essence(plan) == plan_essence(same)


def test_a_folder_with_other_files_is_not_written_into(copy: Path, tmp_path: Path) -> None:
    plan = json.loads((copy / "plan.json").read_text())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(BadInput, match=r"holds files and no plan\.json"):
        archive_inputs(plan, tmp_path / "mine", progress=quiet)


def test_what_others_put_there_does_not_join_the_manifest(
    copy: Path, request_for: Callable[..., EstimateRequest]
) -> None:
    before = sha256(copy / "manifest.json")
    (copy / "letter.txt").write_text("dear")
    (copy / "inputs" / "letter.txt").write_text("dear")
    run_estimate(request_for(), copy, progress=quiet)
    assert sha256(copy / "manifest.json") == before
