"""A person decides, never one of the project's own; approval mints in the same transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from registry.adapters.evidence_store import EvidenceStore
from registry.db import session_scope
from registry.domain.estimates import estimate_sha256
from registry.domain.ids import new_id
from registry.domain.roles import Role, system_actor
from registry.errors import (
    CannotApprove,
    EvidenceChanged,
    InReview,
    InvalidValue,
    NoOpenReview,
    NotAllowed,
    OwnReport,
    ReportAltered,
    WrongState,
)
from registry.services import audit, verification
from registry.tables.accounts import Notification
from registry.tables.audit import AuditEvent
from registry.tables.credits import Batch
from registry.tables.monitoring import MonitoringReport, Review, VerifiedPeriod

if TYPE_CHECKING:
    from typing import LiteralString

    from registry.domain.roles import Actor
    from tests.conftest import Database
    from tests.registry.books import Books

BLOCKING = {
    "code": "loss-detected",
    "severity": "blocking",
    "message": "3.2 ha lost their canopy in 2019.",
}


def queue(books: Books, actor: Actor) -> list[verification.QueueItem]:
    with session_scope(books.settings) as session:
        return verification.queue(session, actor=actor)


def state_of(books: Books, report: MonitoringReport) -> str:
    with session_scope(books.settings) as session:
        return session.get_one(MonitoringReport, report.id).state


def count_of(books: Books, table: Any) -> int:
    with session_scope(books.settings) as session:
        return len(session.scalars(select(table)).all())


class TestQueue:
    def test_waiting_report_is_shown_with_its_age_and_digest(self, books: Books) -> None:
        report = books.report()
        (item,) = queue(books, books.verifier)
        assert item.report_id == report.id
        assert (item.digest, item.kind, item.state) == (report.digest, "demonstration", "queued")
        assert timedelta(0) <= item.age < timedelta(minutes=5)
        assert item.creditable_tco2e == "11.0"

    def test_taken_report_is_hidden_from_others_and_kept_for_its_verifier(
        self, books: Books
    ) -> None:
        report = books.report()
        books.take(report)
        assert queue(books, books.world.verifier()) == []
        (item,) = queue(books, books.verifier)
        assert (item.state, item.mine) == ("in_review", True)

    def test_own_organisations_report_is_not_offered(self, books: Books) -> None:
        books.report()
        colleague = books.world.person(Role.VERIFIER, organisation_id=books.seller.organisation_id)
        assert queue(books, colleague) == []

    def test_developer_has_no_queue(self, books: Books) -> None:
        with pytest.raises(NotAllowed):
            queue(books, books.seller)


class TestTakeReview:
    def test_own_organisation_is_refused(self, books: Books) -> None:
        report = books.report()
        colleague = books.world.person(Role.VERIFIER, organisation_id=books.seller.organisation_id)
        with pytest.raises(OwnReport):
            books.take(report, verifier=colleague)
        assert state_of(books, report) == "queued"

    def test_second_verifier_waits_for_the_lease(self, books: Books) -> None:
        report = books.report()
        books.take(report)
        with pytest.raises(InReview):
            books.take(report, verifier=books.world.verifier())

    def test_expired_lease_passes_to_the_next(self, books: Books) -> None:
        report = books.report()
        with session_scope(books.settings) as session:
            verification.take_review(
                session,
                actor=books.verifier,
                command_id=new_id(),
                report_id=report.id,
                lease=timedelta(0),
            )
        second = books.world.verifier()
        assert [item.report_id for item in queue(books, second)] == [report.id]
        books.take(report, verifier=second)
        with pytest.raises(NoOpenReview):
            books.decide(report)
        with session_scope(books.settings) as session:
            reviews = session.scalars(select(Review).order_by(col(Review.taken_at))).all()
        assert [review.released_at is None for review in reviews] == [False, True]

    def test_taking_again_renews_the_lease(self, books: Books) -> None:
        report = books.report()
        books.take(report)
        books.take(report)
        assert count_of(books, Review) == 1


class TestApprove:
    def test_period_batches_and_message_come_in_one_transaction(self, books: Books) -> None:
        report = books.report()
        books.take(report)
        decided = books.decide(report)
        assert decided.report.state == "approved"
        assert decided.review.decision == "approve"
        assert [batch.size_kg for batch in decided.batches] == [12_500]
        assert count_of(books, VerifiedPeriod) == 1
        with session_scope(books.settings) as session:
            told = session.scalars(
                select(Notification).where(col(Notification.kind) == "verification:report:decide")
            ).one()
            events = set(session.scalars(select(col(AuditEvent.action))))
        assert told.organisation_id == books.seller.organisation_id
        assert "11.000 t were credited" in told.message
        assert {"verification:report:decide", "issuance:batches:mint"} <= events
        books.check()

    def test_repeated_command_mints_once(self, books: Books) -> None:
        report = books.report()
        books.take(report)
        command_id = new_id()
        first = books.decide(report, command_id=command_id)
        again = books.decide(report, command_id=command_id)
        assert [batch.id for batch in again.batches] == [batch.id for batch in first.batches]
        assert count_of(books, Batch) == 1

    def test_second_decision_is_refused(self, books: Books) -> None:
        report = books.report()
        books.take(report)
        books.decide(report)
        with pytest.raises(WrongState):
            books.decide(report, "refuse")

    def test_without_taking_it_nobody_decides(self, books: Books) -> None:
        report = books.report()
        with pytest.raises(NoOpenReview):
            books.decide(report)

    def test_other_evidence_than_was_shown_is_refused(self, books: Books) -> None:
        report = books.report()
        books.take(report)
        with pytest.raises(EvidenceChanged) as caught:
            books.decide(report, digest="sha256:" + "0" * 64)
        assert caught.value.actual == report.digest
        assert state_of(books, report) == "in_review"

    @pytest.mark.parametrize("verdict", ["approve", "refuse"])
    def test_reasons_are_needed(self, books: Books, verdict: str) -> None:
        report = books.report()
        books.take(report)
        with pytest.raises(InvalidValue, match="reasons"):
            books.decide(report, verdict, reasons="  ")

    @pytest.mark.parametrize(
        ("net", "buffer", "fields", "said"),
        [
            (12.5, 1.5, {"quality": [BLOCKING]}, r"loss-detected: 3\.2 ha"),
            (1.5, 1.5, {}, "Nothing is creditable"),
            (1.5005, 1.5, {}, "Nothing is creditable"),
            (-4, 0, {}, "Nothing is creditable"),
        ],
    )
    def test_what_earned_nothing_cannot_be_approved(
        self, books: Books, net: float, buffer: float, fields: dict[str, Any], said: str
    ) -> None:
        report = books.report(net=net, buffer=buffer, fields=fields)
        books.take(report)
        with pytest.raises(CannotApprove, match=said):
            books.decide(report)
        assert count_of(books, Batch) == 0
        assert state_of(books, report) == "in_review"

    def test_no_part_of_the_system_can_decide(self, books: Books) -> None:
        report = books.report()
        books.take(report)
        for name in ("flow", "seal-log", "measure"):
            with pytest.raises(NotAllowed), session_scope(books.settings) as session:
                verification.decide(
                    session,
                    actor=system_actor(name),
                    command_id=new_id(),
                    report_id=report.id,
                    decision=verification.Decision("approve", "yes", report.digest),
                    evidence=EvidenceStore(books.settings.evidence_dir),
                )

    def test_approval_by_hand_in_sql_is_refused(self, books: Books) -> None:
        report = books.report()
        with pytest.raises(DBAPIError, match="without a review that says so"):
            _approve_by_hand(books, report)
        assert state_of(books, report) == "queued"


def change_behind_everyone(database: Database, statement: LiteralString, *values: object) -> None:
    """Change the database as a thief of the superuser's password would: no trigger runs."""
    address = database.admin_url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(address) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(statement, values)


class TestAsFiled:
    """An approval stands on the files and the estimate that were filed, not on their names."""

    def refused(self, books: Books, report: MonitoringReport, said: str) -> None:
        with pytest.raises(ReportAltered, match=said):
            books.decide(report)
        assert count_of(books, Batch) == 0
        assert state_of(books, report) == "in_review"

    def test_estimates_hash_is_in_the_log(self, books: Books) -> None:
        report = books.report()
        assert report.estimate_sha256 == estimate_sha256(report.estimate)
        with session_scope(books.settings) as session:
            events = session.scalars(
                select(AuditEvent).where(
                    col(AuditEvent.subject) == f"monitoring_request:{report.request_id}"
                )
            ).all()
        said = [event.content.get("estimate_sha256") for event in events]
        assert report.estimate_sha256 in said

    @pytest.mark.parametrize("name", ["estimate.json", "timeseries.csv"])
    def test_overwritten_file_is_named(self, books: Books, name: str) -> None:
        report = books.report()
        books.take(report)
        store = EvidenceStore(books.settings.evidence_dir)
        path = store.path(store.member(report.evidence_uri, name).sha256)
        path.chmod(0o644)
        path.write_text("overwritten")
        self.refused(books, report, f"{name}: The stored file .* was altered on disk")
        assert books.decide(report, "refuse").report.state == "refused"

    def test_lost_file_is_named(self, books: Books) -> None:
        report = books.report()
        books.take(report)
        store = EvidenceStore(books.settings.evidence_dir)
        store.path(store.member(report.evidence_uri, "timeseries.csv").sha256).unlink()
        self.refused(books, report, "timeseries.csv: The evidence store holds no file")

    def test_lost_listing_is_said(self, books: Books) -> None:
        report = books.report()
        books.take(report)
        store = EvidenceStore(books.settings.evidence_dir)
        store.path(report.evidence_uri.removeprefix("sha256:")).unlink()
        self.refused(books, report, "The listing: The evidence store holds no file")

    def test_estimate_changed_in_the_database_is_refused(
        self, books: Books, database: Database
    ) -> None:
        report = books.report()
        books.take(report)
        change_behind_everyone(
            database,
            "UPDATE monitoring_report SET estimate ="
            " jsonb_set(estimate, '{removals_tco2e,net}', '9999')",
        )
        self.refused(books, report, "estimate in the database is not the one that was filed")

    def test_estimate_changed_with_its_hash_is_refused_by_the_evidence(
        self, books: Books, database: Database
    ) -> None:
        report = books.report()
        books.take(report)
        changed = report.estimate | {"note": "more"}
        change_behind_everyone(
            database,
            "UPDATE monitoring_report SET estimate = %s, estimate_sha256 = %s",
            Jsonb(changed),
            estimate_sha256(changed),
        )
        self.refused(books, report, "estimate.json of the evidence is not the report's estimate")

    @pytest.mark.parametrize("creditable", [10.999, 1.0])
    def test_more_than_the_estimate_calls_creditable_is_not_credited(
        self, books: Books, creditable: float
    ) -> None:
        removals = {"net": 12.5, "previous": 0, "buffer": 1.5, "creditable": creditable}
        report = books.report(fields={"removals_tco2e": removals})
        books.take(report)
        with pytest.raises(CannotApprove, match="11000 kg would be credited"):
            books.decide(report)
        assert count_of(books, Batch) == 0


class TestRefuse:
    def test_refusal_keeps_its_reasons_and_mints_nothing(self, books: Books) -> None:
        report = books.report(fields={"quality": [BLOCKING]})
        books.take(report)
        decided = books.decide(report, "refuse", reasons="Loss found in the second summer.")
        assert decided.report.state == "refused"
        assert decided.batches == []
        assert decided.review.reasons == "Loss found in the second summer."
        assert count_of(books, VerifiedPeriod) == 0
        books.check()

    def test_after_a_refusal_the_period_can_be_measured_again(self, books: Books) -> None:
        report = books.report()
        books.take(report)
        books.decide(report, "refuse")
        assert books.mint()[0].size_kg == 12_500
        books.check()


class TestIndicative:
    def test_only_an_opinion_is_possible(self, books: Books) -> None:
        report = books.report(fields={"kind": "indicative"})
        books.take(report)
        with pytest.raises(CannotApprove, match="never minted"):
            books.decide(report)
        with pytest.raises(InvalidValue, match="opinion only"):
            books.decide(report, "refuse")
        assert books.decide(report, "opinion").report.state == "opinion_given"
        assert count_of(books, Batch) == 0
        books.check()

    def test_an_opinion_on_what_can_be_approved_is_refused(self, books: Books) -> None:
        report = books.report()
        books.take(report)
        with pytest.raises(InvalidValue, match="approved or refused"):
            books.decide(report, "opinion")


def _approve_by_hand(books: Books, report: MonitoringReport) -> None:
    with session_scope(books.settings) as session:
        session.execute(text("UPDATE monitoring_report SET state = 'approved'"))
        audit.record(
            session,
            actor=books.verifier,
            action="test:report:approve",
            subject=f"monitoring_report:{report.id}",
            content={},
        )
