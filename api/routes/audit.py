"""The log, its proofs and the invariants under /v1."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse, Response

from api.deps import SettingsDep, Transaction
from api.paging import LIMIT_DEFAULT, After, Limit, first_rows, key_of, whole
from api.schemas.audit import (
    Broken,
    Checkpoint,
    CheckpointAnswer,
    ConsistencyAnswer,
    Event,
    EventsAnswer,
    InvariantsAnswer,
    ProofAnswer,
)
from registry import invariants
from registry.adapters import signing
from registry.domain import claims
from registry.errors import InvalidValue, NotFound
from registry.queries import audit as rows
from registry.services import audit, log

router = APIRouter(prefix="/v1", tags=["audit"])

Action = Annotated[
    str, Query(max_length=100, pattern=r"^[a-z_]+:[a-z_]+:[a-z_]+$", examples=["ledger:retire:x"])
]
Subject = Annotated[
    str, Query(max_length=100, pattern=r"^[a-z_]+:[A-Za-z0-9-]+$", examples=["retirement:ID"])
]
Size = Annotated[int, Query(ge=1, le=2**53 - 1)]


@router.get("/log/checkpoint", operation_id="read_checkpoint")
def read_checkpoint(session: Transaction, settings: SettingsDep) -> CheckpointAnswer:
    """Give the newest signed checkpoint. Open to all."""
    found = rows.latest_checkpoint(session)
    return CheckpointAnswer(
        environment=settings.environment,
        checkpoint=None if found is None else Checkpoint.of(found),
    )


@router.get("/log/public-key.pem", operation_id="read_public_key", response_class=PlainTextResponse)
def read_public_key(settings: SettingsDep) -> Response:
    """Give the key that signs the log; pin it once, from a place that you trust."""
    return PlainTextResponse(signing.public_pem(settings), media_type="application/x-pem-file")


@router.get("/log/events", operation_id="list_events")
def list_events(
    session: Transaction,
    settings: SettingsDep,
    subject: Subject | None = None,
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
) -> EventsAnswer:
    """List events, the newest first; all, or those of one subject. Open to all."""
    found = rows.list_events(
        session,
        limit=limit + 1,
        after=key_of(after, whole),
        subjects=None if subject is None else [subject],
    )
    shown, following = first_rows(found, limit=limit, key=lambda row: row.event.seq or 0)
    return EventsAnswer(
        environment=settings.environment,
        items=[Event.of(row) for row in shown],
        next=following,
    )


@router.get("/log/proof", operation_id="read_proof")
def read_proof(
    action: Action, subject: Subject, session: Transaction, settings: SettingsDep
) -> ProofAnswer:
    """Prove that the log holds the event of this action on this subject. Open to all.

    404 where there is no such event, or it is not sealed yet.
    """
    found = log.prove(session, action=action, subject=subject)
    if found is None:
        raise NotFound(what="sealed event", key=f"{action} of {subject}")
    return ProofAnswer.of(
        found,
        leaf=audit.leaf_document(found.event),
        environment=settings.environment,
        sentence=claims.CERTIFICATE,
    )


@router.get("/log/consistency", operation_id="read_consistency")
def read_consistency(
    first: Size, second: Size, session: Transaction, settings: SettingsDep
) -> ConsistencyAnswer:
    """Prove that the log of `second` leaves begins with its first `first` leaves. Open to all."""
    newest = rows.latest_checkpoint(session)
    size = newest.tree_size if newest else 0
    if not first <= second <= size:
        raise InvalidValue(
            what="sizes",
            problem=f"{first} and {second} are not within the {size} leaves of the log",
            fix="Give first <= second <= size",
        )
    path = log.prove_consistency(session, first=first, second=second)
    return ConsistencyAnswer(
        environment=settings.environment,
        first=first,
        second=second,
        consistency_proof=[step.hex() for step in path],
    )


@router.get("/invariants", operation_id="check_invariants")
def check_invariants(session: Transaction, settings: SettingsDep) -> InvariantsAnswer:
    """Check now what must always hold: sums, tiles, hashes, checkpoints. Open to all."""
    broken = invariants.run(session)
    return InvariantsAnswer(
        environment=settings.environment,
        holds=not broken,
        checked=[check.name for check in invariants.INVARIANTS],
        broken=[Broken(invariant=one.name, says=one.sentence, ids=list(one.ids)) for one in broken],
    )
