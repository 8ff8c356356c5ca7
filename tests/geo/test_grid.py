"""Grids: the scenes' own where they share one, windows, true pixel areas, nearest neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer

from geo.errors import BadInput
from geo.grid import (
    choose_grid,
    chunk_plan,
    crs_of,
    grid_from_json,
    grid_to_json,
    local_utm,
    pixel_areas_m2,
    pixel_size_m,
    project,
    share_grid,
    source_indices,
    span_over,
)
from tests.geo.landscape import TEN_METRES, UTM, boundary_on, ten_metre_grid

GEOD = Geod(ellps="WGS84")
ROMANIA = GeoBox(
    (100, 100), Affine(10, 0, 5271982.576551932, 0, -10, 2533004.2149151857), "EPSG:3035"
)
PERU_STEP = 0.0008084837557075694
PERU = GeoBox(
    (377, 697),
    Affine(PERU_STEP, 0, -74.72249415376068, 0, -PERU_STEP, -8.282107593468341),
    "EPSG:4326",
)


def moved(grid: GeoBox, *, columns: float = 0, rows: float = 0) -> GeoBox:
    return GeoBox(grid.shape, grid.transform @ Affine.translation(columns, rows), grid.crs)


def geodesic_m2(grid: GeoBox, points: int = 400) -> float:
    """Area of a grid's outline on the ellipsoid, its edges followed closely."""
    rows, columns = grid.shape
    along, down = np.linspace(0, columns, points), np.linspace(0, rows, points)
    outline = np.concatenate(
        [
            np.column_stack([along, np.zeros(points)]),
            np.column_stack([np.full(points, columns), down]),
            np.column_stack([along[::-1], np.full(points, rows)]),
            np.column_stack([np.zeros(points), down[::-1]]),
        ]
    )
    x, y = grid.transform @ outline.T
    lon, lat = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True).transform(x, y)
    return abs(GEOD.polygon_area_perimeter(lon, lat)[0])


class TestSharing:
    def test_shifted_by_whole_pixels_is_one_grid(self) -> None:
        assert share_grid(ROMANIA, moved(ROMANIA, columns=-7, rows=12))

    def test_shifted_by_half_a_pixel_is_another(self) -> None:
        assert not share_grid(ROMANIA, moved(ROMANIA, columns=0.5))

    def test_another_pixel_size_is_another(self) -> None:
        coarse = GeoBox((50, 50), ROMANIA.transform @ Affine.scale(2), ROMANIA.crs)
        assert not share_grid(ROMANIA, coarse)

    def test_another_reference_system_is_another(self) -> None:
        assert not share_grid(ten_metre_grid(), GeoBox((32, 32), TEN_METRES, "EPSG:32635"))


class TestChoosing:
    area = boundary_on(ROMANIA, inset=20).geometry

    def test_a_shared_grid_is_kept_and_cut_to_the_area_and_margin(self) -> None:
        grid = choose_grid(self.area, [ROMANIA, moved(ROMANIA, columns=5)], margin=4)
        assert share_grid(grid, ROMANIA)
        west, south, east, north = project(self.area, crs_of(grid)).bounds
        left, top = grid.transform @ (4, 4)
        right, bottom = grid.transform @ (grid.shape[1] - 4, grid.shape[0] - 4)
        assert 0 <= west - left < 10
        assert 0 <= top - north < 10
        assert 0 <= right - east < 10
        assert 0 <= south - bottom < 10

    def test_unlike_grids_go_to_the_local_utm_zone_on_whole_multiples(self) -> None:
        grid = choose_grid(self.area, [ROMANIA, moved(ROMANIA, columns=0.5)])
        assert crs_of(grid).epsg == 32634
        assert (grid.transform.a, grid.transform.e) == (10, -10)
        assert grid.transform.c % 10 == 0
        assert grid.transform.f % 10 == 0

    def test_the_finest_pixel_of_unlike_grids_is_taken(self) -> None:
        area = shapely.box(-74.6, -8.5, -74.59, -8.49)
        grid = choose_grid(area, [PERU, moved(PERU, rows=0.3)])
        assert (crs_of(grid).epsg, grid.transform.a) == (32718, 89)  # about 89 m at 8.4 S

    def test_a_rotated_grid_is_not_kept(self) -> None:
        turned = GeoBox((100, 100), ROMANIA.transform @ Affine.rotation(3), ROMANIA.crs)
        assert crs_of(choose_grid(self.area, [turned])).epsg == 32634

    def test_an_area_of_too_many_pixels_is_refused(self) -> None:
        with pytest.raises(BadInput, match="Split it"):
            choose_grid(shapely.box(20, 44, 24, 46), [ROMANIA])

    @pytest.mark.parametrize(
        ("lon", "lat", "epsg"), [(21, 45, 32634), (-74.7, -8.5, 32718), (179.9, 1, 32660)]
    )
    def test_the_utm_zone_is_that_of_the_centre(self, lon: float, lat: float, epsg: int) -> None:
        assert local_utm(shapely.Point(lon, lat)).epsg == epsg

    def test_beyond_84_north_there_is_no_utm(self) -> None:
        with pytest.raises(BadInput, match=r"latitude 85\.000"):
            local_utm(shapely.Point(10, 85))


class TestAreas:
    def test_degrees_are_the_geodesic_area(self) -> None:
        assert pixel_areas_m2(PERU).sum() == pytest.approx(geodesic_m2(PERU), rel=1e-9)

    def test_a_degree_pixel_is_larger_near_the_equator(self) -> None:
        areas = pixel_areas_m2(PERU)
        assert areas[0, 0] > areas[-1, 0]
        assert areas[3, 0] == areas[3, -1]

    def test_an_equal_area_projection_keeps_the_pixel(self) -> None:
        np.testing.assert_allclose(pixel_areas_m2(ROMANIA), 100, rtol=1e-9)

    @pytest.mark.parametrize("east", [500_000.0, 800_000.0])
    def test_utm_is_the_geodesic_area_in_and_off_the_middle(self, east: float) -> None:
        grid = GeoBox((300, 500), Affine(10, 0, east, 0, -10, 5_000_000), UTM)
        assert pixel_areas_m2(grid).sum() == pytest.approx(geodesic_m2(grid), rel=1e-8)

    def test_a_utm_pixel_is_larger_on_the_ground_in_the_middle_of_the_zone(self) -> None:
        # scale 0.9996 there: 100 / 0.9996^2
        grid = GeoBox((1, 1), TEN_METRES, UTM)
        assert pixel_areas_m2(grid)[0, 0] == pytest.approx(100 / 0.9996**2, rel=1e-6)

    def test_web_mercator_shrinks_with_the_cosine_of_latitude_squared(self) -> None:
        grid = GeoBox((40, 40), Affine(10, 0, 2_300_000, 0, -10, 5_600_000), "EPSG:3857")
        assert pixel_areas_m2(grid).sum() == pytest.approx(geodesic_m2(grid), rel=1e-6)

    def test_feet_are_not_taken_for_metres(self) -> None:
        grid = GeoBox((50, 50), Affine(30, 0, 6_000_000, 0, -30, 2_000_000), "EPSG:2229")
        assert pixel_areas_m2(grid).sum() == pytest.approx(geodesic_m2(grid), rel=1e-6)

    def test_the_edge_of_a_pixel_in_metres(self) -> None:
        assert pixel_size_m(ROMANIA) == pytest.approx(10, rel=1e-6)
        assert pixel_size_m(PERU) == pytest.approx(89.2, abs=0.1)


class TestChunks:
    def test_they_tile_the_grid(self) -> None:
        assert chunk_plan(ten_metre_grid(10, 7), 4) == ((4, 4, 2), (4, 3))

    def test_a_chunk_below_one_pixel_is_refused(self) -> None:
        with pytest.raises(BadInput, match="chunk 0"):
            chunk_plan(ten_metre_grid(), 0)


ASKEW = choose_grid(boundary_on(ROMANIA, inset=30).geometry, [ROMANIA, moved(ROMANIA, rows=0.4)])
"""A UTM grid over Romania's, which is in another projection."""


class TestNearest:
    def test_a_coarse_band_is_replicated_exactly(self) -> None:
        coarse = GeoBox((16, 16), TEN_METRES @ Affine.scale(2), UTM)
        rows, columns = source_indices(coarse, ten_metre_grid(), rows=(3, 7), columns=(0, 5))
        assert rows.ravel().tolist() == [1, 2, 2, 3]
        assert columns.ravel().tolist() == [0, 0, 1, 1, 2]

    def test_outside_the_source_the_index_is_outside(self) -> None:
        source = moved(ten_metre_grid(), columns=2)
        _, columns = source_indices(source, ten_metre_grid(), rows=(0, 1), columns=(0, 4))
        assert columns.ravel().tolist() == [-2, -1, 0, 1]

    @given(top=st.integers(0, 20), left=st.integers(0, 20), edge=st.integers(1, 12))
    def test_a_block_has_the_indices_of_the_whole(self, top: int, left: int, edge: int) -> None:
        target = ASKEW
        whole = source_indices(ROMANIA, target, rows=(0, 40), columns=(0, 40))
        part = source_indices(ROMANIA, target, rows=(top, top + edge), columns=(left, left + edge))
        for block, all_of_it in zip(part, whole, strict=True):
            expected = all_of_it[top : top + edge, left : left + edge]
            np.testing.assert_array_equal(block, expected)

    def test_another_projection_takes_the_pixel_in_which_the_centre_lies(self) -> None:
        target = ASKEW
        rows, columns = source_indices(ROMANIA, target, rows=(5, 6), columns=(9, 10))
        x, y = target.transform @ (9.5, 5.5)
        there = Transformer.from_crs(str(target.crs), "EPSG:3035", always_xy=True).transform(x, y)
        column, row = ~ROMANIA.transform @ there
        assert (rows[0, 0], columns[0, 0]) == (int(row), int(column))


class TestSpans:
    def test_a_span_covers_the_target_and_its_pad(self) -> None:
        target = ten_metre_grid()[5:9, 7:20]
        span = span_over(ten_metre_grid(), target)
        assert span is not None
        assert (span.rows, span.columns) == ((4, 10), (6, 21))

    def test_it_is_cut_at_the_edge_of_the_source(self) -> None:
        span = span_over(ten_metre_grid(), moved(ten_metre_grid(), columns=-20, rows=28))
        assert span is not None
        assert (span.rows, span.columns) == ((27, 32), (0, 13))

    def test_grids_that_do_not_meet_have_none(self) -> None:
        assert span_over(ten_metre_grid(), moved(ten_metre_grid(), columns=500)) is None

    def test_on_the_other_side_of_the_earth_there_is_none(self) -> None:
        assert span_over(PERU, ROMANIA) is None

    def test_all_pixels_that_nearest_neighbour_asks_for_are_in_the_span(self) -> None:
        target = ASKEW
        span = span_over(ROMANIA, target)
        height, width = target.shape
        rows, columns = source_indices(ROMANIA, target, rows=(0, height), columns=(0, width))
        assert span is not None
        assert span.rows[0] <= rows.min() <= rows.max() < span.rows[1]
        assert span.columns[0] <= columns.min() <= columns.max() < span.columns[1]


@pytest.mark.parametrize("grid", [ROMANIA, PERU, ten_metre_grid()])
def test_a_grid_survives_json(grid: GeoBox) -> None:
    assert grid_from_json(grid_to_json(grid)) == grid
