"""Quality layers: what is kept, what is masked, on the values of the product guides."""

from __future__ import annotations

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from geo.load import MISSING_DN
from geo.mask import clear_pixels, qa_clear, scl_clear
from geo.sensors import MaskRule, builtin_cards
from tests.geo.landscape import assert_lazy

SCL = builtin_cards()["sentinel-2-l2a"].mask
QA = builtin_cards()["landsat-c2-l2"].mask


@pytest.mark.parametrize("scl", [4, 5, 7])
def test_vegetation_soil_and_unclassified_are_kept(scl: int) -> None:
    assert scl_clear(np.full((1, 1, 1), scl, dtype=np.int32), rule=SCL).all()


@pytest.mark.parametrize("scl", [0, 1, 2, 3, 6, 8, 9, 10, 11, MISSING_DN])
def test_cloud_shadow_water_snow_and_missing_are_masked(scl: int) -> None:
    assert not scl_clear(np.full((1, 1, 1), scl, dtype=np.int32), rule=SCL).any()


# TV-35: the meanings of these QA_PIXEL values are those of the USGS product guide
@pytest.mark.parametrize(
    ("qa", "kept"),
    [
        pytest.param(21_824, True, id="clear"),
        pytest.param(22_280, False, id="cloud with high confidence"),
        pytest.param(23_888, False, id="shadow, though its clear bit is set"),
        pytest.param(30_048, False, id="snow, though its clear bit is set"),
        pytest.param(54_596, False, id="cirrus"),
        pytest.param(21_952, False, id="water"),
        pytest.param(21_826, False, id="dilated cloud"),
        pytest.param(1, False, id="fill"),
        pytest.param(MISSING_DN, False, id="missing"),
        pytest.param(0b1100_0001_0100_0000, False, id="cirrus confidence high"),
    ],
)
def test_qa_pixel_is_read_bit_by_bit(qa: int, *, kept: bool) -> None:
    assert qa_clear(np.full((1, 1, 1), qa, dtype=np.int32), rule=QA).item() is kept


def lazy(values: np.ndarray, chunks: tuple[int, int]) -> xr.DataArray:
    array = da.from_array(values.astype(np.int32), chunks=(-1, *chunks))  # type: ignore[no-untyped-call]
    return xr.DataArray(array, dims=("time", "y", "x"), attrs={"present": [1] * len(values)})


class TestSaturation:
    quality = np.full((2, 1, 2), 21_824)
    saturation = np.array([[[0, 4]], [[0, MISSING_DN]]])

    def test_a_saturated_pixel_is_masked(self) -> None:
        inputs = xr.Dataset(
            {"quality": lazy(self.quality, (1, 2)), "saturation": lazy(self.saturation, (1, 2))}
        )
        clear = clear_pixels(inputs, QA, pixel_m=30)
        assert clear.values.tolist() == [[[True, False]], [[True, False]]]

    def test_a_scene_without_the_layer_is_not_masked_for_it(self) -> None:
        layer = lazy(self.saturation, (1, 2))
        layer.attrs["present"] = [1, 0]
        inputs = xr.Dataset({"quality": lazy(self.quality, (1, 2)), "saturation": layer})
        assert clear_pixels(inputs, QA, pixel_m=30).values[1].all()


class TestDilation:
    rule = replace(SCL, dilate_m=25.0)

    def test_it_reaches_as_far_as_said_and_round(self) -> None:
        quality = np.full((1, 9, 9), 4, dtype=np.int32)
        quality[0, 4, 4] = 9
        clear = scl_clear(quality, rule=self.rule, reach=3)
        distance = np.hypot(*np.mgrid[-4:5, -4:5])
        np.testing.assert_array_equal(clear[0], distance > 3)

    def test_water_is_masked_but_not_dilated(self) -> None:
        quality = np.full((1, 5, 5), 4, dtype=np.int32)
        quality[0, 2, 2] = 6
        assert scl_clear(quality, rule=self.rule, reach=2).sum() == 24

    @settings(max_examples=20, deadline=None)
    @given(rows=st.integers(1, 19), columns=st.integers(1, 23), seed=st.integers(0, 9))
    def test_a_cloud_masks_across_the_edges_of_chunks(
        self, rows: int, columns: int, seed: int
    ) -> None:
        draw = np.random.default_rng(seed)
        quality = np.where(draw.random((2, 19, 23)) < 0.02, 8, 4)
        inputs = xr.Dataset({"quality": lazy(quality, (rows, columns))})
        clear = clear_pixels(inputs, self.rule, pixel_m=10)
        disk = np.hypot(*np.ogrid[-3:4, -3:4]) <= 3
        expected = [~ndimage.binary_dilation(day == 8, structure=disk) for day in quality]
        assert clear.chunks == inputs["quality"].chunks
        np.testing.assert_array_equal(clear.compute(scheduler="sync").values, expected)


@pytest.mark.parametrize("rule", [SCL, replace(SCL, dilate_m=25.0), QA, MaskRule(rule="none")])
def test_nothing_is_computed_when_a_mask_is_formed(rule: MaskRule) -> None:
    layer = lazy(np.full((2, 8, 8), 4), (3, 5))
    with assert_lazy():
        clear = clear_pixels(xr.Dataset({"quality": layer, "red": layer}), rule, pixel_m=10)
    assert clear.dtype == np.bool_
    assert clear.chunks == layer.chunks


def test_without_a_rule_every_pixel_is_clear() -> None:
    layer = lazy(np.full((1, 2, 2), 4), (1, 1))
    assert clear_pixels(xr.Dataset({"red": layer}), MaskRule(rule="none"), pixel_m=10).values.all()
