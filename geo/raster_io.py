"""Raster files in and out; the only place that opens one. Knows no scenes and no sensors.

Imports errors, grid, numpy, rasterio, odc.geo.
Order: values and errors, reading, writing, checksums.
Only GeoTIFF is opened, whatever a file is called: other drivers follow references to elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.windows import Window

from geo.errors import GeoError, SourceUnavailable
from geo.grid import crs_text, span_over

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

BLOCK_SIZE = 256
MAX_WINDOW_PIXELS = 400_000_000
"""A window larger than this (20,000 x 20,000) is not read into memory; our choice."""

_MAX_DN_BYTES = 2

_GDAL_OPTIONS: Mapping[str, Any] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no side files: they could change the values
    "GDAL_HTTP_TIMEOUT": 30,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_NUM_THREADS": 1,
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/",  # a file corrected on its server is read anew
}
_REMOTE = re.compile("https?://", re.IGNORECASE)
_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9_+.-]*:")
"""`file:`, `zip+file:`, `s3:`, and GDAL's own, as `GTIFF_DIR:`; a path has none."""
_GONE = ("404", "403", "410", "No such file", "does not exist")


class UnreadableRaster(GeoError):
    """{path} {reason}."""

    @property
    def clause(self) -> str:
        """The message without its full stop, for a list of reasons."""
        return f"{self.fields['path']} {self.fields['reason']}"


@dataclass(frozen=True)
class RasterHeader:
    """What a file says about itself."""

    geobox: GeoBox
    dtype: str
    nodata: float | None
    count: int
    tags: Mapping[str, str]


@dataclass(frozen=True)
class RasterPart:
    """A window of one band, as stored."""

    values: NDArray[Any]
    geobox: GeoBox
    dtype: str


def read_header(href: str) -> RasterHeader:
    """Read grid, type and nodata of a GeoTIFF.

    Raises
    ------
    UnreadableRaster
        Missing, not a GeoTIFF, truncated in its header, or without a CRS.
    SourceUnavailable
        A remote file whose server did not answer; not the file's fault.
    """
    with _opened(href) as dataset:
        if dataset.crs is None:
            raise UnreadableRaster(path=_name(href), reason="has no coordinate reference system")
        return RasterHeader(
            geobox=GeoBox(dataset.shape, dataset.transform, dataset.crs),
            dtype=str(dataset.dtypes[0]),
            nodata=dataset.nodata,
            count=dataset.count,
            tags=dict(dataset.tags()),
        )


def read_window(
    href: str, *, rows: tuple[int, int], columns: tuple[int, int], band: int = 1
) -> NDArray[Any]:
    """Read a window of one band; rows and columns are [first, past-last) inside the file.

    Returns
    -------
    The digital numbers as stored, shape (rows, columns); nothing scaled, nothing masked.

    Raises
    ------
    UnreadableRaster, SourceUnavailable
        As `read_header`; also where blocks are missing or damaged.
    """
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    if height * width > MAX_WINDOW_PIXELS:
        raise UnreadableRaster(
            path=_name(href), reason=f"would need a window of {height} x {width} pixels"
        )
    with _opened(href) as dataset:
        inside = 0 <= rows[0] < rows[1] <= dataset.height
        if not (inside and 0 <= columns[0] < columns[1] <= dataset.width):
            reason = f"has {dataset.height} x {dataset.width} pixels, not rows {rows} x {columns}"
            raise UnreadableRaster(path=_name(href), reason=reason)
        if not 1 <= band <= dataset.count:
            raise UnreadableRaster(path=_name(href), reason=f"has no band {band}")
        window = Window(columns[0], rows[0], width, height)
        values: NDArray[Any] = dataset.read(band, window=window)
        return values


def read_over(href: str, target: GeoBox, *, band: int = 1) -> RasterPart | None:
    """Read the part of one band that covers a target grid, on the file's own grid.

    Returns
    -------
    The digital numbers as stored and the grid of that part; None where the file does not reach
    the target.

    Raises
    ------
    UnreadableRaster, SourceUnavailable
        As `read_header`; also where blocks are damaged or it does not hold 8 or 16 bit integers.
    """
    with _opened(href) as dataset:
        dtype = np.dtype(dataset.dtypes[0])
        if dataset.crs is None:
            raise UnreadableRaster(path=_name(href), reason="has no coordinate reference system")
        if dtype.kind not in "iu" or dtype.itemsize > _MAX_DN_BYTES:
            reason = f"holds {dtype.name}, not digital numbers of 8 or 16 bits"
            raise UnreadableRaster(path=_name(href), reason=reason)
        if not 1 <= band <= dataset.count:
            raise UnreadableRaster(path=_name(href), reason=f"has no band {band}")
        whole = GeoBox(dataset.shape, dataset.transform, dataset.crs)
        span = span_over(whole, target)
        if span is None:
            return None
        (top, bottom), (left, right) = span.rows, span.columns
        if (bottom - top) * (right - left) > MAX_WINDOW_PIXELS:
            raise UnreadableRaster(path=_name(href), reason="would need too large a window")
        values = dataset.read(band, window=Window(left, top, right - left, bottom - top))
        return RasterPart(values=values, geobox=whole[top:bottom, left:right], dtype=dtype.name)


def read_bands(path: str | Path) -> NDArray[Any]:
    """Read every band of a file, shape (band, y, x), as stored."""
    with _opened(str(path)) as dataset:
        values: NDArray[Any] = dataset.read()
        return values


@contextmanager
def _opened(href: str) -> Iterator[Any]:
    """Open as GeoTIFF; every fault of the file becomes one of ours."""
    remote = bool(_REMOTE.match(href))
    if not remote and (href.startswith("/vsi") or _SCHEME.match(href)):
        raise UnreadableRaster(path=href, reason="is neither a file path nor an http(s) address")
    try:
        with (
            rasterio.Env(**_GDAL_OPTIONS),
            _quietly(f"/vsicurl/{href}" if remote else href) as dataset,
        ):
            yield dataset
    except (RasterioError, OSError) as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        if remote and isinstance(error, RasterioIOError) and not _is_gone(reason):
            raise SourceUnavailable(path=href, reason=reason) from error
        raise UnreadableRaster(path=_name(href), reason=f"cannot be read ({reason})") from error


def _quietly(name: str) -> Any:
    """Open without the library's warning of a missing CRS: every reader here looks for one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(name, driver="GTiff")


def _is_gone(reason: str) -> bool:
    return any(word in reason for word in _GONE) or "not recognized" in reason


def _name(href: str) -> str:
    return href if href.startswith("http") else "/".join(href.split("/")[-2:])


def write_cog(
    path: str | Path,
    values: NDArray[Any],
    *,
    geobox: GeoBox,
    nodata: float | None,
    band_names: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Write a cloud-optimised GeoTIFF, whole or not at all.

    Parameters
    ----------
    values
        Shape (y, x) or (band, y, x), an integer or float type that GeoTIFF has.
    geobox
        Grid of the values; its shape must be (y, x).
    nodata
        Missing value, or None where every value is one.
    band_names
        One description per band, or none.

    Returns
    -------
    The path. DEFLATE, horizontal predictor, blocks of 256, no overviews (a reduced picture of
    class codes or of int16 indices would invent values).
    """
    target = Path(path)
    bands = values[np.newaxis] if values.ndim == 2 else values  # noqa: PLR2004  # (y, x)
    if bands.shape[1:] != tuple(geobox.shape):
        raise ValueError(f"values {values.shape} do not lie on a grid of {tuple(geobox.shape)}")  # noqa: TRY003, EM102  # a programming fault
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    profile = {
        "driver": "COG",
        "dtype": bands.dtype.name,
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "crs": crs_text(geobox),
        "transform": geobox.transform,
        "nodata": nodata,
        "compress": "DEFLATE",
        "predictor": "YES",
        "blocksize": BLOCK_SIZE,
        "overviews": "NONE",
        "bigtiff": "IF_SAFER",
    }
    try:
        with rasterio.Env(**_GDAL_OPTIONS), rasterio.open(part, "w", **profile) as dataset:
            dataset.write(bands)
            dataset.update_tags(**(tags or {}))
            for number, name in enumerate(band_names, start=1):
                dataset.set_band_description(number, name)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def sha256_file(path: str | Path) -> str:
    """Give the SHA-256 of a file's bytes, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pixel_digest(path: str | Path) -> str:
    """Give the SHA-256 of what a raster means: pixels, transform, CRS, nodata and type.

    The bytes of the file (compression, tags, block order) do not enter.
    """
    with _opened(str(path)) as dataset:
        values = dataset.read()
        if dataset.crs is None:
            reason = "has no coordinate reference system"
            raise UnreadableRaster(path=_name(str(path)), reason=reason)
        geobox = GeoBox(dataset.shape, dataset.transform, dataset.crs)
        return array_digest(values, geobox=geobox, nodata=dataset.nodata)


def nodata_within(nodata: int | None, dtype: np.dtype[Any]) -> int | None:
    """Give the missing value where the type can hold it: no pixel is one that it cannot hold."""
    limits = np.iinfo(dtype)
    return nodata if nodata is not None and limits.min <= nodata <= limits.max else None


def array_digest(values: NDArray[Any], *, geobox: GeoBox, nodata: float | None) -> str:
    """Give the digest that `pixel_digest` gives for the same raster written to a file."""
    bands = values[np.newaxis] if values.ndim == 2 else values  # noqa: PLR2004  # (y, x)
    header = {
        "crs": crs_text(geobox),
        "dtype": bands.dtype.name,
        "nodata": None if nodata is None else float(nodata),
        "shape": list(bands.shape),
        "transform": [float(number) for number in geobox.transform[:6]],
    }
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)
    little = np.ascontiguousarray(bands, dtype=bands.dtype.newbyteorder("<"))
    digest = hashlib.sha256(text.encode())
    digest.update(little.data)
    return digest.hexdigest()
