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

from registry.errors import InvalidValue, PeriodGap, PeriodOverlap
from registry.tables.monitoring import MonitoringReport, MonitoringRequest, VerifiedPeriod

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from sqlalchemy.dialects.postgresql import Range
    from sqlalchemy.orm import Session


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
        }


def last_verified(session: Session, *, lineage: UUID, pool: str) -> Verified | None:
    """Give the latest verified period of an area (all versions of its boundary), if any."""
    chain = (
        select(
            col(VerifiedPeriod.period),
            col(MonitoringReport.estimate)["removals_tco2e"],
            col(MonitoringRequest.parameters),
        )
        .join(MonitoringReport, col(MonitoringReport.id) == col(VerifiedPeriod.report_id))
        .join(MonitoringRequest, col(MonitoringRequest.id) == col(MonitoringReport.request_id))
        .where(col(VerifiedPeriod.area_lineage) == lineage, col(VerifiedPeriod.pool) == pool)
        .order_by(col(VerifiedPeriod.ends_before))
    )
    found = session.execute(chain).all()
    if not found:
        return None
    first_period, _, parameters = found[0]
    return Verified(
        first_day=first_day(found[-1].period),
        last_day=last_day(found[-1].period),
        t0=parameters.get("t0") or str(first_day(first_period)),
        net_tco2e=max(0, *(removals["net"] for _, removals, _ in found)),
        buffer_base_tco2e=max(0, *(removals["buffer_base"] for _, removals, _ in found)),
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
