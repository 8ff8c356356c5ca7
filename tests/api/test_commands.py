"""The same command id again: the first result, once; with other content: refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.domain.ids import new_id
from tests.api.conftest import caller
from tests.world import square

if TYPE_CHECKING:
    from httpx2 import Response
    from starlette.testclient import TestClient

    from tests.api.conftest import Caller
    from tests.api.stage import Stage


def twice(who: Caller, path: str, **body: Any) -> tuple[Response, Response]:
    """Send the same command twice."""
    command_id = new_id()
    return (
        who.post(path, command_id=command_id, **body),
        who.post(path, command_id=command_id, **body),
    )


PROJECT = {"code": "RO-ONCE", "name": "Once", "country": "RO", "activity": "Forest left alone"}


def test_project_is_registered_once(stage: Stage, client: TestClient) -> None:
    developer = caller(stage, client, stage.developer)
    first, second = twice(developer, "/v1/projects", json=PROJECT)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert [one["code"] for one in developer.get("/v1/projects").json()["items"]] == ["RO-ONCE"]


def test_same_id_with_other_content_is_refused(stage: Stage, client: TestClient) -> None:
    developer = caller(stage, client, stage.developer)
    command_id = new_id()
    developer.post("/v1/projects", json=PROJECT, command_id=command_id)
    other = developer.post("/v1/projects", json={**PROJECT, "name": "Twice"}, command_id=command_id)
    assert other.status_code == 409
    assert other.json()["type"] == "/problems/command-conflict"


def test_same_id_of_somebody_else_is_refused(stage: Stage, client: TestClient) -> None:
    command_id = new_id()
    mine = caller(stage, client, stage.developer)
    mine.post("/v1/projects", json=PROJECT, command_id=command_id)
    other = caller(stage, client, stage.world.developer())
    answer = other.post("/v1/projects", json=PROJECT, command_id=command_id)
    assert answer.status_code == 409


@pytest.mark.parametrize("header", [None, "", "not-a-uuid", "1"])
def test_command_without_an_id_is_malformed(
    stage: Stage, client: TestClient, header: str | None
) -> None:
    headers = {"Authorization": f"Bearer {stage.token(stage.developer)}"}
    if header is not None:
        headers["Command-Id"] = header
    answer = client.post("/v1/projects", json=PROJECT, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "header.Command-Id"


def test_boundary_is_claimed_once(stage: Stage, client: TestClient) -> None:
    developer = caller(stage, client, stage.developer)
    developer.post("/v1/projects", json=PROJECT)
    feature = {
        "type": "Feature",
        "properties": {"name": "Slope"},
        "geometry": square(22, 46).__geo_interface__,
    }
    file = {"file": ("slope.geojson", json.dumps(feature).encode())}
    first, second = twice(developer, "/v1/projects/RO-ONCE/areas", files=file)
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] == second.json()["id"]
    assert len(developer.get("/v1/projects/RO-ONCE/areas").json()["items"]) == 1


def test_key_is_shown_once_and_not_again(stage: Stage, client: TestClient) -> None:
    first, second = twice(caller(stage, client, stage.buyer), "/v1/api-keys", json={"label": "k"})
    assert first.json()["key"].startswith("amk_")
    assert second.json()["key"] is None
    assert first.json()["id"] == second.json()["id"]


def test_decision_mints_once(stage: Stage, client: TestClient) -> None:
    report = stage.report()
    stage.take(report)
    body = {
        "decision": "approve",
        "reasons": "Replayed, same digest.",
        "evidence_digest": report.digest,
    }
    verifier = caller(stage, client, stage.verifier)
    first, second = twice(verifier, f"/v1/reports/{report.id}/decision", json=body)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    code = first.json()["report"]["project_code"]
    batches = verifier.get(f"/v1/projects/{code}/batches").json()["items"]
    assert [one["size"]["kg"] for one in batches] == [20_000]


def test_money_credits_and_retirement_move_once(stage: Stage, client: TestClient) -> None:
    batch = stage.mint()
    buyer = caller(stage, client, stage.buyer)
    seller = caller(stage, client, stage.developer)
    first, second = twice(buyer, "/v1/sandbox/deposits", json={"amount_minor": 50_000})
    assert first.json()["transfer_id"] == second.json()["transfer_id"]
    offer = {"batch_id": str(batch.id), "quantity_kg": 5_000, "price_minor_per_t": 1_000}
    first, second = twice(seller, "/v1/listings", json=offer)
    assert first.json()["id"] == second.json()["id"]
    listing = first.json()["id"]
    first, second = twice(buyer, f"/v1/listings/{listing}/purchases", json={"quantity_kg": 2_000})
    assert first.json()["id"] == second.json()["id"]
    use = {
        "batch_id": str(batch.id),
        "quantity_kg": 1_350,
        "beneficiary": "Bakery",
        "purpose": "Deliveries",
    }
    first, second = twice(buyer, "/v1/retirements", json=use)
    assert first.json() == second.json()
    balances = buyer.get("/v1/balances").json()
    assert balances["cash"] == [{"minor": 48_000, "currency": "XTS", "text": "480.00 XTS"}]
    assert [(one["state"], one["quantity"]["tonnes"]) for one in balances["holdings"]] == [
        ("active", "0.650")
    ]
    assert buyer.get("/v1/invariants").json()["holds"] is True


def test_a_gift_moves_once_and_keeps_its_claim(stage: Stage, client: TestClient) -> None:
    batch = stage.mint()
    seller = caller(stage, client, stage.developer)
    buyer = caller(stage, client, stage.buyer)
    gift = {
        "batch_id": str(batch.id),
        "quantity_kg": 250,
        "to_organisation_id": str(stage.buyer.organisation_id),
    }
    first, second = twice(seller, "/v1/transfers", json=gift)
    assert first.status_code == second.status_code == 201, first.text
    assert first.json() == second.json()
    assert first.json()["claim"]["kind"] == "demonstration"
    held = buyer.get("/v1/balances").json()["holdings"]
    assert [one["quantity"]["kg"] for one in held] == [250]
    assert buyer.get("/v1/invariants").json()["holds"] is True


def test_retired_credits_cannot_be_retired_again(stage: Stage, client: TestClient) -> None:
    batch = stage.mint()
    stage.deposit()
    stage.buy(stage.offer(batch))
    stage.retire(batch, 2_000)
    answer = caller(stage, client, stage.buyer).post(
        "/v1/retirements",
        json={"batch_id": str(batch.id), "quantity_kg": 1, "beneficiary": "B", "purpose": "P"},
    )
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/insufficient-balance"
