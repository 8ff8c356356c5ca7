"""Reading the estimate that a worker files: where its values stand, whether it fits, its hash.

Plain Python, imports errors only. The document is `amanar.estimate/1`; the registry believes none
of it: what it was asked for is compared, the rest is a verifier's to judge.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import ReportMismatch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

SCHEMA = "amanar.estimate/1"

AREA_TOLERANCE = 0.001
"""Largest relative difference of hectares; both sides are geodesic, so it could be far less."""

PREVIOUS_TOLERANCE = 1e-6
"""Relative; numbers in the document have 9 significant digits."""


@dataclass(frozen=True)
class Asked:
    """What a monitoring request asked for, to be found again in the estimate."""

    first_day: date
    last_day: date
    t0: str
    """ISO date from which the tonnes are counted."""
    methodology: str
    area_ha: float
    previous_net_tco2e: float


def require_match(estimate: Mapping[str, Any], asked: Asked) -> None:
    """Refuse an estimate of something else than was asked for.

    Raises
    ------
    ReportMismatch
        Naming the field and both values.
    """
    exact = {
        "schema": SCHEMA,
        "period.start": str(asked.first_day),
        "period.end": str(asked.last_day),
        "period.t0": asked.t0,
        "methodology.id": asked.methodology,
    }
    for path, expected in exact.items():
        given = value_at(estimate, path)
        if given != expected:
            raise ReportMismatch(field=path, given=given, expected=expected)
    near = {
        "boundary.area_ha": (asked.area_ha, AREA_TOLERANCE * asked.area_ha),
        "removals_tco2e.previous": (
            asked.previous_net_tco2e,
            PREVIOUS_TOLERANCE * max(1.0, abs(asked.previous_net_tco2e)),
        ),
    }
    for path, (expected_number, tolerance) in near.items():
        given = value_at(estimate, path)
        number = isinstance(given, int | float) and not isinstance(given, bool)
        if not number or not abs(given - expected_number) <= tolerance:
            raise ReportMismatch(field=path, given=given, expected=expected_number)


def estimate_sha256(estimate: Mapping[str, Any]) -> str:
    """Hash a whole document by what it says: the same from its file and from the database.

    Keys are sorted, and a number is written by its value: a database gives 100 for 1e2 and 0.0
    for -0.0, which is no other document.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    text = json.dumps(_by_value(estimate), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _by_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _by_value(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_by_value(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def value_at(document: Mapping[str, Any], path: str) -> Any:
    """Look up `a.b` in a document.

    Raises
    ------
    ReportMismatch
        If it is not there.
    """
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            raise ReportMismatch(field=path, given="absent", expected="there")
        value = value[name]
    return value
