"""The chain of verified periods of an area: what comes next, and what was credited before.

Imports tables. The database refuses overlaps and gaps by itself (exclusion and foreign key); this
file says it first, in a sentence that names the days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlmodel import col

from registry.errors import (
    InvalidValue,
    PeriodGap,
    PeriodOverlap,
    ReportUndecided,
    RequestOpen,
    TermsChanged,
)
from registry.tables.monitoring import MonitoringReport, MonitoringRequest, VerifiedPeriod

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from uuid import UUID

    from sqlalchemy.dialects.postgresql import Range
    from sqlalchemy.orm import Session

TERMS = ("estimator", "root_shoot", "zone", "plot_design")
"""Keys of the project file that the first verified period of an area fixes (rules, 3 and 5)."""
DEFAULT_ESTIMATOR = "mean"


@dataclass(frozen=True)
class Verified:
    """The last verified period of an area and what its report credited."""

    first_day: date
    last_day: date
    t0: str
    """ISO date from which stocks and uncertainty run."""
    net_tco2e: float
    """Cumulative from t0: the highest that was verified, at least 0, so what was lost and grew
    again is not credited twice."""
    buffer_base_tco2e: float
    """Cumulative from t0, the highest likewise."""
    methodology: str
    """Of the first verified period, and so of all that follow."""
    terms: Mapping[str, Any]
    """What the first verified period's project file said of `TERMS`."""

    @property
    def ends_before(self) -> date:
        """The day on which the next period begins."""
        return self.last_day + timedelta(days=1)

    @property
    def parameters(self) -> dict[str, Any]:
        """What the next request's project file must say."""
        return {
            "t0": self.t0,
            "previous_net_tco2e": self.net_tco2e,
            "previous_buffer_base_tco2e": self.buffer_base_tco2e,
            **{name: value for name, value in self.terms.items() if value is not None},
        }


def last_verified(session: Session, *, lineage: UUID, pool: str) -> Verified | None:
    """Give the latest verified period of an area (all versions of its boundary), if any."""
    chain = (
        select(
            col(VerifiedPeriod.period),
            col(MonitoringReport.estimate)["removals_tco2e"],
            col(MonitoringRequest.parameters),
            col(MonitoringRequest.methodology),
        )
        .join(MonitoringReport, col(MonitoringReport.id) == col(VerifiedPeriod.report_id))
        .join(MonitoringRequest, col(MonitoringRequest.id) == col(MonitoringReport.request_id))
        .where(col(VerifiedPeriod.area_lineage) == lineage, col(VerifiedPeriod.pool) == pool)
        .order_by(col(VerifiedPeriod.ends_before))
    )
    found = session.execute(chain).all()
    if not found:
        return None
    first_period, _, parameters, methodology = found[0]
    return Verified(
        first_day=first_day(found[-1].period),
        last_day=last_day(found[-1].period),
        t0=str(first_day(first_period)),
        net_tco2e=max(0, *(row[1]["net"] for row in found)),
        buffer_base_tco2e=max(0, *(row[1]["buffer_base"] for row in found)),
        methodology=methodology,
        terms={name: parameters.get(name) for name in TERMS},
    )


def require_next(period: Range[date], before: Verified | None) -> None:
    """Refuse a period that does not begin where the verified ones end.

    Raises
    ------
    PeriodOverlap, PeriodGap
        Naming both periods and the day on which the next one begins.
    """
    if before is None or first_day(period) == before.ends_before:
        return
    refusal = PeriodGap if first_day(period) > before.ends_before else PeriodOverlap
    raise refusal(
        start=first_day(period),
        end=last_day(period),
        other_start=before.first_day,
        other_end=before.last_day,
        expected_start=before.ends_before,
    )


def t0_of(request: MonitoringRequest) -> str:
    """Give the day from which a request is measured, as ISO text; its own first, if unsaid."""
    return str(request.parameters.get("t0") or first_day(request.period))


def require_terms(request: MonitoringRequest, before: Verified | None) -> None:
    """Refuse a request that is measured otherwise than the first verified period fixed it.

    It met the terms when it was made; an approval since then may have fixed others.

    Raises
    ------
    TermsChanged
        Naming both values.
    """
    asked = {"t0": t0_of(request), "methodology": request.methodology}
    fixed = {"t0": str(first_day(request.period)), "methodology": request.methodology}
    if before is not None:
        asked |= {name: _term(request.parameters, name) for name in TERMS}
        fixed = {"t0": before.t0, "methodology": before.methodology}
        fixed |= {name: _term(before.terms, name) for name in TERMS}
    for name, expected in fixed.items():
        if asked[name] != expected:
            raise TermsChanged(what=name, given=asked[name], expected=expected)


def with_terms(parameters: Mapping[str, Any], *, start: date, before: Verified | None) -> Any:
    """Fill in what the register knows; refuse parameters that say something else.

    Raises
    ------
    InvalidValue
        Naming both values. The first verified period begins at its `t0`: what grew before it was
        nobody's, or another area's.
    """
    known: dict[str, Any] = {"previous_net_tco2e": 0, "previous_buffer_base_tco2e": 0}
    known = known | {"t0": str(start)} if before is None else before.parameters
    fixed = {} if before is None else {name: _term(before.terms, name) for name in TERMS}
    for name, value in (known | fixed).items():
        given = parameters.get(name)
        if given is not None and given != value:
            problem = f"{given} is given, the register knows {'none' if value is None else value}"
            raise InvalidValue(what=name, problem=problem, fix="Leave it out.")
    return {**parameters, **(known if before is not None else {})}


def methodology_of(asked: str | None, *, usual: str, before: Verified | None) -> str:
    """Give the methodology of a new request: the first verified period's, else the project's.

    Raises
    ------
    InvalidValue
        If another is asked for than the first verified period had.
    """
    if before is None:
        return asked or usual
    if asked is not None and asked != before.methodology:
        problem = f"{asked} is given, the register knows {before.methodology}"
        raise InvalidValue(what="methodology", problem=problem, fix="Leave it out.")
    return before.methodology


def _term(parameters: Mapping[str, Any], name: str) -> Any:
    return parameters.get(name) or (DEFAULT_ESTIMATOR if name == "estimator" else None)


# --- days that are spoken for -------------------------------------------------------------------


def require_free(session: Session, *, lineage: UUID, pool: str, span: Range[date]) -> None:
    """Refuse days that an unfinished request or an undecided report of the area covers.

    Raises
    ------
    RequestOpen, ReportUndecided
    """
    live = select(MonitoringRequest).where(
        col(MonitoringRequest.area_lineage) == lineage,
        col(MonitoringRequest.pool) == pool,
        col(MonitoringRequest.period).bool_op("&&")(span),
        col(MonitoringRequest.state).in_(("queued", "running")),
    )
    request = session.scalars(live).first()
    if request is not None:
        raise RequestOpen(request_id=request.id)
    waiting = select(MonitoringReport).where(
        col(MonitoringReport.area_lineage) == lineage,
        col(MonitoringReport.pool) == pool,
        col(MonitoringReport.period).bool_op("&&")(span),
        col(MonitoringReport.state).in_(("queued", "in_review")),
    )
    report = session.scalars(waiting).first()
    if report is not None:
        raise ReportUndecided(report_id=report.id, period=period_text(report.period))


# --- days ---------------------------------------------------------------------------------------


def first_day(period: Range[date]) -> date:
    """Give the first day of a bounded period."""
    if period.lower is None:
        raise InvalidValue(what="period", problem="it has no first day", fix="Give both days.")
    return period.lower


def last_day(period: Range[date]) -> date:
    """Give the last day, inside, of a bounded period."""
    if period.upper is None:
        raise InvalidValue(what="period", problem="it has no last day", fix="Give both days.")
    return period.upper - timedelta(days=1)


def period_text(period: Range[date]) -> str:
    """Write a bounded period for people: its first and last day."""
    return f"{first_day(period)} to {last_day(period)}"
