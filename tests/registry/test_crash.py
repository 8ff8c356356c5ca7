"""Something dies in the middle of minting: all of it is there or none, and a retry makes one.

The mint is stopped half-way by a lock on the buffer pool's row, which the blocks of the buffer
refer to: batches and the project's blocks are written by then, postings are not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from registry import db
from registry.adapters.evidence_store import EvidenceStore
from registry.cluster import cluster_status, start_cluster, throwaway_cluster
from registry.db import session_scope
from registry.domain.ids import new_id
from registry.services import accounts, verification
from registry.settings import Settings
from registry.tables.credits import Batch, CreditBlock, Posting, Transfer
from registry.tables.monitoring import MonitoringReport, VerifiedPeriod
from tests.registry.books import Books
from tests.world import World

if TYPE_CHECKING:
    from tests.conftest import Database

ROOT = Path(__file__).parents[2]
MADE_BY_A_MINT = (Batch, CreditBlock, Posting, Transfer, VerifiedPeriod)
WAIT_S = 30.0


def approve(
    settings: Settings, *, verifier: UUID, report: UUID, digest: str, command: UUID
) -> None:
    """Approve in one transaction; also what the child process of this file runs."""
    with session_scope(settings) as session:
        verification.decide(
            session,
            actor=accounts.actor_of_user(session, verifier),
            command_id=command,
            report_id=report,
            decision=verification.Decision("approve", "All agree.", digest),
            evidence=EvidenceStore(settings.evidence_dir),
        )


def rows_of_mints(settings: Settings) -> list[int]:
    with session_scope(settings) as session:
        return [
            session.scalar(select(func.count()).select_from(table)) or 0 for table in MADE_BY_A_MINT
        ]


def held_back(owner: psycopg.Connection) -> None:
    """Hold the row that the buffer's blocks refer to; whoever mints waits here."""
    owner.execute("BEGIN")
    owner.execute("SELECT FROM account WHERE kind = 'buffer' FOR UPDATE")


def waiting_backend(admin: psycopg.Connection) -> int:
    """Wait until a backend of the application is stopped in the middle of its mint."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE usename = 'amanar_app'"
            " AND datname = current_database() AND wait_event_type = 'Lock'"
            " AND query LIKE 'INSERT INTO credit_block%'"
        ).fetchone()
        if found is not None:
            return int(found[0])
        time.sleep(0.02)
    message = "no mint was seen waiting"
    raise AssertionError(message)


def connected(url: str) -> closing[psycopg.Connection]:
    """Connect without SQLAlchemy; closed at the end of a `with`, also when the server is gone."""
    address = url.replace("postgresql+psycopg://", "postgresql://")
    return closing(psycopg.connect(address, autocommit=True))


class Dying:
    """A report about to be approved, and the approval that something will interrupt."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.report = books.report()
        books.take(self.report)
        self.command_id = new_id()
        self.before = rows_of_mints(books.settings)
        self.faults: list[Exception] = []

    def approve(self) -> None:
        """Approve in this process."""
        approve(
            self.books.settings,
            verifier=self.books.verifier.person(),
            report=self.report.id,
            digest=self.report.digest,
            command=self.command_id,
        )

    def in_a_thread(self) -> Thread:
        """Approve in a thread and keep the fault that it meets."""

        def work() -> None:
            try:
                self.approve()
            except DBAPIError as fault:
                self.faults.append(fault)

        thread = Thread(target=work)
        thread.start()
        return thread

    def in_a_process(self) -> subprocess.Popen[bytes]:
        """Approve in a process of its own, as a worker of the web server would."""
        said = (
            self.books.settings.url(),
            self.books.settings.evidence_dir,
            self.books.verifier.person(),
            self.report.id,
            self.report.digest,
            self.command_id,
        )
        return subprocess.Popen(
            [sys.executable, "-m", "tests.registry.test_crash", *map(str, said)], cwd=ROOT
        )

    def require_nothing(self) -> None:
        """Nothing of the mint may be there, and the report still waits for its decision."""
        assert rows_of_mints(self.books.settings) == self.before
        with session_scope(self.books.settings) as session:
            assert session.get_one(MonitoringReport, self.report.id).state == "in_review"
        self.books.check()

    def require_one_after_retries(self) -> None:
        """The same command, sent again and again, makes exactly one batch."""
        for _ in range(3):
            self.approve()
        assert rows_of_mints(self.books.settings) == [1, 2, 4, 1, 1]
        assert self.books.holds(self.books.seller) == {"holding": 11_000}
        self.books.check()


@pytest.fixture
def dying(books: Books) -> Dying:
    """Give a report that is about to be approved."""
    return Dying(books)


class TestKilled:
    def test_backend_terminated(self, dying: Dying, database: Database) -> None:
        with connected(database.owner_url) as owner, connected(database.admin_url) as admin:
            held_back(owner)
            thread = dying.in_a_thread()
            admin.execute("SELECT pg_terminate_backend(%s)", (waiting_backend(admin),))
            thread.join(WAIT_S)
        assert len(dying.faults) == 1
        dying.require_nothing()
        dying.require_one_after_retries()

    def test_client_process_killed(self, dying: Dying, database: Database) -> None:
        with connected(database.owner_url) as owner, connected(database.admin_url) as admin:
            held_back(owner)
            child = dying.in_a_process()
            backend = waiting_backend(admin)
            child.send_signal(signal.SIGKILL)
            assert child.wait(WAIT_S) == -signal.SIGKILL
            owner.execute("ROLLBACK")
            until_gone(admin, backend)
        dying.require_nothing()
        dying.require_one_after_retries()

    def test_server_killed(self, tmp_path: Path) -> None:
        with throwaway_cluster() as cluster:
            db.migrate(cluster.owner_url)
            settings = Settings(
                database_url=cluster.app_url,
                database_owner_url=cluster.owner_url,
                state_dir=tmp_path,
                evidence_dir=tmp_path / "evidence",
            )
            dying = Dying(Books(World(settings)))
            with connected(cluster.owner_url) as owner, connected(cluster.admin_url) as admin:
                held_back(owner)
                thread = dying.in_a_thread()
                waiting_backend(admin)
                pid = cluster_status(cluster.directory).pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                while cluster_status(cluster.directory).pid == pid:
                    time.sleep(0.02)
                start_cluster(cluster.directory)  # ends the orphans, recovers from the log
                thread.join(WAIT_S)
            assert len(dying.faults) == 1
            dying.require_nothing()
            dying.require_one_after_retries()
            db.dispose()


def until_gone(admin: psycopg.Connection, backend: int) -> None:
    """Wait until a backend without its client has noticed and rolled back."""
    deadline = time.monotonic() + WAIT_S
    query = "SELECT FROM pg_stat_activity WHERE pid = %s"
    while admin.execute(query, (backend,)).fetchone() is not None:
        assert time.monotonic() < deadline, f"backend {backend} is still there"
        time.sleep(0.02)


if __name__ == "__main__":
    url, evidence, verifier, report, digest, command = sys.argv[1:]
    approve(
        Settings(database_url=url, evidence_dir=Path(evidence)),
        verifier=UUID(verifier),
        report=UUID(report),
        digest=digest,
        command=UUID(command),
    )
