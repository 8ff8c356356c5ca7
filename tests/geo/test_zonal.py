"""Areas and means: exact fractions against closed forms, true areas against the ellipsoid."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from geo.aoi import geodesic_area_ha
from geo.errors import GridMismatch
from geo.grid import crs_of, project
from geo.types import NDVI_NODATA, Boundary
from geo.zonal import area_ha, fractions, share, weighted_mean, weighted_median, weights
from tests.geo.landscape import boundary_on, ten_metre_grid

UNIT = GeoBox((6, 8), Affine(1, 0, 0, 0, -1, 6), "EPSG:32634")
"""Six rows and eight columns of unit pixels, lower left corner at the origin."""


class TestFractions:
    def test_a_rectangle_on_the_lattice_fills_its_pixels(self) -> None:
        covered = fractions(shapely.box(2, 1, 5, 4), UNIT)
        expected = np.zeros((6, 8))
        expected[2:5, 2:5] = 1
        np.testing.assert_array_equal(covered, expected)

    def test_a_rectangle_off_the_lattice_has_the_products_of_its_overlaps(self) -> None:
        covered = fractions(shapely.box(1.25, 0.5, 3.75, 2.25), UNIT)
        across = np.array([0, 0.75, 1, 0.75, 0, 0, 0, 0])
        down = np.array([0, 0, 0, 0.25, 1, 0.5])
        np.testing.assert_allclose(covered, np.outer(down, across), atol=1e-7)

    def test_a_triangle_halves_the_pixels_on_its_diagonal(self) -> None:
        covered = fractions(shapely.Polygon([(0, 0), (4, 0), (0, 4)]), UNIT)
        expected = np.zeros((6, 8))
        for row in range(4):  # from below: y of the pixel's lower edge
            expected[5 - row, : 3 - row] = 1
            expected[5 - row, 3 - row] = 0.5
        np.testing.assert_allclose(covered, expected, atol=1e-7)

    def test_a_hole_is_taken_out(self) -> None:
        ring = shapely.box(0, 0, 6, 6) - shapely.box(1.5, 1.5, 4.5, 4.5)
        assert fractions(ring, UNIT).sum() == pytest.approx(36 - 9, abs=1e-6)

    def test_a_circle_has_the_area_of_its_polygon(self) -> None:
        circle = shapely.Point(4.1, 3.2).buffer(2.3, quad_segs=400)
        covered = fractions(circle, UNIT)
        assert covered.sum() == pytest.approx(circle.area, rel=1e-7)
        assert covered.sum() == pytest.approx(math.pi * 2.3**2, rel=1e-5)

    def test_every_pixel_of_a_circle_is_its_intersection(self) -> None:
        circle = shapely.Point(4.1, 3.2).buffer(2.3)
        covered = fractions(circle, UNIT)
        for row, column in np.ndindex(6, 8):
            pixel = shapely.box(column, 5 - row, column + 1, 6 - row)
            assert covered[row, column] == pytest.approx(circle.intersection(pixel).area, abs=1e-7)

    def test_what_lies_off_the_grid_is_not_counted(self) -> None:
        assert fractions(shapely.box(-3, -3, 1, 1), UNIT).sum() == 1

    def test_a_rotated_grid_is_refused(self) -> None:
        turned = GeoBox((6, 8), UNIT.transform @ Affine.rotation(5), UNIT.crs)
        with pytest.raises(GridMismatch, match="rotated"):
            fractions(shapely.box(0, 0, 1, 1), turned)


def area(polygon: shapely.Polygon) -> Boundary:
    whole = shapely.MultiPolygon([polygon])
    return Boundary("a", whole, geodesic_area_ha(whole))


class TestWeights:
    def test_in_utm_they_sum_to_the_geodesic_area(self) -> None:
        boundary = boundary_on(ten_metre_grid(200, 300))
        total = weights(boundary, ten_metre_grid(200, 300)).sum()
        assert total == pytest.approx(boundary.area_ha * 10_000, rel=1e-7)

    def test_in_degrees_they_sum_to_the_geodesic_area(self) -> None:
        step = 0.0008
        grid = GeoBox((100, 120), Affine(step, 0, -74.7, 0, -step, -8.3), "EPSG:4326")
        polygon = shapely.Polygon([(-74.68, -8.31), (-74.62, -8.32), (-74.65, -8.37)])
        boundary = area(polygon)
        total = weights(boundary, grid).sum()
        assert total == pytest.approx(boundary.area_ha * 10_000, rel=1e-7)

    def test_in_an_equal_area_projection_they_sum_to_the_geodesic_area(self) -> None:
        transform = Affine(10, 0, 5271982.576551932, 0, -10, 2533004.2149151857)
        grid = GeoBox((100, 100), transform, "EPSG:3035")
        boundary = boundary_on(grid)
        assert weights(boundary, grid).sum() == pytest.approx(boundary.area_ha * 1e4, rel=1e-7)

    def test_planar_utm_squares_would_be_wrong_by_parts_in_a_thousand(self) -> None:
        grid = ten_metre_grid(200, 300)
        boundary = boundary_on(grid)
        planar = fractions(project(boundary.geometry, crs_of(grid)), grid).sum() * 100
        assert planar / (boundary.area_ha * 10_000) == pytest.approx(0.9996**2, rel=1e-5)


class TestMeans:
    values = np.array([[8000, 4000], [NDVI_NODATA, 0]], dtype=np.int16)
    weight = np.array([[100.0, 50.0], [100.0, 0.0]])

    def test_a_mean_is_weighted_by_area_and_leaves_out_the_missing(self) -> None:
        mean = weighted_mean(self.values, self.weight, nodata=NDVI_NODATA)
        assert mean == pytest.approx((8000 * 100 + 4000 * 50) / 150)

    def test_the_mean_of_nothing_is_none_never_zero(self) -> None:
        nothing = np.full((2, 2), NDVI_NODATA, dtype=np.int16)
        assert weighted_mean(nothing, self.weight, nodata=NDVI_NODATA) is None
        assert weighted_median(nothing, self.weight, nodata=NDVI_NODATA) is None

    def test_the_median_is_where_half_of_the_area_is_reached(self) -> None:
        assert weighted_median(self.values, self.weight, nodata=NDVI_NODATA) == 8000

    @given(
        st.lists(
            st.tuples(st.integers(-10_000, 10_000), st.floats(0.01, 8000)), min_size=1, max_size=60
        ),
        st.randoms(),
    )
    def test_the_order_of_pixels_changes_no_bit(
        self, pixels: list[tuple[int, float]], random: object
    ) -> None:
        def mean(order: list[tuple[int, float]]) -> tuple[float | None, int | None]:
            values = np.array([value for value, _ in order], dtype=np.int16)
            weight = np.array([w for _, w in order])
            return (
                weighted_mean(values, weight, nodata=NDVI_NODATA),
                weighted_median(values, weight, nodata=NDVI_NODATA),
            )

        shuffled = list(pixels)
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        assert mean(pixels)[0] == mean(shuffled)[0]
        assert mean(pixels)[1] == mean(shuffled)[1]

    def test_shares_and_hectares_of_a_mask(self) -> None:
        mask = np.array([[True, False], [False, True]])
        assert share(mask, self.weight) == pytest.approx(100 / 250)
        assert area_ha(mask, self.weight) == pytest.approx(0.01)
        assert share(mask, np.zeros((2, 2))) is None
