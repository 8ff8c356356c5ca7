"""Recompute an estimate from its evidence and name whatever differs.

    found = replay("evidence/RO-STABLE")            # from the archived pixels
    found = replay("evidence/RO-STABLE", catalog="https://...")   # fetched anew
    found.source        # "from-archive", "re-fetched" or "source-gone"
    found.differences   # one sentence each, empty where everything agrees

Needs no database and no network (but for `catalog`). It runs the very functions that made the
estimate. Imports estimate, evidence, load, raster_io. Order: the answer, replaying, fetching
anew, comparing.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from shapely.errors import ShapelyError

from geo.digest import differences
from geo.document import UNDIGESTED
from geo.errors import BadInput, GeoError, SourceUnavailable
from geo.estimate import recompute, whole_manifest
from geo.evidence import (
    ESTIMATE,
    INPUTS,
    MANIFEST,
    PLAN,
    REPLAY_SENTENCE,
    TIMESERIES,
    check_files,
    read_manifest,
)
from geo.load import archive, read_index, verify_inputs
from geo.measure import input_roles
from geo.planning import ScenePlan
from geo.raster_io import UnreadableRaster, read_bands, read_header
from geo.stac import folder_of, open_catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Source = Literal["from-archive", "re-fetched", "source-gone"]

_SAID: dict[Source, str] = {
    "from-archive": "Recomputed from the archived pixels.",
    "re-fetched": "Recomputed from pixels fetched anew from the source.",
    "source-gone": "The source no longer has all pixels; recomputed from the archived ones.",
}


_BROKEN = (
    GeoError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    ShapelyError,
)
"""What a changed plan or index may raise, here and in the libraries that are given its values."""


@dataclass(frozen=True)
class Replay:
    """What a replay found."""

    source: Source
    differences: tuple[str, ...]
    """One sentence for each; empty where everything agrees."""
    digest: str | None
    """Digest that was computed; None where it could not be."""
    notes: tuple[str, ...] = ()
    """What is worth knowing and no difference: which sources are gone."""

    @property
    def identical(self) -> bool:
        """Whether the stated numbers and pixels are those that were computed."""
        return not self.differences

    @property
    def sentence(self) -> str:
        """Say what was recomputed from what, and what that shows."""
        return f"{_SAID[self.source]} {REPLAY_SENTENCE}"


def replay(
    bundle_dir: Path | str,
    *,
    catalog: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Replay:
    """Recompute a bundle.

    Parameters
    ----------
    bundle_dir
        What `amanar estimate --out` wrote.
    catalog
        Path or address of the source; None recomputes from the archived pixels. With it every
        pixel is fetched anew and compared with the archive; where the source does not answer or
        lacks a scene, the archive is used and `source-gone` is said.

    Returns
    -------
    Every difference: files whose SHA-256 is not the manifest's, rasters with the first pixel
    that differs and both values, numbers of the document by their JSON path.

    Raises
    ------
    BadInput
        Where the folder is no complete bundle, or no catalog is where `catalog` says.
    """
    folder = Path(bundle_dir)
    manifest = read_manifest(folder)
    told = check_files(folder, manifest)
    plan, stated = _read(folder / PLAN), _read(folder / ESTIMATE)
    index = read_index(folder / INPUTS)["files"]
    told += verify_inputs(folder / INPUTS)
    progress(f"{len(manifest['files'])} files checked")
    with tempfile.TemporaryDirectory(prefix="amanar-replay-") as scratch:
        source, inputs, gone = _inputs(plan, folder, Path(scratch), catalog, progress)
        if source == "re-fetched":
            told += _compare_inputs(folder / INPUTS, inputs)
        out = Path(scratch) / "out"
        try:
            made = recompute(plan, inputs, out_dir=out, progress=progress)
            right = whole_manifest(plan, folder, made=made, inputs=index)
        except _BROKEN as error:
            told.append(f"The estimate cannot be recomputed: {_reason(error)}")
            return Replay(source, tuple(told), None, gone)
        told += _compare_rasters(folder, out)
        told += _compare_tables(folder / TIMESERIES, out / TIMESERIES)
    told += _compare_documents(stated, made.document)
    if manifest["digest"] != made.digest["digest"]:
        told.append(
            f"manifest.json states the digest {manifest['digest']}, "
            f"{made.digest['digest']} was computed."
        )
    told += _compare_manifests(manifest, right)
    return Replay(source, tuple(told), made.digest["digest"], gone)


def _inputs(
    plan: Mapping[str, Any],
    folder: Path,
    scratch: Path,
    catalog: str | None,
    progress: Callable[[str], None],
) -> tuple[Source, Path, tuple[str, ...]]:
    """Give the folder of the pixels to recompute from, and which sources are gone."""
    archived = folder / INPUTS
    if catalog is None:
        return "from-archive", archived, ()
    imagery = _imagery(plan, folder)
    fetched = scratch / INPUTS
    known = {entry["item_id"] for entry in read_index(archived)["files"].values()}
    scenes = [scene for scene in imagery.scenes if scene.item_id in known]
    try:
        open_catalog(catalog)
        refused = archive(
            scenes,
            fetched,
            folder=folder_of(catalog),
            grid=imagery.grid,
            roles=input_roles(),
            progress=progress,
        )
    except SourceUnavailable as error:
        return "source-gone", archived, (str(error),)
    if refused:
        return "source-gone", archived, tuple(f"{r.item_id}: {r.reason}" for r in refused)
    if (archived / "plots.csv").exists():
        (fetched / "plots.csv").write_bytes((archived / "plots.csv").read_bytes())
    return "re-fetched", fetched, ()


def _compare_inputs(archived: Path, fetched: Path) -> Iterator[str]:
    """Compare what was fetched anew with the archive, pixel by pixel where they differ."""
    stated, found = read_index(archived)["files"], read_index(fetched)["files"]
    for name in sorted({*stated, *found}):
        if name not in found or name not in stated:
            where = "the source" if name not in found else "the archive"
            yield f"{INPUTS}/{name} is not in {where}."
        elif (told := _first_difference(archived / name, fetched / name)) is not None:
            yield f"{INPUTS}/{name}: {told}."


def _compare_rasters(folder: Path, out: Path) -> Iterator[str]:
    """Compare every raster that was made again with the one of the bundle."""
    made = {path.name for path in out.glob("*.tif")}
    stated = {path.name for path in folder.glob("*.tif")}
    for name in sorted(stated - made):
        yield f"{name} is in the bundle and was not computed."
    for name in sorted(made - stated):
        yield f"{name} was computed and is not in the bundle."
    for name in sorted(made & stated):
        told = _first_difference(folder / name, out / name)
        if told is not None:
            yield f"{name}: {told}."


def _first_difference(stated: Path, computed: Path) -> str | None:
    """Name the first place where two rasters differ; None where they mean the same."""
    try:
        left, right = read_header(str(stated)), read_header(str(computed))
        values, expected = read_bands(stated), read_bands(computed)
    except UnreadableRaster as error:
        return str(error).rstrip(".")
    for what in ("geobox", "dtype", "nodata"):
        if getattr(left, what) != getattr(right, what):
            return f"its {what} is {getattr(left, what)}, {getattr(right, what)} was computed"
    if values.shape != expected.shape:
        return f"it has {values.shape[0]} bands, {expected.shape[0]} were computed"
    places = np.argwhere(values != expected)
    if not len(places):
        return None
    band, row, column = (int(number) for number in places[0])
    return (
        f"{len(places)} pixels differ, the first in band {band + 1}, row {row}, column {column}: "
        f"{values[band, row, column]} stands there, {expected[band, row, column]} should"
    )


def _compare_tables(stated: Path, computed: Path) -> Iterator[str]:
    left, right = (
        path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        for path in (stated, computed)
    )
    if len(left) != len(right):
        yield f"{stated.name} has {len(left)} lines, {len(right)} were computed."
    for number, (line, expected) in enumerate(zip(left, right, strict=False), start=1):
        if line != expected:
            yield f"{stated.name} line {number} is {line!r}, {expected!r} was computed."
            return


def _compare_documents(stated: Mapping[str, Any], computed: Mapping[str, Any]) -> Iterator[str]:
    """Compare the documents but for where and by what they were made."""
    kept = [key for key in {*stated, *computed} if key not in UNDIGESTED or key == "digest"]
    left = {key: stated[key] for key in kept if key in stated}
    right = {key: computed[key] for key in kept if key in computed}
    for told in differences(left, right):
        yield f"{ESTIMATE} {told}."


def _compare_manifests(stated: Mapping[str, Any], computed: Mapping[str, Any]) -> Iterator[str]:
    """Compare the manifests but for the versions, and for files and digest, compared before."""
    apart = {"versions", "files", "digest"}
    left = {key: value for key, value in stated.items() if key not in apart}
    right = {key: value for key, value in computed.items() if key not in apart}
    for told in differences(left, right):
        yield f"{MANIFEST} {told}."


def _reason(error: Exception) -> str:
    """Say in a few words of what kind a fault is, where it is none of our sentences."""
    said = " ".join(str(error).split())[:200]
    return said if isinstance(error, GeoError) else f"{type(error).__name__}: {said}"


def _imagery(plan: Mapping[str, Any], folder: Path) -> ScenePlan:
    try:
        return ScenePlan.from_json(plan["imagery"])
    except _BROKEN as error:
        raise BadInput(
            what=f"evidence {folder / PLAN}",
            problem=f"names no imagery that can be read ({_reason(error)})",
            fix="Take an untouched copy of the bundle.",
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            what=f"evidence {path}",
            problem=f"cannot be read ({type(error).__name__})",
            fix="Take an untouched copy of the bundle.",
        ) from error
    if not isinstance(value, dict):
        raise BadInput(
            what=f"evidence {path}", problem="is no JSON object", fix="Take an untouched copy."
        )
    return value
