"""Field plots as they arrive: a CSV in, checked values out, every bad row named at once.

May import types, units and errors only (no arrays: the API's intake uses it too). Order: the
limits, reading, the text, the table, the rows, the single values, the list of problems.
A fault is never mended by guessing: "12,5" could be 12.5 or 125, so it goes back to its owner.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from geo.errors import BadInput
from geo.types import Plot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

REQUIRED_COLUMNS = ("plot_id", "lon", "lat", "date", "area_ha", "agb_t_per_ha")
OPTIONAL_COLUMNS = ("stratum",)

MAX_AGB_T_PER_HA = 800.0
"""Above this a value is refused: the guardrail of data/reference (a forest at 800 t/ha is rare)."""

MAX_PLOT_AREA_HA = 10.0
"""Largest plot that VM0047 v1.1 Appendix 1 allows; a larger number is mostly square metres."""

MAX_BYTES = 20_000_000
"""A larger file is refused before it is read (our choice)."""

MAX_NAMED_ROWS = 100
"""So many rows stand in the sentence; the error's `rows` has all of them."""

SAME_PLACE_DEGREES = 0.001
"""Two visits of one plot further apart (about 100 m) are two plots (our choice)."""

OLDEST_YEAR = 1900

MAX_ID_CHARACTERS = 64

_Value = TypeVar("_Value")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ISO_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]00:00(?::00(?:\.0+)?)?Z?)?")
_SERIAL_DATE = re.compile(r"[0-9]{5}(?:\.0+)?")
_SPREADSHEET_EPOCH = date(1899, 12, 30)
_NO_NUMBER = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), told)
    for pattern, told in (
        (r"", "is empty"),
        (r"[+-]?(nan|inf|infinity|na|n/a|null|none)|-|\?", "is no number: leave the row out"),
        (r"#.*", "is a spreadsheet's error value"),
        (r"[+-]?[0-9]+(?:[.,' ][0-9]{3})*,[0-9]+", "has a comma for a point"),
        (r"[\u2010-\u2015\u2212].*", "has a dash for a minus sign"),
        (r".*", "is not a plain number"),
    )
)
_NO_DAY = tuple(
    (re.compile(pattern, re.DOTALL), told)
    for pattern, told in (
        (r"", "is empty"),
        (_SERIAL_DATE.pattern, "is a spreadsheet's day number, not YYYY-MM-DD"),
        (r"[0-9]{1,4}[/.-][0-9]{1,2}[/.-][0-9]{1,4}", "is ambiguous: write YYYY-MM-DD"),
        (r".*", "is not YYYY-MM-DD"),
    )
)
_LIMITS = {
    "lon": (-180.0, 180.0),
    "lat": (-90.0, 90.0),
    "area_ha": (0.0, MAX_PLOT_AREA_HA),
    "agb_t_per_ha": (0.0, MAX_AGB_T_PER_HA),
}
_FIX = "Mend these and give the file again; nothing was read from it."


@dataclass(frozen=True)
class _Row:
    """One line of the table under its column names."""

    line: int
    values: Mapping[str, str]


@dataclass(frozen=True)
class _Fault:
    """What is wrong with one value, said so that the column's name can stand before it."""

    told: str


def read_plots(source: str | Path | bytes) -> tuple[Plot, ...]:
    """Read plot measurements, `plot_id,lon,lat,date,area_ha,agb_t_per_ha[,stratum]`.

    Parameters
    ----------
    source
        A path, or the bytes of the file. UTF-8 with or without a byte order mark, separated by
        comma, semicolon or tab, numbers with a point, dates YYYY-MM-DD. Columns in any order;
        columns of other names are left alone, unless they look like a misspelt one of ours.

    Returns
    -------
    The measurements in the order of the file: lon and lat in WGS 84 degrees, area in ha
    (horizontal), above-ground biomass in t of dry matter per ha. Never a guessed value.

    Raises
    ------
    BadInput
        With every faulty row in one error; its `rows` attribute holds one sentence for each.
    """
    name, content = _content(source)
    rows = _table(name, _text(name, content))
    problems: list[tuple[int, str]] = []
    plots: list[tuple[int, Plot]] = []
    for row in rows:
        plot, found = _plot(row)
        problems.extend((row.line, problem) for problem in found)
        if plot is not None:
            plots.append((row.line, plot))
    problems.extend(_clashes(plots))
    if problems:
        raise _refusal(name, [f"line {line}: {text}" for line, text in sorted(problems)])
    return tuple(plot for _, plot in plots)


def _content(source: str | Path | bytes) -> tuple[str, bytes]:
    if isinstance(source, bytes):
        return "the plots file", source
    path = Path(source)
    try:
        size = path.stat().st_size
        content = b"" if size > MAX_BYTES else path.read_bytes()
    except OSError as error:
        raise BadInput(
            what=f"plots {path}",
            problem=f"cannot be read ({error.strerror})",
            fix="Give the path of a CSV file.",
        ) from error
    if size > MAX_BYTES:
        raise BadInput(
            what=f"plots {path}",
            problem=f"has {size} bytes, at most {MAX_BYTES} are read",
            fix="Give the measured plots only.",
        )
    return f"plots {path.name}", content


def _text(name: str, content: bytes) -> str:
    """Decode; whatever is not UTF-8 text is refused with what it seems to be."""
    seems = None
    if not content.removeprefix(b"\xef\xbb\xbf").strip():
        seems = ("is empty", f"Give a CSV with the columns {','.join(REQUIRED_COLUMNS)}.")
    elif content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        seems = ("is a spreadsheet workbook", "Save the sheet as 'CSV UTF-8' and give that.")
    elif content.startswith((b"\xff\xfe", b"\xfe\xff")):
        seems = ("is UTF-16 text", "Save it as 'CSV UTF-8' and give that.")
    elif b"\x00" in content:
        seems = ("holds zero bytes and is no text", "Save it as 'CSV UTF-8' and give that.")
    if seems is not None:
        raise BadInput(what=name, problem=seems[0], fix=seems[1])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(
            what=name,
            problem=f"is not UTF-8 (line {line}, byte 0x{content[error.start]:02x})",
            fix="Save it as 'CSV UTF-8' and give that.",
        ) from error


def _table(name: str, text: str) -> list[_Row]:
    """Split into rows under a header that has been checked; blank lines are skipped."""
    lines: list[tuple[int, list[str]]] = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
        before = 0
        for cells in reader:
            lines.append((before + 1, [cell.strip() for cell in cells]))
            before = reader.line_num
    except csv.Error as error:
        raise BadInput(
            what=name,
            problem=f"is no CSV after line {len(lines)} ({error}): cut off, or a quote left open",
            fix="Export the table again.",
        ) from error
    filled = [(line, cells) for line, cells in lines if any(cells)]
    if filled and filled[0][1][0].lower().startswith("sep="):
        filled = filled[1:]
    header = _header(name, filled[0][1] if filled else [])
    if len(filled) <= 1:
        raise BadInput(
            what=name, problem="has a header and no plot", fix="Give a row for each measurement."
        )
    rows, problems = [], []
    for line, cells in filled[1:]:
        if (fault := _shape_fault(cells, len(header))) is not None:
            problems.append(f"line {line}: {fault}")
        rows.append(_Row(line, dict(zip(header, cells, strict=False))))
    if problems:
        raise _refusal(name, problems)
    return rows


def _delimiter(text: str) -> str:
    """Take the separator that splits the header into most columns; a comma when in doubt."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    stated = first.strip(' "').lower()
    if stated in {"sep=,", "sep=;", "sep=\t"}:
        return stated[-1]
    return max((",", ";", "\t"), key=first.count)


def _header(name: str, cells: Sequence[str]) -> list[str]:
    header = [cell.lower() for cell in cells]
    while header and not header[-1]:
        header.pop()
    known = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
    missing = [column for column in REQUIRED_COLUMNS if column not in header]
    problems = [f"the column {column} is missing" for column in missing]
    problems += [
        f"the column {column} is there twice" for column in known if header.count(column) > 1
    ]
    for column in header:
        near = difflib.get_close_matches(column, known, n=1, cutoff=0.8)
        if column not in known and near and near[0] not in header:
            problems.append(f"the column {column!r} looks like {near[0]}")
    if problems:
        raise BadInput(
            what=name,
            problem="; ".join(problems),
            fix=f"The first line must name {','.join(REQUIRED_COLUMNS)}.",
        )
    return header


def _shape_fault(cells: Sequence[str], width: int) -> str | None:
    if len(cells) < width:
        return f"has {len(cells)} of {width} values: is the file cut off?"
    surplus = [cell for cell in cells[width:] if cell]
    if surplus:
        return f"has {len(cells)} values for {width} columns: a comma for a point?"
    return None


def _plot(row: _Row) -> tuple[Plot | None, list[str]]:
    """Check one row; all its faults are returned, a plot only when there is none."""
    problems: list[str] = []

    def taken(column: str, parse: Callable[[str], _Value | _Fault]) -> _Value | None:
        value = parse(row.values[column])
        if isinstance(value, _Fault):
            problems.append(f"{column} {value.told}")
            return None
        return value

    plot_id = taken("plot_id", _identifier)
    measured_on = taken("date", _day)
    numbers = {column: taken(column, _number) for column in _LIMITS}
    for column, fault in _limit_faults(numbers):
        problems.append(f"{column} {fault}")
    if plot_id is None or measured_on is None or problems:
        return None, problems
    known = {column: value for column, value in numbers.items() if value is not None}
    stratum = row.values.get("stratum") or None
    return Plot(plot_id=plot_id, measured_on=measured_on, stratum=stratum, **known), []


def _limit_faults(numbers: Mapping[str, float | None]) -> list[tuple[str, str]]:
    """Name what is a number and cannot be true."""
    lon, lat = numbers["lon"], numbers["lat"]
    if lon is not None and lat is not None:
        if abs(lat) > 90 and abs(lon) <= 90 and abs(lat) <= 180:  # noqa: PLR2004 (degrees)
            return [("lon and lat", f"{lon:g}, {lat:g} seem swapped: a latitude is at most 90")]
        if lon == 0 and lat == 0:
            return [("lon and lat", "are both 0: an unfilled position?")]
    faults = []
    for column, value in numbers.items():
        low, high = _LIMITS[column]
        if value is None or (low <= value <= high and not (column == "area_ha" and value == 0)):
            continue
        if value <= 0 and column in {"area_ha", "agb_t_per_ha"}:
            faults.append((column, f"{value:g} is {'negative' if value < 0 else 'zero'}"))
        else:
            hint = ": in square metres?" if column == "area_ha" else ""
            faults.append((column, f"{value:g} is outside {low:g} to {high:g}{hint}"))
    return faults


def _clashes(plots: Sequence[tuple[int, Plot]]) -> list[tuple[int, str]]:
    """Name rows that cannot stand beside an earlier row of the same plot."""
    problems: list[tuple[int, str]] = []
    first: dict[str, tuple[int, Plot]] = {}
    visits: dict[tuple[str, date], int] = {}
    for line, plot in plots:
        visit = (plot.plot_id, plot.measured_on)
        if visit in visits:
            told = (
                f"plot {plot.plot_id} on {plot.measured_on} stands already in line {visits[visit]}"
            )
            problems.append((line, told))
        visits.setdefault(visit, line)
        other_line, other = first.setdefault(plot.plot_id, (line, plot))
        apart = max(abs(plot.lon - other.lon), abs(plot.lat - other.lat))
        if apart > SAME_PLACE_DEGREES:
            told = f"plot {plot.plot_id} is {apart:.4f} degrees from where line {other_line} has it"
            problems.append((line, told))
        if plot.stratum != other.stratum:
            told = f"plot {plot.plot_id} is in another stratum than in line {other_line}"
            problems.append((line, told))
    return problems


def _identifier(text: str) -> str | _Fault:
    if not text:
        return _Fault("is empty")
    if text[0] in "=+@":
        return _Fault(f"{text!r} starts with {text[0]!r}: a spreadsheet formula?")
    if not text.isprintable() or len(text) > MAX_ID_CHARACTERS:
        return _Fault(f"{text[:20]!r} is longer than {MAX_ID_CHARACTERS} or not printable")
    return text


def _number(text: str) -> float | _Fault:
    if _NUMBER.fullmatch(text) is not None and math.isfinite(float(text)):
        return float(text)
    told = next(told for pattern, told in _NO_NUMBER if pattern.fullmatch(text) is not None)
    return _Fault(f"{text!r} {told}" if text else told)


def _day(text: str) -> date | _Fault:
    written = _ISO_DATE.fullmatch(text)
    if written is None:
        told = next(told for pattern, told in _NO_DAY if pattern.fullmatch(text) is not None)
        if _SERIAL_DATE.fullmatch(text) is not None:
            told += f" ({_SPREADSHEET_EPOCH + timedelta(days=int(float(text)))}?)"
        return _Fault(f"{text!r} {told}" if text else told)
    try:
        day = date.fromisoformat(written[1])
    except ValueError:
        return _Fault(f"{text!r} is not in the calendar")
    return day if day.year >= OLDEST_YEAR else _Fault(f"{text!r} is before {OLDEST_YEAR}")


def _refusal(name: str, rows: Sequence[str]) -> BadInput:
    named = "; ".join(rows[:MAX_NAMED_ROWS])
    if len(rows) > MAX_NAMED_ROWS:
        named += f"; and {len(rows) - MAX_NAMED_ROWS} more"
    return BadInput(what=name, problem=named, fix=_FIX, rows=tuple(rows))
