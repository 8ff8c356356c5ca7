"""What has to be said beside a number, and what the number may be used for.

May import inference, project, types. Order: absent keys, plots, stocks, imagery, removals, kind.
A finding names the value and, where there is one, the fix. One blocking finding is enough for
nothing to be creditable.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geo.inference import MIN_SAMPLE, ci90
from geo.project import MIN_BUFFER_PERCENT
from geo.types import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from geo.inference import StockChange
    from geo.project import ProjectFile
    from geo.types import Estimate, Period, Plot

MIN_ISSUABLE_PLOTS = 8
"""Plots in each stratum for an `issuable` result (our choice)."""

MISSING_SHARE_WARNS = 0.10
MISSING_SHARE_BLOCKS = 0.50
"""Share of the area without a clear value at an end (our choice): above the second the pixels
cannot bear out what the plots say."""

NOT_USED_BY = "is not used by stock-difference"

_ABSENT = {
    "t0": "the start of the period is taken",
    "previous_net_tco2e": "0 is taken",
    "previous_buffer_base_tco2e": "0 is taken",
    "project_emissions_tco2e": "0 is taken",
    "leakage_tco2e": "0 is taken",
    "plot_design": "a simple random sample is taken",
    "permanent_plots": "equal plot ids are taken as one plot",
    "estimator": "mean is taken",
    "illustrative": "the plots are taken as illustrative",
    "benchmark": f"the default specification would be; it {NOT_USED_BY}",
    "vmd0054": f"leakage is as declared; it {NOT_USED_BY}",
    "nprt": f"buffer_percent is as declared; it {NOT_USED_BY}",
}
"""Keys whose absence is a warning `<key>-not-stated`, with what is done instead."""


@dataclass(frozen=True)
class KindDecision:
    """What a result may be used for, and why not for more."""

    kind: Kind
    reasons: tuple[str, ...]
    """Why it is not `issuable`; empty when it is."""


def is_blocked(findings: Sequence[Finding]) -> bool:
    """Whether something stands against crediting."""
    return any(finding.severity == "blocking" for finding in findings)


def project_findings(project: ProjectFile, *, start: date) -> list[Finding]:
    """Name every absent key of the project file with what is taken in its place."""
    found = []
    for key, taken in _ABSENT.items():
        if key in project.absent:
            code = f"{key.removesuffix('_tco2e').replace('_', '-')}-not-stated"
            found.append(_warning(code, f"{key} is not in the project file: {taken}."))
    if project.buffer_percent is None:
        taken = f"{MIN_BUFFER_PERCENT:g} percent is taken, which nobody has rated"
        told = f"buffer_percent is not in the project file: {taken}."
        found.append(_warning("buffer-not-rated", told))
    if project.applicability is None:
        told = "Whether the methodology may be used here was not assessed (applicability)."
        found.append(_warning("applicability-not-assessed", told))
    if project.t0 is not None and project.t0 < start and project.previous_net_tco2e is None:
        told = (
            f"t0 {project.t0} lies before the period ({start}) and previous_net_tco2e is not "
            "stated: what was credited before is counted again."
        )
        found.append(_warning("earlier-credits-unknown", told))
    return found


def plot_findings(
    stock: StockChange, *, outside: Sequence[Plot], given: int, period: Period
) -> list[Finding]:
    """Say which plots made the numbers, which did not and why.

    Parameters
    ----------
    stock
        The change from the plots used.
    outside
        Plots that do not lie in the area, left out.
    given
        Number of measurements in the file; 0 without a file.
    period
        From t0 to the end.
    """
    if not given:
        told = "No plots were given: stocks are unknown, the result is indicative."
        return [_warning("no-plots", told)]
    found = _not_used_findings(stock)
    found += [
        _warning(
            "plot-outside-area",
            f"Plot {plot.plot_id} ({plot.lon:.5f}, {plot.lat:.5f}) lies outside the area "
            "and is not used.",
        )
        for plot in outside
    ]
    for end, estimate, plots in (
        (period.start, stock.start, stock.ends.start),
        (period.end, stock.end, stock.ends.end),
    ):
        if estimate is None:
            told = (
                f"{len(plots)} plots stand at {end}, at least {MIN_SAMPLE} are needed (in each "
                "stratum): the stock there is unknown."
            )
            found.append(_warning("too-few-plots", told))
    found += [Finding("plots-note", "info", f"{note}.") for note in stock.notes]
    return found + _span_findings(stock, period)


def _not_used_findings(stock: StockChange) -> list[Finding]:
    """Name every measurement left out, one finding for each day and reason."""
    groups: dict[tuple[date, str], list[str]] = {}
    for plot, reason in stock.ends.not_used:
        groups.setdefault((plot.measured_on, reason), []).append(plot.plot_id)
    found = []
    for (day, reason), names in sorted(groups.items()):
        whose = f"Plot {names[0]}" if len(names) == 1 else f"Plots {', '.join(names)}"
        told = f"{whose} of {day}: not used, {reason}."
        found.append(_warning("plot-measurement-not-used", told))
    return found


def _span_findings(stock: StockChange, period: Period) -> list[Finding]:
    first, last = stock.measured_from, stock.measured_to
    if stock.change is None or first is None or last is None:
        return []
    found = []
    before, after = (period.start - first).days, (last - period.end).days
    if before > 0 or after > 0:
        told = (
            f"Plots were measured from {first} to {last}: {max(before, 0)} days before and "
            f"{max(after, 0)} days after the period are in the change, which is not scaled."
        )
        found.append(_warning("measured-span-exceeds-period", told))
    if before < 0 or after < 0:
        told = (
            f"Plots were measured from {first} to {last}: the rest of {period.start} to "
            f"{period.end} is not credited."
        )
        found.append(Finding("measured-span-within-period", "info", told))
    return found


def imagery_findings(
    *,
    change: Estimate | None,
    ndvi_start: float | None,
    ndvi_end: float | None,
    missing_start: float,
    missing_end: float,
) -> list[Finding]:
    """Compare the pixels with the plots and say where pixels are missing.

    Parameters
    ----------
    change
        Change of biomass by the plots, t/ha; None where unknown.
    ndvi_start, ndvi_end
        Area-weighted mean over the pixels that have a value at both ends, unit 1.
    missing_start, missing_end
        Share of the area without a value, 0 to 1.
    """
    found = []
    for end, share in (("first", missing_start), ("last", missing_end)):
        if share > 0:
            told = f"{share:.1%} of the area has no clear value in the {end} season."
            code = "pixels-missing"
            if share > MISSING_SHARE_BLOCKS:
                told = f"{told[:-1]}, more than {MISSING_SHARE_BLOCKS:.0%}: the pixels cannot say."
                found.append(Finding("too-few-looks", "blocking", told))
            elif share > MISSING_SHARE_WARNS:
                found.append(_warning(code, told))
            else:
                found.append(Finding(code, "info", told))
    if change is None or ndvi_start is None or ndvi_end is None:
        return found
    low, high = ci90(change)
    step = ndvi_end - ndvi_start
    if (low > 0 > step) or (high < 0 < step):
        told = (
            f"Plots say {change.mean:+.2f} t/ha, the mean NDVI of the area went from "
            f"{ndvi_start:.4f} to {ndvi_end:.4f}: the pixels do not bear the plots out."
        )
        found.append(_warning("plots-and-imagery-disagree", told))
    return found


def uncertainty_findings(width: float | None, share: float | None) -> list[Finding]:
    """Say what the sampling error costs; `width` is U, `share` is D, both unit 1."""
    if width is None or share is None or share == 0:
        return []
    if share >= 1:
        told = f"The 90 % interval is {width:.1%} of the change: above 100 %, nothing is credited."
        return [Finding("uncertainty-above-100-percent", "blocking", told)]
    told = f"The 90 % interval is {width:.1%} of the change: {share:.2%} is deducted."
    return [Finding("uncertainty-deducted", "info", told)]


def increment_findings(
    *, net: float | None, previous: float, creditable: float | None
) -> list[Finding]:
    """Say why there is nothing to credit: a reversal, or no increment; tCO2e."""
    if net is None or creditable is None:
        return []
    if net < previous:
        told = f"Net removals are {net:.3f} tCO2e, below the {previous:.3f} of the report before."
        return [Finding("reversal" if previous > 0 else "net-loss", "blocking", told)]
    if creditable == 0:
        told = f"Net removals of {net:.3f} tCO2e leave nothing after {previous:.3f} and the buffer."
        return [Finding("nothing-to-credit", "blocking", told)]
    return []


def decide_kind(
    stock: StockChange,
    *,
    project: ProjectFile,
    baseline_measured: bool,
    outside: int,
    findings: Sequence[Finding],
) -> KindDecision:
    """Decide what the result may be used for.

    `indicative` where the change of stock is unknown; `issuable` where every input was measured,
    the plots are a random sample of at least 8 in each stratum inside the area and nothing
    blocks; else `demonstration`.
    """
    if stock.change is None:
        return KindDecision("indicative", ("the stocks at both ends are not known from plots",))
    reasons = []
    if not baseline_measured:
        reasons.append("the baseline is declared, not measured")
    if project.illustrative is not False:
        stated = "are illustrative" if project.illustrative else "are not said to be real"
        reasons.append(f"the plots {stated}")
    if project.plot_design not in {"simple-random", "stratified"}:
        reasons.append(f"the plot design is {project.plot_design or 'not stated'}, not random")
    smallest = _smallest_sample(stock, stratified=project.plot_design == "stratified")
    if smallest < MIN_ISSUABLE_PLOTS:
        reasons.append(f"the smallest sample has {smallest} plots, not {MIN_ISSUABLE_PLOTS}")
    if outside:
        reasons.append(f"{outside} plot measurements lie outside the area")
    absent = [key for key in _must_be_stated(project) if key in project.absent]
    if absent:
        reasons.append(f"the project file does not state {', '.join(absent)}")
    blocking = sorted({finding.code for finding in findings if finding.severity == "blocking"})
    if blocking:
        reasons.append(f"there are blocking problems ({', '.join(blocking)})")
    return KindDecision("demonstration" if reasons else "issuable", tuple(reasons))


def kind_finding(decision: KindDecision) -> Finding:
    """State why the result is issuable or not."""
    if not decision.reasons:
        told = "Issuable: stocks at both ends and the baseline are measured, nothing blocks."
    else:
        told = f"{decision.kind.capitalize()}, not issuable: {'; '.join(decision.reasons)}."
    return Finding(f"kind-{decision.kind}", "info", told)


def _must_be_stated(project: ProjectFile) -> tuple[str, ...]:
    keys = [*(key for key in _ABSENT if NOT_USED_BY not in _ABSENT[key]), "buffer_percent"]
    if project.zone is None:
        keys.append("root_shoot")
    return (*keys, "applicability")


def _smallest_sample(stock: StockChange, *, stratified: bool) -> int:
    """Count the plots at the poorer end, in the poorest stratum where there are strata."""
    ends = (stock.ends.start, stock.ends.end)
    if not stratified:
        return min(len(plots) for plots in ends)
    return min(min(Counter(p.stratum for p in plots).values(), default=0) for plots in ends)


def _warning(code: str, message: str) -> Finding:
    return Finding(code, "warning", message)
