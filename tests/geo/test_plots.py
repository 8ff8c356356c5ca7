"""Plot intake: what is read, and how each fault of a file is named."""

from __future__ import annotations

import contextlib
import csv
import io
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.errors import BadInput
from geo.plots import MAX_BYTES, read_plots
from geo.types import Plot

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "plot_id,lon,lat,date,area_ha,agb_t_per_ha"
GOOD = "P1,22.15,45.2,2016-07-01,0.05,182.4"


def table(*rows: str, header: str = HEADER) -> bytes:
    return ("\n".join((header, *rows)) + "\n").encode()


def refused(content: bytes) -> BadInput:
    with pytest.raises(BadInput) as caught:
        read_plots(content)
    return caught.value


def test_a_good_row_is_read_with_its_units_as_they_stand() -> None:
    assert read_plots(table(GOOD)) == (
        Plot("P1", 22.15, 45.2, date(2016, 7, 1), 0.05, 182.4, None),
    )


def test_columns_may_stand_in_any_order_with_capitals_and_a_stratum() -> None:
    content = table(
        "young, 182.4 ,0.05,2016-07-01,45.2,22.15,P1",
        header="Stratum,AGB_t_per_ha,area_ha,date,LAT,lon,plot_id",
    )
    assert read_plots(content)[0].stratum == "young"
    assert read_plots(content)[0].lat == 45.2


def test_other_columns_are_left_alone() -> None:
    content = table(GOOD + ",Fagus sylvatica", header=HEADER + ",species")
    assert len(read_plots(content)) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + table(GOOD),
        table(GOOD).replace(b"\n", b"\r\n"),
        table(GOOD).replace(b"\n", b"\r"),
        table(GOOD).replace(b",", b";"),
        table(GOOD).replace(b",", b"\t"),
        b"sep=;\n" + table(GOOD).replace(b",", b";"),
        table(GOOD, "", ",,,,,", ""),
        table(GOOD + ",", header=HEADER + ","),
        table(GOOD).rstrip(b"\n"),
        table('"P1","22.15","45.2","2016-07-01","0.05","182.4"'),
        table("P1,22.15,45.2,2016-07-01 00:00:00,0.05,182.4"),
    ],
    ids=[
        "bom",
        "crlf",
        "old-mac",
        "semicolon",
        "tab",
        "sep-line",
        "blank-rows",
        "trailing-comma",
        "no-last-newline",
        "all-quoted",
        "midnight",
    ],
)
def test_harmless_spreadsheet_habits_are_read(content: bytes) -> None:
    assert read_plots(content) == read_plots(table(GOOD))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('P1,22.15,45.2,2016-07-01,0.05,"182,4"', "agb_t_per_ha '182,4' has a comma for a point"),
        ("P1,22.15,45.2,2016-07-01,0.05,182,4", "has 7 values for 6 columns: a comma for a point?"),
        ("P1,45.2,122.15,2016-07-01,0.05,182.4", "seem swapped"),
        ("P1,0,0,2016-07-01,0.05,182.4", "both 0"),
        ("P1,222.15,45.2,2016-07-01,0.05,182.4", "lon 222.15 is outside -180 to 180"),
        ("P1,22.15,45.2,2016-07-01,0.05,-3", "agb_t_per_ha -3 is negative"),
        ("P1,22.15,45.2,2016-07-01,-0.05,182.4", "area_ha -0.05 is negative"),
        ("P1,22.15,45.2,2016-07-01,0,182.4", "area_ha 0 is zero"),
        ("P1,22.15,45.2,2016-07-01,500,182.4", "in square metres?"),
        ("P1,22.15,45.2,2016-07-01,0.05,800.1", "agb_t_per_ha 800.1 is outside 0 to 800"),
        ("P1,22.15,45.2,2016-07-01,0.05,NaN", "agb_t_per_ha 'NaN' is no number"),
        ("P1,22.15,45.2,2016-07-01,0.05,-inf", "'-inf' is no number"),
        ("P1,22.15,45.2,2016-07-01,0.05,1e999", "'1e999' is not a plain number"),
        ("P1,22.15,45.2,2016-07-01,0.05,#DIV/0!", "a spreadsheet's error value"),
        ("P1,22.15,45.2,2016-07-01,0.05,1_000", "'1_000' is not a plain number"),
        ("P1,22.15,45.2,2016-07-01,0.05,182 t", "'182 t' is not a plain number"),
        ("P1,22.15,45.2,2016-07-01,0.05,\u2212182", "a dash for a minus sign"),
        ("P1,22.15,45.2,2016-07-01,0.05,\u0661\u0662", "is not a plain number"),
        ("P1,22.15,45.2,2016-07-01,0.05,", "agb_t_per_ha is empty"),
        ("P1,22.15,45.2,03/04/2016,0.05,182.4", "'03/04/2016' is ambiguous: write YYYY-MM-DD"),
        ("P1,22.15,45.2,2016-7-1,0.05,182.4", "is ambiguous"),
        ("P1,22.15,45.2,42552,0.05,182.4", "day number, not YYYY-MM-DD (2016-07-01?)"),
        ("P1,22.15,45.2,July 2016,0.05,182.4", "'July 2016' is not YYYY-MM-DD"),
        ("P1,22.15,45.2,2017-02-29,0.05,182.4", "is not in the calendar"),
        ("P1,22.15,45.2,0016-07-01,0.05,182.4", "is before 1900"),
        ("P1,22.15,45.2,2016-07-01 14:30:00,0.05,182.4", "is not YYYY-MM-DD"),
        (",22.15,45.2,2016-07-01,0.05,182.4", "plot_id is empty"),
        ('=HYPERLINK("x"),22.15,45.2,2016-07-01,0.05,182.4', "a spreadsheet formula?"),
        ("P1,22.15,45.2", "has 3 of 6 values: is the file cut off?"),
        ('"P\n1",22.15,45.2,2016-07-01,0.05,"1\n2"', "not printable"),
    ],
)
def test_a_bad_value_is_named_with_its_line(row: str, told: str) -> None:
    error = refused(table(GOOD.replace("P1", "P0"), row))
    assert told in str(error)
    assert "line 3: " in str(error)


def test_every_bad_row_is_named_at_once_and_every_fault_of_a_row() -> None:
    error = refused(
        table(
            "P1,22.15,45.2,2016-07-01,0.05,-1",
            GOOD,
            "P2,22.15,45.2,01.07.2016,0,900",
            "P3,45.2,122.15,2016-07-01,0.05,10",
        )
    )
    rows = error.rows
    assert isinstance(rows, tuple)
    assert [str(row).split(":")[0] for row in rows] == [
        "line 2",
        "line 4",
        "line 4",
        "line 4",
        "line 5",
    ]
    assert all(str(row) in str(error) for row in rows)


def test_line_numbers_are_those_of_the_file_after_a_value_with_a_line_break() -> None:
    content = table('P1,22.15,45.2,2016-07-01,0.05,182.4,"two\nlines"', header=HEADER + ",note")
    content += b"P2,22.15,45.2,2016-07-01,0.05,x,\n"
    assert "line 4: agb_t_per_ha 'x'" in str(refused(content))


def test_thousands_of_bad_rows_are_counted_in_the_sentence_and_kept_on_the_error() -> None:
    error = refused(table(*(f"P{n},22.15,45.2,2016-07-01,0.05,x" for n in range(250))))
    assert "and 150 more" in str(error)
    assert len(error.rows) == 250  # type: ignore[arg-type]


def test_the_same_plot_on_the_same_day_is_refused() -> None:
    assert "stands already in line 2" in str(refused(table(GOOD, GOOD)))


def test_a_plot_that_moved_is_refused() -> None:
    moved = "P1,22.16,45.2,2018-07-01,0.05,190"
    assert "0.0100 degrees from where line 2 has it" in str(refused(table(GOOD, moved)))


def test_a_plot_that_changed_its_stratum_is_refused() -> None:
    rows = (GOOD + ",young", "P1,22.15,45.2,2018-07-01,0.05,190,old")
    assert "another stratum than in line 2" in str(
        refused(table(*rows, header=HEADER + ",stratum"))
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"  \r\n \n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"PK\x03\x04rest", "spreadsheet workbook"),
        (table(GOOD).decode().encode("utf-16"), "UTF-16"),
        (
            table(GOOD, "P\xe9".encode("latin-1").decode("latin-1")).decode().encode("latin-1"),
            "UTF-8",
        ),
        (table(GOOD) + b"\x00\x00", "zero bytes"),
        (table(GOOD, 'P2,22.15,45.2,2016-07-01,0.05,"18'), "cut off, or a quote left open"),
        (HEADER.encode(), "has a header and no plot"),
        (GOOD.encode(), "the column plot_id is missing; the column lon is missing"),
        (table(GOOD, header=HEADER.replace("lon", "x")), "the column lon is missing"),
        (table(GOOD + ",1", header=HEADER + ",lon"), "the column lon is there twice"),
        (table(GOOD + ",a", header=HEADER + ",stratums"), "'stratums' looks like stratum"),
    ],
)
def test_a_file_that_is_no_plot_table_is_refused(content: bytes, told: str) -> None:
    assert told in str(refused(content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.csv: cannot be read"):
        read_plots(tmp_path / "none.csv")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(BadInput, match="at most 20000000 are read"):
        read_plots(path)


_ids = st.text("ABCxyz019-_ ", min_size=1, max_size=12).map(str.strip).filter(bool)


@given(
    st.lists(
        st.tuples(
            _ids,
            st.floats(-180, 180).filter(lambda lon: lon != 0),
            st.floats(-90, 90),
            st.dates(date(1950, 1, 1), date(2100, 1, 1)),
            st.floats(0.001, 10),
            st.floats(0, 800),
        ),
        min_size=1,
        unique_by=lambda row: row[0],
    )
)
def test_whatever_is_written_plainly_is_read_back_exactly(
    rows: list[tuple[str, float, float, date, float, float]],
) -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADER.split(","))
    writer.writerows([(*row[:3], row[3].isoformat(), *row[4:]) for row in rows])
    assert read_plots(out.getvalue().encode()) == tuple(Plot(*row) for row in rows)


@given(
    st.binary(max_size=300)
    | st.text(max_size=300).map(lambda text: (HEADER + "\n" + text).encode())
)
def test_no_bytes_whatever_break_the_reader(content: bytes) -> None:
    with contextlib.suppress(BadInput):
        read_plots(content)
