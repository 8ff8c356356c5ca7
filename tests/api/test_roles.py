"""Who may call what: every writing path against every role, and the public.

Expected values: the contract of the roles (developer, verifier, buyer, operator), not the table in
the code. A path that is open to a role may still refuse for another reason, but never with 401,
and with 403 only because something belongs to somebody else.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from registry.domain.roles import Role
from tests.api.conftest import Caller
from tests.world import square

if TYPE_CHECKING:
    from tests.api.conftest import Scene

NOBODY = UUID(int=0)
ALL = {"developer", "verifier", "buyer", "operator"}

WRITES: dict[str, tuple[str, set[str], dict[str, Any]]] = {
    "organisation": (
        "/v1/organisations",
        {"operator"},
        {"json": {"name": "A new one", "country": "RO"}},
    ),
    "person": (
        "/v1/users",
        {"operator"},
        {
            "json": {
                "organisation_id": str(NOBODY),
                "email": "a@b.example",
                "name": "A",
                "roles": ["buyer"],
            }
        },
    ),
    "key": ("/v1/api-keys", ALL, {"json": {"label": "mine"}}),
    "project": (
        "/v1/projects",
        {"developer"},
        {"json": {"code": "XX-1", "name": "X", "country": "RO", "activity": "trees"}},
    ),
    "area": (
        "/v1/projects/{code}/areas",
        {"developer"},
        {"files": {"file": ("a.geojson", b"{}", "application/geo+json")}},
    ),
    "plots": (
        "/v1/projects/{code}/plots",
        {"developer"},
        {"files": {"file": ("p.csv", b"x", "text/csv")}},
    ),
    "request": (
        "/v1/monitoring-requests",
        {"developer"},
        {
            "json": {
                "area_id": str(NOBODY),
                "start": "2016-01-01",
                "end": "2016-12-31",
                "catalog": "c.json",
                "collection": "s2",
            }
        },
    ),
    "cancellation": ("/v1/monitoring-requests/{nobody}/cancellation", {"developer"}, {}),
    "review": ("/v1/reports/{waiting}/review", {"verifier"}, {}),
    "decision": (
        "/v1/reports/{waiting}/decision",
        {"verifier"},
        {"json": {"decision": "refuse", "reasons": "no", "evidence_digest": "other"}},
    ),
    "listing": (
        "/v1/listings",
        {"developer", "buyer"},
        {"json": {"batch_id": str(NOBODY), "quantity_kg": 1, "price_minor_per_t": 1}},
    ),
    "withdrawal": ("/v1/listings/{nobody}/withdrawal", {"developer", "buyer"}, {}),
    "purchase": (
        "/v1/listings/{nobody}/purchases",
        {"buyer"},
        {"json": {"quantity_kg": 1}},
    ),
    "deposit": ("/v1/sandbox/deposits", {"buyer", "operator"}, {"json": {"amount_minor": 1}}),
    "transfer": (
        "/v1/transfers",
        {"developer", "buyer"},
        {
            "json": {
                "batch_id": str(NOBODY),
                "quantity_kg": 1,
                "to_organisation_id": str(NOBODY),
            }
        },
    ),
    "retirement": (
        "/v1/retirements",
        {"developer", "buyer"},
        {
            "json": {
                "batch_id": str(NOBODY),
                "quantity_kg": 1,
                "beneficiary": "B",
                "purpose": "P",
            }
        },
    ),
}


def path_of(scene: Scene, pattern: str) -> str:
    """Fill in the ids of the scene."""
    return pattern.format(
        code=scene.public.get("/v1/projects").json()["items"][0]["code"],
        waiting=scene.waiting.id,
        nobody=NOBODY,
    )


@pytest.mark.parametrize("name", WRITES)
def test_write_needs_somebody(scene: Scene, name: str) -> None:
    pattern, _, body = WRITES[name]
    answer = scene.public.post(path_of(scene, pattern), **body)
    assert answer.status_code == 401


@pytest.mark.parametrize("name", WRITES)
def test_write_is_refused_to_every_other_role(scene: Scene, name: str) -> None:
    pattern, allowed, body = WRITES[name]
    for role, caller in scene.callers().items():
        answer = caller.post(path_of(scene, pattern), **body)
        if role in allowed:
            assert answer.status_code not in (401, 403), (role, answer.text)
        else:
            assert answer.status_code == 403, (role, answer.text)
            assert answer.json()["type"] in ("/problems/not-allowed", "/problems/not-yours")
        assert answer.status_code < 500, answer.text


def test_queue_is_for_verifiers(scene: Scene) -> None:
    answers = {
        role: caller.get("/v1/verification/queue").status_code
        for role, caller in scene.callers().items()
    }
    assert answers == {"developer": 403, "verifier": 200, "buyer": 403, "operator": 403}


@pytest.mark.parametrize("path", ["/v1/balances", "/v1/purchases", "/v1/api-keys", "/v1/me"])
def test_what_is_ones_own_needs_somebody(scene: Scene, path: str) -> None:
    assert scene.public.get(path).status_code == 401
    assert scene.buyer.get(path).status_code == 200


def test_other_developer_cannot_touch_the_project(scene: Scene) -> None:
    other = scene.stage.world.developer()
    stranger = Caller(scene.public.client, scene.stage.token(other))
    code = scene.public.get("/v1/projects").json()["items"][0]["code"]
    boundary = square(30, 30).__geo_interface__
    polygon = {"type": "Feature", "properties": {}, "geometry": boundary}
    answer = stranger.post(
        f"/v1/projects/{code}/areas",
        files={"file": ("a.geojson", json.dumps(polygon).encode())},
    )
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/not-yours"


def test_verifier_of_the_projects_own_organisation_may_not_take_it(scene: Scene) -> None:
    own = scene.stage.world.person(
        Role.VERIFIER, organisation_id=scene.stage.developer.organisation()
    )
    caller = Caller(scene.public.client, scene.stage.token(own))
    assert caller.get("/v1/verification/queue").json()["items"] == []
    answer = caller.post(f"/v1/reports/{scene.waiting.id}/review")
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/own-report"


def test_revoked_key_and_foreign_scheme_are_refused(scene: Scene) -> None:
    made = scene.buyer.post("/v1/api-keys", json={"label": "short-lived"}).json()
    by_key = Caller(scene.public.client, made["key"])
    assert by_key.get("/v1/me").json()["roles"] == ["buyer"]
    scene.buyer.post(f"/v1/api-keys/{made['id']}/revocation")
    refused = by_key.get("/v1/me")
    assert refused.status_code == 401
    assert refused.json()["type"] == "/problems/key-refused"
    secret = made["key"].encode()
    wrong = (b"Basic YTpi", b"Bearer", b"Bearer  ", secret, b"Bearer a.b.c", b"Bearer \xff\xfe")
    for header in wrong:
        answer = scene.public.client.get("/v1/me", headers={b"Authorization": header})
        assert answer.status_code == 401


def test_wrong_credential_is_refused_on_open_paths_too(scene: Scene) -> None:
    wrong = Caller(scene.public.client, "amk_000000000000_wrong")
    assert wrong.post("/v1/projects", json={}).status_code in (401, 422)
    assert wrong.get("/v1/me").status_code == 401
