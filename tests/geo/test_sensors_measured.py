"""Each kind of imagery from catalog to median, on even scenes whose answer is known by hand."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from geo.measure import Measurement, archive_inputs, measure
from geo.planning import ScenePlan, plan_scenes
from geo.types import Period
from tests.geo.landscape import Shot, boundary_on, quiet, ten_metre_grid, write_catalog

if TYPE_CHECKING:
    from pathlib import Path

AREA = boundary_on(ten_metre_grid(), inset=6)
DAYS = [f"{year}-07-{day:02d}" for year in (2023, 2024) for day in (1, 11, 21)]


def even(**values: int) -> dict[str, Any]:
    return {key: np.full((32, 32), value, dtype=np.uint16) for key, value in values.items()}


def measured(
    folder: Path, bands: dict[str, Any], *, sensor: str = "auto", **settings: Any
) -> tuple[ScenePlan, Measurement]:
    shots = [Shot(f"s{day}", day, bands, **settings) for day in DAYS]
    plan = plan_scenes(
        str(write_catalog(folder / "source", shots)),
        "toy",
        boundary=AREA,
        period=Period(date(2023, 1, 1), date(2024, 12, 31)),
        sensor=sensor,
        season="06-01/08-31",
        progress=quiet,
    )
    archive_inputs(plan, folder / "inputs", progress=quiet)
    found = measure(
        plan.scenes, folder / "inputs", grid=plan.grid, seasons=plan.seasons, card=plan.card
    )
    return plan, found


def only(found: Measurement, name: str) -> set[int]:
    return set(np.unique(found.composites[name].values).tolist())


def test_sentinel_with_the_offset_still_in_its_numbers(tmp_path: Path) -> None:
    # TV-34: N 4500, R 1400, baseline 05.09: NDVI 0.794872
    properties = {"constellation": "sentinel-2", "s2:processing_baseline": "05.09"}
    bands = even(B02=1250, B04=1400, B08=4500, SCL=4)
    plan, found = measured(tmp_path, bands, properties=properties)
    assert plan.card.id == "sentinel-2-l2a"
    assert only(found, "ndvi") == {7949}
    # 2.5 (0.35 - 0.04) / (0.35 + 0.24 - 0.1875 + 1) = 0.775 / 1.4025 = 0.552585
    assert only(found, "evi") == {5526}
    assert only(found, "looks") == {3}


def test_landsat_collection_2(tmp_path: Path) -> None:
    # TV-35: 20000 is 0.35, 10000 is 0.075: NDVI 0.647059; swir22 12000 is 0.13: NBR 0.458333
    bands = even(red=10_000, nir08=20_000, swir22=12_000, qa_pixel=21_824)
    plan, found = measured(tmp_path, bands, properties={"constellation": "landsat"})
    assert plan.card.id == "landsat-c2-l2"
    assert only(found, "ndvi") == {6471}
    assert only(found, "nbr") == {4583}
    assert [reason.split(":")[0] for reason in found.unavailable] == ["ndmi", "evi"]


def test_landsat_cloud_is_missing(tmp_path: Path) -> None:
    bands = even(red=10_000, nir08=20_000, qa_pixel=22_280)
    _, found = measured(tmp_path, bands, properties={"constellation": "landsat"})
    assert only(found, "ndvi") == {-32_768}
    assert only(found, "looks") == {0}


def test_imagery_described_by_its_metadata_alone(tmp_path: Path) -> None:
    said = {"data_type": "uint16", "scale": 0.0005, "offset": -0.1, "nodata": 0}
    bands = even(R=400, N=1000)
    plan, found = measured(
        tmp_path,
        bands,
        properties={"platform": "somebody-1"},
        said=dict.fromkeys(bands, said),
        names={"R": "red", "N": "nir"},
    )
    assert plan.card.derived
    assert [finding.code for finding in plan.findings] == ["sensor-card-derived"]
    # 0.4 and 0.1: NDVI 0.6
    assert only(found, "ndvi") == {6000}


def test_imagery_described_by_a_user_s_card(tmp_path: Path) -> None:
    card = {
        "schema": "amanar.sensor/1",
        "id": "kite",
        "title": "A camera under a kite",
        "bands": {"red": ["R"], "nir": ["N"]},
        "scale": "0.001",
        "offset": "0",
        "nodata": 0,
        "valid_dn": [1, 1000],
        "mask": {"rule": "none"},
        "season": "06-01/08-31",
        "composite": True,
        "source": "our own calibration",
    }
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card))
    plan, found = measured(tmp_path, even(R=50, N=400), sensor=str(path))
    assert plan.card.id == "kite"
    # 0.35 / 0.45 = 0.777778
    assert only(found, "ndvi") == {7778}
    assert not found.looks_known


def test_a_reflectance_below_zero_is_masked_and_counted(tmp_path: Path) -> None:
    properties = {"constellation": "sentinel-2", "s2:processing_baseline": "05.09"}
    bands = even(B02=1250, B04=1400, B08=4500, SCL=4)
    bands["B04"][16, 16] = 900
    _, found = measured(tmp_path, bands, properties=properties)
    assert found.not_positive.sum(dim=("y", "x")).values.tolist() == [1] * 6
    assert only(found, "ndvi") == {7949, -32_768}
    assert (found.composites["ndvi"].values == -32_768).sum() == 2
