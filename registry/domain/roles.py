"""Who may do what: roles, actions and the one table that joins them; imports errors only.

Order: Role, Action, ALLOWED (the table), Actor and its checks.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from registry.errors import NotAllowed, NotYours


class Role(StrEnum):
    """What a person was admitted for."""

    DEVELOPER = "developer"
    """Registers projects, asks for monitoring, sells."""
    VERIFIER = "verifier"
    """Decides on reports of other organisations."""
    BUYER = "buyer"
    """Buys and retires."""
    OPERATOR = "operator"
    """Runs the registry: admits organisations and people; decides nothing about tonnes."""


class Action(StrEnum):
    """What can be asked of the registry."""

    ADMIT = "admit organisations and people"
    ISSUE_KEY = "issue or revoke an API key"
    REGISTER_PROJECT = "register a project"
    ADD_AREA = "add an area"
    REQUEST_MONITORING = "request monitoring"
    MEASURE = "take requests and file reports"
    VERIFY = "take and decide reviews"
    MINT = "mint credits"
    TRANSFER = "transfer credits"
    LIST = "list or withdraw credits"
    BUY = "buy credits"
    RETIRE = "retire credits"
    DEPOSIT_SANDBOX_CASH = "deposit sandbox cash"
    SEAL_LOG = "seal the log"


ALLOWED: dict[Action, frozenset[Role]] = {
    Action.ADMIT: frozenset({Role.OPERATOR}),
    Action.ISSUE_KEY: frozenset(Role),
    Action.REGISTER_PROJECT: frozenset({Role.DEVELOPER}),
    Action.ADD_AREA: frozenset({Role.DEVELOPER}),
    Action.REQUEST_MONITORING: frozenset({Role.DEVELOPER}),
    Action.MEASURE: frozenset(),
    Action.VERIFY: frozenset({Role.VERIFIER}),
    Action.MINT: frozenset({Role.VERIFIER}),
    Action.TRANSFER: frozenset({Role.DEVELOPER, Role.BUYER}),
    Action.LIST: frozenset({Role.DEVELOPER, Role.BUYER}),
    Action.BUY: frozenset({Role.BUYER}),
    Action.RETIRE: frozenset({Role.DEVELOPER, Role.BUYER}),
    Action.DEPOSIT_SANDBOX_CASH: frozenset({Role.BUYER, Role.OPERATOR}),
    Action.SEAL_LOG: frozenset(),
}
"""An empty set: only a part of the system itself."""

SYSTEM_ACTIONS = frozenset({Action.ADMIT, Action.MEASURE, Action.SEAL_LOG})
"""What the system may do without a person. Nothing here approves, mints or moves a tonne."""


@dataclass(frozen=True)
class Actor:
    """Whoever asks: a person in an organisation, or a named part of the system."""

    user_id: UUID | None
    """None for the system."""
    organisation_id: UUID | None
    """None for the system."""
    roles: frozenset[Role]
    name: str
    """A person's name for messages, or `system:<part>`; never written into the log."""

    @property
    def tag(self) -> str:
        """How the log names the actor: an identifier, never a person's name."""
        return self.name if self.user_id is None else f"user:{self.user_id}"

    def require(self, action: Action) -> None:
        """Refuse unless one of the actor's roles may do this.

        Raises
        ------
        NotAllowed
            Naming the roles that may.
        """
        if self.user_id is None and action in SYSTEM_ACTIONS:
            return
        if self.roles & ALLOWED[action]:
            return
        needed = " or ".join(sorted(ALLOWED[action])) or "system"
        raise NotAllowed(actor=self.name, action=action.value, needed=needed)

    def person(self) -> UUID:
        """Give the person's id.

        Raises
        ------
        NotAllowed
            If the actor is a part of the system.
        """
        if self.user_id is None:
            raise NotAllowed(actor=self.name, action="act as a person", needed="person")
        return self.user_id

    def organisation(self) -> UUID:
        """Give the id of the person's organisation.

        Raises
        ------
        NotAllowed
            If the actor is a part of the system.
        """
        if self.organisation_id is None:
            raise NotAllowed(actor=self.name, action="act for an organisation", needed="person")
        return self.organisation_id

    def require_own(self, organisation_id: UUID, *, action: Action, what: str) -> None:
        """Refuse what belongs to another organisation.

        Raises
        ------
        NotYours
            If the actor is of another organisation, or the system.
        """
        if self.organisation_id != organisation_id:
            raise NotYours(actor=self.name, action=action.value, what=what)


def system_actor(part: str) -> Actor:
    """Give the actor of a job, a flow or the set-up: `system:<part>`."""
    return Actor(user_id=None, organisation_id=None, roles=frozenset(), name=f"system:{part}")
