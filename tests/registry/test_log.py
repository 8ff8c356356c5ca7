"""Sealing the log, proving from it, and the key that signs it."""

from __future__ import annotations

import itertools
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col

from registry import db, jobs
from registry.adapters import signing
from registry.db import session_scope
from registry.domain import proof
from registry.domain.merkle import consistency_holds
from registry.domain.roles import system_actor
from registry.errors import LogInconsistent, SigningKeyUnsafe
from registry.services import audit, log
from registry.tables.audit import AuditEvent, Checkpoint, LogLeaf
from registry.tables.base import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from registry.settings import Settings
    from tests.conftest import Database

WRITER = system_actor("test")


def write(settings: Settings, number: int = 1) -> None:
    with session_scope(settings) as session:
        for place in range(number):
            note(session, place)


def note(session: Session, place: int) -> AuditEvent:
    return audit.record(
        session,
        actor=WRITER,
        action="test:thing:write",
        subject=f"thing:{place}",
        content={"place": place, "name": "Făgăraș"},
    )


def leaves(settings: Settings) -> int:
    with session_scope(settings) as session:
        return session.scalar(select(func.count()).select_from(LogLeaf)) or 0


class TestSeal:
    def test_empty_log_has_no_checkpoint(self, settings: Settings) -> None:
        assert jobs.seal_now(settings) is None

    def test_every_event_gets_one_leaf_and_the_head_is_signed(self, settings: Settings) -> None:
        write(settings, 5)
        made = jobs.seal_now(settings)
        assert made is not None
        assert (made.tree_size, leaves(settings)) == (5, 5)
        assert made.public_key == signing.public_key(settings)
        head, _, signature = proof.read_note(log.note_of(made))
        assert proof.signature_holds(head, signature=signature, public_key=made.public_key)

    def test_sealing_again_adds_nothing(self, settings: Settings) -> None:
        write(settings, 3)
        first = jobs.seal_now(settings)
        again = jobs.seal_now(settings)
        assert first is not None
        assert again is not None
        assert (again.tree_size, again.signature) == (first.tree_size, first.signature)

    def test_later_heads_only_append(self, settings: Settings) -> None:
        heads = []
        for number in (1, 2, 4, 6):
            write(settings, number)
            heads.append(jobs.seal_now(settings))
        with session_scope(settings) as session:
            for old, new in itertools.pairwise(heads):
                assert old is not None
                assert new is not None
                assert consistency_holds(
                    first=old.tree_size,
                    second=new.tree_size,
                    first_root=old.root_sha256,
                    second_root=new.root_sha256,
                    path=log.prove_consistency(session, first=old.tree_size, second=new.tree_size),
                )

    def test_event_that_commits_late_is_sealed_later_not_lost(self, settings: Settings) -> None:
        with Session(db.engine(settings)) as slow:
            note(slow, 1)
            write(settings, 2)
            jobs.seal_now(settings)
            assert leaves(settings) == 2
            slow.commit()
        jobs.seal_now(settings)
        assert leaves(settings) == 3

    def test_eight_sealers_at_once_make_one_order(self, settings: Settings) -> None:
        write(settings, 20)
        with ThreadPoolExecutor(8) as threads:
            made = list(threads.map(lambda _: jobs.seal_now(settings), range(8)))
        assert {head.tree_size for head in made if head is not None} == {20}
        with session_scope(settings) as session:
            assert len(session.scalars(select(Checkpoint)).all()) == 1

    def test_log_of_a_new_database_has_another_name(self, settings: Settings) -> None:
        write(settings)
        made = jobs.seal_now(settings)
        with session_scope(settings) as session:
            born_at = session.scalars(select(col(Environment.born_at))).one()
        assert made is not None
        assert made.origin == f"{settings.log_origin}/{born_at:%Y%m%dT%H%M%SZ}"
        assert made.origin.startswith("amanar-sandbox/")

    def test_rewritten_event_stops_the_signing(
        self, settings: Settings, database: Database
    ) -> None:
        write(settings, 3)
        _tamper(database, "UPDATE audit_event SET content = '{}' WHERE seq = 2")
        with pytest.raises(LogInconsistent, match="Event 2 does not have its recorded hash"):
            jobs.seal_now(settings)
        assert leaves(settings) == 0

    def test_rewritten_leaf_stops_the_signing(self, settings: Settings, database: Database) -> None:
        write(settings, 3)
        jobs.seal_now(settings)
        _tamper(database, "UPDATE audit_event SET leaf_sha256 = sha256('x') WHERE seq = 2")
        write(settings)
        with pytest.raises(LogInconsistent, match="checkpoint 3: Its stored leaves"):
            jobs.seal_now(settings)

    def test_hole_in_the_leaves_is_refused_by_the_database(self, settings: Settings) -> None:
        write(settings, 2)
        with pytest.raises(DBAPIError, match="has no leaf before it"):
            _leave_a_hole(settings)


def _leave_a_hole(settings: Settings) -> None:
    with session_scope(settings) as session:
        session.add(LogLeaf(leaf_index=7, event_seq=1))


def _tamper(database: Database, statement: str) -> None:
    """Change history as only the cluster's superuser can: with the triggers off."""
    address = database.admin_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(address) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(statement.encode())


class TestProve:
    def test_unsealed_and_unknown_events_have_no_proof(self, settings: Settings) -> None:
        write(settings)
        with session_scope(settings) as session:
            for subject in ("thing:0", "thing:99"):
                found = log.prove(session, action="test:thing:write", subject=subject)
                assert found is None

    def test_proof_leads_to_the_oldest_head_and_stays_the_same(self, settings: Settings) -> None:
        write(settings, 3)
        first = jobs.seal_now(settings)
        write(settings, 9)
        jobs.seal_now(settings)
        with session_scope(settings) as session:
            found = log.prove(session, action="test:thing:write", subject="thing:1")
        assert found is not None
        assert first is not None
        assert found.checkpoint.tree_size == first.tree_size == 3
        root = proof.root_from_inclusion(
            leaf=found.event.leaf_sha256, index=found.leaf_index, size=3, path=found.path
        )
        assert root == first.root_sha256


class TestKey:
    def test_key_is_made_once_and_is_for_its_owner_alone(self, settings: Settings) -> None:
        first = signing.fingerprint(settings)
        path = signing.key_path(settings)
        assert path == settings.state_dir / "signing-sandbox.pem"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert signing.fingerprint(settings) == first
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_many_at_once_make_one_key(self, settings: Settings) -> None:
        with ThreadPoolExecutor(16) as threads:
            found = set(threads.map(lambda _: signing.fingerprint(settings), range(32)))
        assert len(found) == 1

    def test_key_that_others_can_read_is_refused(self, settings: Settings) -> None:
        signing.signing_key(settings)
        signing.key_path(settings).chmod(0o640)
        with pytest.raises(SigningKeyUnsafe, match="chmod 600"):
            signing.signing_key(settings)

    def test_named_key_must_be_there(self, settings: Settings, tmp_path: Path) -> None:
        named = settings.model_copy(update={"signing_key_file": tmp_path / "mine.pem"})
        with pytest.raises(SigningKeyUnsafe, match="openssl genpkey"):
            signing.signing_key(named)

    @pytest.mark.parametrize("other_kind", [False, True])
    def test_only_an_ed25519_key_will_do(
        self, settings: Settings, tmp_path: Path, *, other_kind: bool
    ) -> None:
        file = tmp_path / "key.pem"
        elliptic = generate_private_key(SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        file.write_bytes(elliptic if other_kind else b"nonsense")
        file.chmod(0o600)
        named = settings.model_copy(update={"signing_key_file": file})
        with pytest.raises(SigningKeyUnsafe):
            signing.signing_key(named)

    def test_public_key_as_a_file_pins_the_signer(self, settings: Settings, tmp_path: Path) -> None:
        file = tmp_path / "public.pem"
        file.write_text(signing.public_pem(settings))
        assert proof.read_key(str(file)) == signing.fingerprint(settings)


class TestQueue:
    def test_deferred_job_seals_and_leaves_nothing_behind(self, settings: Settings) -> None:
        write(settings, 4)
        app = jobs.make_app(settings)
        with app.open():
            app.configure_task("seal_log").defer(timestamp=0)
        jobs.run_worker(settings, wait=False, install_signal_handlers=False)
        assert leaves(settings) == 4
        with db.engine(settings).connect() as connection:
            left = connection.exec_driver_sql("SELECT count(*) FROM procrastinate_jobs")
            assert left.scalar_one() == 0
