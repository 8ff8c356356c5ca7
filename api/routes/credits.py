"""Batches, blocks, balances, transfers and retirements under /v1."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, status
from starlette.responses import JSONResponse, Response

from api.deps import Acting, CommandId, SettingsDep, Transaction
from api.paging import LIMIT_DEFAULT, After, Limit, first_rows, key_of, whole
from api.schemas.credits import (
    BalancesAnswer,
    Batch,
    BatchAnswer,
    BatchesAnswer,
    Block,
    BlocksAnswer,
    Holding,
    RetireBody,
    Retirement,
    RetirementAnswer,
    RetirementsAnswer,
    TransferAnswer,
    TransferBody,
    inclusive,
)
from api.wire import Money
from registry.adapters import certificate_pdf
from registry.domain.certificate import Use
from registry.domain.credits import Wanted
from registry.queries import credits as rows
from registry.queries import market as market_rows
from registry.queries import projects as project_rows
from registry.services import ledger
from registry.services.certificate import build as build_certificate

router = APIRouter(prefix="/v1", tags=["credits"])

OneRetirement = Annotated[UUID, Path(description="The id that retiring gave.")]


@router.get("/projects/{code}/batches", operation_id="list_batches")
def list_batches(
    code: str,
    session: Transaction,
    settings: SettingsDep,
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
) -> BatchesAnswer:
    """List a project's batches by number. Open to all."""
    project = project_rows.get_project(session, code=code).project
    found = rows.list_batches(
        session, project_id=project.id, limit=limit + 1, after=key_of(after, whole)
    )
    shown, following = first_rows(found, limit=limit, key=lambda row: row.batch.number)
    return BatchesAnswer(
        environment=settings.environment,
        items=[Batch.of(row) for row in shown],
        next=following,
    )


@router.get("/batches/{batch_id}", operation_id="read_batch")
def read_batch(batch_id: UUID, session: Transaction, settings: SettingsDep) -> BatchAnswer:
    """Give one batch. Open to all."""
    batch = Batch.of(rows.get_batch(session, batch_id=batch_id))
    return BatchAnswer.model_validate({**batch.model_dump(), "environment": settings.environment})


@router.get("/batches/{batch_id}/blocks", operation_id="list_blocks")
def list_blocks(
    batch_id: UUID,
    session: Transaction,
    settings: SettingsDep,
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
) -> BlocksAnswer:
    """List a batch's blocks in the order of serials: which are held, listed, retired, buffer."""
    batch = rows.get_batch(session, batch_id=batch_id)
    found = rows.list_blocks(
        session, batch_id=batch_id, limit=limit + 1, after=key_of(after, whole)
    )
    shown, following = first_rows(found, limit=limit, key=lambda row: inclusive(row.serials)[0])
    return BlocksAnswer(
        environment=settings.environment,
        batch=Batch.of(batch),
        items=[Block.of(batch, block) for block in shown],
        next=following,
    )


@router.get("/balances", operation_id="read_balances")
def read_balances(session: Transaction, actor: Acting, settings: SettingsDep) -> BalancesAnswer:
    """Give what your organisation has: credits by batch and state, money by currency."""
    organisation_id = actor.organisation()
    cash = market_rows.list_cash(session, organisation_id=organisation_id)
    holdings = rows.list_holdings(session, organisation_id=organisation_id)
    return BalancesAnswer(
        environment=settings.environment,
        organisation_id=organisation_id,
        cash=[Money.of(minor, currency) for currency, minor in cash],
        holdings=[Holding.of(row) for row in holdings],
    )


@router.post("/transfers", status_code=status.HTTP_201_CREATED, operation_id="transfer_credits")
def transfer_credits(
    body: TransferBody, *, session: Transaction, actor: Acting, command_id: CommandId
) -> TransferAnswer:
    """Give credits of your organisation to another one, free of payment."""
    made = ledger.transfer(
        session,
        actor=actor,
        command_id=command_id,
        wanted=Wanted(batch_id=body.batch_id, quantity_kg=body.quantity_kg),
        to_organisation_id=body.to_organisation_id,
    )
    return TransferAnswer.of(made, row=rows.get_batch(session, batch_id=body.batch_id), body=body)


@router.post("/retirements", status_code=status.HTTP_201_CREATED, operation_id="retire_credits")
def retire_credits(
    body: RetireBody,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> RetirementAnswer:
    """Use credits of your organisation up, for a named beneficiary, for ever."""
    made = ledger.retire(
        session,
        actor=actor,
        command_id=command_id,
        wanted=Wanted(batch_id=body.batch_id, quantity_kg=body.quantity_kg),
        use=use_of(body),
    )
    return _answer(session, made.id, settings.environment)


@router.get("/retirements", operation_id="list_retirements")
def list_retirements(
    session: Transaction,
    settings: SettingsDep,
    project: Annotated[str | None, Query(max_length=32, description="A project's code.")] = None,
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
) -> RetirementsAnswer:
    """List retirements, the newest first; all, or those of one project. Open to all."""
    project_id = None
    if project is not None:
        project_id = project_rows.get_project(session, code=project).project.id
    found = rows.list_retirements(
        session, limit=limit + 1, after=key_of(after, UUID), project_id=project_id
    )
    shown, following = first_rows(found, limit=limit, key=lambda row: row.retirement.id)
    return RetirementsAnswer(
        environment=settings.environment,
        items=[Retirement.of(row) for row in shown],
        next=following,
    )


@router.get("/retirements/{retirement_id}", operation_id="read_retirement")
def read_retirement(
    retirement_id: OneRetirement, session: Transaction, settings: SettingsDep
) -> RetirementAnswer:
    """Give one retirement. Open to all."""
    return _answer(session, retirement_id, settings.environment)


@router.get(
    "/retirements/{retirement_id}/certificate",
    operation_id="read_certificate",
    response_class=JSONResponse,
)
def read_certificate(retirement_id: OneRetirement, session: Transaction) -> Response:
    """Give the certificate with its proof, byte for byte as `amanar verify-proof` reads it.

    409 certificate-not-sealed until the log has sealed the retirement (some seconds).
    """
    document = build_certificate(session, retirement_id=retirement_id)
    return JSONResponse(document)


@router.get(
    "/retirements/{retirement_id}/certificate.pdf",
    operation_id="read_certificate_pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}},
)
def read_certificate_pdf(retirement_id: OneRetirement, session: Transaction) -> Response:
    """Give the certificate as a PDF, with a watermark in a sandbox."""
    document = build_certificate(session, retirement_id=retirement_id)
    name = f"certificate-{retirement_id}.pdf"
    return Response(
        certificate_pdf.render(document),
        media_type="application/pdf",
        headers={"Content-Disposition": f'inline; filename="{name}"'},
    )


def use_of(body: RetireBody) -> Use:
    """Give what the service takes."""
    return Use(
        beneficiary=body.beneficiary,
        purpose=body.purpose,
        country=body.country,
        period_start=body.period.start if body.period else None,
        period_end=body.period.end if body.period else None,
        note=body.note,
    )


def _answer(session: Transaction, retirement_id: UUID, environment: str) -> RetirementAnswer:
    row = rows.get_retirement(session, retirement_id=retirement_id)
    retirement = Retirement.of(row)
    return RetirementAnswer.model_validate({**retirement.model_dump(), "environment": environment})
