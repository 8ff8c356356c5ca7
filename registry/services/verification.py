"""The verifier's work: see what waits, take it, decide with reasons; approval mints.

Imports issuance, monitoring, notifications, commands, audit and the domain. Nothing here is ever
called by a flow or a job: a person decides, and never one of the project's own organisation.

Order: values, the queue, taking a review, deciding, what stands in the way of an approval.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from registry.domain import states
from registry.domain.credits import NOTHING
from registry.domain.estimates import estimate_sha256
from registry.domain.quantities import tonnes_text
from registry.domain.roles import Action
from registry.errors import (
    CannotApprove,
    EvidenceAltered,
    EvidenceChanged,
    EvidenceMissing,
    InReview,
    InvalidValue,
    NoOpenReview,
    NotFound,
    OwnReport,
    ReportAltered,
    WrongState,
)
from registry.services import audit, commands, issuance, monitoring, notifications
from registry.tables.base import now
from registry.tables.monitoring import MonitoringReport, Review
from registry.tables.projects import Project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from registry.domain.roles import Actor
    from registry.ports import Evidence
    from registry.tables.credits import Batch

LEASE = timedelta(days=3)
"""How long a taken review is the verifier's own; our choice: a working review, not a weekend."""

ESTIMATE_FILE = "estimate.json"
"""The estimate's name in its evidence."""

Verdict = Literal["approve", "refuse", "opinion"]
STATE_OF: dict[str, str] = {"approve": "approved", "refuse": "refused", "opinion": "opinion_given"}


# --- values --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QueueItem:
    """One report that waits for a decision."""

    report_id: UUID
    project_code: str
    project_name: str
    kind: str
    environment: str
    methodology: str
    digest: str
    creditable_tco2e: str | None
    """As the estimate says it; None where stocks are unknown."""
    age: timedelta
    """Since it was filed."""
    state: str
    """`queued`, or `in_review` while somebody's lease runs."""
    leased_until: datetime | None
    mine: bool
    """Whether the review is the asking verifier's."""


@dataclass(frozen=True)
class Decision:
    """What a verifier decided, and on what."""

    verdict: Verdict
    reasons: str
    """Why, in the verifier's words; never empty, for approval too."""
    evidence_digest: str
    """Digest of the evidence that the verifier was shown; must be the report's."""
    findings: Sequence[dict[str, str]] = ()
    """Structured findings: text under text keys."""


@dataclass(frozen=True)
class Decided:
    """What came of a decision."""

    report: MonitoringReport
    review: Review
    batches: list[Batch]
    """Empty unless approved."""


# --- the queue -----------------------------------------------------------------------------------


def queue(session: Session, *, actor: Actor, limit: int = 50) -> list[QueueItem]:
    """Give the reports that wait for this verifier, the oldest first.

    Who: verifiers. Reports of the verifier's own organisation are left out, and those in another
    verifier's running review; one whose lease ran out is there again. Reads only.
    """
    actor.require(Action.VERIFY)
    at = now()
    rows = session.execute(
        select(MonitoringReport, Project, Review)
        .join(Project, col(Project.id) == col(MonitoringReport.project_id))
        .outerjoin(
            Review,
            (col(Review.report_id) == col(MonitoringReport.id)) & col(Review.released_at).is_(None),
        )
        .where(
            col(MonitoringReport.state).in_(("queued", "in_review")),
            col(Project.organisation_id) != actor.organisation_id,
            col(Review.id).is_(None)
            | (col(Review.verifier_id) == actor.user_id)
            | (col(Review.leased_until) <= at),
        )
        .order_by(col(MonitoringReport.created_at), col(MonitoringReport.id))
        .limit(limit)
    )
    return [_item(report, project, review, actor=actor, at=at) for report, project, review in rows]


def _item(
    report: MonitoringReport, project: Project, review: Review | None, *, actor: Actor, at: datetime
) -> QueueItem:
    live = review if review is not None and review.leased_until > at else None
    creditable = (report.estimate.get("removals_tco2e") or {}).get("creditable")
    return QueueItem(
        report_id=report.id,
        project_code=project.code,
        project_name=project.name,
        kind=report.kind,
        environment=report.environment,
        methodology=report.methodology,
        digest=report.digest,
        creditable_tco2e=None if creditable is None else str(creditable),
        age=at - report.created_at,
        state="in_review" if live else "queued",
        leased_until=live.leased_until if live else None,
        mine=live is not None and live.verifier_id == actor.user_id,
    )


# --- taking a review -----------------------------------------------------------------------------


def take_review(
    session: Session, *, actor: Actor, command_id: UUID, report_id: UUID, lease: timedelta = LEASE
) -> Review:
    """Take a report for review; it is the verifier's until the lease runs out.

    Who: verifiers of another organisation. States: report `queued` to `in_review`; an expired
    review of somebody else is given back first; taking one's own again renews the lease. Writes:
    review, report state, an audit event. Safe to repeat with the same id.

    Raises
    ------
    OwnReport, InReview, WrongState, NotFound, NotAllowed, CommandConflict
    """
    actor.require(Action.VERIFY)

    def do() -> dict[str, Any]:
        report = _locked_report(session, report_id)
        _require_stranger(session, actor=actor, report=report)
        review = _open_review(session, report_id)
        at = now()
        if review is not None and review.leased_until <= at:
            review.released_at = at
            session.flush()
            review = None
        if review is not None and review.verifier_id != actor.user_id:
            raise InReview(report_id=report_id, until=f"{review.leased_until:%Y-%m-%d %H:%M} UTC")
        if review is None:
            review = _start_review(session, actor=actor, report=report, at=at)
        review.leased_until = at + lease
        audit.record(
            session,
            actor=actor,
            action="verification:review:take",
            subject=f"review:{review.id}",
            content={"report_id": str(report_id), "digest": report.digest},
        )
        return {"review_id": str(review.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="verification:review:take",
        content={"report_id": str(report_id)},
        do=do,
    )
    return session.get_one(Review, UUID(result["review_id"]))


def _start_review(
    session: Session, *, actor: Actor, report: MonitoringReport, at: datetime
) -> Review:
    if report.state != "in_review":
        states.require_step(
            states.REPORT, what=f"Report {report.id}", state=report.state, wanted="in_review"
        )
        report.state = "in_review"
    review = Review(
        report_id=report.id,
        report_kind=report.kind,
        verifier_id=actor.person(),
        taken_at=at,
        leased_until=at,
    )
    session.add(review)
    session.flush()
    return review


# --- deciding ------------------------------------------------------------------------------------


def decide(
    session: Session,
    *,
    actor: Actor,
    command_id: UUID,
    report_id: UUID,
    decision: Decision,
    evidence: Evidence,
) -> Decided:
    """Decide on a report that the actor has taken; approval mints in this same transaction.

    Who: the verifier who holds the review, never of the project's organisation. States: report
    `in_review` to `approved`, `refused` or (indicative only) `opinion_given`, all final. Writes:
    review, report state; for an approval the verified period and the batches with their blocks,
    transfer and postings; audit events; a message to the project's organisation. Safe to repeat
    with the same id: fifty repeats make one issuance.

    Parameters
    ----------
    evidence
        Where the report's evidence lies. Before an approval or an opinion all of it is read and
        compared with what was filed; a damaged report can still be refused.

    Raises
    ------
    ReportAltered
        If a file of the evidence is missing or altered, or the estimate is not the filed one.
    CannotApprove
        If the result is indicative, a problem is blocking, or nothing is creditable.
    EvidenceChanged
        If the digest that was shown is not the report's.
    NoOpenReview, OwnReport, WrongState, InvalidValue, PeriodOverlap, PeriodGap, NotFound,
    NotAllowed, CommandConflict
    """
    actor.require(Action.VERIFY)
    _check_decision(decision)

    def do() -> dict[str, Any]:
        report = _locked_report(session, report_id)
        _require_stranger(session, actor=actor, report=report)
        review = _review_to_decide(session, actor=actor, report=report)
        _require_as_filed(report, decision=decision, evidence=evidence)
        _require_verdict_fits(session, report=report, decision=decision)
        _close(session, report=report, review=review, decision=decision)
        batches: list[Batch] = []
        if decision.verdict == "approve":
            monitoring.record_verified_period(session, report=report)
            batches = issuance.mint_batches(session, actor=actor, report=report)
        _tell(session, actor=actor, report=report, decision=decision, batches=batches)
        return {"review_id": str(review.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="verification:report:decide",
        content={
            "report_id": str(report_id),
            "verdict": decision.verdict,
            "reasons": decision.reasons,
            "evidence_digest": decision.evidence_digest,
            "findings": list(decision.findings),
        },
        do=do,
    )
    return Decided(
        report=session.get_one(MonitoringReport, report_id),
        review=session.get_one(Review, UUID(result["review_id"])),
        batches=issuance.batches_of(session, report_id=report_id),
    )


def _check_decision(decision: Decision) -> None:
    if decision.verdict not in STATE_OF:
        raise InvalidValue(
            what="verdict", problem=f"{decision.verdict!r} is none", fix="approve, refuse, opinion."
        )
    if not decision.reasons.strip():
        raise InvalidValue(
            what="reasons", problem="they are empty", fix="Say why, also when you approve."
        )


def _review_to_decide(session: Session, *, actor: Actor, report: MonitoringReport) -> Review:
    """Find the actor's open review; an expired lease that nobody took over still counts."""
    if report.state in STATE_OF.values():
        raise WrongState(
            what=f"Report {report.id}", state=report.state, wanted="decided", possible="none"
        )
    review = _open_review(session, report.id)
    if review is None or review.verifier_id != actor.user_id:
        raise NoOpenReview(actor=actor.name, report_id=report.id)
    return review


def _require_verdict_fits(
    session: Session, *, report: MonitoringReport, decision: Decision
) -> None:
    if decision.verdict == "opinion" and report.kind != "indicative":
        raise InvalidValue(
            what="verdict",
            problem=f"a {report.kind} report is approved or refused",
            fix="An opinion is for indicative reports.",
        )
    if decision.verdict == "refuse" and report.kind == "indicative":
        raise InvalidValue(
            what="verdict",
            problem="an indicative report asks for an opinion only",
            fix="Give an opinion.",
        )
    if decision.verdict == "approve":
        obstacles = obstacles_to_approval(session, report=report)
        if obstacles:
            raise CannotApprove(report_id=report.id, reasons=" ".join(obstacles))


def _require_as_filed(report: MonitoringReport, *, decision: Decision, evidence: Evidence) -> None:
    """Compare the report and its evidence with what was filed; every fault is named."""
    if decision.evidence_digest != report.digest:
        raise EvidenceChanged(
            shown=decision.evidence_digest, report_id=report.id, actual=report.digest
        )
    if decision.verdict == "refuse":
        return
    faults = evidence.faults(report.evidence_uri)
    if estimate_sha256(report.estimate) != report.estimate_sha256:
        faults.append("The estimate in the database is not the one that was filed.")
    if not faults:
        try:
            stored = json.loads(evidence.content(report.evidence_uri, ESTIMATE_FILE))
            if estimate_sha256(stored) != report.estimate_sha256:
                faults.append(f"{ESTIMATE_FILE} of the evidence is not the report's estimate.")
        except (EvidenceMissing, EvidenceAltered, ValueError) as fault:
            faults.append(f"{ESTIMATE_FILE}: {fault}")
    if faults:
        raise ReportAltered(report_id=report.id, reasons=" ".join(faults))


def _close(
    session: Session, *, report: MonitoringReport, review: Review, decision: Decision
) -> None:
    wanted, at = STATE_OF[decision.verdict], now()
    states.require_step(
        states.REPORT, what=f"Report {report.id}", state=report.state, wanted=wanted
    )
    review.decision, review.reasons, review.decided_at = decision.verdict, decision.reasons, at
    review.findings = list(decision.findings)
    report.state, report.decided_at = wanted, at
    session.flush()


def _tell(
    session: Session,
    *,
    actor: Actor,
    report: MonitoringReport,
    decision: Decision,
    batches: Sequence[Batch],
) -> None:
    """Record the decision in the log and leave a message for the project's organisation."""
    project = session.get_one(Project, report.project_id)
    audit.record(
        session,
        actor=actor,
        action="verification:report:decide",
        subject=f"monitoring_report:{report.id}",
        content={
            "verdict": decision.verdict,
            "reasons": decision.reasons,
            "findings": list(decision.findings),
            "digest": report.digest,
            "kind": report.kind,
            "batches": [str(batch.id) for batch in batches],
        },
    )
    credited = sum(batch.size_kg - batch.buffer_kg for batch in batches)
    minted = f" {tonnes_text(credited)} t were credited." if batches else ""
    notifications.notify(
        session,
        organisation_id=project.organisation_id,
        kind="verification:report:decide",
        subject=f"monitoring_report:{report.id}",
        message=f"{project.code}: the report is {report.state}.{minted} {decision.reasons}",
    )
    session.flush()


# --- what stands in the way ----------------------------------------------------------------------


def obstacles_to_approval(session: Session, *, report: MonitoringReport) -> list[str]:
    """Say everything that forbids the approval of a report, a sentence each; empty if nothing.

    Who: anyone who may see the report; the verifier's page shows it before the decision.
    """
    found = [
        f"{entry['code']}: {entry['message']}"
        for entry in report.estimate.get("quality") or ()
        if entry.get("severity") == "blocking"
    ]
    if report.kind == "indicative":
        found.append("An indicative result gets an opinion and is never minted.")
    if report.kind == "demonstration" and report.environment != "sandbox":
        found.append("A demonstration is minted in a sandbox only.")
    project = session.get_one(Project, report.project_id)
    if project.state != "active":
        found.append(f"The project {project.code} is {project.state}.")
    creditable = (report.estimate.get("removals_tco2e") or {}).get("creditable")
    if creditable is None:
        found.append("Nothing is creditable: the stocks are unknown.")
    elif creditable <= 0 or issuance.issuance_of(report.estimate) == NOTHING:
        found.append(f"Nothing is creditable: {creditable} tCO2e before rounding to kilograms.")
    elif (excess := issuance.excess_of(report.estimate)) is not None:
        found.append(excess)
    return found


def _locked_report(session: Session, report_id: UUID) -> MonitoringReport:
    found = session.scalars(
        select(MonitoringReport)
        .where(col(MonitoringReport.id) == report_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        raise NotFound(what="report", key=report_id)
    return found


def _open_review(session: Session, report_id: UUID) -> Review | None:
    return session.scalars(
        select(Review)
        .where(col(Review.report_id) == report_id, col(Review.released_at).is_(None))
        .execution_options(populate_existing=True)
    ).one_or_none()


def _require_stranger(session: Session, *, actor: Actor, report: MonitoringReport) -> None:
    project = session.get_one(Project, report.project_id)
    if project.organisation_id == actor.organisation_id:
        raise OwnReport(actor=actor.name)
