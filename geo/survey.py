"""The lazy measurement made real, block by block: what the pixels of one area say.

Imports measure, zonal, composite's values, grid, types; dask, numpy. Order: the values, taking
the survey, means and looks over the area, the time series.
Blocks are computed a few at a time and put down here, so memory is bounded and any dask
scheduler (threads, processes, a cluster) gives the same arrays.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.base import compute

from geo import zonal
from geo.types import NDVI_NODATA, NDVI_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from geo.measure import Measurement
    from geo.types import Boundary, Season

MAX_BYTES_AT_ONCE = 256_000_000
"""Results of blocks held in memory while the survey is put together (our choice)."""

MAX_BYTES_IN_MEMORY = 500_000_000
"""A larger array of the survey is kept on disk while it is needed (our choice)."""

NDVI = "ndvi"
LOOKS = "looks"


@dataclass(frozen=True)
class EndMeans:
    """Area-weighted mean of an index at both ends, unit 1, over the pixels known at both."""

    start: float
    end: float

    @property
    def change(self) -> float:
        """Last minus first."""
        return self.end - self.start


@dataclass(frozen=True)
class Looks:
    """Clear looks per pixel inside the area, over both end seasons."""

    minimum: int
    median: int


@dataclass(frozen=True)
class SeriesRow:
    """One date of the area's time series, as in `timeseries.csv`."""

    item_id: str
    observed_on: date
    clear_share: float
    """Share of the area seen clearly, 0 to 1."""
    ndvi_mean: float | None
    """Area-weighted mean of the clear pixels, unit 1; None where nothing is clear."""
    ndvi_median: float | None


@dataclass(frozen=True)
class Survey:
    """What the pixels of an area say, computed."""

    grid: GeoBox
    seasons: tuple[Season, ...]
    weight: NDArray[np.float64]
    """Square metres of each pixel inside the area, (y, x)."""
    composites: Mapping[str, NDArray[Any]]
    """int16 index medians and uint16 `looks`, each (season, y, x)."""
    series: NDArray[np.int16]
    """NDVI at each date, (time, y, x), -32768 where not clear."""
    rows: tuple[SeriesRow, ...]
    means: Mapping[str, EndMeans | None]
    """By index; None where no pixel is known at both ends."""
    looks: Looks | None
    """None where the number of looks is unknown (composites of others)."""
    missing: tuple[float, float]
    """Share of the area without NDVI in the first and in the last season."""
    not_positive: int
    """Clear looks masked because a reflectance was not above 0: inside the area, over all dates."""

    @property
    def ends(self) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """NDVI of the first and of the last season, (y, x)."""
        return self.composites[NDVI][0], self.composites[NDVI][-1]


def take_survey(
    measurement: Measurement, boundary: Boundary, *, progress: Callable[[str], None]
) -> Survey:
    """Compute a measurement and reduce it over the area.

    Parameters
    ----------
    measurement
        Lazy; one spatial chunk plan throughout.
    boundary
        The accounting area.

    Returns
    -------
    Arrays on the measurement's grid, means and shares over the area. The same for any chunks
    and any scheduler: blocks are only put side by side, sums are correctly rounded.
    """
    weight = zonal.weights(boundary, measurement.grid)
    composites, series, not_positive = _computed(measurement, weight > 0, progress=progress)
    first, last = composites[NDVI][0], composites[NDVI][-1]
    return Survey(
        grid=measurement.grid,
        seasons=measurement.seasons,
        weight=weight,
        composites=composites,
        series=series,
        rows=_rows(measurement, series, weight),
        means={
            name: end_means(values[0], values[-1], weight=weight)
            for name, values in composites.items()
            if name != LOOKS
        },
        looks=_looks(composites[LOOKS], weight) if measurement.looks_known else None,
        missing=(_missing(first, weight), _missing(last, weight)),
        not_positive=not_positive,
    )


def end_means(
    first: NDArray[np.int16], last: NDArray[np.int16], *, weight: NDArray[np.float64]
) -> EndMeans | None:
    """Mean of published integers at both ends over the pixels known at both, unit 1.

    Each end over its own pixels would show a change where only the missing pixels moved.
    """
    known = (first != NDVI_NODATA) & (last != NDVI_NODATA)
    shared = np.where(known, weight, 0.0)
    start = zonal.weighted_mean(first, shared, nodata=NDVI_NODATA)
    end = zonal.weighted_mean(last, shared, nodata=NDVI_NODATA)
    if start is None or end is None:
        return None
    return EndMeans(start / NDVI_SCALE, end / NDVI_SCALE)


def _computed(
    measurement: Measurement, inside: NDArray[np.bool_], *, progress: Callable[[str], None]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.int16], int]:
    lazy = {str(name): array.data for name, array in measurement.composites.data_vars.items()}
    lazy["series"] = measurement.series.data
    whole = {name: _room(array.shape, array.dtype) for name, array in lazy.items()}
    chunks = lazy["series"].chunks[1:]
    edges = [np.cumsum([0, *sizes]) for sizes in chunks]
    blocks = list(itertools.product(*(range(len(sizes)) for sizes in chunks)))
    at_once = _blocks_at_once(lazy, chunks)
    masked = (measurement.not_positive.data & inside).sum()
    counted: list[Any] = []
    for at in range(0, len(blocks), at_once):
        batch = blocks[at : at + at_once]
        wanted = [[a.blocks[:, row, column] for a in lazy.values()] for row, column in batch]
        if len(blocks) <= at_once:  # then the count costs no second reading
            wanted.append([masked])
        done = compute(*wanted)  # type: ignore[no-untyped-call]
        for (row, column), values in zip(batch, done, strict=False):
            rows = slice(edges[0][row], edges[0][row + 1])
            columns = slice(edges[1][column], edges[1][column + 1])
            for name, value in zip(lazy, values, strict=True):
                whole[name][:, rows, columns] = value
        counted = list(done[len(batch) :])
        progress(f"{min(at + at_once, len(blocks))} of {len(blocks)} blocks measured")
    series: NDArray[np.int16] = whole.pop("series")
    not_positive = counted[0][0] if counted else masked.compute()
    return whole, series, int(not_positive)


def _blocks_at_once(
    lazy: Mapping[str, Any], chunks: tuple[tuple[int, ...], tuple[int, ...]]
) -> int:
    """So many blocks that their results fit into memory; at least one."""
    layers = sum(array.shape[0] * array.dtype.itemsize for array in lazy.values())
    pixels = chunks[0][0] * chunks[1][0]
    return max(1, MAX_BYTES_AT_ONCE // int(layers * pixels))


def _room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Give an array to fill; a large one lies in a nameless file on disk."""
    if math.prod(shape) * dtype.itemsize <= MAX_BYTES_IN_MEMORY:
        return np.empty(shape, dtype=dtype)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)


def _missing(ndvi: NDArray[np.int16], weight: NDArray[np.float64]) -> float:
    share = zonal.share(ndvi == NDVI_NODATA, weight)
    return 1.0 if share is None else share


def _looks(looks: NDArray[np.uint16], weight: NDArray[np.float64]) -> Looks | None:
    both = np.stack([looks[0], looks[-1]]).astype(np.int32)
    twice = np.stack([weight, weight])
    median = zonal.weighted_median(both, twice, nodata=-1)
    if median is None:
        return None
    return Looks(int(both[twice > 0].min()), median)


def _rows(
    measurement: Measurement, series: NDArray[np.int16], weight: NDArray[np.float64]
) -> tuple[SeriesRow, ...]:
    """Reduce each date over the area; only the window that holds the area is looked at."""
    rows, columns = np.nonzero(weight > 0)
    if not rows.size:
        return ()
    window = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    inside = weight[window]
    whole_m2 = math.fsum(inside[inside > 0])
    found = []
    for scene, values in zip(measurement.scenes, series[:, *window], strict=True):
        total, clear_m2 = zonal.weighted_sum(values, inside, nodata=NDVI_NODATA)
        median = zonal.weighted_median(values, inside, nodata=NDVI_NODATA)
        found.append(
            SeriesRow(
                scene.item_id,
                scene.observed_on,
                clear_m2 / whole_m2,
                total / clear_m2 / NDVI_SCALE if clear_m2 > 0 else None,
                None if median is None else median / NDVI_SCALE,
            )
        )
    return tuple(found)
