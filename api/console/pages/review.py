"""For verifiers: the queue, one report with its evidence, the decision."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response
from starlette.status import HTTP_200_OK

from api.console import present
from api.console.attempts import Refused, attempt, go_to, status_of
from api.console.pages.public import views_of
from api.console.templating import Form, page
from api.console.trouble import form_of
from api.console.visits import Person, Posted, SignedIn, command_id_of, text_of, texts_of
from api.paging import After, first_rows, key_of
from api.routes.verification import decision_of
from api.schemas.verification import DecisionBody
from registry.adapters.evidence_store import EvidenceStore
from registry.domain.roles import Action
from registry.queries import monitoring as rows
from registry.queries.projects import both_days
from registry.services import verification
from registry.tables.base import now

router = APIRouter()

REPORTS_A_PAGE = 30

CHOICES = {
    "approve": ("Approve", "Credits are minted at once, the buffer's part with them."),
    "refuse": ("Refuse", "Nothing is credited; reasons and pictures are published."),
    "opinion": ("Give an opinion", "An indicative report is only screened, never credited."),
}


@dataclass(frozen=True)
class Waiting:
    """One line of the queue."""

    row: rows.ReportRow
    start: str
    end: str
    creditable: str
    blocking: int
    warnings: int
    is_mine: bool


@router.get("/review")
def show_queue(found: Person, after: After = None) -> Response:
    """List the reports that wait for this verifier, the oldest first."""
    found.actor.require(Action.VERIFY)
    listed = rows.list_queue(
        found.session,
        verifier=found.actor,
        at=now(),
        limit=REPORTS_A_PAGE + 1,
        after=key_of(after, UUID),
    )
    shown, following = first_rows(listed, limit=REPORTS_A_PAGE, key=lambda row: row.report.id)
    return page(
        found.request,
        "queue.html",
        actor=found.actor,
        visit=found.visit,
        waiting=[_waiting(found, row) for row in shown],
        following=following,
    )


@router.get("/review/{report_id}")
def show_review(report_id: UUID, found: Person) -> Response:
    """Show one report with its evidence, and the form to take it or to decide."""
    found.actor.require(Action.VERIFY)
    return _review(found, report_id, Form())


@router.post("/review/{report_id}/take")
def take(report_id: UUID, found: Person, data: Posted) -> Response:
    """Take a report for review."""
    try:
        with attempt(found.session):
            verification.take_review(
                found.session,
                actor=found.actor,
                command_id=command_id_of(data),
                report_id=report_id,
            )
    except Refused as refused:
        fault = refused.fault
        return _review(found, report_id, form_of({}, fault), status=status_of(fault))
    return go_to(f"/review/{report_id}?done=taken")


@router.post("/review/{report_id}/decision")
def decide(report_id: UUID, found: Person, data: Posted) -> Response:
    """Decide; an approval mints in the same step."""
    try:
        with attempt(found.session):
            body = DecisionBody.model_validate(
                {
                    "decision": text_of(data, "decision"),
                    "reasons": text_of(data, "reasons"),
                    "evidence_digest": text_of(data, "evidence_digest"),
                }
            )
            verification.decide(
                found.session,
                actor=found.actor,
                command_id=command_id_of(data),
                report_id=report_id,
                decision=decision_of(body),
                evidence=EvidenceStore(found.settings.evidence_dir),
            )
    except Refused as refused:
        fault = refused.fault
        return _review(found, report_id, form_of(texts_of(data), fault), status=status_of(fault))
    row = rows.get_report(found.session, report_id=report_id)
    return go_to(f"/projects/{row.project.code}?done=decided#report-{report_id}")


def _waiting(found: SignedIn, row: rows.ReportRow) -> Waiting:
    start, end = both_days(row.report.period)
    quality = row.report.estimate.get("quality") or []
    removals = row.report.estimate.get("removals_tco2e") or {}
    return Waiting(
        row=row,
        start=present.day(start),
        end=present.day(end),
        creditable=present.number_text(removals.get("creditable"), digits=3),
        blocking=sum(1 for one in quality if one["severity"] == "blocking"),
        warnings=sum(1 for one in quality if one["severity"] == "warning"),
        is_mine=_is_mine(found, row),
    )


def _is_mine(found: SignedIn, row: rows.ReportRow) -> bool:
    """Tell whether this verifier has the report now."""
    if row.review is None or row.report.state != "in_review":
        return False
    return row.review.review.verifier_id == found.actor.user_id


def _review(found: SignedIn, report_id: UUID, form: Form, *, status: int = HTTP_200_OK) -> Response:
    row = rows.get_report(found.session, report_id=report_id)
    is_own = row.project.organisation_id == found.actor.organisation_id
    is_mine = _is_mine(found, row)
    choices = ["opinion"] if row.report.kind == "indicative" else ["approve", "refuse"]
    return page(
        found.request,
        "review.html",
        actor=found.actor,
        visit=found.visit,
        status=status,
        project=row.project,
        view=views_of(found, [row])[0],
        is_own=is_own,
        is_mine=is_mine,
        can_take=not is_own and not is_mine and row.report.state in ("queued", "in_review"),
        leased_until=_lease(row) if is_mine else None,
        choices=[(name, *CHOICES[name]) for name in choices],
        base_url=str(found.request.base_url).rstrip("/"),
        form=form,
    )


def _lease(row: rows.ReportRow) -> datetime | None:
    return row.review.review.leased_until if row.review else None
