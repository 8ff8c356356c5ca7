"""Biomass from an index: the fit, the one prediction, what is clamped and counted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.biomass import (
    ABOVE_DOMAIN,
    BELOW_DOMAIN,
    NEGATIVE,
    SATURATED,
    CardUnusable,
    count_flags,
    fit_card,
    predict,
)
from geo.project import ModelCard, agb_t_per_ha
from geo.types import AGB_NODATA, NDVI_NODATA


def card(**changes: Any) -> ModelCard:
    values = {
        "id": "test",
        "form": "linear",
        "coefficients": (-100.0, 300.0),
        "domain": (0.2, 0.9),
        "saturation_agb": 150.0,
        "source": "made for this test",
    }
    return ModelCard(**(values | changes))  # type: ignore[arg-type]


def plots(number: int = 24) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(3)
    index = rng.uniform(0.4, 0.9, number)
    return list(index), list(200 * index + 10 + rng.normal(0, 15, number))


class TestFit:
    def test_is_least_squares_with_its_covariance(self) -> None:
        index, agb = plots()
        fitted = fit_card(index, agb, source="test")
        (slope, intercept), covariance = np.polyfit(index, agb, 1, cov=True)
        assert fitted.coefficients == pytest.approx((intercept, slope))
        assert fitted.covariance
        assert np.ravel(fitted.covariance) == pytest.approx(np.ravel(covariance[::-1, ::-1]))

    def test_holds_only_where_plots_were(self) -> None:
        index, agb = plots()
        fitted = fit_card(index, agb, source="test")
        assert fitted.domain == (min(index), max(index))
        assert fitted.saturation_agb == max(agb)
        assert fitted.plots == 24

    def test_needs_twenty_plots(self) -> None:
        index, agb = plots(19)
        with pytest.raises(CardUnusable, match="on 19 plots: at least 20"):
            fit_card(index, agb, source="test")

    def test_refuses_an_index_that_falls_with_biomass(self) -> None:
        index, agb = plots()
        with pytest.raises(CardUnusable, match="does not rise"):
            fit_card(index, [-value for value in agb], source="test")

    def test_refuses_a_line_that_leaves_what_grows(self) -> None:
        with pytest.raises(CardUnusable, match="leaves 800 t/ha"):
            fit_card([n / 100 for n in range(20)], [n * 100 for n in range(20)], source="test")

    def test_refuses_an_index_that_is_the_same_everywhere(self) -> None:
        with pytest.raises(CardUnusable, match="the same at all"):
            fit_card([0.8] * 20, list(range(20)), source="test")


class TestPrediction:
    def test_hand_case_in_tenths_of_a_tonne(self) -> None:
        predicted = predict(card(), np.array([[5000, 6001], [8000, NDVI_NODATA]], dtype=np.int16))
        assert predicted.agb.tolist() == [[500, 800], [1400, AGB_NODATA]]
        assert predicted.agb.dtype == np.uint16

    @pytest.mark.parametrize(
        ("index", "agb", "flag"),
        [
            (1000, 0, BELOW_DOMAIN | NEGATIVE),
            (3000, 0, NEGATIVE),
            (8500, 1500, SATURATED),
            (9500, 1500, ABOVE_DOMAIN | SATURATED),
            (6000, 800, 0),
        ],
    )
    def test_every_clamp_sets_its_flag(self, index: int, agb: int, flag: int) -> None:
        predicted = predict(card(), np.array([index], dtype=np.int16))
        assert (predicted.agb[0], predicted.flags[0]) == (agb, flag)

    def test_exponential_and_power_forms(self) -> None:
        exponential = card(form="exponential", coefficients=(2.0, 5.0))
        power = card(form="power", coefficients=(180.0, 2.0))
        assert agb_t_per_ha(exponential, 0.7) == pytest.approx(2 * math.exp(3.5))
        assert agb_t_per_ha(power, 0.5) == pytest.approx(45.0)
        assert predict(power, np.array([5000], dtype=np.int16)).agb[0] == 450

    @given(st.lists(st.integers(-10_000, 10_000) | st.just(NDVI_NODATA), min_size=1, max_size=50))
    def test_a_block_is_predicted_as_its_pixels_are(self, values: list[int]) -> None:
        block = np.array(values, dtype=np.int16)
        whole = predict(card(), block)
        single = [predict(card(), block[i : i + 1]).agb[0] for i in range(len(block))]
        assert whole.agb.tolist() == single

    @given(st.integers(-10_000, 9_999))
    def test_more_index_is_never_less_biomass(self, value: int) -> None:
        low, high = predict(card(), np.array([value, value + 1], dtype=np.int16)).agb
        assert low <= high

    def test_flags_are_counted_inside_the_area_only(self) -> None:
        index = np.array([1000, 6000, 9500, NDVI_NODATA, 9500], dtype=np.int16)
        inside = np.array([True, True, True, True, False])
        counts = count_flags(predict(card(), index), inside)
        assert (counts.predicted, counts.below_domain, counts.above_domain) == (3, 1, 1)
        assert (counts.saturated, counts.negative) == (1, 1)
