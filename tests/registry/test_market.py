"""Fixed-price listings: partial fills, withdrawal, delivery against payment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from registry.db import session_scope
from registry.domain.credits import Wanted
from registry.domain.ids import new_id
from registry.domain.roles import Role, system_actor
from registry.errors import (
    AccountFrozen,
    InsufficientBalance,
    InsufficientFunds,
    InvalidValue,
    ListingClosed,
    ListingTooSmall,
    NotAllowed,
    NotAQuantity,
    NotYours,
    OwnListing,
    WrongState,
)
from registry.services import accounts, audit, market, payments
from registry.services.market import Offer
from registry.tables.credits import Posting
from registry.tables.market import Listing

if TYPE_CHECKING:
    from registry.domain.roles import Actor
    from registry.tables.credits import Batch
    from tests.registry.books import Books


def listing_now(books: Books, listing: Listing) -> Listing:
    with session_scope(books.settings) as session:
        return session.get_one(Listing, listing.id)


def withdraw(books: Books, actor: Actor, listing: Listing) -> Listing:
    with session_scope(books.settings) as session:
        return market.withdraw_listing(
            session, actor=actor, command_id=new_id(), listing_id=listing.id
        )


def offer(books: Books, batch: Batch, terms: Offer) -> Listing:
    with session_scope(books.settings) as session:
        return market.list_credits(
            session,
            actor=books.seller,
            command_id=new_id(),
            wanted=Wanted(batch.id, 100),
            offer=terms,
        )


class TestOffer:
    def test_offered_credits_leave_the_holding(self, books: Books) -> None:
        (batch,) = books.mint()
        books.offer(batch, 5_000)
        assert books.holds(books.seller) == {"holding": 6_000, "listed": 5_000}
        with pytest.raises(InsufficientBalance):
            books.retire(books.seller, Wanted(batch.id, 6_001))
        with pytest.raises(InsufficientBalance):
            books.offer(batch, 6_001)
        books.check()

    @pytest.mark.parametrize("price", [0, -1])
    def test_price_must_be_positive(self, books: Books, price: int) -> None:
        (batch,) = books.mint()
        with pytest.raises(NotAQuantity):
            offer(books, batch, Offer(price_minor_per_t=price))

    @pytest.mark.parametrize(
        ("terms", "place"),
        [
            (Offer(100, currency="EUR"), "currency"),
            (Offer(100, expires_at=datetime(2020, 1, 1, tzinfo=UTC)), "expires_at"),
            (Offer(100, expires_at=datetime(2999, 1, 1)), "expires_at"),  # noqa: DTZ001 - meant
        ],
    )
    def test_terms_that_cannot_be_meant_are_refused(
        self, books: Books, terms: Offer, place: str
    ) -> None:
        (batch,) = books.mint()
        with pytest.raises(InvalidValue) as caught:
            offer(books, batch, terms)
        assert caught.value.what == place

    def test_verifier_sells_nothing(self, books: Books) -> None:
        (batch,) = books.mint()
        with pytest.raises(NotAllowed):
            books.offer(batch, 1, actor=books.verifier)


class TestBuy:
    def test_credits_and_money_change_hands_in_one_transfer(self, books: Books) -> None:
        (batch,) = books.mint()
        listing = books.offer(batch, 5_000, price=1_500)
        buyer = books.rich_buyer(10_000)
        purchase = books.buy(buyer, listing, 1_350)
        # 1.350 t at 15.00 a tonne is 20.25
        assert purchase.amount_minor == 2_025
        assert books.holds(buyer) == {"holding": 1_350, "cash": 7_975}
        assert books.holds(books.seller) == {"holding": 6_000, "listed": 3_650, "cash": 2_025}
        with session_scope(books.settings) as session:
            rows = session.scalars(
                select(Posting).where(col(Posting.transfer_id) == purchase.transfer_id)
            ).all()
        assert sorted(row.amount for row in rows) == [-2_025, -1_350, 1_350, 2_025]
        books.check()

    def test_partial_fills_end_in_sold(self, books: Books) -> None:
        (batch,) = books.mint()
        listing = books.offer(batch, 1_000)
        buyer = books.rich_buyer()
        for quantity in (400, 599):
            books.buy(buyer, listing, quantity)
            assert listing_now(books, listing).state == "open"
        with pytest.raises(ListingTooSmall) as caught:
            books.buy(buyer, listing, 2)
        assert (caught.value.remaining_kg, caught.value.asked_kg) == (1, 2)
        books.buy(buyer, listing, 1)
        sold = listing_now(books, listing)
        assert (sold.state, sold.remaining_kg) == ("sold", 0)
        with pytest.raises(ListingClosed, match="sold"):
            books.buy(buyer, listing, 1)
        books.check()

    def test_without_money_nothing_moves(self, books: Books) -> None:
        (batch,) = books.mint()
        listing = books.offer(batch, 5_000, price=1_500)
        buyer = books.rich_buyer(2_024)
        with pytest.raises(InsufficientFunds, match=r"20\.24 XTS; 20\.25 XTS"):
            books.buy(buyer, listing, 1_350)
        assert books.holds(buyer) == {"cash": 2_024}
        books.check()

    def test_own_listing_is_refused(self, books: Books) -> None:
        (batch,) = books.mint()
        listing = books.offer(batch, 100)
        colleague = books.world.person(Role.BUYER, organisation_id=books.seller.organisation_id)
        with pytest.raises(OwnListing):
            books.buy(colleague, listing, 1)

    def test_developer_does_not_buy(self, books: Books) -> None:
        (batch,) = books.mint()
        listing = books.offer(batch, 100)
        with pytest.raises(NotAllowed):
            books.buy(books.world.developer(), listing, 1)

    @pytest.mark.parametrize("quantity", [0, -1])
    def test_nothing_cannot_be_bought(self, books: Books, quantity: int) -> None:
        (batch,) = books.mint()
        listing = books.offer(batch, 100)
        with pytest.raises(NotAQuantity):
            books.buy(books.rich_buyer(), listing, quantity)

    def test_expired_listing_sells_nothing_and_can_be_taken_back(self, books: Books) -> None:
        (batch,) = books.mint()
        soon = datetime.now(UTC) + timedelta(milliseconds=250)
        listing = offer(books, batch, Offer(100, expires_at=soon))
        buyer = books.rich_buyer()
        while datetime.now(UTC) <= soon:
            pass
        with pytest.raises(ListingClosed, match="expired"):
            books.buy(buyer, listing, 1)
        assert withdraw(books, books.seller, listing).state == "withdrawn"
        assert books.holds(books.seller) == {"holding": 11_000}
        books.check()

    def test_same_command_again_buys_once(self, books: Books) -> None:
        (batch,) = books.mint()
        listing = books.offer(batch, 100)
        buyer, command_id = books.rich_buyer(), new_id()
        found = set()
        for _ in range(2):
            with session_scope(books.settings) as session:
                made = market.buy(
                    session,
                    actor=buyer,
                    command_id=command_id,
                    listing_id=listing.id,
                    quantity_kg=10,
                )
                found.add(made.id)
        assert len(found) == 1
        assert listing_now(books, listing).remaining_kg == 90

    def test_frozen_cash_of_the_seller_receives_nothing(self, books: Books) -> None:
        (batch,) = books.mint()
        listing, buyer = books.offer(batch, 1_000), books.rich_buyer(100_000)
        _freeze(books, books.seller, "cash")
        with pytest.raises(AccountFrozen, match="The seller's cash account is frozen"):
            books.buy(buyer, listing, 100)

    def test_frozen_holding_of_the_developer_receives_nothing(self, books: Books) -> None:
        report = books.report()
        books.take(report)
        _freeze(books, books.seller, "holding")
        with pytest.raises(AccountFrozen, match="holding account is frozen"):
            books.decide(report)

    def test_frozen_account_neither_pays_nor_receives(self, books: Books) -> None:
        (batch,) = books.mint()
        listing = books.offer(batch, 100)
        buyer = books.rich_buyer()
        _freeze(books, buyer, "cash")
        with pytest.raises(AccountFrozen, match="cash"):
            books.buy(buyer, listing, 1)


class TestWithdraw:
    def test_rest_comes_back(self, books: Books) -> None:
        (batch,) = books.mint()
        listing = books.offer(batch, 5_000)
        books.buy(books.rich_buyer(), listing, 1_350)
        assert withdraw(books, books.seller, listing).state == "withdrawn"
        assert books.holds(books.seller)["holding"] == 11_000 - 1_350
        with pytest.raises(ListingClosed, match="withdrawn"):
            books.buy(books.rich_buyer(), listing, 1)
        with pytest.raises(WrongState):
            withdraw(books, books.seller, listing)
        books.check()

    def test_another_organisation_cannot(self, books: Books) -> None:
        (batch,) = books.mint()
        listing = books.offer(batch, 100)
        with pytest.raises(NotYours):
            withdraw(books, books.world.developer(), listing)


class TestDeposit:
    def test_buyer_fills_own_account_only(self, books: Books) -> None:
        buyer, other = books.rich_buyer(500), books.world.buyer()
        assert books.holds(buyer) == {"cash": 500}
        with pytest.raises(NotYours), session_scope(books.settings) as session:
            payments.deposit_sandbox_cash(
                session,
                actor=buyer,
                command_id=new_id(),
                organisation_id=other.organisation(),
                amount_minor=1,
            )

    def test_operator_fills_any(self, books: Books) -> None:
        buyer, operator = books.world.buyer(), books.world.operator()
        with session_scope(books.settings) as session:
            payments.deposit_sandbox_cash(
                session,
                actor=operator,
                command_id=new_id(),
                organisation_id=buyer.organisation(),
                amount_minor=750,
            )
        assert books.holds(buyer) == {"cash": 750}
        books.check()

    @pytest.mark.parametrize("amount", [0, -1])
    def test_only_amounts_above_zero(self, books: Books, amount: int) -> None:
        with pytest.raises(NotAQuantity):
            books.rich_buyer(amount)

    def test_one_organisation_deposits_so_much_and_no_more(self, books: Books) -> None:
        most = payments.MOST_DEPOSITED_MINOR
        with pytest.raises(InvalidValue, match="is more than may be deposited"):
            books.rich_buyer(most + 1)
        buyer = books.rich_buyer(most - 100)
        with pytest.raises(InvalidValue, match=r"At most 1\.00 XTS, after what was deposited"):
            books.deposit(buyer, 101)
        books.deposit(buyer, 100)
        assert books.holds(buyer) == {"cash": most}

    def test_overdraft_is_refused_by_the_database_too(self, books: Books) -> None:
        buyer = books.rich_buyer(10)
        with (
            pytest.raises(DBAPIError, match="ck_balance_not_overdrawn"),
            session_scope(books.settings) as session,
        ):
            session.execute(
                text(
                    "INSERT INTO posting (transfer_id, account_id, unit, amount)"
                    " SELECT transfer.id, account.id, 'XTS', -11 FROM transfer, account"
                    " WHERE account.kind = 'cash' AND organisation_id = :owner LIMIT 1"
                ),
                {"owner": buyer.organisation_id},
            )


def _freeze(books: Books, actor: Actor, kind: str) -> None:
    with session_scope(books.settings) as session:
        account = accounts.account_of(session, organisation_id=actor.organisation(), kind=kind)
        account.state = "frozen"
        audit.record(
            session,
            actor=system_actor("test"),
            action="test:account:freeze",
            subject=f"account:{account.id}",
            content={},
        )
