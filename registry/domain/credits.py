"""Credits: rounding, vintages, serial numbers, ranges; plain Python, imports quantities and errors.

This is the only place in the system that rounds tonnes (rules.md 6). Everything after it is whole
numbers: a serial number names one kilogram of CO2e, a batch numbers its kilograms from 1.

Order: rounding, vintages, the plan of a mint, ranges of serials, serial text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from registry.domain.quantities import KG_PER_T, MAX_KG, exact_tonnes
from registry.errors import NotAQuantity, NotASerial, RangesDoNotTile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal
    from fractions import Fraction
    from uuid import UUID

    from registry.domain.claims import Environment


DAY = timedelta(days=1)


# --- rounding ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Issuance:
    """What one report may issue, in whole units."""

    verified: int
    """V: floor of the increment of net removals. All that is minted, the buffer part included."""
    buffer: int
    """B: ceiling of the buffer."""

    @property
    def credited(self) -> int:
        """V - B: what the project receives; never negative."""
        return self.verified - self.buffer


NOTHING = Issuance(verified=0, buffer=0)


def round_issuance(
    *,
    net_t: str | float | Decimal | Fraction,
    previous_t: str | float | Decimal | Fraction,
    buffer_t: str | float | Decimal | Fraction,
    units_per_t: int = KG_PER_T,
) -> Issuance:
    """Round a report's tonnes to whole units, once, against the project.

    V = floor(net - previous), B = ceil(buffer), credited = V - B; nothing at all where that is
    zero or less. The increment is formed exactly, before rounding.

    Parameters
    ----------
    net_t, previous_t
        Cumulative net removals from t0, now and at the report before, tCO2e.
    buffer_t
        Buffer of the increment, tCO2e, >= 0.
    units_per_t
        1000: kilograms. 1 gives the figures of programmes that issue whole tonnes.

    Returns
    -------
    Issuance, `NOTHING` where credited <= 0.

    Raises
    ------
    NotAQuantity
        If a value is not finite, or the buffer is negative.

    Source: VCS Standard 3.14.15 for V - B; floor and ceiling are our rule (VCS gives none).
    """
    increment = exact_tonnes(net_t) - exact_tonnes(previous_t)
    buffer = exact_tonnes(buffer_t)
    if buffer < 0:
        raise NotAQuantity(text=str(buffer_t), wanted="a buffer of 0 t or more")
    verified = math.floor(increment * units_per_t)
    held_back = math.ceil(buffer * units_per_t)
    if verified - held_back <= 0:
        return NOTHING
    if verified > MAX_KG:
        raise NotAQuantity(text=str(net_t), wanted=f"at most {MAX_KG} kg in one issuance")
    return Issuance(verified=verified, buffer=held_back)


# --- vintages ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vintage:
    """The part of a period that lies in one calendar year; both days inclusive."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """Number of days, both ends counted."""
        return (self.end - self.start).days + 1


def vintages_of(start: date, end: date) -> tuple[Vintage, ...]:
    """Cut a period, both days inclusive, at each New Year; oldest first."""
    if start > end:
        raise NotAQuantity(text=f"{start} to {end}", wanted="a period that ends after it starts")
    cuts = [start, *(date(year, 1, 1) for year in range(start.year + 1, end.year + 1))]
    ends = [*(cut - DAY for cut in cuts[1:]), end]
    return tuple(Vintage(first, last) for first, last in zip(cuts, ends, strict=True))


def apportion(
    total: int, weights: Sequence[int], *, caps: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Share a whole number by weights with the largest remainder (Hamilton's method).

    Each gets the floor of its exact share; what is left goes one by one to the largest
    remainders, earlier entries first where remainders are equal. With `caps`, an entry that has
    reached its cap is passed over: the method's Alabama paradox could otherwise give a vintage
    more buffer than it has units.

    Parameters
    ----------
    total
        >= 0, and at most the sum of the caps.
    weights
        Whole numbers > 0 (here: days).
    """
    sum_of_weights = sum(weights)
    shares = [divmod(total * weight, sum_of_weights) for weight in weights]
    parts = [whole for whole, _ in shares]
    order = sorted(range(len(parts)), key=lambda place: (-shares[place][1], place))
    left = total - sum(parts)
    while left:
        before = left
        for place in order:
            if left and (caps is None or parts[place] < caps[place]):
                parts[place] += 1
                left -= 1
        if left == before:
            raise NotAQuantity(text=str(total), wanted="no more than the caps allow")
    return tuple(parts)


# --- the plan of a mint --------------------------------------------------------------------------


@dataclass(frozen=True)
class BatchPlan:
    """One batch to be minted: one report, one vintage."""

    vintage: Vintage
    size_kg: int
    """All kilograms of the batch: serials 1 … size_kg."""
    buffer_kg: int
    """The last `buffer_kg` serials go to the buffer pool."""

    @property
    def credited(self) -> SerialRange | None:
        """Serials for the project: the first part, or None where all is buffer."""
        first = self.size_kg - self.buffer_kg
        return SerialRange(1, first) if first else None

    @property
    def buffered(self) -> SerialRange | None:
        """Serials for the buffer pool: the last part, or None where there is no buffer."""
        if not self.buffer_kg:
            return None
        return SerialRange(self.size_kg - self.buffer_kg + 1, self.size_kg)


def plan_batches(issuance: Issuance, *, start: date, end: date) -> tuple[BatchPlan, ...]:
    """Share an issuance over the calendar years of its period; V and B each by days.

    Returns
    -------
    One plan a vintage that received anything, oldest first; sums are exactly V and B.
    """
    vintages = vintages_of(start, end)
    days = [vintage.days for vintage in vintages]
    sizes = apportion(issuance.verified, days)
    buffers = apportion(issuance.buffer, days, caps=sizes)
    return tuple(
        BatchPlan(vintage=vintage, size_kg=size, buffer_kg=buffer)
        for vintage, size, buffer in zip(vintages, sizes, buffers, strict=True)
        if size
    )


# --- ranges of serials ---------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class SerialRange:
    """Consecutive serials of one batch, first and last inclusive."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.last:
            raise NotASerial(text=f"{self.first}-{self.last}", wanted="1 <= first <= last")

    @property
    def quantity_kg(self) -> int:
        """Number of serials: kilograms."""
        return self.last - self.first + 1

    def holds(self, other: SerialRange) -> bool:
        """Whether all serials of the other range are in this one."""
        return self.first <= other.first and other.last <= self.last


def split(block: SerialRange, quantity_kg: int) -> tuple[SerialRange, SerialRange | None]:
    """Take the first `quantity_kg` serials; the second part is the rest, None if nothing is left.

    Raises
    ------
    NotAQuantity
        If the quantity is not in 1 … the block's.
    """
    if not 1 <= quantity_kg <= block.quantity_kg:
        raise NotAQuantity(text=f"{quantity_kg} kg", wanted=f"1 to {block.quantity_kg} kg")
    middle = block.first + quantity_kg - 1
    rest = SerialRange(middle + 1, block.last) if middle < block.last else None
    return SerialRange(block.first, middle), rest


def carve(
    block: SerialRange, wanted: SerialRange
) -> tuple[SerialRange | None, SerialRange, SerialRange | None]:
    """Cut chosen serials out of a block: what is before, the chosen ones, what is after.

    Raises
    ------
    NotASerial
        If the chosen serials are not all in the block.
    """
    if not block.holds(wanted):
        raise NotASerial(
            text=f"{wanted.first}-{wanted.last}", wanted=f"serials in {block.first}-{block.last}"
        )
    before = SerialRange(block.first, wanted.first - 1) if block.first < wanted.first else None
    after = SerialRange(wanted.last + 1, block.last) if wanted.last < block.last else None
    return before, wanted, after


def take(blocks: Iterable[SerialRange], quantity_kg: int) -> tuple[SerialRange, ...]:
    """Take the lowest serials from several blocks until the quantity is reached.

    Raises
    ------
    NotAQuantity
        If the blocks hold less, or the quantity is not positive.
    """
    taken: list[SerialRange] = []
    left = quantity_kg
    for block in sorted(blocks):
        if left <= 0:
            break
        part, _ = split(block, min(left, block.quantity_kg))
        taken.append(part)
        left -= part.quantity_kg
    if left != 0 or not taken:
        wanted = f"1 to {quantity_kg - left} kg" if taken else "a quantity above zero and a holding"
        raise NotAQuantity(text=f"{quantity_kg} kg", wanted=wanted)
    return tuple(taken)


def merge(ranges: Iterable[SerialRange]) -> tuple[SerialRange, ...]:
    """Join ranges that touch, in order.

    Raises
    ------
    RangesDoNotTile
        If two ranges overlap: a serial is in one place only.
    """
    joined: list[SerialRange] = []
    for item in sorted(ranges):
        if joined and item.first <= joined[-1].last:
            raise RangesDoNotTile(left=joined[-1], right=item)
        if joined and item.first == joined[-1].last + 1:
            joined[-1] = SerialRange(joined[-1].first, item.last)
        else:
            joined.append(item)
    return tuple(joined)


@dataclass(frozen=True)
class Wanted:
    """Which kilograms of one batch: a quantity (its lowest serials), or chosen serials."""

    batch_id: UUID
    quantity_kg: int | None = None
    serials: tuple[SerialRange, ...] = ()

    def content(self) -> dict[str, Any]:
        """Give what a command remembers of it."""
        runs = [f"{run.first}-{run.last}" for run in self.serials]
        return {"batch_id": str(self.batch_id), "quantity_kg": self.quantity_kg, "serials": runs}


# --- serial text ---------------------------------------------------------------------------------

_SERIAL = re.compile(
    r"(?P<sandbox>SANDBOX-)?AMR-(?P<country>[A-Z]{2})-(?P<project>[A-Z0-9]+(?:-[A-Z0-9]+)*)"
    r"-(?P<batch>[1-9][0-9]*)-(?P<start>[0-9]{8})-(?P<end>[0-9]{8})"
    r"-(?P<first>[1-9][0-9]*)-(?P<last>[1-9][0-9]*)",
    flags=re.ASCII,
)


@dataclass(frozen=True)
class Serial:
    """A range of serials with all that names it to the world; stable under transfer.

    `[SANDBOX-]AMR-<country>-<project>-<batch>-<vintage start>-<vintage end>-<first>-<last>`,
    days as YYYYMMDD, first and last inclusive. A project code may hold hyphens: the five numbers
    at the end and the country at the front have fixed forms, so the text reads in one way only.
    """

    environment: Environment
    country: str
    """ISO 3166-1 alpha-2."""
    project: str
    batch: int
    vintage: Vintage
    serials: SerialRange

    def text(self) -> str:
        """Write the serial; `parse_serial` is its inverse."""
        mark = "SANDBOX-" if self.environment == "sandbox" else ""
        written = (
            f"{mark}AMR-{self.country}-{self.project}-{self.batch}"
            f"-{self.vintage.start:%Y%m%d}-{self.vintage.end:%Y%m%d}"
            f"-{self.serials.first}-{self.serials.last}"
        )
        if _SERIAL.fullmatch(written) is None:
            raise NotASerial(text=written, wanted="country AA, project A-Z 0-9, batch from 1")
        return written


def parse_serial(text: str) -> Serial:
    """Read a serial; the inverse of `Serial.text`.

    Raises
    ------
    NotASerial
        If the text is not exactly of that form, or a day or range in it is impossible.
    """
    wanted = "[SANDBOX-]AMR-<country>-<project>-<batch>-<start>-<end>-<first>-<last>"
    found = _SERIAL.fullmatch(text)
    if found is None:
        raise NotASerial(text=text, wanted=wanted)
    try:
        vintage = Vintage(_day(found["start"]), _day(found["end"]))
    except ValueError as fault:
        raise NotASerial(text=text, wanted="days that exist, as YYYYMMDD") from fault
    if vintage.days < 1:
        raise NotASerial(text=text, wanted="a vintage that ends after it starts")
    return Serial(
        environment="sandbox" if found["sandbox"] else "production",
        country=found["country"],
        project=found["project"],
        batch=int(found["batch"]),
        vintage=vintage,
        serials=SerialRange(int(found["first"]), int(found["last"])),
    )


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))
