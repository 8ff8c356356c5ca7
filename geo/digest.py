"""One digest for one result, whatever made it: canonical JSON with nine significant digits.

Imports errors only. Order: canonical text, its digest, comparing two documents number by number.
Pixels have their own digest (raster_io.pixel_digest); bytes of TIFF, PNG or PDF never enter.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping

SIGNIFICANT_DIGITS = 9


def canonical_json(value: object) -> str:
    """Write JSON so that equal documents have equal text.

    Keys sorted, no blanks, ASCII; floats with nine significant digits, whole ones without a
    point, -0 as 0. Integers and text as they are.

    Raises
    ------
    ValueError
        For NaN, infinity or a value that JSON does not have: a fault of ours.
    """
    if isinstance(value, bool) or value is None or isinstance(value, int | str):
        return json.dumps(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            msg = "canonical JSON has text keys only"
            raise ValueError(msg)
        parts = (f"{json.dumps(key)}:{canonical_json(value[key])}" for key in sorted(value))
        return "{" + ",".join(parts) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(canonical_json(part) for part in value) + "]"
    msg = f"{type(value).__name__} is no JSON value"
    raise ValueError(msg)


def _number(value: float) -> str:
    if not math.isfinite(value):
        msg = f"{value} is no JSON number"
        raise ValueError(msg)
    text = f"{value:.{SIGNIFICANT_DIGITS}g}"
    return "0" if float(text) == 0 else text


def json_digest(value: object) -> str:
    """SHA-256 of the canonical text, hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def differences(stated: object, computed: object, *, path: str = "$") -> Iterator[str]:
    """Name every place where two documents differ beyond the ninth digit, as a JSON path.

    Parameters
    ----------
    stated, computed
        What the document says, and what it should say.
    """
    if isinstance(stated, Mapping) and isinstance(computed, Mapping):
        for key in sorted({*stated, *computed}):
            place = f"{path}.{key}"
            if key not in stated:
                yield f"{place} is missing, {_shown(computed[key])} was computed"
            elif key not in computed:
                yield f"{place} is {_shown(stated[key])}, nothing of that name was computed"
            else:
                yield from differences(stated[key], computed[key], path=place)
    elif isinstance(stated, list | tuple) and isinstance(computed, list | tuple):
        if len(stated) != len(computed):
            yield f"{path} has {len(stated)} entries, {len(computed)} were computed"
            return
        for number, (left, right) in enumerate(zip(stated, computed, strict=True)):
            yield from differences(left, right, path=f"{path}[{number}]")
    elif not _same(stated, computed):
        yield f"{path} is {_shown(stated)}, {_shown(computed)} was computed"


def _same(left: object, right: object) -> bool:
    numbers = (int, float)
    if isinstance(left, numbers) and isinstance(right, numbers):
        if isinstance(left, bool) or isinstance(right, bool):
            return left is right
        return canonical_json(left) == canonical_json(right)
    return type(left) is type(right) and left == right


def _shown(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 (a line on a terminal)
