"""What the database refuses whoever asks: changed history, unaudited changes, a stronger role."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlmodel import select

from registry.db import constraint_of
from registry.domain.ids import new_id
from registry.services import audit
from registry.tables.accounts import Account, Organisation
from registry.tables.audit import AuditEvent, LogLeaf
from registry.tables.base import Environment
from registry.tables.credits import Balance, Posting, Transfer
from tests.world import SETUP, World

if TYPE_CHECKING:
    from uuid import UUID

    from sqlmodel import Session

HISTORY = (
    "audit_event",
    "batch",
    "checkpoint",
    "command",
    "environment",
    "log_leaf",
    "posting",
    "purchase",
    "retirement",
    "transfer",
    "verified_period",
)

CHANGES = ("UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE")


def first_column(session: Session, table: str) -> str:
    found = session.connection().execute(
        text(
            "SELECT attname FROM pg_attribute"
            " WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 AND attidentity = ''"
            " ORDER BY attnum LIMIT 1"
        ),
        {"name": table},
    )
    return f'"{found.scalar_one()}"'


def run(session: Session, statement: str) -> None:
    session.connection().execute(text(statement))


def note(session: Session) -> AuditEvent:
    """Record something, so that the transaction has its event."""
    return audit.record(
        session, actor=SETUP, action="tests:thing:do", subject="thing:1", content={"n": 1}
    )


# --- history ------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", HISTORY)
def test_the_application_may_not_change_history(session: Session, table: str) -> None:
    column = first_column(session, table)
    for change in CHANGES:
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            session.begin_nested(),
        ):
            run(session, change.format(table, column, column))


@pytest.mark.parametrize("table", HISTORY)
def test_not_even_the_owner_changes_history(owner_session: Session, table: str) -> None:
    column = first_column(owner_session, table)
    for change in CHANGES:
        with (
            pytest.raises(IntegrityError, match="is history") as refused,
            owner_session.begin_nested(),
        ):
            run(owner_session, change.format(table, column, column))
        assert constraint_of(refused.value) == "frozen_history"


@pytest.mark.parametrize("column", ["estimate", "estimate_sha256", "digest", "evidence_uri"])
def test_not_even_the_owner_changes_what_was_filed(owner_session: Session, column: str) -> None:
    with pytest.raises(IntegrityError, match="is history"):
        run(owner_session, f"UPDATE monitoring_report SET {column} = DEFAULT")  # noqa: S608


def test_truncating_what_history_refers_to_is_refused_too(owner_session: Session) -> None:
    with pytest.raises(IntegrityError, match="is history"):
        run(owner_session, "TRUNCATE account CASCADE")


# --- the application's role ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "ALTER TABLE posting DROP CONSTRAINT ck_posting_amount",
        "DROP TRIGGER frozen ON posting",
        "DROP TABLE posting",
        "SET session_replication_role = replica",
        "SET ROLE amanar_owner",
        "CREATE TABLE mine (id int)",
        "CREATE OR REPLACE FUNCTION require_audit() RETURNS trigger LANGUAGE sql AS ''",
        "ALTER ROLE amanar_app SUPERUSER",
        "UPDATE balance SET amount = 1",
        "INSERT INTO balance VALUES (gen_random_uuid(), 'XTS', 5, false)",
        "INSERT INTO environment VALUES (2, 'production')",
        "UPDATE environment SET kind = 'production'",
        "UPDATE project SET code = 'X'",
        "UPDATE area SET geom = geom",
        "UPDATE account SET kind = 'cash_source'",
        "UPDATE credit_block SET kind = 'issuable'",
        "UPDATE monitoring_report SET kind = 'issuable'",
        "UPDATE monitoring_report SET estimate = '{}'",
        "UPDATE monitoring_report SET estimate_sha256 = ''",
        "DELETE FROM claim",
        "DELETE FROM organisation",
    ],
)
def test_the_application_has_no_right_to(session: Session, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be|must have|not have"):
        run(session, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_event (xact) VALUES (1)",
        "INSERT INTO audit_event (seq) OVERRIDING SYSTEM VALUE VALUES (1)",
        "INSERT INTO transfer (id, xact) VALUES (gen_random_uuid(), 1)",
    ],
)
def test_the_application_does_not_say_in_which_transaction_it_wrote(
    session: Session, statement: str
) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        run(session, statement)


def test_a_temporary_table_does_not_hide_the_log_from_the_guards(session: Session) -> None:
    run(session, "CREATE TEMPORARY TABLE audit_event (xact bigint)")
    run(session, "INSERT INTO audit_event SELECT pg_current_xact_id()::text::bigint")
    session.add(Organisation(name="Hidden", country="RO"))
    with pytest.raises(IntegrityError) as refused:
        session.commit()
    assert constraint_of(refused.value) == "audit_required"


# --- every change has its event -----------------------------------------------------------------


def test_a_change_without_an_event_fails_when_it_commits(session: Session) -> None:
    session.add(Organisation(name="Unheard of", country="RO"))
    session.flush()
    with pytest.raises(IntegrityError, match="without an audit event") as refused:
        session.commit()
    assert constraint_of(refused.value) == "audit_required"


def test_an_event_of_another_transaction_does_not_count(session: Session) -> None:
    note(session)
    session.commit()
    session.add(Organisation(name="Late", country="RO"))
    with pytest.raises(IntegrityError, match="without an audit event"):
        session.commit()


def test_an_event_rolled_back_to_a_savepoint_does_not_count(session: Session) -> None:
    with session.begin_nested() as inner:
        note(session)
        inner.rollback()
    session.add(Organisation(name="Undone", country="RO"))
    with pytest.raises(IntegrityError, match="without an audit event"):
        session.commit()


def test_a_change_with_its_event_commits(session: Session) -> None:
    session.add(Organisation(name="Heard of", country="RO"))
    note(session)
    session.commit()


def test_checking_early_does_not_let_a_later_change_through(session: Session) -> None:
    run(session, "SET CONSTRAINTS ALL IMMEDIATE")
    session.add(Organisation(name="Early", country="RO"))
    with pytest.raises(IntegrityError, match="without an audit event"):
        session.flush()


def test_every_table_that_can_change_is_guarded_or_named_here(owner_session: Session) -> None:
    guarded = owner_session.connection().execute(
        text(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger JOIN pg_proc"
            " ON pg_proc.oid = tgfoid WHERE proname = 'require_audit'"
        )
    )
    public = owner_session.connection().execute(
        text(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r' AND relname NOT LIKE 'procrastinate%'"
        )
    )
    unguarded = set(public.scalars()) - set(guarded.scalars())
    assert unguarded == {
        "alembic_version",
        "spatial_ref_sys",
        "environment",  # one row, frozen
        "command",  # frozen; the event is beside what it made
        "document",  # content-addressed
        "notification",  # tells of an event
        "balance",  # kept by a trigger from postings
        "posting",  # only with its transfer, which is guarded
        "audit_event",
        "log_leaf",
        "checkpoint",
    }


# --- the environment ----------------------------------------------------------------------------


def test_there_is_one_environment(owner_session: Session) -> None:
    owner_session.add(Environment(id=2, kind="production"))
    with pytest.raises(IntegrityError, match="ck_environment_single"):
        owner_session.flush()


# --- the log ------------------------------------------------------------------------------------


def test_a_hole_between_leaves_is_refused(session: Session) -> None:
    for index in (0, 2):
        session.add(LogLeaf(leaf_index=index, event_seq=note(session).seq or 0))
    with pytest.raises(IntegrityError, match="leaf 2 has no leaf before it"):
        session.commit()


# --- money in the ledger ------------------------------------------------------------------------


class Cash:
    """Accounts of one buyer and the source of sandbox cash, and a way to post between them."""

    def __init__(self, session: Session, buyer: UUID) -> None:
        found = session.exec(select(Account)).all()
        self.session = session
        self.source = next(row.id for row in found if row.kind == "cash_source")
        self.cash, self.holding = (
            next(row.id for row in found if row.kind == kind and row.organisation_id == buyer)
            for kind in ("cash", "holding")
        )

    def transfer(self) -> UUID:
        made = Transfer(code="deposit", actor="system:tests")
        note(self.session)
        self.session.add(made)
        self.session.flush()
        return made.id

    def post(self, transfer: UUID, account: UUID, amount: int, unit: str = "XTS") -> None:
        self.session.add(
            Posting(transfer_id=transfer, account_id=account, unit=unit, amount=amount)
        )
        self.session.flush()

    def balance(self, account: UUID) -> int | None:
        self.session.expire_all()
        found = self.session.get(Balance, (account, "XTS"))
        return None if found is None else found.amount


@pytest.fixture
def cash(world: World, session: Session) -> Cash:
    return Cash(session, world.buyer().organisation())


def test_postings_that_sum_to_zero_commit_and_move_the_balances(
    cash: Cash, session: Session
) -> None:
    for amount in (500, 250):
        transfer = cash.transfer()
        cash.post(transfer, cash.source, -amount)
        cash.post(transfer, cash.cash, amount)
        session.commit()
    assert (cash.balance(cash.cash), cash.balance(cash.source)) == (750, -750)


def refused_commit(session: Session) -> str | None:
    with pytest.raises(IntegrityError) as refused:
        session.commit()
    return constraint_of(refused.value)


def test_postings_that_do_not_sum_to_zero_fail_when_they_commit(
    cash: Cash, session: Session
) -> None:
    transfer = cash.transfer()
    cash.post(transfer, cash.source, -500)
    cash.post(transfer, cash.cash, 499)
    assert refused_commit(session) == "postings_balance"


def test_two_currencies_do_not_make_up_for_each_other(cash: Cash, session: Session) -> None:
    transfer = cash.transfer()
    cash.post(transfer, cash.source, -500, "EUR")
    cash.post(transfer, cash.cash, 500, "XTS")
    assert refused_commit(session) == "postings_balance"


def test_a_transfer_that_moves_nothing_is_refused(cash: Cash, session: Session) -> None:
    cash.transfer()
    assert refused_commit(session) == "transfer_moves"


def test_nothing_is_added_to_a_transfer_later(cash: Cash, session: Session) -> None:
    transfer = cash.transfer()
    cash.post(transfer, cash.source, -500)
    cash.post(transfer, cash.cash, 500)
    session.commit()
    cash.post(transfer, cash.source, -1)
    cash.post(transfer, cash.cash, 1)
    assert refused_commit(session) == "transfer_closed"


def test_an_account_is_not_overdrawn(cash: Cash) -> None:
    transfer = cash.transfer()
    cash.post(transfer, cash.source, -500)
    cash.post(transfer, cash.cash, 500)
    with pytest.raises(IntegrityError, match="ck_balance_not_overdrawn"):
        cash.post(transfer, cash.cash, -501)


@pytest.mark.parametrize("account", ["holding", "cash"])
def test_money_and_kilograms_lie_in_different_accounts(cash: Cash, account: str) -> None:
    transfer = cash.transfer()
    unit = "XTS" if account == "holding" else f"kg:{new_id()}"
    with pytest.raises(DBAPIError) as refused:
        cash.post(transfer, getattr(cash, account), 5, unit)
    assert constraint_of(refused.value) in {"unit_fits_account", "ck_posting_unit"}


def test_a_frozen_account_moves_nothing(cash: Cash, session: Session) -> None:
    session.get_one(Account, cash.cash).state = "frozen"
    transfer = cash.transfer()
    with pytest.raises(IntegrityError, match="is frozen"):
        cash.post(transfer, cash.cash, 5)
