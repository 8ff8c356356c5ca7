"""From the change of stock to what may be credited; the order of every subtraction is here.

May import types and inference. Order: the values, the deduction, the removals block.
All in tCO2e, unrounded, cumulative from t0 but for `buffer` and `creditable`, which are the
increment's. Rounding to kilograms happens once, in the registry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from geo.inference import relative_half_width

if TYPE_CHECKING:
    from geo.types import Estimate

FREE_UNCERTAINTY = 0.10
"""Up to this relative half-width nothing is deducted."""

MAX_UNCERTAINTY = 1.0
"""Above this nothing is credited."""

Z90 = 1.6449
TWO_THIRDS_QUANTILE = 0.4307
"""Literal constants of the deduction; 0.4307 is the normal quantile of 2/3 (Neeff 2021)."""


@dataclass(frozen=True)
class Declared:
    """What the project file declares, tCO2e, cumulative from t0; buffer in percent."""

    previous_net: float = 0.0
    previous_buffer_base: float = 0.0
    project_emissions: float = 0.0
    leakage: float = 0.0
    buffer_percent: float = 12.0


@dataclass(frozen=True)
class Removals:
    """What was removed, what is taken off, what remains; tCO2e, null where stocks are unknown."""

    gross: float | None
    """Change of living biomass, above ground and roots, cumulative from t0; < 0 is a loss."""
    baseline: float
    uncertainty_deduction: float | None
    project_emissions: float
    leakage: float
    net: float | None
    """gross - baseline - uncertainty_deduction - project_emissions - leakage."""
    previous: float
    """`net` of the report before."""
    buffer_base: float | None
    """gross - baseline - uncertainty_deduction: what the buffer percentage is taken of."""
    buffer: float | None
    """Of the increment of `buffer_base` since the report before; never below 0."""
    creditable: float | None
    """max(0, net - previous - buffer); 0 where something blocks."""
    relative_half_width: float | None
    """U: half-width of the 90 % interval over |gross - baseline|, unit 1."""
    deduction_share: float | None
    """D, unit 1; 0 for a loss."""


def deduction_share(relative_half_width_90: float) -> float:
    """Share of a gain that is taken off for its uncertainty, unit 1 (TV-28).

    D = 0 where U <= 10 %, else U / 1.6449 x 0.4307 of the whole U; 1 where U > 100 %.

    Source: VCS Methodology Requirements v5.0, 2.4.
    """
    if relative_half_width_90 <= FREE_UNCERTAINTY:
        return 0.0
    if relative_half_width_90 > MAX_UNCERTAINTY:
        return 1.0
    return relative_half_width_90 / Z90 * TWO_THIRDS_QUANTILE


def after_discount(change: float, share: float) -> float:
    """Discount a gain by a share, a loss never: min(x, x (1 - share)) (TV-23, last line)."""
    return min(change, change * (1 - share))


def removals(
    change: Estimate | None, *, baseline: float, declared: Declared, blocked: bool = False
) -> Removals:
    """Reckon the removals block.

    Parameters
    ----------
    change
        Change of stock from t0 to the end over the area, tCO2e with its sampling error; None
        where a stock is unknown.
    baseline
        Change that would have come anyway, tCO2e, taken as known without error.
    declared
        What the project file declares.
    blocked
        A blocking problem stands in `quality`: nothing is creditable, the rest is shown.

    Returns
    -------
    The block; what depends on an unknown stock is None, never 0.
    """
    if change is None:
        return Removals(
            gross=None,
            baseline=baseline,
            uncertainty_deduction=None,
            project_emissions=declared.project_emissions,
            leakage=declared.leakage,
            net=None,
            previous=declared.previous_net,
            buffer_base=None,
            buffer=None,
            creditable=None,
            relative_half_width=None,
            deduction_share=None,
        )
    above_baseline = change.mean - baseline
    width = relative_half_width(replace(change, mean=above_baseline))
    share = deduction_share(width) if above_baseline > 0 and width is not None else 0.0
    base = after_discount(above_baseline, share)
    net = base - declared.project_emissions - declared.leakage
    buffer = declared.buffer_percent / 100 * max(0.0, base - declared.previous_buffer_base)
    creditable = max(0.0, net - declared.previous_net - buffer)
    return Removals(
        gross=change.mean,
        baseline=baseline,
        uncertainty_deduction=above_baseline - base,
        project_emissions=declared.project_emissions,
        leakage=declared.leakage,
        net=net,
        previous=declared.previous_net,
        buffer_base=base,
        buffer=buffer,
        creditable=0.0 if blocked else creditable,
        relative_half_width=width,
        deduction_share=share,
    )
