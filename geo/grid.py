"""The pixel grid: which one, which window of it, in which chunks, how large a pixel really is.

Imports errors, numpy, pyproj, shapely, odc.geo; no files.
Order: choosing a grid, windows between grids, chunks, true pixel areas, polygons on it, JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj import Geod, Proj, Transformer

from geo.aoi import EDGE_STEP_DEGREES
from geo.errors import BadInput, GridMismatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

MARGIN_PIXELS = 4
"""Pixels kept around the area in every direction; our choice."""

CHUNK_PIXELS = 512
"""Edge of a spatial chunk where none is asked for; our choice."""

MAX_GRID_PIXELS = 100_000_000
"""An area of more pixels than this (100 Mpx, 1 Mha at 10 m) is refused; our choice."""

_ALIGNMENT = 1e-3
"""Two grids are one where their pixel corners agree to a thousandth of a pixel."""

_LATTICE = 64
"""Pixels between the points at which the projection's areal scale is computed."""

_UTM_SOUTH = -80.0
_UTM_NORTH = 84.0


def choose_grid(
    geometry: BaseGeometry, geoboxes: Sequence[GeoBox], *, margin: int = MARGIN_PIXELS
) -> GeoBox:
    """Choose the grid of a measurement.

    Parameters
    ----------
    geometry
        The area, WGS 84 longitude and latitude.
    geoboxes
        The grid of each scene's finest band, at least one.
    margin
        Pixels kept around the area.

    Returns
    -------
    The window over the area plus the margin, of the scenes' own grid where they share one;
    else of a grid in the local UTM zone, with the finest pixel of the scenes (whole metres),
    corners on multiples of the pixel.
    """
    first = geoboxes[0]
    if all(share_grid(first, other) for other in geoboxes[1:]) and is_upright(first):
        return _window_over(geometry, first, margin=margin)
    pixel_m = max(1.0, float(round(min(pixel_size_m(geobox) for geobox in geoboxes))))
    crs = local_utm(geometry)
    return _window_over(
        geometry, GeoBox((1, 1), Affine(pixel_m, 0, 0, 0, -pixel_m, 0), crs), margin=margin
    )


def share_grid(left: GeoBox, right: GeoBox) -> bool:
    """Whether two upright grids have the same CRS and pixels (their extents may differ)."""
    if left.crs != right.crs or not (is_upright(left) and is_upright(right)):
        return False
    a, b = left.transform, right.transform
    width = max(left.shape[1], right.shape[1], 1)
    if abs(a.a - b.a) * width > _ALIGNMENT * a.a or abs(a.e - b.e) * width > _ALIGNMENT * -a.e:
        return False
    return all(
        abs(shift - round(shift)) <= _ALIGNMENT for shift in ((b.c - a.c) / a.a, (b.f - a.f) / a.e)
    )


def is_upright(geobox: GeoBox) -> bool:
    """Whether rows run west to east and columns north to south."""
    t = geobox.transform
    return bool(t.b == 0 and t.d == 0 and t.a > 0 and t.e < 0)


def pixel_size_m(geobox: GeoBox) -> float:
    """Give the edge of the square with the area of the middle pixel, metres."""
    rows, columns = geobox.shape
    middle = geobox[rows // 2 : rows // 2 + 1, columns // 2 : columns // 2 + 1]
    ring = np.array(middle.extent.to_crs("EPSG:4326").exterior.coords)
    area, _ = Geod(ellps="WGS84").polygon_area_perimeter(ring[:, 0], ring[:, 1])
    return math.sqrt(abs(area))


def local_utm(geometry: BaseGeometry) -> CRS:
    """Give the UTM zone of the area's centre (WGS 84)."""
    centre = geometry.centroid
    if not _UTM_SOUTH <= centre.y <= _UTM_NORTH:
        raise BadInput(
            what="boundary",
            problem=f"lies at latitude {centre.y:.3f}, where there is no UTM zone",
            fix="Use imagery whose scenes share one polar grid.",
        )
    zone = min(int((centre.x + 180) // 6) + 1, 60)
    return CRS(f"EPSG:{(32600 if centre.y >= 0 else 32700) + zone}")


def _window_over(geometry: BaseGeometry, grid: GeoBox, *, margin: int) -> GeoBox:
    west, south, east, north = project(geometry, crs_of(grid)).bounds
    t = grid.transform
    left, right = math.floor((west - t.c) / t.a), math.ceil((east - t.c) / t.a)
    top, bottom = math.floor((north - t.f) / t.e), math.ceil((south - t.f) / t.e)
    left, top, right, bottom = left - margin, top - margin, right + margin, bottom + margin
    rows, columns = bottom - top, right - left
    if rows * columns > MAX_GRID_PIXELS:
        raise BadInput(
            what="boundary",
            problem=f"needs a grid of {rows} x {columns} pixels, more than {MAX_GRID_PIXELS}",
            fix="Split it into smaller areas.",
        )
    transform = Affine(t.a, 0.0, t.c + left * t.a, 0.0, t.e, t.f + top * t.e)
    return GeoBox((rows, columns), transform, grid.crs)


def project(geometry: BaseGeometry, crs: CRS) -> BaseGeometry:
    """Bring a WGS 84 geometry to a CRS; edges are straight in longitude and latitude."""
    if crs.epsg == 4326:  # noqa: PLR2004  # already there
        return geometry
    transformer = Transformer.from_crs("EPSG:4326", crs.to_wkt(), always_xy=True)
    fine = shapely.segmentize(geometry, EDGE_STEP_DEGREES)

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = transformer.transform(points[:, 0], points[:, 1])
        return np.column_stack([x, y])

    return shapely.transform(fine, move)


@dataclass(frozen=True)
class Span:
    """Rows and columns of a grid, [first, past-last)."""

    rows: tuple[int, int]
    columns: tuple[int, int]


def span_over(source: GeoBox, target: GeoBox, *, pad: int = 1) -> Span | None:
    """Give the part of the source grid that covers a target grid; None where they do not meet.

    Clipped to the source. The pad keeps the pixels that nearest neighbour may ask for.
    """
    box = target.extent
    if target.crs != source.crs:
        step = max(target.resolution.x * max(target.shape) / 64, abs(target.resolution.x))
        box = box.segmented(step).to_crs(crs_of(source))
    inverse = ~source.transform
    corners = [inverse * point for point in box.exterior.coords]
    columns, rows = [c for c, _ in corners], [r for _, r in corners]
    if not all(map(math.isfinite, [*columns, *rows])):
        return None
    top, bottom = _clip(min(rows), max(rows), pad=pad, size=source.shape[0])
    left, right = _clip(min(columns), max(columns), pad=pad, size=source.shape[1])
    return Span((top, bottom), (left, right)) if top < bottom and left < right else None


def _clip(low: float, high: float, *, pad: int, size: int) -> tuple[int, int]:
    first = math.floor(low + _ALIGNMENT) - pad
    last = math.ceil(high - _ALIGNMENT) + pad
    return max(first, 0), min(last, size)


def source_indices(
    source: GeoBox, target: GeoBox, *, rows: tuple[int, int], columns: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give, for each pixel of a block of the target, the source row and column of its centre.

    Nearest neighbour: the source pixel in which the centre lies. Every pixel depends on its own
    place alone, so the answer does not depend on how the target is cut into blocks. Indices may
    lie outside the source. Shapes are (rows, 1) and (1, columns) where both grids are upright
    in one CRS, else (rows, columns).
    """
    t = target.transform
    x = t.c + (np.arange(*columns) + 0.5) * t.a
    y = t.f + (np.arange(*rows) + 0.5) * t.e
    s = source.transform
    if source.crs == target.crs and is_upright(source):
        return _cell((y - s.f) / s.e)[:, np.newaxis], _cell((x - s.c) / s.a)[np.newaxis, :]
    grid_x, grid_y = np.meshgrid(x, y)
    if source.crs != target.crs:
        transformer = Transformer.from_crs(
            crs_of(target).to_wkt(), crs_of(source).to_wkt(), always_xy=True
        )
        grid_x, grid_y = transformer.transform(grid_x, grid_y)
    inverse = ~s
    return (
        _cell(inverse.d * grid_x + inverse.e * grid_y + inverse.f),
        _cell(inverse.a * grid_x + inverse.b * grid_y + inverse.c),
    )


def _cell(place: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Floor, with places a billionth of a pixel below an edge counted as on it."""
    outside = ~np.isfinite(place)
    return np.floor(np.where(outside, -2.0, place) + 1e-9).astype(np.int64)


def chunk_plan(grid: GeoBox, chunk: int | None = None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Give the spatial chunks, rows and columns; time is never cut.

    Parameters
    ----------
    chunk
        Edge in pixels, any number from 1; None takes 512.
    """
    edge = CHUNK_PIXELS if chunk is None else chunk
    if edge < 1:
        raise BadInput(what=f"chunk {edge}", problem="is below 1", fix="Give pixels, from 1 on.")
    rows, columns = grid.shape
    return _cut(rows, edge), _cut(columns, edge)


def _cut(size: int, edge: int) -> tuple[int, ...]:
    whole, rest = divmod(size, edge)
    return (edge,) * whole + ((rest,) if rest else ())


def pixel_areas_m2(grid: GeoBox) -> NDArray[np.float64]:
    """Give the true area of each pixel on its ellipsoid, square metres, shape (y, x).

    In degrees the area between two parallels is exact (closed form); in a projection it is the
    planar pixel divided by the areal scale at its centre (from PROJ on a lattice of 64 pixels,
    bilinear between: the error is of the order of 1e-9).
    """
    rows, columns = grid.shape
    t, crs = grid.transform, crs_of(grid)
    if crs.geographic:
        unit = math.radians(1.0) * abs(t.a)
        edges = np.radians(t.f + np.arange(rows + 1) * t.e)
        bands = np.abs(np.diff(_zone_areas(edges, crs))) * unit
        return np.repeat(bands[:, np.newaxis], columns, axis=1)
    unit_m = crs.proj.axis_info[0].unit_conversion_factor
    planar = abs(t.a * t.e - t.b * t.d) * unit_m**2
    return planar / _areal_scale(grid)


def _zone_areas(latitudes: NDArray[np.float64], crs: CRS) -> NDArray[np.float64]:
    """Area per radian of longitude between the equator and each latitude (radians).

    Closed form of Snyder 1987, Map Projections (USGS PP 1395), eq. 3-12: b^2/2 x q/(1-e^2)...
    """
    ellipsoid = crs.proj.get_geod()
    if ellipsoid is None:
        raise GridMismatch(left="grid", right="the earth", detail="its CRS has no ellipsoid")
    a, b = ellipsoid.a, ellipsoid.b
    e = math.sqrt(1 - (b / a) ** 2)
    sine = np.sin(latitudes)
    if e == 0:
        return a * a * sine
    return b * b / 2 * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e)


def _areal_scale(grid: GeoBox) -> NDArray[np.float64]:
    rows, columns = grid.shape
    at_rows, at_columns = _lattice(rows), _lattice(columns)
    t, crs = grid.transform, crs_of(grid)
    column_grid, row_grid = np.meshgrid(at_columns + 0.5, at_rows + 0.5)
    x = t.a * column_grid + t.b * row_grid + t.c
    y = t.d * column_grid + t.e * row_grid + t.f
    geodetic = Transformer.from_crs(crs.to_wkt(), crs.proj.geodetic_crs, always_xy=True)
    lon, lat = geodetic.transform(x, y)
    scale = np.asarray(Proj(crs.proj).get_factors(lon, lat).areal_scale)
    across = np.stack([np.interp(np.arange(columns), at_columns, line) for line in scale])
    down = [np.interp(np.arange(rows), at_rows, line) for line in across.T]
    return np.stack(down, axis=1)


def _lattice(size: int) -> NDArray[np.int64]:
    return np.unique(np.append(np.arange(0, size, _LATTICE), size - 1))


def crs_of(grid: GeoBox) -> CRS:
    """Give the CRS of a grid; a grid without one is refused."""
    if grid.crs is None:
        raise GridMismatch(left="grid", right="the earth", detail="it has no reference system")
    return grid.crs


def crs_text(grid: GeoBox) -> str:
    """Give the CRS of a grid as `EPSG:code` where it has one, else as WKT."""
    crs = crs_of(grid)
    return f"EPSG:{crs.epsg}" if crs.epsg else str(crs.to_wkt())


def grid_to_json(grid: GeoBox) -> dict[str, Any]:
    """Give a grid as plain JSON."""
    return {"crs": crs_text(grid), "shape": list(grid.shape), "transform": list(grid.transform[:6])}


def grid_from_json(said: Mapping[str, Any]) -> GeoBox:
    """Read what `grid_to_json` wrote."""
    rows, columns = said["shape"]
    return GeoBox((rows, columns), Affine(*said["transform"]), said["crs"])
