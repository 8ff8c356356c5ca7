"""Source pixels: archived once under `inputs/`, then read from there as lazy integer arrays.

Imports raster_io, grid, scenes, stamps; xarray, dask, rioxarray.
Order: archiving, the index, verifying, opening as a dataset, reading one block.
"""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import rioxarray  # noqa: F401  # gives datasets the accessor `.rio`
import xarray as xr

from geo.blocks import over_blocks
from geo.errors import BadInput
from geo.grid import chunk_plan, grid_from_json, grid_to_json, source_indices
from geo.raster_io import (
    UnreadableRaster,
    array_digest,
    nodata_within,
    pixel_digest,
    read_header,
    read_over,
    read_window,
    sha256_file,
    write_cog,
)
from geo.scenes import Refusal, Scene, SceneAsset
from geo.stamps import source_stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import dask.array as da
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from geo.stamps import Stamp

INDEX_NAME = "index.json"
INDEX_SCHEMA = "amanar.inputs/1"
_STAMPS = "stamps"
_ENTRY_TEXTS = ("item_id", "role", "source", "sha256", "pixels_sha256")

MISSING_DN = int(np.iinfo(np.int32).min)
"""Digital number of a pixel that was not measured, in int32 arrays; no sensor writes it."""

_INPUT_TAG = "AMANAR_INPUT"
_JOURNAL = ".index.jsonl"
"""What an unfinished run has archived, one scene a line; the index takes its place."""
_THREADS = 4

_Entry: TypeAlias = "tuple[dict[str, Any], Stamp | None]"
"""What the index says of an archived file, and the stamp of its source."""
_Archived: TypeAlias = "dict[str, _Entry]"


def archive(
    scenes: Sequence[Scene],
    inputs_dir: str | Path,
    *,
    folder: str,
    grid: GeoBox,
    roles: Sequence[str],
    progress: Callable[[str], None],
) -> tuple[Refusal, ...]:
    """Write the source pixels over a grid, one COG a scene and band, original DN.

    Parameters
    ----------
    scenes
        The scenes of a plan.
    folder
        The catalog's folder (`stac.folder_of`), against which the scenes' addresses are read.
    grid
        The measurement's grid; each file keeps its own grid, cut to what covers it.
    roles
        The roles to archive; a scene may lack some.

    Returns
    -------
    The scenes that could not be read, with the reason; they are also in the index, and
    `open_inputs` leaves them out. A file of an earlier run is kept while it is the one that was
    archived (SHA-256) and its source is the one that it was read from (`stamps`).

    Raises
    ------
    SourceUnavailable
        When a server did not answer: nothing is decided from that.
    """
    target = Path(inputs_dir)
    target.mkdir(parents=True, exist_ok=True)
    known = _known(target)

    def store(scene: Scene) -> _Archived | Refusal:
        try:
            return _archive_scene(scene, target, folder=folder, grid=grid, roles=roles, known=known)
        except UnreadableRaster as error:
            shutil.rmtree(target / scene.folder, ignore_errors=True)  # no half of a scene stays
            return Refusal(scene.item_id, error.clause, scene.observed_on)

    files: _Archived = {}
    refused: list[Refusal] = []
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        for number, (scene, outcome) in enumerate(zip(scenes, pool.map(store, scenes)), start=1):  # noqa: B905  # same source
            if isinstance(outcome, Refusal):
                refused.append(outcome)
                progress(f"scene {number} of {len(scenes)} refused: {outcome.reason}")
            else:
                files.update(outcome)
                _note(target, outcome)
                progress(f"scene {number} of {len(scenes)} archived: {scene.item_id}")
    _write_index(target, files, refused=refused, grid=grid)
    return tuple(refused)


def _archive_scene(
    scene: Scene,
    target: Path,
    *,
    folder: str,
    grid: GeoBox,
    roles: Sequence[str],
    known: _Archived,
) -> _Archived:
    entries = {}
    for asset in (asset for asset in scene.assets if asset.role in roles):
        name = f"{scene.folder}/{asset.file_name}"
        said, stamp = _archive_asset(
            asset, target / name, folder=folder, grid=grid, known=known.get(name)
        )
        about = {"item_id": scene.item_id, "role": asset.role, "source": asset.href}
        entries[name] = (said | about, stamp)
    return entries


def _archive_asset(
    asset: SceneAsset, path: Path, *, folder: str, grid: GeoBox, known: _Entry | None
) -> _Entry:
    place = json.dumps([asset.href, asset.band, grid_to_json(grid)])
    stamp = source_stamp(asset.address(folder))
    if known is not None and stamp in (None, known[1]):  # a silent source proves no change
        kept = _kept(path, place, sha256=known[0].get("sha256"))
        if kept is not None:
            return kept, known[1]
    part = read_over(asset.address(folder), grid, band=asset.band)
    if part is None:
        raise UnreadableRaster(path=asset.href, reason="does not reach the area")
    nodata, tags = nodata_within(asset.nodata, part.values.dtype), {_INPUT_TAG: place}
    write_cog(path, part.values, geobox=part.geobox, nodata=nodata, tags=tags)
    digest = array_digest(part.values, geobox=part.geobox, nodata=nodata)
    said = {"grid": grid_to_json(part.geobox), "pixels_sha256": digest}
    return {**said, "sha256": sha256_file(path)}, stamp


def _kept(path: Path, place: str, *, sha256: object) -> dict[str, Any] | None:
    """Describe the file of an earlier run, if it holds this very window, untouched."""
    if not path.is_file() or sha256_file(path) != sha256:
        return None
    try:
        header = read_header(str(path))
        if header.tags.get(_INPUT_TAG) != place:
            return None
        pixels = pixel_digest(path)
    except UnreadableRaster:
        return None
    return {"grid": grid_to_json(header.geobox), "pixels_sha256": pixels, "sha256": sha256}


def _known(target: Path) -> _Archived:
    """Give what earlier runs archived, complete or not; nothing where they say nothing usable."""
    known: _Archived = {}
    try:
        stamps = _read_stamps(target)
        known = {name: (e, stamps.get(name)) for name, e in read_index(target)["files"].items()}
    except (BadInput, OSError, ValueError, AttributeError):
        pass  # an index that cannot be read vouches for no file
    try:
        for line in (target / _JOURNAL).read_text(encoding="utf-8").splitlines():
            known.update({name: (said, stamp) for name, (said, stamp) in json.loads(line).items()})
    except (OSError, ValueError, TypeError, AttributeError):
        pass  # the last line of a killed run may be cut off
    return known


def _note(target: Path, archived: _Archived) -> None:
    with (target / _JOURNAL).open("a", encoding="utf-8") as journal:
        journal.write(json.dumps(archived) + "\n")


def _write_index(
    target: Path, files: _Archived, *, refused: Sequence[Refusal], grid: GeoBox
) -> None:
    index = {
        "schema": INDEX_SCHEMA,
        "grid": grid_to_json(grid),
        "files": {name: said for name, (said, _) in sorted(files.items())},
        _STAMPS: {name: stamp for name, (_, stamp) in sorted(files.items())},
        "refused": [entry.to_json() for entry in sorted(refused, key=lambda r: r.item_id)],
    }
    part = target / f".{INDEX_NAME}.{os.getpid()}.part"
    part.write_text(json.dumps(index, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(target / INDEX_NAME)
    (target / _JOURNAL).unlink(missing_ok=True)


def read_index(inputs_dir: str | Path) -> dict[str, Any]:
    """Read `inputs/index.json` but for the stamps, which say nothing of the pixels.

    Raises
    ------
    BadInput
        Where it is missing or not one.
    """
    path = Path(inputs_dir) / INDEX_NAME
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        index = {"schema": f"unreadable ({error})"}
    problem = _index_problem(index)
    if problem is not None:
        raise BadInput(
            what=f"{path}",
            problem=f"is not an index of archived inputs ({problem})",
            fix="Archive the inputs again.",
        )
    return {key: value for key, value in index.items() if key != _STAMPS}


def _index_problem(index: object) -> str | None:
    """Say why a value is no index; None where it is one."""
    schema = index.get("schema") if isinstance(index, dict) else type(index).__name__
    if not isinstance(index, dict) or schema != INDEX_SCHEMA:
        return f"schema {schema}"
    files, refused = index.get("files"), index.get("refused")
    if not isinstance(files, dict) or not isinstance(refused, list):
        return "its files or refused scenes are not listed"
    for name, entry in files.items():
        texts = [entry.get(key) for key in _ENTRY_TEXTS] if isinstance(entry, dict) else [None]
        if not all(isinstance(text, str) for text in texts):
            return f"what it says of {name} is incomplete"
    return None


def _read_stamps(inputs_dir: Path) -> dict[str, Any]:
    stamps = json.loads((inputs_dir / INDEX_NAME).read_text(encoding="utf-8")).get(_STAMPS)
    return stamps if isinstance(stamps, dict) else {}


def verify_inputs(inputs_dir: str | Path) -> tuple[str, ...]:
    """Compare every archived file with the index; give one sentence for each difference."""
    folder = Path(inputs_dir)
    differences = []
    for name, entry in read_index(folder)["files"].items():
        path = folder / name
        if not path.exists():
            differences.append(f"{name} is missing.")
            continue
        try:
            pixels = pixel_digest(path)
        except UnreadableRaster as error:
            differences.append(str(error))
            continue
        if pixels != entry["pixels_sha256"]:
            differences.append(f"The pixels of {name} differ from those that were archived.")
        elif sha256_file(path) != entry["sha256"]:
            differences.append(f"The bytes of {name} differ (its pixels are the same).")
    return tuple(differences)


@dataclass(frozen=True)
class _Source:
    """One archived file, ready to be read by any worker."""

    path: str
    grid: GeoBox
    nodata: int | None


def open_inputs(
    scenes: Sequence[Scene], inputs_dir: str | Path, *, grid: GeoBox, chunk: int | None = None
) -> xr.Dataset:
    """Open archived scenes as a lazy dataset on one grid.

    Parameters
    ----------
    scenes
        The scenes to open, oldest first; all must be in the archive's index.
    chunk
        Edge of a spatial chunk, pixels.

    Returns
    -------
    One int32 variable a role, dims (time, y, x), dask-backed, time in one chunk: digital numbers
    as archived, nodata and what no file covers already `MISSING_DN`. Coordinates: `time`
    (day), `item_id`, `y`, `x`, `spatial_ref`. Coarser bands are replicated, other grids
    are read by nearest neighbour of the pixel centre. Each role's attribute `present` says for
    each date whether the scene has the band.
    """
    if not scenes:
        raise BadInput(
            what="archived inputs", problem="no scene is left", fix="Widen the dates or the area."
        )
    files = read_index(inputs_dir)["files"]
    plan = chunk_plan(grid, chunk)
    roles = sorted({entry["role"] for entry in files.values()})
    variables = {}
    for role in roles:
        sources = [
            _source(scene, role, files=files, inputs_dir=Path(inputs_dir)) for scene in scenes
        ]
        if any(source is not None for source in sources):
            array = _lazy(tuple(sources), grid, plan=plan)
            present = [int(source is not None) for source in sources]
            variables[role] = (("time", "y", "x"), array, {"present": present})
    dataset = xr.Dataset(variables, coords=_coordinates(scenes))
    return with_grid(dataset, grid)


def _coordinates(scenes: Sequence[Scene]) -> dict[str, Any]:
    days = np.array([scene.observed_on.isoformat() for scene in scenes], dtype="datetime64[ns]")
    return {"time": days, "item_id": ("time", [scene.item_id for scene in scenes])}


def with_grid(dataset: xr.Dataset, grid: GeoBox) -> xr.Dataset:
    """Give a dataset with dims y, x the grid's CRS, transform and pixel-centre coordinates."""
    t = grid.transform
    rows, columns = grid.shape
    placed = dataset.assign_coords(
        y=t.f + (np.arange(rows) + 0.5) * t.e, x=t.c + (np.arange(columns) + 0.5) * t.a
    )
    spatial = placed.rio.set_spatial_dims("x", "y").rio.write_crs(str(grid.crs))
    result: xr.Dataset = spatial.rio.write_transform(t)
    return result


def _source(
    scene: Scene, role: str, *, files: Mapping[str, Any], inputs_dir: Path
) -> _Source | None:
    asset = scene.asset(role)
    entry = files.get(f"{scene.folder}/{asset.file_name}") if asset is not None else None
    if asset is None or entry is None:
        return None
    return _Source(
        path=str(inputs_dir.absolute() / scene.folder / asset.file_name),
        grid=grid_from_json(entry["grid"]),
        nodata=asset.nodata,
    )


def _lazy(
    sources: tuple[_Source | None, ...],
    grid: GeoBox,
    *,
    plan: tuple[tuple[int, ...], tuple[int, ...]],
) -> da.Array:
    chunks = ((len(sources),), *plan)
    return over_blocks(_read_block, dtype=np.int32, chunks=chunks, sources=sources, grid=grid)


def _read_block(
    *,
    sources: tuple[_Source | None, ...],
    grid: GeoBox,
    block_info: Mapping[Any, Any] | None = None,
) -> NDArray[np.int32]:
    """Read one spatial block of all dates; every pixel depends on its own place alone."""
    location = (block_info or {})[None]["array-location"]
    rows, columns = location[1], location[2]
    shape = (rows[1] - rows[0], columns[1] - columns[0])
    block = np.full((len(sources), *shape), MISSING_DN, dtype=np.int32)
    known: dict[GeoBox, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    for number, source in enumerate(sources):
        if source is None:
            continue
        if source.grid not in known:
            known[source.grid] = source_indices(source.grid, grid, rows=rows, columns=columns)
        at_row, at_column = known[source.grid]
        _fill(block[number], source, at_row=at_row, at_column=at_column)
    return block


def _fill(
    target: NDArray[np.int32],
    source: _Source,
    *,
    at_row: NDArray[np.int64],
    at_column: NDArray[np.int64],
) -> None:
    height, width = source.grid.shape
    inside = (at_row >= 0) & (at_row < height) & (at_column >= 0) & (at_column < width)
    if not inside.any():
        return
    inner_rows = np.broadcast_to(at_row, target.shape)[inside]
    inner_columns = np.broadcast_to(at_column, target.shape)[inside]
    top, left = int(inner_rows.min()), int(inner_columns.min())
    rows, columns = (top, int(inner_rows.max()) + 1), (left, int(inner_columns.max()) + 1)
    values = read_window(source.path, rows=rows, columns=columns)
    taken = values[inner_rows - top, inner_columns - left].astype(np.int32)
    if source.nodata is not None:
        taken[taken == source.nodata] = MISSING_DN
    target[inside] = taken
