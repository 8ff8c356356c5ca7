"""Requests, reports, verified periods, reviews; imports base.

Work is asked for by a row (MonitoringRequest) that a worker leases; what it found is a
MonitoringReport; an approved one becomes a VerifiedPeriod, the only thing a batch can stand on.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlmodel import Field, SQLModel

from registry.domain.ids import new_id
from registry.tables.base import (
    HEX_SHA256,
    TIMESTAMP,
    Days,
    check,
    created,
    days_column,
    json_column,
    moment,
    one_of,
    same,
)

BOUNDED = "NOT isempty(period) AND NOT lower_inf(period) AND NOT upper_inf(period)"


class MonitoringRequest(SQLModel, table=True):
    """One area, one period, to be measured; the row is the queue."""

    __tablename__ = "monitoring_request"
    __table_args__ = (
        same("area_id project_id area_lineage pool", "area.id project_id lineage pool"),
        UniqueConstraint("id", "project_id", "area_id", "area_lineage", "pool", "period"),
        check("period", BOUNDED),
        one_of("state", "queued", "running", "done", "failed", "cancelled"),
        check("lease", "state <> 'running' OR num_nulls(lease_owner, leased_until) = 0"),
        check("attempts", "attempts >= 0"),
        check("boundary_sha256", f"boundary_sha256 {HEX_SHA256}"),
        ExcludeConstraint(
            ("area_lineage", "="), ("pool", "="), ("period", "&&"),
            name="ex_monitoring_request_live", using="gist",
            where=text("state IN ('queued', 'running')"),
        ),
        Index(
            "ix_monitoring_request_queue", "id",
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index("ix_monitoring_request_project", "project_id", "id"),
    )  # fmt: skip

    id: UUID = Field(default_factory=new_id, primary_key=True)
    project_id: UUID
    area_id: UUID
    area_lineage: UUID
    pool: str
    period: Days = days_column()
    """Days of the monitoring period, upper bound outside."""
    requested_by: UUID = Field(foreign_key="app_user.id")
    catalog: str
    """Path or URL of the STAC catalogue."""
    collection: str
    sensor: str = "auto"
    season: str | None = None
    """`MM-DD/MM-DD`; none means the collection card's."""
    methodology: str
    parameters: Any = json_column()
    """The project file: rules, section 2."""
    plots_sha256: str | None = Field(default=None, foreign_key="document.sha256")
    boundary_sha256: str
    state: str = "queued"
    lease_owner: str | None = None
    leased_until: datetime | None = moment()
    heartbeat_at: datetime | None = moment()
    attempts: int = 0
    progress: str | None = None
    """What the worker does now, one line for people."""
    failure: str | None = None
    """Why it ended in `failed`, one sentence."""
    created_at: datetime = created()
    finished_at: datetime | None = moment()


class MonitoringReport(SQLModel, table=True):
    """What a worker found; frozen but for its state."""

    __tablename__ = "monitoring_report"
    __table_args__ = (
        same(
            "request_id project_id area_id area_lineage pool period",
            "monitoring_request.id project_id area_id area_lineage pool period",
        ),
        UniqueConstraint("request_id", "digest"),
        UniqueConstraint("id", "kind"),
        UniqueConstraint("id", "project_id", "kind", "environment"),
        UniqueConstraint("id", "project_id", "area_lineage", "pool", "period"),
        one_of("kind", "indicative", "demonstration", "issuable"),
        one_of("state", "queued", "in_review", "approved", "refused", "opinion_given"),
        check("indicative", "kind <> 'indicative' OR state <> 'approved'"),
        check("opinion", "kind = 'indicative' OR state <> 'opinion_given'"),
        check("digest", "digest <> ''"),
        check("estimate_sha256", "estimate_sha256 ~ '^[0-9a-f]{64}$'"),
        Index("ix_monitoring_report_queue", "state", "id"),
        Index("ix_monitoring_report_project", "project_id", "id"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    request_id: UUID
    project_id: UUID
    area_id: UUID
    area_lineage: UUID
    pool: str
    period: Days = days_column()
    kind: str
    environment: str = Field(foreign_key="environment.kind")
    digest: str
    """Of pixels and numbers; the same whatever the chunking or the workers."""
    methodology: str
    estimate: Any = json_column()
    """The whole document, schema `amanar.estimate/1`."""
    estimate_sha256: str
    """Of the document as it was filed (`domain.estimates.estimate_sha256`); in the log too."""
    evidence_uri: str
    """Bundle in the evidence store, `sha256:<hex>` of its manifest."""
    submitted_by: str
    """Lease owner that filed it."""
    state: str = "queued"
    created_at: datetime = created()
    decided_at: datetime | None = moment()


class VerifiedPeriod(SQLModel, table=True):
    """An approved span of days of one area: spans neither overlap nor leave gaps.

    `follows` is the first day and must be the end of an earlier span (foreign key); only the
    first span of an area has none.
    """

    __tablename__ = "verified_period"
    __table_args__ = (
        same(
            "report_id project_id area_lineage pool period",
            "monitoring_report.id project_id area_lineage pool period",
        ),
        same(
            "project_id pool area_lineage follows",
            "verified_period.project_id pool area_lineage ends_before",
        ),
        UniqueConstraint("project_id", "pool", "area_lineage", "ends_before"),
        UniqueConstraint("report_id"),
        check("period", BOUNDED),
        check("ends_before", "ends_before = upper(period)"),
        check("follows", "follows = lower(period)"),
        ExcludeConstraint(
            ("project_id", "="), ("area_lineage", "="), ("pool", "="), ("period", "&&"),
            name="ex_verified_period", using="gist",
        ),
        Index(
            "uq_verified_period_first", "project_id", "pool", "area_lineage",
            unique=True, postgresql_where=text("follows IS NULL"),
        ),
    )  # fmt: skip

    id: UUID = Field(default_factory=new_id, primary_key=True)
    report_id: UUID
    project_id: UUID
    area_lineage: UUID
    pool: str
    period: Days = days_column()
    ends_before: date
    """The day after the last one."""
    follows: date | None = None
    """The end of the span before this one, equal to the first day; none for the first span."""
    created_at: datetime = created()


class Review(SQLModel, table=True):
    """One verifier's look at one report; decided once, then frozen."""

    __tablename__ = "review"
    __table_args__ = (
        same("report_id report_kind", "monitoring_report.id kind"),
        check("decision", "decision IN ('approve', 'refuse', 'opinion')"),
        check("decided", "(decision IS NULL) = (decided_at IS NULL)"),
        check("reasons", "decision IS NULL OR coalesce(reasons, '') <> ''"),
        check("indicative", "report_kind <> 'indicative' OR decision IS DISTINCT FROM 'approve'"),
        check("released", "decided_at IS NULL OR released_at IS NULL"),
        Index(
            "uq_review_open", "report_id", unique=True,
            postgresql_where=text("released_at IS NULL"),
        ),
        Index("ix_review_verifier_id", "verifier_id"),
    )  # fmt: skip

    id: UUID = Field(default_factory=new_id, primary_key=True)
    report_id: UUID
    report_kind: str
    """Copied from the report and held to it by a foreign key."""
    verifier_id: UUID = Field(foreign_key="app_user.id")
    """Never of the project's own organisation (trigger)."""
    taken_at: datetime = created()
    leased_until: datetime = Field(sa_type=TIMESTAMP)
    decision: str | None = None
    reasons: str | None = None
    findings: Any = json_column(nullable=True)
    """Structured findings, if the verifier gave any."""
    decided_at: datetime | None = moment()
    released_at: datetime | None = moment()
    """Given back, or the lease expired and another took it."""
