"""Sums, means and shares over an area: exact fractions of pixels times true pixel areas.

Imports grid, types, errors; numpy, shapely, exactextract. Order: weights, means and sums, shares.
Sums are `math.fsum`: correctly rounded, so no order of pixels changes them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from exactextract import exact_extract
from exactextract.feature import JSONFeatureSource
from exactextract.raster import NumPyRasterSource
from shapely.geometry import mapping

from geo.errors import GridMismatch
from geo.grid import crs_of, is_upright, pixel_areas_m2, project

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox
    from shapely.geometry.base import BaseGeometry

    from geo.types import Boundary


def weights(boundary: Boundary, grid: GeoBox) -> NDArray[np.float64]:
    """Give the area of each pixel that lies inside a boundary.

    Parameters
    ----------
    boundary
        The area; edges are straight in longitude and latitude.
    grid
        An upright grid, any CRS.

    Returns
    -------
    float64, shape (y, x), square metres: exact fraction of the pixel inside x its true area on
    the ellipsoid. 0 outside. Their sum is the geodesic area as far as the grid covers it.
    """
    return fractions(project(boundary.geometry, crs_of(grid)), grid) * pixel_areas_m2(grid)


def fractions(geometry: BaseGeometry, grid: GeoBox) -> NDArray[np.float64]:
    """Give the exact fraction of each pixel covered by a geometry in the grid's CRS.

    Returns
    -------
    float64, shape (y, x), in [0, 1]; exactextract keeps fractions as float32, so an edge
    pixel's fraction is good to 1e-7. 1 inside and 0 outside are exact.
    """
    if not is_upright(grid):
        raise GridMismatch(left="boundary", right="grid", detail="the grid is rotated")
    rows, columns = grid.shape
    # handed over in pixel units: the cell arithmetic of exactextract then has nothing to round
    source = NumPyRasterSource(
        np.zeros((rows, columns), dtype=np.uint8), xmin=0, ymin=0, xmax=columns, ymax=rows
    )
    local = mapping(_in_pixels(geometry, grid))
    features = JSONFeatureSource([{"type": "Feature", "geometry": local, "properties": {}}])
    found: list[dict[str, Any]] = exact_extract(source, features, ["cell_id", "coverage"])
    covered = np.zeros(rows * columns, dtype=np.float64)
    properties = found[0]["properties"]
    covered[np.asarray(properties["cell_id"], dtype=np.int64)] = properties["coverage"]
    return covered.reshape(rows, columns)


def _in_pixels(geometry: BaseGeometry, grid: GeoBox) -> BaseGeometry:
    """Bring a geometry to pixel units, x to the right and y upwards from the lower left."""
    t, rows = grid.transform, grid.shape[0]

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([(points[:, 0] - t.c) / t.a, rows - (points[:, 1] - t.f) / t.e])

    return shapely.transform(geometry, move)


def weighted_sum(
    values: NDArray[np.integer], weight: NDArray[np.float64], *, nodata: int
) -> tuple[float, float]:
    """Sum values x weight and the weight itself over the pixels that have a value.

    Returns
    -------
    (sum of value x weight, sum of weight); (0.0, 0.0) where no pixel has a value.
    """
    known = (values != nodata) & (weight > 0)
    w = weight[known]
    return math.fsum(values[known].astype(np.float64) * w), math.fsum(w)


def weighted_mean(
    values: NDArray[np.integer], weight: NDArray[np.float64], *, nodata: int
) -> float | None:
    """Area-weighted mean of published integers, in their unit; None where none has a value.

    Parameters
    ----------
    values
        Integers, shape (y, x).
    weight
        Square metres, same shape (`weights`).
    nodata
        The missing value; such pixels do not count, neither above nor below the line.
    """
    total, area = weighted_sum(values, weight, nodata=nodata)
    return total / area if area > 0 else None


def weighted_median(
    values: NDArray[np.integer], weight: NDArray[np.float64], *, nodata: int
) -> int | None:
    """Lowest value at or below which half of the area with a value lies; None where none has."""
    known = (values != nodata) & (weight > 0)
    if not known.any():
        return None
    levels, position = np.unique(values[known], return_inverse=True)
    order = np.argsort(position, kind="stable")
    pieces = np.split(weight[known][order], np.cumsum(np.bincount(position))[:-1])
    upto = np.cumsum([math.fsum(piece) for piece in pieces])
    return int(levels[int(np.searchsorted(upto, upto[-1] / 2))])


def area_ha(mask: NDArray[np.bool_], weight: NDArray[np.float64]) -> float:
    """Area of the pixels of a mask inside the boundary, hectares."""
    return math.fsum(weight[mask]) / 10_000


def share(mask: NDArray[np.bool_], weight: NDArray[np.float64]) -> float | None:
    """Share of the boundary's area on the grid that a mask covers, 0 to 1; None for no area."""
    whole = math.fsum(weight[weight > 0])
    return math.fsum(weight[mask & (weight > 0)]) / whole if whole > 0 else None
