"""The verifier's queue, taking and deciding under /v1."""

from uuid import UUID

from fastapi import APIRouter, status

from api.deps import Acting, CommandId, SettingsDep, Transaction
from api.paging import LIMIT_DEFAULT, After, Limit, first_rows, key_of
from api.schemas.credits import Batch
from api.schemas.monitoring import Report, ReportsAnswer
from api.schemas.verification import DecidedAnswer, DecisionBody, TakenAnswer
from registry.adapters.evidence_store import EvidenceStore
from registry.domain.roles import Action
from registry.queries import credits as credit_rows
from registry.queries import monitoring as rows
from registry.services import verification
from registry.tables.base import now

router = APIRouter(prefix="/v1", tags=["verification"])


@router.get("/verification/queue", operation_id="list_queue")
def list_queue(
    session: Transaction,
    actor: Acting,
    settings: SettingsDep,
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
) -> ReportsAnswer:
    """List the reports that wait for you, the oldest first. Verifiers only.

    Reports of your own organisation and those that somebody else reviews now are left out.
    """
    actor.require(Action.VERIFY)
    found = rows.list_queue(
        session, verifier=actor, at=now(), limit=limit + 1, after=key_of(after, UUID)
    )
    shown, following = first_rows(found, limit=limit, key=lambda row: row.report.id)
    return ReportsAnswer(
        environment=settings.environment,
        items=[Report.of(row) for row in shown],
        next=following,
    )


@router.post("/reports/{report_id}/review", operation_id="take_review")
def take_review(
    report_id: UUID,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> TakenAnswer:
    """Take a report for review; it is yours until the lease ends. Verifiers only."""
    review = verification.take_review(
        session, actor=actor, command_id=command_id, report_id=report_id
    )
    return TakenAnswer(
        environment=settings.environment,
        review_id=review.id,
        report=Report.of(rows.get_report(session, report_id=report_id)),
        leased_until=review.leased_until,
    )


@router.post(
    "/reports/{report_id}/decision",
    status_code=status.HTTP_201_CREATED,
    operation_id="decide_report",
)
def decide_report(
    report_id: UUID,
    body: DecisionBody,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> DecidedAnswer:
    """Approve (which mints), refuse, or give an opinion. The verifier who took it only."""
    decided = verification.decide(
        session,
        actor=actor,
        command_id=command_id,
        report_id=report_id,
        decision=decision_of(body),
        evidence=EvidenceStore(settings.evidence_dir),
    )
    minted = credit_rows.batches_by_id(session, batch_ids=[one.id for one in decided.batches])
    return DecidedAnswer(
        environment=settings.environment,
        report=Report.of(rows.get_report(session, report_id=report_id)),
        batches=[Batch.of(minted[one.id]) for one in decided.batches],
    )


def decision_of(body: DecisionBody) -> verification.Decision:
    """Give what the service takes."""
    return verification.Decision(
        verdict=body.decision,
        reasons=body.reasons,
        evidence_digest=body.evidence_digest,
        findings=[item.model_dump() for item in body.findings],
    )
