"""Indices: exact integers, one division, hand numbers, lazy, the same under any chunking."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geo import indices
from geo.errors import BadInput
from geo.indices import EVI, NBR, NDMI, NDVI, exact_coefficients, index_block, index_series
from geo.load import MISSING_DN
from geo.scenes import Scene, SceneAsset
from geo.sensors import builtin_cards
from geo.types import NDVI_NODATA
from tests.geo.landscape import assert_lazy

if TYPE_CHECKING:
    from numpy.typing import NDArray

SENTINEL = builtin_cards()["sentinel-2-l2a"]
LANDSAT = builtin_cards()["landsat-c2-l2"]
EIGHT_BIT = builtin_cards()["landsat-epochs-8bit"]

S2_OLD = (Fraction(1, 10_000), Fraction(0))
S2_NEW = (Fraction(1, 10_000), Fraction(-1, 10))
LANDSAT_SR = LANDSAT.exact_scale()


def published(
    formula: indices.IndexFormula,
    scale: tuple[Fraction, Fraction],
    valid: tuple[int, int] = (1, 65_535),
    **dn: int,
) -> int:
    exact = exact_coefficients(formula, dict.fromkeys(formula.roles, scale))
    bands = [np.full((1, 1, 1), dn[role], dtype=np.int32) for role in formula.roles]
    clear = np.ones((1, 1, 1), dtype=bool)
    return int(index_block(clear, *bands, coefficients=(exact,), valid_dn=valid)[0, 0, 0])


class TestHandNumbers:
    def test_ndvi_with_the_sentinel_offset_is_0_7949(self) -> None:
        # TV-34: (3500 - 400) / 3900 = 0.794872
        assert published(NDVI, S2_NEW, nir=4500, red=1400) == 7949

    def test_ndvi_with_the_offset_forgotten_is_0_5254(self) -> None:
        # TV-34: 3100 / 5900 = 0.525424, the fault that the witnesses are there for
        assert published(NDVI, S2_OLD, nir=4500, red=1400) == 5254

    def test_landsat_dn_10000_is_reflectance_0_075_and_20000_is_0_35(self) -> None:
        scale, offset = LANDSAT_SR
        assert [float(scale * dn + offset) for dn in (10_000, 20_000)] == [0.075, 0.35]  # TV-35

    def test_landsat_ndvi_of_these_is_0_6471(self) -> None:
        # (0.35 - 0.075) / 0.425 = 0.647059
        assert published(NDVI, LANDSAT_SR, nir=20_000, red=10_000) == 6471

    def test_evi_of_0_35_0_05_0_03_is_0_5263(self) -> None:
        # 2.5 x 0.30 / (0.35 + 0.30 - 0.225 + 1) = 0.75 / 1.425 = 0.526316
        assert published(EVI, S2_OLD, nir=3500, red=500, blue=300) == 5263

    def test_evi_is_the_same_with_the_offset(self) -> None:
        assert published(EVI, S2_NEW, nir=4500, red=1500, blue=1300) == 5263

    def test_ndmi_of_0_35_and_0_15_is_0_4(self) -> None:
        assert published(NDMI, S2_OLD, nir=3500, swir16=1500) == 4000

    def test_nbr_of_0_30_and_0_05_is_0_7143(self) -> None:
        assert published(NBR, S2_OLD, nir=3000, swir22=500) == 7143

    @pytest.mark.parametrize(("excess", "rounded"), [(2, 0), (6, 2), (10, 2), (-6, -2)])
    def test_halves_are_rounded_to_even(self, excess: int, rounded: int) -> None:
        # 10,000 x excess / 40,000 = excess / 4: 0.5, 1.5, 2.5, -1.5
        assert (
            published(NDVI, S2_OLD, nir=20_000 + excess // 2, red=20_000 - excess // 2) == rounded
        )


class TestCoefficients:
    def test_sentinel_offset_becomes_minus_2000_below_the_line(self) -> None:
        exact = exact_coefficients(NDVI, {"nir": S2_NEW, "red": S2_NEW})
        assert (exact.numerator, exact.numerator_constant) == ((1, -1), 0)
        assert (exact.denominator, exact.denominator_constant) == ((1, 1), -2000)

    def test_landsat_is_multiplied_by_11(self) -> None:
        exact = exact_coefficients(NDVI, {"nir": LANDSAT_SR, "red": LANDSAT_SR})
        assert (exact.numerator, exact.denominator) == ((11, -11), (11, 11))
        assert exact.denominator_constant == -160_000

    def test_lowest_landsat_dn_above_zero_is_7273(self) -> None:
        exact = exact_coefficients(NDVI, {"nir": LANDSAT_SR, "red": LANDSAT_SR})
        assert exact.lowest_dn == (7273, 7273)

    def test_lowest_sentinel_dn_above_zero_is_1001(self) -> None:
        assert exact_coefficients(NDVI, {"nir": S2_NEW, "red": S2_NEW}).lowest_dn == (1001, 1001)

    def test_scales_with_too_many_digits_are_refused(self) -> None:
        odd = (Fraction("0.000123456789123456789"), Fraction("0.0987654321987654321"))
        other = (Fraction("0.000100000000000000001"), Fraction(0))
        with pytest.raises(BadInput, match="fewer digits"):
            exact_coefficients(NDVI, {"nir": odd, "red": other})

    @given(
        nir=st.integers(1, 65_535),
        red=st.integers(1, 65_535),
        scale=st.sampled_from([S2_OLD, S2_NEW, LANDSAT_SR]),
    )
    def test_it_is_the_rational_number_rounded_once(
        self, nir: int, red: int, scale: tuple[Fraction, Fraction]
    ) -> None:
        above = [scale[0] * dn + scale[1] for dn in (nir, red)]
        expected = NDVI_NODATA
        if min(above) > 0:
            expected = round((above[0] - above[1]) / (above[0] + above[1]) * 10_000)
        assert published(NDVI, scale, nir=nir, red=red) == expected

    @given(nir=st.integers(1, 20_000), red=st.integers(1, 20_000), blue=st.integers(1, 20_000))
    def test_evi_is_the_rational_number_rounded_once(self, nir: int, red: int, blue: int) -> None:
        n, r, b = (Fraction(dn, 10_000) for dn in (nir, red, blue))
        below = n + 6 * r - Fraction(15, 2) * b + 1
        exact = Fraction(5, 2) * (n - r) / below if below > 0 else Fraction(2)
        expected = round(exact * 10_000) if abs(exact) <= 1 else NDVI_NODATA
        assert published(EVI, S2_OLD, nir=nir, red=red, blue=blue) == expected


class TestMissing:
    @pytest.mark.parametrize(("nir", "red"), [(0, 500), (3000, 0), (MISSING_DN, 500)])
    def test_what_was_not_measured_is_missing_never_zero(self, nir: int, red: int) -> None:
        assert published(NDVI, S2_OLD, nir=nir, red=red) == NDVI_NODATA

    def test_reflectance_not_above_zero_is_missing(self) -> None:
        assert published(NDVI, S2_NEW, nir=4500, red=1000) == NDVI_NODATA

    def test_dn_outside_the_valid_range_is_missing(self) -> None:
        assert published(NDVI, LANDSAT_SR, (7273, 43_636), nir=43_637, red=9000) == NDVI_NODATA

    def test_a_cloudy_pixel_is_missing(self) -> None:
        exact = exact_coefficients(NDVI, {"nir": S2_OLD, "red": S2_OLD})
        band = np.full((1, 1, 2), 3000, dtype=np.int32)
        clear = np.array([[[True, False]]])
        block = index_block(clear, band, band, coefficients=(exact,), valid_dn=(1, 32_767))
        assert block[0, 0].tolist() == [0, NDVI_NODATA]

    def test_evi_outside_one_is_missing(self) -> None:
        # 2.5 x 0.59 / (0.6 + 0.06 - 0.9 + 1) = 1.94
        assert published(EVI, S2_OLD, nir=6000, red=100, blue=1200) == NDVI_NODATA


def scene(**roles: tuple[Fraction, Fraction]) -> Scene:
    assets = tuple(
        SceneAsset(role=role, key=role, band=1, href="x", scale=str(s), offset=str(o), nodata=0)
        for role, (s, o) in roles.items()
    )
    from datetime import date  # noqa: PLC0415 - only this fixture needs it

    return Scene(
        item_id="a",
        collection="c",
        observed_on=date(2020, 7, 1),
        observed_at="2020-07-01T00:00:00+00:00",
        interval=None,
        platform=None,
        tile=None,
        baseline=None,
        cloud_cover=None,
        assets=assets,
    )


class TestAvailability:
    def test_an_index_without_its_band_says_so(self) -> None:
        reason = indices.unavailable_because(NBR, SENTINEL, scenes=[scene(nir=S2_OLD)])
        assert reason == "nbr: the scenes have no swir22 band"

    def test_evi_is_refused_where_the_scale_is_inferred(self) -> None:
        scale = (Fraction("0.0015686275"), Fraction(0))
        reason = indices.unavailable_because(
            EVI, EIGHT_BIT, scenes=[scene(nir=scale, red=scale, blue=scale)]
        )
        assert reason is not None
        assert "inferred" in reason

    def test_ndvi_stays_where_the_inferred_scale_cancels(self) -> None:
        scale = (Fraction("0.0015686275"), Fraction(0))
        given_scene = scene(nir=scale, red=scale)
        assert indices.unavailable_because(NDVI, EIGHT_BIT, scenes=[given_scene]) is None

    def test_ndvi_is_refused_where_an_inferred_scale_does_not_cancel(self) -> None:
        given_scene = scene(
            nir=(Fraction(1, 500), Fraction(0)), red=(Fraction(1, 600), Fraction(0))
        )
        reason = indices.unavailable_because(NDVI, EIGHT_BIT, scenes=[given_scene])
        assert reason is not None

    def test_a_taken_name_is_refused(self) -> None:
        with pytest.raises(ValueError, match="already another formula"):
            indices.register(
                indices.IndexFormula("ndvi", "other", {"nir": 1}, {"red": 1}, 0, "nobody")
            )


def cube(seed: int, chunks: tuple[int, int]) -> tuple[xr.Dataset, xr.DataArray]:
    draw = np.random.default_rng(seed)
    shape = (3, 17, 23)

    def lazy(values: NDArray[np.generic]) -> da.Array:
        array: da.Array = da.from_array(values, chunks=(-1, *chunks))  # type: ignore[no-untyped-call]
        return array

    bands = {
        role: (("time", "y", "x"), lazy(draw.integers(0, 6000, shape).astype(np.int32)))
        for role in ("red", "nir", "blue")
    }
    clear = xr.DataArray(lazy(draw.random(shape) < 0.8), dims=("time", "y", "x"))
    return xr.Dataset(bands), clear


class TestLazy:
    scenes = [scene(red=S2_NEW, nir=S2_NEW, blue=S2_NEW)] * 3

    def test_nothing_is_computed_when_an_index_is_formed(self) -> None:
        inputs, clear = cube(1, (5, 7))
        with assert_lazy():
            index = index_series(EVI, inputs, clear=clear, scenes=self.scenes, card=SENTINEL)
        assert index.dtype == np.int16
        assert index.chunks == clear.chunks

    @settings(max_examples=25, deadline=None)
    @given(rows=st.integers(1, 17), columns=st.integers(1, 23), seed=st.integers(0, 5))
    def test_numpy_and_dask_agree_under_any_chunking(
        self, rows: int, columns: int, seed: int
    ) -> None:
        inputs, clear = cube(seed, (rows, columns))
        lazy = index_series(NDVI, inputs, clear=clear, scenes=self.scenes, card=SENTINEL)
        exact = exact_coefficients(NDVI, {"nir": S2_NEW, "red": S2_NEW})
        whole = index_block(
            clear.values,
            *(inputs[role].values for role in NDVI.roles),
            coefficients=(exact,) * 3,
            valid_dn=SENTINEL.valid_dn,
        )
        np.testing.assert_array_equal(lazy.compute(scheduler="sync").values, whole)

    def test_dark_pixels_are_found(self) -> None:
        inputs, clear = cube(2, (5, 7))
        found = indices.find_not_positive(
            inputs, clear, scenes=self.scenes, missing=MISSING_DN
        ).compute()
        dark = (inputs["red"] <= 1000) | (inputs["nir"] <= 1000)
        np.testing.assert_array_equal(found.values, (dark & clear).values)
