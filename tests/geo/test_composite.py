"""Seasons and seasonal medians: which scenes, how many looks, which middle."""

from __future__ import annotations

from datetime import date
from statistics import median

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.composite import (
    median_block,
    members,
    seasonal_looks,
    seasonal_median,
    seasons_in,
)
from geo.errors import BadInput
from geo.scenes import Scene
from geo.types import NDVI_NODATA, Period, Season
from tests.geo.landscape import assert_lazy

NONE = NDVI_NODATA


def period(start: str, end: str) -> Period:
    return Period(date.fromisoformat(start), date.fromisoformat(end))


def scene(day: str, name: str = "a") -> Scene:
    return Scene(
        item_id=f"{name}-{day}",
        collection="c",
        observed_on=date.fromisoformat(day),
        observed_at=f"{day}T00:00:00+00:00",
        interval=None,
        platform=None,
        tile=None,
        baseline=None,
        cloud_cover=None,
        assets=(),
    )


class TestSeasons:
    def test_summers_of_five_years_are_five_seasons(self) -> None:
        found = seasons_in(period("2016-01-01", "2020-12-31"), "06-01/08-31")
        assert [season.year for season in found] == [2016, 2017, 2018, 2019, 2020]
        assert found[0] == Season(2016, date(2016, 6, 1), date(2016, 8, 31))

    def test_a_season_that_is_cut_by_the_period_is_none(self) -> None:
        found = seasons_in(period("2016-06-02", "2019-08-31"), "06-01/08-31")
        assert [season.year for season in found] == [2017, 2018, 2019]

    def test_a_season_that_crosses_new_year_belongs_to_the_year_it_ends_in(self) -> None:
        found = seasons_in(period("2018-12-01", "2021-02-28"), "12-01/02-28")
        assert found[0] == Season(2019, date(2018, 12, 1), date(2019, 2, 28))
        assert [season.year for season in found] == [2019, 2020, 2021]

    def test_29_february_is_the_last_day_of_that_month(self) -> None:
        found = seasons_in(period("2018-01-01", "2021-12-31"), "12-01/02-29")
        assert [season.end for season in found] == [
            date(2019, 2, 28),
            date(2020, 2, 29),
            date(2021, 2, 28),
        ]

    def test_one_season_is_not_enough(self) -> None:
        with pytest.raises(BadInput, match="holds 1 whole season"):
            seasons_in(period("2020-01-01", "2020-12-31"), "06-01/08-31")

    @pytest.mark.parametrize("season", ["06/08", "06-31/08-01", "13-01/02-01", "06-01:08-31", ""])
    def test_what_is_no_season_is_refused_with_an_example(self, season: str) -> None:
        with pytest.raises(BadInput, match="06-01/08-31"):
            seasons_in(period("2016-01-01", "2020-12-31"), season)

    def test_a_scene_belongs_to_the_season_that_holds_its_day(self) -> None:
        seasons = seasons_in(period("2018-12-01", "2021-02-28"), "12-01/02-28")
        days = ["2018-12-01", "2019-02-28", "2019-03-01", "2020-01-15", "2021-02-28"]
        assert members(seasons, [scene(day) for day in days]) == ((0, 1), (3,), (4,))


def column(*values: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return np.array(values, dtype=np.int16).reshape(-1, 1, 1)


def middle(*values: int, min_looks: int = 1) -> int:
    groups = (tuple((number,) for number in range(len(values))),)
    return int(median_block(column(*values), groups=groups, min_looks=min_looks)[0, 0, 0])


class TestMedian:
    def test_of_three_it_is_the_middle_one(self) -> None:
        assert middle(900, -20, 7000) == 900

    def test_of_four_it_is_the_mean_of_the_middle_two(self) -> None:
        assert middle(100, 200, 300, 9000) == 250

    @pytest.mark.parametrize(
        ("pair", "mean"), [((1, 2), 2), ((2, 3), 2), ((-1, -2), -2), ((0, 1), 0)]
    )
    def test_halves_are_rounded_to_even(self, pair: tuple[int, int], mean: int) -> None:
        assert middle(*pair) == mean

    def test_missing_looks_do_not_count(self) -> None:
        assert middle(NONE, 500, NONE, 700, 600) == 600

    def test_too_few_looks_are_missing(self) -> None:
        assert middle(500, 600, NONE, min_looks=3) == NONE

    def test_no_look_at_all_is_missing_never_zero(self) -> None:
        assert middle(NONE, NONE) == NONE

    @settings(deadline=None)
    @given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=12))
    def test_it_is_the_median_of_the_standard_library(self, values: list[int]) -> None:
        assert middle(*values) == round(median(values))

    def test_two_scenes_of_one_day_are_one_look(self) -> None:
        # overlapping tiles of one pass: the first clear one counts
        groups = (((0, 1), (2,)),)
        values = np.array([[[10, NONE]], [[90, 20]], [[30, 40]]], dtype=np.int16)
        block = median_block(values, groups=groups, min_looks=2)
        assert block[0, 0].tolist() == [20, 30]


def cube(seed: int, chunks: tuple[int, int]) -> xr.DataArray:
    draw = np.random.default_rng(seed)
    values = draw.integers(-10_000, 10_000, (9, 11, 13)).astype(np.int16)
    values[draw.random(values.shape) < 0.4] = NONE
    array = da.from_array(values, chunks=(-1, *chunks))  # type: ignore[no-untyped-call]
    return xr.DataArray(array, dims=("time", "y", "x"), name="ndvi")


SEASONS = seasons_in(period("2018-01-01", "2020-12-31"), "06-01/08-31")
SCENES = [scene(f"{year}-07-{day:02d}") for year in (2018, 2019, 2020) for day in (1, 9, 9)]


class TestLazy:
    def test_nothing_is_computed_when_a_composite_is_formed(self) -> None:
        series = cube(1, (4, 5))
        with assert_lazy():
            looks = seasonal_looks(series, seasons=SEASONS, scenes=SCENES)
            found = seasonal_median(series, seasons=SEASONS, scenes=SCENES, min_looks=2)
        assert found.dims == ("season", "y", "x")
        assert [str(array.dtype) for array in (found, looks)] == ["int16", "uint16"]
        assert found.chunks == ((3,), (4, 4, 3), (5, 5, 3))
        assert found["season"].values.tolist() == [2018, 2019, 2020]

    @settings(max_examples=25, deadline=None)
    @given(rows=st.integers(1, 11), columns=st.integers(1, 13), seed=st.integers(0, 5))
    def test_any_chunking_gives_the_pixelwise_median(
        self, rows: int, columns: int, seed: int
    ) -> None:
        series = cube(seed, (rows, columns))
        found = seasonal_median(series, seasons=SEASONS, scenes=SCENES, min_looks=2).values
        looks = seasonal_looks(series, seasons=SEASONS, scenes=SCENES).values
        values = series.values
        for season, y, x in np.ndindex(3, 11, 13):
            first, second, third = values[3 * season : 3 * season + 3, y, x].tolist()
            seen = [v for v in (first, second if second != NONE else third) if v != NONE]
            expected = round(median(seen)) if len(seen) >= 2 else NONE
            assert found[season, y, x] == expected
            assert looks[season, y, x] == len(seen)
