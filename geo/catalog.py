"""Finding the scenes of an area and a period: which are used, which are refused and why.

Imports stac, items, recognition, scenes, offsets and shapely; opens no raster.
Order: the answer, finding, choosing among duplicates, refusing by place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shapely.errors import ShapelyError
from shapely.geometry import box, shape

from geo.errors import BadInput
from geo.items import ItemRecord, UnreadableItem, read_item
from geo.offsets import metadata_witnesses
from geo.recognition import recognise
from geo.scenes import Refusal, Scene, UnusableItem, scene_from_item
from geo.stac import FoundDocument, folder_of, item_documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shapely.geometry.base import BaseGeometry

    from geo.sensors import SensorCard
    from geo.types import Boundary, Finding, Period


@dataclass(frozen=True)
class SceneSearch:
    """What a catalog has for an area and a period."""

    card: SensorCard
    scenes: tuple[Scene, ...]
    """Oldest first; Sentinel-2 scenes carry the witnesses of their metadata, not yet settled."""
    refused: tuple[Refusal, ...]
    findings: tuple[Finding, ...]


def find_scenes(
    source: str, collection: str, *, boundary: Boundary, period: Period, sensor: str = "auto"
) -> SceneSearch:
    """Find the scenes of a collection over an area in a period.

    Parameters
    ----------
    source
        Path or address of a static STAC catalog, or address of a STAC API.
    collection
        Any collection id of it.
    boundary, period
        An item counts by its day (UTC), one without a single time by its midpoint.
    sensor
        `auto`, a built-in sensor's id or the path of a card.

    Returns
    -------
    The card, the usable scenes and the refused ones. Items of other dates are not listed.

    Raises
    ------
    BadInput
        Catalog or collection not found, nothing there in the period, no scene usable.
    """
    west, south, east, north = boundary.geometry.bounds
    documents = item_documents(
        source,
        collection,
        bbox=(west, south, east, north),
        days=(period.start, period.end),
    )
    items, refused, seen = _read_items(documents, collection, period=period)
    if not items:
        raise _nothing_found(collection, period, seen=seen, refused=refused)
    inside, outside = _over_area(items, boundary)
    if not inside:
        raise _nothing_found(collection, period, seen=seen, refused=[*refused, *outside])
    recognition = recognise(inside, sensor=sensor)
    chosen, doubles = _newest_of_each(inside)
    made, unusable = _make_scenes(chosen, recognition.card)
    scenes = [_relative_to(folder_of(source), scene) for scene in made]
    refused += outside + doubles + unusable
    if not scenes:
        raise _nothing_found(collection, period, seen=seen, refused=refused)
    return SceneSearch(
        card=recognition.card,
        scenes=tuple(sorted(scenes, key=lambda s: (s.observed_on, s.item_id))),
        refused=tuple(sorted(refused, key=lambda r: (str(r.observed_on), r.item_id, r.reason))),
        findings=recognition.findings,
    )


def _read_items(
    documents: Iterable[FoundDocument], collection: str, *, period: Period
) -> tuple[list[ItemRecord], list[Refusal], int]:
    """Give the items of the period, the unreadable ones, and how many were looked at."""
    items, refused, seen = [], [], 0
    for found in documents:
        seen += 1
        name = found.href.rsplit("/", 1)[-1]
        if found.document is None:
            refused.append(Refusal(name, found.reason or "it cannot be read"))
            continue
        try:
            item = read_item(found.document, base=found.href, collection=collection)
        except UnreadableItem as error:
            refused.append(Refusal(str(found.document.get("id") or name), str(error.reason)))
            continue
        if period.start <= item.observed_on <= period.end:
            items.append(item)
    return items, refused, seen


def _nothing_found(
    collection: str, period: Period, *, seen: int, refused: Sequence[Refusal]
) -> BadInput:
    reasons = "; ".join(f"{entry.item_id}: {entry.reason}" for entry in refused[:3])
    more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""  # noqa: PLR2004  # as above
    why = f" ({reasons}{more})" if reasons else ""
    return BadInput(
        what=f"collection {collection}",
        problem=f"none of its {seen} items is usable over the area from {period.start} to "
        f"{period.end}{why}",
        fix="Check the boundary, the dates and the collection.",
    )


def _over_area(
    items: Sequence[ItemRecord], boundary: Boundary
) -> tuple[list[ItemRecord], list[Refusal]]:
    inside, outside = [], []
    for item in items:
        footprint = _footprint(item)
        if footprint is None or footprint.intersects(boundary.geometry):
            inside.append(item)  # without a footprint the file itself decides, when it is opened
        else:
            reason = "it lies outside the area"
            outside.append(Refusal(item.item_id, reason, item.observed_on))
    return inside, outside


def _footprint(item: ItemRecord) -> BaseGeometry | None:
    try:
        if item.geometry is not None:
            footprint = shape(dict(item.geometry))
            if footprint.is_valid and not footprint.is_empty:
                return footprint
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        pass  # a geometry that cannot be read says nothing; the bbox may
    if item.bbox is None or item.bbox[0] > item.bbox[2]:
        return None
    return box(*item.bbox)


def _newest_of_each(items: Sequence[ItemRecord]) -> tuple[list[ItemRecord], list[Refusal]]:
    """Keep one item of each acquisition and tile: tier 1 first, then the newest processing."""
    ordered = sorted(items, key=_newness, reverse=True)
    kept: dict[object, ItemRecord] = {}
    by_id: dict[str, ItemRecord] = {}
    doubles = []
    for item in ordered:
        better = by_id.get(item.item_id) or kept.get(_acquisition(item))
        if better is None:
            kept[_acquisition(item)] = by_id[item.item_id] = item
        else:
            reason = f"it is the same acquisition as {better.item_id}, which is newer or the same"
            doubles.append(Refusal(item.item_id, reason, item.observed_on))
    return list(kept.values()), doubles


def _newness(item: ItemRecord) -> tuple[object, ...]:
    tier_one = item.item_id.endswith(("T1", "T1_SR")) or "_T1_" in item.item_id
    baseline = tuple(int(part) for part in (item.baseline or "0.0").split("."))
    return (tier_one, baseline, item.processed_at, item.item_id)


def _acquisition(item: ItemRecord) -> tuple[object, ...]:
    if item.tile is not None:
        return (item.platform, item.tile, item.observed_on, item.interval)
    place = tuple(round(number, 5) for number in item.bbox) if item.bbox else item.item_id
    return (item.platform, place, item.observed_at, item.interval)


def _relative_to(folder: str, scene: Scene) -> Scene:
    assets = tuple(
        replace(asset, href=asset.href.removeprefix(f"{folder}/")) for asset in scene.assets
    )
    return replace(scene, assets=assets)


def _make_scenes(
    items: Sequence[ItemRecord], card: SensorCard
) -> tuple[list[Scene], list[Refusal]]:
    scenes, refused = [], []
    folders: set[str] = set()
    for item in items:
        try:
            scene = scene_from_item(item, card)
        except UnusableItem as error:
            refused.append(Refusal(item.item_id, str(error.reason), item.observed_on))
            continue
        if scene.folder.lower() in folders:
            reason = f"its id gives the same folder name {scene.folder} as another item's"
            refused.append(Refusal(item.item_id, reason, item.observed_on))
            continue
        folders.add(scene.folder.lower())
        if card.offset_rule == "sentinel-2":
            scene = replace(scene, witnesses=metadata_witnesses(item, scene))
        scenes.append(scene)
    return scenes, refused
