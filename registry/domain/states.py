"""The states that things pass through, as tables; the database refuses leaving a final one.

Each machine maps a state to the states that may follow; an empty set is final.
"""

from collections.abc import Mapping

from registry.errors import WrongState

Machine = Mapping[str, frozenset[str]]


def _machine(**following: str) -> Machine:
    return {state: frozenset(names.split()) for state, names in following.items()}


PROJECT = _machine(
    registered="active closed", active="suspended closed", suspended="active closed", closed=""
)
"""Active once it has an area."""

AREA = _machine(active="superseded withdrawn", superseded="", withdrawn="")

REQUEST = _machine(
    queued="running cancelled",
    running="running done failed cancelled",
    done="",
    failed="",
    cancelled="",
)
"""running -> running: the lease expired and another worker took it."""

REPORT = _machine(
    queued="in_review",
    in_review="queued approved refused opinion_given",
    approved="",
    refused="",
    opinion_given="",
)
"""Back to queued: the reviewer's lease expired. `opinion_given` is for indicative reports only."""

BLOCK = _machine(
    active="active listed retired cancelled",
    listed="active retired cancelled",
    buffer="cancelled",
    reserve="active cancelled",
    retired="",
    cancelled="",
)
"""Used is used: nothing leaves retired or cancelled."""

LISTING = _machine(open="open sold withdrawn", sold="", withdrawn="")


def require_step(machine: Machine, *, what: str, state: str, wanted: str) -> None:
    """Refuse a step that the machine does not know.

    Raises
    ------
    WrongState
        Naming the states that are possible.
    """
    following = machine[state]
    if wanted not in following:
        possible = ", ".join(sorted(following)) or "none, it is final"
        raise WrongState(what=what, state=state, wanted=wanted, possible=possible)
