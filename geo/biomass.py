"""Above-ground biomass from an index, by a card that says where it holds.

May import the project file's values, types and errors, numpy. Order: fitting a card on plots,
the one prediction, counting what was clamped. A raster is made only with a card that was fitted
on at least 20 given plots or passed in; otherwise there is none (rules: no invented pixels).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geo.errors import GeoError
from geo.project import MAX_AGB_T_PER_HA, ModelCard, agb_t_per_ha
from geo.types import AGB_NODATA, AGB_SCALE, NDVI_NODATA, NDVI_SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

PREDICTORS = 1
MIN_FIT_PLOTS = 10 * (PREDICTORS + 1)
"""A line needs at least 10 plots for each coefficient."""

MAX_SATURATED_SHARE = 0.10
"""With more of the area saturated only plots (or lidar) may speak (data/reference 3.1)."""

NDVI_SATURATES_NEAR_T_PER_HA = 100.0
"""Planning value, from memory: the closed canopy hides further wood from optical sensors."""

BELOW_DOMAIN, ABOVE_DOMAIN, SATURATED, NEGATIVE = 1, 2, 4, 8
"""Flags of a predicted pixel; they may stand together."""


class CardUnusable(GeoError):
    """No biomass card could be fitted on {plots} plots: {reason}."""


@dataclass(frozen=True)
class Predicted:
    """Biomass of a block of pixels as it is published."""

    agb: npt.NDArray[np.uint16]
    """10 x t/ha; 65535 where the index is missing."""
    flags: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class FlagCounts:
    """Pixels by what happened to them; `predicted` is all with a value."""

    predicted: int
    below_domain: int
    above_domain: int
    saturated: int
    negative: int


def fit_card(index: Sequence[float], agb_t_per_ha: Sequence[float], *, source: str) -> ModelCard:
    """Fit a straight line of biomass on an index by least squares.

    Parameters
    ----------
    index
        Index at each plot, mean over the plot's own ground, unit 1.
    agb_t_per_ha
        Biomass of the same plots.
    source
        What the plots were, for the card.

    Returns
    -------
    A card whose domain is the plots' range of the index and whose saturation is their highest
    biomass: nothing is predicted outside what was seen.

    Raises
    ------
    CardUnusable
        With fewer than 20 plots, an index that does not vary, or biomass falling with it.
    """
    number = len(index)
    if number < MIN_FIT_PLOTS:
        raise CardUnusable(plots=number, reason=f"at least {MIN_FIT_PLOTS} are needed")
    x = np.asarray(index, dtype=np.float64)
    y = np.asarray(agb_t_per_ha, dtype=np.float64)
    mean_x, mean_y = math.fsum(x) / number, math.fsum(y) / number
    spread = math.fsum((x - mean_x) ** 2)
    if float(np.ptp(x)) < 1 / NDVI_SCALE:
        raise CardUnusable(plots=number, reason="the index is the same at all of them")
    slope = math.fsum((x - mean_x) * (y - mean_y)) / spread
    if slope <= 0:
        raise CardUnusable(plots=number, reason="biomass does not rise with the index there")
    intercept = mean_y - slope * mean_x
    ends = [intercept + slope * float(at) for at in (x.min(), x.max())]
    if not all(abs(value) <= MAX_AGB_T_PER_HA for value in ends):
        raise CardUnusable(plots=number, reason=f"the line leaves {MAX_AGB_T_PER_HA:g} t/ha")
    variance = math.fsum((y - intercept - slope * x) ** 2) / (number - PREDICTORS - 1)
    return ModelCard(
        id="fitted-on-plots",
        form="linear",
        coefficients=(intercept, slope),
        covariance=(
            (variance * (1 / number + mean_x**2 / spread), -variance * mean_x / spread),
            (-variance * mean_x / spread, variance / spread),
        ),
        domain=(float(x.min()), float(x.max())),
        saturation_agb=float(min(y.max(), MAX_AGB_T_PER_HA)),
        source=source,
        plots=number,
        residual_sd=math.sqrt(variance),
    )


def predict(card: ModelCard, index: npt.NDArray[np.int16]) -> Predicted:
    """Predict biomass from a published index; the one function that does (replay runs it too).

    Parameters
    ----------
    card
        Its index must be the one given.
    index
        int16, 10,000 x the index, any shape; -32768 where missing.

    Returns
    -------
    uint16 (10 x t/ha, half to even; 65535 where missing) and flags uint8, same shape. The index
    is clamped to the card's domain, biomass to [0, saturation]; every clamp sets its flag.
    Each possible integer is computed once in float64, so block shapes change nothing.
    """
    agb, flags = _lookup(card)
    values = np.asarray(index, dtype=np.int32)
    missing = values == NDVI_NODATA
    place = np.where(missing, 0, np.clip(values, -NDVI_SCALE, NDVI_SCALE)) + NDVI_SCALE
    return Predicted(
        np.where(missing, np.uint16(AGB_NODATA), agb[place]),
        np.where(missing, np.uint8(0), flags[place]),
    )


def count_flags(predicted: Predicted, inside: npt.NDArray[np.bool_]) -> FlagCounts:
    """Count the pixels of an area (bool, same shape) by flag."""
    valid = inside & (predicted.agb != AGB_NODATA)
    marks = (BELOW_DOMAIN, ABOVE_DOMAIN, SATURATED, NEGATIVE)
    marked = [int(np.count_nonzero(valid & ((predicted.flags & mark) > 0))) for mark in marks]
    return FlagCounts(int(np.count_nonzero(valid)), *marked)


@functools.lru_cache(maxsize=8)
def _lookup(card: ModelCard) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Tabulate the card over every integer index from -10,000 to 10,000."""
    agb = np.zeros(2 * NDVI_SCALE + 1, dtype=np.uint16)
    flags = np.zeros(2 * NDVI_SCALE + 1, dtype=np.uint8)
    low, high = card.domain
    for place in range(len(agb)):
        index = (place - NDVI_SCALE) / NDVI_SCALE
        value = agb_t_per_ha(card, min(max(index, low), high))
        flags[place] = (
            BELOW_DOMAIN * (index < low)
            + ABOVE_DOMAIN * (index > high)
            + SATURATED * (value > card.saturation_agb)
            + NEGATIVE * (value < 0)
        )
        agb[place] = round(min(max(value, 0.0), card.saturation_agb) * AGB_SCALE)
    return agb, flags
