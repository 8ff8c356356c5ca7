"""Organisations and keys as their owners see them. Reads only; imports tables.

Order: keys, organisations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlmodel import col

from registry.errors import NotFound
from registry.tables.accounts import ApiKey, Organisation

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session


def keys_of(session: Session, *, user_id: UUID | None) -> list[ApiKey]:
    """Give a person's keys, the newest first."""
    statement = select(ApiKey).where(col(ApiKey.user_id) == user_id)
    return list(session.scalars(statement.order_by(col(ApiKey.id).desc())))


def get_organisation(session: Session, *, organisation_id: UUID) -> Organisation:
    """Give one organisation.

    Raises
    ------
    NotFound
        If there is none.
    """
    found = session.get(Organisation, organisation_id)
    if found is None:
        raise NotFound(what="organisation", key=organisation_id)
    return found
