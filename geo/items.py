"""One STAC item as this house reads it: versions 1.0 and 1.1 speak alike afterwards.

Imports errors only; plain JSON in, frozen values out; no files, no network.
Order: the values, reading an item, its dates, its assets, Sentinel-2 particulars.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

from geo.errors import GeoError

Json = Mapping[str, Any]

REMOTE = frozenset({"http", "https"})
"""Schemes that are opened; every other one is refused by name."""


class UnreadableItem(GeoError):
    """The item cannot be read: {reason}."""


@dataclass(frozen=True)
class BandRecord:
    """What an item says about one band of one asset; None where it says nothing."""

    index: int
    """1 for the first band of the file."""
    names: tuple[str, ...]
    """Common name first, then the band's own name; lower case."""
    data_type: str | None
    nodata: int | None
    scale: str | None
    """Decimal text: reflectance = scale x DN + offset."""
    offset: str | None


@dataclass(frozen=True)
class AssetRecord:
    """One file of an item."""

    key: str
    href: str
    """Absolute path or URL."""
    bands: tuple[BandRecord, ...]


MAX_SENSING = timedelta(days=5)
"""An item with a longer interval and no single time is a composite of many dates. Our choice:
some catalogs give one acquisition its sensing start and end; composites cover weeks or years."""


@dataclass(frozen=True)
class ItemRecord:
    """One acquisition (or composite) as its STAC item describes it."""

    item_id: str
    collection: str
    observed_on: date
    """UTC day; the midpoint of an interval where the item has no single time."""
    observed_at: str
    """The time the day was taken from, ISO 8601."""
    interval: tuple[str, str] | None
    """Start and end where the item states an interval and no single time."""
    bbox: tuple[float, float, float, float] | None
    geometry: Json | None
    mission: str
    """Constellation, platform, instruments and collection, lower case, for recognition."""
    platform: str | None
    tile: str | None
    """MGRS tile or WRS path/row."""
    baseline: str | None
    """Sentinel-2 processing baseline, as `04.00`."""
    offset_applied: bool | None
    """Whether the publisher says the Sentinel-2 offset is already in the pixels."""
    processed_at: str
    cloud_cover: float | None
    assets: tuple[AssetRecord, ...]
    unreachable: Mapping[str, str]
    """Asset keys whose address cannot be used here, with the reason."""
    tier: str | None
    """Landsat collection category: T1, T2 or RT."""

    @property
    def is_composite(self) -> bool:
        """Whether it states an interval longer than one overpass and its processing take."""
        if self.interval is None:
            return False
        first, last = map(datetime.fromisoformat, self.interval)
        return last - first > MAX_SENSING

    def asset(self, key: str) -> AssetRecord | None:
        """Give the asset of this key, or None."""
        return next((asset for asset in self.assets if asset.key == key), None)


def read_item(document: Json, *, base: str, collection: str) -> ItemRecord:
    """Read one item.

    Parameters
    ----------
    document
        The item as parsed JSON, STAC 1.0 or 1.1.
    base
        Absolute path or URL of the item; relative hrefs are resolved against it.
    collection
        Id of the collection that led here; used where the item does not name one.

    Raises
    ------
    UnreadableItem
        With the reason in one clause, ready for a list of refused scenes.
    """
    if not isinstance(document, Mapping) or document.get("type") != "Feature":
        raise UnreadableItem(reason="it is not a STAC item (type is not Feature)")
    item_id, properties = document.get("id"), document.get("properties")
    if not isinstance(item_id, str) or not item_id:
        raise UnreadableItem(reason="it has no id")
    if not isinstance(properties, Mapping):
        raise UnreadableItem(reason="it has no properties")
    own_collection = str(document.get("collection") or collection)
    observed, interval = _times(properties)
    platform, tier = properties.get("platform"), properties.get("landsat:collection_category")
    assets, unreachable = _assets(document.get("assets"), base)
    return ItemRecord(
        item_id=item_id,
        collection=own_collection,
        observed_on=observed.date(),
        observed_at=observed.isoformat(),
        interval=interval,
        bbox=_bbox(document.get("bbox")),
        geometry=document.get("geometry"),
        mission=_mission(properties, own_collection),
        platform=str(platform) if platform else None,
        tile=_tile(properties, item_id),
        baseline=_baseline(properties, item_id),
        offset_applied=_offset_applied(properties),
        processed_at=_processed_at(properties),
        cloud_cover=_number(properties.get("eo:cloud_cover")),
        assets=assets,
        unreachable=unreachable,
        tier=str(tier) if tier else None,
    )


def resolve_href(href: str, base: str) -> str:
    """Make an href absolute against the document it stands in (a path or a URL).

    A remote document leads to http(s) only, a local one to plain paths and http(s): whoever
    publishes a catalog chooses nothing else that is opened on this machine.

    Raises
    ------
    UnreadableItem
        Naming the address; schemes count in any case (`FILE://`).
    """
    scheme = _scheme(href)
    if scheme in REMOTE:
        return scheme + href.strip()[len(scheme) :]
    if _scheme(base) in REMOTE:
        if scheme or href.startswith("/vsi"):
            raise UnreadableItem(
                reason=f"a remote catalog points to {href}, which is no http(s) address"
            )
        return urljoin(base, href)
    path = urlsplit(href).path if scheme == "file" else href
    place = path if path.startswith("/") else _join(base, path)
    if scheme not in {"", "file"} or place.startswith("/vsi"):
        raise UnreadableItem(
            reason=f"its asset {href} is neither a file path nor an http(s) address"
        )
    return place


def _scheme(address: str) -> str:
    """Give the scheme of an address in lower case; empty for a path."""
    try:
        return urlsplit(address).scheme
    except ValueError:
        raise UnreadableItem(reason=f"its asset {address} is no address") from None


def _join(base: str, relative: str) -> str:
    parts = base.split("/")[:-1]
    for part in relative.split("/"):
        if part == "..":
            if not parts:
                raise UnreadableItem(reason=f"its link {relative} leaves the file system")
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def _times(properties: Json) -> tuple[datetime, tuple[str, str] | None]:
    single = properties.get("datetime")
    if single:
        return _moment(single), None
    start, end = properties.get("start_datetime"), properties.get("end_datetime")
    if not start or not end:
        raise UnreadableItem(reason="it has neither a datetime nor a start and end")
    first, last = _moment(start), _moment(end)
    if last < first:
        raise UnreadableItem(reason=f"it ends ({end}) before it starts ({start})")
    return first + (last - first) / 2, (first.isoformat(), last.isoformat())


def _moment(text: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise UnreadableItem(reason=f"its time {text!r} is not ISO 8601") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _bbox(value: object) -> tuple[float, float, float, float] | None:
    if not isinstance(value, Sequence) or len(value) not in {4, 6}:
        return None
    numbers = [_number(part) for part in value]
    if any(number is None for number in numbers):
        return None
    west, south = numbers[0], numbers[1]
    east, north = numbers[len(numbers) // 2], numbers[len(numbers) // 2 + 1]
    return (west, south, east, north)  # type: ignore[return-value]  # None was excluded above


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _mission(properties: Json, collection: str) -> str:
    words = [properties.get("constellation"), properties.get("platform"), properties.get("mission")]
    instruments = properties.get("instruments")
    words += list(instruments) if isinstance(instruments, Sequence) else []
    return " ".join(str(word) for word in [*words, collection] if word).lower()


def _assets(value: object, base: str) -> tuple[tuple[AssetRecord, ...], dict[str, str]]:
    if not isinstance(value, Mapping) or not value:
        raise UnreadableItem(reason="it has no assets")
    records, unreachable = [], {}
    for key, asset in value.items():
        if not isinstance(asset, Mapping) or not isinstance(asset.get("href"), str):
            continue  # an asset without an address cannot be used; a needed one is missed later
        try:
            href = resolve_href(asset["href"], base)
        except UnreadableItem as error:
            unreachable[str(key)] = str(error.reason)
            continue
        records.append(AssetRecord(key=str(key), href=href, bands=_bands(asset)))
    return tuple(records), unreachable


def _bands(asset: Json) -> tuple[BandRecord, ...]:
    modern = _records(asset.get("bands"))
    eo, raster = _records(asset.get("eo:bands")), _records(asset.get("raster:bands"))
    count = max(len(modern), len(eo), len(raster), 1)
    return tuple(
        _band(index, [_at(modern, index), _at(eo, index), _at(raster, index), asset])
        for index in range(count)
    )


def _records(value: object) -> list[Json]:
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list) else []


def _at(records: list[Json], index: int) -> Json:
    return records[index] if index < len(records) else {}


def _band(index: int, said: list[Json]) -> BandRecord:
    *own, asset = said
    names = [
        str(part[key]).lower()
        for key in ("eo:common_name", "common_name", "name")
        for part in own
        if part.get(key)
    ]
    if not own[0] and asset.get("eo:common_name"):
        names.append(str(asset["eo:common_name"]).lower())
    return BandRecord(
        index=index + 1,
        names=tuple(dict.fromkeys(names)),
        data_type=_first(said, ("data_type",)),
        nodata=_whole(_first(said, ("nodata",))),
        scale=_first(said, ("raster:scale", "scale")),
        offset=_first(said, ("raster:offset", "offset")),
    )


def _first(said: list[Json], keys: tuple[str, ...]) -> str | None:
    for part in said:
        for key in keys:
            if part.get(key) is not None:
                return str(part[key])
    return None


def _whole(text: str | None) -> int | None:
    try:
        number = float(text) if text is not None else float("nan")
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def _tile(properties: Json, item_id: str) -> str | None:
    for key in ("s2:mgrs_tile", "grid:code"):
        if properties.get(key):
            return str(properties[key]).removeprefix("MGRS-").removeprefix("T")
    path, row = properties.get("landsat:wrs_path"), properties.get("landsat:wrs_row")
    if path and row:
        return f"{int(path):03d}{int(row):03d}" if str(path).isdigit() else f"{path}/{row}"
    found = re.search(r"_T(\d{2}[A-Z]{3})(?:_|$)", item_id)
    return found.group(1) if found else None


def _baseline(properties: Json, item_id: str) -> str | None:
    stated = properties.get("s2:processing_baseline")
    if stated is None and "sentinel-2" in str(properties.get("constellation", "")).lower():
        stated = properties.get("processing:version")
    if stated is not None and re.fullmatch(r"\d{1,2}\.\d{1,2}", str(stated)):
        major, minor = str(stated).split(".")
        return f"{int(major):02d}.{minor:0<2}"
    names = (str(properties.get("s2:product_uri", "")), item_id)
    found = next((m for m in (re.search(r"_N(\d{2})(\d{2})_", name) for name in names) if m), None)
    return f"{found.group(1)}.{found.group(2)}" if found else None


def _offset_applied(properties: Json) -> bool | None:
    for key in ("earthsearch:boa_offset_applied", "s2:boa_offset_applied"):
        if isinstance(properties.get(key), bool):
            return bool(properties[key])
    return None


def _processed_at(properties: Json) -> str:
    keys = ("s2:generation_time", "processing:datetime", "updated", "created")
    return next((str(properties[key]) for key in keys if properties.get(key)), "")
