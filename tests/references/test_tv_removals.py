"""Vectors of the removals block: TV-23 (the parts that apply), TV-24 (arithmetic), TV-28."""

from __future__ import annotations

import math

import pytest

from geo.carbon import change_tco2e, tco2e_per_agb
from geo.sequestration import Declared, after_discount, deduction_share, removals
from geo.types import Estimate

AREA_HA, R = 100, 0.284


def near(expected: float, *, tolerance: float = 5e-7) -> object:
    return pytest.approx(expected, abs=tolerance)


def test_tv_23_stocks_and_change() -> None:
    factor = tco2e_per_agb(R)
    assert factor == near(2.212760)
    assert AREA_HA * 6.0 * factor == near(1327.656)
    assert AREA_HA * 40.4 * factor == near(8939.5504)
    change = change_tco2e(Estimate(AREA_HA * 34.4, 0, 7, "t"), R)
    assert change.mean == near(7611.8944)


def test_tv_23_standard_errors_of_the_stocks() -> None:
    factor = tco2e_per_agb(R)
    assert AREA_HA * 1.1 * factor == near(243.4036)
    assert AREA_HA * 2.612470 * factor == near(578.076933, tolerance=1e-4)


def test_tv_23_a_gain_is_discounted_by_the_benchmark_and_a_loss_is_not() -> None:
    assert after_discount(7611.8944, 0.25) == near(5708.9208)
    assert after_discount(-1000.0, 0.25) == -1000.0


def test_tv_23_what_remains_after_uncertainty_leakage_and_emissions() -> None:
    credited = after_discount(5708.9208, 0.02512181)
    assert credited == near(5565.502377, tolerance=2e-5)
    assert credited - 300 - 45 == near(5220.502377, tolerance=2e-5)
    assert credited - 300 - 45 - 2500 == near(2720.502377, tolerance=2e-5)


def test_tv_24_buffer_is_taken_of_the_stock_change() -> None:
    """U 0, so the block's own arithmetic: base 5565.502377, 18 %, net 5220.502377."""
    block = removals(
        Estimate(5565.502377, 0.0, 7, "tCO2e"),
        baseline=0.0,
        declared=Declared(project_emissions=45, leakage=300, buffer_percent=18),
    )
    assert block.net == near(5220.502377)
    assert block.buffer == near(1001.790428)
    assert block.net is not None
    assert block.buffer is not None
    assert math.floor(block.net) - math.ceil(block.buffer) == 4218


def test_tv_28_the_official_example() -> None:
    """Estimate 100,000, SE 20,000, normal quantile: U 32.898 %, D 8.614 %, 91,386."""
    block = removals(
        Estimate(100_000, 20_000, math.inf, "tCO2e"), baseline=0.0, declared=Declared()
    )
    assert block.relative_half_width == near(0.32898, tolerance=1e-5)
    assert block.deduction_share == near(0.08614, tolerance=5e-6)
    assert block.net == near(91_386, tolerance=1.0)


def test_tv_28_second_line() -> None:
    assert deduction_share(0.12512181) == near(0.03276185, tolerance=1e-8)


def test_tv_28_step_at_ten_percent() -> None:
    """The reference: D jumps from 0 to 2.62 % just above U = 10 %."""
    assert deduction_share(0.10) == 0.0
    assert deduction_share(0.1000001) == near(0.0262, tolerance=5e-5)
