"""Leases on monitoring requests: who works on what, and until when; the steps of a request.

Imports notifications, audit, tables. `monitoring` is the public side of it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from registry.domain import states
from registry.errors import LeaseLost, NotFound
from registry.services import audit, notifications
from registry.services.periods import period_text
from registry.tables.base import now
from registry.tables.monitoring import MonitoringRequest
from registry.tables.projects import Project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from sqlalchemy.orm import Session

    from registry.domain.roles import Actor

VERBS = {"running": "take", "done": "finish", "failed": "fail", "cancelled": "cancel"}
"""State that a request enters: the last word of the audit action."""


def locked(session: Session, request_id: UUID) -> MonitoringRequest:
    """Give a request for changing, its row locked until the transaction ends."""
    request = session.get(MonitoringRequest, request_id, with_for_update={"key_share": True})
    if request is None:
        raise NotFound(what="monitoring request", key=request_id)
    return request


def held(session: Session, *, worker: str, request_id: UUID) -> MonitoringRequest:
    """Give a request that this worker holds the lease of, locked."""
    request = locked(session, request_id)
    require_lease(session, request, worker=worker)
    return request


def require_lease(session: Session, request: MonitoringRequest, *, worker: str) -> None:
    """Refuse a worker whose lease ended, was taken over or was cancelled."""
    alive = (
        request.state == "running"
        and request.lease_owner == worker
        and request.leased_until is not None
        and request.leased_until > _clock(session)
    )
    if not alive:
        raise LeaseLost(worker=worker, request_id=request.id)


def _clock(session: Session) -> Any:
    """Ask the database for the time: workers on several machines share no other clock."""
    return session.scalars(select(func.clock_timestamp())).one()


def extend(session: Session, request: MonitoringRequest, *, seconds: float) -> None:
    """Let the lease end that many seconds from now."""
    at = _clock(session)
    request.heartbeat_at = at
    request.leased_until = at + timedelta(seconds=seconds)


def step(
    session: Session,
    *,
    actor: Actor,
    request: MonitoringRequest,
    wanted: str,
    content: Mapping[str, Any],
) -> None:
    """Move a request to another state and record it."""
    what = f"monitoring request {request.id}"
    states.require_step(states.REQUEST, what=what, state=request.state, wanted=wanted)
    request.state = wanted
    if not states.REQUEST[wanted]:
        request.finished_at = now()
    audit.record(
        session,
        actor=actor,
        action=f"monitoring:request:{VERBS[wanted]}",
        subject=f"monitoring_request:{request.id}",
        content=content,
    )


def fail(session: Session, *, actor: Actor, request: MonitoringRequest, reason: str) -> None:
    """End a request without a result and tell its organisation why."""
    request.failure = reason
    step(session, actor=actor, request=request, wanted="failed", content={"reason": reason})
    message = f"The monitoring of {period_text(request.period)} failed: {reason}"
    tell(session, request, subject=f"monitoring_request:{request.id}", message=message)


def tell(session: Session, request: MonitoringRequest, *, subject: str, message: str) -> None:
    """Leave a message for the organisation of the project."""
    project = session.get_one(Project, request.project_id)
    notifications.notify(
        session,
        organisation_id=project.organisation_id,
        kind="monitoring:request:finish",
        subject=subject,
        message=f"{project.code}: {message}",
    )
