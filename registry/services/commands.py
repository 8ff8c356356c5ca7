"""Commands are idempotent: the client sends the id, a retry returns the first result.

Imports tables only. Used by every service that writes.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from registry.errors import CommandConflict
from registry.tables.accounts import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from sqlalchemy.orm import Session

    from registry.domain.roles import Actor

Result = dict[str, Any]
"""Identifiers of what a command made, as JSON; never a secret."""


def once(
    session: Session,
    *,
    actor: Actor,
    command_id: UUID,
    action: str,
    content: Mapping[str, Any],
    do: Callable[[], Result],
) -> Result:
    """Run `do` the first time a command id is seen; afterwards give its first result.

    Two who send the same id at the same time wait for each other (an advisory lock on the id,
    held until the transaction ends), so the second finds what the first committed.

    Parameters
    ----------
    content
        The arguments of the command; dates and ids may stand as they are. No password: the
        hash of the content is kept.
    do
        Does the work in this transaction and returns the identifiers of what it made.

    Raises
    ------
    CommandConflict
        If the id was used before by another actor, for another action or with other content.
    """
    session.execute(select(func.pg_advisory_xact_lock(_lock_key(command_id))))
    digest = content_sha256(content)
    before = session.get(Command, command_id)
    if before is not None:
        if (before.actor, before.action, before.content_sha256) != (actor.tag, action, digest):
            raise CommandConflict(command_id=command_id)
        first: Result = before.result
        return first
    result = do()
    session.add(
        Command(id=command_id, actor=actor.tag, action=action, content_sha256=digest, result=result)
    )
    session.flush()
    return result


def content_sha256(content: Mapping[str, Any]) -> str:
    """Hash the arguments of a command: sorted keys, dates and ids as text."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _lock_key(command_id: UUID) -> int:
    """Give the 64 bits that stand for the id among advisory locks; a clash only waits longer."""
    digest = hashlib.sha256(b"amanar command" + command_id.bytes).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
