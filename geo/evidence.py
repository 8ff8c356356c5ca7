"""The evidence bundle: everything a stranger needs to walk a number back to its pixels.

Imports survey, biomass_map, disturbance, document's digest, pictures, raster_io; pystac. Order:
names, rasters, tables and pictures, the STAC item, the manifest, checking files.

Every file is written whole or not at all, the manifest last: a bundle with a manifest is
complete, one without is taken up again where it stopped.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import json
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac
import rasterio
from pystac.extensions.file import FileExtension
from shapely.geometry import mapping

from geo import pictures
from geo.errors import BadInput
from geo.raster_io import pixel_digest, sha256_file, write_cog
from geo.types import AGB_NODATA, NDVI_NODATA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from geo.biomass_map import BiomassMap
    from geo.disturbance import LossReport
    from geo.measure import Measurement
    from geo.survey import SeriesRow, Survey
    from geo.types import Boundary, Period

EVIDENCE_SCHEMA = "amanar.evidence/1"

MANIFEST = "manifest.json"
ESTIMATE = "estimate.json"
PLAN = "plan.json"
ITEM = "item.json"
INPUTS = "inputs"
_INPUT_FILES = ("index.json", "boundary.geojson", "project.json", "plots.csv")
TIMESERIES = "timeseries.csv"
TIMESERIES_HEADER = ("item_id", "date", "clear_share", "ndvi_mean", "ndvi_median")
MAP_PICTURE = "map.png"
SERIES_PICTURE = "timeseries.png"
SERIES_RASTER = "ndvi_series.tif"

MAX_SERIES_BYTES = 50_000_000
"""A larger `ndvi_series.tif` (decoded) is left out, with a note in `quality`."""

REPLAY_SENTENCE = "Shows that the number was computed as stated, not that it is right."

_MULTIHASH_SHA256 = "1220"
"""Multihash prefix: function sha2-256, 32 bytes."""
_LIBRARIES = ("numpy", "scipy", "xarray", "dask", "rasterio", "odc-geo", "shapely", "pyproj")
_MEDIA = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".png": "image/png",
    ".csv": "text/csv",
    ".json": "application/json",
}
_TITLES = {
    "ndvi_start.tif": "NDVI of the first season, int16, 10,000 x NDVI",
    "ndvi_end.tif": "NDVI of the last season, int16, 10,000 x NDVI",
    "agb_start.tif": "Above-ground biomass of the first season, uint16, 10 x t/ha",
    "agb_end.tif": "Above-ground biomass of the last season, uint16, 10 x t/ha",
    "looks.tif": "Clear looks in each season, one band a season",
    "loss_year.tif": "Season in which vegetation was first lost, 0 where none",
    SERIES_RASTER: "NDVI at each date, clear pixels only, int16, 10,000 x NDVI",
    TIMESERIES: "NDVI of the area at each date, unit 1",
    MAP_PICTURE: "NDVI at both ends and its change",
    SERIES_PICTURE: "NDVI of the area through time",
    ESTIMATE: "The estimate (amanar.estimate/1)",
}


@dataclass(frozen=True)
class _Raster:
    values: NDArray[Any]
    nodata: int | None
    bands: tuple[str, ...] = ()


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write JSON as people read it: two blanks, keys in their order, no NaN."""
    write_whole(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def series_fits(measurement: Measurement) -> bool:
    """Whether the NDVI of every date is small enough to stay in the bundle."""
    return int(np.prod(measurement.series.shape)) * 2 <= MAX_SERIES_BYTES


def write_rasters(
    folder: Path,
    survey: Survey,
    *,
    biomass_map: BiomassMap | None,
    loss: LossReport,
    with_series: bool,
) -> dict[str, str]:
    """Write the published rasters and give the digest of the pixels of each, by name.

    Biomass is written only where there is a card. Rasters of an earlier, other try are removed.
    """
    rasters = _rasters(survey, biomass_map, loss)
    if with_series:
        names = tuple(f"{row.observed_on} {row.item_id}" for row in survey.rows)
        rasters[SERIES_RASTER] = _Raster(survey.series, NDVI_NODATA, names)
    for old in set(_TITLES) - set(rasters):
        if old.endswith(".tif"):
            (folder / old).unlink(missing_ok=True)
    digests = {}
    for name, raster in sorted(rasters.items()):
        path = write_cog(
            folder / name,
            raster.values,
            geobox=survey.grid,
            nodata=raster.nodata,
            band_names=raster.bands,
            tags={"AMANAR_TITLE": _TITLES[name]},
        )
        digests[name] = pixel_digest(path)
    return digests


def _rasters(
    survey: Survey, biomass_map: BiomassMap | None, loss: LossReport
) -> dict[str, _Raster]:
    first, last = survey.ends
    years = tuple(str(season.year) for season in survey.seasons)
    rasters = {
        "ndvi_start.tif": _Raster(first, NDVI_NODATA),
        "ndvi_end.tif": _Raster(last, NDVI_NODATA),
        "looks.tif": _Raster(survey.composites["looks"], None, years),
        "loss_year.tif": _Raster(loss.year_map, 0),
    }
    if biomass_map is not None:
        for end, predicted in zip(("start", "end"), biomass_map.predicted, strict=True):
            rasters[f"agb_{end}.tif"] = _Raster(predicted.agb, AGB_NODATA)
    return rasters


def timeseries_csv(rows: Sequence[SeriesRow]) -> str:
    """Write the time series as a table; NDVI in unit 1, empty where nothing is clear."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(TIMESERIES_HEADER)
    for row in rows:
        writer.writerow(
            (
                row.item_id,
                row.observed_on.isoformat(),
                f"{row.clear_share:.6f}",
                "" if row.ndvi_mean is None else f"{row.ndvi_mean:.6f}",
                "" if row.ndvi_median is None else f"{row.ndvi_median:.4f}",
            )
        )
    return out.getvalue()


def write_pictures(
    folder: Path, survey: Survey, *, boundary: Boundary, loss: LossReport, note: str
) -> None:
    """Draw map and time series, for people; no number is taken from them."""
    pictures.draw_map(
        folder / MAP_PICTURE,
        survey.ends,
        grid=survey.grid,
        boundary=boundary,
        seasons=(survey.seasons[0], survey.seasons[-1]),
        lost=loss.year_map > 0,
        note=note,
    )
    pictures.draw_series(
        folder / SERIES_PICTURE,
        survey.rows,
        seasons=survey.seasons,
        name=boundary.name,
        note=note,
    )


def write_item(
    folder: Path, files: Sequence[str], *, boundary: Boundary, period: Period, survey: Survey
) -> None:
    """Write a STAC item whose assets carry `file:checksum` (multihash, SHA-256) and size."""
    item = pystac.Item(
        id=f"{boundary.name}_{period.start}_{period.end}",
        geometry=mapping(boundary.geometry),
        bbox=list(boundary.geometry.bounds),
        datetime=None,
        start_datetime=datetime.combine(period.start, time.min, UTC),
        end_datetime=datetime.combine(period.end, time(23, 59, 59), UTC),
        properties={
            "title": f"Evidence for {boundary.name}, {period.start} to {period.end}",
            "proj:code": _crs_code(survey),
            "proj:shape": list(survey.grid.shape),
            "proj:transform": list(survey.grid.transform[:6]),
        },
        stac_extensions=[
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
        ],
    )
    for name in files:
        path = folder / name
        asset = pystac.Asset(
            href=f"./{name}",
            title=_TITLES.get(name),
            media_type=_MEDIA.get(path.suffix),
            roles=["overview" if path.suffix == ".png" else "data"],
        )
        item.add_asset(path.stem if path.suffix == ".tif" else name.replace(".", "_"), asset)
        FileExtension.ext(asset, add_if_missing=True).apply(
            checksum=_MULTIHASH_SHA256 + sha256_file(path), size=path.stat().st_size
        )
    write_json(folder / ITEM, item.to_dict(include_self_link=False))


def _crs_code(survey: Survey) -> str | None:
    crs = survey.grid.crs
    return f"EPSG:{crs.epsg}" if crs is not None and crs.epsg else None


def manifest_of(
    folder: Path,
    files: Sequence[str],
    *,
    digest: Mapping[str, Any],
    parameters: Mapping[str, Any],
    scenes: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Say what a bundle is made of and its files; whoever computes anew gets the same."""
    return {
        "schema": EVIDENCE_SCHEMA,
        "digest": digest["digest"],
        "digest_parts": digest["parts"],
        "parameters": dict(parameters),
        "scenes": [dict(scene) for scene in scenes],
        "files": {
            name: {
                "sha256": sha256_file(folder / name),
                "bytes": (folder / name).stat().st_size,
            }
            for name in files
        },
        "versions": versions(),
        "replay": REPLAY_SENTENCE,
    }


def written_files(folder: Path, inputs: Iterable[str]) -> list[str]:
    """Name the files of a bundle that we wrote, sorted: others that lie there are no evidence.

    Parameters
    ----------
    inputs
        Names of the archived rasters, as their index has them.
    """
    archived = (*inputs, *_INPUT_FILES)
    ours = {*_TITLES, PLAN, ITEM, *(f"{INPUTS}/{name}" for name in archived)}
    return [name for name in bundle_files(folder) if name in ours]


def bundle_files(folder: Path) -> list[str]:
    """Name the files of a bundle but for its manifest, relative, sorted."""
    found = (path for path in folder.rglob("*") if path.is_file())
    names = (path.relative_to(folder).as_posix() for path in found)
    return sorted(
        name
        for name in names
        if name != MANIFEST and not any(part.startswith(".") for part in name.split("/"))
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a bundle's manifest; raises `BadInput` where there is none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            what=f"evidence {folder}",
            problem=f"has no readable {MANIFEST} ({type(error).__name__})",
            fix="Give the folder that `amanar estimate --out` wrote; finish it if it stopped.",
        ) from error
    if not isinstance(manifest, dict) or manifest.get("schema") != EVIDENCE_SCHEMA:
        raise BadInput(
            what=f"evidence {folder}",
            problem=f"is no bundle of schema {EVIDENCE_SCHEMA}",
            fix="Give the folder that `amanar estimate --out` wrote.",
        )
    if not isinstance(manifest.get("digest"), str) or not _are_files(manifest.get("files")):
        raise BadInput(
            what=f"evidence {folder}",
            problem=f"has a {MANIFEST} without a digest or a list of files with their checksums",
            fix="Take an untouched copy of the bundle.",
        )
    return manifest


def _are_files(said: object) -> bool:
    return isinstance(said, dict) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("sha256"), str)
        and type(entry.get("bytes")) is int
        for entry in said.values()
    )


def check_files(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Compare every file with the manifest's SHA-256 and size; one sentence a difference."""
    stated: Mapping[str, Mapping[str, Any]] = manifest["files"]
    there = set(bundle_files(folder))
    told = [f"{name} is missing." for name in sorted(set(stated) - there)]
    told += [f"{name} is not in the manifest." for name in sorted(there - set(stated))]
    told += [
        f"{name}: its bytes are not those of the manifest (SHA-256)."
        for name in sorted(there & set(stated))
        if sha256_file(folder / name) != stated[name]["sha256"]
    ]
    for name in sorted(there & set(stated)):
        size, said = (folder / name).stat().st_size, stated[name]["bytes"]
        if size != said:
            told.append(f"{name} has {size} bytes, {MANIFEST} states {said}.")
    return told


def versions() -> dict[str, str]:
    """Name what the numbers were made with; never part of the digest."""
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {
        "amanar": _own_version(),
        "code_sha256": code_sha256(),
        "python": platform.python_version(),
        "gdal": rasterio.__gdal_version__,
        **found,
    }


def code_sha256() -> str:
    """Digest of geo's own source and of the tables it reads."""
    here = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for folder, pattern in (
        (here, "*.py"),
        (here.parent / "data" / "reference", "*.json"),
        (here.parent / "data" / "sensors", "*.json"),
    ):
        for path in sorted(folder.glob(pattern)):
            digest.update(f"{path.name}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _own_version() -> str:
    try:
        return importlib.metadata.version("amanar")
    except importlib.metadata.PackageNotFoundError:
        return "not installed as a package"
