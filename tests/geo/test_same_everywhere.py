"""The same pixels, the same numbers: threads, processes, a cluster of two, any chunks."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest
from distributed import Client, LocalCluster

from geo.aoi import read_boundary
from geo.grid import choose_grid
from geo.measure import archive_inputs, measure
from geo.planning import ScenePlan, plan_scenes
from geo.raster_io import array_digest
from geo.types import NDVI_NODATA, Period
from tests.geo.landscape import boundary_on, quiet, sentinel_shot, ten_metre_grid, write_catalog

if TYPE_CHECKING:
    from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 1024


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[ScenePlan, Path]:
    """Plan and archive six made-up scenes of 1024 x 1024 pixels."""
    folder = tmp_path_factory.mktemp("large")
    shots = [
        sentinel_shot(f"s{year}{day}", f"{year}-07-{day:02d}", seed=year + day, size=SIZE)
        for year in (2019, 2020)
        for day in (1, 11, 21)
    ]
    grid = ten_metre_grid(SIZE, SIZE)
    plan = plan_scenes(
        str(write_catalog(folder / "source", shots)),
        "toy",
        boundary=boundary_on(grid, inset=8.0),
        period=Period(date(2019, 1, 1), date(2020, 12, 31)),
        season="06-01/08-31",
        progress=quiet,
    )
    assert plan.grid == choose_grid(boundary_on(grid, inset=8.0).geometry, [grid])
    archive_inputs(plan, folder / "inputs", progress=quiet)
    return plan, folder / "inputs"


def digests(
    large: tuple[ScenePlan, Path], *, chunk: int | None, scheduler: str | None
) -> list[str]:
    plan, inputs = large
    found = measure(
        plan.scenes, inputs, grid=plan.grid, seasons=plan.seasons, card=plan.card, chunk=chunk
    )
    layers = found.composites.assign(series=found.series)
    keywords = {"scheduler": scheduler} if scheduler else {}
    computed = layers.compute(**keywords)
    return [
        array_digest(computed[name].values, geobox=plan.grid, nodata=NDVI_NODATA)
        for name in sorted(map(str, computed))
    ]


@pytest.fixture(scope="module")
def peru(tmp_path_factory: pytest.TempPathFactory) -> tuple[ScenePlan, Path]:
    """Plan and archive the intact forest of Peru, measured in degrees."""
    inputs = tmp_path_factory.mktemp("peru")
    plan = plan_scenes(
        "data/samples/catalog",
        "landsat-epochs-pucallpa",
        boundary=read_boundary(
            "data/samples/catalog/landsat-epochs-pucallpa/projects.geojson#PE-INTACT"
        ),
        period=Period(date(2000, 1, 1), date(2020, 12, 31)),
        progress=quiet,
    )
    archive_inputs(plan, inputs, progress=quiet)
    return plan, inputs


@pytest.fixture(scope="module")
def expected(large: tuple[ScenePlan, Path]) -> list[str]:
    return digests(large, chunk=None, scheduler="sync")


@contextmanager
def _two_workers() -> Iterator[None]:
    with (
        LocalCluster(  # type: ignore[no-untyped-call]  # distributed has no types here
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster),  # type: ignore[no-untyped-call]  # as above
    ):
        yield


@pytest.mark.slow
class TestLargeArea:
    def test_the_area_is_at_least_1000_pixels_wide(self, large: tuple[ScenePlan, Path]) -> None:
        assert min(large[0].grid.shape) >= 1000

    def test_threads_with_odd_chunks(
        self, large: tuple[ScenePlan, Path], expected: list[str]
    ) -> None:
        assert digests(large, chunk=301, scheduler="threads") == expected

    def test_processes_with_odd_chunks(
        self, large: tuple[ScenePlan, Path], expected: list[str]
    ) -> None:
        assert digests(large, chunk=457, scheduler="processes") == expected

    def test_a_cluster_of_two_workers_with_odd_chunks(
        self, large: tuple[ScenePlan, Path], expected: list[str], peru: tuple[ScenePlan, Path]
    ) -> None:
        degrees = [
            digests(peru, chunk=chunk, scheduler=scheduler)
            for chunk, scheduler in ((None, "sync"), (37, "threads"))
        ]
        with _two_workers():
            assert digests(large, chunk=389, scheduler=None) == expected
            degrees.append(digests(peru, chunk=23, scheduler=None))
        assert degrees[0] == degrees[1] == degrees[2]

    def test_a_changed_number_changes_the_digest(
        self, large: tuple[ScenePlan, Path], expected: list[str]
    ) -> None:
        plan, inputs = large
        found = (
            measure(plan.scenes, inputs, grid=plan.grid, seasons=plan.seasons, card=plan.card)
            .composites["ndvi"]
            .values.copy()
        )
        found[1, 500, 500] += 1
        assert array_digest(found, geobox=plan.grid, nodata=NDVI_NODATA) not in expected
        assert found.dtype == np.int16
