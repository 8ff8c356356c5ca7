"""The sample areas: a second period credits its increment, two others are refused by the pixels."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from geo.estimate import run_estimate
from geo.plots import read_plots
from geo.project import read_project

if TYPE_CHECKING:
    from collections.abc import Callable

    from geo.request import EstimateRequest
    from tests.geo.estimate.conftest import Bundle

PROJECTS = Path("data/samples/projects")
SCHEMA = json.loads(Path("data/schemas/amanar.estimate-1.schema.json").read_text(encoding="utf-8"))
AREAS = ("RO-STABLE", "RO-HARVEST", "PE-CONVERTED")


def quiet(_: str) -> None:
    return None


def blocking(document: dict[str, Any]) -> list[str]:
    return [f["code"] for f in document["quality"] if f["severity"] == "blocking"]


def test_a_second_period_credits_the_increment_only(
    stable: Bundle, tmp_path: Path, request_for: Callable[..., EstimateRequest]
) -> None:
    first = stable.document["removals_tco2e"]
    second = run_estimate(
        request_for(start="2019-01-01", end="2020-12-31", project=PROJECTS / "RO-STABLE-2.json"),
        tmp_path / "b",
        progress=quiet,
    )
    block = second["removals_tco2e"]
    assert second["period"] == {"start": "2019-01-01", "end": "2020-12-31", "t0": "2016-01-01"}
    assert block["previous"] == pytest.approx(first["net"], rel=1e-9)
    assert block["net"] > first["net"]
    increment = block["net"] - first["net"]
    assert block["buffer"] == pytest.approx(0.15 * increment)
    assert block["creditable"] == pytest.approx(0.85 * increment)
    assert blocking(second) == []
    jsonschema.validate(second, SCHEMA, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(("code", "least"), [("RO-HARVEST", 0.05), ("PE-CONVERTED", 0.4)])
def test_where_the_forest_went_nothing_is_credited_whatever_the_plots_say(
    code: str, least: float, tmp_path: Path, request_for: Callable[..., EstimateRequest]
) -> None:
    document = run_estimate(request_for(code), tmp_path / "b", progress=quiet)
    assert "loss-detected" in blocking(document)
    assert document["agb_change_t"]["mean"] > 0
    assert document["removals_tco2e"]["net"] > 0
    assert document["removals_tco2e"]["creditable"] == 0
    assert document["disturbance"]["share"] > least
    assert "plots-and-imagery-disagree" in {f["code"] for f in document["quality"]}
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_without_plots_stocks_are_null_and_nothing_is_invented(
    tmp_path: Path, request_for: Callable[..., EstimateRequest]
) -> None:
    document = run_estimate(request_for("PE-CONVERTED", plots=None), tmp_path / "b", progress=quiet)
    assert document["kind"] == "indicative"
    assert document["method"] == "imagery-only"
    assert document["agb_t_per_ha"] == {"start": None, "end": None, "change": None}
    assert document["agb_change_t"] is None
    block = document["removals_tco2e"]
    unknown = {key for key, value in block.items() if value is None}
    assert unknown == {
        "gross", "uncertainty_deduction", "net", "buffer_base", "buffer", "creditable"
    }  # fmt: skip
    assert "loss-detected" in blocking(document)
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("code", AREAS)
def test_the_committed_plots_are_what_the_seeded_script_draws(code: str) -> None:
    spec = importlib.util.spec_from_file_location("draw_plots", "data/samples/draw_plots.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    import sys  # noqa: PLC0415 (dataclasses look their module up)

    sys.modules["draw_plots"] = script
    spec.loader.exec_module(script)
    recipe = next(recipe for recipe in script.RECIPES if recipe.code == code)
    with (PROJECTS / f"{code}-plots.csv").open(encoding="utf-8") as stream:
        committed = list(csv.reader(stream))
    assert committed[1:] == script.rows(recipe)


@pytest.mark.parametrize("code", AREAS)
def test_every_row_of_the_sample_plots_says_that_it_is_illustrative(code: str) -> None:
    path = PROJECTS / f"{code}-plots.csv"
    with path.open(encoding="utf-8") as stream:
        assert all(row["note"].startswith("illustrative") for row in csv.DictReader(stream))
    assert len({plot.plot_id for plot in read_plots(path)}) >= 8


@pytest.mark.parametrize("path", sorted(PROJECTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_project_says_that_it_is_illustrative(path: Path) -> None:
    assert read_project(path).illustrative is True
