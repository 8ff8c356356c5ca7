"""Each invariant sees what it is there to see: history is bent with the triggers off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine
from sqlmodel import Session

from registry import invariants
from registry.domain.credits import Wanted
from registry.jobs import seal_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database
    from tests.registry.books import Books

BENT = {
    "issued-equals-held": "DELETE FROM credit_block WHERE state = 'buffer'",
    "blocks-tile": (
        "UPDATE credit_block SET serials = int8range(lower(serials) + 1, upper(serials))"
        " WHERE state = 'buffer'"
    ),
    "postings-sum-to-zero": (
        "UPDATE posting SET amount = amount + 1"
        " WHERE id = (SELECT min(id) FROM posting WHERE batch_id IS NULL)"
    ),
    "serials-leave-and-arrive": (
        "UPDATE posting SET serials = int8range(lower(serials) + 1, upper(serials) + 1)"
        " WHERE id = (SELECT max(id) FROM posting WHERE batch_id IS NOT NULL)"
    ),
    "blocks-agree-with-postings": (
        "UPDATE credit_block SET account_id = (SELECT account_id FROM listing LIMIT 1),"
        " state = 'listed' WHERE state = 'active'"
    ),
    "last-posting-holds-the-block": (
        # two blocks of one size change places: every sum still agrees
        "UPDATE credit_block AS one SET account_id = other.account_id, state = other.state"
        " FROM credit_block AS other WHERE one.batch_id = other.batch_id"
        " AND one.state IN ('retired', 'listed') AND other.state IN ('retired', 'listed')"
        " AND one.state <> other.state"
        " AND upper(one.serials) - lower(one.serials) = upper(other.serials) - lower(other.serials)"
    ),
    "balances-agree-with-postings": "UPDATE balance SET amount = amount + 1 WHERE unit = 'XTS'",
    "nobody-overdrawn": (
        "ALTER TABLE balance DROP CONSTRAINT ck_balance_not_overdrawn;"
        " UPDATE balance SET amount = -1 WHERE NOT may_overdraw"
    ),
    "issued-equals-minted": "UPDATE batch SET size_kg = size_kg + 1",
    "issuance-within-report": (
        "UPDATE monitoring_report"
        " SET estimate = jsonb_set(estimate, '{removals_tco2e,net}', '12.4999')"
    ),
    "buffer-comes-last": "UPDATE batch SET buffer_kg = buffer_kg - 1",
    "retired-once": "DELETE FROM retirement",
    "listed-equals-offered": "UPDATE listing SET remaining_kg = remaining_kg - 1",
    "sold-equals-purchased": "DELETE FROM purchase",
    "land-claimed-once": (
        "ALTER TABLE claim DROP CONSTRAINT ex_claim_cell;"
        " INSERT INTO claim (cell, pool, period, area_id, project_id, area_lineage, mode)"
        " SELECT cell, pool, period, gen_random_uuid(), project_id, area_lineage, mode"
        " FROM claim LIMIT 1"
    ),
    "periods-chain": (
        "UPDATE verified_period SET period = daterange(lower(period), upper(period) - 1),"
        " ends_before = ends_before - 1 WHERE follows IS NULL"
    ),
    "log-consistent": (
        "UPDATE audit_event SET content = content || '{\"quantity_kg\": 1}'"
        " WHERE action = 'ledger:credits:retire'"
    ),
}
"""What somebody with the keys of the server could do, and which invariant must see it."""


@pytest.fixture
def admin(database: Database) -> Iterator[Session]:
    """Open a session as the cluster's superuser, who can switch triggers off."""
    engine = create_engine(database.admin_url)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def busy(books: Books) -> Books:
    """Give books in which everything has happened once."""
    (batch,) = books.mint()
    listing = books.offer(batch, 2_000)
    books.buy(books.rich_buyer(), listing, 500)
    books.retire(books.seller, Wanted(batch.id, 1_500))
    books.mint(net=2, buffer=0.5)
    seal_now(books.settings)
    books.check()
    return books


def seen_after(admin: Session, statement: str) -> dict[str, invariants.Broken]:
    """Bend history, look, and take it back."""
    admin.rollback()
    admin.connection().exec_driver_sql("SET LOCAL session_replication_role = replica")
    bent = admin.connection().exec_driver_sql(statement.replace("%", "%%"))
    assert bent.rowcount != 0
    found = {item.name: item for item in invariants.run(admin)}
    admin.rollback()
    return found


def test_every_invariant_has_its_case() -> None:
    named = {check.name for check in invariants.INVARIANTS} | {"log-consistent"}
    assert named == set(BENT)


@pytest.mark.usefixtures("busy")
def test_bent_history_is_seen_and_named(admin: Session) -> None:
    for name, statement in BENT.items():
        found = seen_after(admin, statement)
        assert name in found
        assert found[name].ids
    assert invariants.run(admin) == []


@pytest.mark.usefixtures("busy")
def test_swapped_blocks_are_seen_by_the_postings_alone(admin: Session) -> None:
    """Sums cannot see it: the same kilograms, other serials."""
    found = seen_after(admin, BENT["last-posting-holds-the-block"])
    assert set(found) == {"last-posting-holds-the-block", "retired-once"}


@pytest.mark.usefixtures("busy")
def test_forged_head_is_seen(admin: Session) -> None:
    found = seen_after(admin, "UPDATE checkpoint SET root_sha256 = sha256('x')")
    assert found["log-consistent"].ids[0].startswith("checkpoint:")
