"""Kilograms on the real database: minted once, moved whole, retired for good."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col

from registry.db import session_scope
from registry.domain.certificate import Use
from registry.domain.credits import SerialRange, Wanted
from registry.domain.ids import new_id
from registry.errors import (
    CommandConflict,
    InsufficientBalance,
    InvalidValue,
    NotAllowed,
    NotAQuantity,
    NotFound,
    SerialsNotHeld,
)
from registry.services import ledger
from registry.tables.credits import Batch, CreditBlock, Posting, Retirement
from tests.registry.books import USE

if TYPE_CHECKING:
    from tests.registry.books import Books


def blocks(books: Books, batch: Batch) -> list[tuple[int, int, str]]:
    with session_scope(books.settings) as session:
        rows = session.scalars(select(CreditBlock).where(col(CreditBlock.batch_id) == batch.id))
        found = [(row.serials.lower or 0, (row.serials.upper or 0) - 1, row.state) for row in rows]
    return sorted(found)


class TestMint:
    def test_buffer_is_the_last_part_and_the_rest_is_the_projects(self, books: Books) -> None:
        (batch,) = books.mint(net=12.5, buffer=1.5)
        assert blocks(books, batch) == [(1, 11_000, "active"), (11_001, 12_500, "buffer")]
        assert books.holds(books.seller) == {"holding": 11_000}
        books.check()

    def test_a_period_over_three_years_makes_a_batch_a_year(self, books: Books) -> None:
        batches = books.mint(net=10, buffer=1, days=365 + 366 + 181)
        assert [batch.vintage for batch in batches] == [2019, 2020, 2021]
        assert [batch.number for batch in batches] == [1, 2, 3]
        # 10,000 and 1,000 kg by 365, 366 and 181 of 912 days, largest remainder by hand
        assert [batch.size_kg for batch in batches] == [4002, 4013, 1985]
        assert [batch.buffer_kg for batch in batches] == [400, 401, 199]
        assert batches[0].vintage_start == date(2019, 1, 1)
        assert batches[2].vintage_end == date(2021, 6, 30)
        books.check()

    def test_second_period_credits_the_increment_under_the_next_number(self, books: Books) -> None:
        books.mint(net=12.5, buffer=1.5)
        (second,) = books.mint(net=2.25, buffer=0.27, days=365)
        assert (second.number, second.size_kg, second.buffer_kg) == (2, 2_250, 270)
        assert books.holds(books.seller) == {"holding": 11_000 + 1_980}
        books.check()

    def test_a_vintage_costs_few_rows_however_large(self, books: Books) -> None:
        (batch,) = books.mint(net=1_000_000, buffer=120_000)
        with session_scope(books.settings) as session:
            postings = session.scalars(select(Posting).where(col(Posting.batch_id) == batch.id))
            assert len(postings.all()) == 4
        assert len(blocks(books, batch)) == 2


class TestTransfer:
    def test_lowest_serials_move_and_the_rest_stays(self, books: Books) -> None:
        (batch,) = books.mint()
        buyer = books.world.buyer()
        books.send(books.seller, Wanted(batch.id, 1_350), to=buyer)
        assert blocks(books, batch) == [
            (1, 1_350, "active"),
            (1_351, 11_000, "active"),
            (11_001, 12_500, "buffer"),
        ]
        assert books.holds(buyer) == {"holding": 1_350}
        books.check()

    def test_chosen_serials_cut_a_block_in_three(self, books: Books) -> None:
        (batch,) = books.mint()
        buyer = books.world.buyer()
        wanted = Wanted(batch.id, serials=(SerialRange(10, 12), SerialRange(500, 599)))
        books.send(books.seller, wanted, to=buyer)
        assert blocks(books, batch) == [
            (1, 9, "active"),
            (10, 12, "active"),
            (13, 499, "active"),
            (500, 599, "active"),
            (600, 11_000, "active"),
            (11_001, 12_500, "buffer"),
        ]
        assert books.holds(buyer) == {"holding": 103}
        books.check()

    def test_blocks_that_touch_are_joined_again(self, books: Books) -> None:
        (batch,) = books.mint()
        buyer = books.world.buyer()
        books.send(books.seller, Wanted(batch.id, serials=(SerialRange(100, 199),)), to=buyer)
        books.send(buyer, Wanted(batch.id, 100), to=books.seller)
        assert blocks(books, batch) == [(1, 11_000, "active"), (11_001, 12_500, "buffer")]
        books.check()

    def test_more_than_there_is_is_refused_with_both_quantities(self, books: Books) -> None:
        (batch,) = books.mint()
        buyer = books.world.buyer()
        with pytest.raises(InsufficientBalance) as caught:
            books.send(books.seller, Wanted(batch.id, 11_001), to=buyer)
        assert (caught.value.held_kg, caught.value.asked_kg) == (11_000, 11_001)

    @pytest.mark.parametrize("quantity", [0, -5])
    def test_nothing_and_less_are_refused(self, books: Books, quantity: int) -> None:
        (batch,) = books.mint()
        with pytest.raises(NotAQuantity):
            books.send(books.seller, Wanted(batch.id, quantity), to=books.world.buyer())

    def test_buffer_serials_cannot_be_taken_by_name(self, books: Books) -> None:
        (batch,) = books.mint()
        wanted = Wanted(batch.id, serials=(SerialRange(10_999, 11_001),))
        with pytest.raises(SerialsNotHeld, match="10999-11001"):
            books.send(books.seller, wanted, to=books.world.buyer())

    def test_another_organisations_serials_cannot_be_taken(self, books: Books) -> None:
        (batch,) = books.mint()
        thief = books.world.buyer()
        with pytest.raises(InsufficientBalance):
            books.send(thief, Wanted(batch.id, 1), to=books.seller)

    def test_own_organisation_and_unknown_batches_are_refused(self, books: Books) -> None:
        (batch,) = books.mint()
        with pytest.raises(InvalidValue, match="your own organisation"):
            books.send(books.seller, Wanted(batch.id, 1), to=books.seller)
        with pytest.raises(NotFound):
            books.send(books.seller, Wanted(new_id(), 1), to=books.world.buyer())

    def test_verifier_and_operator_move_nothing(self, books: Books) -> None:
        (batch,) = books.mint()
        for actor in (books.verifier, books.world.operator()):
            with pytest.raises(NotAllowed):
                books.send(actor, Wanted(batch.id, 1), to=books.seller)

    def test_same_command_again_moves_nothing_twice(self, books: Books) -> None:
        (batch,) = books.mint()
        buyer = books.world.buyer()
        command_id = new_id()
        made = set()
        for _ in range(2):
            with session_scope(books.settings) as session:
                found = ledger.transfer(
                    session,
                    actor=books.seller,
                    command_id=command_id,
                    wanted=Wanted(batch.id, 10),
                    to_organisation_id=buyer.organisation(),
                )
                made.add(found.id)
        assert len(made) == 1
        assert books.holds(buyer) == {"holding": 10}
        with pytest.raises(CommandConflict), session_scope(books.settings) as session:
            ledger.transfer(
                session,
                actor=books.seller,
                command_id=command_id,
                wanted=Wanted(batch.id, 11),
                to_organisation_id=buyer.organisation(),
            )
        books.check()


class TestRetire:
    def test_retired_serials_are_named_and_gone(self, books: Books) -> None:
        (batch,) = books.mint()
        retirement = books.retire(books.seller, Wanted(batch.id, 1_350))
        assert retirement.quantity_kg == 1_350
        assert retirement.kind == "demonstration"
        assert blocks(books, batch)[0] == (1, 1_350, "retired")
        assert books.holds(books.seller) == {"holding": 9_650}
        books.check()

    def test_chosen_runs_become_one_retirement(self, books: Books) -> None:
        (batch,) = books.mint()
        wanted = Wanted(batch.id, serials=(SerialRange(100, 199), SerialRange(1, 50)))
        retirement = books.retire(books.seller, wanted)
        assert retirement.quantity_kg == 150
        assert [(run.lower, run.upper) for run in retirement.serials] == [(1, 51), (100, 200)]
        books.check()

    def test_retired_block_cannot_be_transferred(self, books: Books) -> None:
        (batch,) = books.mint()
        books.retire(books.seller, Wanted(batch.id, serials=(SerialRange(1, 10),)))
        with pytest.raises(SerialsNotHeld):
            books.send(
                books.seller,
                Wanted(batch.id, serials=(SerialRange(10, 20),)),
                to=books.world.buyer(),
            )

    def test_retired_block_cannot_be_retired_again(self, books: Books) -> None:
        (batch,) = books.mint()
        wanted = Wanted(batch.id, serials=(SerialRange(1, 10),))
        books.retire(books.seller, wanted)
        with pytest.raises(SerialsNotHeld):
            books.retire(books.seller, wanted)
        books.check()

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE credit_block SET state = 'active', account_id = :holding",
            "UPDATE credit_block SET account_id = :holding",
            "UPDATE credit_block SET state = 'cancelled'",
            "UPDATE credit_block SET serials = int8range(1, 5)",
            "DELETE FROM credit_block",
        ],
    )
    def test_retired_block_cannot_move_even_in_sql(self, books: Books, change: str) -> None:
        (batch,) = books.mint()
        retirement = books.retire(books.seller, Wanted(batch.id, 10))
        with (
            pytest.raises(DBAPIError, match=r"used serials stay|cannot lie in"),
            session_scope(books.settings) as session,
        ):
            session.execute(
                text(f"{change} WHERE state = 'retired'"), {"holding": retirement.account_id}
            )
        books.check()

    @pytest.mark.parametrize(
        ("use", "place"),
        [
            (Use(beneficiary=" ", purpose="x"), "beneficiary"),
            (Use(beneficiary="x", purpose=""), "purpose"),
            (Use(beneficiary="x\x00", purpose="x"), "beneficiary"),
            (Use(beneficiary="x", purpose="x", note="\u202egnp"), "note"),
            (Use(beneficiary="x", purpose="x", country="ro"), "country"),
            (Use(beneficiary="x", purpose="x", period_start=date(2025, 1, 1)), "period"),
            (
                Use("x", "x", period_start=date(2025, 2, 1), period_end=date(2025, 1, 1)),
                "period",
            ),
        ],
    )
    def test_use_that_nobody_could_print_is_refused(
        self, books: Books, use: Use, place: str
    ) -> None:
        (batch,) = books.mint()
        with pytest.raises(InvalidValue) as caught:
            books.retire(books.seller, Wanted(batch.id, 1), use=use)
        assert caught.value.what == place

    def test_same_command_again_gives_the_same_retirement(self, books: Books) -> None:
        (batch,) = books.mint()
        command_id, found = new_id(), set()
        for _ in range(3):
            with session_scope(books.settings) as session:
                made = ledger.retire(
                    session,
                    actor=books.seller,
                    command_id=command_id,
                    wanted=Wanted(batch.id, 7),
                    use=USE,
                )
                found.add(made.id)
        assert len(found) == 1
        with session_scope(books.settings) as session:
            assert len(session.scalars(select(Retirement)).all()) == 1


class TestWithoutAnAuditEvent:
    def test_a_movement_is_refused_at_commit(self, books: Books) -> None:
        (batch,) = books.mint()
        with (
            pytest.raises(DBAPIError, match="without an audit event"),
            session_scope(books.settings) as session,
        ):
            _move_silently(session, batch)
        books.check()


def _move_silently(session: Session, batch: Batch) -> None:
    session.execute(
        text("DELETE FROM credit_block WHERE batch_id = :batch AND state = 'active'"),
        {"batch": batch.id},
    )
    session.execute(
        text(
            "INSERT INTO credit_block SELECT gen_random_uuid(), id, kind, environment,"
            " int8range(1, 11001), (SELECT id FROM account WHERE kind = 'retired'), 'retired'"
            " FROM batch WHERE id = :batch"
        ),
        {"batch": batch.id},
    )
