"""What an estimate is asked with: every option of the command line, as one value.

May import errors and types (no arrays). Order: the request, its command line, checking it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping  # noqa: TC003 (a field's type, read by tools)
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from geo.errors import BadInput
from geo.types import Period

ENVIRONMENTS = ("sandbox", "production")


@dataclass(frozen=True)
class EstimateRequest:
    """One estimate to be made: the options of `amanar estimate` and the project file."""

    boundary: Path | str
    """GeoJSON, KML, KMZ, GPKG or zipped shapefile; may end in `#ID`."""
    catalog: str
    """Path or address of a static STAC catalog or of a STAC API."""
    collection: str
    start: date | str
    """First day of the monitoring period, YYYY-MM-DD."""
    end: date | str
    """Last day of the monitoring period, inclusive."""
    project: Path | str | Mapping[str, object] | None = None
    """Project file, or its content."""
    sensor: str = "auto"
    plots: Path | str | bytes | None = None
    """CSV of plot measurements, or its bytes."""
    donor_pool: Path | str | None = None
    season: str | None = None
    """`MM-DD/MM-DD`; None takes the sensor card's."""
    zone: str | None = None
    """`zone/continent/origin[/type]`; must not differ from the project file's."""
    methodology: str = "stock-difference"
    seed: int = 0
    environment: str = "sandbox"

    @property
    def name(self) -> str:
        """A folder name for the result: boundary, first and last day."""
        path, _, feature = str(self.boundary).partition("#")
        return f"{feature or Path(path).stem}_{self.start}_{self.end}"

    @property
    def command(self) -> str:
        """The command line that asks for the same.

        Content given as such is shown as `-`, an absolute path by its last part: where files
        lie on one machine is nobody's business.
        """
        options = {
            "boundary": _shown(self.boundary),
            "catalog": _shown(self.catalog),
            "collection": self.collection,
            "start": self.start,
            "end": self.end,
            "project": _shown(self.project),
            "sensor": _shown(self.sensor),
            "plots": _shown(self.plots),
            "donor-pool": _shown(self.donor_pool),
            "season": self.season,
            "zone": self.zone,
            "methodology": self.methodology,
            "seed": self.seed,
        }
        words = [
            word
            for option, value in options.items()
            if value is not None
            for word in (f"--{option}", str(value))
        ]
        return shlex.join(["amanar", "estimate", *words])

    @property
    def period(self) -> Period:
        """Give both days as dates, checked.

        Raises
        ------
        BadInput
            A day that is not YYYY-MM-DD, or an end that is not after the start.
        """
        start, end = _day("--start", self.start), _day("--end", self.end)
        if end <= start:
            raise BadInput(
                what="--end",
                problem=f"{end} is not after the start {start}",
                fix="Swap them, or correct the year.",
            )
        return Period(start, end)


def check_request(request: EstimateRequest) -> None:
    """Check what can be checked without opening a file.

    Raises
    ------
    BadInput
        Naming the option, its value and the fix.
    """
    _ = request.period
    if request.environment not in ENVIRONMENTS:
        raise BadInput(
            what="environment",
            problem=f"{request.environment!r} is not known",
            fix=f"Take {' or '.join(ENVIRONMENTS)}.",
        )
    if request.seed < 0:
        raise BadInput(what="--seed", problem=f"{request.seed} is negative", fix="Give 0 or more.")
    for option, text in (("--catalog", request.catalog), ("--collection", request.collection)):
        if not text.strip():
            raise BadInput(what=option, problem="is empty", fix="Name it.")


def _shown(value: Path | str | bytes | Mapping[str, object] | None) -> str | None:
    if isinstance(value, Path | str):
        path = Path(value)
        return path.name if path.is_absolute() else str(value)
    return None if value is None else "-"


def _day(option: str, value: date | str) -> date:
    if isinstance(value, date):
        return value
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise BadInput(
            what=option, problem=f"{value!r} is no day YYYY-MM-DD", fix="Write 2016-01-31."
        ) from error
