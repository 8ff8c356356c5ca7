"""The log as readers see it: events of a subject, the newest checkpoint. Reads only.

Order: values, events, leaves, checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlmodel import col

from registry.tables.audit import AuditEvent, Checkpoint, LogLeaf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session


@dataclass(frozen=True)
class EventRow:
    """An event and its place in the tree; None until it is sealed."""

    event: AuditEvent
    leaf_index: int | None


def list_events(
    session: Session,
    *,
    limit: int,
    after: int | None = None,
    subjects: Sequence[str] | None = None,
) -> list[EventRow]:
    """Give events, the newest first, with numbers below `after`; of some subjects, or all."""
    statement = (
        select(AuditEvent, col(LogLeaf.leaf_index))
        .outerjoin(LogLeaf, col(LogLeaf.event_seq) == col(AuditEvent.seq))
        .order_by(col(AuditEvent.seq).desc())
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(AuditEvent.seq) < after)
    if subjects is not None:
        statement = statement.where(col(AuditEvent.subject).in_(subjects))
    return [EventRow(event, index) for event, index in session.execute(statement)]


def latest_checkpoint(session: Session) -> Checkpoint | None:
    """Give the newest checkpoint; None until the log was sealed once."""
    statement = select(Checkpoint).order_by(col(Checkpoint.tree_size).desc()).limit(1)
    return session.scalars(statement).first()
