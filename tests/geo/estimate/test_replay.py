"""Replay: what agrees is said to agree, and whatever was changed is named."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from geo.errors import BadInput
from geo.evidence import REPLAY_SENTENCE, bundle_files
from geo.raster_io import pixel_digest, sha256_file
from geo.replay import Replay, replay
from tests.geo.serving import files_of, served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.geo.estimate.conftest import Bundle

CATALOG = "data/samples/catalog/catalog.json"


def change_pixel(path: Path, *, row: int = 5, column: int = 7, add: int = 1) -> None:
    """Add to one pixel of the first band, in place."""
    with rasterio.open(path) as raster:
        values, profile = raster.read(), raster.profile
        names, tags = raster.descriptions, raster.tags()
    values[0, row, column] += add
    profile.update(driver="GTiff")
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(values)
        raster.update_tags(**tags)
        for number, name in enumerate(names, start=1):
            raster.set_band_description(number, name or "")


def change_json(path: Path, edit: Callable[[Any], None]) -> None:
    said = json.loads(path.read_text(encoding="utf-8"))
    edit(said)
    path.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def cover_up(folder: Path) -> None:
    """Write the checksums of the changed files into the manifest, as a forger would."""

    def edit(said: Any) -> None:
        said["files"] = {
            name: {"sha256": sha256_file(folder / name), "bytes": (folder / name).stat().st_size}
            for name in bundle_files(folder)
        }

    change_json(folder / "manifest.json", edit)


def told(found: Replay) -> str:
    return "\n".join(found.differences)


def test_an_untouched_bundle_is_identical_within_seconds(brief: Bundle) -> None:
    began = time.monotonic()
    found = replay(brief.folder)
    assert found.differences == ()
    assert found.identical
    assert found.source == "from-archive"
    assert found.digest == brief.document["digest"]
    assert found.sentence.endswith(REPLAY_SENTENCE)
    assert time.monotonic() - began < 20


def test_it_writes_nothing_into_the_bundle(brief: Bundle) -> None:
    before = {p: p.stat().st_mtime_ns for p in brief.folder.rglob("*")}
    replay(brief.folder)
    assert {p: p.stat().st_mtime_ns for p in brief.folder.rglob("*")} == before


@pytest.mark.parametrize("covered", [False, True], ids=["plain", "manifest forged too"])
def test_a_changed_output_pixel_is_named_with_both_values(
    brief_copy: Path,
    covered: bool,  # noqa: FBT001 (a table)
) -> None:
    with rasterio.open(brief_copy / "ndvi_end.tif") as raster:
        value = int(raster.read(1)[5, 7])
    change_pixel(brief_copy / "ndvi_end.tif")
    if covered:
        cover_up(brief_copy)
    found = replay(brief_copy)
    assert (
        f"ndvi_end.tif: 1 pixels differ, the first in band 1, row 5, column 7: {value + 1} stands "
        f"there, {value} should." in found.differences
    )
    named = "ndvi_end.tif: its bytes are not those of the manifest (SHA-256)."
    assert (named in found.differences) is not covered


def test_a_changed_input_pixel_is_named_and_so_is_what_follows_from_it(brief_copy: Path) -> None:
    victim = sorted((brief_copy / "inputs").glob("*/B08.tif"))[1]
    change_pixel(victim, row=20, column=10, add=900)
    found = replay(brief_copy)
    name = f"{victim.parent.name}/B08.tif"
    assert f"The pixels of {name} differ from those that were archived." in found.differences
    assert f"inputs/{name}: its bytes are not those of the manifest (SHA-256)." in found.differences
    assert "ndvi_series.tif: 1 pixels differ" in told(found)
    assert "$.digest" in told(found)


def test_an_input_changed_with_its_index_and_manifest_still_differs(brief_copy: Path) -> None:
    """A pixel outside the area, forged everywhere: only the digest can tell, and it does."""
    victim = sorted((brief_copy / "inputs").glob("*/SCL.tif"))[1]
    change_pixel(victim, row=0, column=0, add=1)

    def edit(said: Any) -> None:
        entry = said["files"][f"{victim.parent.name}/SCL.tif"]
        entry["sha256"] = sha256_file(victim)
        entry["pixels_sha256"] = pixel_digest(victim)

    change_json(brief_copy / "inputs" / "index.json", edit)
    cover_up(brief_copy)
    assert "estimate.json $.digest is" in told(replay(brief_copy))


@pytest.mark.parametrize("covered", [False, True], ids=["plain", "manifest forged too"])
def test_a_changed_number_is_named_by_its_path_with_both_numbers(
    brief_copy: Path,
    brief: Bundle,
    covered: bool,  # noqa: FBT001 (a table)
) -> None:
    right = brief.document["removals_tco2e"]["creditable"]

    def edit(said: Any) -> None:
        said["removals_tco2e"]["creditable"] = right + 1

    change_json(brief_copy / "estimate.json", edit)
    if covered:
        cover_up(brief_copy)
    wrong = json.dumps(right + 1)
    assert (
        f"estimate.json $.removals_tco2e.creditable is {wrong}, {json.dumps(right)} was computed."
        in replay(brief_copy).differences
    )


def test_a_finding_taken_away_is_named(brief_copy: Path) -> None:
    change_json(brief_copy / "estimate.json", lambda said: said["quality"].pop(0))
    assert "$.quality has" in told(replay(brief_copy))


def test_a_changed_plan_is_named_and_its_consequences_too(brief_copy: Path) -> None:
    def edit(said: Any) -> None:
        said["project"]["buffer_percent"] = 12

    change_json(brief_copy / "plan.json", edit)
    text = told(replay(brief_copy))
    assert "plan.json: its bytes are not those of the manifest" in text
    assert "$.removals_tco2e.buffer is" in text


def test_a_changed_plot_is_named_and_its_consequences_too(brief_copy: Path) -> None:
    path = brief_copy / "inputs" / "plots.csv"
    path.write_text(path.read_text().replace(",195.7,", ",205.7,"), encoding="utf-8")
    text = told(replay(brief_copy))
    assert "inputs/plots.csv: its bytes" in text
    assert "$.agb_t_per_ha.end.mean is" in text


def test_a_changed_line_of_the_table_is_named(brief_copy: Path) -> None:
    path = brief_copy / "timeseries.csv"
    path.write_text(path.read_text().replace("1.000000", "0.900000", 1), encoding="utf-8")
    assert "timeseries.csv line" in told(replay(brief_copy))


def test_missing_and_added_files_are_named(brief_copy: Path) -> None:
    (brief_copy / "map.png").unlink()
    (brief_copy / "extra.txt").write_text("x")
    text = told(replay(brief_copy))
    assert "map.png is missing." in text
    assert "extra.txt is not in the manifest." in text


@pytest.mark.parametrize("name", ["looks.tif", "inputs/{scene}/B04.tif"])
def test_a_truncated_raster_is_named_and_does_not_break_the_replay(
    brief_copy: Path, name: str
) -> None:
    scene = min((brief_copy / "inputs").glob("S2*")).name
    path = brief_copy / name.format(scene=scene)
    path.write_bytes(path.read_bytes()[:300])
    assert path.name in told(replay(brief_copy))


def test_with_the_catalog_every_pixel_is_fetched_anew(brief: Bundle) -> None:
    found = replay(brief.folder, catalog=CATALOG)
    assert (found.source, found.differences) == ("re-fetched", ())
    assert "fetched anew" in found.sentence


def test_with_the_catalog_a_forged_input_is_named_to_the_pixel(brief_copy: Path) -> None:
    victim = sorted((brief_copy / "inputs").glob("*/B08.tif"))[1]
    change_pixel(victim, row=20, column=10, add=900)
    text = told(replay(brief_copy, catalog=CATALOG))
    assert f"inputs/{victim.parent.name}/B08.tif: 1 pixels differ, the first in band 1" in text
    assert "row 20, column 10" in text


def test_a_source_that_is_gone_is_said_and_the_archive_speaks(
    brief: Bundle, tmp_path: Path
) -> None:
    emptied = tmp_path / "catalog.json"
    emptied.write_text(json.dumps({"type": "Catalog", "id": "emptied", "links": []}))
    found = replay(brief.folder, catalog=str(emptied))
    assert (found.source, found.differences) == ("source-gone", ())
    assert len(found.notes) == 15
    assert "no longer has all pixels" in found.sentence


@pytest.mark.parametrize("name", ["manifest.json", "plan.json", "estimate.json"])
def test_a_folder_that_is_no_bundle_is_bad_input(brief_copy: Path, name: str) -> None:
    (brief_copy / name).write_text("{", encoding="utf-8")
    with pytest.raises(BadInput, match="evidence"):
        replay(brief_copy)


def test_a_catalog_that_is_not_there_is_bad_input(brief: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere\.json: cannot be read"):
        replay(brief.folder, catalog=str(tmp_path / "nowhere.json"))
    with served(files_of(tmp_path)) as address, pytest.raises(BadInput, match="404"):
        replay(brief.folder, catalog=f"{address}/catalog.json")


def test_a_silent_server_is_a_source_that_is_gone(brief: Bundle, tmp_path: Path) -> None:
    with served(files_of(tmp_path, failing="catalog")) as address:
        found = replay(brief.folder, catalog=f"{address}/catalog.json")
    assert (found.source, found.differences) == ("source-gone", ())


MANIFEST_EDITS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "seed": (lambda said: said["parameters"].update(seed=7), "$.parameters.seed is 7, 0"),
    "parts": (lambda said: said["digest_parts"].update(inputs="0"), "$.digest_parts.inputs is"),
    "bytes": (lambda said: said["files"]["map.png"].update(bytes=1), "manifest.json states 1."),
    "witnesses": (lambda said: said["scenes"][0]["witnesses"].pop(), "$.scenes[0].witnesses"),
    "pixels": (
        lambda said: said["scenes"][2]["assets"]["red"].update(pixels_sha256="0"),
        "$.scenes[2].assets.red.pixels_sha256 is",
    ),
    "sentence": (lambda said: said.update(replay="It is right."), "$.replay is"),
}


@pytest.mark.parametrize("name", MANIFEST_EDITS)
def test_whatever_is_changed_in_the_manifest_is_named(brief_copy: Path, name: str) -> None:
    edit, words = MANIFEST_EDITS[name]
    change_json(brief_copy / "manifest.json", edit)
    found = replay(brief_copy)
    assert len(found.differences) == 1
    assert words in told(found)


def test_other_versions_are_no_difference(brief_copy: Path) -> None:
    change_json(brief_copy / "manifest.json", lambda said: said["versions"].update(numpy="1"))
    assert replay(brief_copy).identical


BROKEN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "no files": ("manifest.json", lambda said: said.pop("files")),
    "no digest": ("manifest.json", lambda said: said.pop("digest")),
    "files a list": ("manifest.json", lambda said: said.update(files=[])),
    "a file a text": ("manifest.json", lambda said: said["files"].update({"map.png": "x"})),
    "a checksum a number": (
        "manifest.json",
        lambda said: said["files"].update({"map.png": {"sha256": 1, "bytes": 1}}),
    ),
    "index without files": ("inputs/index.json", lambda said: said.update(files=[])),
    "an entry a text": (
        "inputs/index.json",
        lambda said: said["files"].update(dict.fromkeys(said["files"], "x")),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_list_is_bad_input(brief_copy: Path, name: str) -> None:
    file, edit = BROKEN[name]
    change_json(brief_copy / file, edit)
    with pytest.raises(BadInput):
        replay(brief_copy)


PLAN_EDITS: dict[str, Callable[[Any], Any]] = {
    "a boundary of type Foo": lambda said: said["boundary"]["geometry"].update(type="Foo"),
    "a boundary that is none": lambda said: said.update(boundary=None),
    "a grid elsewhere": lambda said: said["imagery"]["grid"].update(crs="EPSG:0"),
    "no scenes": lambda said: said["imagery"].update(scenes={}),
    "a transform of one number": lambda said: said["imagery"]["grid"].update(transform=[0]),
}


@pytest.mark.parametrize("name", PLAN_EDITS)
def test_a_broken_plan_is_said_to_be_one(brief_copy: Path, name: str) -> None:
    change_json(brief_copy / "plan.json", PLAN_EDITS[name])
    assert "The estimate cannot be recomputed: " in told(replay(brief_copy))


def test_a_truncated_raster_prints_no_warning(
    brief_copy: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = brief_copy / "looks.tif"
    for length in (600, 400, 300):
        path.write_bytes(path.read_bytes()[:length])
        replay(brief_copy)
    assert not [w for w in recwarn if issubclass(w.category, NotGeoreferencedWarning)]


def test_an_empty_folder_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no readable"):
        replay(tmp_path)


def test_change_pixel_really_changes_one_pixel(brief_copy: Path) -> None:
    path = brief_copy / "ndvi_end.tif"
    with rasterio.open(path) as raster:
        before = raster.read()
    change_pixel(path)
    with rasterio.open(path) as raster:
        assert np.count_nonzero(raster.read() != before) == 1
