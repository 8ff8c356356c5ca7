"""The certificate of a retirement: a sealed leaf with its proof; imports log and the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.domain import proof
from registry.domain.certificate import assemble
from registry.errors import LogInconsistent, NotFound, NotSealedYet
from registry.services import audit, log
from registry.tables.credits import Retirement

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session


def build(session: Session, *, retirement_id: UUID) -> dict[str, Any]:
    """Give the certificate of a retirement, schema `amanar.certificate/1`.

    Who: anyone; a retirement is public. Reads only. The same certificate every time: it uses the
    oldest checkpoint that covers its leaf. It is checked before it is handed out.

    Raises
    ------
    NotFound
        If there is no such retirement.
    NotSealedYet
        Until the log's job has sealed its leaf, some seconds after the retirement.
    LogInconsistent
        If what is stored does not prove it.
    """
    if session.get(Retirement, retirement_id) is None:
        raise NotFound(what="retirement", key=retirement_id)
    found = log.prove(
        session, action="ledger:credits:retire", subject=f"retirement:{retirement_id}"
    )
    if found is None:
        raise NotSealedYet(retirement_id=retirement_id)
    checkpoint = found.checkpoint
    document = assemble(
        leaf=audit.leaf_document(found.event),
        leaf_index=found.leaf_index,
        inclusion_path=found.path,
        checkpoint=log.head_of(checkpoint),
        signature=checkpoint.signature,
        public_key=checkpoint.public_key,
    )
    verdict = proof.verify_certificate(document)
    if not verdict.holds:
        raise LogInconsistent(tree_size=checkpoint.tree_size, problem=verdict.sentence)
    return document
