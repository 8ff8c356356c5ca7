"""How kilograms and money move: blocks are cut and joined, postings written; nothing is rounded.

Imports tables and domain alone. Ledger, issuance, market and payments book through this file, so
there is one place where blocks and postings are made. Nobody is asked here who may: that is the
part of the services above.

Every movement locks its batch (an advisory lock, taken late and released at commit), cuts the
blocks of the source, joins what touches in the target, and posts in one fixed order (account,
unit), so writers never wait for each other in a circle. The database checks the rest at commit:
blocks tile their batch, postings sum to zero, serials that leave are serials that arrive.

Order: values, one whole movement, its three parts (transfer, blocks, postings), small reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import Range
from sqlmodel import col

from registry.domain.credits import SerialRange, carve, merge, take
from registry.domain.ids import new_id
from registry.errors import (
    AccountFrozen,
    InsufficientBalance,
    NotAQuantity,
    NotFound,
    SerialsNotHeld,
)
from registry.tables.base import now
from registry.tables.credits import Batch, CreditBlock, Posting, Transfer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from registry.domain.credits import Wanted
    from registry.domain.roles import Actor
    from registry.tables.accounts import Account

FINAL = frozenset({"retired", "cancelled"})
"""States that a block never leaves; blocks in them are not joined."""


# --- values --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One posting to be made: kilograms of a batch with their serials, or money."""

    account_id: UUID
    unit: str
    """`kg:<batch id>` or a currency code."""
    amount: int
    batch_id: UUID | None = None
    serials: SerialRange | None = None


@dataclass(frozen=True)
class _Block:
    block_id: UUID
    serials: SerialRange


# --- one whole movement --------------------------------------------------------------------------


def move(
    session: Session,
    *,
    code: str,
    actor: Actor,
    wanted: Wanted,
    source: Account,
    target: Account,
) -> tuple[Transfer, tuple[SerialRange, ...]]:
    """Move kilograms of one batch from one account to another, in a transfer of their own.

    Writes: transfer, postings, blocks. The caller records the audit event.

    Raises
    ------
    InsufficientBalance, SerialsNotHeld, NotFound, NotAQuantity, AccountFrozen
    """
    runs = move_blocks(session, wanted=wanted, source=source, target=target)
    made = open_transfer(session, code=code, actor=actor)
    post(
        session,
        transfer=made,
        entries=delivery(wanted.batch_id, runs, source=source, target=target),
    )
    return made, runs


# --- its parts -----------------------------------------------------------------------------------


def open_transfer(session: Session, *, code: str, actor: Actor) -> Transfer:
    """Write the head of a transfer; its postings must follow in the same transaction."""
    made = Transfer(code=code, actor=actor.tag, at=now())
    session.execute(
        insert(Transfer).values(id=made.id, code=made.code, actor=made.actor, at=made.at)
    )
    return session.get_one(Transfer, made.id)


def move_blocks(
    session: Session, *, wanted: Wanted, source: Account, target: Account
) -> tuple[SerialRange, ...]:
    """Give the wanted serials of the source's blocks to the target; return their runs.

    Locks the batch until the transaction ends. The state of a block follows the kind of its
    account: `holding` is `active`, any other kind is its own state.

    Raises
    ------
    InsufficientBalance, SerialsNotHeld, NotFound, NotAQuantity, AccountFrozen
    """
    for account in (source, target):
        if account.state == "frozen":
            raise AccountFrozen(kind=account.kind)
    batch = batch_of(session, wanted.batch_id)
    lock_batch(session, batch.id)
    held = _blocks_of(session, batch_id=batch.id, account=source)
    runs = _choose(wanted, held, source=source)
    for block in held:
        parts = [part for part in (_common(block.serials, run) for run in runs) if part]
        if parts:
            _cut(session, batch=batch, block=block, parts=parts, source=source)
    _lay(session, batch=batch, runs=runs, target=target)
    return runs


def lay_first_blocks(
    session: Session, *, batch: Batch, parts: Iterable[tuple[SerialRange, Account]]
) -> None:
    """Lay the first blocks of a batch that is just being minted."""
    for run, account in parts:
        _insert(session, batch=batch, run=run, account=account)


def delivery(
    batch_id: UUID, runs: Sequence[SerialRange], *, source: Account, target: Account
) -> list[Entry]:
    """Give the two postings of each run: it leaves the source, it arrives at the target."""
    unit = f"kg:{batch_id}"
    return [
        Entry(account.id, unit, sign * run.quantity_kg, batch_id, run)
        for run in runs
        for account, sign in ((source, -1), (target, 1))
    ]


def post(session: Session, *, transfer: Transfer, entries: Iterable[Entry]) -> None:
    """Write postings, sorted by account and unit: the order in which balances are locked."""
    ordered = sorted(entries, key=lambda entry: (entry.account_id, entry.unit, -entry.amount))
    rows = [
        {
            "transfer_id": transfer.id,
            "account_id": entry.account_id,
            "unit": entry.unit,
            "amount": entry.amount,
            "batch_id": entry.batch_id,
            "serials": None if entry.serials is None else as_range(entry.serials),
        }
        for entry in ordered
    ]
    session.execute(insert(Posting), rows)


def _choose(wanted: Wanted, held: Sequence[_Block], *, source: Account) -> tuple[SerialRange, ...]:
    """Find the serials that are meant, and refuse what the account does not hold."""
    if (wanted.quantity_kg is None) == (not wanted.serials):
        raise NotAQuantity(text="the request", wanted="either a quantity or serials, not both")
    have = merge(block.serials for block in held)
    if wanted.quantity_kg is not None:
        held_kg = sum(run.quantity_kg for run in have)
        if wanted.quantity_kg > held_kg:
            raise InsufficientBalance(
                account=source.kind,
                held_kg=held_kg,
                batch_id=wanted.batch_id,
                asked_kg=wanted.quantity_kg,
            )
        return take(have, wanted.quantity_kg)
    runs = merge(wanted.serials)
    for run in runs:
        if not any(block.holds(run) for block in have):
            raise SerialsNotHeld(
                serials=f"{run.first}-{run.last}", batch_id=wanted.batch_id, account=source.kind
            )
    return runs


def _common(block: SerialRange, run: SerialRange) -> SerialRange | None:
    first, last = max(block.first, run.first), min(block.last, run.last)
    return SerialRange(first, last) if first <= last else None


def _cut(
    session: Session, *, batch: Batch, block: _Block, parts: Sequence[SerialRange], source: Account
) -> None:
    """Take parts out of a block; what remains stays with its holder as one or more blocks."""
    remaining = [block.serials]
    for part in parts:
        before, _, after = carve(remaining.pop(), part)
        remaining += [rest for rest in (before, after) if rest]
    own = col(CreditBlock.id) == block.block_id
    if not remaining:
        session.execute(delete(CreditBlock).where(own))
        return
    session.execute(update(CreditBlock).where(own).values(serials=as_range(remaining[0])))
    for rest in remaining[1:]:
        _insert(session, batch=batch, run=rest, account=source)


def _lay(session: Session, *, batch: Batch, runs: Sequence[SerialRange], target: Account) -> None:
    """Lay runs into the target's blocks, joined with its blocks that they touch."""
    if state_in(target) in FINAL:
        for run in runs:
            _insert(session, batch=batch, run=run, account=target)
        return
    there = _blocks_of(session, batch_id=batch.id, account=target)
    for joined in merge([*runs, *(block.serials for block in there)]):
        inside = [block for block in there if joined.holds(block.serials)]
        if any(block.serials == joined for block in inside):
            continue
        for block in inside:
            session.execute(delete(CreditBlock).where(col(CreditBlock.id) == block.block_id))
        _insert(session, batch=batch, run=joined, account=target)


def _insert(session: Session, *, batch: Batch, run: SerialRange, account: Account) -> None:
    session.execute(
        insert(CreditBlock).values(
            id=new_id(),
            batch_id=batch.id,
            kind=batch.kind,
            environment=batch.environment,
            serials=as_range(run),
            account_id=account.id,
            state=state_in(account),
        )
    )


# --- small reads ---------------------------------------------------------------------------------


def state_in(account: Account) -> str:
    """Give the state that a block has in this account."""
    return "active" if account.kind == "holding" else account.kind


def lock_batch(session: Session, batch_id: UUID) -> None:
    """Wait until nobody else moves serials of this batch; held until the transaction ends."""
    session.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"batch:{batch_id}", 0)))
    )


def batch_of(session: Session, batch_id: UUID) -> Batch:
    """Give a batch, or say that there is none."""
    found = session.get(Batch, batch_id)
    if found is None:
        raise NotFound(what="batch", key=batch_id)
    return found


def as_range(run: SerialRange) -> Range[int]:
    """Give serials as the database holds them: upper bound outside."""
    return Range(run.first, run.last + 1)


def as_run(held: Range[int]) -> SerialRange:
    """Give serials as people read them: both ends inside."""
    if held.lower is None or held.upper is None:
        raise NotAQuantity(text=str(held), wanted="a bounded range of serials")
    return SerialRange(held.lower, held.upper - 1)


def _blocks_of(session: Session, *, batch_id: UUID, account: Account) -> list[_Block]:
    rows = session.execute(
        select(col(CreditBlock.id), col(CreditBlock.serials))
        .where(
            col(CreditBlock.batch_id) == batch_id,
            col(CreditBlock.account_id) == account.id,
        )
        .order_by(func.lower(col(CreditBlock.serials)))
    )
    return [_Block(block_id, as_run(serials)) for block_id, serials in rows]
