"""Play money of a sandbox; imports accounts, booking, audit, commands and the domain.

Money is whole minor units of one currency. In a sandbox that currency is XTS, which ISO 4217
keeps for testing, so no amount here can be taken for a real one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col

from registry.domain.quantities import SANDBOX_CURRENCY, money_text
from registry.domain.roles import Action, Role
from registry.errors import (
    AccountFrozen,
    InsufficientFunds,
    InvalidValue,
    NotAQuantity,
    SandboxOnly,
)
from registry.services import accounts, audit, booking, commands
from registry.services.booking import Entry
from registry.tables.accounts import Account
from registry.tables.credits import Balance, Posting, Transfer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.domain.roles import Actor

MOST_DEPOSITED_MINOR = 10**12
"""Of one organisation, all deposits together; our choice, far below what a balance can hold."""


def deposit_sandbox_cash(
    session: Session, *, actor: Actor, command_id: UUID, organisation_id: UUID, amount_minor: int
) -> Transfer:
    """Put play money into an organisation's cash account.

    Who: buyers for their own organisation, operators for any. Writes: transfer, postings, an
    audit event. Safe to repeat with the same id.

    Raises
    ------
    SandboxOnly
        In a production registry.
    InvalidValue
        If the organisation's deposits would be more than the most.
    NotAQuantity, NotFound, NotAllowed, NotYours, AccountFrozen, CommandConflict
    """
    actor.require(Action.DEPOSIT_SANDBOX_CASH)
    environment = audit.environment_of(session)
    if environment != "sandbox":
        raise SandboxOnly(what="Play money", environment=environment)
    if Role.OPERATOR not in actor.roles:
        actor.require_own(
            organisation_id, action=Action.DEPOSIT_SANDBOX_CASH, what="the cash account"
        )
    if amount_minor <= 0:
        raise NotAQuantity(text=str(amount_minor), wanted="an amount above zero")

    def do() -> dict[str, Any]:
        target = accounts.account_of(session, organisation_id=organisation_id, kind="cash")
        _require_below_most(session, target=target, amount_minor=amount_minor)
        made = booking.open_transfer(session, code="deposit", actor=actor)
        source = accounts.pool(session, "cash_source")
        booking.post(
            session,
            transfer=made,
            entries=payment(SANDBOX_CURRENCY, amount_minor, source=source, target=target),
        )
        audit.record(
            session,
            actor=actor,
            action="payments:cash:deposit",
            subject=f"transfer:{made.id}",
            content={
                "organisation_id": str(organisation_id),
                "amount_minor": amount_minor,
                "currency": SANDBOX_CURRENCY,
            },
        )
        return {"transfer_id": str(made.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="payments:cash:deposit",
        content={"organisation_id": str(organisation_id), "amount_minor": amount_minor},
        do=do,
    )
    return session.get_one(Transfer, UUID(result["transfer_id"]))


def _require_below_most(session: Session, *, target: Account, amount_minor: int) -> None:
    """Refuse a deposit that lifts all deposits of the account above the most; locks the account."""
    locked = _locked(session, target)
    put_in = select(func.coalesce(func.sum(col(Posting.amount)), 0)).where(
        col(Posting.account_id) == locked.id,
        col(Posting.transfer_id).in_(
            select(col(Transfer.id)).where(col(Transfer.code) == "deposit")
        ),
    )
    before = int(session.scalars(put_in).one())
    if before + amount_minor > MOST_DEPOSITED_MINOR:
        left = money_text(MOST_DEPOSITED_MINOR - before, SANDBOX_CURRENCY)
        raise InvalidValue(
            what="amount",
            problem=f"{money_text(amount_minor, SANDBOX_CURRENCY)} is more than may be deposited",
            fix=f"At most {left}, after what was deposited before.",
        )


def _locked(session: Session, account: Account) -> Account:
    """Give an open account, its row locked until the transaction ends."""
    locked = session.scalars(
        select(Account)
        .where(col(Account.id) == account.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()
    if locked.state == "frozen":
        raise AccountFrozen(kind=locked.kind)
    return locked


def payment(currency: str, amount_minor: int, *, source: Account, target: Account) -> list[Entry]:
    """Give the two postings of a payment: it leaves the source, it arrives at the target."""
    return [
        Entry(source.id, currency, -amount_minor),
        Entry(target.id, currency, amount_minor),
    ]


def lock_funds(session: Session, *, account: Account, currency: str, amount_minor: int) -> None:
    """Make sure that an account can pay, and keep others from spending until the commit.

    Raises
    ------
    InsufficientFunds, AccountFrozen
    """
    _locked(session, account)
    held = session.scalar(
        select(col(Balance.amount)).where(
            col(Balance.account_id) == account.id, col(Balance.unit) == currency
        )
    )
    if (held or 0) < amount_minor:
        raise InsufficientFunds(
            held=money_text(held or 0, currency), needed=money_text(amount_minor, currency)
        )
