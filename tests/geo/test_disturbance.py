"""The loss check on small landscapes that a person can count."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from geo.disturbance import LossReport, loss_between_seasons
from geo.types import NDVI_NODATA, Season

TEN_M = np.full((12, 12), 100.0)
"""Square metres: one hectare is a hundred pixels."""


def seasons(*years: int) -> list[Season]:
    return [Season(year, date(year, 6, 1), date(year, 8, 31)) for year in years]


def landscape(*levels: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Give one even layer a season."""
    return np.stack([np.full((12, 12), level, dtype=np.int16) for level in levels])


def check(
    ndvi: np.ndarray[tuple[int, ...], np.dtype[np.int16]],
    *years: int,
    weights: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = TEN_M,
    pixel: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None = None,
) -> LossReport:
    return loss_between_seasons(
        ndvi, seasons=seasons(*years), weights=weights, pixel_m2=TEN_M if pixel is None else pixel
    )


class TestGate:
    def test_a_drop_of_0_15_is_a_loss(self) -> None:
        report = check(landscape(8800, 7300), 2019, 2020)
        assert report.lost_ha == pytest.approx(1.44)
        assert report.refuses

    def test_a_drop_just_below_is_none(self) -> None:
        assert check(landscape(8800, 7301), 2019, 2020).lost_ha == 0

    def test_growth_is_no_loss(self) -> None:
        assert check(landscape(3000, 8800), 2019, 2020).lost_ha == 0

    def test_what_was_never_green_cannot_be_lost(self) -> None:
        assert check(landscape(5999, 5000), 2019, 2020).lost_ha == 0

    def test_the_highest_earlier_season_counts_not_the_last(self) -> None:
        report = check(landscape(8800, 8000, 7200), 2018, 2019, 2020)
        assert [season.lost_ha for season in report.seasons] == pytest.approx([0, 1.44])

    def test_the_mean_drop_is_told(self) -> None:
        assert check(landscape(8800, 6000), 2019, 2020).seasons[0].mean_drop == pytest.approx(0.28)


def with_gap(
    *pixels: tuple[int, int], level: int = 5000
) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    ndvi = landscape(8800, 8800)
    for row, column in pixels:
        ndvi[1, row, column] = level
    return ndvi


BLOCK = [(row, column) for row in (3, 4) for column in range(4, 9)]
"""Ten pixels, 0.1 ha."""


class TestPatches:
    def test_ten_pixels_of_ten_metres_are_a_patch(self) -> None:
        report = check(with_gap(*BLOCK), 2019, 2020)
        assert report.lost_ha == pytest.approx(0.1)
        assert report.seasons[0].patches == 1
        assert report.seasons[0].largest_patch_ha == pytest.approx(0.1)

    def test_nine_are_not(self) -> None:
        assert check(with_gap(*BLOCK[:9]), 2019, 2020).lost_ha == 0

    def test_pixels_that_touch_at_a_corner_are_one_patch(self) -> None:
        diagonal = [(n, n) for n in range(10)]
        assert check(with_gap(*diagonal), 2019, 2020).lost_ha == pytest.approx(0.1)

    def test_scattered_pixels_are_noise_however_many(self) -> None:
        scattered = [(row, column) for row in range(0, 12, 2) for column in range(0, 12, 2)]
        assert check(with_gap(*scattered), 2019, 2020).lost_ha == 0

    def test_five_large_pixels_are_too_few_though_their_area_is_large(self) -> None:
        report = check(with_gap(*BLOCK[:5]), 2019, 2020, weights=TEN_M * 80, pixel=TEN_M * 80)
        assert report.lost_ha == 0

    def test_only_the_part_inside_the_boundary_counts(self) -> None:
        weights = TEN_M.copy()
        weights[3] = 0
        report = check(with_gap(*BLOCK), 2019, 2020, weights=weights)
        assert report.lost_ha == pytest.approx(0.05)
        assert report.year_map[3].max() == 0

    def test_five_pixels_of_a_larger_clearing_are_lost(self) -> None:
        """Too few for a patch of their own; the other 139 lie outside the boundary."""
        report = check(landscape(8800, 7301 - 1), 2019, 2020, weights=inside(*BLOCK[:5]) * 80,
                       pixel=TEN_M * 80)  # fmt: skip
        assert report.lost_ha == pytest.approx(4.0)
        assert report.holds_a_patch is False

    def test_a_sliver_of_a_large_patch_outside_is_not_counted(self) -> None:
        weights = np.zeros((12, 12))
        weights[5:] = 100.0
        ndvi = landscape(8800, 8800)
        ndvi[1, :5] = 5000
        ndvi[1, 5, :5] = 5000
        assert check(ndvi, 2019, 2020, weights=weights).lost_ha == 0

    def test_a_part_pixel_counts_by_its_part(self) -> None:
        wide = [*BLOCK, *((5, column) for column in range(4, 9))]
        weights = TEN_M.copy()
        weights[5] = 50
        report = check(with_gap(*wide), 2019, 2020, weights=weights)
        assert report.lost_ha == pytest.approx(0.125)

    def test_under_a_hundredth_of_the_area_is_told_but_does_not_refuse(self) -> None:
        area = np.full((12, 12), 100.0)
        area[11] = 100 * 100.0
        report = check(with_gap(*BLOCK), 2019, 2020, weights=area)
        assert report.lost_ha == pytest.approx(0.1)
        assert not report.refuses


def inside(*pixels: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Give an area of these whole pixels of 10 m."""
    weights = np.zeros((12, 12))
    for row, column in pixels:
        weights[row, column] = 100.0
    return weights


class TestMean:
    def test_a_small_area_that_is_cleared_is_refused_with_both_means(self) -> None:
        """Four pixels: fewer than a patch needs, and the clearing is theirs alone."""
        few = BLOCK[:4]
        report = check(with_gap(*few, level=4890), 2019, 2020, weights=inside(*few))
        assert report.lost_ha == 0
        assert report.refuses
        assert report.sentence() == (
            "The mean NDVI of the area fell by 0.391, from 0.880 in the season of 2019 to 0.489 in "
            "that of 2020. No part of the area has the 6 pixels and 0.1 ha of a patch: patches "
            "could not be looked for, only the mean was."
        )

    def test_parts_smaller_than_a_patch_are_refused_together(self) -> None:
        parts = [(r + n, c + m) for r, c in ((0, 0), (4, 4), (8, 8)) for n, m in np.ndindex(3, 3)]
        report = check(with_gap(*parts), 2019, 2020, weights=inside(*parts))
        assert report.refuses
        assert "could not be looked for" in report.sentence()

    def test_open_woodland_that_went_away_is_refused(self) -> None:
        report = check(landscape(5800, 900), 2019, 2020)
        assert report.refuses
        assert report.sentence().endswith("to 0.090 in that of 2020.")

    @pytest.mark.parametrize(("end", "refuses"), [(4300, True), (4301, False)])
    def test_the_mean_refuses_from_a_fall_of_0_15_on(self, end: int, *, refuses: bool) -> None:
        assert check(landscape(5800, end), 2019, 2020).refuses is refuses

    def test_a_fall_that_grew_again_is_found_and_the_worst_pair_is_named(self) -> None:
        fall = check(landscape(5000, 5800, 900, 5800), 2017, 2018, 2019, 2020).mean_fall
        assert fall is not None
        assert (fall.since, fall.year) == (2018, 2019)

    def test_only_pixels_known_in_both_seasons_are_compared(self) -> None:
        """The dense half is hidden in the last season: each over its own pixels would fall."""
        ndvi = landscape(5000, 5000)
        ndvi[0, :6] = 9000
        ndvi[1, :6] = NDVI_NODATA
        assert not check(ndvi, 2019, 2020).refuses

    def test_the_share_that_was_compared_is_told(self) -> None:
        ndvi = landscape(5800, 900)
        ndvi[1, :6] = NDVI_NODATA
        assert "(over the 50.0% known in both)" in check(ndvi, 2019, 2020).sentence()

    def test_a_small_area_that_stands_is_told_that_patches_were_not_looked_for(self) -> None:
        report = check(landscape(8800, 8800), 2019, 2020, weights=inside(*BLOCK[:4]))
        assert not report.refuses
        assert "patches could not be looked for" in report.sentence()


class TestSeasons:
    def test_a_gap_is_counted_once_in_its_first_year(self) -> None:
        ndvi = landscape(8800, 8800, 8800, 8800)
        for row, column in BLOCK:
            ndvi[1:3, row, column] = 5000
        report = check(ndvi, 2017, 2018, 2019, 2020)
        assert [s.lost_ha for s in report.seasons] == pytest.approx([0.1, 0, 0])
        assert set(np.unique(report.year_map)) == {0, 2018}

    def test_a_gap_that_grows_adds_what_is_new(self) -> None:
        ndvi = landscape(8800, 8800, 8800)
        for row, column in BLOCK:
            ndvi[1:, row, column] = 5000
        ndvi[2, 5, 4:6] = 5000
        report = check(ndvi, 2018, 2019, 2020)
        assert [s.lost_ha for s in report.seasons] == pytest.approx([0.1, 0.02])

    def test_empty_seasons_are_stepped_over_and_the_message_names_the_seen_ones(self) -> None:
        ndvi = landscape(8800, NDVI_NODATA, NDVI_NODATA, 5000)
        report = check(ndvi, 2010, 2011, 2012, 2015)
        assert [(s.since, s.year) for s in report.seasons] == [(2010, 2015)]
        assert report.sentence() == (
            "Vegetation was lost on 1.44 ha (100.0%): 1.44 ha between the seasons of 2010 and "
            "2015. The mean NDVI of the area fell by 0.380, from 0.880 in the season of 2010 to "
            "0.500 in that of 2015."
        )

    def test_an_empty_first_season_is_no_reference(self) -> None:
        report = check(landscape(NDVI_NODATA, 8800, 5000), 2018, 2019, 2020)
        assert report.first_year == 2019
        assert report.lost_ha == pytest.approx(1.44)


class TestUnseen:
    def test_a_pixel_without_a_value_at_the_end_is_unseen_not_lost(self) -> None:
        ndvi = landscape(8800, 8800)
        ndvi[1, :6] = NDVI_NODATA
        report = check(ndvi, 2019, 2020)
        assert report.lost_ha == 0
        assert report.unseen_share == pytest.approx(0.5)
        assert report.sentence().endswith("50.0% of the area could not be compared.")

    def test_a_pixel_seen_only_at_the_end_is_unseen(self) -> None:
        ndvi = landscape(8800, 8800)
        ndvi[0, :3] = NDVI_NODATA
        assert check(ndvi, 2019, 2020).unseen_share == pytest.approx(0.25)

    def test_a_last_season_without_pixels_is_named_and_leaves_everything_unseen(self) -> None:
        report = check(landscape(8800, 8800, NDVI_NODATA), 2018, 2019, 2020)
        assert report.unseen_share == 1
        assert report.sentence() == (
            "No loss of vegetation was found between the seasons 2018 to 2019. The last season, "
            "2020, has no pixels. 100.0% of the area could not be compared."
        )

    def test_nothing_seen_at_all_is_wholly_unseen(self) -> None:
        report = check(landscape(NDVI_NODATA, NDVI_NODATA), 2019, 2020)
        assert (report.lost_ha, report.unseen_share, report.refuses) == (0, 1, False)
        assert report.sentence().startswith("Nothing can be said")
