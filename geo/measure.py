"""From archived pixels to seasonal composites: one lazy measurement of one area.

Imports load, mask, indices, composite, grid, scenes. Order: the value, measuring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import xarray as xr

from geo.composite import seasonal_looks, seasonal_median
from geo.grid import pixel_size_m
from geo.indices import (
    NDVI,
    find_not_positive,
    formulas,
    index_series,
    unavailable_because,
)
from geo.load import MISSING_DN, archive, open_inputs, read_index
from geo.mask import clear_pixels
from geo.scenes import QUALITY, SATURATION, Refusal, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from odc.geo.geobox import GeoBox

    from geo.planning import ScenePlan
    from geo.sensors import SensorCard
    from geo.types import Season


@dataclass(frozen=True)
class Measurement:
    """What the pixels of an area say, season by season; nothing is computed yet."""

    grid: GeoBox
    seasons: tuple[Season, ...]
    """Oldest first; the first and the last are the ends."""
    composites: xr.Dataset
    """Lazy; dims (season, y, x): int16 `ndvi` and what else could be formed, 10,000 x the index,
    -32768 where too few clear looks; uint16 `looks` (clear looks of NDVI)."""
    series: xr.DataArray
    """Lazy; int16 NDVI, dims (time, y, x), -32768 where not clear."""
    unavailable: tuple[str, ...]
    """Indices that could not be formed, with the reason."""
    scenes: tuple[Scene, ...]
    """The scenes in the order of `time`."""
    refused: tuple[Refusal, ...]
    """Scenes of the plan that could not be archived."""
    looks_known: bool
    """False for a card of composites: how many dates are behind a value is unknown."""
    not_positive: xr.DataArray
    """Lazy; bool, dims (time, y, x): clear pixels of the grid masked for reflectance <= 0."""


def input_roles() -> tuple[str, ...]:
    """Give the roles that measuring reads, and so that are archived."""
    bands = {role for formula in formulas().values() for role in formula.roles}
    return (*sorted(bands), QUALITY, SATURATION)


def archive_inputs(
    plan: ScenePlan, inputs_dir: str | Path, *, progress: Callable[[str], None]
) -> tuple[Refusal, ...]:
    """Archive what a plan's measurement reads; see `load.archive`."""
    return archive(
        plan.scenes,
        inputs_dir,
        folder=plan.folder,
        grid=plan.grid,
        roles=input_roles(),
        progress=progress,
    )


def measure(
    scenes: Sequence[Scene],
    inputs_dir: str | Path,
    *,
    grid: GeoBox,
    seasons: Sequence[Season],
    card: SensorCard,
    chunk: int | None = None,
) -> Measurement:
    """Form indices and seasonal medians from archived inputs.

    Parameters
    ----------
    scenes
        The scenes of the plan, offsets settled.
    inputs_dir
        What `load.archive` wrote; scenes that its index refuses are left out.
    grid
        The grid of the plan.
    seasons
        Oldest first, at least two.
    card
        Mask rule, valid range and looks needed.
    chunk
        Edge of a spatial chunk, pixels; never changes a result.

    Returns
    -------
    The measurement, lazy throughout.
    """
    refused = tuple(Refusal.from_json(said) for said in read_index(inputs_dir)["refused"])
    gone = {entry.item_id for entry in refused}
    kept = tuple(
        sorted(
            (scene for scene in scenes if scene.item_id not in gone),
            key=lambda scene: (scene.observed_on, scene.item_id),
        )
    )
    inputs = open_inputs(kept, inputs_dir, grid=grid, chunk=chunk)
    clear = clear_pixels(inputs, card.mask, pixel_m=pixel_size_m(grid))
    medians, unavailable = {}, []
    for formula in formulas().values():
        reason = unavailable_because(formula, card, scenes=kept)
        if reason is not None:
            unavailable.append(reason)
            continue
        index = index_series(formula, inputs, clear=clear, scenes=kept, card=card)
        medians[formula.name] = seasonal_median(
            index, seasons=seasons, scenes=kept, min_looks=card.min_looks
        )
        if formula == NDVI:
            series = index
    medians["looks"] = seasonal_looks(series, seasons=seasons, scenes=kept)
    return Measurement(
        grid=grid,
        seasons=tuple(seasons),
        composites=xr.Dataset(medians),
        series=series,
        unavailable=tuple(unavailable),
        scenes=kept,
        refused=refused,
        looks_known=not card.composite,
        not_positive=find_not_positive(inputs, clear, scenes=kept, missing=MISSING_DN),
    )
