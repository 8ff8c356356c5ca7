"""Listings, purchases and cash as readers see them. Reads only; imports tables and errors.

Order: values, listings, purchases, cash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlmodel import col

from registry.errors import NotFound
from registry.queries.credits import BatchRow, batches_by_id
from registry.tables.accounts import Account, Organisation
from registry.tables.credits import Balance
from registry.tables.market import Listing, Purchase

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Select
    from sqlalchemy.orm import Session


@dataclass(frozen=True)
class ListingRow:
    """An offer with its batch and the organisation that sells."""

    listing: Listing
    batch: BatchRow
    seller: str
    seller_id: UUID


@dataclass(frozen=True)
class PurchaseRow:
    """A purchase with its batch."""

    purchase: Purchase
    batch: BatchRow


def list_listings(
    session: Session,
    *,
    limit: int,
    after: UUID | None = None,
    state: str | None = "open",
    organisation_id: UUID | None = None,
    at: datetime | None = None,
) -> list[ListingRow]:
    """Give listings, the newest first, older than `after`; open ones unless told.

    With `at`: without those that had expired by then.
    """
    statement = _readable().order_by(col(Listing.id).desc()).limit(limit)
    if after is not None:
        statement = statement.where(col(Listing.id) < after)
    if state is not None:
        statement = statement.where(col(Listing.state) == state)
    if at is not None:
        expires_at = col(Listing.expires_at)
        statement = statement.where(expires_at.is_(None) | (expires_at > at))
    if organisation_id is not None:
        statement = statement.where(col(Account.organisation_id) == organisation_id)
    return _rows(session, statement)


def get_listing(session: Session, *, listing_id: UUID) -> ListingRow:
    """Give one listing.

    Raises
    ------
    NotFound
        If there is none.
    """
    rows = _rows(session, _readable().where(col(Listing.id) == listing_id))
    if not rows:
        raise NotFound(what="listing", key=listing_id)
    return rows[0]


def _readable() -> Select[Listing, Organisation]:
    return (
        select(Listing, Organisation)
        .join(Account, col(Account.id) == col(Listing.account_id))
        .join(Organisation, col(Organisation.id) == col(Account.organisation_id))
    )


def _rows(session: Session, statement: Select[Listing, Organisation]) -> list[ListingRow]:
    found = session.execute(statement).all()
    batches = batches_by_id(session, batch_ids=[listing.batch_id for listing, _ in found])
    return [
        ListingRow(listing, batches[listing.batch_id], seller.name, seller.id)
        for listing, seller in found
    ]


def list_purchases(
    session: Session, *, organisation_id: UUID, limit: int, after: UUID | None = None
) -> list[PurchaseRow]:
    """Give what an organisation bought, the newest first, older than `after`."""
    statement = (
        select(Purchase)
        .join(Account, col(Account.id) == col(Purchase.account_id))
        .where(col(Account.organisation_id) == organisation_id)
        .order_by(col(Purchase.id).desc())
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(Purchase.id) < after)
    found = session.scalars(statement).all()
    batches = batches_by_id(session, batch_ids=[purchase.batch_id for purchase in found])
    return [PurchaseRow(purchase, batches[purchase.batch_id]) for purchase in found]


def get_purchase(session: Session, *, purchase_id: UUID) -> PurchaseRow:
    """Give one purchase.

    Raises
    ------
    NotFound
        If there is none.
    """
    found = session.get(Purchase, purchase_id)
    if found is None:
        raise NotFound(what="purchase", key=purchase_id)
    return PurchaseRow(found, batches_by_id(session, batch_ids=[found.batch_id])[found.batch_id])


def list_cash(session: Session, *, organisation_id: UUID) -> list[tuple[str, int]]:
    """Give an organisation's money: (currency, minor units), currencies in order."""
    statement = (
        select(col(Balance.unit), col(Balance.amount))
        .join(Account, col(Account.id) == col(Balance.account_id))
        .where(col(Account.organisation_id) == organisation_id, col(Account.kind) == "cash")
        .order_by(col(Balance.unit))
    )
    return [(unit, int(amount)) for unit, amount in session.execute(statement)]
