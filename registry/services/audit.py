"""The audit log: every service records here, in the transaction that makes the change.

Imports tables and the hashes of `domain.proof`. Recording takes no lock that another writer
could wait for: the place in the Merkle tree is given later, by the sealing job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlmodel import col

from registry.domain.certificate import moment_text
from registry.domain.proof import canonical_json, leaf_hash
from registry.tables.audit import AuditEvent
from registry.tables.base import Environment, now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from registry.domain.roles import Actor


def record(
    session: Session, *, actor: Actor, action: str, subject: str, content: Mapping[str, Any]
) -> AuditEvent:
    """Write one event; without one, the database refuses the change at commit.

    Called by services only, whoever the actor is. Not idempotent by itself: `commands.once` is.

    Parameters
    ----------
    action
        `source:subject:action`, lower case, such as `projects:area:add`.
    subject
        `<table>:<id>` of what changed.
    content
        What a reader needs to check the change: text, whole numbers, true, false, null, lists
        and objects of these. No float, no person's name, no secret: the log is public and for ever.

    Raises
    ------
    registry.domain.proof.Malformed
        If the content holds anything else.
    """
    event = AuditEvent(
        at=now(),
        actor=actor.tag,
        action=action,
        subject=subject,
        environment=environment_of(session),
        content=dict(content),
        leaf_sha256=b"",
    )
    event.leaf_sha256 = leaf_hash(canonical_json(leaf_document(event)))
    session.add(event)
    session.flush()
    return event


def leaf_document(event: AuditEvent) -> dict[str, Any]:
    """Give the six fields that the leaf hashes, as they stand in a certificate."""
    return {
        "action": event.action,
        "actor": event.actor,
        "at": moment_text(event.at),
        "content": event.content,
        "environment": event.environment,
        "subject": event.subject,
    }


def environment_of(session: Session) -> str:
    """Give what the database was born as, `sandbox` or `production`; read once a session."""
    if "environment" not in session.info:
        session.info["environment"] = session.scalars(select(col(Environment.kind))).one()
    kind: str = session.info["environment"]
    return kind
