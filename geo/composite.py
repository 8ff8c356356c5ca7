"""Seasons of a period and the median of each pixel in each season.

Imports types, sensors, errors; numpy, dask, xarray. Order: seasons, the lazy composite, blocks.
"""

from __future__ import annotations

import calendar
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from geo.blocks import over_blocks
from geo.errors import BadInput
from geo.sensors import season_days
from geo.types import NDVI_NODATA, Season

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import dask.array as da
    from numpy.typing import NDArray

    from geo.scenes import Scene
    from geo.types import Period

WHOLE_YEAR = "01-01/12-31"
ENDS = 2
"""A change needs a first and a last season."""


def seasons_in(period: Period, season: str) -> tuple[Season, ...]:
    """Give the seasons that lie wholly in a period, oldest first.

    Parameters
    ----------
    period
        Days, both inclusive.
    season
        `MM-DD/MM-DD`, both inclusive. One whose end comes before its start crosses New Year and
        belongs to the year it ends in. 29 February means the last day of that month.

    Raises
    ------
    BadInput
        When fewer than two seasons lie in the period.
    """
    (first_month, first_day), (last_month, last_day) = season_days(season)
    crosses = (last_month, last_day) < (first_month, first_day)
    seasons = []
    for year in range(period.start.year, period.end.year + 1):
        if crosses and year == date.min.year:
            continue
        start = _day(year - 1 if crosses else year, first_month, day=first_day)
        end = _day(year, last_month, day=last_day)
        if period.start <= start and end <= period.end:
            seasons.append(Season(year=year, start=start, end=end))
    if len(seasons) < ENDS:
        raise BadInput(
            what=f"period {period.start} to {period.end}",
            problem=f"holds {len(seasons)} whole season(s) {season}, a change needs two",
            fix="Widen the period or choose another --season MM-DD/MM-DD.",
        )
    return tuple(seasons)


def _day(year: int, month: int, *, day: int) -> date:
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


def members(seasons: Sequence[Season], scenes: Sequence[Scene]) -> tuple[tuple[int, ...], ...]:
    """Give, for each season, the positions of its scenes."""
    return tuple(
        tuple(
            number
            for number, scene in enumerate(scenes)
            if season.start <= scene.observed_on <= season.end
        )
        for season in seasons
    )


def seasonal_median(
    series: xr.DataArray,
    *,
    seasons: Sequence[Season],
    scenes: Sequence[Scene],
    min_looks: int,
) -> xr.DataArray:
    """Median of each pixel in each season, over published integers.

    Parameters
    ----------
    series
        int16, dims (time, y, x), time in one chunk, -32768 where missing.
    scenes
        In the order of `time`. Two scenes of one day are one look: the first that is clear.
    min_looks
        Fewer clear looks than this give -32768.

    Returns
    -------
    int16, dims (season, y, x), lazy: the middle look, or the mean of the middle two rounded half
    to even. -32768 is missing, never 0.
    """
    data = _per_season(
        median_block, series, seasons=seasons, scenes=scenes, dtype=np.int16, min_looks=min_looks
    )
    return _labelled(data, series, seasons=seasons, name=str(series.name))


def seasonal_looks(
    series: xr.DataArray, *, seasons: Sequence[Season], scenes: Sequence[Scene]
) -> xr.DataArray:
    """Count the clear looks of each pixel in each season; uint16, dims (season, y, x), lazy."""
    data = _per_season(looks_block, series, seasons=seasons, scenes=scenes, dtype=np.uint16)
    return _labelled(data, series, seasons=seasons, name="looks")


def _per_season(
    function: Callable[..., Any],
    series: xr.DataArray,
    *,
    seasons: Sequence[Season],
    scenes: Sequence[Scene],
    dtype: type[np.generic],
    **keywords: int,
) -> da.Array:
    groups = tuple(_by_day(positions, scenes) for positions in members(seasons, scenes))
    return over_blocks(
        function,
        series.data,
        dtype=dtype,
        chunks=((len(seasons),), *series.data.chunks[1:]),
        groups=groups,
        **keywords,
    )


def _by_day(positions: Sequence[int], scenes: Sequence[Scene]) -> tuple[tuple[int, ...], ...]:
    days: dict[date, list[int]] = {}
    for position in positions:
        days.setdefault(scenes[position].observed_on, []).append(position)
    return tuple(tuple(same) for _, same in sorted(days.items()))


def _labelled(
    data: da.Array, series: xr.DataArray, *, seasons: Sequence[Season], name: str
) -> xr.DataArray:
    kept = {key: series.coords[key] for key in ("y", "x", "spatial_ref") if key in series.coords}
    coords = {"season": [season.year for season in seasons], **kept}
    return xr.DataArray(
        data, dims=("season", "y", "x"), coords=coords, name=name, attrs=series.attrs
    )


def median_block(
    series: NDArray[np.int16], *, groups: tuple[tuple[tuple[int, ...], ...], ...], min_looks: int
) -> NDArray[np.int16]:
    """Median of one block in each season; see `seasonal_median`."""
    result = np.full((len(groups), *series.shape[1:]), NDVI_NODATA, dtype=np.int16)
    for number, days in enumerate(groups):
        if days:
            result[number] = _median(_one_look_a_day(series, days), min_looks)
    return result


def looks_block(
    series: NDArray[np.int16], *, groups: tuple[tuple[tuple[int, ...], ...], ...]
) -> NDArray[np.uint16]:
    """Count clear looks of one block in each season."""
    result = np.zeros((len(groups), *series.shape[1:]), dtype=np.uint16)
    for number, days in enumerate(groups):
        if days:
            result[number] = (_one_look_a_day(series, days) != NDVI_NODATA).sum(axis=0)
    return result


def _one_look_a_day(
    series: NDArray[np.int16], days: tuple[tuple[int, ...], ...]
) -> NDArray[np.int16]:
    looks = series[[same[0] for same in days]]
    for number, same in enumerate(days):
        for other in same[1:]:
            unseen = looks[number] == NDVI_NODATA
            looks[number][unseen] = series[other][unseen]
    return looks


def _median(looks: NDArray[np.int16], min_looks: int) -> NDArray[np.int16]:
    """Sort missing values to the front, so that the middle of the rest is counted from behind."""
    ordered = np.sort(looks, axis=0)
    count = (looks != NDVI_NODATA).sum(axis=0)
    missing = looks.shape[0] - count
    low = missing + np.maximum(count - 1, 0) // 2
    high = missing + count // 2
    last = looks.shape[0] - 1
    below = np.take_along_axis(ordered, np.minimum(low, last)[np.newaxis], axis=0)[0]
    above = np.take_along_axis(ordered, np.minimum(high, last)[np.newaxis], axis=0)[0]
    middle = np.rint((below.astype(np.int32) + above) / 2)
    enough = count >= max(min_looks, 1)
    return np.where(enough, middle, NDVI_NODATA).astype(np.int16)
