"""What the database refuses of batches, blocks, postings and retirements, whoever writes them.

Rows are written by hand here, as a faulty service might; the services' own rules are tried
elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from registry.db import constraint_of, session_scope
from registry.services import accounts, audit, monitoring
from registry.tables.base import now
from registry.tables.credits import Batch, CreditBlock, Posting, Retirement, Transfer
from registry.tables.monitoring import MonitoringReport, Review
from tests.world import SETUP, World

if TYPE_CHECKING:
    from uuid import UUID

    from sqlmodel import Session

    from registry.domain.roles import Actor
    from registry.settings import Settings

SIZE_KG = 1_000
BUFFER_KG = 100


@dataclass(frozen=True)
class Minted:
    """One batch of 1,000 kg: 900 with the developer, 100 in the buffer."""

    batch_id: UUID
    block_id: UUID
    developer: Actor
    holding: UUID
    retired: UUID
    listed: UUID
    buffer: UUID


def note(session: Session) -> None:
    audit.record(session, actor=SETUP, action="tests:thing:do", subject="thing:1", content={})


def refused(session: Session) -> str | None:
    """Commit, expecting a refusal; name the guard."""
    with pytest.raises(IntegrityError) as caught:
        session.commit()
    return constraint_of(caught.value)


def decide(session: Session, report: MonitoringReport, verifier: Actor, decision: str) -> None:
    session.add(
        Review(
            report_id=report.id,
            report_kind=report.kind,
            verifier_id=verifier.person(),
            leased_until=now(),
            decision=decision,
            reasons="Looked at.",
            decided_at=now(),
        )
    )
    session.flush()


def batch_of(report: MonitoringReport, **fields: Any) -> Batch:
    chosen: dict[str, Any] = {
        "report_id": report.id,
        "project_id": report.project_id,
        "number": 1,
        "kind": report.kind,
        "environment": report.environment,
        "country": "RO",
        "methodology": report.methodology,
        "vintage": 2016,
        "vintage_start": date(2016, 1, 1),
        "vintage_end": date(2016, 12, 31),
        "size_kg": SIZE_KG,
        "buffer_kg": BUFFER_KG,
    }
    return Batch(**(chosen | fields))


def block_of(batch: Batch, first: int, last: int, account: UUID, state: str) -> CreditBlock:
    return CreditBlock(
        batch_id=batch.id,
        kind=batch.kind,
        environment=batch.environment,
        serials=Range(first, last + 1),
        account_id=account,
        state=state,
    )


@pytest.fixture
def developer(world: World) -> Actor:
    return world.developer()


@pytest.fixture
def report(world: World, developer: Actor) -> MonitoringReport:
    return world.report(world.request(developer, world.land(developer)))


@pytest.fixture
def approved(world: World, settings: Settings, report: MonitoringReport) -> MonitoringReport:
    verifier = world.verifier()
    with session_scope(settings) as session:
        found = session.get_one(MonitoringReport, report.id)
        decide(session, found, verifier, "approve")
        monitoring.record_verified_period(session, report=found)
        found.state = "approved"
        note(session)
    return found


@pytest.fixture
def minted(settings: Settings, approved: MonitoringReport, developer: Actor) -> Minted:
    with session_scope(settings) as session:
        own = {
            kind: accounts.account_of(
                session, organisation_id=developer.organisation(), kind=kind
            ).id
            for kind in ("holding", "listed")
        }
        pools = {kind: accounts.pool(session, kind).id for kind in ("buffer", "retired")}
        batch = batch_of(approved)
        session.add(batch)
        session.flush()
        block = block_of(batch, 1, 900, own["holding"], "active")
        session.add_all([block, block_of(batch, 901, 1000, pools["buffer"], "buffer")])
        note(session)
    return Minted(batch_id=batch.id, block_id=block.id, developer=developer, **own, **pools)


# --- decisions ----------------------------------------------------------------------------------


def test_a_report_is_not_approved_without_a_review(
    session: Session, report: MonitoringReport
) -> None:
    session.get_one(MonitoringReport, report.id).state = "approved"
    note(session)
    assert refused(session) == "decision_has_review"


def test_an_approval_needs_its_verified_period(
    world: World, session: Session, report: MonitoringReport
) -> None:
    found = session.get_one(MonitoringReport, report.id)
    decide(session, found, world.verifier(), "approve")
    found.state = "approved"
    note(session)
    assert refused(session) == "approval_has_period"


def test_a_review_that_refuses_does_not_approve(
    world: World, session: Session, report: MonitoringReport
) -> None:
    found = session.get_one(MonitoringReport, report.id)
    decide(session, found, world.verifier(), "refuse")
    found.state = "approved"
    note(session)
    assert refused(session) == "decision_has_review"


def test_nobody_reviews_the_own_organisations_report(
    world: World, session: Session, developer: Actor, report: MonitoringReport
) -> None:
    insider = world.person(
        *developer.roles, *world.verifier().roles, organisation_id=developer.organisation()
    )
    with pytest.raises(IntegrityError, match="belongs to the organisation of the project"):
        decide(session, report, insider, "approve")


def test_only_verifiers_review(world: World, session: Session, report: MonitoringReport) -> None:
    with pytest.raises(IntegrityError, match="is no active verifier"):
        decide(session, report, world.buyer(), "approve")


def test_a_review_without_reasons_is_refused(
    world: World, session: Session, report: MonitoringReport
) -> None:
    session.add(
        Review(
            report_id=report.id,
            report_kind=report.kind,
            verifier_id=world.verifier().person(),
            leased_until=now(),
            decision="refuse",
            decided_at=now(),
        )
    )
    with pytest.raises(IntegrityError, match="ck_review_reasons"):
        session.flush()


def test_a_decided_review_is_not_changed(session: Session, approved: MonitoringReport) -> None:
    review = session.exec(select(Review).where(col(Review.report_id) == approved.id)).one()
    review.reasons = "On second thoughts."
    with pytest.raises(IntegrityError, match="was closed"):
        session.flush()


def test_a_decided_report_is_not_reopened(session: Session, approved: MonitoringReport) -> None:
    session.get_one(MonitoringReport, approved.id).state = "queued"
    with pytest.raises(IntegrityError, match="approved, which is final"):
        session.flush()


def test_an_indicative_report_is_neither_approved_nor_minted(
    world: World, session: Session, developer: Actor
) -> None:
    filed = world.report(world.request(developer, world.land(developer)), kind="indicative")
    found = session.get_one(MonitoringReport, filed.id)
    verifier = world.verifier()
    with pytest.raises(IntegrityError, match="ck_review_indicative"), session.begin_nested():
        decide(session, found, verifier, "approve")
    for claimed, guard in (("indicative", "ck_batch_mintable"), ("demonstration", "fk_batch")):
        with pytest.raises(IntegrityError, match=guard), session.begin_nested():
            session.add(batch_of(found, kind=claimed))
    found.state = "approved"
    with pytest.raises(IntegrityError, match="ck_monitoring_report_indicative"):
        session.flush()


# --- batches ------------------------------------------------------------------------------------


def test_a_batch_needs_an_approved_report(session: Session, report: MonitoringReport) -> None:
    session.add(batch_of(report))
    with pytest.raises(IntegrityError, match="fk_batch_report_id"):
        session.flush()


def test_a_batch_cannot_claim_another_kind_than_its_report(
    session: Session, approved: MonitoringReport
) -> None:
    session.add(batch_of(approved, kind="issuable"))
    with pytest.raises(IntegrityError, match="fk_batch_report_id_project_id_kind_environment"):
        session.flush()


def test_a_demonstration_is_not_minted_in_production(
    session: Session, approved: MonitoringReport
) -> None:
    session.add(batch_of(approved, environment="production"))
    with pytest.raises(IntegrityError, match="ck_batch_mintable"):
        session.flush()


@pytest.mark.parametrize(
    ("fields", "guard"),
    [
        ({"country": "PE"}, "fk_batch_project_id_country"),
        ({"vintage": 2017}, "ck_batch_vintage"),
        ({"vintage_end": date(2017, 1, 1)}, "ck_batch_vintage"),
        ({"size_kg": 0, "buffer_kg": 0}, "ck_batch_size_kg"),
        ({"buffer_kg": 1_001}, "ck_batch_parts"),
        ({"buffer_kg": 900, "reserve_kg": 101}, "ck_batch_parts"),
    ],
)
def test_a_batch_that_contradicts_itself_is_refused(
    session: Session, approved: MonitoringReport, fields: dict[str, Any], guard: str
) -> None:
    session.add(batch_of(approved, **fields))
    with pytest.raises(IntegrityError, match=guard):
        session.flush()


def test_one_report_makes_one_batch_a_vintage(
    session: Session, minted: Minted, approved: MonitoringReport
) -> None:
    assert minted.batch_id
    session.add(batch_of(approved, number=2))
    with pytest.raises(IntegrityError, match="uq_batch_report_id_vintage"):
        session.flush()


# --- blocks -------------------------------------------------------------------------------------


def test_a_batch_without_blocks_is_refused(session: Session, approved: MonitoringReport) -> None:
    session.add(batch_of(approved))
    note(session)
    assert refused(session) == "blocks_tile"


@pytest.mark.parametrize(
    "runs",
    [[(1, 899), (901, 1000)], [(1, 999)], [(2, 1000)], [(1, 1001)]],
    ids=["hole", "short", "late", "long"],
)
def test_blocks_that_do_not_tile_their_batch_are_refused(
    session: Session, approved: MonitoringReport, developer: Actor, runs: list[tuple[int, int]]
) -> None:
    holding = accounts.account_of(session, organisation_id=developer.organisation(), kind="holding")
    batch = batch_of(approved)
    session.add(batch)
    session.flush()
    session.add_all(block_of(batch, *run, holding.id, "active") for run in runs)
    note(session)
    assert refused(session) == "blocks_tile"


def test_blocks_do_not_overlap(session: Session, minted: Minted) -> None:
    batch = session.get_one(Batch, minted.batch_id)
    session.add(block_of(batch, 900, 900, minted.holding, "active"))
    with pytest.raises(IntegrityError, match="ex_credit_block_serials"):
        session.flush()


def test_a_block_is_split_by_shrinking_it_first(session: Session, minted: Minted) -> None:
    batch = session.get_one(Batch, minted.batch_id)
    session.get_one(CreditBlock, minted.block_id).serials = Range(301, 901)
    session.flush()
    session.add(block_of(batch, 1, 300, minted.listed, "listed"))
    note(session)
    session.commit()


def test_a_block_does_not_vanish(session: Session, minted: Minted) -> None:
    session.delete(session.get_one(CreditBlock, minted.block_id))
    note(session)
    assert refused(session) == "blocks_tile"


@pytest.mark.parametrize("state", ["listed", "buffer", "retired"])
def test_a_block_lies_in_an_account_of_its_state(
    session: Session, minted: Minted, state: str
) -> None:
    session.get_one(CreditBlock, minted.block_id).state = state
    with pytest.raises(IntegrityError, match=f"a {state} block cannot lie in an account of active"):
        session.flush()


def retire(session: Session, minted: Minted) -> CreditBlock:
    block = session.get_one(CreditBlock, minted.block_id)
    block.state, block.account_id = "retired", minted.retired
    note(session)
    session.flush()
    return block


def test_a_retired_block_stays_retired(session: Session, minted: Minted) -> None:
    block = retire(session, minted)
    session.commit()
    block.state, block.account_id = "active", minted.holding
    with pytest.raises(IntegrityError, match="used serials stay"):
        session.flush()


def test_a_retired_block_is_not_deleted(session: Session, minted: Minted) -> None:
    block = retire(session, minted)
    session.commit()
    session.delete(block)
    with pytest.raises(IntegrityError, match="used serials stay"):
        session.flush()


# --- postings and retirements -------------------------------------------------------------------


def post(session: Session, minted: Minted, runs: dict[tuple[UUID, int, int], int]) -> UUID:
    """Write a transfer with one posting a run: (account, first, last) -> sign."""
    made = Transfer(code="transfer", actor="system:tests")
    note(session)
    session.add(made)
    session.flush()
    for (account, first, last), sign in runs.items():
        session.add(
            Posting(
                transfer_id=made.id,
                account_id=account,
                unit=f"kg:{minted.batch_id}",
                batch_id=minted.batch_id,
                serials=Range(first, last + 1),
                amount=sign * (last - first + 1),
            )
        )
    return made.id


def issuance(session: Session) -> UUID:
    return accounts.pool(session, "issuance").id


def test_the_serials_that_leave_are_those_that_arrive(session: Session, minted: Minted) -> None:
    post(session, minted, {(minted.holding, 1, 10): 1, (issuance(session), 1, 10): -1})
    session.commit()


def test_as_many_other_serials_are_refused(session: Session, minted: Minted) -> None:
    post(session, minted, {(minted.holding, 1, 10): 1, (issuance(session), 11, 20): -1})
    assert refused(session) == "postings_balance"


def test_a_posting_counts_its_serials(session: Session, minted: Minted) -> None:
    transfer = post(session, minted, {})
    session.add(
        Posting(
            transfer_id=transfer,
            account_id=minted.holding,
            unit=f"kg:{minted.batch_id}",
            batch_id=minted.batch_id,
            serials=Range(1, 11),
            amount=11,
        )
    )
    with pytest.raises(IntegrityError, match="ck_posting_size"):
        session.flush()


def retirement(session: Session, minted: Minted, *runs: Range[int], kg: int) -> Retirement:
    transfer = post(session, minted, {(minted.retired, 1, 900): 1, (issuance(session), 1, 900): -1})
    session.flush()
    return Retirement(
        transfer_id=transfer,
        account_id=minted.holding,
        batch_id=minted.batch_id,
        kind="demonstration",
        environment="sandbox",
        serials=list(runs),
        quantity_kg=kg,
        beneficiary="Atelier Nord",
        purpose="Travel in 2025",
        country="RO",
    )


def test_a_retirement_of_retired_serials_commits(session: Session, minted: Minted) -> None:
    retire(session, minted)
    made = retirement(session, minted, Range(1, 301), Range(401, 501), kg=400)
    session.add(made)
    session.commit()
    session.refresh(made)
    assert [(run.lower, run.upper) for run in made.serials] == [(1, 301), (401, 501)]


def test_a_retirement_counts_its_serials(session: Session, minted: Minted) -> None:
    retire(session, minted)
    session.add(retirement(session, minted, Range(1, 301), kg=301))
    assert refused(session) == "retirement_is_real"


def test_serials_that_are_not_retired_have_no_retirement(session: Session, minted: Minted) -> None:
    session.add(retirement(session, minted, Range(1, 301), kg=300))
    assert refused(session) == "retirement_is_real"


def test_serials_of_which_some_are_not_retired_have_no_retirement(
    session: Session, minted: Minted
) -> None:
    retire(session, minted)
    made = retirement(session, minted, Range(801, 902), kg=101)
    session.add(made)
    assert refused(session) == "retirement_is_real"


def test_a_serial_is_retired_once(session: Session, minted: Minted) -> None:
    retire(session, minted)
    session.add(retirement(session, minted, Range(1, 301), kg=300))
    session.commit()
    session.add(retirement(session, minted, Range(300, 401), kg=101))
    with pytest.raises(IntegrityError, match="ex_retirement_serials"):
        session.flush()


def test_a_retirement_carries_the_kind_of_its_batch(session: Session, minted: Minted) -> None:
    retire(session, minted)
    made = retirement(session, minted, Range(1, 301), kg=300)
    made.kind = "issuable"
    session.add(made)
    with pytest.raises(IntegrityError, match="fk_retirement_batch_id_kind_environment"):
        session.flush()
