"""A simple loss check between seasons: where vegetation went away, when, and how much of it.

Imports types and errors; numpy and scipy. Order: thresholds, the values, the check, its parts.
It can refuse a period; it does not measure carbon. Growth is never derived from it.
"""

from __future__ import annotations

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
hazy; half of the pixels of a felled group fall by 0.20 or more."""

VEGETATED = 6000
"""Only a pixel that had NDVI 0.60 in an earlier season can be lost (x 10,000). Our choice: below
it are fields, water and towns, which come and go without a loss of trees."""

MIN_PATCH_PIXELS = 6
"""Lost pixels count from this many that touch (8 neighbours) on. Our choice, after the six
pixels that make half a hectare in Landsat: single pixels are noise."""

MIN_PATCH_HA = 0.1
"""And from this area on. Our choice: the smallest felled groups in the sample are 0.1 ha; half a
hectare (the forest definition's area) would miss most of them."""

REFUSAL_SHARE = 0.01
"""A period is refused where this share of the area was lost. Our choice."""

_WORTH_SAYING = 0.001

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
class LossReport:
    """The loss check of one area."""

    first_year: int
    """The first season with pixels."""
    seasons: tuple[SeasonLoss, ...]
    """One entry a season with pixels, from the second on."""
    lost_ha: float
    """Lost by any season; a pixel counts once."""
    share: float
    unseen_share: float
    """Of the area: pixels without a value in the last season or in all earlier ones."""
    year_map: NDArray[np.uint16]
    """Season of first loss of each pixel, shape (y, x); 0 where none."""
    refuses: bool
    """Whether the lost share is one that refuses a period."""

    def sentence(self) -> str:
        """Say what was found, with seasons, hectares and share."""
        if not self.seasons:
            return "Nothing can be said about losses: fewer than two seasons have pixels."
        unseen = f" {self.unseen_share:.1%} of the area could not be compared."
        rest = unseen if self.unseen_share >= _WORTH_SAYING else ""
        lost = [season for season in self.seasons if season.lost_ha > 0]
        if not lost:
            years = f"{self.first_year} to {self.seasons[-1].year}"
            return f"No loss of vegetation was found between the seasons {years}.{rest}"
        told = ", ".join(
            f"{s.lost_ha:.2f} ha between the seasons of {s.since} and {s.year}" for s in lost
        )
        head = f"Vegetation was lost on {self.lost_ha:.2f} ha ({self.share:.1%})"
        return f"{head}: {told}.{rest}"


def loss_between_seasons(
    ndvi: NDArray[np.int16],
    *,
    seasons: Sequence[Season],
    weights: NDArray[np.float64],
    drop: int = LOSS_DROP,
    min_patch_ha: float = MIN_PATCH_HA,
) -> LossReport:
    """Find patches whose NDVI fell below the highest earlier season.

    Parameters
    ----------
    ndvi
        Seasonal medians, int16, 10,000 x NDVI, dims (season, y, x), -32768 where missing.
    seasons
        In the order of `ndvi`.
    weights
        Square metres of each pixel inside the boundary (`zonal.weights`), shape (y, x).
    drop, min_patch_ha
        The thresholds, `LOSS_DROP` and `MIN_PATCH_HA` unless a test asks for others.

    Returns
    -------
    The report. A missing pixel is neither lost nor kept: it is counted in `unseen_share`.
    """
    area = _sum_m2(weights, weights > 0)
    lost_in = np.zeros(weights.shape, dtype=np.uint16)
    best = np.full(weights.shape, NDVI_NODATA, dtype=np.int32)
    entries: list[SeasonLoss] = []
    seen_years: list[int] = []
    seen_last = np.zeros(weights.shape, dtype=bool)
    for season, layer in zip(seasons, ndvi, strict=True):
        known = (layer != NDVI_NODATA) & (weights > 0)
        if not known.any():
            continue
        if seen_years:
            fall = np.where(known & (best >= VEGETATED), best - layer, 0)
            patches = _patches(fall >= drop, weights, min_patch_ha=min_patch_ha)
            new = patches & (lost_in == 0)
            lost_in[new] = season.year
            years = (seen_years[-1], season.year)
            entries.append(_season_loss(years, new, fall=fall, weights=weights, area=area))
        seen_last = known & (best != NDVI_NODATA)
        best = np.where(known, np.maximum(best, layer), best)
        seen_years.append(season.year)
    lost_m2 = _sum_m2(weights, lost_in > 0)
    share = lost_m2 / area if area else 0.0
    return LossReport(
        first_year=seen_years[0] if seen_years else seasons[0].year,
        seasons=tuple(entries),
        lost_ha=lost_m2 / 10_000,
        share=share,
        unseen_share=1 - _sum_m2(weights, seen_last) / area if area else 1.0,
        year_map=lost_in,
        refuses=share >= REFUSAL_SHARE,
    )


def _sum_m2(weights: NDArray[np.float64], where: NDArray[np.bool_]) -> float:
    return math.fsum(weights[where])


def _patches(
    lost: NDArray[np.bool_], weights: NDArray[np.float64], *, min_patch_ha: float
) -> NDArray[np.bool_]:
    """Keep the groups of touching pixels that are large enough, in pixels and in hectares."""
    labels, count = ndimage.label(lost, structure=_NEIGHBOURS)
    pixels = np.bincount(labels.ravel(), minlength=count + 1)
    kept = np.array([False, *(size >= min_patch_ha for size in _sizes_ha(labels, weights))])
    result: NDArray[np.bool_] = (kept & (pixels >= MIN_PATCH_PIXELS))[labels]
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
