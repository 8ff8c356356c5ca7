"""Tonnes and money as text and as whole numbers."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.quantities import (
    MAX_KG,
    exact_tonnes,
    kg_from_tonnes_text,
    minor_from_text,
    money_text,
    price_for,
    tonnes_text,
)
from registry.errors import NotAQuantity


class TestTonnes:
    @pytest.mark.parametrize(
        ("quantity_kg", "text"),
        [(0, "0.000"), (1, "0.001"), (1350, "1.350"), (-5, "-0.005"), (1_000_000, "1000.000")],
    )
    def test_kilograms_are_written_as_tonnes(self, quantity_kg: int, text: str) -> None:
        assert tonnes_text(quantity_kg) == text

    @given(st.integers(min_value=1, max_value=MAX_KG))
    def test_text_reads_back_to_the_same_kilograms(self, quantity_kg: int) -> None:
        assert kg_from_tonnes_text(tonnes_text(quantity_kg)) == quantity_kg

    @pytest.mark.parametrize(
        ("text", "quantity_kg"), [("1", 1000), ("1.35", 1350), (" 2.5 ", 2500)]
    )
    def test_fewer_decimals_are_understood(self, text: str, quantity_kg: int) -> None:
        assert kg_from_tonnes_text(text) == quantity_kg

    @pytest.mark.parametrize(
        "text",
        ["", "0", "0.000", "-1", "1.3505", "1,5", "1e3", "nan", "1.", ".5", "\u0661", "9" * 16],
    )
    def test_what_cannot_be_booked_is_refused_by_name(self, text: str) -> None:
        with pytest.raises(NotAQuantity) as caught:
            kg_from_tonnes_text(text)
        assert caught.value.fields["text"] == text

    def test_a_float_means_the_decimal_it_was_written_as(self) -> None:
        assert exact_tonnes(0.1) == Fraction(1, 10)
        assert (
            exact_tonnes(5220.502377) == exact_tonnes("5220.502377") == Fraction(5220502377, 10**6)
        )
        assert exact_tonnes(Decimal("1e-9")) == Fraction(1, 10**9)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), "", "ten"])
    def test_what_is_no_number_is_refused(self, value: float | Decimal | str) -> None:
        with pytest.raises(NotAQuantity):
            exact_tonnes(value)


class TestMoney:
    @pytest.mark.parametrize(
        ("quantity_kg", "price", "amount"),
        [
            (1000, 1250, 1250),
            (1350, 1250, 1688),
            (1, 1, 1),
            (4, 100, 1),
            (1, 0, 0),
            (2000, 999, 1998),
        ],
    )
    def test_a_part_of_a_minor_unit_is_paid_whole(
        self, quantity_kg: int, price: int, amount: int
    ) -> None:
        assert price_for(quantity_kg, price) == amount

    @given(
        st.integers(min_value=1, max_value=10**9),
        st.integers(min_value=1, max_value=10**9),
        st.integers(min_value=1, max_value=10**6),
    )
    def test_splitting_a_purchase_never_saves_money(
        self, first: int, second: int, price: int
    ) -> None:
        whole = price_for(first + second, price)
        assert whole <= price_for(first, price) + price_for(second, price) <= whole + 1

    @given(st.integers(min_value=1, max_value=10**9), st.integers(min_value=1, max_value=10**6))
    def test_price_is_the_ceiling_of_the_exact_one(self, quantity_kg: int, price: int) -> None:
        exact = Fraction(quantity_kg * price, 1000)
        assert 0 <= price_for(quantity_kg, price) - exact < 1

    @pytest.mark.parametrize(
        ("amount", "text"), [(1250, "12.50 XTS"), (5, "0.05 XTS"), (-1250, "-12.50 XTS")]
    )
    def test_money_is_written_with_its_currency(self, amount: int, text: str) -> None:
        assert money_text(amount, "XTS") == text

    @pytest.mark.parametrize(("text", "amount"), [("12.5", 1250), ("12", 1200), ("0.01", 1)])
    def test_money_is_read(self, text: str, amount: int) -> None:
        assert minor_from_text(text, "XTS") == amount

    @pytest.mark.parametrize("text", ["0", "1.001", "-1", "", "1e2"])
    def test_money_that_cannot_be_booked_is_refused(self, text: str) -> None:
        with pytest.raises(NotAQuantity):
            minor_from_text(text, "XTS")
