"""Events can be hashed again from what is stored; recording makes nobody wait."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import select

from registry.db import session_scope
from registry.domain.ids import new_id
from registry.domain.proof import Malformed, canonical_json
from registry.errors import CommandConflict
from registry.services import audit, commands
from registry.tables.audit import AuditEvent
from registry.tables.base import now
from tests.world import SETUP

if TYPE_CHECKING:
    from sqlmodel import Session

    from registry.settings import Settings


def record(session: Session, content: dict[str, Any]) -> AuditEvent:
    return audit.record(
        session, actor=SETUP, action="tests:thing:do", subject="thing:1", content=content
    )


CONTENTS: tuple[dict[str, Any], ...] = (
    {},
    {"text": 'Făgăraș ☂ \U0001f333 "quoted" back\\slash\nline'},
    {"numbers": [0, -1, 2**62, -(2**63)], "none": None, "true": True},
    {"nested": {"b": {"é": [], "a": {}}, "a": 1}, "10": 1, "9": 2},
)


@pytest.mark.parametrize("content", CONTENTS)
def test_the_leaf_is_the_hash_of_what_is_stored(
    session: Session, owner_session: Session, content: dict[str, Any]
) -> None:
    record(session, content)
    session.commit()
    stored = owner_session.exec(select(AuditEvent)).one()
    spelled = (
        b'{"action":"tests:thing:do","actor":"system:setup","at":"'
        + stored.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
        + b'","content":'
        + canonical_json(content)
        + b',"environment":"sandbox","subject":"thing:1"}'
    )
    assert stored.leaf_sha256 == sha256(b"\x00" + spelled).digest()
    assert canonical_json(audit.leaf_document(stored)) == spelled


TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def test_any_plain_content_survives_the_database(owner_session: Session) -> None:
    connection = owner_session.connection()

    @given(st.dictionaries(TEXT, PLAIN, max_size=5))
    def survives(content: dict[str, Any]) -> None:
        sent = canonical_json(content).decode()
        back = connection.execute(text("SELECT CAST(:sent AS jsonb)"), {"sent": sent}).scalar_one()
        assert canonical_json(back).decode() == sent

    survives()


@pytest.mark.parametrize("content", [{"area": 1.5}, {"when": now()}, {1: "key"}, {"set": {1}}])
def test_what_has_no_single_spelling_is_refused(session: Session, content: dict[Any, Any]) -> None:
    with pytest.raises(Malformed):
        record(session, content)


def test_two_writers_record_at_once_and_neither_waits(session: Session, settings: Settings) -> None:
    both_have_recorded = Barrier(2)
    seqs = []

    def write() -> None:
        with session_scope(settings) as own:
            seqs.append(record(own, {}).seq)
            both_have_recorded.wait(5)

    threads = [Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not both_have_recorded.broken
    assert set(session.exec(select(AuditEvent.seq))) == set(seqs)


def test_the_database_notes_the_writing_transaction(session: Session) -> None:
    event = record(session, {})
    own = session.connection().execute(text("SELECT pg_current_xact_id()::text::bigint"))
    assert event.xact == own.scalar_one()


# --- commands -----------------------------------------------------------------------------------


def once(session: Session, command_id: Any, content: dict[str, Any], runs: list[int]) -> Any:
    def do() -> commands.Result:
        runs.append(1)
        record(session, content)
        return {"number": len(runs)}

    return commands.once(
        session,
        actor=SETUP,
        command_id=command_id,
        action="tests.count",
        content=content,
        do=do,
    )


def test_a_command_runs_once(settings: Settings) -> None:
    runs: list[int] = []
    command_id = new_id()
    for _ in range(3):
        with session_scope(settings) as session:
            assert once(session, command_id, {"a": 1, "b": [2]}, runs) == {"number": 1}
    assert len(runs) == 1


def test_a_commands_content_may_hold_fractions_dates_and_ids() -> None:
    content = {"tonnes": 2.5, "on": date(2026, 1, 2), "of": UUID(int=1)}
    spelled = b'{"of":"00000000-0000-0000-0000-000000000001","on":"2026-01-02","tonnes":2.5}'
    assert commands.content_sha256(content) == sha256(spelled).hexdigest()


def test_the_order_of_a_commands_fields_is_no_content(session: Session) -> None:
    runs: list[int] = []
    command_id = new_id()
    once(session, command_id, {"a": 1, "b": 2}, runs)
    assert once(session, command_id, {"b": 2, "a": 1}, runs) == {"number": 1}


def test_a_command_that_failed_may_be_sent_again(settings: Settings) -> None:
    runs: list[int] = []
    command_id = new_id()
    with pytest.raises(Malformed), session_scope(settings) as session:
        once(session, command_id, {"a": 1.5}, runs)
    with session_scope(settings) as session:
        assert once(session, command_id, {"a": 1}, runs) == {"number": 2}


def test_another_action_with_the_same_id_is_refused(session: Session) -> None:
    command_id = new_id()
    once(session, command_id, {}, [])
    with pytest.raises(CommandConflict):
        commands.once(
            session, actor=SETUP, command_id=command_id, action="other", content={}, do=dict
        )


def test_the_second_of_two_equal_commands_waits_and_gets_the_firsts_result(
    session: Session, settings: Settings
) -> None:
    runs: list[int] = []
    command_id = new_id()
    ready = Barrier(2)
    results = []

    def send() -> None:
        ready.wait(5)
        with session_scope(settings) as own:
            results.append(once(own, command_id, {}, runs))

    threads = [Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert results == [{"number": 1}, {"number": 1}]
    assert len(session.exec(select(AuditEvent)).all()) == 1
