"""Lists are read by keys: every row once, whatever is written meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.conftest import caller

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.api.conftest import Caller, Scene
    from tests.api.stage import Stage


def walk(who: Caller, path: str, *, limit: int) -> list[Any]:
    """Read a list to its end, `limit` rows at a time."""
    mark = "&" if "?" in path else "?"
    rows: list[Any] = []
    following: str | None = ""
    while following is not None:
        after = f"&after={following}" if following else ""
        answer = who.get(f"{path}{mark}limit={limit}{after}").json()
        assert len(answer["items"]) <= limit
        rows += answer["items"]
        following = answer["next"]
    return rows


LISTS = (
    "/v1/projects",
    "/v1/projects/{code}/reports",
    "/v1/projects/{code}/monitoring-requests",
    "/v1/projects/{code}/batches",
    "/v1/batches/{batch}/blocks",
    "/v1/verification/queue",
    "/v1/listings",
    "/v1/retirements",
    "/v1/log/events",
)


@pytest.mark.parametrize("pattern", LISTS)
def test_pages_of_one_row_make_the_whole_list(scene: Scene, pattern: str) -> None:
    code = scene.verifier.get(f"/v1/reports/{scene.waiting.id}").json()["project_code"]
    path = pattern.format(code=code, batch=scene.batch.id)
    whole = scene.verifier.get(path + "?limit=100").json()
    assert whole["next"] is None
    assert len(whole["items"]) >= 1
    assert walk(scene.verifier, path, limit=1) == whole["items"]
    assert walk(scene.verifier, path, limit=2) == whole["items"]


def test_row_written_meanwhile_is_neither_lost_nor_doubled(
    stage: Stage, client: TestClient
) -> None:
    who = caller(stage, client, None)
    for code in ("BB", "DD", "FF"):
        stage.world.project(stage.developer, code=code)
    first = who.get("/v1/projects?limit=2").json()
    stage.world.project(stage.developer, code="AA")
    stage.world.project(stage.developer, code="EE")
    rest = who.get(f"/v1/projects?limit=100&after={first['next']}").json()
    assert [one["code"] for one in first["items"] + rest["items"]] == ["BB", "DD", "EE", "FF"]


@pytest.mark.parametrize(
    "after", ["x", "!!", "W10", "WzFd", "bnVsbA", "WyJhIiwiYiJd", "e30", "A" * 600, "%00", "%F0"]
)
@pytest.mark.parametrize("path", ["/v1/projects", "/v1/listings", "/v1/log/events"])
def test_cursor_that_was_never_given_is_malformed(scene: Scene, path: str, after: str) -> None:
    """W10 is [], WzFd [1], bnVsbA null, WyJhIiwiYiJd ["a","b"], e30 {}."""
    answer = scene.public.get(f"{path}?after={after}")
    if (path, after) == ("/v1/log/events", "WzFd"):
        assert answer.status_code == 200
        return
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/malformed-payload"


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1e3", "99999999999999999999"])
def test_limit_outside_its_bounds_is_malformed(scene: Scene, limit: str) -> None:
    assert scene.public.get(f"/v1/projects?limit={limit}").status_code == 422


def test_pages_of_the_console_take_the_same_cursors(scene: Scene) -> None:
    assert scene.public.get("/?after=!!").status_code == 422
    following = scene.public.get("/v1/projects?limit=1").json()["next"]
    page = scene.public.get(f"/?after={following}")
    assert page.status_code == 200
