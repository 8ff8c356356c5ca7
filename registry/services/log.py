"""The Merkle log of the audit events: seal it, prove from it; imports audit and the domain.

Events are recorded without a place; `seal` gives each its leaf, once, in the order of writing
among those that are visible, and signs the new head. What is sealed never moves.

Order: sealing, proofs, reading the leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import exists, func, insert, select
from sqlmodel import col

from registry.domain import proof
from registry.domain.merkle import Tree
from registry.errors import LogInconsistent
from registry.services import audit
from registry.tables.audit import AuditEvent, Checkpoint, LogLeaf
from registry.tables.base import Environment, now

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

_LOCK = "seal the log"


@dataclass(frozen=True)
class Signer:
    """Who signs the log, and under which name."""

    origin: str
    """Name of the log without its database, `amanar-sandbox/localhost`."""
    public_key: bytes
    """Raw Ed25519 public key, 32 bytes."""
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True)
class Inclusion:
    """That one event is in the log: its place, the path, the signed head."""

    event: AuditEvent
    leaf_index: int
    path: list[bytes]
    checkpoint: Checkpoint


# --- sealing -------------------------------------------------------------------------------------


def seal(session: Session, *, signer: Signer) -> Checkpoint | None:
    """Append every recorded event that has no leaf yet, and sign the new head.

    Who: the sealing job and the command line; no person. Writes: leaves and one checkpoint; if
    there is nothing new, nothing. Safe to repeat and to run twice at once (one waits). Cost: one
    read of all leaf hashes, some microseconds each.

    Returns
    -------
    The newest checkpoint; None while the log is empty.

    Raises
    ------
    LogInconsistent
        If a recorded event does not have its own hash, or the stored leaves do not lead to the
        last checkpoint's root: then history was changed behind the database's back.
    """
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(_LOCK, 0))))
    last = session.scalars(
        select(Checkpoint).order_by(col(Checkpoint.tree_size).desc()).limit(1)
    ).one_or_none()
    fresh = list(session.scalars(_unsealed()))
    if not fresh:
        return last
    tree = tree_of(session)
    if last is not None and (
        tree.size < last.tree_size or tree.root(last.tree_size) != last.root_sha256
    ):
        raise LogInconsistent(
            tree_size=last.tree_size, problem="Its stored leaves give another root."
        )
    for event in fresh:
        if proof.leaf_hash(proof.canonical_json(audit.leaf_document(event))) != event.leaf_sha256:
            raise LogInconsistent(
                tree_size=tree.size, problem=f"Event {event.seq} does not have its recorded hash."
            )
    rows = [
        {"leaf_index": place, "event_seq": event.seq}
        for place, event in enumerate(fresh, start=tree.size)
    ]
    session.execute(insert(LogLeaf), rows)
    for event in fresh:
        tree.append(event.leaf_sha256)
    return _sign(session, tree=tree, signer=signer)


def _unsealed() -> Select[AuditEvent]:
    return (
        select(AuditEvent)
        .where(~exists().where(col(LogLeaf.event_seq) == col(AuditEvent.seq)))
        .order_by(col(AuditEvent.seq))
    )


def _sign(session: Session, *, tree: Tree, signer: Signer) -> Checkpoint:
    head = proof.Checkpoint(
        origin=origin_of(session, signer.origin), size=tree.size, root=tree.root()
    )
    made = Checkpoint(
        tree_size=head.size,
        root_sha256=head.root,
        origin=head.origin,
        public_key=signer.public_key,
        signature=signer.sign(head.text().encode()),
        at=now(),
    )
    session.add(made)
    session.flush()
    return made


def origin_of(session: Session, name: str) -> str:
    """Give the log's full name: the setting, and when this database was born.

    So a sandbox that is thrown away and made again under the same key is another log, and two
    histories never stand under one name.
    """
    born_at = session.scalars(select(col(Environment.born_at))).one()
    return f"{name}/{born_at:%Y%m%dT%H%M%SZ}"


# --- proofs --------------------------------------------------------------------------------------


def prove(session: Session, *, action: str, subject: str) -> Inclusion | None:
    """Prove that the log holds the event of this action on this subject.

    The oldest checkpoint that covers the leaf is used, so the same proof is given for ever.

    Returns
    -------
    None if there is no such event, or it is not sealed yet.
    """
    found = session.execute(
        select(AuditEvent, col(LogLeaf.leaf_index))
        .join(LogLeaf, col(LogLeaf.event_seq) == col(AuditEvent.seq))
        .where(col(AuditEvent.subject) == subject, col(AuditEvent.action) == action)
        .order_by(col(AuditEvent.seq))
        .limit(1)
    ).first()
    if found is None:
        return None
    event, index = found
    checkpoint = session.scalars(
        select(Checkpoint)
        .where(col(Checkpoint.tree_size) > index)
        .order_by(col(Checkpoint.tree_size))
        .limit(1)
    ).one_or_none()
    if checkpoint is None:
        return None
    tree = tree_of(session, size=checkpoint.tree_size)
    return Inclusion(event, index, tree.inclusion(index), checkpoint)


def prove_consistency(session: Session, *, first: int, second: int) -> list[bytes]:
    """Prove that the log of `second` leaves begins with its first `first` leaves."""
    return tree_of(session, size=second).consistency(first)


def head_of(checkpoint: Checkpoint) -> proof.Checkpoint:
    """Give a stored checkpoint as it was signed."""
    return proof.Checkpoint(
        origin=checkpoint.origin, size=checkpoint.tree_size, root=checkpoint.root_sha256
    )


def note_of(checkpoint: Checkpoint) -> str:
    """Give a stored checkpoint as a signed note, for publishing."""
    return proof.note_of(
        head_of(checkpoint), public_key=checkpoint.public_key, signature=checkpoint.signature
    )


# --- reading the leaves --------------------------------------------------------------------------


def tree_of(session: Session, *, size: int | None = None) -> Tree:
    """Read the leaf hashes, all or the first `size`, and build their tree."""
    statement = (
        select(col(AuditEvent.leaf_sha256))
        .join(LogLeaf, col(LogLeaf.event_seq) == col(AuditEvent.seq))
        .order_by(col(LogLeaf.leaf_index))
    )
    if size is not None:
        statement = statement.where(col(LogLeaf.leaf_index) < size)
    return Tree(session.scalars(statement))
