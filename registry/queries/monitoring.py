"""Requests, reports and reviews as readers see them: lists newest first, one of each.

Reads only; imports tables and errors. Order: values, requests, reports, the verifier's queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col

from registry.errors import NotFound
from registry.tables.accounts import AppUser, Organisation
from registry.tables.monitoring import MonitoringReport, MonitoringRequest, Review
from registry.tables.projects import Project

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from registry.domain.roles import Actor


@dataclass(frozen=True)
class ReviewRow:
    """Who looks or looked at a report: the organisation, never the person's name."""

    review: Review
    organisation: str


@dataclass(frozen=True)
class ReportRow:
    """A report with its project and its present or final review."""

    report: MonitoringReport
    project: Project
    review: ReviewRow | None


def list_requests(
    session: Session, *, project_id: UUID, limit: int, after: UUID | None = None
) -> list[MonitoringRequest]:
    """Give a project's requests, the newest first, those older than `after`."""
    statement = (
        select(MonitoringRequest)
        .where(col(MonitoringRequest.project_id) == project_id)
        .order_by(col(MonitoringRequest.id).desc())
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(MonitoringRequest.id) < after)
    return list(session.scalars(statement))


def last_requested(session: Session, *, project_id: UUID) -> MonitoringRequest | None:
    """Give the request with the latest period of those that were measured; None before the first.

    The next one mostly asks for the same collection, from the day after.
    """
    statement = (
        select(MonitoringRequest)
        .where(
            col(MonitoringRequest.project_id) == project_id,
            col(MonitoringRequest.state) == "done",
        )
        .order_by(func.upper(col(MonitoringRequest.period)).desc())
        .limit(1)
    )
    return session.scalars(statement).first()


def get_request(session: Session, *, request_id: UUID) -> MonitoringRequest:
    """Give one request.

    Raises
    ------
    NotFound
        If there is none.
    """
    found = session.get(MonitoringRequest, request_id)
    if found is None:
        raise NotFound(what="monitoring request", key=request_id)
    return found


def reports_of_request(session: Session, *, request_id: UUID) -> list[UUID]:
    """Give the ids of the reports that a request led to, the newest first."""
    statement = (
        select(col(MonitoringReport.id))
        .where(col(MonitoringReport.request_id) == request_id)
        .order_by(col(MonitoringReport.id).desc())
    )
    return list(session.scalars(statement))


def list_reports(
    session: Session, *, project_id: UUID, limit: int, after: UUID | None = None
) -> list[ReportRow]:
    """Give a project's reports, the newest first, those older than `after`."""
    statement = (
        _readable()
        .where(col(MonitoringReport.project_id) == project_id)
        .order_by(col(MonitoringReport.id).desc())
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(MonitoringReport.id) < after)
    return _rows(session, statement)


def latest_states(session: Session, *, project_ids: list[UUID]) -> dict[UUID, str]:
    """Give the state of each project's newest report; a project without one is absent."""
    statement = (
        select(col(MonitoringReport.project_id), col(MonitoringReport.state))
        .where(col(MonitoringReport.project_id).in_(project_ids))
        .ext(distinct_on(col(MonitoringReport.project_id)))
        .order_by(col(MonitoringReport.project_id), col(MonitoringReport.id).desc())
    )
    return dict(session.execute(statement).all())


def get_report(session: Session, *, report_id: UUID) -> ReportRow:
    """Give one report with its project and review.

    Raises
    ------
    NotFound
        If there is none.
    """
    rows = _rows(session, _readable().where(col(MonitoringReport.id) == report_id))
    if not rows:
        raise NotFound(what="report", key=report_id)
    return rows[0]


def list_queue(
    session: Session, *, verifier: Actor, at: datetime, limit: int, after: UUID | None = None
) -> list[ReportRow]:
    """Give the reports that this verifier may take or has taken, the oldest first.

    Left out: reports of the verifier's own organisation, and those in the running review of
    somebody else; one whose lease ended before `at` is there again.
    """
    held = (
        select(Review)
        .where(
            col(Review.report_id) == col(MonitoringReport.id),
            col(Review.released_at).is_(None),
            col(Review.leased_until) > at,
            col(Review.verifier_id) != verifier.user_id,
        )
        .exists()
    )
    statement = (
        _readable()
        .where(
            col(MonitoringReport.state).in_(("queued", "in_review")),
            col(Project.organisation_id) != verifier.organisation_id,
            ~held,
        )
        .order_by(col(MonitoringReport.id))
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(MonitoringReport.id) > after)
    return _rows(session, statement)


def _readable() -> Select[MonitoringReport, Project]:
    return select(MonitoringReport, Project).join(
        Project, col(Project.id) == col(MonitoringReport.project_id)
    )


def _rows(session: Session, statement: Select[MonitoringReport, Project]) -> list[ReportRow]:
    found = [(report, project) for report, project in session.execute(statement)]
    reviews = _reviews(session, [report.id for report, _ in found])
    return [ReportRow(report, project, reviews.get(report.id)) for report, project in found]


def _reviews(session: Session, report_ids: list[UUID]) -> dict[UUID, ReviewRow]:
    """Give each report's review that was not given back: at most one (a unique index)."""
    if not report_ids:
        return {}
    statement = (
        select(Review, col(Organisation.name))
        .join(AppUser, col(AppUser.id) == col(Review.verifier_id))
        .join(Organisation, col(Organisation.id) == col(AppUser.organisation_id))
        .where(col(Review.report_id).in_(report_ids), col(Review.released_at).is_(None))
    )
    return {
        review.report_id: ReviewRow(review, name) for review, name in session.execute(statement)
    }
