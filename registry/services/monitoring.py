"""Requests to measure, leased by workers; reports of what they found; verified periods.

Imports projects, notifications, audit, commands, tables. Order: values, asking, working, filing,
the chain of periods. A request is a row: workers take it with a lease, in a transaction of their
own that they commit at once, and file the result in another one while the lease still holds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.dialects.postgresql import Range
from sqlmodel import col

from registry.db import translating
from registry.domain.estimates import Asked, estimate_sha256, require_match, value_at
from registry.domain.roles import Action
from registry.errors import (
    InvalidValue,
    NotFound,
    PreviousChanged,
    RequestOpen,
)
from registry.services import audit, commands
from registry.services.leases import extend, fail, held, locked, require_lease, step, tell
from registry.services.periods import (
    Verified,
    first_day,
    last_day,
    last_verified,
    methodology_of,
    period_text,
    require_free,
    require_next,
    require_terms,
    t0_of,
    with_terms,
)
from registry.services.projects import days, own_project
from registry.tables.base import now
from registry.tables.monitoring import MonitoringReport, MonitoringRequest, VerifiedPeriod
from registry.tables.projects import Area, Document, Project

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from registry.domain.roles import Actor

LEASE_SECONDS = 900
MOST_ATTEMPTS = 5
"""A request whose worker vanished that often is given up: it may be what kills them."""


@dataclass(frozen=True)
class NewRequest:
    """What is asked to be measured."""

    area_id: UUID
    start: date
    end: date
    """Last day, inside."""
    catalog: str
    collection: str
    methodology: str | None = None
    """None: the project's."""
    sensor: str = "auto"
    season: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The project file; `t0` and what was credited before are filled in."""
    plots_sha256: str | None = None


# --- asking -------------------------------------------------------------------------------------


def request_monitoring(
    session: Session, *, actor: Actor, command_id: UUID, request: NewRequest
) -> MonitoringRequest:
    """Ask for an area to be measured over a period; the request begins as `queued`.

    Developers, own projects only. What was credited before, `t0` and the terms of the first
    verified period are filled in. Writes monitoring_request, audit_event. Safe to repeat with the
    same id.

    Raises
    ------
    PeriodOverlap, PeriodGap
        If it does not begin the day after the last verified period; names the day.
    RequestOpen
        If an unfinished request covers some of the same days.
    ReportUndecided
        If a report of some of the same days waits for a verifier.
    InvalidValue
        If the days lie outside the area's time or are not over, the parameters contradict the
        register, or the boundary holds land that was not the area's since `t0`.
    NotFound, NotYours, NotAllowed, CommandConflict
    """
    actor.require(Action.REQUEST_MONITORING)
    period = days(request.start, request.end)
    _require_past(request.end)
    _require_no_secret(request.catalog)

    def do() -> commands.Result:
        area = _active_area(session, request.area_id)
        project = own_project(
            session, actor=actor, project_id=area.project_id, action=Action.REQUEST_MONITORING
        )
        _require_inside(period, area)
        before = last_verified(session, lineage=area.lineage, pool=area.pool)
        require_next(period, before)
        if before is not None:
            _require_land_since(session, area=area, before=before)
        _require_plots(session, request.plots_sha256)
        made = MonitoringRequest(
            project_id=project.id,
            area_id=area.id,
            area_lineage=area.lineage,
            pool=area.pool,
            period=period,
            requested_by=actor.person(),
            catalog=request.catalog,
            collection=request.collection,
            sensor=request.sensor,
            season=request.season,
            methodology=methodology_of(
                request.methodology, usual=project.methodology, before=before
            ),
            parameters=with_terms(request.parameters, start=request.start, before=before),
            plots_sha256=request.plots_sha256,
            boundary_sha256=area.boundary_sha256,
        )
        _queue(session, actor=actor, request=made)
        return {"request_id": str(made.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="monitoring.request_monitoring",
        content=asdict(request),
        do=do,
    )
    return session.get_one(MonitoringRequest, UUID(result["request_id"]))


def cancel_request(session: Session, *, actor: Actor, request_id: UUID) -> MonitoringRequest:
    """Withdraw a request that is queued or running; a worker on it loses its lease.

    Developers, own projects only. Writes monitoring_request, audit_event. Safe to repeat.

    Raises
    ------
    WrongState
        If it is finished already.
    NotFound, NotYours, NotAllowed
    """
    actor.require(Action.REQUEST_MONITORING)
    request = locked(session, request_id)
    own_project(
        session, actor=actor, project_id=request.project_id, action=Action.REQUEST_MONITORING
    )
    if request.state != "cancelled":
        step(session, actor=actor, request=request, wanted="cancelled", content={})
    return request


# --- working ------------------------------------------------------------------------------------


def take_request(
    session: Session, *, actor: Actor, worker: str, lease_seconds: float = LEASE_SECONDS
) -> MonitoringRequest | None:
    """Lease the oldest request that nobody holds; commit at once, then work.

    The system only. Of two workers who ask at once each gets another request (SKIP LOCKED).
    A request whose lease ended without a result is given out again, at most five times, then it
    becomes `failed`. queued, running -> running. Writes monitoring_request, audit_event.

    Parameters
    ----------
    worker
        A name that no other process has now; it is the key to heartbeat and filing.

    Returns
    -------
    The leased request, or None if there is nothing to do.

    Raises
    ------
    NotAllowed
    """
    actor.require(Action.MEASURE)
    free = or_(
        col(MonitoringRequest.state) == "queued",
        and_(
            col(MonitoringRequest.state) == "running",
            col(MonitoringRequest.leased_until) < func.clock_timestamp(),
        ),
    )
    oldest = (
        select(MonitoringRequest)
        .where(free)
        .order_by(col(MonitoringRequest.id))
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    )
    while (request := session.scalars(oldest).one_or_none()) is not None:
        if request.attempts < MOST_ATTEMPTS:
            break
        reason = f"given up: {MOST_ATTEMPTS} workers took it and none finished"
        fail(session, actor=actor, request=request, reason=reason)
    if request is None:
        return None
    request.attempts += 1
    request.lease_owner = worker
    request.progress = None
    extend(session, request, seconds=lease_seconds)
    content = {"worker": worker, "attempt": request.attempts}
    step(session, actor=actor, request=request, wanted="running", content=content)
    return request


def heartbeat(
    session: Session, *, worker: str, request_id: UUID, lease_seconds: float = LEASE_SECONDS
) -> None:
    """Say that the worker is alive and keep the lease; commit at once. Safe to repeat.

    Raises
    ------
    LeaseLost
        If it ended, another has it, or the request was cancelled: stop working.
    NotFound
    """
    request = held(session, worker=worker, request_id=request_id)
    extend(session, request, seconds=lease_seconds)
    session.flush()


def note_progress(session: Session, *, worker: str, request_id: UUID, message: str) -> None:
    """Say in one line for people what the worker does now; commit at once. No audit event.

    Raises
    ------
    LeaseLost, NotFound
    """
    request = held(session, worker=worker, request_id=request_id)
    request.progress = message
    session.flush()


def fail_request(
    session: Session,
    *,
    actor: Actor,
    request_id: UUID,
    worker: str,
    reason: str,
    retry: bool = False,
) -> MonitoringRequest:
    """End a request without a report, with one sentence why, or give it back for another try.

    The system, holding the lease. running -> failed, or with `retry` the lease ends now and the
    next worker takes it. Writes monitoring_request, notification, audit_event.

    Raises
    ------
    LeaseLost, NotFound, NotAllowed
    """
    actor.require(Action.MEASURE)
    request = held(session, worker=worker, request_id=request_id)
    if retry:
        request.progress = reason
        extend(session, request, seconds=0)
        session.flush()
    else:
        fail(session, actor=actor, request=request, reason=reason)
    return request


# --- filing -------------------------------------------------------------------------------------


def submit_report(
    session: Session,
    *,
    actor: Actor,
    request_id: UUID,
    worker: str,
    estimate: Mapping[str, Any],
    evidence_uri: str,
) -> MonitoringReport:
    """File what was found; the report begins as `queued` for a verifier, the request is `done`.

    The system, holding the lease. The same digest for the same request gives the same report
    again, also after the lease ended. Writes monitoring_report, monitoring_request, notification,
    audit_event.

    Parameters
    ----------
    estimate
        The document `amanar.estimate/1`, whole.
    evidence_uri
        Where the bundle is in the evidence store.

    Raises
    ------
    LeaseLost
        If the worker does not hold the lease now.
    ReportMismatch
        If period, `t0`, methodology, hectares or what was credited before differ from the
        request's.
    PeriodOverlap, PeriodGap, PreviousChanged, TermsChanged
        If another report was approved meanwhile.
    NotFound, NotAllowed
    """
    actor.require(Action.MEASURE)
    request = locked(session, request_id)
    digest = str(value_at(estimate, "digest"))
    filed = select(MonitoringReport).where(
        col(MonitoringReport.request_id) == request_id, col(MonitoringReport.digest) == digest
    )
    before = session.scalars(filed).one_or_none()
    if before is not None:
        return before
    require_lease(session, request, worker=worker)
    area = session.get_one(Area, request.area_id)
    require_match(estimate, _asked(request, area_ha=area.area_ha))
    _require_current(session, request)
    made = _file(session, request=request, estimate=estimate, evidence_uri=evidence_uri)
    content = {
        "report": str(made.id),
        "kind": made.kind,
        "digest": digest,
        "estimate_sha256": made.estimate_sha256,
        "evidence": evidence_uri,
    }
    step(session, actor=actor, request=request, wanted="done", content=content)
    message = f"The monitoring report of {period_text(request.period)} waits for a verifier."
    tell(session, request, subject=f"monitoring_report:{made.id}", message=message)
    return made


def record_verified_period(session: Session, *, report: MonitoringReport) -> VerifiedPeriod:
    """Join an approved report's period to the chain; called by `verification.decide` only.

    The caller audits, and sets the report to `approved` in the same transaction. Writes
    verified_period; locks the project's row, so of two who approve at once the second is refused.

    Raises
    ------
    PeriodOverlap, PeriodGap
        If it does not begin the day after the last verified period.
    PreviousChanged, TermsChanged
        If another report was approved since this one was measured.
    InvalidValue
        If the boundary that was measured does not count on all of the days (any more).
    """
    session.get_one(Project, report.project_id, with_for_update={"key_share": True})
    request = session.get_one(MonitoringRequest, report.request_id)
    area = session.get_one(Area, report.area_id, populate_existing=True)
    _require_inside(report.period, area)
    before = _require_current(session, request)
    made = VerifiedPeriod(
        report_id=report.id,
        project_id=report.project_id,
        area_lineage=report.area_lineage,
        pool=report.pool,
        period=report.period,
        ends_before=last_day(report.period) + timedelta(days=1),
        follows=None if before is None else before.ends_before,
    )
    session.add(made)
    session.flush()
    return made


# --- steps --------------------------------------------------------------------------------------


def _active_area(session: Session, area_id: UUID) -> Area:
    area = session.get(Area, area_id)
    if area is None:
        raise NotFound(what="area", key=area_id)
    if area.state == "withdrawn":
        what, fix = f"area {area.name}", "Choose an active area."
        raise InvalidValue(what=what, problem="it was withdrawn", fix=fix)
    return area


def _require_inside(period: Range[date], area: Area) -> None:
    if not area.effective.contains(period):
        raise InvalidValue(
            what="period",
            problem=f"{period_text(period)} is not inside the time of area {area.name}",
            fix="Choose days in which this boundary counts.",
        )


def _require_past(end: date) -> None:
    today = now().date()
    if end > today:
        problem = f"{end} is after today, {today} (UTC)"
        raise InvalidValue(what="end", problem=problem, fix="Ask once the period is over.")


def _require_no_secret(catalog: str) -> None:
    """Refuse a password in an address that everybody may read."""
    if "@" in catalog.partition("://")[2].partition("/")[0]:
        raise InvalidValue(
            what="catalog",
            problem="its address holds a user name or password, and requests are published",
            fix="Give the address without what stands before the @.",
        )


def _require_land_since(session: Session, *, area: Area, before: Verified) -> None:
    """Refuse a revised boundary with land that was not the area's on all days since t0.

    Tonnes run from t0, so such land would be credited for days on which it was another's.
    """
    t0, upto = date.fromisoformat(before.t0), before.ends_before
    without = select(Area).where(
        col(Area.lineage) == area.lineage,
        col(Area.state) != "withdrawn",
        col(Area.effective).bool_op("&&")(Range(t0, upto)),
        ~func.ST_Covers(col(Area.geom), area.geom),
    )
    other = session.scalars(without).first()
    if other is not None:
        raise InvalidValue(
            what="t0",
            problem=f"it is {t0}, and the area had less land then than its boundary has now",
            fix="Revise the boundary to land that was inside it from that day on.",
        )


def _require_plots(session: Session, sha256: str | None) -> None:
    if sha256 is not None and session.get(Document, sha256) is None:
        raise NotFound(what="document", key=sha256)


def _queue(session: Session, *, actor: Actor, request: MonitoringRequest) -> None:
    """Write a new request, or name what is in its way."""
    require_free(session, lineage=request.area_lineage, pool=request.pool, span=request.period)
    with translating(
        session, {"ex_monitoring_request_live": RequestOpen(request_id="(just made)")}
    ):
        session.add(request)
    audit.record(
        session,
        actor=actor,
        action="monitoring:request:queue",
        subject=f"monitoring_request:{request.id}",
        content={
            "area": str(request.area_id),
            "boundary_sha256": request.boundary_sha256,
            "first_day": str(first_day(request.period)),
            "last_day": str(last_day(request.period)),
            "methodology": request.methodology,
            "catalog": request.catalog,
            "collection": request.collection,
            "plots_sha256": request.plots_sha256,
            "parameters_sha256": commands.content_sha256(request.parameters),
        },
    )


def _file(
    session: Session,
    *,
    request: MonitoringRequest,
    estimate: Mapping[str, Any],
    evidence_uri: str,
) -> MonitoringReport:
    """Write the report as the request and the estimate say; both fit by now."""
    made = MonitoringReport(
        request_id=request.id,
        project_id=request.project_id,
        area_id=request.area_id,
        area_lineage=request.area_lineage,
        pool=request.pool,
        period=request.period,
        kind=str(value_at(estimate, "kind")),
        environment=audit.environment_of(session),
        digest=str(value_at(estimate, "digest")),
        methodology=request.methodology,
        estimate=dict(estimate),
        estimate_sha256=estimate_sha256(estimate),
        evidence_uri=evidence_uri,
        submitted_by=request.lease_owner or "",
    )
    session.add(made)
    session.flush()
    return made


def _asked(request: MonitoringRequest, *, area_ha: float) -> Asked:
    return Asked(
        first_day=first_day(request.period),
        last_day=last_day(request.period),
        t0=t0_of(request),
        methodology=request.methodology,
        area_ha=area_ha,
        previous_net_tco2e=request.parameters.get("previous_net_tco2e") or 0,
    )


def _require_current(session: Session, request: MonitoringRequest) -> Verified | None:
    """Refuse a request that was overtaken by an approval; give the last verified period."""
    before = last_verified(session, lineage=request.area_lineage, pool=request.pool)
    require_next(request.period, before)
    given = request.parameters.get("previous_net_tco2e") or 0
    expected = 0 if before is None else before.net_tco2e
    if given != expected:
        raise PreviousChanged(given=given, expected=expected)
    require_terms(request, before)
    return before
