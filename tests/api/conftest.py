"""Fixtures of the edge's tests: a client on a real database, and a stage with credits on it.

`stage` and `client` are of one test, `shared` and its friends of one file: those are for tests that
read, are refused, or change only what nobody else looks at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from starlette.testclient import TestClient

from api.main import create_app
from registry import db
from registry.cluster import ADMIN_ROLE, APP_ROLE, OWNER_ROLE
from registry.domain.ids import new_id
from registry.settings import Settings
from tests.api.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx2 import Response

    from registry.cluster import Cluster
    from registry.domain.roles import Actor
    from registry.tables.credits import Batch, Retirement
    from registry.tables.market import Listing, Purchase
    from registry.tables.monitoring import MonitoringReport, MonitoringRequest


@dataclass(frozen=True)
class Caller:
    """Calls the API as one person, with a fresh command id for every write unless one is given."""

    client: TestClient
    token: str | None = None

    def get(self, path: str, **options: Any) -> Response:
        """Read."""
        return self.client.get(path, headers=self._headers(options), **options)

    def post(self, path: str, **options: Any) -> Response:
        """Write; `command_id` may be given."""
        command_id = options.pop("command_id", None) or new_id()
        headers = self._headers(options)
        headers.setdefault("Command-Id", str(command_id))
        return self.client.post(path, headers=headers, **options)

    def _headers(self, options: dict[str, Any]) -> dict[str, str]:
        headers: dict[str, str] = dict(options.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        return headers


@dataclass(frozen=True)
class Scene:
    """A stage on which everything has happened once, and those who can call."""

    stage: Stage
    public: Caller
    developer: Caller
    verifier: Caller
    buyer: Caller
    operator: Caller
    waiting: MonitoringReport
    """A report that nobody has taken."""
    refused: MonitoringReport
    batch: Batch
    listing: Listing
    purchase: Purchase
    retirement: Retirement
    queued: MonitoringRequest

    def callers(self) -> dict[str, Caller]:
        """Give those who are signed in, by their role."""
        return {
            "developer": self.developer,
            "verifier": self.verifier,
            "buyer": self.buyer,
            "operator": self.operator,
        }


@pytest.fixture
def stage(settings: Settings) -> Stage:
    """Give an empty stage of this test's own."""
    return Stage(settings)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """Give a client of this test's own application."""
    with make_client(settings) as made:
        yield made


def make_client(settings: Settings) -> TestClient:
    """Make a client that follows no redirect and raises nothing of the server's."""
    return TestClient(create_app(settings), raise_server_exceptions=False, follow_redirects=False)


def caller(stage: Stage, client: TestClient, actor: Actor | None) -> Caller:
    """Give the way in which one person calls."""
    return Caller(client, None if actor is None else stage.token(actor))


@pytest.fixture(scope="module")
def shared_settings(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Settings]:
    """Give a database that all tests of one file share."""
    name = f"edge_{request.module.__name__.rpartition('.')[2]}"
    folder = tmp_path_factory.mktemp(name)
    with psycopg.connect(cluster.conninfo(ADMIN_ROLE, "postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE amanar OWNER {OWNER_ROLE}".encode())
        yield Settings(
            database_url=cluster.url(APP_ROLE, name),
            database_owner_url=cluster.url(OWNER_ROLE, name),
            state_dir=folder / "state",
            evidence_dir=folder / "evidence",
            lock_timeout_ms=5_000,
        )
        db.dispose()
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="module")
def scene(shared_settings: Settings) -> Iterator[Scene]:
    """Give a stage on which everything has happened once."""
    with make_client(shared_settings) as client:
        yield play(Stage(shared_settings), client)


def play(stage: Stage, client: TestClient) -> Scene:
    """Let everything happen once: a mint, a refusal, an offer, a purchase, a retirement."""
    batch = stage.mint()
    stage.deposit()
    listing = stage.offer(batch)
    purchase = stage.buy(listing)
    retirement = stage.retire(batch)
    refused = stage.report(stage.land())
    stage.decide(refused, "refuse")
    waiting = stage.report(net=40.0)
    stage.seal()
    nobody = caller(stage, client, None)
    return Scene(
        stage=stage,
        public=nobody,
        developer=replace(nobody, token=stage.token(stage.developer)),
        verifier=replace(nobody, token=stage.token(stage.verifier)),
        buyer=replace(nobody, token=stage.token(stage.buyer)),
        operator=replace(nobody, token=stage.token(stage.operator)),
        waiting=waiting,
        refused=refused,
        batch=batch,
        listing=listing,
        purchase=purchase,
        retirement=retirement,
        queued=stage.request(stage.land()),
    )
