"""The application's role on a filled registry: no way, straight or roundabout, into history.

`test_history.py` asks the empty database rule by rule; here every table has rows, and the ways
around are tried as somebody would who holds the application's password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest
from psycopg import sql

from registry.domain.credits import Wanted
from registry.jobs import seal_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database
    from tests.registry.books import Books

SOME_COLUMN = {
    "environment": "kind",
    "command": "result",
    "audit_event": "content",
    "log_leaf": "event_seq",
    "checkpoint": "root_sha256",
    "verified_period": "period",
    "batch": "size_kg",
    "transfer": "code",
    "posting": "amount",
    "retirement": "beneficiary",
    "purchase": "amount_minor",
}
"""Tables of which no row may ever change, each with a column that somebody would like to change."""

PRESENT = ("balance", "credit_block", "monitoring_report", "review", "listing", "account", "claim")
"""Tables that change, guarded by triggers that must stay."""

CHANGES = (
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "TRUNCATE {table} CASCADE",
    "SELECT * FROM {table} FOR UPDATE",
    "MERGE INTO {table} USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
    "INSERT INTO {table} SELECT * FROM {table} ON CONFLICT DO UPDATE SET {column} = {column}",
)
DISARMING = (
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} DISABLE TRIGGER USER",
    "ALTER TABLE {table} OWNER TO amanar_app",
    "ALTER TABLE {table} ADD COLUMN hidden text",
    "DROP TABLE {table} CASCADE",
    "TRUNCATE {table} CASCADE",
    "CREATE RULE silent AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "CREATE TRIGGER late AFTER INSERT ON {table} EXECUTE FUNCTION refuse_change()",
)
REFUSALS = (psycopg.errors.InsufficientPrivilege, psycopg.errors.SyntaxError)


@pytest.fixture
def application(books: Books, database: Database) -> Iterator[psycopg.Connection]:
    """Connect as the application to a registry with a row in every table of history."""
    (batch,) = books.mint()
    books.buy(books.rich_buyer(), books.offer(batch, 2_000), 500)
    books.retire(books.seller, Wanted(batch.id, 10))
    seal_now(books.settings)
    address = database.app_url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection
    books.check()


def said_of(template: LiteralString, table: str) -> sql.Composed:
    column = sql.Identifier(SOME_COLUMN.get(table, "id"))
    return sql.SQL(template).format(table=sql.Identifier(table), column=column)


def test_every_table_of_history_has_rows(application: psycopg.Connection) -> None:
    for table in SOME_COLUMN:
        found = application.execute(said_of("SELECT count(*) FROM {table}", table)).fetchone()
        assert found is not None
        assert found[0] > 0, table


def test_no_statement_changes_history(application: psycopg.Connection) -> None:
    for table in SOME_COLUMN:
        for template in CHANGES:
            with pytest.raises(REFUSALS):
                application.execute(said_of(template, table))


def test_no_guard_can_be_taken_away(application: psycopg.Connection) -> None:
    for table in (*SOME_COLUMN, *PRESENT):
        for template in DISARMING:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                application.execute(said_of(template, table))


def test_ways_around_are_closed(application: psycopg.Connection) -> None:
    for statement in (
        b"DROP FUNCTION blocks_tile() CASCADE",
        b"ALTER FUNCTION refuse_change() RENAME TO gone",
        b"INSERT INTO transfer (id, code, actor, xact) VALUES (gen_random_uuid(), 'mint', 'x', 1)",
        b"SELECT lo_import('/etc/passwd')",
        b"COPY posting TO PROGRAM 'cat'",
        b"ALTER DATABASE postgres SET session_replication_role = replica",
        b"ALTER ROLE amanar_app SET session_replication_role = replica",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute(statement)


def test_nothing_is_granted_to_oneself(application: psycopg.Connection) -> None:
    """PostgreSQL only warns; what counts is that the right is still not there."""
    application.execute(b"GRANT UPDATE ON posting TO amanar_app")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(b"UPDATE posting SET amount = amount")


def test_deferred_checks_are_moved_but_never_skipped(application: psycopg.Connection) -> None:
    application.execute(b"BEGIN")
    application.execute(b"SET CONSTRAINTS ALL DEFERRED")
    application.execute(
        b"WITH made AS (INSERT INTO transfer (id, code, actor)"
        b" VALUES (gen_random_uuid(), 'correct', 'user:x') RETURNING id)"
        b" INSERT INTO posting (transfer_id, account_id, unit, amount)"
        b" SELECT made.id, account.id, 'XTS', 5 FROM made, account"
        b" WHERE account.kind = 'cash' LIMIT 1"
    )
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
        application.execute(b"COMMIT")


def test_temporary_table_cannot_stand_in_for_the_log(application: psycopg.Connection) -> None:
    """A guard that looked into a temporary audit_event would let a silent change through."""
    application.execute(b"BEGIN")
    application.execute(
        b"CREATE TEMP TABLE audit_event AS SELECT pg_current_xact_id()::text::bigint AS xact"
    )
    application.execute(b"UPDATE public.account SET state = 'frozen' WHERE kind = 'holding'")
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="audit event"):
        application.execute(b"COMMIT")
