"""Change of stock over an area: strata, root-to-shoot, and the map that helps the plots."""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from geo.biomass_map import make_map, plot_mean
from geo.carbon import tco2e_per_agb
from geo.errors import BadInput
from geo.grid import crs_of
from geo.inference import PlotEnds, difference_estimator
from geo.project import ModelCard, ProjectFile, read_project
from geo.stocks import Stocks, draw_up, sort_plots
from geo.types import NDVI_NODATA, Period, Plot
from geo.zonal import weighted_mean, weights
from tests.geo.landscape import boundary_on, ten_metre_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geo.biomass_map import BiomassMap

T0, END = date(2016, 1, 1), date(2020, 12, 31)
PERIOD = Period(T0, END)
GRID = ten_metre_grid(60, 50)
AREA = boundary_on(GRID, inset=3)
TO_WGS84 = Transformer.from_crs(crs_of(GRID).to_wkt(), "EPSG:4326", always_xy=True)
CARD = ModelCard(
    id="c",
    form="linear",
    coefficients=(-100.0, 300.0),
    domain=(0.2, 0.95),
    saturation_agb=200.0,
    source="made for this test",
)


def at(row: float, column: float) -> tuple[float, float]:
    """Longitude and latitude of a place on the grid, in pixels from the upper left."""
    x, y = GRID.transform @ (column, row)
    lon, lat = TO_WGS84.transform(x, y)
    return float(lon), float(lat)


def plot(
    name: str,
    day: date,
    agb: float,
    *,
    stratum: str | None = None,
    row: float = 20,
    column: float = 20,
) -> Plot:
    lon, lat = at(row, column)
    return Plot(name, lon, lat, day, 0.09, agb, stratum)


def ndvi(seed: int) -> NDArray[np.int16]:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : GRID.shape[0], 0 : GRID.shape[1]]
    smooth = 5500 + 40 * rows + 25 * columns - 3 * (rows - columns)
    values: NDArray[np.int16] = (smooth + rng.integers(-150, 150, GRID.shape)).astype(np.int16)
    return values


def stocks(plots: list[Plot], project: ProjectFile, made: BiomassMap | None = None) -> Stocks:
    sample = sort_plots(plots, boundary=AREA, project_file=project, period=PERIOD)
    return draw_up(sample, boundary=AREA, project_file=project, zone=project.zone, biomass_map=made)


class TestStrata:
    HALF = AREA.area_ha / 2

    def project(self, **changes: Any) -> ProjectFile:
        strata = [
            {"id": "young", "area_ha": self.HALF, "root_shoot": 0.5},
            {"id": "old", "area_ha": self.HALF, "root_shoot": 0.2},
        ]
        return read_project({"plot_design": "stratified", "strata": strata} | changes)

    def plots(self) -> list[Plot]:
        values = {"A": (10.0, 20.0), "B": (12.0, 24.0)}, {"C": (90.0, 94.0), "D": (98.0, 104.0)}
        return [
            plot(name, day, agb, stratum=stratum)
            for stratum, group in zip(("young", "old"), values, strict=True)
            for name, pair in group.items()
            for day, agb in zip((T0, END), pair, strict=True)
        ]

    def test_each_stratum_is_turned_into_carbon_with_its_own_ratio(self) -> None:
        """Changes 10, 12 and 4, 6 t/ha: means 11 and 5; half the area each."""
        found = stocks(self.plots(), self.project())
        assert found.change.change
        assert found.change.change.mean == pytest.approx(8.0)
        expected = self.HALF * (11 * tco2e_per_agb(0.5) + 5 * tco2e_per_agb(0.2))
        assert found.change_tco2e
        assert found.change_tco2e.mean == pytest.approx(expected)
        v_young = (self.HALF * tco2e_per_agb(0.5)) ** 2 * 2 / 2
        v_old = (self.HALF * tco2e_per_agb(0.2)) ** 2 * 2 / 2
        assert found.change_tco2e.se == pytest.approx(math.sqrt(v_young + v_old))

    def test_a_zone_chooses_by_the_stock_of_the_stratum(self) -> None:
        zone = "tropical-moist-deciduous/asia/natural"
        strata = [{"id": name, "area_ha": self.HALF, "zone": zone} for name in ("young", "old")]
        plots = [
            plot(
                p.plot_id,
                p.measured_on,
                p.agb_t_per_ha + 100 * (p.stratum == "old"),
                stratum=p.stratum,
            )
            for p in self.plots()
        ]
        found = stocks(plots, self.project(strata=strata))
        assert {name: ratio.value for name, ratio in found.ratios.items()} == {
            "young": 0.323,
            "old": 0.246,
        }

    def test_a_stratum_with_one_plot_leaves_the_change_unknown(self) -> None:
        plots = [p for p in self.plots() if p.plot_id != "D"]
        assert stocks(plots, self.project()).change_tco2e is None


class TestPlotsOfAnArea:
    def test_a_plot_outside_is_left_out_and_kept_by_name(self) -> None:
        far = Plot("FAR", 10.0, 10.0, T0, 0.05, 1.0)
        sample = sort_plots([far], boundary=AREA, project_file=ProjectFile(), period=PERIOD)
        assert sample.outside == (far,)
        assert sample.ends.start == ()

    def test_a_plot_on_the_edge_counts(self) -> None:
        lon, lat = AREA.geometry.geoms[0].exterior.coords[0]
        edge = Plot("EDGE", lon, lat, T0, 0.05, 1.0)
        sample = sort_plots([edge], boundary=AREA, project_file=ProjectFile(), period=PERIOD)
        assert sample.outside == ()

    def test_swapped_coordinates_are_refused(self) -> None:
        lon, lat = at(20, 20)
        with pytest.raises(BadInput, match="SWAPPED lie in the area once"):
            sort_plots(
                [Plot("SWAPPED", lat, lon, T0, 0.05, 1.0)],
                boundary=AREA,
                project_file=ProjectFile(),
                period=PERIOD,
            )


class TestPlotMean:
    def test_a_plot_within_one_pixel_has_its_value(self) -> None:
        small = plot("A", T0, 1, row=10.5, column=7.5)
        small = Plot("A", small.lon, small.lat, T0, 0.002, 1)
        assert plot_mean(ndvi(1), small, grid=GRID, nodata=NDVI_NODATA) == pytest.approx(
            ndvi(1)[10, 7]
        )

    @given(st.floats(8, 50), st.floats(8, 40), st.floats(0.02, 0.3))
    def test_over_a_plane_it_is_the_value_at_the_centre(
        self, row: float, column: float, area_ha: float
    ) -> None:
        """Closed form: the mean of a linear field over a circle; pixels hold centre values."""
        rows, columns = np.mgrid[0 : GRID.shape[0], 0 : GRID.shape[1]]
        plane = (100 * rows + 60 * columns).astype(np.int16)
        lon, lat = at(row, column)
        mean = plot_mean(plane, Plot("A", lon, lat, T0, area_ha, 1), grid=GRID, nodata=NDVI_NODATA)
        assert mean == pytest.approx(100 * (row - 0.5) + 60 * (column - 0.5), abs=25)

    def test_off_the_grid_it_is_unknown(self) -> None:
        far = Plot("A", 10.0, 10.0, T0, 0.05, 1)
        assert plot_mean(ndvi(1), far, grid=GRID, nodata=NDVI_NODATA) is None

    def test_where_nothing_is_known_it_is_unknown(self) -> None:
        empty = np.full(GRID.shape, NDVI_NODATA, dtype=np.int16)
        assert plot_mean(empty, plot("A", T0, 1), grid=GRID, nodata=NDVI_NODATA) is None


def field_plots(number: int, seed: int = 5) -> list[Plot]:
    """Plots over the area whose biomass follows the first season's NDVI, and grows unevenly."""
    rng = np.random.default_rng(seed)
    made = []
    for count in range(number):
        row, column = rng.uniform(10, 50), rng.uniform(10, 40)
        here = plot(f"P{count:02d}", T0, 0, row=row, column=column)
        index = plot_mean(ndvi(1), here, grid=GRID, nodata=NDVI_NODATA)
        assert index is not None
        agb = -90 + 310 * index / 10_000 + rng.normal(0, 6)
        made.append(Plot(here.plot_id, here.lon, here.lat, T0, 0.09, agb))
        later = agb + 6 + rng.normal(0, 2)
        made.append(Plot(here.plot_id, here.lon, here.lat, END, 0.09, later))
    return made


class TestDifference:
    PROJECT = read_project({"estimator": "difference", "permanent_plots": True})

    def made(self, plots: list[Plot], card: ModelCard | None) -> BiomassMap:
        weight = weights(AREA, GRID)
        start = tuple(p for p in plots if p.measured_on == T0)
        end = tuple(p for p in plots if p.measured_on == END)
        found, _ = make_map(
            (ndvi(1), ndvi(2)), card=card, plots=PlotEnds(start, end, ()), place=(GRID, weight)
        )
        assert found is not None
        return found

    def test_a_given_card_corrected_by_the_plots(self) -> None:
        """By hand: the estimator of TV-16 on differences of plots and of the map at the plots."""
        plots = field_plots(10)
        made = self.made(plots, CARD)
        found = stocks(plots, self.PROJECT, made)
        steps, mapped = [], []
        for first, last in zip(plots[::2], plots[1::2], strict=True):
            before, after = made.at_plot(first, end=0), made.at_plot(last, end=1)
            assert before is not None
            assert after is not None
            steps.append(last.agb_t_per_ha - first.agb_t_per_ha)
            mapped.append(after - before)
        weight = weights(AREA, GRID)
        map_means = [
            weighted_mean(predicted.agb, weight, nodata=65535) for predicted in made.predicted
        ]
        assert map_means[0] is not None
        assert map_means[1] is not None
        expected = difference_estimator(steps, mapped, map_mean=(map_means[1] - map_means[0]) / 10)
        assert found.change.change is not None
        assert found.change.change.mean == pytest.approx(expected.estimate.mean)
        assert found.change.change.se == pytest.approx(expected.estimate.se)
        assert found.relative_efficiency == pytest.approx(expected.relative_efficiency)

    def test_start_change_and_end_still_agree(self) -> None:
        plots = field_plots(10)
        change = stocks(plots, self.PROJECT, self.made(plots, CARD)).change
        assert change.start
        assert change.end
        assert change.change
        assert change.start.mean + change.change.mean == pytest.approx(change.end.mean)

    def test_a_card_fitted_on_the_plots_has_cross_validated_residuals(self) -> None:
        plots = field_plots(24)
        made = self.made(plots, None)
        assert len(made.without) == 24
        found = stocks(plots, self.PROJECT, made)
        plain = [
            p.agb_t_per_ha - (made.at_plot(p, end=0) or math.nan)
            for p in plots
            if p.measured_on == T0
        ]
        naive = np.std(plain, ddof=1) / math.sqrt(len(plain))
        assert found.change.start is not None
        assert found.change.start.se > naive

    def test_a_good_map_earns_a_smaller_interval_for_the_stock(self) -> None:
        plots = field_plots(24)
        alone = stocks(plots, read_project({"permanent_plots": True})).change.start
        helped = stocks(plots, self.PROJECT, self.made(plots, None)).change.start
        assert alone is not None
        assert helped is not None
        assert helped.se < 0.6 * alone.se

    def test_disjoint_sets_are_two_samples(self) -> None:
        plots = [p for p in field_plots(20) if (int(p.plot_id[1:]) < 10) == (p.measured_on == T0)]
        project = read_project({"estimator": "difference", "permanent_plots": False})
        found = stocks(plots, project, self.made(plots, CARD))
        assert found.change.design == "two-sample"
        assert found.relative_efficiency is None

    def test_nineteen_plots_fit_no_card(self) -> None:
        plots = field_plots(19)
        start = tuple(p for p in plots if p.measured_on == T0)
        made, found = make_map(
            (ndvi(1), ndvi(2)),
            card=None,
            plots=PlotEnds(start, (), ()),
            place=(GRID, weights(AREA, GRID)),
        )
        assert made is None
        assert [f.code for f in found] == ["no-biomass-raster"]

    def test_saturated_and_clamped_pixels_are_said(self) -> None:
        low = CARD.model_copy(update={"saturation_agb": 90.0, "domain": (0.6, 0.7)})
        _, found = make_map(
            (ndvi(1), ndvi(2)),
            card=low,
            plots=PlotEnds((), (), ()),
            place=(GRID, weights(AREA, GRID)),
        )
        assert [f.code for f in found] == ["biomass-saturated", "biomass-outside-domain"] * 2
