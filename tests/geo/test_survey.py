"""Means at both ends, looks and the time series, over the area."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest

from geo.load import archive
from geo.measure import input_roles, measure
from geo.planning import plan_scenes
from geo.survey import Survey, end_means, take_survey
from geo.types import NDVI_NODATA, Period
from geo.zonal import weights
from tests.geo.landscape import boundary_on, four_summers, quiet, ten_metre_grid, write_catalog

if TYPE_CHECKING:
    from pathlib import Path

    from geo.measure import Measurement
    from geo.types import Boundary


def test_means_use_only_pixels_known_at_both_ends() -> None:
    """Column 0 is missing at the end: over all pixels the start would be 5000, not 6000."""
    first = np.array([[4000, 6000]], dtype=np.int16)
    last = np.array([[NDVI_NODATA, 6100]], dtype=np.int16)
    means = end_means(first, last, weight=np.ones((1, 2)))
    assert means is not None
    assert (means.start, means.end) == (0.6, 0.61)
    assert means.change == pytest.approx(0.01)


def test_means_of_nothing_are_unknown() -> None:
    nothing = np.full((1, 2), NDVI_NODATA, dtype=np.int16)
    assert end_means(nothing, nothing, weight=np.ones((1, 2))) is None


def measured_toy(folder: Path, *, chunk: int | None = None) -> tuple[Measurement, Boundary]:
    area = boundary_on(ten_metre_grid())
    plan = plan_scenes(
        str(write_catalog(folder / "catalog", four_summers())),
        "toy",
        boundary=area,
        period=Period(date(2017, 1, 1), date(2020, 12, 31)),
        season="06-01/08-31",
        progress=quiet,
    )
    archive(
        plan.scenes,
        folder / "inputs",
        folder=plan.folder,
        grid=plan.grid,
        roles=input_roles(),
        progress=quiet,
    )
    measured = measure(
        plan.scenes,
        folder / "inputs",
        grid=plan.grid,
        seasons=plan.seasons,
        card=plan.card,
        chunk=chunk,
    )
    return measured, area


def survey(folder: Path, *, chunk: int | None = None) -> Survey:
    measured, area = measured_toy(folder, chunk=chunk)
    return take_survey(measured, area, progress=quiet)


@pytest.mark.parametrize("chunk", [None, 5])
def test_dark_looks_outside_the_area_are_not_counted(tmp_path: Path, chunk: int | None) -> None:
    """Every look of the grid is taken as dark: only those of the area's pixels count."""
    measured, area = measured_toy(tmp_path, chunk=chunk)
    dark = replace(measured, not_positive=measured.not_positive | True)
    found = take_survey(dark, area, progress=quiet)
    assert 0 < np.count_nonzero(found.weight) < found.weight.size
    assert found.not_positive == 16 * np.count_nonzero(found.weight)


def test_each_row_is_its_date_of_the_series_over_the_area(tmp_path: Path) -> None:
    found = survey(tmp_path)
    area = boundary_on(ten_metre_grid())
    weight = weights(area, found.grid)
    assert len(found.rows) == found.series.shape[0] == 16
    for row, values in zip(found.rows, found.series, strict=True):
        known = (values != NDVI_NODATA) & (weight > 0)
        assert row.clear_share == pytest.approx(weight[known].sum() / weight.sum())
        mean = np.average(values[known] / 10_000, weights=weight[known])
        assert row.ndvi_mean == pytest.approx(mean)


def test_looks_are_those_of_the_two_seasons_compared(tmp_path: Path) -> None:
    found = survey(tmp_path)
    looks = found.composites["looks"][[0, -1]]
    inside = np.stack([found.weight > 0] * 2)
    assert found.looks is not None
    assert found.looks.minimum == looks[inside].min()
    assert looks[inside].min() <= found.looks.median <= looks[inside].max()


def test_missing_is_the_share_of_the_area_with_too_few_looks(tmp_path: Path) -> None:
    found = survey(tmp_path)
    for end, share in zip(found.ends, found.missing, strict=True):
        gone = (end == NDVI_NODATA) & (found.weight > 0)
        assert share == pytest.approx(found.weight[gone].sum() / found.weight.sum())
        assert share > 0


def test_chunks_change_nothing(tmp_path: Path) -> None:
    whole, cut = survey(tmp_path / "a"), survey(tmp_path / "b", chunk=5)
    assert whole.rows == cut.rows
    assert whole.means == cut.means
    assert all(np.array_equal(whole.composites[n], cut.composites[n]) for n in whole.composites)
