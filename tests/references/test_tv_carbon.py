"""Carbon vectors of the reference: TV-1 to TV-9."""

from __future__ import annotations

import pytest

from geo.carbon import (
    change_tco2e,
    conversion_tc,
    dead_matter_tc_per_yr,
    disturbance_loss_tc,
    fire_tco2e,
    gain_tc_per_yr,
    one_plus_error,
    product_error,
    soil_tc_per_yr,
    stock_difference_tc_per_yr,
    stock_tc,
    sum_error,
    tco2e_per_agb,
    wood_removal_tc,
)
from geo.types import Estimate
from geo.units import CO2_PER_C

R = 0.323


def near(expected: float) -> object:
    return pytest.approx(expected, rel=1e-9)


def test_tv_1_gain() -> None:
    gain = gain_tc_per_yr(100, 2.4, root_shoot_ratio=R)
    assert gain == near(149.2344)
    assert gain * CO2_PER_C == near(547.1928)


def test_tv_2_gain_less_loss() -> None:
    wood = wood_removal_tc(50, 1.89, root_shoot_ratio=R)
    disturbed = disturbance_loss_tc(5, 67.7, root_shoot_ratio=R, fraction_lost=0.9)
    net = gain_tc_per_yr(100, 2.4, root_shoot_ratio=R) - wood - disturbed
    assert wood == near(58.761045)
    assert disturbed == near(189.4344165)
    assert net == near(-98.9610615)
    assert net * CO2_PER_C == near(-362.8572255)


def test_tv_3_stock_difference() -> None:
    start, end = (stock_tc(100, agb, root_shoot_ratio=R) for agb in (18.0, 31.5))
    per_year = stock_difference_tc_per_yr(start, end, years=5)
    assert (start, end) == (near(1119.258), near(1958.7015))
    assert per_year == near(167.8887)
    assert per_year * CO2_PER_C == near(615.5919)


def test_tv_3_the_same_change_as_an_estimate() -> None:
    change = change_tco2e(Estimate(100 * 13.5, 100 * 1.1, 7, "t"), R)
    assert change.mean == near(3077.9595)
    assert change.se / change.mean == near(1.1 / 13.5)


def test_tv_4_conversion_and_litter() -> None:
    assert conversion_tc(100, before_t_per_ha=4.7, after_t_per_ha=0) == near(-220.9)
    assert dead_matter_tc_per_yr(100, before_tc_per_ha=0, after_tc_per_ha=5.9) == near(29.5)


def test_tv_5_soil() -> None:
    assert soil_tc_per_yr(100, 40, before=0.83, after=1.0) == near(34.0)


def test_tv_6_fire() -> None:
    methane, nitrous_oxide = fire_tco2e(5, 67.7, combustion=0.36)
    assert methane == near(23.202144)
    assert nitrous_oxide == near(6.45858)


def test_tv_7_product_of_factors() -> None:
    roots = one_plus_error(0.20, R)
    assert roots == pytest.approx(0.04882842, abs=5e-9)  # printed 4.882843 %: last digit off by 1
    assert product_error(0.02, 0.12, 0.03, roots) == pytest.approx(0.13447756, abs=5e-9)


def test_tv_8_sum_of_terms() -> None:
    terms = [(0.10, 1000.0), (0.20, 400.0), (0.50, -100.0)]
    assert sum_error(terms) == pytest.approx(0.10575175, abs=5e-9)


def test_tv_9_the_example_of_the_programme() -> None:
    assert product_error(0.02, 0.05) == pytest.approx(0.05385, abs=5e-6)


def test_one_tonne_of_dry_matter() -> None:
    """Data/reference, trap 4: 0.47 x 44/12 = 1.723333."""
    assert tco2e_per_agb(0.0) == pytest.approx(1.723333, abs=5e-7)
