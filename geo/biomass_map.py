"""Biomass of every pixel at both ends, where there is a card, and of the ground of each plot.

Imports biomass, inference, zonal, grid, types. Order: the value, making it, what is said about
it, the mean over one plot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import shapely
from pyproj import Geod

from geo import biomass, zonal
from geo.grid import crs_of, project
from geo.inference import lines_without_each
from geo.types import AGB_NODATA, AGB_SCALE, NDVI_NODATA, NDVI_SCALE, Boundary, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from geo.inference import PlotEnds
    from geo.project import ModelCard
    from geo.types import Plot

_CIRCLE_POINTS = 64
_GEOD = Geod(ellps="WGS84")


@dataclass(frozen=True)
class BiomassMap:
    """Above-ground biomass at both ends, predicted by one card from the published NDVI."""

    card: ModelCard
    ndvi: tuple[NDArray[np.int16], NDArray[np.int16]]
    predicted: tuple[biomass.Predicted, biomass.Predicted]
    counts: tuple[biomass.FlagCounts, biomass.FlagCounts]
    grid: GeoBox
    weight: NDArray[np.float64]
    """Square metres of each pixel inside the area."""
    without: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """For a card fitted on plots of this estimate: the line fitted without each of them."""

    def at_plot(self, plot: Plot, *, end: int) -> float | None:
        """Mean of the map over the ground of a plot at one end (0 or 1), t/ha."""
        mean = plot_mean(self.predicted[end].agb, plot, grid=self.grid, nodata=AGB_NODATA)
        return None if mean is None else mean / AGB_SCALE

    def residual(self, plot: Plot, *, end: int) -> float | None:
        """Observed minus predicted; by the line fitted without this plot where it was in it."""
        line = self.without.get(plot.plot_id)
        predicted = self.at_plot(plot, end=end)
        if line is None or predicted is None:
            return None if predicted is None else plot.agb_t_per_ha - predicted
        index = plot_mean(self.ndvi[end], plot, grid=self.grid, nodata=NDVI_NODATA)
        if index is None:
            return None
        return plot.agb_t_per_ha - (line[0] + line[1] * index / NDVI_SCALE)

    def means(self) -> tuple[float, float] | None:
        """Mean over the area at both ends, t/ha, over the pixels known at both."""
        first, last = self.predicted[0].agb, self.predicted[1].agb
        known = (first != AGB_NODATA) & (last != AGB_NODATA)
        shared = np.where(known, self.weight, 0.0)
        start = zonal.weighted_mean(first, shared, nodata=AGB_NODATA)
        end = zonal.weighted_mean(last, shared, nodata=AGB_NODATA)
        return None if start is None or end is None else (start / AGB_SCALE, end / AGB_SCALE)


def make_map(
    ends: tuple[NDArray[np.int16], NDArray[np.int16]],
    *,
    card: ModelCard | None,
    plots: PlotEnds,
    place: tuple[GeoBox, NDArray[np.float64]],
) -> tuple[BiomassMap | None, list[Finding]]:
    """Predict biomass at both ends with the card given, else with one fitted on the plots.

    Parameters
    ----------
    ends
        Published NDVI, first and last season.
    card
        From the project file; None fits one on the plots of the start, if they are enough.
    plots
        Sorted to the ends.
    place
        Grid, and square metres of each pixel inside the area.

    Returns
    -------
    The map, or None where there is no card; and what has to be said about it.
    """
    without: dict[str, tuple[float, float]] = {}
    used = card
    if used is None:
        if not plots.start:
            return None, []
        try:
            used, without = _fitted(ends[0], plots.start, place[0])
        except biomass.CardUnusable as error:
            return None, [Finding("no-biomass-raster", "info", f"{error} No raster is written.")]
    grid, weight = place
    predicted = biomass.predict(used, ends[0]), biomass.predict(used, ends[1])
    inside = weight > 0
    made = BiomassMap(
        card=used,
        ndvi=ends,
        predicted=predicted,
        counts=(
            biomass.count_flags(predicted[0], inside),
            biomass.count_flags(predicted[1], inside),
        ),
        grid=grid,
        weight=weight,
        without=without,
    )
    return made, _map_findings(made)


def _fitted(
    ndvi: NDArray[np.int16], plots: Sequence[Plot], grid: GeoBox
) -> tuple[ModelCard, dict[str, tuple[float, float]]]:
    """Fit a card on plots and the NDVI over their ground, and the line without each of them."""
    means = [(plot, plot_mean(ndvi, plot, grid=grid, nodata=NDVI_NODATA)) for plot in plots]
    known = [(plot, mean / NDVI_SCALE) for plot, mean in means if mean is not None]
    index, agb = [x for _, x in known], [plot.agb_t_per_ha for plot, _ in known]
    source = f"Fitted on the {len(known)} plots given for the start of the period"
    card = biomass.fit_card(index, agb, source=source)
    lines = lines_without_each(index, agb)
    names = [plot.plot_id for plot, _ in known]
    return card, dict(zip(names, lines, strict=True))


def _map_findings(made: BiomassMap) -> list[Finding]:
    found = []
    for end, counts in zip(("first", "last"), made.counts, strict=True):
        if not counts.predicted:
            continue
        share = counts.saturated / counts.predicted
        if share > biomass.MAX_SATURATED_SHARE:
            told = (
                f"{share:.0%} of the pixels of the {end} season are at the saturation of card "
                f"{made.card.id} ({made.card.saturation_agb:g} t/ha): only plots may speak there."
            )
            found.append(Finding("biomass-saturated", "warning", told))
        outside = counts.below_domain + counts.above_domain
        if outside:
            told = (
                f"{outside} of {counts.predicted} pixels of the {end} season lie outside the "
                f"domain of card {made.card.id} and were clamped to it."
            )
            found.append(Finding("biomass-outside-domain", "info", told))
    return found


def plot_mean(
    values: NDArray[np.integer], plot: Plot, *, grid: GeoBox, nodata: int
) -> float | None:
    """Mean of published integers over the ground of one plot; None where nothing is known.

    The plot is taken as a circle of its area around its centre, weighted by the exact fraction
    of each pixel: map and plot then speak of the same piece of land.
    """
    ground = _circle(plot)
    bounds = project(ground, crs_of(grid)).bounds
    corners = [~grid.transform * point for point in (bounds[:2], bounds[2:])]
    columns, rows = sorted(c for c, _ in corners), sorted(r for _, r in corners)
    height, width = grid.shape
    first_row, last_row = max(0, math.floor(rows[0])), min(height, math.ceil(rows[1]))
    first_column, last_column = max(0, math.floor(columns[0])), min(width, math.ceil(columns[1]))
    if first_row >= last_row or first_column >= last_column:
        return None
    window = slice(first_row, last_row), slice(first_column, last_column)
    weight = zonal.weights(
        Boundary(plot.plot_id, shapely.MultiPolygon([ground]), plot.area_ha), grid[window]
    )
    return zonal.weighted_mean(values[window], weight, nodata=nodata)


def _circle(plot: Plot) -> shapely.Polygon:
    radius_m = math.sqrt(plot.area_ha * 10_000 / math.pi)
    azimuths = np.linspace(0, 360, _CIRCLE_POINTS, endpoint=False)
    lon, lat, _ = _GEOD.fwd(
        np.full(_CIRCLE_POINTS, plot.lon),
        np.full(_CIRCLE_POINTS, plot.lat),
        azimuths,
        np.full(_CIRCLE_POINTS, radius_m),
    )
    return shapely.Polygon(np.column_stack([lon, lat]))
