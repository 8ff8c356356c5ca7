"""From plots (and, where asked for, a biomass map) to the change of stock over an area.

Imports inference, carbon, biomass, zonal, project, types. Order: the values, the plots that
count, strata, the estimator, carbon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import shapely

from geo import biomass, carbon
from geo.errors import BadInput
from geo.inference import (
    MIN_SAMPLE,
    PlotEnds,
    StockChange,
    assign_plots,
    difference_estimator,
    scaled,
    stock_change,
    two_sample_difference,
)
from geo.project import StatedRatio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geo.biomass_map import BiomassMap
    from geo.inference import MapAssisted
    from geo.project import ProjectFile, Stratum
    from geo.types import Boundary, Estimate, Period, Plot

AREA_TOLERANCE = 0.01
"""Strata must add up to the area within this share (our choice)."""


@dataclass(frozen=True)
class Sample:
    """The plots of an area, sorted to the ends of the period."""

    given: int
    """Measurements in the file."""
    outside: tuple[Plot, ...]
    ends: PlotEnds
    weights: Mapping[str, float] | None
    """Hectares of each stratum; None for a simple random sample."""


@dataclass(frozen=True)
class Stocks:
    """Above-ground biomass at both ends and its change, and what it is in carbon dioxide."""

    change: StockChange
    """t/ha; None where unknown."""
    change_tco2e: Estimate | None
    """Over the area, with roots; sampling error only."""
    ratios: Mapping[str, carbon.RootShoot]
    """By stratum; one entry, named "", without strata."""
    relative_efficiency: float | None
    """Of the difference estimator, for the change; reported, never used to choose."""


def sort_plots(
    plots: Sequence[Plot], *, boundary: Boundary, project_file: ProjectFile, period: Period
) -> Sample:
    """Leave out plots that do not lie in the area and sort the rest to the ends.

    Parameters
    ----------
    plots
        As read.
    boundary
        A plot counts where its centre lies in the area or on its edge.
    project_file
        Its `plot_design` and `strata`.
    period
        From t0 to the end.

    Raises
    ------
    BadInput
        Where longitude and latitude were swapped, or strata do not fit the plots or the area.
    """
    shapely.prepare(boundary.geometry)
    outside = [p for p in plots if not boundary.geometry.covers(shapely.Point(p.lon, p.lat))]
    swapped = [p for p in outside if boundary.geometry.covers(shapely.Point(p.lat, p.lon))]
    if swapped:
        names = ", ".join(sorted({plot.plot_id for plot in swapped}))
        raise BadInput(
            what="plots",
            problem=f"{names} lie in the area once longitude and latitude are swapped",
            fix="Swap the columns lon and lat.",
        )
    out = set(outside)
    inside = [plot for plot in plots if plot not in out]
    weights = _stratum_areas(project_file, boundary, inside)
    ends = assign_plots(inside, t0=period.start, end=period.end)
    return Sample(len(plots), tuple(outside), ends, weights)


def refuse_without_card(sample: Sample, project_file: ProjectFile) -> None:
    """Refuse the difference estimator where no card is given and too few plots stand at t0."""
    few = len(sample.ends.start) < biomass.MIN_FIT_PLOTS
    if project_file.estimator == "difference" and project_file.model_card is None and few:
        raise _no_card()


def _no_card() -> BadInput:
    return BadInput(
        what="estimator",
        problem="difference needs a biomass map, and no card was given or could be fitted",
        fix=f"Name model_card, give {biomass.MIN_FIT_PLOTS} plots or more whose biomass rises with "
        "NDVI, or take mean.",
    )


def _stratum_areas(
    project_file: ProjectFile, boundary: Boundary, plots: Sequence[Plot]
) -> dict[str, float] | None:
    strata = project_file.strata or ()
    if project_file.plot_design != "stratified":
        return None
    if not strata:
        raise BadInput(
            what="plot_design",
            problem="is stratified and the project file names no strata",
            fix='Add "strata": [{"id": ..., "area_ha": ...}].',
        )
    areas = {stratum.id: stratum.area_ha for stratum in strata}
    total = math.fsum(areas.values())
    if abs(total - boundary.area_ha) > AREA_TOLERANCE * boundary.area_ha:
        raise BadInput(
            what="strata",
            problem=f"cover {total:.3f} ha together, the area has {boundary.area_ha:.3f} ha",
            fix="Correct their area_ha, or the boundary.",
        )
    lost = sorted(
        {f"{plot.plot_id} ({plot.stratum})" for plot in plots if plot.stratum not in areas}
    )
    if lost:
        raise BadInput(
            what="plots",
            problem=f"{', '.join(lost)} lie in no stratum of the project file",
            fix=f"Name one of {', '.join(areas)} in their column stratum.",
        )
    return areas


def draw_up(
    sample: Sample,
    *,
    boundary: Boundary,
    project_file: ProjectFile,
    zone: str | None,
    biomass_map: BiomassMap | None = None,
) -> Stocks:
    """Estimate the stocks and their change by the estimator that the project file fixed.

    Parameters
    ----------
    zone
        From the command line or the project file, for the root-to-shoot ratio.
    biomass_map
        Needed by `difference` only.

    Raises
    ------
    BadInput
        An estimator that cannot be had here, a zone that has no usable ratio.
    """
    permanent = project_file.permanent_plots
    stock = stock_change(sample.ends, weights=sample.weights, permanent=permanent)
    efficiency = None
    if project_file.estimator == "difference" and stock.change is not None:
        if biomass_map is None:
            raise _no_card()
        stock, efficiency = _assisted(stock, biomass_map)
    ratios = _ratios(stock, project_file, zone, sample.weights)
    return Stocks(stock, _tco2e(stock, ratios, sample, permanent, boundary), ratios, efficiency)


def refuse_estimator(project_file: ProjectFile) -> None:
    """Refuse an estimator that cannot be had, before any pixel is read."""
    if project_file.estimator == "greg":
        raise BadInput(
            what="estimator",
            problem="greg comes with the measurement work and cannot be chosen yet",
            fix="Take mean or difference.",
        )
    if project_file.estimator == "difference" and project_file.plot_design == "stratified":
        raise BadInput(
            what="estimator",
            problem="difference over strata comes with the measurement work",
            fix="Take mean, or a simple random sample.",
        )


@dataclass(frozen=True)
class _Seen:
    """One plot that the map knows, t/ha."""

    plot: Plot
    predicted: float
    residual: float


def _assisted(stock: StockChange, made: BiomassMap) -> tuple[StockChange, float | None]:
    """Let map and plots earn the numbers together, at both ends and for the change (TV-16)."""
    first = _seen(stock.ends.start, made, end=0)
    last = _seen(stock.ends.end, made, end=1)
    if stock.design == "paired":
        both = {seen.plot.plot_id for seen in first} & {seen.plot.plot_id for seen in last}
        first, last = ([seen for seen in end if seen.plot.plot_id in both] for end in (first, last))
    means = made.means()
    if means is None or min(len(first), len(last)) < MIN_SAMPLE:
        raise BadInput(
            what="estimator",
            problem="difference needs pixels with a value at the plots and over the area",
            fix="Widen the dates, or take mean.",
        )
    start, end = (
        _corrected([s.plot.agb_t_per_ha for s in seen], seen, mean)
        for seen, mean in zip((first, last), means, strict=True)
    )
    if stock.design == "paired":
        steps = [
            _Seen(late.plot, late.predicted - early.predicted, late.residual - early.residual)
            for early, late in zip(first, last, strict=True)
        ]
        observed = [
            late.plot.agb_t_per_ha - early.plot.agb_t_per_ha
            for early, late in zip(first, last, strict=True)
        ]
        change = _corrected(observed, steps, means[1] - means[0])
        estimate, efficiency = change.estimate, change.relative_efficiency
    else:
        estimate, efficiency = two_sample_difference(start.estimate, end.estimate), None
    ends = PlotEnds(
        tuple(seen.plot for seen in first),
        tuple(seen.plot for seen in last),
        stock.ends.not_used,
    )
    assisted = replace(stock, start=start.estimate, end=end.estimate, change=estimate, ends=ends)
    return assisted, efficiency


def _seen(plots: Sequence[Plot], made: BiomassMap, *, end: int) -> list[_Seen]:
    """Look each plot up in the map; plots without a known pixel are left out."""
    found = []
    for plot in plots:
        predicted, residual = made.at_plot(plot, end=end), made.residual(plot, end=end)
        if predicted is not None and residual is not None:
            found.append(_Seen(plot, predicted, residual))
    return found


def _corrected(observed: Sequence[float], seen: Sequence[_Seen], map_mean: float) -> MapAssisted:
    return difference_estimator(
        observed,
        [one.predicted for one in seen],
        map_mean=map_mean,
        residuals=[one.residual for one in seen],
    )


def _ratios(
    stock: StockChange,
    project_file: ProjectFile,
    zone: str | None,
    weights: Mapping[str, float] | None,
) -> dict[str, carbon.RootShoot]:
    if weights is None:
        stocks = [e.mean for e in (stock.start, stock.end) if e is not None]
        return {"": choose_ratio(project_file, None, zone=zone, stocks=stocks)}
    by_id = {stratum.id: stratum for stratum in project_file.strata or ()}
    return {
        name: choose_ratio(project_file, by_id[name], zone=zone, stocks=_stratum_means(stock, name))
        for name in weights
    }


def choose_ratio(
    project_file: ProjectFile,
    stratum: Stratum | None,
    *,
    zone: str | None,
    stocks: Sequence[float] = (),
) -> carbon.RootShoot:
    """Choose the ratio of one stratum: its own words first, then the project's."""
    own = stratum is not None and (stratum.root_shoot is not None or stratum.zone is not None)
    stated = stratum.root_shoot if own and stratum is not None else project_file.root_shoot
    place = stratum.zone if own and stratum is not None else zone
    if isinstance(stated, StatedRatio):
        return carbon.root_shoot(
            stated=stated.value,
            stated_source=stated.source,
            justification=stated.justification,
            zone=place,
        )
    return carbon.root_shoot(stated=stated, zone=place, stocks_t_per_ha=stocks)


def _stratum_means(stock: StockChange, name: str) -> list[float]:
    means = []
    for plots in (stock.ends.start, stock.ends.end):
        values = [plot.agb_t_per_ha for plot in plots if plot.stratum == name]
        if values:
            means.append(math.fsum(values) / len(values))
    return means


def _tco2e(
    stock: StockChange,
    ratios: Mapping[str, carbon.RootShoot],
    sample: Sample,
    permanent: bool | None,  # noqa: FBT001 (a value of the project file)
    boundary: Boundary,
) -> Estimate | None:
    """Change of stock over the area in carbon dioxide, each stratum with its own ratio."""
    if stock.change is None:
        return None
    factors = {name: carbon.tco2e_per_agb(ratio.value) for name, ratio in ratios.items()}
    if len(set(factors.values())) == 1:
        factor = next(iter(factors.values()))
        return scaled(stock.change, factor * boundary.area_ha, unit="tCO2e")
    start, end = (
        tuple(
            replace(plot, agb_t_per_ha=plot.agb_t_per_ha * factors[str(plot.stratum)])
            for plot in plots
        )
        for plots in (stock.ends.start, stock.ends.end)
    )
    ends = PlotEnds(start, end, stock.ends.not_used)
    per_ha = stock_change(ends, weights=sample.weights, permanent=permanent).change
    return None if per_ha is None else scaled(per_ha, boundary.area_ha, unit="tCO2e")
