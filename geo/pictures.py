"""Two pictures for people: the area at both ends, and its NDVI through time.

Imports grid, types; matplotlib without its global state. Order: the map, the time series, parts.
Text of a user's is drawn as it is written (parse_math=False): a `$` in it is no formula.
Pictures show numbers that stand elsewhere; none is taken from them. Same input, same bytes on
one version of matplotlib; their bytes never enter the digest.
"""

from __future__ import annotations

import math
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import shapely
from matplotlib import dates as mdates
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from pyproj import Geod, Transformer

from geo.grid import project
from geo.types import NDVI_NODATA, NDVI_SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from geo.survey import SeriesRow
    from geo.types import Boundary, Season

DPI = 150
MAX_EDGE_PIXELS = 1200
"""Larger grids are thinned for the picture only."""

NDVI_COLOURS = "YlGn"
CHANGE_COLOURS = "BrBG"
MISSING_COLOUR = "#bdbdbd"
OUTLINE = "#1b1b1b"
ACCENT = "#00688b"
LOSS_COLOUR = "#c51b7d"
BAR_LENGTHS_M = tuple(step * 10**power for power in range(1, 6) for step in (1, 2, 5))
MOSTLY_CLEAR = 0.5
"""Dates with a smaller clear share are drawn and not joined: they are mostly cloud's edge."""
M_PER_KM = 1000
_ACROSS = 3
_DATES: Any = mdates


def draw_map(
    path: Path,
    ends: tuple[NDArray[np.int16], NDArray[np.int16]],
    *,
    grid: GeoBox,
    boundary: Boundary,
    seasons: tuple[Season, Season],
    lost: NDArray[np.bool_],
    note: str,
) -> None:
    """Draw NDVI at both ends and its change with the boundary, one legend a panel.

    Parameters
    ----------
    path
        PNG to write.
    ends
        Published NDVI, int16, shape (y, x), 10,000 x index, -32768 where missing.
    grid
        Their grid.
    boundary
        The accounting area, drawn as a line.
    seasons
        The two seasons, for the titles.
    lost
        Pixels of lost vegetation, (y, x); outlined in the last panel.
    note
        A line below: kind of result, source.
    """
    step = max(1, math.ceil(max(grid.shape) / MAX_EDGE_PIXELS))
    first, last = (_unit_1(values[::step, ::step]) for values in ends)
    change = last - first
    low, high = _limits(np.concatenate([first.ravel(), last.ravel()]))
    spread = _half_range(change)
    with mpl.rc_context(mpl.rcParamsDefault):
        rows, columns = grid.shape
        figure = Figure(figsize=(12.6, _map_height(rows, columns)), dpi=DPI, layout="constrained")
        axes = figure.subplots(1, _ACROSS)
        panels = (
            (first, f"NDVI, season {_span(seasons[0])}", NDVI_COLOURS, (low, high)),
            (last, f"NDVI, season {_span(seasons[1])}", NDVI_COLOURS, (low, high)),
            (change, "Change of NDVI, last minus first", CHANGE_COLOURS, (-spread, spread)),
        )
        for axis, (values, title, colours, limits) in zip(axes, panels, strict=True):
            _panel(axis, values, grid, colours=colours, limits=limits)
            axis.set_title(title, fontsize=10)
            _outline(axis, boundary, grid)
            _scale_bar(axis, grid)
        _loss_outline(axes[-1], lost[::step, ::step], grid)
        _legend(figure, lost=bool(lost.any()))
        figure.suptitle(
            f"{boundary.name}  {boundary.area_ha:,.2f} ha",
            fontsize=12,
            x=0.01,
            ha="left",
            parse_math=False,
        )
        figure.supxlabel(note, fontsize=8, x=0.01, ha="left", color="#444444", parse_math=False)
        _save(figure, path)


def draw_series(
    path: Path, rows: Sequence[SeriesRow], *, seasons: Sequence[Season], name: str, note: str
) -> None:
    """Draw the area's mean NDVI at each date, with the seasons that were compared.

    Parameters
    ----------
    path
        PNG to write.
    rows
        The table, oldest first; dates without a clear pixel are left out and counted.
    seasons
        Shaded; the first and the last, which are compared, darker.
    """
    seen = [row for row in rows if row.ndvi_mean is not None]
    with mpl.rc_context(mpl.rcParamsDefault):
        figure = Figure(figsize=(10.5, 4.2), dpi=DPI, layout="constrained")
        axis = figure.subplots()
        for season in seasons:
            ends = season in (seasons[0], seasons[-1])
            axis.axvspan(
                _number(season.start),
                _number(season.end + timedelta(1)),
                color=ACCENT if ends else "#9e9e9e",
                alpha=0.16 if ends else 0.10,
                linewidth=0,
            )
        for part in _unbroken(seen, seasons):
            axis.plot(*zip(*part, strict=True), color="#9e9e9e", linewidth=0.8, zorder=2)
        points = np.array([(_number(r.observed_on), r.ndvi_mean) for r in seen], dtype=float)
        days, means = points.reshape(-1, 2).T
        shares = np.array([row.clear_share for row in seen])
        axis.scatter(
            days, means, s=10 + 26 * shares, c=shares, cmap="Greens", vmin=-0.4, vmax=1,
            edgecolors=OUTLINE, linewidths=0.5, zorder=3,
        )  # fmt: skip
        axis.set_ylabel("NDVI, mean of the clear pixels (unit 1)")
        axis.set_title(f"{name}: NDVI through time", fontsize=12, loc="left", parse_math=False)
        axis.grid(visible=True, axis="y", color="#e0e0e0", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        _date_axis(axis)
        unseen = len(rows) - len(seen)
        _series_legend(axis, unseen)
        figure.supxlabel(note, fontsize=8, x=0.01, ha="left", color="#444444", parse_math=False)
        _save(figure, path)


def _unbroken(
    rows: Sequence[SeriesRow], seasons: Sequence[Season]
) -> list[list[tuple[float, float | None]]]:
    """Join the dates that are mostly clear, season by season; all where a season has one date."""
    groups = [
        [
            (_number(row.observed_on), row.ndvi_mean)
            for row in rows
            if season.start <= row.observed_on <= season.end and row.clear_share >= MOSTLY_CLEAR
        ]
        for season in seasons
    ]
    if max(map(len, groups), default=0) <= 1:
        groups = [[point for group in groups for point in group]]
    return [group for group in groups if group]


def _unit_1(values: NDArray[np.int16]) -> NDArray[np.float64]:
    return np.where(values == NDVI_NODATA, np.nan, values / NDVI_SCALE)


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Colour limits in steps of 0.05 around the middle 98 % of the values."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = np.percentile(known, [1, 99])
    low, high = math.floor(low * 20) / 20, math.ceil(high * 20) / 20
    return low, max(high, low + 0.1)


def _half_range(change: NDArray[np.float64]) -> float:
    """Symmetric limit of the change, at least 0.05, so that noise does not look like loss."""
    known = np.abs(change[np.isfinite(change)])
    return max(0.05, math.ceil(float(np.percentile(known, 98)) * 20) / 20) if known.size else 0.1


def _panel(
    axis: Any, values: NDArray[np.float64], grid: GeoBox, *, colours: str,
    limits: tuple[float, float],
) -> None:  # fmt: skip
    palette = mpl.colormaps[colours].with_extremes(bad=MISSING_COLOUR)
    west, south, east, north = grid.extent.boundingbox
    image = axis.imshow(
        np.ma.masked_invalid(values),
        cmap=palette,
        vmin=limits[0],
        vmax=limits[1],
        extent=(west, east, south, north),
        interpolation="nearest",
    )
    axis.set_aspect(_aspect(grid))
    axis.set_xticks([])
    axis.set_yticks([])
    bar = axis.figure.colorbar(
        image, ax=axis, orientation="horizontal", fraction=0.05, pad=0.02, extend="both"
    )
    bar.locator = MaxNLocator(5)
    bar.set_label("NDVI (unit 1)", fontsize=8)
    bar.ax.tick_params(labelsize=8)


def _outline(axis: Any, boundary: Boundary, grid: GeoBox) -> None:
    crs: Any = grid.crs
    shape = project(boundary.geometry, crs)
    for part in shapely.get_parts(shape):
        for ring in (part.exterior, *part.interiors):
            x, y = np.asarray(ring.coords)[:, :2].T
            axis.plot(x, y, color="white", linewidth=2.4)
            axis.plot(x, y, color=OUTLINE, linewidth=1.1)


def _scale_bar(axis: Any, grid: GeoBox) -> None:
    """Draw a bar of a round length, about a quarter of the panel, true in the middle."""
    west, south, east, north = grid.extent.boundingbox
    width_m = _width_m(grid)
    length_m = max((step for step in BAR_LENGTHS_M if step <= width_m / 4), default=10)
    length = (east - west) * length_m / width_m
    x, y = west + 0.04 * (east - west), south + 0.035 * (north - south)
    for colour, thickness in (("white", 6.0), (OUTLINE, 2.6)):
        axis.plot([x, x + length], [y, y], color=colour, linewidth=thickness, solid_capstyle="butt")
    label = f"{length_m} m" if length_m < M_PER_KM else f"{length_m // M_PER_KM} km"
    axis.annotate(
        label,
        (x + length / 2, y),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        fontsize=8,
        color=OUTLINE,
        bbox={"boxstyle": "round,pad=0.15", "fc": "white", "alpha": 0.75, "lw": 0},
    )


def _width_m(grid: GeoBox) -> float:
    """Length of the middle row on the ground, metres."""
    west, south, east, north = grid.extent.boundingbox
    middle = (south + north) / 2
    crs: Any = grid.crs
    there = Transformer.from_crs(crs.to_wkt(), "EPSG:4326", always_xy=True)
    lon, lat = there.transform([west, east], [middle, middle])
    return float(Geod(ellps="WGS84").line_length(lon, lat))


def _aspect(grid: GeoBox) -> float:
    crs: Any = grid.crs
    if not crs.geographic:
        return 1.0
    box = grid.extent.boundingbox
    return 1 / math.cos(math.radians((box.bottom + box.top) / 2))


def _map_height(rows: int, columns: int) -> float:
    """Figure height in inches, so that three panels fill it."""
    return min(max(4.0 * rows / columns + 1.6, 3.4), 9.0)


def _loss_outline(axis: Any, lost: NDArray[np.bool_], grid: GeoBox) -> None:
    if not lost.any():
        return
    west, south, east, north = grid.extent.boundingbox
    rows, columns = lost.shape
    x = west + (np.arange(columns) + 0.5) * (east - west) / columns
    y = north - (np.arange(rows) + 0.5) * (north - south) / rows
    axis.contour(x, y, lost.astype(float), levels=[0.5], colors=LOSS_COLOUR, linewidths=1.2)


def _legend(figure: Figure, *, lost: bool) -> None:
    handles: list[Any] = [
        Line2D([], [], color=OUTLINE, linewidth=1.1, label="accounting area"),
        Patch(facecolor=MISSING_COLOUR, label="no value (too few clear looks)"),
    ]
    if lost:
        told = "vegetation lost between seasons"
        handles.append(Line2D([], [], color=LOSS_COLOUR, linewidth=1.2, label=told))
    figure.legend(handles=handles, loc="outside upper right", ncols=3, fontsize=8, frameon=False)


def _date_axis(axis: Any) -> None:
    locator = _DATES.AutoDateLocator(minticks=4, maxticks=10)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(_DATES.ConciseDateFormatter(locator))


def _series_legend(axis: Any, unseen: int) -> None:
    handles: list[Any] = [
        Line2D([], [], marker="o", linestyle="", markersize=7, color="#1b7837", label="all clear"),
        Line2D([], [], marker="o", linestyle="", markersize=4, color="#c7e9c0",
               markeredgecolor=OUTLINE, label="little clear"),
        Patch(color=ACCENT, alpha=0.16, label="first and last season (compared)"),
        Patch(color="#9e9e9e", alpha=0.10, label="seasons between"),
    ]  # fmt: skip
    if unseen:
        handles.append(Line2D([], [], linestyle="", label=f"{unseen} dates without a clear pixel"))
    axis.legend(handles=handles, loc="best", fontsize=8, framealpha=0.85)


def _span(season: Season) -> str:
    return f"{season.start} to {season.end}"


def _number(day: date) -> float:
    return float(_DATES.date2num(day))


def _save(figure: Figure, path: Path) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    FigureCanvasAgg(figure)
    try:
        figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None})
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
