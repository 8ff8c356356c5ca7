"""Keyset paging: a list is read by `limit` and `after`, never by page number.

`after` is the opaque text that the answer before gave as `next`: the key of its last row. So a
list that grows while it is read neither repeats nor loses a row. Imports the wire's errors only.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any

from fastapi import Query

from api.faults import BadCursor

LIMIT_DEFAULT = 25
LIMIT_MAX = 100
CURSOR_MAX_CHARS = 512

Limit = Annotated[
    int,
    Query(ge=1, le=LIMIT_MAX, description=f"Rows in one answer, 1 to {LIMIT_MAX}."),
]
After = Annotated[
    str | None,
    Query(
        max_length=CURSOR_MAX_CHARS,
        description="The `next` of the answer before; leave out for the first rows.",
    ),
]


def cursor_of(*key: str | int) -> str:
    """Write the key of a row as the opaque text of `next`."""
    text = json.dumps(list(key), separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def key_of(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """Read a cursor back into a key of the given kinds; None stays None.

    Raises
    ------
    BadCursor
        If the text is not a cursor that this list gave out.
    """
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        key = json.loads(raw)
        if not isinstance(key, list) or len(key) != len(kinds):
            raise BadCursor(after=cursor)
        return tuple(_typed(kind, part) for kind, part in zip(kinds, key, strict=True))
    except (binascii.Error, ValueError, TypeError, RecursionError) as fault:
        raise BadCursor(after=cursor) from fault


def _typed(kind: type, part: object) -> object:
    if kind is int:
        if not isinstance(part, int) or isinstance(part, bool) or abs(part) >= 2**63:
            raise TypeError(part)
        return part
    if not isinstance(part, str) or "\x00" in part:
        raise TypeError(part)
    return kind(part)
