"""A state machine over the ledger: any order of mint, give, offer, buy, withdraw and retire.

Beside the real services runs a model that knows each kilogram by its number: who has it and in
which state. After every step the database must say the same, and every invariant must hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select
from sqlmodel import col

from registry.db import session_scope
from registry.domain.credits import SerialRange, Wanted
from registry.domain.ids import new_id
from registry.domain.quantities import price_for
from registry.domain.roles import Role
from registry.errors import (
    InsufficientBalance,
    InsufficientFunds,
    ListingClosed,
    ListingTooSmall,
    OwnListing,
    RegistryError,
    SerialsNotHeld,
)
from registry.jobs import seal_now
from registry.services import market
from registry.tables.accounts import Account
from registry.tables.credits import CreditBlock
from tests.registry.books import Books

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from registry.domain.roles import Actor
    from registry.tables.credits import Batch
    from registry.tables.market import Listing
    from tests.world import World

PURSE = 40
"""Minor units that each trader begins with: some purchases cannot be paid."""

TRADERS = 3
Place = tuple[int | str, str]
"""Who has a kilogram (trader's number, or a pool's name) and in which state."""


class LedgerMachine(RuleBasedStateMachine):
    """The real ledger and a model of single kilograms, kept in step."""

    world: World

    @initialize()
    def begin(self) -> None:
        self.books = Books(self.world)
        first = self.world.person(
            Role.DEVELOPER, Role.BUYER, organisation_id=self.books.seller.organisation_id
        )
        others = [self.world.person(Role.DEVELOPER, Role.BUYER) for _ in range(TRADERS - 1)]
        self.traders: list[Actor] = [first, *others]
        self.where: dict[tuple[UUID, int], Place] = {}
        self.batches: list[Batch] = []
        self.offers: list[tuple[Listing, int, int, int]] = []
        """Listing, seller, batch number, kilograms left."""
        self.cash = [PURSE] * TRADERS
        for trader in self.traders:
            self.books.deposit(trader, PURSE)

    # --- what can happen -------------------------------------------------------------------------

    @precondition(lambda self: len(self.batches) < 3)
    @rule(kilograms=st.integers(2, 30), buffer=st.integers(0, 12))
    def mint(self, kilograms: int, buffer: int) -> None:
        buffer = min(buffer, kilograms - 1)
        (batch,) = self.books.mint(net=kilograms / 1000, buffer=buffer / 1000)
        self.batches.append(batch)
        for serial in range(1, batch.size_kg + 1):
            mine = serial <= batch.size_kg - batch.buffer_kg
            self.where[batch.id, serial] = (0, "active") if mine else ("buffer", "buffer")

    @precondition(lambda self: self.batches)
    @rule(
        batch=st.integers(0, 9),
        giver=st.integers(0, TRADERS - 1),
        step=st.integers(1, TRADERS - 1),
        kilograms=st.integers(1, 20),
    )
    def give(self, batch: int, giver: int, step: int, kilograms: int) -> None:
        taker = (giver + step) % TRADERS
        chosen = self._lowest(batch, (giver, "active"), kilograms)
        self._try(
            lambda: self.books.send(
                self.traders[giver], Wanted(self._batch(batch).id, kilograms), self.traders[taker]
            ),
            refused=None if chosen else InsufficientBalance,
        )
        self._place(batch, chosen, (taker, "active"))

    @precondition(lambda self: self.batches)
    @rule(
        batch=st.integers(0, 9),
        holder=st.integers(0, TRADERS - 1),
        first=st.integers(1, 30),
        length=st.integers(1, 6),
    )
    def retire_chosen(self, batch: int, holder: int, first: int, length: int) -> None:
        serials = list(range(first, first + length))
        owned = all(
            self.where.get((self._batch(batch).id, serial)) == (holder, "active")
            for serial in serials
        )
        wanted = Wanted(self._batch(batch).id, serials=(SerialRange(first, first + length - 1),))
        self._try(
            lambda: self.books.retire(self.traders[holder], wanted),
            refused=None if owned else SerialsNotHeld,
        )
        self._place(batch, serials if owned else [], ("retired", "retired"))

    @precondition(lambda self: self.batches)
    @rule(
        batch=st.integers(0, 9),
        holder=st.integers(0, TRADERS - 1),
        kilograms=st.integers(1, 20),
        price=st.integers(1, 4_000),
    )
    def offer(self, batch: int, holder: int, kilograms: int, price: int) -> None:
        chosen = self._lowest(batch, (holder, "active"), kilograms)
        made: list[Listing] = []
        self._try(
            lambda: made.append(
                self.books.offer(
                    self._batch(batch), kilograms, price=price, actor=self.traders[holder]
                )
            ),
            refused=None if chosen else InsufficientBalance,
        )
        self._place(batch, chosen, (holder, "listed"))
        if made:
            self.offers.append((made[0], holder, batch % len(self.batches), kilograms))

    @precondition(lambda self: self.offers)
    @rule(
        offer=st.integers(0, 9),
        buyer=st.integers(0, TRADERS - 1),
        kilograms=st.integers(1, 12),
    )
    def buy(self, offer: int, buyer: int, kilograms: int) -> None:
        place = offer % len(self.offers)
        listing, seller, batch, left = self.offers[place]
        price = price_for(kilograms, listing.price_minor_per_t)
        refused: type[RegistryError] | None = None
        if seller == buyer:
            refused = OwnListing
        elif left == 0:
            refused = ListingClosed
        elif left < kilograms:
            refused = ListingTooSmall
        elif self.cash[buyer] < price:
            refused = InsufficientFunds
        self._try(lambda: self.books.buy(self.traders[buyer], listing, kilograms), refused=refused)
        if refused is None:
            chosen = self._lowest(batch, (seller, "listed"), kilograms)
            self._place(batch, chosen, (buyer, "active"))
            self.offers[place] = (listing, seller, batch, left - kilograms)
            self.cash[buyer] -= price
            self.cash[seller] += price

    @precondition(lambda self: any(left for *_, left in self.offers))
    @rule(offer=st.integers(0, 9))
    def withdraw(self, offer: int) -> None:
        open_ones = [place for place, (*_, left) in enumerate(self.offers) if left]
        place = open_ones[offer % len(open_ones)]
        listing, seller, batch, left = self.offers[place]
        with session_scope(self.books.settings) as session:
            market.withdraw_listing(
                session,
                actor=self.traders[seller],
                command_id=new_id(),
                listing_id=listing.id,
            )
        chosen = self._lowest(batch, (seller, "listed"), left)
        self._place(batch, chosen, (seller, "active"))
        self.offers[place] = (listing, seller, batch, 0)

    @rule()
    def seal(self) -> None:
        seal_now(self.books.settings)

    # --- what must hold --------------------------------------------------------------------------

    @invariant()
    def every_kilogram_is_where_the_model_says(self) -> None:
        names: dict[UUID | None, int] = {
            trader.organisation_id: number for number, trader in enumerate(self.traders)
        }
        found: dict[tuple[UUID, int], Place] = {}
        with session_scope(self.books.settings) as session:
            rows = session.execute(
                select(CreditBlock, Account)
                .join(Account, col(Account.id) == col(CreditBlock.account_id))
                .where(col(CreditBlock.batch_id).in_([batch.id for batch in self.batches]))
            )
            for block, account in rows:
                who = names.get(account.organisation_id, account.kind)
                for serial in range(block.serials.lower or 0, block.serials.upper or 0):
                    found[block.batch_id, serial] = (who, block.state)
        assert found == self.where

    @invariant()
    def money_is_where_the_model_says(self) -> None:
        held = [self.books.holds(trader).get("cash", 0) for trader in self.traders]
        assert held == self.cash

    @invariant()
    def books_balance(self) -> None:
        self.books.check()

    # --- the model -------------------------------------------------------------------------------

    def _batch(self, number: int) -> Batch:
        return self.batches[number % len(self.batches)]

    def _lowest(self, batch: int, place: Place, kilograms: int) -> list[int]:
        """Give the lowest serials there, or none at all if there are too few."""
        own = self._batch(batch).id
        there = sorted(
            serial for (one, serial), now in self.where.items() if one == own and now == place
        )
        return there[:kilograms] if len(there) >= kilograms else []

    def _place(self, batch: int, serials: list[int], place: Place) -> None:
        for serial in serials:
            self.where[self._batch(batch).id, serial] = place

    def _try(self, work: Callable[[], object], *, refused: type[RegistryError] | None) -> None:
        """Do it, or see exactly the refusal that the model foretells."""
        if refused is None:
            work()
        else:
            with pytest.raises(refused):
                work()


def test_any_order_of_movements_keeps_the_books(world: World) -> None:
    class Machine(LedgerMachine):
        pass

    Machine.world = world
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=8,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
