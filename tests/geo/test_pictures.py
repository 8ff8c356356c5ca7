"""Names and notes of people are drawn as they are written."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest

from geo.pictures import draw_map, draw_series
from geo.survey import SeriesRow
from geo.types import Season
from tests.geo.landscape import boundary_on, ten_metre_grid

if TYPE_CHECKING:
    from pathlib import Path

SEASONS = (
    Season(2019, date(2019, 6, 1), date(2019, 8, 31)),
    Season(2020, date(2020, 6, 1), date(2020, 8, 31)),
)
NO_FORMULA = ("$", "plot $_$ no. 1", r"a $\frac{ b$", "5 $ and 6 $", "x_1^2 %")


@pytest.mark.parametrize("text", NO_FORMULA)
def test_a_map_takes_any_name_and_note(text: str, tmp_path: Path) -> None:
    grid = ten_metre_grid()
    ndvi = np.full(grid.shape, 8000, dtype=np.int16)
    draw_map(
        tmp_path / "map.png",
        (ndvi, ndvi),
        grid=grid,
        boundary=replace(boundary_on(grid), name=text),
        seasons=SEASONS,
        lost=ndvi < 0,
        note=text,
    )
    assert (tmp_path / "map.png").stat().st_size > 0


@pytest.mark.parametrize("text", NO_FORMULA)
def test_a_series_takes_any_name_and_note(text: str, tmp_path: Path) -> None:
    rows = [SeriesRow("a", date(2019, 7, 1), 1.0, 0.8, 0.8)]
    draw_series(tmp_path / "series.png", rows, seasons=SEASONS, name=text, note=text)
    assert (tmp_path / "series.png").stat().st_size > 0
