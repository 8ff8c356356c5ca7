"""Messages to organisations, written with the change that they tell of; imports tables.

The row is the message: mail and webhooks are sent from it later, by a job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, update
from sqlmodel import col

from registry.tables.accounts import Notification

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from registry.domain.roles import Actor


def notify(
    session: Session, *, organisation_id: UUID, kind: str, subject: str, message: str
) -> Notification:
    """Leave a message for an organisation; it exists if and only if the change commits.

    Parameters
    ----------
    kind
        The audit action that it tells of, `monitoring:report:submit`.
    subject
        `<table>:<id>` of what it is about.
    message
        One sentence for people.
    """
    made = Notification(
        organisation_id=organisation_id, kind=kind, subject=subject, message=message
    )
    session.add(made)
    return made


def mark_read(session: Session, *, actor: Actor, up_to: UUID) -> int:
    """Mark the actor's organisation's messages as read, up to one of them; safe to repeat.

    Returns
    -------
    How many were unread before.
    """
    unread = (
        update(Notification)
        .where(
            col(Notification.organisation_id) == actor.organisation_id,
            col(Notification.id) <= up_to,
            col(Notification.read_at).is_(None),
        )
        .values(read_at=func.now())
        .returning(col(Notification.id))
    )
    return len(session.scalars(unread).all())
