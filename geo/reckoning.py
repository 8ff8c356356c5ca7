"""From what pixels and plots say to everything that one estimate found out.

Imports stocks, biomass_map, survey, sequestration, quality, baseline, document's value. Order:
what it needs, the reckoning, the sentences about imagery and carbon.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from geo import quality
from geo.baseline import declared_zero
from geo.biomass_map import make_map
from geo.carbon import tco2e_per_agb, tier1
from geo.disturbance import loss_between_seasons
from geo.document import Asked, Findings
from geo.grid import pixel_areas_m2
from geo.project import MIN_BUFFER_PERCENT
from geo.sequestration import Declared, removals
from geo.stocks import draw_up, sort_plots
from geo.survey import NDVI
from geo.types import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from geo.baseline import Baseline
    from geo.biomass_map import BiomassMap
    from geo.carbon import RootShoot
    from geo.disturbance import LossReport
    from geo.measure import Measurement
    from geo.sequestration import Removals
    from geo.stocks import Sample, Stocks
    from geo.survey import Survey

_ORDER = {"blocking": 0, "warning": 1, "info": 2}
_NAMED_REASONS = 4


def reckon(asked: Asked, measurement: Measurement, *, survey: Survey) -> Findings:
    """Bring plots, pixels and the project file together.

    Parameters
    ----------
    asked
        The plan, read back.
    measurement, survey
        The pixels, lazy and computed.

    Returns
    -------
    Every number and finding of the document. Something blocking makes `creditable` 0 (null
    only where a stock is unknown) and leaves the other numbers as they are.
    """
    loss = loss_between_seasons(
        survey.composites[NDVI],
        seasons=survey.seasons,
        weights=survey.weight,
        pixel_m2=pixel_areas_m2(survey.grid),
    )
    sample, biomass_map, stocks, said_of_map = _stocks(asked, survey)
    baseline = declared_zero(donor_pool=asked.donor_pool)
    refused = [entry.to_json() for entry in (*asked.imagery.refused, *measurement.refused)]
    found = [
        *quality.project_findings(asked.project, start=asked.period.start),
        *_request_findings(asked),
        *asked.imagery.findings,
        *_scene_findings(refused, measurement),
        *_plot_findings(asked, sample, stocks),
        *said_of_map,
        *_imagery_findings(survey, stocks, loss),
        *_carbon_findings(stocks.ratios),
        *_removal_findings(_removals(asked, stocks, baseline, blocked=False)),
    ]
    kind = quality.decide_kind(
        stocks.change,
        project=asked.project,
        baseline_measured=asked.methodology.baseline != "declared-zero",
        outside=len(sample.outside),
        findings=found,
    )
    found.append(quality.kind_finding(kind))
    return Findings(
        asked=asked,
        measurement=measurement,
        survey=survey,
        loss=loss,
        sample=sample,
        stocks=stocks,
        biomass_map=biomass_map,
        tier1=tier1(asked.zone),
        baseline=baseline,
        removals=_removals(asked, stocks, baseline, blocked=quality.is_blocked(found)),
        kind=kind,
        refused=refused,
        quality=sorted(found, key=lambda finding: _ORDER[finding.severity]),
    )


def _stocks(
    asked: Asked, survey: Survey
) -> tuple[Sample, BiomassMap | None, Stocks, list[Finding]]:
    """Sort the plots, predict biomass where there is a card, estimate the stocks."""
    sample = sort_plots(
        asked.plots,
        boundary=asked.boundary,
        project_file=asked.project,
        period=asked.crediting,
    )
    biomass_map, said = make_map(
        survey.ends,
        card=asked.project.model_card,
        plots=sample.ends,
        place=(survey.grid, survey.weight),
    )
    stocks = draw_up(
        sample,
        boundary=asked.boundary,
        project_file=asked.project,
        zone=asked.zone,
        biomass_map=biomass_map,
    )
    return sample, biomass_map, stocks, said


def _removals(asked: Asked, stocks: Stocks, baseline: Baseline, *, blocked: bool) -> Removals:
    project = asked.project
    factor = max(tco2e_per_agb(ratio.value) for ratio in stocks.ratios.values())
    return removals(
        stocks.change_tco2e,
        baseline=baseline.agb_change_t * factor,
        declared=Declared(
            previous_net=project.previous_net_tco2e or 0.0,
            previous_buffer_base=project.previous_buffer_base_tco2e or 0.0,
            project_emissions=project.project_emissions_tco2e or 0.0,
            leakage=project.leakage_tco2e or 0.0,
            buffer_percent=project.buffer_percent or MIN_BUFFER_PERCENT,
        ),
        blocked=blocked,
    )


def _removal_findings(block: Removals) -> list[Finding]:
    return [
        *quality.uncertainty_findings(block.relative_half_width, block.deduction_share),
        *quality.increment_findings(
            net=block.net, previous=block.previous, creditable=block.creditable
        ),
    ]


def _request_findings(asked: Asked) -> Iterable[Finding]:
    for repair in asked.boundary.repairs:
        yield Finding("boundary-repaired", "info", repair)
    if asked.donor_pool is not None:
        told = f"The donor pool {asked.donor_pool} is recorded; stock-difference does not use it."
        yield Finding("donor-pool-not-used", "info", told)
    if asked.project.strata and asked.project.plot_design != "stratified":
        told = "The project file names strata, but its plot_design is not stratified: not used."
        yield Finding("strata-not-used", "warning", told)
    if not asked.series_in_bundle:
        told = "ndvi_series.tif would be larger than 50 MB and is left out of the bundle."
        yield Finding("series-left-out", "info", told)


def _scene_findings(
    refused: Sequence[Mapping[str, Any]], measurement: Measurement
) -> Iterable[Finding]:
    if refused:
        reasons = Counter(str(entry["reason"]) for entry in refused).most_common()
        told = "; ".join(f"{count} x {reason}" for reason, count in reasons[:_NAMED_REASONS])
        more = len(reasons) - _NAMED_REASONS
        told += f"; {more} other reasons" if more > 0 else ""
        yield Finding("scenes-refused", "info", f"{len(refused)} scenes are not used: {told}.")
    for reason in measurement.unavailable:
        yield Finding("index-unavailable", "info", reason)
    if not measurement.looks_known:
        told = "The scenes are composites of others: how often the ground was seen is unknown."
        yield Finding("looks-unknown", "warning", told)


def _plot_findings(asked: Asked, sample: Sample, stocks: Stocks) -> list[Finding]:
    return quality.plot_findings(
        stocks.change, outside=sample.outside, given=sample.given, period=asked.crediting
    )


def _imagery_findings(survey: Survey, stocks: Stocks, loss: LossReport) -> Iterable[Finding]:
    if loss.refuses:
        yield Finding("loss-detected", "blocking", loss.sentence())
    elif loss.lost_ha > 0:
        yield Finding("loss-below-threshold", "warning", loss.sentence())
    else:
        yield Finding("no-loss-found", "info", loss.sentence())
    means = survey.means[NDVI]
    yield from quality.imagery_findings(
        change=stocks.change.change,
        ndvi_start=means.start if means else None,
        ndvi_end=means.end if means else None,
        missing_start=survey.missing[0],
        missing_end=survey.missing[1],
    )
    if survey.not_positive:
        told = f"{survey.not_positive} clear looks were masked: a reflectance was not above 0."
        yield Finding("reflectance-not-positive", "info", told)


def _carbon_findings(ratios: Mapping[str, RootShoot]) -> Iterable[Finding]:
    for name, ratio in ratios.items():
        where = f" of stratum {name}" if name else ""
        told = f"Root-to-shoot{where}: {ratio.value:g} t/t ({ratio.source})."
        if ratio.fallback:
            fix = "Name root_shoot with its source, or a zone."
            yield Finding("root-shoot-fallback", "warning", f"{told} {fix}")
        elif "sources-disagree" in ratio.flags:
            told += " Two copies of the table disagree; the smaller value is taken."
            yield Finding("root-shoot-sources-disagree", "warning", told)
        elif "without a source" in ratio.source:
            yield Finding("root-shoot-without-source", "warning", told)
