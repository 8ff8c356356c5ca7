"""Means, intervals, pairs and ends, against scipy, closed forms and hand-made cases."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from geo.errors import BadInput
from geo.inference import (
    assign_plots,
    ci90,
    difference_estimator,
    fit_line,
    lines_without_each,
    relative_half_width,
    sample_mean,
    stock_change,
    stratified_mean,
    t_quantile,
    two_sample_difference,
)
from geo.types import Estimate, Plot

T0, END = date(2016, 1, 1), date(2018, 12, 31)
PAIRS = {"A": (100.0, 109.0), "B": (200.0, 207.0), "C": (150.0, 161.0)}
_values = st.lists(st.floats(0, 800).map(lambda value: round(value, 3)), min_size=2, max_size=30)


def plot(name: str, day: date, agb: float = 100.0, stratum: str | None = None) -> Plot:
    return Plot(name, 22.15, 45.2, day, 0.05, agb, stratum)


def both_ends(pairs: dict[str, tuple[float, float]], stratum: str | None = None) -> list[Plot]:
    return [
        plot(name, day, agb, stratum)
        for name, values in pairs.items()
        for day, agb in zip((T0, END), values, strict=True)
    ]


class TestQuantile:
    @given(st.floats(1, 1e4), st.floats(0.5, 0.999))
    def test_is_that_of_scipy_stats(self, df: float, level: float) -> None:
        assert t_quantile(df, level=level) == pytest.approx(stats.t.ppf(0.5 + level / 2, df))

    def test_of_infinitely_many_degrees_is_the_normal_one(self) -> None:
        assert t_quantile(math.inf) == pytest.approx(1.6448536, abs=1e-7)


class TestSampleMean:
    @given(_values)
    def test_is_numpy_s_mean_and_scipy_s_standard_error(self, values: list[float]) -> None:
        estimate = sample_mean(values)
        assert estimate.mean == pytest.approx(np.mean(values))
        assert estimate.se == pytest.approx(stats.sem(values), abs=1e-9)

    @given(_values, st.randoms())
    def test_does_not_depend_on_the_order_of_the_rows(
        self, values: list[float], dice: object
    ) -> None:
        shuffled = list(values)
        dice.shuffle(shuffled)  # type: ignore[attr-defined]
        assert sample_mean(shuffled) == sample_mean(values)

    def test_interval_covers_the_truth_nine_times_in_ten(self) -> None:
        rng = np.random.default_rng(7)
        samples = rng.normal(100, 20, (4000, 8))
        covered = [
            low <= 100 <= high for low, high in (ci90(sample_mean(list(s))) for s in samples)
        ]
        assert np.mean(covered) == pytest.approx(0.90, abs=0.015)

    def test_of_one_value_is_refused(self) -> None:
        with pytest.raises(BadInput, match="1 given"):
            sample_mean([3.0])

    def test_relative_width_of_a_zero_mean_has_no_meaning(self) -> None:
        assert relative_half_width(Estimate(0.0, 1.0, 3, "t/ha")) is None


class TestStrata:
    def test_hand_case(self) -> None:
        """W .25/.75; means 10 and 20; s2 2 and 8 on n 2 and 4: V .0625 + 1.125 = 1.1875."""
        values = {"a": [9.0, 11.0], "b": [17.0, 19.0, 20.0, 24.0]}
        estimate = stratified_mean(values, weights={"a": 1.0, "b": 3.0})
        s2_b = (9 + 1 + 0 + 16) / 3
        v_a, v_b = 0.25**2 * 2 / 2, 0.75**2 * s2_b / 4
        assert estimate.mean == pytest.approx(17.5)
        assert estimate.se == pytest.approx(math.sqrt(v_a + v_b))
        assert estimate.df == pytest.approx((v_a + v_b) ** 2 / (v_a**2 / 1 + v_b**2 / 3))

    @given(_values)
    def test_one_stratum_is_a_simple_random_sample(self, values: list[float]) -> None:
        whole = stratified_mean({"all": values}, weights={"all": 6.1})
        simple = sample_mean(values)
        assert (whole.mean, whole.se, whole.df) == pytest.approx(
            (simple.mean, simple.se, simple.df)
        )

    @given(_values, _values)
    def test_degrees_of_freedom_lie_between_the_smaller_and_the_sum(
        self, first: list[float], second: list[float]
    ) -> None:
        estimate = stratified_mean({"a": first, "b": second}, weights={"a": 0.4, "b": 0.6})
        low = min(len(first), len(second)) - 1
        assert low - 1e-6 <= estimate.df <= len(first) + len(second) - 2 + 1e-6

    def test_a_stratum_without_plots_is_refused(self) -> None:
        with pytest.raises(BadInput, match="weights are given for"):
            stratified_mean({"a": [1.0, 2.0]}, weights={"a": 1.0, "b": 1.0})


class TestTwoSamples:
    @given(_values, _values)
    def test_is_welch_s_test(self, first: list[float], second: list[float]) -> None:
        start, end = sample_mean(first), sample_mean(second)
        assume(min(start.se, end.se) > 1e-3)
        difference = two_sample_difference(start, end)
        welch = stats.ttest_ind(second, first, equal_var=False)
        assert difference.df == pytest.approx(welch.df, rel=1e-6)
        assert difference.mean / difference.se == pytest.approx(welch.statistic, rel=1e-6, abs=1e-9)

    def test_samples_without_spread_have_the_sum_of_the_degrees(self) -> None:
        same = sample_mean([5.0, 5.0, 5.0])
        assert two_sample_difference(same, same).df == 4


class TestMapAssisted:
    def test_a_biased_map_gives_the_same_mean_as_a_true_one(self) -> None:
        """A constant error of the map moves map mean and residuals alike."""
        y, yhat = [35.0, 62, 80], [30.0, 60, 70]
        true = difference_estimator(y, yhat, map_mean=50)
        biased = difference_estimator(y, [v + 100 for v in yhat], map_mean=150)
        assert biased.estimate.mean == pytest.approx(true.estimate.mean)
        assert biased.estimate.se == pytest.approx(true.estimate.se)

    def test_cross_validated_residuals_widen_the_interval_only(self) -> None:
        y, yhat = [35.0, 62, 80, 20], [40.0, 58, 70, 28]
        plain = difference_estimator(y, yhat, map_mean=58)
        wide = difference_estimator(y, yhat, map_mean=58, residuals=[-10.0, 8, 20, -16])
        assert wide.estimate.mean == plain.estimate.mean
        assert wide.estimate.se == pytest.approx(2 * plain.estimate.se)

    def test_a_perfect_map_has_no_efficiency_to_report(self) -> None:
        assert difference_estimator([1.0, 2], [1.0, 2], map_mean=3).relative_efficiency is None


class TestLines:
    @given(
        st.lists(
            st.tuples(st.integers(0, 9000), st.floats(0, 400)),
            min_size=4,
            max_size=15,
            unique_by=lambda pair: pair[0],
        )
    )
    def test_leaving_one_out_agrees_with_the_leverage_formula(
        self, pairs: list[tuple[int, float]]
    ) -> None:
        """Second implementation: e_i / (1 - h_i) on the line through all points."""
        x = np.array([pair[0] / 10_000 for pair in pairs])
        y = np.array([pair[1] for pair in pairs])
        assume(np.ptp(np.sort(x)[1:-1]) > 0.01)
        whole = stats.linregress(x, y)
        centred = x - x.mean()
        leverage = 1 / len(x) + centred**2 / (centred**2).sum()
        expected = (y - whole.intercept - whole.slope * x) / (1 - leverage)
        lines = lines_without_each(list(x), list(y))
        found = [b - (a0 + a1 * a) for a, b, (a0, a1) in zip(x, y, lines, strict=True)]
        assert found == pytest.approx(list(expected), abs=1e-6, rel=1e-6)

    def test_an_index_that_does_not_vary_is_refused(self) -> None:
        with pytest.raises(BadInput, match="do not vary enough"):
            fit_line([0.8, 0.8, 0.8], [1.0, 2.0, 3.0])


class TestEnds:
    def test_a_measurement_belongs_to_the_nearest_end(self) -> None:
        ends = assign_plots(
            [plot("A", date(2015, 9, 1)), plot("B", date(2019, 5, 1))], t0=T0, end=END
        )
        assert [p.plot_id for p in ends.start] == ["A"]
        assert [p.plot_id for p in ends.end] == ["B"]

    @pytest.mark.parametrize(
        ("days", "used"), [(365, True), (366, False), (-365, True), (-366, False)]
    )
    def test_at_most_365_days_away(self, days: int, used: bool) -> None:  # noqa: FBT001 (a table)
        ends = assign_plots([plot("A", T0 + timedelta(days))], t0=T0, end=END)
        assert bool(ends.start) is used
        assert bool(ends.not_used) is not used

    def test_of_two_measurements_of_a_plot_at_one_end_the_nearer_counts(self) -> None:
        near, far = plot("A", date(2016, 2, 1), 110), plot("A", date(2015, 6, 1), 100)
        ends = assign_plots([far, near], t0=T0, end=END)
        assert ends.start == (near,)
        assert ends.not_used == (
            (far, "the plot was measured nearer to 2016-01-01, on 2016-02-01"),
        )

    def test_in_a_short_period_the_middle_belongs_to_the_start(self) -> None:
        ends = assign_plots([plot("A", date(2016, 1, 3))], t0=T0, end=date(2016, 1, 5))
        assert len(ends.start) == 1

    @given(
        st.lists(
            st.tuples(st.sampled_from("ABCDE"), st.integers(-800, 1900)), max_size=20, unique=True
        )
    )
    def test_every_measurement_is_used_once_or_named(self, visits: list[tuple[str, int]]) -> None:
        plots = [plot(name, T0 + timedelta(days)) for name, days in visits]
        ends = assign_plots(plots, t0=T0, end=END)
        seen = [*ends.start, *ends.end, *(p for p, _ in ends.not_used)]
        order = sorted(seen, key=lambda p: (p.plot_id, p.measured_on))
        assert order == sorted(plots, key=lambda p: (p.plot_id, p.measured_on))
        assert len({p.plot_id for p in ends.start}) == len(ends.start)


class TestStockChange:
    def test_pairs_have_the_error_of_the_differences(self) -> None:
        stock = stock_change(
            assign_plots(both_ends(PAIRS), t0=T0, end=END), weights=None, permanent=True
        )
        assert stock.design == "paired"
        assert stock.change is not None
        assert stock.change.mean == pytest.approx(9.0)
        assert stock.change.se == pytest.approx(2 / math.sqrt(3))
        assert stock.change.df == 2
        assert (stock.measured_from, stock.measured_to) == (T0, END)

    def test_start_plus_change_is_end(self) -> None:
        plots = [*both_ends(PAIRS), plot("D", END, 700.0)]
        stock = stock_change(assign_plots(plots, t0=T0, end=END), weights=None, permanent=None)
        assert stock.start
        assert stock.end
        assert stock.change
        assert stock.start.mean + stock.change.mean == pytest.approx(stock.end.mean)
        assert "1 stand at one end only and are left out: D" in stock.notes[0]

    def test_disjoint_sets_are_two_samples(self) -> None:
        plots = [plot(n, T0, a) for n, a in (("A", 1.0), ("B", 2.0))]
        plots += [plot(n, END, a) for n, a in (("C", 5.0), ("D", 7.0))]
        stock = stock_change(assign_plots(plots, t0=T0, end=END), weights=None, permanent=None)
        assert stock.design == "two-sample"
        assert stock.change
        assert stock.change.mean == pytest.approx(4.5)

    def test_equal_ids_of_temporary_plots_are_no_pairs(self) -> None:
        ends = assign_plots(both_ends(PAIRS), t0=T0, end=END)
        assert stock_change(ends, weights=None, permanent=False).design == "two-sample"

    def test_an_end_without_plots_is_unknown_and_so_is_the_change(self) -> None:
        plots = [plot("A", T0, 1.0), plot("B", T0, 2.0)]
        stock = stock_change(assign_plots(plots, t0=T0, end=END), weights=None, permanent=True)
        assert stock.start is not None
        assert stock.end is None
        assert stock.change is None
        assert stock.measured_to is None

    def test_one_plot_is_not_enough(self) -> None:
        ends = assign_plots(both_ends({"A": (1.0, 2.0)}), t0=T0, end=END)
        assert stock_change(ends, weights=None, permanent=True).change is None

    def test_strata_are_weighted_by_area(self) -> None:
        plots = both_ends({"A": (10.0, 12.0), "B": (10.0, 14.0)}, "young")
        plots += both_ends({"C": (90.0, 90.0), "D": (90.0, 92.0)}, "old")
        stock = stock_change(
            assign_plots(plots, t0=T0, end=END), weights={"young": 3.0, "old": 1.0}, permanent=True
        )
        assert stock.change
        assert stock.change.mean == pytest.approx(0.75 * 3 + 0.25 * 1)
