"""Keyset paging: a list is read by `limit` and `after`, never by page number.

`after` is the opaque text that the answer before gave as `next`: the key of its last row. So a
list that grows while it is read neither repeats nor loses a row. Imports the wire's errors only.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import Query

from api.faults import BadCursor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

LIMIT_DEFAULT = 25
LIMIT_MAX = 100
CURSOR_MAX_CHARS = 512
DATABASE_INT = 2**63

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


Row = TypeVar("Row")


def first_rows(
    found: Sequence[Row], *, limit: int, key: Callable[[Row], str | int | UUID]
) -> tuple[list[Row], str | None]:
    """Cut a list that was asked for `limit + 1` rows; give the rows and the `next` text."""
    shown = list(found[:limit])
    return shown, cursor_of(key(shown[-1])) if len(found) > limit else None


def cursor_of(*key: str | int | UUID) -> str:
    """Write the key of a row as the opaque text of `next`."""
    text = json.dumps(list(key), separators=(",", ":"), default=str)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def key_of(cursor: str | None, kind: Callable[[Any], Row]) -> Row | None:
    """Read a cursor back into the key of a row; None stays None.

    Raises
    ------
    BadCursor
        If the text is not a cursor that this list gave out.
    """
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return kind(_single(json.loads(raw)))
    except (binascii.Error, ValueError, TypeError, AttributeError, RecursionError) as fault:
        raise BadCursor(after=cursor) from fault


def whole(part: object) -> int:
    """Take the part of a cursor that has to be a whole number of the database."""
    if not isinstance(part, int) or isinstance(part, bool) or abs(part) >= DATABASE_INT:
        raise TypeError(part)
    return part


def text(part: object) -> str:
    """Take the part of a cursor that has to be text."""
    if not isinstance(part, str) or not part.isprintable():
        raise TypeError(part)
    return part


def _single(key: object) -> object:
    if not isinstance(key, list) or len(key) != 1:
        raise TypeError(key)
    return key[0]
