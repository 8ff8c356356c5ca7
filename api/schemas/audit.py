"""The log on the wire: events, proofs, checkpoints, invariants. Imports wire and tables."""

import base64
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field

from api.wire import Answer, Page
from registry.domain.proof import fingerprint_of
from registry.queries.audit import EventRow
from registry.services.log import Inclusion, note_of
from registry.tables.audit import Checkpoint as CheckpointTable


class Checkpoint(BaseModel):
    """The signed size and root of the log."""

    origin: str
    tree_size: int
    root_sha256: str
    note: str = Field(description="The signed note, C2SP signed-note form, as it is published.")
    public_key: str = Field(description="Raw Ed25519 key, base64.")
    fingerprint: str
    at: datetime

    @classmethod
    def of(cls, row: CheckpointTable) -> Self:
        """Give the wire form."""
        return cls(
            origin=row.origin,
            tree_size=row.tree_size,
            root_sha256=row.root_sha256.hex(),
            note=note_of(row),
            public_key=base64.b64encode(row.public_key).decode(),
            fingerprint=fingerprint_of(row.public_key),
            at=row.at,
        )


class CheckpointAnswer(Answer):
    """The newest checkpoint; null until the log was sealed once."""

    checkpoint: Checkpoint | None


class Event(BaseModel):
    """One event of the log."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    content: Any
    leaf_sha256: str
    leaf_index: int | None = Field(description="Its place in the tree; null until it is sealed.")

    @classmethod
    def of(cls, row: EventRow) -> Self:
        """Give the wire form."""
        event = row.event
        return cls.model_validate(
            {
                **event.model_dump(exclude={"leaf_sha256"}),
                "leaf_sha256": event.leaf_sha256.hex(),
                "leaf_index": row.leaf_index,
            }
        )


class EventsAnswer(Page):
    """Events, the newest first."""

    items: list[Event]


class ProofAnswer(Answer):
    """That one event is in the log, to be checked offline (RFC 9162, 2.1.3.2)."""

    leaf: dict[str, Any] = Field(description="The six fields that the leaf's hash covers.")
    leaf_sha256: str
    leaf_index: int
    inclusion_proof: list[str]
    checkpoint: Checkpoint
    sentence: str

    @classmethod
    def of(cls, found: Inclusion, *, leaf: dict[str, Any], environment: str, sentence: str) -> Self:
        """Give the wire form."""
        return cls.model_validate(
            {
                "environment": environment,
                "leaf": leaf,
                "leaf_sha256": found.event.leaf_sha256.hex(),
                "leaf_index": found.leaf_index,
                "inclusion_proof": [step.hex() for step in found.path],
                "checkpoint": Checkpoint.of(found.checkpoint),
                "sentence": sentence,
            }
        )


class ConsistencyAnswer(Answer):
    """That the log of `second` leaves begins with its first `first` (RFC 9162, 2.1.4.2)."""

    first: int
    second: int
    consistency_proof: list[str]


class Broken(BaseModel):
    """One invariant that does not hold, and where."""

    invariant: str
    says: str
    ids: list[str]


class InvariantsAnswer(Answer):
    """What must always hold, checked just now."""

    holds: bool
    checked: list[str]
    broken: list[Broken]
