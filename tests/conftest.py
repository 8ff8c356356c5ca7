"""Fixtures shared by all tests: a private cluster, one migrated template, a clone a test.

Every worker of pytest-xdist has its own cluster. A test that asks for `database` (or for
`settings`, `session`, `owner_session`, `world`, which build on it) gets a database of its own,
so it may commit, and what the database checks at commit is really checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import hypothesis
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlmodel import Session

from registry import db
from registry.cluster import ADMIN_ROLE, APP_ROLE, OWNER_ROLE, Cluster, throwaway_cluster
from registry.settings import Settings
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEMPLATE = "amanar"
hypothesis.settings.register_profile("shared-machine", deadline=None)
hypothesis.settings.load_profile("shared-machine")  # no timing in a test
_number = count(1)


@dataclass(frozen=True)
class Database:
    """Addresses of one test's database."""

    app_url: str
    """As amanar_app, the way the application connects."""
    owner_url: str
    """As its owner, the way migrations connect."""
    admin_url: str
    """As the cluster's superuser."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a database, so that `-m "not database"` leaves it out."""
    for item in items:
        if {"database", "cluster"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Run a private PostgreSQL whose database `amanar` is migrated: the template of the clones."""
    with throwaway_cluster() as running:
        _let_the_disk_be_late(running)
        db.migrate(running.owner_url)
        _make_small(running)
        yield running


def _let_the_disk_be_late(cluster: Cluster) -> None:
    """Commit to the operating system only: a killed server loses nothing, a power cut would."""
    with psycopg.connect(cluster.conninfo(ADMIN_ROLE, "postgres"), autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET fsync = off")
        admin.execute("ALTER SYSTEM SET full_page_writes = off")
        admin.execute("SELECT pg_reload_conf()")


def _make_small(cluster: Cluster) -> None:
    """Halve the template, so that cloning takes 0.04 s: two coordinate systems are enough."""
    with psycopg.connect(cluster.conninfo(ADMIN_ROLE, TEMPLATE), autocommit=True) as admin:
        admin.execute("DELETE FROM spatial_ref_sys WHERE srid NOT IN (4326, 6933)")
        admin.execute("VACUUM FULL")


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """Clone the template for one test and drop the clone afterwards."""
    name = f"test_{next(_number)}"
    with psycopg.connect(cluster.conninfo(ADMIN_ROLE, "postgres"), autocommit=True) as admin:
        copied = f"TEMPLATE {TEMPLATE} STRATEGY file_copy OWNER {OWNER_ROLE}"
        admin.execute(f"CREATE DATABASE {name} {copied}".encode())
        yield Database(
            app_url=cluster.url(APP_ROLE, name),
            owner_url=cluster.url(OWNER_ROLE, name),
            admin_url=cluster.url(ADMIN_ROLE, name),
        )
        db.dispose()
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    """Give the application's settings for this test's database."""
    return Settings(
        database_url=database.app_url,
        database_owner_url=database.owner_url,
        state_dir=tmp_path / "state",
        evidence_dir=tmp_path / "evidence",
        lock_timeout_ms=5_000,
    )


@pytest.fixture
def session(settings: Settings) -> Iterator[Session]:
    """Open a session as amanar_app; what is left open commits, so its deferred checks run."""
    with Session(db.engine(settings), expire_on_commit=False) as opened:
        yield opened
        _end(opened)


@pytest.fixture
def owner_session(database: Database) -> Iterator[Session]:
    """Open a session as the owner, for looking behind the application's back."""
    engine = create_engine(database.owner_url)
    with Session(engine, expire_on_commit=False) as opened:
        yield opened
        _end(opened)
    engine.dispose()


def _end(session: Session) -> None:
    """Commit, unless the test has already seen the transaction refused."""
    if session.is_active:
        session.commit()
    else:
        session.rollback()


@pytest.fixture
def world(settings: Settings) -> World:
    """Give a factory that fills the registry through its services, one commit a call."""
    return World(settings)
