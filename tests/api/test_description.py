"""The API's own description: whole, with examples that the API itself takes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from api import VERSION
from api.main import create_app
from api.schemas import accounts, credits, market, monitoring, projects, verification  # noqa: A004
from registry.settings import Settings

if TYPE_CHECKING:
    from pydantic import BaseModel

BODIES: tuple[type[BaseModel], ...] = (
    accounts.SignInBody,
    accounts.OrganisationBody,
    accounts.UserBody,
    accounts.KeyBody,
    projects.ProjectBody,
    monitoring.RequestBody,
    verification.DecisionBody,
    credits.RetireBody,
    credits.TransferBody,
    market.ListingBody,
    market.PurchaseBody,
    market.DepositBody,
)

WITHOUT_COMMAND = {"sign_in", "revoke_key", "cancel_request", "add_plots"}
"""Safe to repeat by themselves: they say so in their own words."""


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """Give the description, made without a database."""
    whole: dict[str, Any] = create_app(Settings()).openapi()
    return whole


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Give every method, path and operation."""
    return [
        (method, path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]


def test_version_is_that_of_the_project() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_pages_are_no_part_of_it(described: dict[str, Any]) -> None:
    outside = [path for path in described["paths"] if not path.startswith("/v1")]
    assert outside == ["/health", "/ready"]


def test_every_operation_has_a_name_of_its_own_and_a_sentence(described: dict[str, Any]) -> None:
    found = [operation for _, _, operation in operations(described)]
    names = [operation["operationId"] for operation in found]
    assert len(set(names)) == len(names)
    assert all(operation["description"].strip() for operation in found)
    assert all(operation["tags"] for operation in found)


def test_every_write_asks_for_a_command_id(described: dict[str, Any]) -> None:
    without = {
        operation["operationId"]
        for method, _, operation in operations(described)
        if method == "post"
        and "Command-Id" not in {one["name"] for one in operation.get("parameters", [])}
    }
    assert without == WITHOUT_COMMAND


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_example_of_a_body_is_one_that_the_api_takes(body: type[BaseModel]) -> None:
    examples = body.model_json_schema()["examples"]
    assert examples
    for example in examples:
        TypeAdapter(body).validate_python(example)


def test_every_json_body_of_the_description_has_an_example(described: dict[str, Any]) -> None:
    named = {body.__name__ for body in BODIES}
    for _, path, operation in operations(described):
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert name in named, path


def test_refusals_are_described_as_they_leave(described: dict[str, Any]) -> None:
    for _, path, operation in operations(described):
        refused = operation["responses"]["4XX"]["content"]
        assert list(refused) == ["application/problem+json"], path
        assert "422" not in operation["responses"]
    known = described["components"]["schemas"]
    assert set(known["ProblemDetails"]["required"]) == {
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "environment",
    }
    assert "HTTPValidationError" not in known


def test_bearer_scheme_is_described(described: dict[str, Any]) -> None:
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert {"HTTPBearer": []} in described["paths"]["/v1/me"]["get"]["security"]
