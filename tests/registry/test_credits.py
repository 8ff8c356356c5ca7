"""Rounding, vintages, ranges and serial text, against hand figures and closed forms."""

from __future__ import annotations

import itertools
import math
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.credits import (
    NOTHING,
    Issuance,
    Serial,
    SerialRange,
    Vintage,
    apportion,
    carve,
    merge,
    parse_serial,
    plan_batches,
    round_issuance,
    split,
    take,
    vintages_of,
)
from registry.errors import NotAQuantity, NotASerial, RangesDoNotTile

DAYS = st.dates(min_value=date(1990, 1, 1), max_value=date(2060, 12, 31))
MICROGRAMS = st.integers(min_value=-(10**15), max_value=10**15)


@st.composite
def ranges(draw: st.DrawFn) -> SerialRange:
    first = draw(st.integers(min_value=1, max_value=10**12))
    return SerialRange(first, first + draw(st.integers(min_value=0, max_value=10**9)))


@st.composite
def serials(draw: st.DrawFn) -> Serial:
    letters = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=6)
    start, end = sorted((draw(DAYS), draw(DAYS)))
    return Serial(
        environment=draw(st.sampled_from(["sandbox", "production"])),
        country=draw(st.sampled_from(["RO", "PE", "KE"])),
        project="-".join(draw(st.lists(letters, min_size=1, max_size=4))),
        batch=draw(st.integers(min_value=1, max_value=10**6)),
        vintage=Vintage(start, end),
        serials=draw(ranges()),
    )


class TestRounding:
    def test_credits_are_cut_and_the_buffer_is_filled_in_kilograms(self) -> None:
        issuance = round_issuance(net_t="10.9999", previous_t="0", buffer_t="1.3201")
        assert issuance == Issuance(verified=10_999, buffer=1_321)
        assert issuance.credited == 9_678

    def test_increment_is_formed_before_rounding(self) -> None:
        issuance = round_issuance(net_t="2.0005", previous_t="1.0006", buffer_t="0")
        assert issuance.verified == 999

    def test_floats_round_as_their_decimals(self) -> None:
        # 0.1 + 0.2 in binary is above 0.3; the written decimals are what counts
        assert round_issuance(net_t=0.3, previous_t=0.1, buffer_t=0.2) == NOTHING
        assert round_issuance(net_t=1.001, previous_t=0.0, buffer_t=0.001).credited == 1_000

    @pytest.mark.parametrize(
        ("net", "previous", "buffer"),
        [("1", "1", "0"), ("1", "2", "0"), ("-3", "0", "0"), ("1", "0", "1"), ("0.0009", "0", "0")],
    )
    def test_nothing_is_issued_where_nothing_is_left(
        self, net: str, previous: str, buffer: str
    ) -> None:
        assert round_issuance(net_t=net, previous_t=previous, buffer_t=buffer) == NOTHING

    def test_negative_buffer_is_refused(self) -> None:
        with pytest.raises(NotAQuantity, match="buffer of 0 t or more"):
            round_issuance(net_t="5", previous_t="0", buffer_t="-1")

    @given(MICROGRAMS, MICROGRAMS, st.integers(min_value=0, max_value=10**15))
    def test_rounding_is_never_in_favour_of_the_project(
        self, net: int, previous: int, buffer: int
    ) -> None:
        issuance = round_issuance(
            net_t=Fraction(net, 10**6),
            previous_t=Fraction(previous, 10**6),
            buffer_t=Fraction(buffer, 10**6),
        )
        exact_kg = Fraction(net - previous - buffer, 1000)
        assert issuance.credited <= max(Fraction(0), exact_kg)
        assert issuance.credited >= 0
        if issuance == NOTHING:
            assert exact_kg < 2
        else:
            assert issuance.verified == math.floor(Fraction(net - previous, 1000))
            assert exact_kg - issuance.credited < 2


class TestVintages:
    def test_a_period_is_cut_at_new_year(self) -> None:
        assert vintages_of(date(2016, 7, 1), date(2018, 6, 30)) == (
            Vintage(date(2016, 7, 1), date(2016, 12, 31)),
            Vintage(date(2017, 1, 1), date(2017, 12, 31)),
            Vintage(date(2018, 1, 1), date(2018, 6, 30)),
        )

    def test_a_day_is_a_vintage(self) -> None:
        assert vintages_of(date(2020, 2, 29), date(2020, 2, 29))[0].days == 1

    def test_backward_period_is_refused(self) -> None:
        with pytest.raises(NotAQuantity, match="ends after it starts"):
            vintages_of(date(2020, 2, 2), date(2020, 2, 1))

    @given(DAYS, DAYS)
    def test_vintages_tile_the_period(self, one: date, other: date) -> None:
        start, end = sorted((one, other))
        found = vintages_of(start, end)
        assert found[0].start == start
        assert found[-1].end == end
        assert sum(vintage.days for vintage in found) == (end - start).days + 1
        for before, after in itertools.pairwise(found):
            assert after.start - before.end == timedelta(days=1)
        assert all(vintage.start.year == vintage.end.year for vintage in found)


class TestApportionment:
    def test_largest_remainder_by_hand(self) -> None:
        # 10 by 184, 365, 181 days of 730: exact 2.52, 5.00, 2.48 -> 2, 5, 2 and one to the first
        assert apportion(10, [184, 365, 181]) == (3, 5, 2)

    def test_equal_remainders_go_to_the_earlier(self) -> None:
        assert apportion(1, [365, 365]) == (1, 0)

    @given(
        st.integers(min_value=0, max_value=10**13),
        st.lists(st.integers(min_value=1, max_value=366), min_size=1, max_size=40),
    )
    def test_parts_sum_to_the_total_and_stay_within_one_of_their_share(
        self, total: int, weights: list[int]
    ) -> None:
        parts = apportion(total, weights)
        assert sum(parts) == total
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part - Fraction(total * weight, sum(weights))) < 1

    def test_buffer_never_exceeds_its_vintage(self) -> None:
        # the Alabama paradox: 10 by 6, 6, 2 gives 4, 4, 2 but 11 gives 5, 5, 1
        assert apportion(10, [6, 6, 2]) == (4, 4, 2)
        assert apportion(11, [6, 6, 2]) == (5, 5, 1)
        assert apportion(10, [6, 6, 2], caps=(5, 5, 1)) == (5, 4, 1)

    @given(
        st.integers(min_value=1, max_value=500),
        st.integers(min_value=0, max_value=500),
        DAYS,
        st.integers(min_value=0, max_value=365 * 12),
    )
    def test_plan_sums_to_verified_and_buffer(
        self, verified: int, less: int, start: date, length: int
    ) -> None:
        issuance = Issuance(verified=verified, buffer=max(0, verified - less))
        plans = plan_batches(issuance, start=start, end=start + timedelta(days=length))
        assert sum(plan.size_kg for plan in plans) == issuance.verified
        assert sum(plan.buffer_kg for plan in plans) == issuance.buffer
        for plan in plans:
            assert 0 <= plan.buffer_kg <= plan.size_kg
            parts = [part for part in (plan.credited, plan.buffered) if part]
            assert merge(parts) == (SerialRange(1, plan.size_kg),)

    def test_buffer_is_the_last_part_of_its_batch(self) -> None:
        (plan,) = plan_batches(
            Issuance(verified=1000, buffer=120), start=date(2019, 1, 1), end=date(2019, 12, 31)
        )
        assert plan.credited == SerialRange(1, 880)
        assert plan.buffered == SerialRange(881, 1000)


class TestRanges:
    @given(ranges(), st.data())
    def test_split_parts_tile_the_block(self, block: SerialRange, data: st.DataObject) -> None:
        quantity = data.draw(st.integers(min_value=1, max_value=block.quantity_kg))
        first, rest = split(block, quantity)
        assert first.quantity_kg == quantity
        assert merge([first, rest] if rest else [first]) == (block,)

    @given(ranges(), st.data())
    def test_carved_parts_tile_the_block(self, block: SerialRange, data: st.DataObject) -> None:
        first = data.draw(st.integers(min_value=block.first, max_value=block.last))
        last = data.draw(st.integers(min_value=first, max_value=block.last))
        parts = carve(block, SerialRange(first, last))
        assert merge(part for part in parts if part) == (block,)

    @pytest.mark.parametrize("quantity", [0, -1, 11])
    def test_split_of_none_or_too_many_is_refused(self, quantity: int) -> None:
        with pytest.raises(NotAQuantity, match="1 to 10 kg"):
            split(SerialRange(1, 10), quantity)

    @pytest.mark.parametrize(("first", "last"), [(0, 1), (-3, 4), (5, 4)])
    def test_impossible_range_is_refused(self, first: int, last: int) -> None:
        with pytest.raises(NotASerial):
            SerialRange(first, last)

    def test_serials_outside_the_block_cannot_be_carved(self) -> None:
        with pytest.raises(NotASerial, match="serials in 5-9"):
            carve(SerialRange(5, 9), SerialRange(9, 10))

    def test_overlap_cannot_be_merged(self) -> None:
        with pytest.raises(RangesDoNotTile):
            merge([SerialRange(1, 5), SerialRange(5, 9)])

    def test_ranges_that_do_not_touch_stay_apart(self) -> None:
        parts = [SerialRange(7, 9), SerialRange(1, 5)]
        assert merge(parts) == (SerialRange(1, 5), SerialRange(7, 9))

    def test_take_uses_the_lowest_serials_first(self) -> None:
        blocks = [SerialRange(100, 109), SerialRange(1, 5)]
        assert take(blocks, 8) == (SerialRange(1, 5), SerialRange(100, 102))

    @pytest.mark.parametrize("quantity", [0, -1, 16])
    def test_take_of_more_than_there_is_is_refused(self, quantity: int) -> None:
        with pytest.raises(NotAQuantity):
            take([SerialRange(100, 109), SerialRange(1, 5)], quantity)


class TestSerialText:
    def test_form_is_the_published_one(self) -> None:
        serial = Serial(
            environment="sandbox",
            country="RO",
            project="RO-STABLE",
            batch=2,
            vintage=Vintage(date(2016, 7, 1), date(2016, 12, 31)),
            serials=SerialRange(1, 1350),
        )
        assert serial.text() == "SANDBOX-AMR-RO-RO-STABLE-2-20160701-20161231-1-1350"

    @given(serials())
    def test_reading_is_the_inverse_of_writing(self, serial: Serial) -> None:
        assert parse_serial(serial.text()) == serial

    @given(serials())
    def test_production_serial_never_reads_as_sandbox(self, serial: Serial) -> None:
        assert serial.text().startswith("SANDBOX-") == (serial.environment == "sandbox")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "AMR-RO-P-1-20160101-20161231-5-4",  # last before first
            "AMR-RO-P-1-20160101-20161231-0-4",  # serials begin at 1
            "AMR-RO-P-1-20160101-20161231-01-4",  # leading zero
            "AMR-RO-P-1-20160230-20161231-1-4",  # 30 February
            "AMR-RO-P-1-20161231-20160101-1-4",  # vintage backwards
            "AMR-RO-P-0-20160101-20161231-1-4",  # batches begin at 1
            "AMR-ro-P-1-20160101-20161231-1-4",  # country in small letters
            "AMR-RO--1-20160101-20161231-1-4",  # no project
            "sandbox-AMR-RO-P-1-20160101-20161231-1-4",
            "AMR-RO-P-1-20160101-20161231-1-4\n",
            "AMR-RO-P-1-20160101-20161231-1-\uff14",  # a digit of another script
        ],
    )
    def test_what_is_not_a_serial_is_refused(self, text: str) -> None:
        with pytest.raises(NotASerial):
            parse_serial(text)

    def test_project_code_that_would_not_read_back_is_refused(self) -> None:
        vintage = Vintage(date(2016, 1, 1), date(2016, 12, 31))
        for project in ("", "ro", "RO_1", "RO-", "-RO", "RO--1"):
            with pytest.raises(NotASerial):
                Serial("production", "RO", project, 1, vintage, SerialRange(1, 2)).text()
