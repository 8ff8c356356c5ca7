"""Engines, transactions and migrations; imports tables, settings and errors.

Order: engines, the one transaction at the edge, violated constraints, the checks at the start,
migrations.
Services take a session and never commit; `session_scope` commits, once, at the edge.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session

from registry.errors import EnvironmentMismatch, NotMigrated, RoleTooStrong

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import orm

    from registry.settings import Settings

APP_ROLE = "amanar_app"
MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x616D616E61720001
"""Key of the advisory lock that lets one migration run at a time: "amanar", 1."""


def engine(settings: Settings) -> Engine:
    """Give the application's engine; one pool a process and URL, made on first use."""
    return _engine(settings.url(), settings.lock_timeout_ms)


def dispose() -> None:
    """Close the idle connections of every pool (a fork, a test's end, a shutdown)."""
    for made in _made:
        made.dispose()
    _made.clear()
    _engine.cache_clear()


_made: list[Engine] = []


@lru_cache
def _engine(url: str, lock_timeout_ms: int) -> Engine:
    made = create_engine(url, pool_pre_ping=True, connect_args=connect_args(lock_timeout_ms))
    _made.append(made)
    return made


def connect_args(lock_timeout_ms: int = 10_000) -> dict[str, str]:
    """Give libpq options: UTC, a bounded wait for locks, no transaction left idle for ever.

    No JIT: it takes 0.1 s to compile the claim of an area's cells, which then runs in 0.01 s.
    """
    chosen = {
        "timezone": "UTC",
        "lock_timeout": str(lock_timeout_ms),
        "idle_in_transaction_session_timeout": "600000",
        "jit": "off",
    }
    return {"options": " ".join(f"-c {name}={value}" for name, value in chosen.items())}


@contextmanager
def session_scope(settings: Settings) -> Iterator[Session]:
    """Open one session and one transaction: committed at the end, rolled back on any fault.

    What the database checks only at commit (sums, tiles, audit rows) is raised from here.
    """
    with Session(engine(settings), expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def translating(session: orm.Session, refusals: Mapping[str, Exception]) -> Iterator[None]:
    """Flush what the block adds; turn a violated constraint into the refusal that it means.

    The block runs in a savepoint, so after the refusal the transaction can still be read from.

    Parameters
    ----------
    refusals
        Constraint name to what is raised; other violations pass on as they are.
    """
    try:
        with session.begin_nested():
            yield
            session.flush()
    except IntegrityError as fault:
        refusal = refusals.get(constraint_of(fault) or "")
        if refusal is None:
            raise
        raise refusal from fault


def constraint_of(fault: DBAPIError) -> str | None:
    """Name the constraint or guard that a statement violated; None if it was something else."""
    if isinstance(fault.orig, psycopg.Error):
        return fault.orig.diag.constraint_name
    return None


def check_ready(settings: Settings) -> None:
    """Refuse to serve on a database that is not ours to serve; call it once at the start.

    Raises
    ------
    NotMigrated
        If the schema is older or newer than the code.
    EnvironmentMismatch
        If the database was born as something else than the settings say.
    RoleTooStrong
        If the connection's role could change history.
    """
    with engine(settings).connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        needed = ScriptDirectory.from_config(alembic_config()).get_current_head()
        if found != needed:
            raise NotMigrated(found=found, needed=needed)
        _require_environment(connection, settings.environment)
        strong = connection.execute(text(_STRONG_ROLE)).scalar_one()
        if strong:
            role = connection.execute(text("SELECT current_user")).scalar_one()
            raise RoleTooStrong(role=role)


_STRONG_ROLE = """
SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    OR has_table_privilege('audit_event', 'UPDATE, DELETE, TRUNCATE, TRIGGER')
    OR pg_has_role(current_user, (SELECT relowner FROM pg_class
                                  WHERE oid = 'audit_event'::regclass), 'MEMBER')
"""


def migrate(
    owner_url: str, *, environment: str = "sandbox", app_password: str | None = None
) -> None:
    """Bring the database to the newest schema; safe to repeat and to run twice at once.

    Parameters
    ----------
    owner_url
        SQLAlchemy URL of the owner. PostGIS and btree_gist must exist or the owner may create
        them; likewise the role `amanar_app`.
    environment
        What a new database is born as, for ever: `sandbox` or `production`.
    app_password
        Given: set as the password of `amanar_app`, for servers that ask for one.

    Raises
    ------
    EnvironmentMismatch
        If the database was born as something else.
    """
    made = create_engine(owner_url, connect_args=connect_args(lock_timeout_ms=60_000))
    try:
        with made.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config = alembic_config()
            config.attributes["connection"] = connection
            config.attributes["environment"] = environment
            command.upgrade(config, "head")
            _require_environment(connection, environment)
            if app_password is not None:
                _set_app_password(connection, app_password)
    finally:
        made.dispose()


def alembic_config() -> Config:
    """Give Alembic's configuration; the connection is put into `attributes` by the caller."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _require_environment(connection: Connection, asked: str) -> None:
    born = connection.execute(text("SELECT kind FROM environment")).scalar_one()
    if born != asked:
        raise EnvironmentMismatch(born=born, asked=asked)


def _set_app_password(connection: Connection, password: str) -> None:
    """Set the password; a plain cursor, for SQLAlchemy's would read a percent sign in it."""
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
        sql.Identifier(APP_ROLE), sql.Literal(password)
    )
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(driver)
    driver.execute(statement)
