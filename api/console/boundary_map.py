"""The boundary as a small inline SVG: drawn here, so that no tile server learns who looks at what.

A plain local projection (longitude scaled by the cosine of the middle latitude): a picture, never a
measure; hectares come from the registry. Imports the standard library only.

Order: the values that the template draws, then the drawing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

METRES_PER_DEGREE = 111_320.0
"""Length of one degree of latitude, rounded; good to 0.6 % anywhere, enough for a scale bar."""

HEIGHT_SHARE = 0.66
MARGIN_SHARE = 0.12
SCALE_SHARE = 0.3
TICKS = 3
LABEL_ROOM = 20
"""Pixels at each edge where no line of the graticule is drawn, for its label's sake."""
NICE = (1, 2, 5)


@dataclass(frozen=True)
class Tick:
    """One line of the graticule."""

    at: float
    label: str


@dataclass(frozen=True)
class BoundaryMap:
    """What the macro `boundary_map` draws."""

    width: int
    height: int
    path: str
    meridians: tuple[Tick, ...]
    parallels: tuple[Tick, ...]
    scale_px: float
    scale_label: str
    dots: tuple[tuple[float, float], ...]
    label: str
    """Said to those who do not see the picture."""


@dataclass(frozen=True)
class _View:
    west: float
    north: float
    lon_scale: float
    px_per_degree: float

    def x(self, lon: float) -> float:
        return (lon - self.west) * self.lon_scale * self.px_per_degree

    def y(self, lat: float) -> float:
        return (self.north - lat) * self.px_per_degree


def draw_boundary(
    geojson: Mapping[str, Any],
    *,
    label: str,
    dots: Iterable[tuple[float, float]] = (),
    width: int = 640,
) -> BoundaryMap:
    """Draw a GeoJSON Polygon or MultiPolygon of longitudes and latitudes (WGS 84).

    Parameters
    ----------
    geojson
        The geometry; holes stay holes (even-odd fill).
    label
        The sentence for the accessible name.
    dots
        Places of field plots, (longitude, latitude).
    width
        Pixels of the drawing's own frame; it scales with the page.
    """
    height = round(width * HEIGHT_SHARE)
    polygons = geojson["coordinates"]
    if geojson["type"] == "Polygon":
        polygons = [polygons]
    rings = [ring for polygon in polygons for ring in polygon]
    view = _fit([point for ring in rings for point in ring], width=width, height=height)
    bar_m = _nice(width * SCALE_SHARE / view.px_per_degree * METRES_PER_DEGREE)
    return BoundaryMap(
        width=width,
        height=height,
        path="".join(_ring_path(ring, view) for ring in rings),
        meridians=_ticks(
            view.west, width / view.px_per_degree / view.lon_scale, view.x, room=width, signs="EW"
        ),
        parallels=_ticks(
            view.north - height / view.px_per_degree,
            height / view.px_per_degree,
            view.y,
            room=height,
            signs="NS",
        ),
        scale_px=round(bar_m / METRES_PER_DEGREE * view.px_per_degree, 1),
        scale_label=f"{bar_m / 1000:g} km" if bar_m >= 1000 else f"{bar_m:g} m",  # noqa: PLR2004
        dots=tuple((round(view.x(lon), 1), round(view.y(lat), 1)) for lon, lat in dots),
        label=label,
    )


def _fit(points: Sequence[Sequence[float]], *, width: int, height: int) -> _View:
    lons = [point[0] for point in points]
    lats = [point[1] for point in points]
    middle_lon, middle_lat = (min(lons) + max(lons)) / 2, (min(lats) + max(lats)) / 2
    lon_scale = max(math.cos(math.radians(middle_lat)), 0.01)
    span_x = max((max(lons) - min(lons)) * lon_scale, 1e-6)
    span_y = max(max(lats) - min(lats), 1e-6)
    room = 1 - 2 * MARGIN_SHARE
    px_per_degree = min(width * room / span_x, height * room / span_y)
    return _View(
        west=middle_lon - width / px_per_degree / lon_scale / 2,
        north=middle_lat + height / px_per_degree / 2,
        lon_scale=lon_scale,
        px_per_degree=px_per_degree,
    )


def _ring_path(ring: Sequence[Sequence[float]], view: _View) -> str:
    steps: list[str] = []
    for point in ring:
        step = f"{view.x(point[0]):.1f} {view.y(point[1]):.1f}"
        if not steps or steps[-1] != step:
            steps.append(step)
    return "M" + "L".join(steps) + "Z"


def _ticks(
    low: float, span: float, place: Callable[[float], float], *, room: int, signs: str
) -> tuple[Tick, ...]:
    step = _nice(span / TICKS)
    digits = max(0, -math.floor(math.log10(step)))
    ticks = []
    first = math.ceil(low / step)
    for count in range(first, first + TICKS * 2):
        value = count * step
        if value > low + span:
            break
        sign = signs[0] if value >= 0 else signs[1]
        at = round(place(value), 1)
        if not LABEL_ROOM <= at <= room - 3 * LABEL_ROOM:
            continue  # its label would be cut off
        ticks.append(Tick(at=at, label=f"{abs(value):.{digits}f}° {sign}"))
    return tuple(ticks)


def _nice(value: float) -> float:
    """Give the largest 1, 2 or 5 times a power of ten that is not above the value."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(base * power for base in NICE if base * power <= value * (1 + 1e-9))
