"""Test vectors of the carbon-accounting reference that the registry must reproduce: TV-24, TV-31.

Both speak of whole tonnes, as the programme they come from issues them; our ledger counts
kilograms, so TV-24 is asked with `units_per_t=1` and then once more in our own unit.
"""

from __future__ import annotations

import pytest

from registry.domain.credits import SerialRange, carve, merge, round_issuance, split
from registry.errors import NotAQuantity, NotASerial, RangesDoNotTile

NET = "5220.502377"
STOCK_CHANGE = "5565.502377"
BUFFER = "1001.79042786"  # 18 % of the stock change, written out


class TestTv24Buffer:
    def test_whole_tonnes_as_printed(self) -> None:
        issuance = round_issuance(net_t=NET, previous_t="0", buffer_t=BUFFER, units_per_t=1)
        assert (issuance.verified, issuance.buffer, issuance.credited) == (5220, 1002, 4218)

    def test_kilograms_of_our_ledger(self) -> None:
        # floor(5 220 502.377 kg) = 5 220 502; ceil(1 001 790.42786 kg) = 1 001 791
        issuance = round_issuance(net_t=NET, previous_t="0", buffer_t=BUFFER)
        assert (issuance.verified, issuance.buffer) == (5_220_502, 1_001_791)
        assert issuance.credited == 4_218_711


class TestTv31Retirement:
    block = SerialRange(5001, 9218)

    def test_quantity_counts_both_ends(self) -> None:
        assert self.block.quantity_kg == 4218

    def test_retiring_the_first_thousand(self) -> None:
        retired, active = split(self.block, 1000)
        assert retired == SerialRange(5001, 6000)
        assert active == SerialRange(6001, 9218)
        assert active.quantity_kg == 3218
        assert merge([retired, active]) == (self.block,)

    def test_same_part_by_its_serials(self) -> None:
        assert carve(self.block, SerialRange(5001, 6000)) == (
            None,
            SerialRange(5001, 6000),
            SerialRange(6001, 9218),
        )

    @pytest.mark.parametrize("quantity", [0, 4219])
    def test_none_and_too_many_are_invalid(self, quantity: int) -> None:
        with pytest.raises(NotAQuantity):
            split(self.block, quantity)

    def test_start_after_end_is_invalid(self) -> None:
        with pytest.raises(NotASerial):
            SerialRange(9218, 5001)

    def test_overlap_with_an_issued_block_is_invalid(self) -> None:
        with pytest.raises(RangesDoNotTile):
            merge([self.block, SerialRange(9218, 9300)])
