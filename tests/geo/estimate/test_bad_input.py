"""What the user can mend is one sentence that names the value and the fix, before any pixel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import amanar
from flows.monitor_area import code_version
from geo.errors import BadInput
from geo.estimate import plan_estimate
from geo.evidence import code_sha256
from geo.request import EstimateRequest

if TYPE_CHECKING:
    from collections.abc import Callable

PLOTS = Path("data/samples/projects/RO-STABLE-plots.csv")


def swapped() -> bytes:
    rows = [line.split(",") for line in PLOTS.read_text(encoding="utf-8").splitlines()]
    for row in rows[1:]:
        row[1], row[2] = row[2], row[1]
    return "\n".join(",".join(row) for row in rows).encode()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"start": "2016-02-30"}, r"--start: '2016-02-30' is no day YYYY-MM-DD"),
        ({"start": "01/02/2016"}, r"--start: '01/02/2016' is no day"),
        ({"end": "2015-12-31"}, r"--end: 2015-12-31 is not after the start 2016-01-01"),
        ({"methodology": "vm0047"}, r"--methodology: 'vm0047' is not known"),
        ({"methodology": "after-vm0047-1.1"}, r"comes with the measurement work"),
        ({"zone": "moon/asia/natural"}, r"--zone: 'moon/asia/natural' has no row in Table 4.4"),
        ({"zone": "boreal/x/y", "project": {"zone": "tropical-dry/asia/natural"}}, r"is not the"),
        ({"seed": -1}, r"--seed: -1 is negative"),
        ({"environment": "test"}, r"environment: 'test' is not known"),
        ({"collection": " "}, r"--collection: is empty"),
        ({"project": {"t0": "2017-01-01"}}, r"t0: 2017-01-01 is after the start of the period"),
        ({"project": {"estimator": "greg"}}, r"greg comes with the measurement work"),
        ({"project": {"buffer_percent": 9}}, r"buffer_percent"),
        ({"project": {"root_shoot": 2.0}}, r"root_shoot: 2 is outside 0.1 to 1"),
        ({"project": {"plot_design": "stratified"}}, r"names no strata"),
        (
            {"project": {"plot_design": "stratified", "strata": [{"id": "a", "area_ha": 3}]}},
            r"strata: cover 3.000 ha together, the area has 6.123 ha",
        ),
        (
            {"project": {"plot_design": "stratified", "strata": [{"id": "a", "area_ha": 6.12}]}},
            r"lie in no stratum of the project file",
        ),
        ({"plots": swapped()}, r"lie in the area once longitude and latitude are swapped"),
        ({"plots": b"plot_id;lon\n"}, r"the column lat is missing"),
        ({"plots": Path("none.csv")}, r"none.csv: cannot be read"),
        ({"donor_pool": Path("none.geojson")}, r"--donor-pool none.geojson: cannot be read"),
        ({"boundary": Path("none.geojson")}, r"none.geojson"),
        ({"catalog": "none/catalog.json"}, r"none/catalog.json"),
        ({"collection": "landsat"}, r"landsat"),
        ({"season": "13-01/02-01"}, r"13-01"),
        ({"end": "2016-12-31"}, r"season"),
    ],
)
def test_it_is_named(
    changes: dict[str, Any], told: str, request_for: Callable[..., EstimateRequest]
) -> None:
    with pytest.raises(BadInput, match=told):
        plan_estimate(request_for(**changes))


def test_the_difference_estimator_without_a_card_is_refused_before_any_pixel(
    request_for: Callable[..., EstimateRequest],
) -> None:
    with pytest.raises(BadInput, match="difference needs a biomass map"):
        plan_estimate(request_for(project={"estimator": "difference"}))


def test_the_command_is_the_one_that_asks_for_the_same() -> None:
    asked = EstimateRequest(
        boundary="a b.geojson",
        catalog="/home/somebody/catalog.json",
        collection="c",
        start="2016-01-01",
        end="2017-12-31",
        project={"zone": "x"},
        plots=b"x",
    )
    assert asked.command == (
        "amanar estimate --boundary 'a b.geojson' --catalog catalog.json --collection c "
        "--start 2016-01-01 --end 2017-12-31 --project - --sensor auto --plots - "
        "--methodology stock-difference --seed 0"
    )


def test_the_name_is_made_of_boundary_and_period() -> None:
    asked = EstimateRequest("x/areas.gpkg#A-1", "c", "c", start="2016-01-01", end="2017-12-31")
    assert asked.name == "A-1_2016-01-01_2017-12-31"


@pytest.mark.parametrize("out", ["made", "made/up/.."])
def test_the_document_is_not_written_among_the_evidence(
    out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--boundary", "b", "--catalog", "c", "--collection", "c", "--start", "s", "--end", "e"]
    said = tmp_path / "made" / "said.json"
    ended = amanar.run(["estimate", *given, "--out", str(tmp_path / out), "--json", str(said)])
    assert ended == 2
    assert "lies below the evidence of --out" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_artefacts_follow_the_code_and_the_tables() -> None:
    assert code_version() == code_sha256()
