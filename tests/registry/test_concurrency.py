"""Many at once, each with a connection of its own: nothing is sold, spent or minted twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.pool import NullPool
from sqlmodel import Session, col

from registry import db
from registry.adapters.evidence_store import EvidenceStore
from registry.db import session_scope
from registry.domain.credits import Wanted
from registry.domain.ids import new_id
from registry.errors import (
    InsufficientBalance,
    InsufficientFunds,
    ListingClosed,
    ListingTooSmall,
    RegistryError,
    WrongState,
)
from registry.services import ledger, market, verification
from registry.tables.credits import Batch, Transfer
from registry.tables.market import Purchase
from tests.registry.books import USE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from tests.registry.books import Books


@pytest.fixture
def engine(books: Books) -> Iterator[Engine]:
    """Give an engine without a pool: every thread opens a connection of its own."""
    made = create_engine(
        books.settings.url(), poolclass=NullPool, connect_args=db.connect_args(60_000)
    )
    yield made
    made.dispose()


def all_at_once(
    engine: Engine, works: list[Callable[[Session], object]]
) -> list[object | RegistryError]:
    """Run each work in its own thread, connection and transaction, started together.

    Returns
    -------
    What each returned, or the refusal that it met; any other error is raised here.
    """
    start = Barrier(len(works))

    def run(work: Callable[[Session], object]) -> object:
        with Session(engine, expire_on_commit=False) as session:
            session.connection()
            start.wait(timeout=60)
            try:
                result = work(session)
            except RegistryError as refusal:
                session.rollback()
                return refusal
            session.commit()
            return result

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(run, works))


class TestBuyers:
    def test_eight_buyers_share_one_listing_exactly(self, books: Books, engine: Engine) -> None:
        (batch,) = books.mint()
        listing = books.offer(batch, 1_000, price=1_000)
        buyers = [books.rich_buyer(10_000) for _ in range(8)]

        def buys(number: int) -> Callable[[Session], object]:
            return lambda session: market.buy(
                session,
                actor=buyers[number],
                command_id=new_id(),
                listing_id=listing.id,
                quantity_kg=250,
            )

        results = all_at_once(engine, [buys(number) for number in range(8)])
        bought = [result for result in results if isinstance(result, Purchase)]
        refused = [result for result in results if not isinstance(result, Purchase)]
        assert len(bought) == 4
        assert all(isinstance(item, ListingClosed | ListingTooSmall) for item in refused)
        assert sum(books.holds(buyer).get("holding", 0) for buyer in buyers) == 1_000
        assert sorted(books.holds(buyer)["cash"] for buyer in buyers) == [9_750] * 4 + [10_000] * 4
        assert books.holds(books.seller) == {"holding": 10_000, "cash": 1_000}
        books.check()

    def test_one_purse_is_not_spent_twice(self, books: Books, engine: Engine) -> None:
        """Eight listings, so nothing but the purse is shared."""
        (batch,) = books.mint()
        listings = [books.offer(batch, 1_000, price=1_000) for _ in range(8)]
        buyer = books.rich_buyer(3_500)

        def buys(number: int) -> Callable[[Session], object]:
            return lambda session: market.buy(
                session,
                actor=buyer,
                command_id=new_id(),
                listing_id=listings[number].id,
                quantity_kg=1_000,
            )

        results = all_at_once(engine, [buys(number) for number in range(8)])
        assert sum(isinstance(result, Purchase) for result in results) == 3
        assert sum(isinstance(result, InsufficientFunds) for result in results) == 5
        assert books.holds(buyer) == {"holding": 3_000, "cash": 500}
        books.check()

    def test_same_command_from_eight_clients_buys_once(self, books: Books, engine: Engine) -> None:
        (batch,) = books.mint()
        listing = books.offer(batch, 1_000)
        buyer, command_id = books.rich_buyer(), new_id()

        def buy(session: Session) -> object:
            return market.buy(
                session,
                actor=buyer,
                command_id=command_id,
                listing_id=listing.id,
                quantity_kg=100,
            )

        results = all_at_once(engine, [buy] * 8)
        assert len({result.id for result in results if isinstance(result, Purchase)}) == 1
        assert books.holds(buyer)["holding"] == 100
        books.check()


class TestHolders:
    def test_one_block_is_cut_by_eight_at_once(self, books: Books, engine: Engine) -> None:
        """Retire, give away and offer the same credits together: each kilogram goes one way."""
        (batch,) = books.mint()
        other = books.world.buyer()

        def retire(session: Session) -> object:
            return ledger.retire(
                session,
                actor=books.seller,
                command_id=new_id(),
                wanted=Wanted(batch.id, 3_000),
                use=USE,
            )

        def give(session: Session) -> object:
            return ledger.transfer(
                session,
                actor=books.seller,
                command_id=new_id(),
                wanted=Wanted(batch.id, 3_000),
                to_organisation_id=other.organisation(),
            )

        results = all_at_once(engine, [retire, give] * 4)
        refused = [result for result in results if isinstance(result, RegistryError)]
        assert len(refused) == 5  # 11,000 kg are enough for three
        assert all(isinstance(item, InsufficientBalance) for item in refused)
        assert books.holds(books.seller) == {"holding": 2_000}
        books.check()

    def test_giving_to_and_fro_never_deadlocks(self, books: Books, engine: Engine) -> None:
        batches = [books.mint(net=2, buffer=0)[0] for _ in range(2)]
        other = books.world.developer()
        for batch in batches:
            books.send(books.seller, Wanted(batch.id, 1_000), to=other)

        def give(number: int) -> Callable[[Session], object]:
            batch = batches[number % 2]
            source, target = (books.seller, other) if number % 4 < 2 else (other, books.seller)
            return lambda session: ledger.transfer(
                session,
                actor=source,
                command_id=new_id(),
                wanted=Wanted(batch.id, 10 + number),
                to_organisation_id=target.organisation(),
            )

        results = all_at_once(engine, [give(number) for number in range(16)])
        assert all(isinstance(result, Transfer) for result in results)
        assert books.holds(books.seller)["holding"] + books.holds(other)["holding"] == 4_000
        books.check()


class TestApprovals:
    def test_fifty_approvals_with_one_command_mint_once(self, books: Books, engine: Engine) -> None:
        report = books.report()
        books.take(report)
        command_id = new_id()

        def approve(session: Session) -> object:
            return verification.decide(
                session,
                actor=books.verifier,
                command_id=command_id,
                report_id=report.id,
                decision=verification.Decision("approve", "All agree.", report.digest),
                evidence=EvidenceStore(books.settings.evidence_dir),
            )

        results = all_at_once(engine, [approve] * 50)
        decided = [result for result in results if isinstance(result, verification.Decided)]
        assert len(decided) == 50
        assert len({batch.id for result in decided for batch in result.batches}) == 1
        with session_scope(books.settings) as session:
            assert len(session.scalars(select(Batch)).all()) == 1
        assert books.holds(books.seller) == {"holding": 11_000}
        books.check()

    def test_eight_different_commands_approve_once(self, books: Books, engine: Engine) -> None:
        report = books.report()
        books.take(report)

        def approve(session: Session) -> object:
            return verification.decide(
                session,
                actor=books.verifier,
                command_id=new_id(),
                report_id=report.id,
                decision=verification.Decision("approve", "All agree.", report.digest),
                evidence=EvidenceStore(books.settings.evidence_dir),
            )

        results = all_at_once(engine, [approve] * 8)
        assert sum(isinstance(result, verification.Decided) for result in results) == 1
        assert sum(isinstance(result, WrongState) for result in results) == 7
        with session_scope(books.settings) as session:
            mints = select(Transfer).where(col(Transfer.code) == "mint")
            assert len(session.scalars(mints).all()) == 1
        books.check()

    def test_two_verifiers_cannot_both_take_a_report(self, books: Books, engine: Engine) -> None:
        report = books.report()
        verifiers = [books.world.verifier() for _ in range(4)]

        def takes(number: int) -> Callable[[Session], object]:
            return lambda session: verification.take_review(
                session, actor=verifiers[number], command_id=new_id(), report_id=report.id
            )

        results = all_at_once(engine, [takes(number) for number in range(4)])
        assert sum(not isinstance(result, RegistryError) for result in results) == 1
        books.check()
