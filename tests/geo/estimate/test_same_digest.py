"""The same pixels give the same digest: odd chunks, threads, processes, a cluster of two workers.

On the Peruvian composites and on a made-up area of more than 1024 x 1024 pixels with a biomass
card and the difference estimator, so that every raster and every sum takes part.
"""

from __future__ import annotations

import csv
import io
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dask
import distributed
import numpy as np
import pytest
import shapely

from geo.estimate import archive_inputs, plan_estimate, recompute
from geo.request import EstimateRequest
from tests.geo.landscape import S2_SAID, Shot, boundary_on, ten_metre_grid, write_catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from geo.types import Boundary

EDGE = 1048
"""Pixels; the area and its margin then need a grid of more than 1024 x 1024."""

WAYS: tuple[tuple[str, int | None, int | None], ...] = (
    ("synchronous", None, None),
    ("threads", 187, 7),
    ("processes", 401, 13),
    ("distributed", 333, 11),
)
"""Scheduler, chunk of the large area and of the Peruvian one, pixels."""


def quiet(_: str) -> None:
    return None


@contextmanager
def computing(way: str) -> Iterator[None]:
    """Compute in one way for the length of the block; workers start once."""
    if way == "processes":
        spawn = multiprocessing.get_context("spawn")
        with (
            ProcessPoolExecutor(2, mp_context=spawn) as pool,
            dask.config.set(scheduler="processes", pool=pool),
        ):
            yield
    elif way == "distributed":
        local_cluster: Any = distributed.LocalCluster  # the library has no types
        client: Any = distributed.Client
        with (
            local_cluster(
                n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
            ) as cluster,
            client(cluster),
        ):
            yield
    else:
        with dask.config.set(scheduler=way, num_workers=2):
            yield


def field(seed: int) -> NDArray[np.float64]:
    """Give a smooth field between 0 and 1 without symmetry."""
    coarse = np.random.default_rng(seed).random((9, 9))
    at = np.linspace(0, 8, EDGE)
    rows = np.stack([np.interp(at, np.arange(9), line) for line in coarse])
    return np.stack([np.interp(at, np.arange(9), line) for line in rows.T], axis=1)


def shots() -> list[Shot]:
    """Two summers of three dates each; the second a little greener, clouds drifting through."""
    green = field(1)
    made = []
    for year, gain in ((2018, 0), (2020, 150)):
        for number in range(3):
            haze = field(10 * year + number)
            bands: dict[str, NDArray[Any]] = {
                "B02": (200 + 60 * haze).astype(np.uint16),
                "B04": (260 + 120 * haze).astype(np.uint16),
                "B08": (3000 + 1500 * green + gain + 90 * haze).astype(np.uint16),
                "SCL": np.where(haze > 0.93, 9, 4).astype(np.uint8),
            }
            made.append(
                Shot(
                    item_id=f"S2_{year}_{number}",
                    day=f"{year}-07-{5 + 8 * number:02d}",
                    bands=bands,
                    properties={"constellation": "sentinel-2", "instruments": ["msi"]},
                    said=S2_SAID,
                )
            )
    return made


def plots(area: Boundary) -> bytes:
    """Nine plots on a slant, a little more biomass at the second visit."""
    west, south, east, north = area.geometry.bounds
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("plot_id", "lon", "lat", "date", "area_ha", "agb_t_per_ha"))
    for number in range(9):
        lon = west + (0.1 + 0.09 * number) * (east - west)
        lat = south + (0.15 + 0.08 * number) * (north - south)
        for day, more in (("2018-03-01", 0), ("2020-10-01", 4 + number % 3)):
            writer.writerow((f"P{number}", lon, lat, day, 0.25, 120 + 7 * number + more))
    return out.getvalue().encode()


def large_plan(folder: Path) -> dict[str, Any]:
    """Plan and archive the made-up area."""
    area = boundary_on(ten_metre_grid(EDGE, EDGE), inset=5)
    boundary = folder / "area.geojson"
    boundary.write_text(shapely.to_geojson(area.geometry), encoding="utf-8")
    card = {
        "id": "made-up",
        "form": "exponential",
        "coefficients": [20.0, 2.4],
        "domain": [0.5, 0.92],
        "saturation_agb": 175.0,
        "source": "made for this test",
    }
    request = EstimateRequest(
        boundary=boundary,
        catalog=str(write_catalog(folder / "catalog", shots())),
        collection="toy",
        start="2018-01-01",
        end="2020-12-31",
        season="06-01/08-31",
        plots=plots(area),
        project={"estimator": "difference", "model_card": card, "permanent_plots": True},
    )
    plan = plan_estimate(request)
    archive_inputs(plan, folder / "large", progress=quiet)
    return plan


@pytest.mark.slow
def test_any_chunks_and_any_scheduler_give_one_digest(
    tmp_path: Path, request_for: Callable[..., EstimateRequest]
) -> None:
    large = large_plan(tmp_path)
    peru = plan_estimate(request_for("PE-CONVERTED"))
    archive_inputs(peru, tmp_path / "peru", progress=quiet)
    assert min(large["imagery"]["grid"]["shape"]) >= 1024
    found: dict[str, dict[str, Any]] = {"large": {}, "peru": {}}
    for way, large_chunk, peru_chunk in WAYS:
        with computing(way):
            for name, plan, chunk in (("large", large, large_chunk), ("peru", peru, peru_chunk)):
                inputs, out = tmp_path / name / "inputs", tmp_path / way / name
                made = recompute(plan, inputs, out_dir=out, progress=quiet, chunk=chunk)
                found[name][way] = made.digest
    for name, digests in found.items():
        assert all(one == digests["synchronous"] for one in digests.values()), (name, digests)
    assert "agb_end.tif" in found["large"]["synchronous"]["parts"]["rasters"]
