"""The project file: read whole, refused whole, and the committed schema is the code's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from geo.errors import BadInput
from geo.project import ProjectFile, project_schema, read_project

DATA = Path("data")
EXAMPLE = DATA / "examples" / "project.json"


def refusal(values: dict[str, Any]) -> str:
    with pytest.raises(BadInput) as caught:
        read_project(values)
    return str(caught.value)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "project.json"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_committed_schema_is_the_one_of_the_code() -> None:
    path = DATA / "schemas" / "amanar.project-1.schema.json"
    assert json.loads(path.read_text(encoding="utf-8")) == project_schema()


def test_the_complete_example_uses_every_key_and_fits_the_schema() -> None:
    example = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    jsonschema.validate(example, project_schema())
    assert read_project(EXAMPLE).absent == ()
    assert set(example) == set(project_schema()["properties"])


def test_what_is_read_is_given_back() -> None:
    values = {"t0": "2016-01-01", "buffer_percent": 15.0, "illustrative": False}
    assert read_project(values).document() == values


def test_nothing_and_null_are_absent() -> None:
    assert read_project(None) == read_project({"zone": None}) == ProjectFile()
    assert "zone" in read_project({"zone": None}).absent


def test_all_problems_are_named_at_once() -> None:
    told = refusal({"buffer_percent": 9, "leakage": 1, "t0": "2016-13-01", "estimator": "best"})
    assert "buffer_percent" in told
    assert "(9 given)" in told
    assert "leakage is no key of it (meant: leakage_tco2e?)" in told
    assert "t0: " in told
    assert "'mean', 'difference' or 'greg'" in told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"previous_net_tco2e": float("nan")}, "finite"),
        ({"previous_net_tco2e": "12"}, "valid number"),
        ({"permanent_plots": "yes"}, "valid boolean"),
        ({"buffer_percent": True}, "valid number"),
        ({"project_emissions_tco2e": -1}, "greater than or equal to 0"),
        ({"previous_net_tco2e": -50.0}, "previous_net_tco2e: input should be greater than or"),
        ({"previous_buffer_base_tco2e": -1}, "greater than or equal to 0"),
        ({"project_emissions_tco2e": 1e300}, "less than or equal to 1000000000"),
        ({"leakage_tco2e": 1e10}, "leakage_tco2e: input should be less than or equal to"),
        ({"t0": "0001-01-01"}, "t0: input should be greater than or equal to 1970-01-01"),
        (
            {"previous_buffer_base_tco2e": 1000.0},
            "1000 is more than previous_net_tco2e, project_emissions_tco2e and leakage_tco2e",
        ),
        ({"strata": [{"id": "a", "area_ha": 1}] * 2}, "strata name a twice"),
        ({"strata": [{"id": "a", "area_ha": 0}]}, "strata.0.area_ha"),
        ({"model_card": {"id": "x", "form": "cubic"}}, "model_card.form"),
        ({"schema": "amanar.project/2"}, "amanar.project/1"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], told: str) -> None:
    assert told in refusal(values)


@pytest.mark.parametrize(
    ("domain", "form", "told"),
    [([0.9, 0.3], "linear", "no interval"), ([0.0, 0.9], "power", "domain above 0")],
)
def test_a_card_that_holds_nowhere_is_refused(domain: list[float], form: str, told: str) -> None:
    card = json.loads(EXAMPLE.read_text(encoding="utf-8"))["model_card"]
    assert told in refusal({"model_card": {**card, "domain": domain, "form": form}})


@pytest.mark.parametrize(
    ("form", "coefficients", "told"),
    [
        ("exponential", [1.0, 1e6], "gives inf t/ha at 0.35"),
        ("linear", [0.0, 1e6], "gives 350000 t/ha at 0.35, beyond 800"),
        ("linear", [-1e308, -1e308], "beyond 800"),
        ("power", [1e308, -1e4], "gives inf t/ha"),
    ],
)
def test_a_card_that_leaves_what_grows_is_refused(
    form: str, coefficients: list[float], told: str
) -> None:
    card = json.loads(EXAMPLE.read_text(encoding="utf-8"))["model_card"]
    assert told in refusal({"model_card": {**card, "form": form, "coefficients": coefficients}})


@pytest.mark.parametrize(
    "values",
    [
        {
            "previous_net_tco2e": 117.98766525632936,
            "previous_buffer_base_tco2e": 117.98766525632937,
        },
        {"previous_net_tco2e": 0, "previous_buffer_base_tco2e": 0},
        {"previous_net_tco2e": 90.0, "previous_buffer_base_tco2e": 110.0, "leakage_tco2e": 20.0},
        {"previous_net_tco2e": 90.0},
    ],
)
def test_previous_sums_of_one_report_are_read(values: dict[str, Any]) -> None:
    """The base is the net with emissions and leakage added, to the last digit but rounding."""
    assert read_project(values).document() == values


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"zone": "a", "zone": "b"}', "names zone twice"),
        ("[1]", "is no JSON object"),
        ('{"zone": ', "is no JSON"),
        ("", "is no JSON"),
        ('{"previous_net_tco2e": NaN}', "finite"),
        ('{"previous_net_tco2e": 1e999}', "finite"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_a_file_that_is_no_project_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        read_project(written(tmp_path, text))


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert read_project(written(tmp_path, '\ufeff{"zone": "a"}')).zone == "a"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.json: cannot be read"):
        read_project(tmp_path / "none.json")
