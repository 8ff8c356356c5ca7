"""From plot values to means with their error: what may be concluded from a sample.

May import types and errors. Order: quantile and interval, single estimators (sample, strata,
pairs, two samples, map-assisted), the plots of the two ends, the change of stock between them.
Sums run through math.fsum, so that the order of the rows changes no digit.

Sources: data/reference notes 2.6 (plot expansion), 3.3 (difference estimator, Stahl et al. 2016,
Forest Ecosystems 3:5); Welch 1947, Satterthwaite 1946 for the degrees of freedom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from geo.errors import BadInput
from geo.types import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from geo.types import Plot

LEVEL = 0.90
"""Two-sided confidence level of every interval (VCS Methodology Requirements v5.0, 2.4)."""

MAX_DAYS_FROM_END = 365
"""A plot further from both ends of the period than this says nothing about either."""

MIN_SAMPLE = 2
"""One value has no spread, so no standard error; it is not invented."""

AGB_UNIT = "t/ha"

_NO_SPREAD = 1e-9
"""Relative range of a predictor that is rounding only."""


@dataclass(frozen=True)
class MapAssisted:
    """A mean that plots and a map earn together."""

    estimate: Estimate
    mean_residual: float
    """Mean of observed minus predicted at the plots, unit of the estimate."""
    relative_efficiency: float | None
    """Variance of the plots alone over this variance; null when this one is 0. Reported only."""


@dataclass(frozen=True)
class PlotEnds:
    """Plot measurements sorted to the ends of a period; at most one of a plot at each end."""

    start: tuple[Plot, ...]
    end: tuple[Plot, ...]
    not_used: tuple[tuple[Plot, str], ...]
    """What was left out, each with the reason."""


@dataclass(frozen=True)
class StockChange:
    """Above-ground biomass per hectare at both ends and its change; null where unknown."""

    start: Estimate | None
    end: Estimate | None
    change: Estimate | None
    design: str
    """`paired`, `two-sample` or `none`."""
    ends: PlotEnds
    """The plots that made the numbers, in the order of their ids."""
    notes: tuple[str, ...]

    @property
    def measured_from(self) -> date | None:
        """First day of the measured span: the oldest plot used at the start."""
        return min((plot.measured_on for plot in self.ends.start), default=None)

    @property
    def measured_to(self) -> date | None:
        """Last day of the measured span: the youngest plot used at the end."""
        return max((plot.measured_on for plot in self.ends.end), default=None)


def t_quantile(df: float, *, level: float = LEVEL) -> float:
    """Two-sided Student quantile: `level` of the distribution lies within +- this.

    `df` may be fractional (Satterthwaite) or infinite (then the normal quantile).
    """
    upper = 0.5 + level / 2
    return float(special.ndtri(upper) if math.isinf(df) else special.stdtrit(df, upper))


def half_width(estimate: Estimate) -> float:
    """Half of the 90 % confidence interval, unit of the estimate."""
    return t_quantile(estimate.df) * estimate.se


def ci90(estimate: Estimate) -> tuple[float, float]:
    """Both limits of the 90 % confidence interval, unit of the estimate."""
    half = half_width(estimate)
    return estimate.mean - half, estimate.mean + half


def relative_half_width(estimate: Estimate) -> float | None:
    """U = half-width / |mean|, unit 1; None where the mean is 0 (then U has no meaning)."""
    return half_width(estimate) / abs(estimate.mean) if estimate.mean else None


def scaled(estimate: Estimate, factor: float, *, unit: str) -> Estimate:
    """Multiply by a number without error (area, carbon fraction); the unit changes with it."""
    return Estimate(estimate.mean * factor, estimate.se * abs(factor), estimate.df, unit)


def sample_mean(values: Sequence[float], *, unit: str = AGB_UNIT) -> Estimate:
    """Mean of a simple random sample: SE = s / sqrt(n), df = n - 1 (TV-14).

    The finite population is not corrected for: plots cover far less than 5 % of the land.

    Raises
    ------
    BadInput
        With fewer than two values: one value has no standard error.
    """
    _need(len(values), "a mean with its error")
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    df = len(values) - 1
    return Estimate(mean, math.sqrt(squares / df / len(values)), df, unit)


def stratified_mean(
    values: Mapping[str, Sequence[float]], *, weights: Mapping[str, float], unit: str = AGB_UNIT
) -> Estimate:
    """Mean over strata, sum W_h m_h, V = sum W_h^2 s_h^2/n_h, df by Satterthwaite.

    Parameters
    ----------
    values
        Sample of each stratum, the same strata as `weights`.
    weights
        Share of the area, unit 1; brought to a sum of 1 here.
    """
    if set(values) != set(weights):
        raise BadInput(
            what="strata",
            problem=f"plots lie in {sorted(values)}, weights are given for {sorted(weights)}",
            fix="Give every stratum plots and an area.",
        )
    total = math.fsum(weights.values())
    parts = {name: sample_mean(sample, unit=unit) for name, sample in values.items()}
    share = {name: weights[name] / total for name in sorted(parts)}
    variances = {name: (share[name] * parts[name].se) ** 2 for name in share}
    return Estimate(
        math.fsum(share[name] * parts[name].mean for name in share),
        math.sqrt(math.fsum(variances.values())),
        _satterthwaite([(variances[name], parts[name].df) for name in share]),
        unit,
    )


def two_sample_difference(start: Estimate, end: Estimate) -> Estimate:
    """End minus start of two independent samples, df by Welch-Satterthwaite."""
    parts = [(start.se**2, start.df), (end.se**2, end.df)]
    return Estimate(
        end.mean - start.mean,
        math.sqrt(parts[0][0] + parts[1][0]),
        _satterthwaite(parts),
        end.unit,
    )


def difference_estimator(
    observed: Sequence[float],
    predicted: Sequence[float],
    *,
    map_mean: float,
    residuals: Sequence[float] | None = None,
    unit: str = AGB_UNIT,
) -> MapAssisted:
    """Correct the map's mean by what plots say about its error (TV-16).

    mu = map_mean + ebar, V = sum (e_j - ebar)^2 / (n (n - 1)), e_j = y_j - yhat_j. Unbiased by
    design even where the map is wrong; the map changes the variance only.

    Parameters
    ----------
    observed, predicted
        Plot values and the map's mean over the same plot-sized supports, same order, t/ha.
    map_mean
        The map's mean over the whole area, t/ha.
    residuals
        Cross-validated residuals for the variance when the map was fitted on these very plots;
        without them the plain ones are taken (external map).

    Source: Stahl et al. 2016; McRoberts (data/reference 3.3).
    """
    errors = [y - yhat for y, yhat in zip(observed, predicted, strict=True)]
    _need(len(errors), "a map corrected by plots")
    mean_residual = math.fsum(errors) / len(errors)
    spread = sample_mean(errors if residuals is None else residuals, unit=unit)
    alone = sample_mean(observed, unit=unit)
    return MapAssisted(
        Estimate(map_mean + mean_residual, spread.se, spread.df, unit),
        mean_residual,
        (alone.se / spread.se) ** 2 if spread.se else None,
    )


def fit_line(predictor: Sequence[float], response: Sequence[float]) -> tuple[float, float]:
    """Least-squares line, intercept and slope.

    Raises
    ------
    BadInput
        Where the predictor does not vary: no line goes through one point.
    """
    _need(len(predictor), "a line")
    x, y = np.asarray(predictor, dtype=np.float64), np.asarray(response, dtype=np.float64)
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    if float(np.ptp(x)) <= _NO_SPREAD * float(np.max(np.abs(x))):
        raise BadInput(
            what="the plots' index values",
            problem="do not vary enough to fit a line",
            fix="Give plots over a range of biomass, or a model card.",
        )
    slope = math.fsum((x - mean_x) * (y - mean_y)) / math.fsum((x - mean_x) ** 2)
    return mean_y - slope * mean_x, slope


def lines_without_each(
    predictor: Sequence[float], response: Sequence[float]
) -> list[tuple[float, float]]:
    """Fit the line once for each point, on all the others: for residuals of an internal model."""
    return [
        fit_line(
            [x for other, x in enumerate(predictor) if other != left_out],
            [y for other, y in enumerate(response) if other != left_out],
        )
        for left_out in range(len(predictor))
    ]


def assign_plots(plots: Sequence[Plot], *, t0: date, end: date) -> PlotEnds:
    """Sort measurements to the end of [t0, end] that is nearest, at most 365 days away.

    As far from both (a span of less than two years): the start. Of two measurements of a plot
    at one end the nearer one counts; both as near: the earlier one.
    """
    groups: dict[tuple[bool, str], list[Plot]] = {}
    not_used: list[tuple[Plot, str]] = []
    for plot in sorted(plots, key=lambda plot: (plot.plot_id, plot.measured_on)):
        at_end = _days(plot, end) < _days(plot, t0)
        target = end if at_end else t0
        if _days(plot, target) > MAX_DAYS_FROM_END:
            not_used.append((plot, f"{_days(plot, target)} days from the nearest end, {target}"))
        else:
            groups.setdefault((at_end, plot.plot_id), []).append(plot)
    chosen: dict[bool, list[Plot]] = {False: [], True: []}
    for (at_end, _), visits in sorted(groups.items()):
        target = end if at_end else t0
        nearest = _nearest(visits, target)
        chosen[at_end].append(nearest)
        told = f"the plot was measured nearer to {target}, on {nearest.measured_on}"
        not_used += [(plot, told) for plot in visits if plot is not nearest]
    return PlotEnds(tuple(chosen[False]), tuple(chosen[True]), tuple(not_used))


def stock_change(
    ends: PlotEnds, *, weights: Mapping[str, float] | None, permanent: bool | None
) -> StockChange:
    """Stocks at both ends and their change, t/ha.

    Parameters
    ----------
    ends
        The plots, sorted to the ends.
    weights
        Share of the area of each stratum; None for a simple random sample.
    permanent
        Whether equal ids mean the same plot; None: taken from the ids. With False, equal ids
        are two samples all the same.

    Returns
    -------
    Pairs where at least two plots (in each stratum) stand at both ends, df n - 1; other plots
    are then left out of all three numbers, so that start + change = end. Else two samples,
    df by Welch-Satterthwaite. An end with fewer than two plots: None, and so is the change.
    """
    start = {plot.plot_id: plot for plot in ends.start}
    end = {plot.plot_id: plot for plot in ends.end}
    both = sorted(set(start) & set(end)) if permanent is not False else []
    notes: list[str] = []
    if both and _enough([start[name] for name in both], weights):
        single = sorted(set(start) ^ set(end))
        if single:
            notes.append(
                f"{len(both)} plots stand at both ends and make the numbers; "
                f"{len(single)} stand at one end only and are left out: {', '.join(single)}"
            )
        pairs = PlotEnds(
            tuple(start[name] for name in both), tuple(end[name] for name in both), ends.not_used
        )
        return _paired(pairs, weights, tuple(notes))
    if both:
        notes.append(f"{len(both)} plots stand at both ends, too few for pairs: two samples")
    if permanent and not both:
        notes.append("the project file says permanent plots, but no plot stands at both ends")
    first = _mean(ends.start, weights) if _enough(ends.start, weights) else None
    last = _mean(ends.end, weights) if _enough(ends.end, weights) else None
    known = first is not None and last is not None
    return StockChange(
        first,
        last,
        two_sample_difference(first, last) if first is not None and last is not None else None,
        "two-sample" if known else "none",
        ends,
        tuple(notes),
    )


def _days(plot: Plot, day: date) -> int:
    return abs((plot.measured_on - day).days)


def _nearest(visits: Sequence[Plot], day: date) -> Plot:
    return min(visits, key=lambda plot: (_days(plot, day), plot.measured_on))


def _paired(
    ends: PlotEnds, weights: Mapping[str, float] | None, notes: tuple[str, ...]
) -> StockChange:
    differences = [
        last.agb_t_per_ha - first.agb_t_per_ha
        for first, last in zip(ends.start, ends.end, strict=True)
    ]
    return StockChange(
        _mean(ends.start, weights),
        _mean(ends.end, weights),
        _mean(ends.start, weights, differences),
        "paired",
        ends,
        notes,
    )


def _mean(
    plots: Sequence[Plot],
    weights: Mapping[str, float] | None,
    values: Sequence[float] | None = None,
) -> Estimate:
    """Mean of the plots' biomass, or of `values` that belong to them."""
    taken = [plot.agb_t_per_ha for plot in plots] if values is None else values
    if weights is None:
        return sample_mean(taken)
    groups: dict[str, list[float]] = {}
    for plot, value in zip(plots, taken, strict=True):
        groups.setdefault(str(plot.stratum), []).append(value)
    return stratified_mean(groups, weights=weights)


def _enough(plots: Sequence[Plot], weights: Mapping[str, float] | None) -> bool:
    if weights is None:
        return len(plots) >= MIN_SAMPLE
    counts = [sum(plot.stratum == name for plot in plots) for name in weights]
    return min(counts, default=0) >= MIN_SAMPLE


def _satterthwaite(parts: Sequence[tuple[float, float]]) -> float:
    """(sum v)^2 / sum(v^2 / df); the sum of the df where nothing varies."""
    total = math.fsum(variance for variance, _ in parts)
    if not total:
        return math.fsum(df for _, df in parts)
    shares = [(variance / total, df) for variance, df in parts]
    return 1 / math.fsum(share**2 / df for share, df in shares)


def _need(number: int, purpose: str) -> None:
    if number < MIN_SAMPLE:
        raise BadInput(
            what="plots",
            problem=f"{number} given for {purpose}",
            fix=f"Give at least {MIN_SAMPLE}.",
        )
