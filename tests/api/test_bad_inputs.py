"""Nothing that a client sends ends in a 5xx, and no bad body leaves anything behind.

The bodies are the classes of trouble that real clients send, and whatever Hypothesis thinks of;
every path of the API's own description is tried, so a new path is tried too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.conftest import Scene

DEEP = "[" * 5_000 + "]" * 5_000
SURROGATE = r'{"name": "\ud800"}'

RAW_BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"12",
    b"\xff\xfe",
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": 1e400}',
    ('{"a": ' + "9" * 5_000 + "}").encode(),
    DEEP.encode(),
    SURROGATE.encode(),
    b'{"name": "a\\u0000b"}',
    b'{"a": 1, "a": 2}',
)


def writes(scene: Scene) -> Iterator[tuple[str, str, bool]]:
    """Give every POST path with ids that exist nowhere, and whether it takes JSON."""
    described = scene.public.get("/v1/openapi.json").json()
    nowhere = "00000000-0000-0000-0000-000000000000"
    for path, methods in described["paths"].items():
        if "post" not in methods:
            continue
        content = methods["post"].get("requestBody", {}).get("content", {})
        filled = path
        for name in ("key_id", "report_id", "listing_id", "request_id", "area_id"):
            filled = filled.replace("{" + name + "}", nowhere)
        yield filled.replace("{code}", "NOWHERE"), path, "application/json" in content


def test_all_paths_are_tried(scene: Scene) -> None:
    assert sum(1 for _ in writes(scene)) >= 15


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", "application/xml"])
def test_raw_body_never_ends_in_a_fault_of_ours(scene: Scene, content_type: str) -> None:
    for filled, path, _ in writes(scene):
        for raw in RAW_BODIES:
            answer = scene.developer.post(
                filled, content=raw, headers={"Content-Type": content_type}
            )
            assert answer.status_code < 500, (path, raw[:40], answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", " ", "0", "-1", "1e999", "2016-02-30", "9999-12-31", "0001-01-01"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)

GOOD: dict[str, dict[str, Any]] = {
    "/v1/sign-in": {"email": "a@b.example", "password": "x"},
    "/v1/organisations": {"name": "O", "country": "RO"},
    "/v1/users": {
        "organisation_id": "0190a5d0-0000-7000-8000-000000000000",
        "email": "a@b.example",
        "name": "A",
        "roles": ["buyer"],
        "password": "a long sentence",
    },
    "/v1/api-keys": {"label": "k"},
    "/v1/projects": {
        "code": "X-1",
        "name": "X",
        "country": "RO",
        "activity": "a",
        "methodology": "m",
        "description": "",
    },
    "/v1/monitoring-requests": {
        "area_id": "0190a5d0-0000-7000-8000-000000000000",
        "start": "2016-01-01",
        "end": "2016-12-31",
        "catalog": "c",
        "collection": "c",
        "sensor": "auto",
        "season": "06-01/08-31",
        "methodology": "m",
        "parameters": {},
        "plots_sha256": "0" * 64,
    },
    "/v1/listings": {
        "batch_id": "0190a5d0-0000-7000-8000-000000000000",
        "quantity_kg": 1,
        "price_minor_per_t": 1,
        "currency": "XTS",
        "expires_at": "2030-01-01T00:00:00Z",
    },
    "/v1/transfers": {
        "batch_id": "0190a5d0-0000-7000-8000-000000000000",
        "quantity_kg": 1,
        "to_organisation_id": "0190a5d0-0000-7000-8000-000000000001",
    },
    "/v1/retirements": {
        "batch_id": "0190a5d0-0000-7000-8000-000000000000",
        "quantity_kg": 1,
        "beneficiary": "b",
        "purpose": "p",
        "country": "RO",
        "period": {"start": "2020-01-01", "end": "2020-12-31"},
        "note": "n",
    },
    "/v1/sandbox/deposits": {"amount_minor": 1, "organisation_id": None},
}


@pytest.mark.parametrize("path", GOOD)
def test_one_wild_value_never_ends_in_a_fault_of_ours(scene: Scene, path: str) -> None:
    callers = list(scene.callers().values())
    names = sorted(GOOD[path])

    @settings(
        max_examples=60,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(name=st.sampled_from(names), value=VALUES, who=st.sampled_from(range(len(callers))))
    def try_one(name: str, value: Any, who: int) -> None:
        body = {**GOOD[path], name: value}
        answer = callers[who].post(
            path,
            content=json.dumps(body, ensure_ascii=True).encode(),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code < 500, (body, answer.text)

    try_one()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/projects/..%2f..%2fetc%2fpasswd",
        "/v1/projects/%F0%28%8C%28",
        "/v1/projects/' OR 1=1 --",
        "/v1/retirements?project=%00",
        "/v1/retirements?project=" + "A" * 33,
        "/v1/log/events?subject=project:' OR 1=1",
        "/v1/log/proof?action=a&subject=b",
        "/v1/log/consistency?first=0&second=99999999999999999999999",
        "/v1/listings?state=stolen",
        "/v1/batches/0190a5d0-0000-7000-8000-000000000000/blocks",
        "/v1/areas/zzz/boundary",
        "/projects/%00",
        "/batches/zzz",
        "/retirements/0190a5d0-0000-7000-8000-000000000000",
        "/market/zzz",
        "/review/zzz",
        "/problems/%00",
        "/static/..%2f..%2fmain.py",
        "/static/base.html",
    ],
)
def test_wild_address_never_ends_in_a_fault_of_ours(scene: Scene, path: str) -> None:
    answer = scene.public.get(path)
    assert answer.status_code < 500
    assert "import" not in answer.text


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"quantity_kg": 0}, "body.quantity_kg"),
        ({"quantity_kg": -1}, "body.quantity_kg"),
        ({"quantity_kg": 1.5}, "body.quantity_kg"),
        ({"quantity_kg": 2**53}, "body.quantity_kg"),
        ({"quantity_kg": "many"}, "body.quantity_kg"),
        ({"beneficiary": "  "}, "body.beneficiary"),
        ({"beneficiary": "two\nlines"}, "body.beneficiary"),
        ({"country": "Romania"}, "body.country"),
        ({"period": {"start": "2020-02-01", "end": "2020-01-01"}}, "body"),
        ({"surprise": 1}, "body.surprise"),
    ],
)
def test_bad_retirement_is_named_at_its_place_and_retires_nothing(
    scene: Scene, body: dict[str, Any], place: str
) -> None:
    whole = {**GOOD["/v1/retirements"], "batch_id": str(scene.batch.id), **body}
    answer = scene.buyer.post("/v1/retirements", json=whole)
    assert answer.status_code == 422
    assert [one["where"] for one in answer.json()["errors"]] == [place]
    assert len(scene.public.get("/v1/retirements").json()["items"]) == 1


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("catalog", "https://me:secret@stac.example/v1", "user name or password"),
        ("catalog", "https://me@stac.example", "user name or password"),
        ("sensor", "../cards/mine", "is a path"),
        ("sensor", "mine.JSON", "is a path"),
        ("end", "9999-12-31", "the calendar's last day"),
        ("end", "9998-12-31", "after today"),
    ],
)
def test_value_that_no_request_may_have_is_refused_in_a_sentence(
    scene: Scene, field: str, value: str, word: str
) -> None:
    body = {**GOOD["/v1/monitoring-requests"], "plots_sha256": None, "parameters": {}}
    body |= {"area_id": str(scene.queued.area_id), field: value}
    answer = scene.developer.post("/v1/monitoring-requests", json=body)
    assert answer.status_code == 400
    assert word in answer.json()["detail"]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"buffer_percent": 3}, "buffer_percent"),
        ({"buffer_percnt": 20}, "buffer_percnt"),
        ({"t0": "yesterday"}, "t0"),
    ],
)
def test_fault_in_the_project_file_is_told_before_anything_is_queued(
    scene: Scene, parameters: dict[str, Any], word: str
) -> None:
    body = {**GOOD["/v1/monitoring-requests"], "parameters": parameters, "plots_sha256": None}
    answer = scene.developer.post("/v1/monitoring-requests", json=body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/file-refused"
    assert word in answer.json()["detail"]
