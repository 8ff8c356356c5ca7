"""Files that people hand in, by their content: the row that says which file, how long, whose.

The bytes are in the evidence store before the row is written, so a row never points at nothing.
Imports audit and tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from registry.domain.roles import Action
from registry.services import audit
from registry.tables.projects import Document

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.domain.roles import Actor


@dataclass(frozen=True)
class NewDocument:
    """A file that is in the evidence store already."""

    sha256: str
    name: str
    """As it was called when it came; for people, never used as a path."""
    media_type: str
    size_bytes: int


def record_document(session: Session, *, actor: Actor, document: NewDocument) -> Document:
    """Note a file that was handed in.

    Developers. Writes document, audit_event. Known by its content, so it needs no command id: the
    same file again gives the first row, whoever brought it, and writes nothing.

    Raises
    ------
    NotAllowed
    """
    actor.require(Action.REQUEST_MONITORING)
    statement = (
        insert(Document)
        .values(
            sha256=document.sha256,
            name=document.name,
            media_type=document.media_type,
            size_bytes=document.size_bytes,
            organisation_id=actor.organisation(),
        )
        .on_conflict_do_nothing()
        .returning(col(Document.sha256))
    )
    if session.scalars(statement).first() is not None:
        audit.record(
            session,
            actor=actor,
            action="projects:document:add",
            subject=f"document:{document.sha256}",
            content={"media_type": document.media_type, "size_bytes": document.size_bytes},
        )
    return session.get_one(Document, document.sha256)
