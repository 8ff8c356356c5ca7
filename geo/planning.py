"""Planning a measurement: which scenes, which grid, which seasons; no pixel but the witnesses'.

Imports catalog, offsets, raster_io, grid, mask, composite. Order: the plan, planning, offsets.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geo.catalog import find_scenes
from geo.composite import WHOLE_YEAR, members, seasons_in
from geo.errors import BadInput
from geo.grid import (
    MARGIN_PIXELS,
    choose_grid,
    crs_of,
    grid_from_json,
    grid_to_json,
    pixel_size_m,
    project,
    source_indices,
)
from geo.mask import clear_block
from geo.offsets import OffsetUnsettled, pixel_witness, settle_offset
from geo.raster_io import UnreadableRaster, read_header, read_over
from geo.scenes import QUALITY, Refusal, Scene
from geo.sensors import SensorCard, card_from_json
from geo.stac import folder_of
from geo.types import Finding, Season

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from geo.types import Boundary, Period

WITNESS_PIXELS = 512
"""Edge of the largest window from which the offset's pixel witness is taken; our choice."""

_THREADS = 4


@dataclass(frozen=True)
class ScenePlan:
    """Everything that decides which pixels are measured and how; JSON-able."""

    catalog: str
    collection: str
    card: SensorCard
    grid: GeoBox
    season: str
    seasons: tuple[Season, ...]
    scenes: tuple[Scene, ...]
    """Oldest first, each within a season, offsets settled."""
    refused: tuple[Refusal, ...]
    findings: tuple[Finding, ...]
    """What has to be said in `quality`."""

    @property
    def folder(self) -> str:
        """The catalog's folder, against which the scenes' addresses are read."""
        return folder_of(self.catalog)

    def to_json(self) -> dict[str, Any]:
        """Give the plan as plain JSON."""
        return {
            "catalog": self.catalog,
            "collection": self.collection,
            "card": self.card.to_json(),
            "grid": grid_to_json(self.grid),
            "season": self.season,
            "seasons": [
                {"year": s.year, "start": s.start.isoformat(), "end": s.end.isoformat()}
                for s in self.seasons
            ],
            "scenes": [scene.to_json() for scene in self.scenes],
            "refused": [entry.to_json() for entry in self.refused],
            "findings": [
                {"code": f.code, "severity": f.severity, "message": f.message}
                for f in self.findings
            ],
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> ScenePlan:
        """Read what `to_json` wrote."""
        return cls(
            catalog=said["catalog"],
            collection=said["collection"],
            card=card_from_json(said["card"]),
            grid=grid_from_json(said["grid"]),
            season=said["season"],
            seasons=tuple(_season_from_json(season) for season in said["seasons"]),
            scenes=tuple(Scene.from_json(scene) for scene in said["scenes"]),
            refused=tuple(Refusal.from_json(entry) for entry in said["refused"]),
            findings=tuple(Finding(**finding) for finding in said["findings"]),
        )


def _season_from_json(said: Mapping[str, Any]) -> Season:
    return Season(
        year=said["year"],
        start=date.fromisoformat(said["start"]),
        end=date.fromisoformat(said["end"]),
    )


def plan_scenes(
    source: str,
    collection: str,
    *,
    boundary: Boundary,
    period: Period,
    sensor: str = "auto",
    season: str | None = None,
    progress: Callable[[str], None],
) -> ScenePlan:
    """Plan the measurement of an area over a period.

    Parameters
    ----------
    source, collection
        A STAC catalog (path or address) or API, and any collection id of it.
    sensor
        `auto`, a built-in sensor's id, or the path of a card.
    season
        `MM-DD/MM-DD`; None takes the card's, else the whole year with a warning.

    Returns
    -------
    The plan. Scenes outside every season are not used and not listed as refused; scenes whose
    files cannot be opened, do not reach the area, or whose offset is not settled are refused.

    Raises
    ------
    BadInput
        Fewer than two seasons, nothing found, or nothing usable.
    """
    search = find_scenes(source, collection, boundary=boundary, period=period, sensor=sensor)
    chosen = season or search.card.season or WHOLE_YEAR
    findings = list(search.findings)
    if season is None and search.card.season is None:
        findings.append(_whole_year_finding())
    seasons = seasons_in(period, chosen)
    positions = sorted({n for group in members(seasons, search.scenes) for n in group})
    in_season = [search.scenes[n] for n in positions]
    progress(f"{len(in_season)} of {len(search.scenes)} scenes lie in a season {chosen}")
    folder = folder_of(source)
    opened, refused = _open_headers(in_season, folder, card=search.card, boundary=boundary)
    if not opened:
        raise _nothing_usable(collection, refused, season=chosen)
    grid = _measuring_grid(boundary, [geobox for _, geobox in opened], card=search.card)
    scenes = [scene for scene, _ in opened]
    if search.card.offset_rule == "sentinel-2":
        scenes, unsettled = _settle_offsets(
            scenes, folder, card=search.card, place=(boundary, grid)
        )
        refused += unsettled
    if not scenes:
        raise _nothing_usable(collection, refused, season=chosen)
    findings += _empty_season_findings(seasons, scenes)
    refused = sorted([*search.refused, *refused], key=lambda r: (str(r.observed_on), r.item_id))
    return ScenePlan(
        catalog=source,
        collection=collection,
        card=search.card,
        grid=grid,
        season=chosen,
        seasons=seasons,
        scenes=tuple(scenes),
        refused=tuple(refused),
        findings=tuple(findings),
    )


def _whole_year_finding() -> Finding:
    return Finding(
        code="season-whole-year",
        severity="warning",
        message="No season was given and the sensor has none: medians are over whole years, so "
        "leaf fall and snow enter them. Give --season MM-DD/MM-DD.",
    )


def _empty_season_findings(seasons: Sequence[Season], scenes: Sequence[Scene]) -> list[Finding]:
    empty = [
        season for season, group in zip(seasons, members(seasons, scenes), strict=True) if not group
    ]
    ends = [season.year for season in empty if season in {seasons[0], seasons[-1]}]
    between = [str(season.year) for season in empty if season not in {seasons[0], seasons[-1]}]
    findings = [
        Finding(
            code="end-season-without-scenes",
            severity="blocking",
            message=f"The season of {year}, an end of the period, has no usable scene; choose "
            "dates whose first and last season are covered.",
        )
        for year in ends
    ]
    if between:
        text = f"No usable scene in the seasons of {', '.join(between)}."
        findings.append(Finding(code="season-without-scenes", severity="info", message=text))
    return findings


def _nothing_usable(collection: str, refused: Sequence[Refusal], *, season: str) -> BadInput:
    reasons = "; ".join(f"{entry.item_id}: {entry.reason}" for entry in refused[:3])
    return BadInput(
        what=f"collection {collection}",
        problem=f"no scene of the seasons {season} is usable ({reasons or 'none there'})",
        fix="Check the dates and the season.",
    )


def _open_headers(
    scenes: Sequence[Scene], folder: str, *, card: SensorCard, boundary: Boundary
) -> tuple[list[tuple[Scene, GeoBox]], list[Refusal]]:
    """Open the red band of each scene; give the readable scenes with their grids."""

    def header(scene: Scene) -> tuple[Scene, GeoBox] | Refusal:
        asset = scene.asset("red")
        try:
            found = read_header(asset.address(folder) if asset else "")
        except UnreadableRaster as error:
            return Refusal(scene.item_id, error.clause, scene.observed_on)
        meant = card.recognise.data_type if card.recognise else found.dtype
        if found.dtype != meant:
            reason = f"its red band holds {found.dtype}, {card.id} is {meant}"
            return Refusal(scene.item_id, reason, scene.observed_on)
        if not _reaches(found.geobox, boundary):
            return Refusal(scene.item_id, "its pixels do not reach the area", scene.observed_on)
        return scene, found.geobox

    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        outcomes = list(pool.map(header, scenes))
    return (
        [outcome for outcome in outcomes if not isinstance(outcome, Refusal)],
        [outcome for outcome in outcomes if isinstance(outcome, Refusal)],
    )


def _measuring_grid(boundary: Boundary, geoboxes: Sequence[GeoBox], *, card: SensorCard) -> GeoBox:
    """Choose the grid, with a margin that holds what the mask's dilation has to see."""
    grid = choose_grid(boundary.geometry, geoboxes)
    reach = int(np.ceil(card.mask.dilate_m / pixel_size_m(grid)))
    if reach <= MARGIN_PIXELS:
        return grid
    return choose_grid(boundary.geometry, geoboxes, margin=reach)


def _reaches(geobox: GeoBox, boundary: Boundary) -> bool:
    area = project(boundary.geometry, crs_of(geobox))
    return bool(np.isfinite(area.bounds).all() and area.intersects(geobox.extent.geom))


def _settle_offsets(
    scenes: Sequence[Scene], folder: str, *, card: SensorCard, place: tuple[Boundary, GeoBox]
) -> tuple[list[Scene], list[Refusal]]:
    boundary, grid = place
    sample = _sample_grid(boundary, grid)
    inside = _inside(boundary, sample)

    def settle(scene: Scene) -> Scene | Refusal:
        try:
            clear = _clear_dn(scene, folder, card=card, sample=sample, inside=inside)
            witness = pixel_witness(**clear) if clear else None
            present = (*scene.witnesses, *([witness] if witness else []))
            return settle_offset(scene, present)
        except OffsetUnsettled as error:
            return Refusal(scene.item_id, str(error.reason), scene.observed_on)
        except UnreadableRaster as error:
            return Refusal(scene.item_id, error.clause, scene.observed_on)

    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        outcomes = list(pool.map(settle, scenes))
    return (
        [outcome for outcome in outcomes if isinstance(outcome, Scene)],
        [outcome for outcome in outcomes if isinstance(outcome, Refusal)],
    )


def _sample_grid(boundary: Boundary, grid: GeoBox) -> GeoBox:
    """Give the window of at most 512 x 512 pixels around a point inside the area."""
    centre = project(boundary.geometry.representative_point(), crs_of(grid))
    column, row = ~grid.transform @ shapely.get_coordinates(centre)[0]
    starts = [
        max(0, min(int(middle) - WITNESS_PIXELS // 2, size - WITNESS_PIXELS))
        for middle, size in zip((row, column), grid.shape, strict=True)
    ]
    rows, columns = (slice(start, start + WITNESS_PIXELS) for start in starts)
    return grid[
        rows.start : min(rows.stop, grid.shape[0]), columns.start : min(columns.stop, grid.shape[1])
    ]


def _inside(boundary: Boundary, sample: GeoBox) -> NDArray[np.bool_]:
    area = project(boundary.geometry, crs_of(sample))
    shapely.prepare(area)
    t = sample.transform
    x = t.c + (np.arange(sample.shape[1]) + 0.5) * t.a
    y = t.f + (np.arange(sample.shape[0]) + 0.5) * t.e
    inside: NDArray[np.bool_] = shapely.contains_xy(area, *np.meshgrid(x, y))
    return inside


def _clear_dn(
    scene: Scene,
    folder: str,
    *,
    card: SensorCard,
    sample: GeoBox,
    inside: NDArray[np.bool_],
) -> dict[str, NDArray[np.int64]]:
    """Give blue, red and nir of the clear pixels inside the area; empty where one is missing."""
    layers = {}
    for role in ("blue", "red", "nir", *([QUALITY] if card.mask.rule != "none" else [])):
        layer = _on_sample(scene, role, folder=folder, sample=sample)
        if layer is None:
            return {}
        layers[role] = layer
    quality = layers.pop(QUALITY, layers["red"])
    use = inside & clear_block(quality[np.newaxis].astype(np.int32), rule=card.mask)[0]
    for layer in layers.values():
        use &= (layer >= card.valid_dn[0]) & (layer <= card.valid_dn[1])
    return {role: layer[use] for role, layer in layers.items()}


def _on_sample(scene: Scene, role: str, *, folder: str, sample: GeoBox) -> NDArray[np.int64] | None:
    asset = scene.asset(role)
    part = read_over(asset.address(folder), sample, band=asset.band) if asset else None
    if part is None:
        return None
    rows, columns = source_indices(
        part.geobox, sample, rows=(0, sample.shape[0]), columns=(0, sample.shape[1])
    )
    height, width = part.geobox.shape
    known = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    taken = part.values[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    return np.where(known, taken, 0).astype(np.int64)
