"""Sampling and map-assisted vectors of the carbon reference: TV-14, TV-16."""

from __future__ import annotations

import pytest

from geo.inference import (
    ci90,
    difference_estimator,
    fit_line,
    half_width,
    relative_half_width,
    sample_mean,
    t_quantile,
)

PLOTS = [38.2, 41.7, 29.5, 52.3, 47.0, 33.8, 44.1, 36.6]
Y = [35.0, 62, 80, 20, 55, 90, 41, 70]
YHAT = [40.0, 58, 70, 28, 52, 75, 45, 66]


def near(expected: float) -> object:
    return pytest.approx(expected, abs=5e-7)


def test_tv_14_mean_and_interval_of_eight_plots() -> None:
    estimate = sample_mean(PLOTS)
    assert estimate.mean == near(40.4)
    assert estimate.se == near(2.612470)
    assert estimate.df == 7
    assert t_quantile(7) == near(1.894579)
    assert half_width(estimate) == near(4.949530)
    assert relative_half_width(estimate) == near(0.12251312)


def test_tv_16_difference_estimator() -> None:
    result = difference_estimator(Y, YHAT, map_mean=58.0)
    assert result.mean_residual == near(2.375)
    assert result.estimate.mean == near(60.375)
    assert result.estimate.se == near(2.757700)
    assert ci90(result.estimate) == (near(55.150320), near(65.599680))
    assert relative_half_width(result.estimate) == near(0.08653714)
    assert result.relative_efficiency == near(9.213678)


def test_tv_16_the_plots_alone() -> None:
    alone = sample_mean(Y)
    assert (alone.mean, alone.se) == (near(56.625), near(8.370735))


def test_tv_17_the_fitted_line_and_its_mean() -> None:
    """GREG with an intercept: the line at the map's mean (its SE comes with the greg estimator)."""
    intercept, slope = fit_line(YHAT, Y)
    assert (intercept, slope) == (near(-22.820513), near(1.464433))
    assert intercept + slope * 58.0 == near(62.116625)
