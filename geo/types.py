"""The values that every room of geo speaks; imports errors and units only, no arrays.

Order: periods and seasons, estimates, boundaries, plots, quality entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import date

    from shapely import MultiPolygon

Kind = Literal["indicative", "demonstration", "issuable"]
"""What a result may be used for (docs: GLOSSARY, "kind of result")."""

Severity = Literal["blocking", "warning", "info"]

NDVI_SCALE = 10_000
"""Published NDVI (and every other ratio index) is an int16: 10,000 x the index."""

NDVI_NODATA = -32_768

AGB_SCALE = 10
"""Published above-ground biomass is a uint16: 10 x t/ha."""

AGB_NODATA = 65_535


@dataclass(frozen=True)
class Period:
    """Calendar days, both ends inclusive."""

    start: date
    end: date


@dataclass(frozen=True)
class Season:
    """One season of one year; it belongs to the year it ends in."""

    year: int
    start: date
    end: date


@dataclass(frozen=True)
class Estimate:
    """A number that carries its error."""

    mean: float
    se: float
    """Standard error, same unit as the mean."""
    df: float
    """Degrees of freedom of the standard error."""
    unit: str


@dataclass(frozen=True)
class Boundary:
    """An accounting area as it was understood."""

    name: str
    geometry: MultiPolygon
    """WGS 84 longitude and latitude, valid, holes kept."""
    area_ha: float
    """Geodesic area on the WGS 84 ellipsoid."""
    repairs: tuple[str, ...] = ()
    """What was repaired on reading, one sentence each; empty when nothing was."""


@dataclass(frozen=True)
class Plot:
    """One measurement of one field plot."""

    plot_id: str
    lon: float
    lat: float
    measured_on: date
    area_ha: float
    agb_t_per_ha: float
    stratum: str | None = None


@dataclass(frozen=True)
class Finding:
    """One entry of a result's `quality` list."""

    code: str
    """Stable, lower case with hyphens: `loss-detected`."""
    severity: Severity
    message: str
    """One sentence that names the value and, where there is one, the fix."""
