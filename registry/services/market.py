"""Fixed-price listings: offer, withdraw, buy; delivery against payment in one transaction.

Imports payments, ledger, booking, accounts, audit, commands and the domain.

Order: values, offering, withdrawing, buying.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from registry.domain import states
from registry.domain.credits import Wanted
from registry.domain.quantities import MAX_KG, MINOR_DIGITS, SANDBOX_CURRENCY, price_for
from registry.domain.roles import Action
from registry.errors import (
    AccountFrozen,
    InvalidValue,
    ListingClosed,
    ListingTooSmall,
    NotAQuantity,
    NotFound,
    OwnListing,
)
from registry.services import accounts, audit, booking, commands, ledger, payments
from registry.tables.accounts import Account
from registry.tables.base import now
from registry.tables.market import Listing, Purchase

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from registry.domain.credits import SerialRange
    from registry.domain.roles import Actor
    from registry.tables.credits import Transfer


@dataclass(frozen=True)
class Offer:
    """At what price, in which money, until when."""

    price_minor_per_t: int
    """Minor units for one tonne (1,000 kg)."""
    currency: str = SANDBOX_CURRENCY
    expires_at: datetime | None = None
    """From then on nothing can be bought; with a time zone. None: until withdrawn or sold."""


# --- offering ------------------------------------------------------------------------------------


def list_credits(
    session: Session, *, actor: Actor, command_id: UUID, wanted: Wanted, offer: Offer
) -> Listing:
    """Offer active credits of one batch at a fixed price.

    Who: developers and buyers, from their own organisation's holding. States: blocks `active` to
    `listed` (they move to the organisation's `listed` account), so what is offered cannot be
    retired, moved or offered twice. Writes: listing, transfer, postings, blocks, an audit event.
    Safe to repeat with the same id.

    Raises
    ------
    InsufficientBalance, SerialsNotHeld
        If the credits are not there.
    InvalidValue, NotAQuantity, NotFound, AccountFrozen, NotAllowed, CommandConflict
    """
    actor.require(Action.LIST)
    _check_offer(session, offer)

    def do() -> dict[str, Any]:
        source = ledger.own_account(session, actor=actor, kind="holding")
        target = ledger.own_account(session, actor=actor, kind="listed")
        made, runs = booking.move(
            session, code="list", actor=actor, wanted=wanted, source=source, target=target
        )
        listing = _write_listing(session, account=target, wanted=wanted, runs=runs, offer=offer)
        audit.record(
            session,
            actor=actor,
            action="market:listing:open",
            subject=f"listing:{listing.id}",
            content={
                **ledger.moved(wanted.batch_id, runs),
                "transfer_id": str(made.id),
                "price_minor_per_t": offer.price_minor_per_t,
                "currency": offer.currency,
                "expires_at": None if offer.expires_at is None else offer.expires_at.isoformat(),
            },
        )
        return {"listing_id": str(listing.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="market:listing:open",
        content={
            **wanted.content(),
            "price_minor_per_t": offer.price_minor_per_t,
            "currency": offer.currency,
            "expires_at": offer.expires_at,
        },
        do=do,
    )
    return session.get_one(Listing, UUID(result["listing_id"]))


def _check_offer(session: Session, offer: Offer) -> None:
    if not 0 < offer.price_minor_per_t <= MAX_KG:
        raise NotAQuantity(text=str(offer.price_minor_per_t), wanted="a price above zero")
    environment = audit.environment_of(session)
    allowed = (
        {SANDBOX_CURRENCY} if environment == "sandbox" else set(MINOR_DIGITS) - {SANDBOX_CURRENCY}
    )
    if offer.currency not in allowed:
        known = ", ".join(sorted(allowed)) or "none yet"
        raise InvalidValue(
            what="currency",
            problem=f"{offer.currency} is not used in a {environment} registry",
            fix=f"Possible: {known}.",
        )
    if offer.expires_at is not None and offer.expires_at.utcoffset() is None:
        raise InvalidValue(
            what="expires_at", problem="it has no time zone", fix="Write it in UTC with a Z."
        )
    if offer.expires_at is not None and offer.expires_at <= now():
        raise InvalidValue(
            what="expires_at", problem=f"{offer.expires_at} is past", fix="Choose a later time."
        )


def _write_listing(
    session: Session,
    *,
    account: Account,
    wanted: Wanted,
    runs: Sequence[SerialRange],
    offer: Offer,
) -> Listing:
    batch = booking.batch_of(session, wanted.batch_id)
    quantity_kg = sum(run.quantity_kg for run in runs)
    listing = Listing(
        account_id=account.id,
        batch_id=batch.id,
        kind=batch.kind,
        environment=batch.environment,
        quantity_kg=quantity_kg,
        remaining_kg=quantity_kg,
        price_minor_per_t=offer.price_minor_per_t,
        currency=offer.currency,
        expires_at=offer.expires_at,
    )
    session.add(listing)
    session.flush()
    return listing


# --- withdrawing ---------------------------------------------------------------------------------


def withdraw_listing(
    session: Session, *, actor: Actor, command_id: UUID, listing_id: UUID
) -> Listing:
    """Take back what is left of a listing.

    Who: the organisation that offered it. States: listing `open` to `withdrawn`; blocks `listed`
    to `active`. Writes: listing, transfer, postings, blocks, an audit event. Safe to repeat with
    the same id; also an expired listing is taken back in this way.

    Raises
    ------
    WrongState
        If it is sold or withdrawn already.
    NotFound, NotYours, AccountFrozen, NotAllowed, CommandConflict
    """
    actor.require(Action.LIST)

    def do() -> dict[str, Any]:
        listing = _locked_listing(session, listing_id)
        source = session.get_one(Account, listing.account_id)
        actor.require_own(_owner(source), action=Action.LIST, what=f"listing {listing_id}")
        states.require_step(
            states.LISTING, what=f"Listing {listing_id}", state=listing.state, wanted="withdrawn"
        )
        wanted = Wanted(batch_id=listing.batch_id, quantity_kg=listing.remaining_kg)
        target = accounts.account_of(session, organisation_id=_owner(source), kind="holding")
        made, runs = booking.move(
            session, code="withdraw", actor=actor, wanted=wanted, source=source, target=target
        )
        listing.state, listing.closed_at = "withdrawn", now()
        session.flush()
        audit.record(
            session,
            actor=actor,
            action="market:listing:withdraw",
            subject=f"listing:{listing.id}",
            content={**ledger.moved(listing.batch_id, runs), "transfer_id": str(made.id)},
        )
        return {"listing_id": str(listing.id)}

    commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="market:listing:withdraw",
        content={"listing_id": str(listing_id)},
        do=do,
    )
    return session.get_one(Listing, listing_id)


# --- buying --------------------------------------------------------------------------------------


def buy(
    session: Session, *, actor: Actor, command_id: UUID, listing_id: UUID, quantity_kg: int
) -> Purchase:
    """Buy kilograms from a listing: they and the money move in one transfer, or neither does.

    Who: buyers, for their own organisation, never from their own listing. States: listing stays
    `open`, or `sold` with its last kilogram; blocks `listed` to `active`. The price is that of
    the listing, rounded up to a minor unit (`quantities.price_for`). Writes: listing, one
    transfer, postings of credits and money, blocks, a purchase, an audit event. Safe to repeat
    with the same id.

    Raises
    ------
    ListingClosed, ListingTooSmall, OwnListing, InsufficientFunds
        If it is not open any more, has less left, is one's own, or cannot be paid.
    NotAQuantity, NotFound, AccountFrozen, NotAllowed, CommandConflict
    """
    actor.require(Action.BUY)
    if not 0 < quantity_kg <= MAX_KG:
        raise NotAQuantity(text=f"{quantity_kg} kg", wanted="at least 1 kg")

    def do() -> dict[str, Any]:
        holding = ledger.own_account(session, actor=actor, kind="holding")
        listing = _locked_listing(session, listing_id)
        seller = session.get_one(Account, listing.account_id)
        _require_open(listing, seller=seller, actor=actor, quantity_kg=quantity_kg)
        purchase = _settle(
            session,
            actor=actor,
            listing=listing,
            seller=seller,
            holding=holding,
            quantity_kg=quantity_kg,
        )
        return {"purchase_id": str(purchase.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="market:listing:buy",
        content={"listing_id": str(listing_id), "quantity_kg": quantity_kg},
        do=do,
    )
    return session.get_one(Purchase, UUID(result["purchase_id"]))


def _require_open(listing: Listing, *, seller: Account, actor: Actor, quantity_kg: int) -> None:
    if seller.organisation_id == actor.organisation_id:
        raise OwnListing(listing_id=listing.id)
    if listing.state != "open":
        raise ListingClosed(listing_id=listing.id, state=listing.state)
    if listing.expires_at is not None and listing.expires_at <= now():
        raise ListingClosed(listing_id=listing.id, state="expired")
    if listing.remaining_kg < quantity_kg:
        raise ListingTooSmall(
            listing_id=listing.id, remaining_kg=listing.remaining_kg, asked_kg=quantity_kg
        )


def _settle(
    session: Session,
    *,
    actor: Actor,
    listing: Listing,
    seller: Account,
    holding: Account,
    quantity_kg: int,
) -> Purchase:
    """Move credits and money in one transfer and record the purchase."""
    amount_minor = price_for(quantity_kg, listing.price_minor_per_t)
    cash = ledger.own_account(session, actor=actor, kind="cash")
    proceeds = accounts.account_of(session, organisation_id=_owner(seller), kind="cash")
    if proceeds.state == "frozen":
        raise AccountFrozen(kind="seller's cash")
    payments.lock_funds(session, account=cash, currency=listing.currency, amount_minor=amount_minor)
    runs = booking.move_blocks(
        session,
        wanted=Wanted(batch_id=listing.batch_id, quantity_kg=quantity_kg),
        source=seller,
        target=holding,
    )
    made = booking.open_transfer(session, code="purchase", actor=actor)
    booking.post(
        session,
        transfer=made,
        entries=[
            *booking.delivery(listing.batch_id, runs, source=seller, target=holding),
            *payments.payment(listing.currency, amount_minor, source=cash, target=proceeds),
        ],
    )
    listing.remaining_kg -= quantity_kg
    if listing.remaining_kg == 0:
        listing.state, listing.closed_at = "sold", made.at
    return _record_purchase(
        session, actor=actor, listing=listing, made=made, holding=holding, runs=runs
    )


def _record_purchase(
    session: Session,
    *,
    actor: Actor,
    listing: Listing,
    made: Transfer,
    holding: Account,
    runs: Sequence[SerialRange],
) -> Purchase:
    quantity_kg = sum(run.quantity_kg for run in runs)
    purchase = Purchase(
        listing_id=listing.id,
        account_id=holding.id,
        transfer_id=made.id,
        batch_id=listing.batch_id,
        quantity_kg=quantity_kg,
        amount_minor=price_for(quantity_kg, listing.price_minor_per_t),
        currency=listing.currency,
        at=made.at,
    )
    session.add(purchase)
    session.flush()
    audit.record(
        session,
        actor=actor,
        action="market:listing:buy",
        subject=f"purchase:{purchase.id}",
        content={
            **ledger.moved(listing.batch_id, runs),
            "listing_id": str(listing.id),
            "transfer_id": str(made.id),
            "amount_minor": purchase.amount_minor,
            "currency": purchase.currency,
        },
    )
    return purchase


def _locked_listing(session: Session, listing_id: UUID) -> Listing:
    found = session.scalars(
        select(Listing)
        .where(col(Listing.id) == listing_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        raise NotFound(what="listing", key=listing_id)
    return found


def _owner(account: Account) -> UUID:
    if account.organisation_id is None:
        raise NotFound(what="organisation of account", key=account.id)
    return account.organisation_id
