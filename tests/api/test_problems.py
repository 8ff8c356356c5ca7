"""Errors leave as problem+json, each meaning with its own status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi import APIRouter
from sqlalchemy.exc import IntegrityError
from starlette.testclient import TestClient

from api import errors, faults
from api.deps import Transaction  # noqa: TC001 - read by FastAPI at run time
from api.errors import TABLE
from api.main import create_app
from registry import errors as refusals
from registry.tables.projects import Project

if TYPE_CHECKING:
    from registry.settings import Settings
    from tests.api.conftest import Scene
    from tests.api.stage import Stage


HOME = refusals.__name__
"""The private cluster has errors of its own; no route can meet them."""


def kinds_of(root: type[Exception]) -> set[type[Exception]]:
    """Give every class below a root."""
    below = set(root.__subclasses__())
    return below.union(*(kinds_of(kind) for kind in below))


def test_every_refusal_of_the_registry_has_its_line_in_the_table() -> None:
    spoken = {one for one in kinds_of(refusals.RegistryError) if one.__module__ == HOME}
    assert spoken - set(TABLE) == set()


@pytest.mark.parametrize(
    ("constraint", "slug"),
    [("account_open", "account-frozen"), ("ck_balance_not_overdrawn", "insufficient-balance")],
)
def test_guard_of_the_database_is_a_conflict_and_no_fault(
    constraint: str, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "constraint_of", lambda _: constraint)
    fault = IntegrityError("insert", {}, Exception("text of the database"))
    problem = errors.problem_of(fault)
    assert (problem.meaning.status, problem.meaning.slug) == (409, slug)
    assert "database" not in problem.detail


def test_every_refusal_of_the_edge_has_its_line_in_the_table() -> None:
    assert kinds_of(faults.EdgeError) - set(TABLE) == set()


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/v1/me", 401, "sign-in-needed"),
        ("GET", "/v1/projects/NOPE", 404, "not-found"),
        ("GET", "/v1/nothing/here", 404, "not-found"),
        ("DELETE", "/v1/projects", 405, "method-not-allowed"),
        ("GET", "/v1/projects?limit=0", 422, "malformed-payload"),
        ("GET", "/v1/projects?after=%21%21", 422, "malformed-payload"),
        ("GET", "/v1/projects/%00", 422, "malformed-payload"),
        ("GET", "/v1/reports/not-a-uuid", 422, "malformed-payload"),
        ("GET", "/v1/log/consistency?first=5&second=4", 400, "invalid-value"),
    ],
)
def test_problem_has_the_members_of_rfc_9457(
    scene: Scene, method: str, path: str, status: int, slug: str
) -> None:
    answer = scene.public.client.request(method, path)
    problem = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"/problems/{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"].startswith("/v1")
    assert problem["environment"] == "sandbox"


def test_unauthorised_answer_names_the_scheme(scene: Scene) -> None:
    assert scene.public.get("/v1/me").headers["www-authenticate"] == 'Bearer realm="amanar"'


def test_malformed_body_names_every_place(scene: Scene) -> None:
    answer = scene.developer.post("/v1/projects", json={"code": "lower", "extra": 1})
    assert answer.status_code == 422
    places = {one["where"] for one in answer.json()["errors"]}
    assert places == {"body.code", "body.name", "body.country", "body.activity", "body.extra"}


def test_refusal_carries_its_values_for_programs(scene: Scene) -> None:
    answer = scene.buyer.post(
        f"/v1/listings/{scene.listing.id}/purchases", json={"quantity_kg": 999_999}
    )
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/listing-too-small"
    assert answer.json()["fields"]["asked_kg"] == 999_999


def test_type_of_a_problem_can_be_read_as_a_page(scene: Scene) -> None:
    page = scene.public.get("/problems/land-overlap")
    assert page.status_code == 200
    assert "Land already in another project" in page.text


def _broken_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/broken")

    @router.get("/secret")
    def fail() -> None:
        message = "password=hunter2"
        raise RuntimeError(message)

    @router.post("/unaudited")
    def write_without_audit(session: Transaction) -> dict[str, str]:
        project = session.get(Project, _PROJECT["id"])
        assert project is not None
        project.name = "changed behind the log's back"
        return {"done": "yes"}

    return router


_PROJECT: dict[str, object] = {}


@pytest.fixture
def broken(stage: Stage, settings: Settings) -> TestClient:
    """Give an application with two routes that do wrong."""
    _PROJECT["id"] = stage.land("RO-KEPT").project_id
    app = create_app(settings)
    app.include_router(_broken_routes())
    return TestClient(app, raise_server_exceptions=False)


def test_fault_of_ours_tells_nothing_of_the_inside(broken: TestClient) -> None:
    answer = broken.get("/v1/broken/secret")
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/fault-of-ours"
    assert "hunter2" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_commit_comes_before_the_answer_so_a_refused_commit_is_no_success(
    broken: TestClient,
) -> None:
    """A change without its audit row fails at commit: the client must not hear 'done'."""
    answer = broken.post("/v1/broken/unaudited")
    assert answer.status_code == 500
    assert "done" not in answer.text
    kept = broken.get("/v1/projects/RO-KEPT").json()
    assert kept["name"] != "changed behind the log's back"


def test_unreachable_database_is_not_ready_and_not_a_fault(settings: Settings) -> None:
    lost = settings.model_copy(
        update={"database_url": "postgresql+psycopg://amanar_app@/x?host=/nowhere"}
    )
    client = TestClient(create_app(lost), raise_server_exceptions=False)
    assert client.get("/health").status_code == 200
    for path in ("/ready", "/v1/projects"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.json()["type"] == "/problems/not-ready"
    assert client.get("/").status_code == 503
