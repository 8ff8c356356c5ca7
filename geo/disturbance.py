"""A simple loss check between seasons: where vegetation went away, when, and how much of it.

Two tests: patches of lost pixels, looked for on the whole grid and counted inside the boundary,
and the mean of the area, which no size of pixel or patch hides.
Imports types and errors; numpy and scipy. Order: thresholds, the values, the check, its parts.
It can refuse a period; it does not measure carbon. Growth is never derived from it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from geo.types import NDVI_NODATA, NDVI_SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geo.types import Season

LOSS_DROP = 1500
"""A pixel is lost where its seasonal NDVI lies 0.15 or more below the highest earlier season
(x 10,000). Our choice. In the sample's closed beech forest outside the felled groups, 99.9 % of
the pixels fall by less than that in the summers of 2017, 2019 and 2020, 99.0 % in 2018, which is
hazy; half of the pixels of a felled group fall by 0.20 or more. The same fall of the area's mean
refuses a period whatever the size of its patches (our choice)."""

VEGETATED = 6000
"""Only a pixel that had NDVI 0.60 in an earlier season can be lost in a patch (x 10,000). Our
choice: below it are fields, water and towns, which come and go without a loss of trees; open
woodland below it is left to the mean of the area."""

MIN_PATCH_PIXELS = 6
"""Lost pixels count from this many that touch (8 neighbours) on. Our choice, after the six
pixels that make half a hectare in Landsat: single pixels are noise."""

MIN_PATCH_HA = 0.1
"""And from this area on. Our choice: the smallest felled groups in the sample are 0.1 ha; half a
hectare (the forest definition's area) would miss most of them."""

REFUSAL_SHARE = 0.01
"""A period is refused where this share of the area was lost. Our choice."""

_WORTH_SAYING = 0.001

_ROUNDING = 1e-6
"""A mean of equal integers may lie this far beside them (x 10,000)."""

_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class SeasonLoss:
    """What was lost by one season, against the highest of the earlier ones."""

    year: int
    since: int
    """The latest earlier season with pixels: the loss happened between the two."""
    lost_ha: float
    """Lost for the first time by this season, inside the boundary."""
    share: float
    """Of the boundary's area on the grid."""
    patches: int
    largest_patch_ha: float
    mean_drop: float
    """Area-weighted, NDVI in unit 1; 0 where nothing was lost."""


@dataclass(frozen=True)
class MeanFall:
    """The largest fall of the area's mean NDVI from one season to a later one."""

    since: int
    year: int
    start: float
    """Area-weighted mean over the pixels known in both seasons, unit 1."""
    end: float
    share: float
    """Of the area: those pixels."""


@dataclass(frozen=True)
class LossReport:
    """The loss check of one area."""

    first_year: int
    """The first season with pixels."""
    last_year: int
    """The last season of the period, with pixels or without."""
    seasons: tuple[SeasonLoss, ...]
    """One entry a season with pixels, from the second on."""
    lost_ha: float
    """Lost by any season; a pixel counts once."""
    share: float
    unseen_share: float
    """Of the area: pixels without a value in the last season or in all earlier ones."""
    year_map: NDArray[np.uint16]
    """Season of first loss of each pixel, shape (y, x); 0 where none and outside."""
    mean_fall: MeanFall | None
    """Where the mean fell by the threshold or more."""
    holds_a_patch: bool
    """Whether any part of the area is as large as the smallest patch that counts."""
    refuses: bool
    """Whether the lost share or the fall of the mean refuses a period."""

    def sentence(self) -> str:
        """Say what was found, with seasons, hectares and share."""
        if not self.seasons:
            return "Nothing can be said about losses: fewer than two seasons have pixels."
        lost = [season for season in self.seasons if season.lost_ha > 0]
        told = []
        if lost:
            where = ", ".join(
                f"{s.lost_ha:.2f} ha between the seasons of {s.since} and {s.year}" for s in lost
            )
            head = f"Vegetation was lost on {self.lost_ha:.2f} ha ({self.share:.1%})"
            told.append(f"{head}: {where}.")
        if self.mean_fall is not None:
            told.append(_mean_sentence(self.mean_fall))
        if not told:
            years = f"{self.first_year} to {self.seasons[-1].year}"
            told.append(f"No loss of vegetation was found between the seasons {years}.")
        if not lost and not self.holds_a_patch:
            told.append(
                f"No part of the area has the {MIN_PATCH_PIXELS} pixels and {MIN_PATCH_HA} ha of a "
                "patch: patches could not be looked for, only the mean was."
            )
        if self.seasons[-1].year != self.last_year:
            told.append(f"The last season, {self.last_year}, has no pixels.")
        if self.unseen_share >= _WORTH_SAYING:
            told.append(f"{self.unseen_share:.1%} of the area could not be compared.")
        return " ".join(told)


def loss_between_seasons(
    ndvi: NDArray[np.int16],
    *,
    seasons: Sequence[Season],
    weights: NDArray[np.float64],
    pixel_m2: NDArray[np.float64],
    drop: int = LOSS_DROP,
    min_patch_ha: float = MIN_PATCH_HA,
) -> LossReport:
    """Find patches whose NDVI fell below the highest earlier season, and a fall of the mean.

    Parameters
    ----------
    ndvi
        Seasonal medians, int16, 10,000 x NDVI, dims (season, y, x), -32768 where missing.
    seasons
        In the order of `ndvi`.
    weights
        Square metres of each pixel inside the boundary (`zonal.weights`), shape (y, x).
    pixel_m2
        Square metres of each whole pixel (`grid.pixel_areas_m2`): a patch that the boundary
        cuts has the pixels it has, what counts of it is the part inside.
    drop, min_patch_ha
        The thresholds, `LOSS_DROP` and `MIN_PATCH_HA` unless a test asks for others.

    Returns
    -------
    The report. A missing pixel is neither lost nor kept: it is counted in `unseen_share`.
    """
    inside = weights > 0
    area = _sum_m2(weights, inside)
    with_pixels = [bool((layer[inside] != NDVI_NODATA).any()) for layer in ndvi]
    seen = [
        (season.year, layer)
        for season, layer, has_pixels in zip(seasons, ndvi, with_pixels, strict=True)
        if has_pixels
    ]
    found = _lost_in(seen, weights, pixel_m2=pixel_m2, drop=drop, min_patch_ha=min_patch_ha)
    entries = [
        _season_loss(years, new & inside, fall=fall, weights=weights, area=area)
        for years, new, fall in found
    ]
    year_map = np.zeros(weights.shape, dtype=np.uint16)
    for years, new, _ in found:
        year_map[new & inside] = years[1]
    lost_m2 = _sum_m2(weights, year_map > 0)
    share = lost_m2 / area if area else 0.0
    mean_fall = _mean_fall(seen, weights, drop=drop)
    return LossReport(
        first_year=seen[0][0] if seen else seasons[0].year,
        last_year=seasons[-1].year,
        seasons=tuple(entries),
        lost_ha=lost_m2 / 10_000,
        share=share,
        unseen_share=_unseen(ndvi, weights),
        year_map=year_map,
        mean_fall=mean_fall,
        holds_a_patch=_holds_a_patch(weights, pixel_m2, min_patch_ha=min_patch_ha),
        refuses=share >= REFUSAL_SHARE or mean_fall is not None,
    )


def _lost_in(
    seen: Sequence[tuple[int, NDArray[np.int16]]],
    weights: NDArray[np.float64],
    *,
    pixel_m2: NDArray[np.float64],
    drop: int,
    min_patch_ha: float,
) -> list[tuple[tuple[int, int], NDArray[np.bool_], NDArray[np.int32]]]:
    """Give for each season from the second on its years, what it lost first, and the fall."""
    found = []
    lost = np.zeros(pixel_m2.shape, dtype=bool)
    best = np.full(pixel_m2.shape, NDVI_NODATA, dtype=np.int32)
    for number, (year, layer) in enumerate(seen):
        known = layer != NDVI_NODATA
        if number:
            fall = np.where(known & (best >= VEGETATED), best - layer, 0)
            new = _patches(fall >= drop, weights, pixel_m2=pixel_m2, min_patch_ha=min_patch_ha)
            new &= ~lost
            lost |= new
            found.append(((seen[number - 1][0], year), new, fall))
        best = np.where(known, np.maximum(best, layer), best)
    return found


def _mean_fall(
    seen: Sequence[tuple[int, NDArray[np.int16]]], weights: NDArray[np.float64], *, drop: int
) -> MeanFall | None:
    """Find the pair of seasons with the largest fall of the mean, if it reaches the threshold."""
    inside = weights > 0
    weight = weights[inside]
    seasons = [(year, layer[inside]) for year, layer in seen]
    worst: MeanFall | None = None
    for (since, first), (year, last) in itertools.combinations(seasons, 2):
        known = (first != NDVI_NODATA) & (last != NDVI_NODATA)
        common_m2 = math.fsum(weight[known])
        if not common_m2:
            continue
        start, end = (
            math.fsum(layer[known] * weight[known]) / common_m2 for layer in (first, last)
        )
        if start - end < max(drop - _ROUNDING, (worst.start - worst.end) if worst else 0.0):
            continue
        worst = MeanFall(since, year, start, end, common_m2)
    if worst is None:
        return None
    start, end = worst.start / NDVI_SCALE, worst.end / NDVI_SCALE
    return MeanFall(worst.since, worst.year, start, end, worst.share / math.fsum(weight))


def _mean_sentence(fall: MeanFall) -> str:
    over = "" if fall.share > 1 - _WORTH_SAYING else f" (over the {fall.share:.1%} known in both)"
    return (
        f"The mean NDVI of the area fell by {fall.start - fall.end:.3f}, from {fall.start:.3f} in "
        f"the season of {fall.since} to {fall.end:.3f} in that of {fall.year}{over}."
    )


def _unseen(ndvi: NDArray[np.int16], weights: NDArray[np.float64]) -> float:
    """Share of the area without a value in the last season, or in all that came before it."""
    area = _sum_m2(weights, weights > 0)
    compared = (ndvi[-1] != NDVI_NODATA) & (ndvi[:-1] != NDVI_NODATA).any(axis=0)
    return 1 - _sum_m2(weights, compared & (weights > 0)) / area if area else 1.0


def _holds_a_patch(
    weights: NDArray[np.float64], pixel_m2: NDArray[np.float64], *, min_patch_ha: float
) -> bool:
    """Whether one part of the area has the hectares and the whole pixels' worth of a patch."""
    labels, _ = ndimage.label(weights > 0, structure=_NEIGHBOURS)
    pixels = weights / pixel_m2
    return any(
        hectares >= min_patch_ha and count * 10_000 >= MIN_PATCH_PIXELS - _ROUNDING
        for hectares, count in zip(
            _sizes_ha(labels, weights), _sizes_ha(labels, pixels), strict=True
        )
    )


def _sum_m2(weights: NDArray[np.float64], where: NDArray[np.bool_]) -> float:
    return math.fsum(weights[where])


def _patches(
    lost: NDArray[np.bool_],
    weights: NDArray[np.float64],
    *,
    pixel_m2: NDArray[np.float64],
    min_patch_ha: float,
) -> NDArray[np.bool_]:
    """Keep the groups of touching pixels that are large enough, in pixels and in hectares.

    The boundary does not shorten a patch, but a large one outside must not count for the sliver
    that reaches in: the part inside has the hectares of a patch, or is half of it or more.
    """
    labels, count = ndimage.label(lost, structure=_NEIGHBOURS)
    pixels = np.bincount(labels.ravel(), minlength=count + 1)
    whole, inside = (np.array([0.0, *_sizes_ha(labels, m2)]) for m2 in (pixel_m2, weights))
    large = (pixels >= MIN_PATCH_PIXELS) & (whole >= min_patch_ha)
    ours = (inside >= min_patch_ha) | (inside >= whole / 2)
    kept = large & ours
    kept[0] = False
    result: NDArray[np.bool_] = kept[labels]
    return result


def _sizes_ha(labels: NDArray[np.int32], weights: NDArray[np.float64]) -> list[float]:
    """Give the hectares of each label, from 1 on."""
    boxes = ndimage.find_objects(labels)
    return [
        _sum_m2(weights[box], labels[box] == number) / 10_000
        for number, box in enumerate(boxes, start=1)
    ]


def _season_loss(
    years: tuple[int, int],
    new: NDArray[np.bool_],
    *,
    fall: NDArray[np.int32],
    weights: NDArray[np.float64],
    area: float,
) -> SeasonLoss:
    labels, _ = ndimage.label(new, structure=_NEIGHBOURS)
    sizes = _sizes_ha(labels, weights)
    lost_m2 = _sum_m2(weights, new)
    total = math.fsum((fall[new] * weights[new]).tolist())
    return SeasonLoss(
        year=years[1],
        since=years[0],
        lost_ha=lost_m2 / 10_000,
        share=lost_m2 / area,
        patches=len(sizes),
        largest_patch_ha=max(sizes, default=0.0),
        mean_drop=total / lost_m2 / NDVI_SCALE if lost_m2 else 0.0,
    )
