"""One measurement: lazy throughout, equal to plain arithmetic, on made-up and on real imagery."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geo.aoi import read_boundary
from geo.disturbance import loss_between_seasons
from geo.grid import pixel_areas_m2
from geo.load import read_index
from geo.measure import Measurement, archive_inputs, measure
from geo.planning import ScenePlan, plan_scenes
from geo.raster_io import read_bands, read_header
from geo.types import NDVI_NODATA, Boundary, Period
from geo.zonal import weighted_mean, weights
from tests.geo.landscape import (
    SIZE,
    TEN_METRES,
    assert_lazy,
    boundary_on,
    four_summers,
    quiet,
    ten_metre_grid,
    write_catalog,
)
from tests.geo.serving import files_of, served

if TYPE_CHECKING:
    import xarray as xr

SAMPLES = Path("data/samples/catalog")
AREA = boundary_on(ten_metre_grid(), inset=6)
SUMMER = "06-01/08-31"


def planned(source: Path | str, collection: str, boundary: Boundary, **changes: Any) -> ScenePlan:
    settings: dict[str, Any] = {
        "period": Period(date(2017, 1, 1), date(2020, 12, 31)),
        "season": SUMMER,
        **changes,
    }
    return plan_scenes(str(source), collection, boundary=boundary, progress=quiet, **settings)


def measured(plan: ScenePlan, inputs: Path, chunk: int | None = None) -> Measurement:
    return measure(
        plan.scenes,
        inputs,
        grid=plan.grid,
        seasons=plan.seasons,
        card=plan.card,
        chunk=chunk,
    )


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[ScenePlan, Path]:
    folder = tmp_path_factory.mktemp("toy")
    plan = planned(write_catalog(folder / "source", four_summers()), "toy", AREA)
    archive_inputs(plan, folder / "inputs", progress=quiet)
    return plan, folder / "inputs"


def by_hand(name: str) -> np.ndarray[Any, Any]:
    """Seasonal medians of the whole toy pictures, in plain numpy and Python."""
    pairs = {"ndvi": ("B08", "B04"), "ndmi": ("B08", "B11"), "nbr": ("B08", "B12")}
    result = np.full((4, SIZE, SIZE), NDVI_NODATA, dtype=np.int16)
    for season, year in enumerate(range(2017, 2021)):
        shots = [shot for shot in four_summers() if f"_{year}_" in shot.item_id]
        stack = np.full((len(shots), SIZE, SIZE), np.nan)
        for number, shot in enumerate(shots):
            first, second = (
                np.kron(band, np.ones((SIZE // len(band),) * 2)) if len(band) < SIZE else band
                for band in (shot.bands[key].astype(np.float64) for key in pairs[name])
            )
            clear = np.kron(shot.bands["SCL"], np.ones((2, 2))) == 4
            values = np.round(10_000 * (first - second) / (first + second))
            stack[number] = np.where(clear, values, np.nan)
        enough = np.isfinite(stack).sum(axis=0) >= 3
        result[season][enough] = np.round(np.nanmedian(stack[:, enough], axis=0))
    return result


def cut(values: np.ndarray[Any, Any], plan: ScenePlan) -> np.ndarray[Any, Any]:
    """Cut whole pictures to the part of the plan's grid that they cover."""
    t = plan.grid.transform
    left, top = round((t.c - TEN_METRES.c) / 10), round((TEN_METRES.f - t.f) / 10)
    rows, columns = plan.grid.shape
    assert min(left, top) >= 0
    return values[:, top : top + rows, left : left + columns]


class TestToy:
    def test_nothing_is_computed(self, toy: tuple[ScenePlan, Path]) -> None:
        with assert_lazy():
            found = measured(*toy, chunk=9)
        assert set(found.composites) == {"ndvi", "evi", "ndmi", "nbr", "looks"}
        for name, layer in found.composites.items():
            assert layer.dims == ("season", "y", "x")
            assert layer.dtype == ("uint16" if name == "looks" else "int16")
            assert layer.chunks is not None
        assert found.series.dims == ("time", "y", "x")
        assert found.unavailable == ()

    @pytest.mark.parametrize("name", ["ndvi", "ndmi", "nbr"])
    def test_medians_are_those_of_plain_arithmetic(
        self, name: str, toy: tuple[ScenePlan, Path]
    ) -> None:
        found = measured(*toy, chunk=9).composites[name].compute().values
        np.testing.assert_array_equal(found, cut(by_hand(name), toy[0]))

    def test_looks_are_the_clear_dates(self, toy: tuple[ScenePlan, Path]) -> None:
        looks = measured(*toy).composites["looks"].values
        clear = [np.kron(shot.bands["SCL"] == 4, np.ones((2, 2))) for shot in four_summers()]
        expected = np.stack([sum(clear[4 * n : 4 * n + 4]) for n in range(4)])
        np.testing.assert_array_equal(looks, cut(expected, toy[0]))

    def test_the_series_holds_every_clear_date(self, toy: tuple[ScenePlan, Path]) -> None:
        found = measured(*toy)
        assert found.series["item_id"].values.tolist() == [s.item_id for s in found.scenes]
        known = (found.series.values != NDVI_NODATA).sum(axis=0)
        np.testing.assert_array_equal(known, found.composites["looks"].values.sum(axis=0))

    def test_an_odd_chunk_changes_nothing(self, toy: tuple[ScenePlan, Path]) -> None:
        whole, odd = measured(*toy), measured(*toy, chunk=11)
        assert odd.composites.compute(scheduler="sync").equals(whole.composites.compute())
        assert odd.series.compute(scheduler="sync").equals(whole.series.compute())

    def test_a_scene_refused_on_archiving_is_left_out_and_named(self, tmp_path: Path) -> None:
        plan = planned(write_catalog(tmp_path / "source", four_summers(dates=3)), "toy", AREA)
        band = tmp_path / "source/toy/S2_2019_1/B12.tif"
        band.write_bytes(band.read_bytes()[:-100])
        archive_inputs(plan, tmp_path / "inputs", progress=quiet)
        found = measured(plan, tmp_path / "inputs")
        assert [entry.item_id for entry in found.refused] == ["S2_2019_1"]
        assert len(found.scenes) == 11
        # two looks are left in that summer: fewer than three are no value
        assert (found.composites["ndvi"].values[2] == NDVI_NODATA).all()


class TestRemote:
    def test_imagery_over_http_gives_the_numbers_of_the_files(
        self, toy: tuple[ScenePlan, Path], tmp_path: Path
    ) -> None:
        source = Path(toy[0].catalog).parent
        with served(files_of(source)) as address:
            plan = planned(f"{address}/catalog.json", "toy", AREA)
            assert plan.scenes == toy[0].scenes
            assert archive_inputs(plan, tmp_path, progress=quiet) == ()
        assert read_index(tmp_path) == read_index(toy[1])

    def test_a_file_that_the_server_does_not_have_refuses_its_scene(self, tmp_path: Path) -> None:
        source = write_catalog(tmp_path / "source", four_summers(dates=1)).parent
        (source / "toy/S2_2018_0/B11.tif").unlink()
        with served(files_of(source)) as address:
            plan = planned(f"{address}/catalog.json", "toy", AREA)
            refused = archive_inputs(plan, tmp_path / "inputs", progress=quiet)
        assert [entry.item_id for entry in refused] == ["S2_2018_0"]


def sample(collection: str, feature: str, folder: Path, **changes: Any) -> tuple[Any, ...]:
    boundary = read_boundary(SAMPLES / collection / "projects.geojson", feature=feature)
    plan = planned(SAMPLES, collection, boundary, **changes)
    archive_inputs(plan, folder, progress=quiet)
    found = measured(plan, folder)
    return found, found.composites.compute(), weights(boundary, plan.grid)


ROMANIA = {"period": Period(date(2016, 1, 1), date(2020, 12, 31))}
PERU = {"season": None}


def loss(found: Measurement, computed: xr.Dataset, weight: np.ndarray[Any, Any]) -> Any:
    return loss_between_seasons(
        computed["ndvi"].values,
        seasons=found.seasons,
        weights=weight,
        pixel_m2=pixel_areas_m2(found.grid),
    )


@pytest.fixture(scope="module")
def stable(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    return sample("s2-l2a-romania", "RO-STABLE", tmp_path_factory.mktemp("stable"), **ROMANIA)


class TestSamples:
    def test_the_stable_stand_lost_nothing_and_greens_no_more(
        self, stable: tuple[Any, ...]
    ) -> None:
        found, computed, weight = stable
        report = loss(found, computed, weight)
        assert (report.refuses, report.lost_ha, report.unseen_share) == (False, 0, 0)
        assert "No loss" in report.sentence()
        ends = [
            weighted_mean(computed["ndvi"].values[n], weight, nodata=NDVI_NODATA) for n in (0, -1)
        ]
        # in the real series NDVI falls slightly from 2016 to 2020
        assert ends[0] == pytest.approx(9000, abs=150)
        assert ends[1] == pytest.approx(8450, abs=150)
        assert found.unavailable == ("nbr: the scenes have no swir22 band",)

    def test_in_the_stable_stand_no_half_hectare_fell_by_a_tenth(
        self, stable: tuple[Any, ...]
    ) -> None:
        found, computed, weight = stable
        report = loss_between_seasons(
            computed["ndvi"].values,
            seasons=found.seasons,
            weights=weight,
            pixel_m2=pixel_areas_m2(found.grid),
            drop=1000,
            min_patch_ha=0.5,
        )
        assert max(season.largest_patch_ha for season in report.seasons) < 0.5

    def test_the_harvested_stand_is_refused(self, tmp_path: Path) -> None:
        report = loss(*sample("s2-l2a-romania", "RO-HARVEST", tmp_path, **ROMANIA))
        by_year = {season.year: season.lost_ha for season in report.seasons}
        assert report.refuses
        assert by_year[2019] > 2
        assert by_year[2020] > 0.5
        assert "2018 and 2019" in report.sentence()

    def test_the_pasture_lost_no_trees(self, tmp_path: Path) -> None:
        assert not loss(*sample("s2-l2a-romania", "RO-PASTURE", tmp_path, **ROMANIA)).refuses

    def test_the_converted_forest_is_refused_between_2010_and_2015(self, tmp_path: Path) -> None:
        period = Period(date(2010, 1, 1), date(2015, 12, 31))
        report = loss(
            *sample("landsat-epochs-pucallpa", "PE-CONVERTED", tmp_path, period=period, **PERU)
        )
        assert report.refuses
        assert [(s.since, s.year) for s in report.seasons if s.lost_ha] == [(2010, 2015)]
        assert 0.4 < report.share < 0.6

    def test_the_old_frontier_is_refused(self, tmp_path: Path) -> None:
        period = Period(date(1990, 1, 1), date(2020, 12, 31))
        assert loss(
            *sample("landsat-epochs-pucallpa", "PE-FRONTIER", tmp_path, period=period, **PERU)
        ).refuses

    def test_the_intact_forest_is_not_refused(self, tmp_path: Path) -> None:
        period = Period(date(2000, 1, 1), date(2020, 12, 31))
        found, computed, weight = sample(
            "landsat-epochs-pucallpa", "PE-INTACT", tmp_path, period=period, **PERU
        )
        assert loss(found, computed, weight).lost_ha == 0
        assert not found.looks_known
        assert set(found.composites) == {"ndvi", "ndmi", "looks"}
        assert any(reason.startswith("evi") for reason in found.unavailable)


class TestAgreement:
    """Agreement with our own derivation of the gaps, not with a truth on the ground."""

    def test_nine_tenths_of_the_2019_and_2020_gaps_are_found_in_their_year(
        self, tmp_path: Path
    ) -> None:
        folder = SAMPLES / "s2-l2a-romania" / "reference"
        gaps = read_bands(folder / "derived_gap_year.tif")[0]
        trees = np.kron(read_bands(folder / "tree_cover_density_2018.tif")[0], np.ones((2, 2)))
        found, computed = whole_square(tmp_path)
        report = loss_between_seasons(
            computed,
            seasons=found.seasons,
            weights=np.full((100, 100), 100.0),
            pixel_m2=np.full((100, 100), 100.0),
        )
        for year, share in ((2019, 0.90), (2020, 0.80)):
            assert (report.year_map[gaps == year] == year).mean() >= share
            alarms = (report.year_map == year) & (gaps == 0) & (trees >= 50)
            assert alarms.sum() / ((gaps == 0) & (trees >= 50)).sum() < 0.01


def whole_square(folder: Path) -> tuple[Measurement, np.ndarray[Any, Any]]:
    """Measure the whole square kilometre; give its NDVI on the reference raster's 100 x 100."""
    reference = read_header(str(SAMPLES / "s2-l2a-romania/reference/derived_gap_year.tif")).geobox
    plan = planned(SAMPLES, "s2-l2a-romania", boundary_on(reference, inset=1.0), **ROMANIA)
    archive_inputs(plan, folder, progress=quiet)
    found = measure(
        plan.scenes, folder, grid=reference, seasons=plan.seasons, card=plan.card, chunk=None
    )
    return found, found.composites["ndvi"].values
