"""What can be checked by anybody: a retirement's certificate, a batch's serials, the log."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.console.templating import page
from api.console.visits import Look, Looking
from api.paging import After, first_rows, key_of, whole
from api.schemas.audit import Checkpoint
from api.schemas.credits import Block, Retirement, claim_of, inclusive, serial_text
from registry import invariants
from registry.adapters import signing
from registry.errors import NotSealedYet
from registry.queries import audit as events
from registry.queries import credits as rows
from registry.services import certificate

router = APIRouter()

BLOCKS_A_PAGE = 100
EVENTS_A_PAGE = 50


@router.get("/retirements/{retirement_id}")
def show_retirement(retirement_id: UUID, found: Looking) -> Response:
    """Show a retirement and, as soon as the log has sealed it, its certificate and proof."""
    row = rows.get_retirement(found.session, retirement_id=retirement_id)
    return page(
        found.request,
        "retirement.html",
        actor=found.actor,
        visit=found.visit,
        retirement=Retirement.of(row),
        project_name=row.batch.project_name,
        document=_document(found, retirement_id),
        fingerprint=signing.fingerprint(found.settings),
        base_url=str(found.request.base_url).rstrip("/"),
    )


@router.get("/batches/{batch_id}")
def show_batch(batch_id: UUID, found: Looking, after: After = None) -> Response:
    """Show where each serial of a batch is now."""
    batch = rows.get_batch(found.session, batch_id=batch_id)
    listed = rows.list_blocks(
        found.session, batch_id=batch_id, limit=BLOCKS_A_PAGE + 1, after=key_of(after, whole)
    )
    shown, following = first_rows(
        listed, limit=BLOCKS_A_PAGE, key=lambda row: inclusive(row.serials)[0]
    )
    return page(
        found.request,
        "batch.html",
        actor=found.actor,
        visit=found.visit,
        batch=batch,
        serials=serial_text(batch, first=1, last=batch.batch.size_kg),
        claim=claim_of(batch),
        blocks=[Block.of(batch, block) for block in shown],
        following=following,
    )


@router.get("/log")
def show_log(found: Looking, after: After = None) -> Response:
    """Show the newest checkpoint, the invariants and the events, the newest first."""
    newest = events.latest_checkpoint(found.session)
    listed = events.list_events(found.session, limit=EVENTS_A_PAGE + 1, after=key_of(after, whole))
    shown, following = first_rows(listed, limit=EVENTS_A_PAGE, key=lambda row: row.event.seq or 0)
    return page(
        found.request,
        "log.html",
        actor=found.actor,
        visit=found.visit,
        checkpoint=None if newest is None else Checkpoint.of(newest),
        broken=invariants.run(found.session) if after is None else None,
        checked=len(invariants.INVARIANTS),
        events=shown,
        following=following,
    )


def _document(found: Look, retirement_id: UUID) -> dict[str, Any] | None:
    try:
        return certificate.build(found.session, retirement_id=retirement_id)
    except NotSealedYet:
        return None
