"""The models say what the migration makes, and migrating can be repeated."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from geoalchemy2 import alembic_helpers
from sqlalchemy import CheckConstraint, create_engine, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlmodel import Session, SQLModel

from registry import db
from registry.cluster import ADMIN_ROLE, APP_ROLE, OWNER_ROLE, Cluster
from registry.errors import EnvironmentMismatch, NotMigrated, RoleTooStrong
from registry.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[str]:
    """Make a database with extensions and nothing else; give its name."""
    with psycopg.connect(cluster.conninfo(ADMIN_ROLE, "postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE empty OWNER amanar_owner")
        with psycopg.connect(cluster.conninfo(ADMIN_ROLE, "empty"), autocommit=True) as inside:
            inside.execute("CREATE EXTENSION postgis")
            inside.execute("CREATE EXTENSION btree_gist")
        yield "empty"
        db.dispose()
        admin.execute("DROP DATABASE empty WITH (FORCE)")


def test_autogenerate_finds_no_difference(database: Database) -> None:
    engine = create_engine(database.owner_url)
    with engine.connect() as connection:
        options = {
            "include_object": alembic_helpers.include_object,
            "include_name": lambda name, kind, _: (
                kind != "table" or not name.startswith("procrastinate_")
            ),
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()


def test_checks_and_exclusions_are_the_same_which_autogenerate_does_not_compare(
    owner_session: Session,
) -> None:
    declared = {
        (table.name, str(constraint.name))
        for table in SQLModel.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint | ExcludeConstraint)
    }
    found = owner_session.connection().execute(
        text(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint"
            " JOIN pg_class ON pg_class.oid = conrelid"
            " WHERE contype IN ('c', 'x') AND relnamespace = 'public'::regnamespace"
            " AND relname NOT LIKE 'procrastinate%' AND relname <> 'spatial_ref_sys'"
        )
    )
    assert {(table, name) for table, name in found} == declared


def test_upgrading_an_empty_database_twice_changes_nothing(cluster: Cluster, empty: str) -> None:
    for _ in range(2):
        db.migrate(cluster.url(OWNER_ROLE, empty))
    settings = Settings(database_url=cluster.url(APP_ROLE, empty))
    db.check_ready(settings)
    with db.session_scope(settings) as session:
        pools = session.connection().execute(text("SELECT count(*) FROM account")).scalar_one()
    assert pools == 6


def test_two_migrations_at_once_wait_for_each_other(cluster: Cluster, empty: str) -> None:
    url = cluster.url(OWNER_ROLE, empty)
    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(db.migrate, url) for _ in range(2)]:
            done.result()
    db.check_ready(Settings(database_url=cluster.url(APP_ROLE, empty)))


def test_a_database_stays_what_it_was_born_as(cluster: Cluster, empty: str) -> None:
    url = cluster.url(OWNER_ROLE, empty)
    db.migrate(url, environment="production")
    with pytest.raises(EnvironmentMismatch, match="born production"):
        db.migrate(url, environment="sandbox")
    with pytest.raises(EnvironmentMismatch):
        db.check_ready(Settings(database_url=cluster.url(APP_ROLE, empty)))


def test_a_database_without_tables_is_not_served(cluster: Cluster, empty: str) -> None:
    with pytest.raises(NotMigrated, match="the code needs 0001"):
        db.check_ready(Settings(database_url=cluster.url(APP_ROLE, empty)))


def test_the_owner_and_the_superuser_are_refused_as_the_application(database: Database) -> None:
    for url in (database.owner_url, database.admin_url):
        with pytest.raises(RoleTooStrong):
            db.check_ready(Settings(database_url=url))


def test_a_given_password_becomes_the_applications(cluster: Cluster, empty: str) -> None:
    admin_url = cluster.url(ADMIN_ROLE, empty)
    db.migrate(admin_url, app_password="it's 100% secret:x")
    with psycopg.connect(cluster.conninfo(ADMIN_ROLE, empty)) as admin:
        stored = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'amanar_app'")
        assert str(stored.fetchone()).startswith("('SCRAM-SHA-256$")
