"""From rows and documents to what a page shows: badges, figures, whiskers; no HTML, no database.

A state is a word with a sign beside it; a number keeps its unit and its interval. A number that is
not known is said to be unknown, never shown as zero.

Order: badges, figures with intervals, quantities, findings, dates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from registry.domain.quantities import tonnes_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

MINUS = "\N{MINUS SIGN}"
THIN = "\N{NARROW NO-BREAK SPACE}"
UNKNOWN = "not known"
WHISKER_WIDTH = 240
WHISKER_ROOM = 0.1
LARGE = 1000
SMALL = 10


@dataclass(frozen=True)
class Badge:
    """A word for a state or a kind, with its sign and its tone."""

    label: str
    sign: str
    tone: str


KINDS = {
    "indicative": Badge("Indicative", "ring", "quiet"),
    "demonstration": Badge("Demonstration", "said", "said"),
    "issuable": Badge("Issuable", "good", "good"),
}

STATES = {
    "registered": Badge("Registered", "wait", ""),
    "active": Badge("Active", "good", "said"),
    "suspended": Badge("Suspended", "warn", "warn"),
    "closed": Badge("Closed", "firm", "quiet"),
    "queued": Badge("Waiting", "wait", ""),
    "running": Badge("Measuring", "wait", "said"),
    "done": Badge("Measured", "good", "said"),
    "failed": Badge("Failed", "fault", "firm"),
    "cancelled": Badge("Cancelled", "firm", "quiet"),
    "in_review": Badge("In review", "wait", "said"),
    "approved": Badge("Approved", "good", "good"),
    "refused": Badge("Refused", "firm", "firm"),
    "opinion_given": Badge("Opinion given", "said", "said"),
    "listed": Badge("Listed", "said", "said"),
    "retired": Badge("Retired", "good", "good"),
    "buffer": Badge("Buffer", "firm", "quiet"),
    "reserve": Badge("Reserve", "wait", "quiet"),
    "open": Badge("Open", "good", "said"),
    "sold": Badge("Sold", "good", "firm"),
    "withdrawn": Badge("Withdrawn", "firm", "quiet"),
}

REPORT_QUEUED = Badge("Waiting for a verifier", "wait", "")

SEVERITIES = {
    "blocking": Badge("Blocking", "firm", "firm"),
    "warning": Badge("Warning", "warn", "warn"),
    "info": Badge("Note", "said", "quiet"),
}

SEVERITY_ORDER = ("blocking", "warning", "info")


@dataclass(frozen=True)
class Whisker:
    """A mean with its 90 % interval, drawn on a line 240 wide."""

    low: float
    mean: float
    high: float
    zero: float | None
    label: str


@dataclass(frozen=True)
class Figure:
    """A number as it is read: text, unit, interval."""

    text: str
    unit: str
    interval: str | None
    whisker: Whisker | None


@dataclass(frozen=True)
class FindingRow:
    """One entry of a report's quality list."""

    badge: Badge
    code: str
    message: str


def badge_of_state(state: str) -> Badge:
    """Give the badge of a state; a state without one still has its word."""
    return STATES.get(state, Badge(state.replace("_", " ").capitalize(), "ring", ""))


def badge_of_report(state: str) -> Badge:
    """Give the badge of a report's state."""
    return REPORT_QUEUED if state == "queued" else badge_of_state(state)


def badge_of_kind(kind: str) -> Badge:
    """Give the badge of a kind of result."""
    return KINDS[kind]


def number_text(value: float | None, *, digits: int | None = None) -> str:
    """Write a number for reading: a true minus, thin groups of three, no invented precision.

    Without `digits`: three decimals below 10, two below 1,000, one above.
    """
    if value is None:
        return UNKNOWN
    if digits is None:
        size = abs(value)
        digits = 3 if size < SMALL else 2 if size < LARGE else 1
    text = f"{abs(value):,.{digits}f}".replace(",", THIN)
    return f"{MINUS}{text}" if value < 0 and float(f"{value:.{digits}f}") != 0 else text


def figure_of(estimate: Mapping[str, Any] | None, *, unit: str) -> Figure:
    """Show an estimate `{mean, se, df, ci90}`, or say that it is not known."""
    if estimate is None or estimate.get("mean") is None:
        return Figure(text=UNKNOWN, unit="", interval=None, whisker=None)
    mean = float(estimate["mean"])
    interval = estimate.get("ci90")
    if not interval or interval[0] is None or interval[1] is None:
        return Figure(number_text(mean), unit, "no interval", None)
    low, high = float(interval[0]), float(interval[1])
    words = f"90{THIN}% interval {number_text(low)} to {number_text(high)}"
    return Figure(number_text(mean), unit, words, _whisker(low, mean, high, f"{words} {unit}"))


def _whisker(low: float, mean: float, high: float, label: str) -> Whisker | None:
    left, right = min(low, 0.0), max(high, 0.0)
    span = right - left
    if not math.isfinite(span) or span <= 0 or not low <= mean <= high:
        return None
    room = WHISKER_WIDTH * WHISKER_ROOM

    def place(value: float) -> float:
        return round(room + (value - left) / span * (WHISKER_WIDTH - 2 * room), 1)

    return Whisker(place(low), place(mean), place(high), place(0.0), label)


def tonnes(kg: int) -> str:
    """Write kilograms as tonnes for reading: 1350 is 1.350, groups of three, a true minus."""
    whole, _, rest = tonnes_text(abs(kg)).partition(".")
    text = f"{int(whole):,}".replace(",", THIN) + f".{rest}"
    return f"{MINUS}{text}" if kg < 0 else text


def hectares(value: float) -> str:
    """Write hectares: two decimals, groups of three."""
    return number_text(float(value), digits=2)


def day(value: date | datetime | str) -> str:
    """Write a date as it is compared: 2020-09-01."""
    return value[:10] if isinstance(value, str) else value.strftime("%Y-%m-%d")


def day_before(value: date) -> str:
    """Write the day before: the last day inside a span whose upper bound is outside."""
    return day(value - timedelta(days=1))


def grouped(value: int) -> str:
    """Write a whole number in thin groups of three."""
    return f"{value:,}".replace(",", THIN)


def minute(value: datetime) -> str:
    """Write a moment of the log, in UTC."""
    return value.strftime("%Y-%m-%d %H:%M UTC")


def findings_of(quality: list[Mapping[str, Any]]) -> tuple[FindingRow, ...]:
    """Give the quality list, what blocks first."""
    ordered = sorted(quality, key=lambda item: SEVERITY_ORDER.index(str(item["severity"])))
    return tuple(
        FindingRow(SEVERITIES[item["severity"]], str(item["code"]), str(item["message"]))
        for item in ordered
    )
