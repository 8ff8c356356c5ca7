"""The tables of who may do what and of what follows what."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from registry.domain import states
from registry.domain.ids import new_id
from registry.domain.roles import ALLOWED, SYSTEM_ACTIONS, Action, Actor, Role, system_actor
from registry.errors import NotAllowed, NotYours, RegistryError, WrongState

if TYPE_CHECKING:
    from sqlmodel import Session

MACHINES = {
    "project": states.PROJECT,
    "area": states.AREA,
    "monitoring_request": states.REQUEST,
    "monitoring_report": states.REPORT,
    "credit_block": states.BLOCK,
    "listing": states.LISTING,
}


def person(*roles: Role) -> Actor:
    return Actor(user_id=new_id(), organisation_id=new_id(), roles=frozenset(roles), name="Ana")


# --- roles --------------------------------------------------------------------------------------


def test_every_action_has_a_rule() -> None:
    assert set(ALLOWED) == set(Action)


@pytest.mark.parametrize("action", [Action.VERIFY, Action.MINT])
def test_only_verifiers_verify_and_mint(action: Action) -> None:
    assert ALLOWED[action] == {Role.VERIFIER}
    assert action not in SYSTEM_ACTIONS


@pytest.mark.parametrize("action", [Action.MEASURE, Action.SEAL_LOG])
def test_no_person_does_what_the_system_does(action: Action) -> None:
    with pytest.raises(NotAllowed, match="needs the role system"):
        person(*Role).require(action)
    system_actor("job").require(action)


@pytest.mark.parametrize("action", sorted(set(Action) - SYSTEM_ACTIONS))
def test_the_system_does_nothing_else(action: Action) -> None:
    with pytest.raises(NotAllowed):
        system_actor("job").require(action)


def test_another_organisation_is_refused() -> None:
    ana = person(Role.DEVELOPER)
    ana.require_own(ana.organisation(), action=Action.ADD_AREA, what="project X")
    with pytest.raises(NotYours, match="Ana may not add an area: project X belongs to another"):
        ana.require_own(new_id(), action=Action.ADD_AREA, what="project X")


def test_the_log_names_a_person_by_id_and_the_system_by_part() -> None:
    ana = person(Role.BUYER)
    assert ana.tag == f"user:{ana.user_id}"
    assert system_actor("seal-log").tag == "system:seal-log"


def test_the_system_is_no_person_and_of_no_organisation() -> None:
    for ask in (system_actor("job").person, system_actor("job").organisation):
        with pytest.raises(NotAllowed):
            ask()


# --- states -------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", MACHINES)
def test_a_machine_leads_to_known_states_only(table: str) -> None:
    machine = MACHINES[table]
    assert {state for following in machine.values() for state in following} <= set(machine)


@pytest.mark.parametrize("table", MACHINES)
def test_a_machine_and_the_database_know_the_same_states(
    owner_session: Session, table: str
) -> None:
    rule = owner_session.connection().exec_driver_sql(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s",
        (f"ck_{table}_state",),
    )
    assert set(rule.scalar_one().split("'")[1::2]) == set(MACHINES[table])


def test_used_credits_go_nowhere() -> None:
    for state in ("retired", "cancelled"):
        with pytest.raises(WrongState, match="Possible from here: none, it is final"):
            states.require_step(states.BLOCK, what="block", state=state, wanted="active")


def test_a_possible_step_is_let_through() -> None:
    states.require_step(states.REPORT, what="report", state="queued", wanted="in_review")


def test_an_impossible_step_names_the_possible_ones() -> None:
    with pytest.raises(WrongState, match="report 7 is queued; it cannot become approved"):
        states.require_step(states.REPORT, what="report 7", state="queued", wanted="approved")


# --- ids and errors -----------------------------------------------------------------------------


def test_ids_are_of_version_7_and_sort_by_time() -> None:
    made = [new_id() for _ in range(2_000)]
    assert {made_id.version for made_id in made} == {7}
    assert {made_id.variant for made_id in made} == {"specified in RFC 4122"}
    assert sum(later < earlier for earlier, later in pairwise(made)) == 0
    assert len(set(made)) == len(made)


def test_an_id_carries_its_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    # The example of RFC 9562, appendix A.6: 2022-02-22T19:22:22Z.
    monkeypatch.setattr(time, "time_ns", lambda: 0x017F22E279B0 * 1_000_000)
    assert str(new_id()).startswith("017f22e2-79b0-7000-")


def test_an_error_keeps_its_fields_and_fills_its_sentence() -> None:
    fault = NotYours(actor="Ana", action="retire credits", what="batch 3")
    assert str(fault) == "Ana may not retire credits: batch 3 belongs to another organisation."
    assert fault.what == "batch 3"
    with pytest.raises(AttributeError):
        _ = fault.colour


def refusals(root: type[RegistryError]) -> set[type[RegistryError]]:
    found = set(root.__subclasses__())
    return found.union(*(refusals(kind) for kind in found)) if found else found


def test_every_refusal_is_a_sentence() -> None:
    for kind in refusals(RegistryError):
        sentence = " ".join((kind.__doc__ or "").split())
        assert sentence.endswith((".", "}")), kind
        assert sentence[0].isupper() or sentence[0] == "{", kind
