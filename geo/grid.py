"""The pixel grid: which one, which window of it, in which chunks, how large a pixel really is.

Imports errors, numpy, pyproj, shapely, odc.geo; no files.
Order: choosing a grid, windows between grids, chunks, true pixel areas, polygons on it, JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer

from geo.aoi import with_fine_edges
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
_LATTICE_M = 1000.0
"""Pixels, and metres, between the points at which a projection's pixel area is computed."""

_OUTLINE_POINTS = 65

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
    lon, lat = _outline(middle, CRS("EPSG:4326"))
    area, _ = Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)
    return math.sqrt(abs(area))


def _outline(grid: GeoBox, crs: CRS) -> NDArray[np.float64]:
    """Give the outline of a grid in a CRS, shape (2, point); a point in 64 along each side."""
    rows, columns = grid.shape
    along = np.linspace(0.0, 1.0, _OUTLINE_POINTS)
    zero, one = np.zeros(_OUTLINE_POINTS), np.ones(_OUTLINE_POINTS)
    column = np.concatenate([along, one, along[::-1], zero]) * columns
    row = np.concatenate([zero, along, one, along[::-1]]) * rows
    t = grid.transform
    x, y = t.a * column + t.b * row + t.c, t.d * column + t.e * row + t.f
    if crs_of(grid) != crs:
        x, y = _transformer(crs_of(grid).to_wkt(), crs.to_wkt()).transform(x, y)
    return np.stack([x, y])


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
    transformer = _transformer("EPSG:4326", crs.to_wkt())
    fine = with_fine_edges(geometry)

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = transformer.transform(points[:, 0], points[:, 1])
        return np.column_stack([x, y])

    moved: BaseGeometry = shapely.transform(fine, move)
    return moved


@cache
def _transformer(source: str, target: str) -> Transformer:
    """Make a transformer once: it takes 40 ms, and may be shared between threads."""
    return Transformer.from_crs(source, target, always_xy=True)


@dataclass(frozen=True)
class Span:
    """Rows and columns of a grid, [first, past-last)."""

    rows: tuple[int, int]
    columns: tuple[int, int]


def span_over(source: GeoBox, target: GeoBox, *, pad: int = 1) -> Span | None:
    """Give the part of the source grid that covers a target grid; None where they do not meet.

    Clipped to the source. The pad keeps the pixels that nearest neighbour may ask for.
    """
    x, y = _outline(target, crs_of(source))
    inverse = ~source.transform
    columns = inverse.a * x + inverse.b * y + inverse.c
    rows = inverse.d * x + inverse.e * y + inverse.f
    if not np.isfinite([columns, rows]).all():
        return None
    top, bottom = _clip(rows.min(), rows.max(), pad=pad, size=source.shape[0])
    left, right = _clip(columns.min(), columns.max(), pad=pad, size=source.shape[1])
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
        transformer = _transformer(crs_of(target).to_wkt(), crs_of(source).to_wkt())
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

    In degrees the area between two parallels is exact (closed form). In a projection it is the
    area element of the ellipsoid at the pixel's centre, taken on a lattice of about a kilometre
    with bilinear values between: the error is of the order of 1e-8. The projection's own areal
    scale is not asked: for web Mercator it is that of a sphere.
    """
    rows, columns = grid.shape
    t, crs = grid.transform, crs_of(grid)
    if crs.geographic:
        edges = np.radians(t.f + np.arange(rows + 1) * t.e)
        bands = np.abs(np.diff(_zone_areas(edges, crs))) * math.radians(abs(t.a))
        return np.repeat(bands[:, np.newaxis], columns, axis=1)
    unit_m = crs.proj.axis_info[0].unit_conversion_factor
    step = max(1, min(_LATTICE, int(_LATTICE_M / (math.hypot(t.a, t.d) * unit_m))))
    at_rows, at_columns = _lattice(rows, step), _lattice(columns, step)
    areas = _area_elements(grid, at_rows, at_columns=at_columns)
    across = np.stack([np.interp(np.arange(columns), at_columns, line) for line in areas])
    down = [np.interp(np.arange(rows), at_rows, line) for line in across.T]
    return np.stack(down, axis=1)


def _ellipsoid(crs: CRS) -> Geod:
    ellipsoid = crs.proj.get_geod()
    if ellipsoid is None:
        raise GridMismatch(left="grid", right="the earth", detail="its CRS has no ellipsoid")
    return ellipsoid


def _zone_areas(latitudes: NDArray[np.float64], crs: CRS) -> NDArray[np.float64]:
    """Area per radian of longitude between the equator and each latitude (radians).

    b^2/2 (sin / (1 - e^2 sin^2) + artanh(e sin) / e), from Snyder 1987, Map Projections
    (USGS Professional Paper 1395), eq. 3-12.
    """
    ellipsoid = _ellipsoid(crs)
    e = math.sqrt(1 - (ellipsoid.b / ellipsoid.a) ** 2)
    sine = np.sin(latitudes)
    if e == 0:
        return np.asarray(ellipsoid.a**2 * sine)
    return np.asarray(
        ellipsoid.b**2 / 2 * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e)
    )


def _area_elements(
    grid: GeoBox, at_rows: NDArray[np.int64], *, at_columns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Area of the pixels of a lattice: M N cos(latitude) |d(lon, lat) / d(column, row)|."""
    t, crs = grid.transform, crs_of(grid)
    geodetic = crs.proj.geodetic_crs
    if geodetic is None:
        raise GridMismatch(left="grid", right="the earth", detail="its CRS has no datum")
    to_degrees = _transformer(crs.to_wkt(), geodetic.to_wkt())

    def degrees(columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f
        return np.asarray(np.radians(np.stack(to_degrees.transform(x, y))))

    column, row = np.meshgrid(at_columns + 0.5, at_rows + 0.5)
    across = (degrees(column + 1, row) - degrees(column - 1, row)) / 2
    down = (degrees(column, row + 1) - degrees(column, row - 1)) / 2
    latitude = degrees(column, row)[1]
    ellipsoid = _ellipsoid(crs)
    e2 = 1 - (ellipsoid.b / ellipsoid.a) ** 2
    curve = 1 - e2 * np.sin(latitude) ** 2
    element = ellipsoid.a**2 * (1 - e2) / curve**2 * np.cos(latitude)
    return np.asarray(element * np.abs(across[0] * down[1] - across[1] * down[0]))


def _lattice(size: int, step: int) -> NDArray[np.int64]:
    return np.unique(np.append(np.arange(0, size, step), size - 1))


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
