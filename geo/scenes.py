"""The scenes of a plan: which files, read how, used or refused and why.

Imports items, recognition, sensors, errors; no arrays, no files. The values are frozen and
JSON-able, since plans are stored. Order: the values, making scenes from items, JSON.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from geo.errors import GeoError
from geo.recognition import exact_decimal, find_band

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geo.items import BandRecord, ItemRecord
    from geo.sensors import SensorCard

QUALITY = "quality"
"""Role of the layer that the card's mask rule reads."""

SATURATION = "saturation"


class UnusableItem(GeoError):
    """The item cannot be used: {reason}."""


@dataclass(frozen=True)
class Refusal:
    """A scene that is not used."""

    item_id: str
    reason: str
    observed_on: date | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the refusal as plain JSON."""
        when = self.observed_on.isoformat() if self.observed_on else None
        return {"item_id": self.item_id, "reason": self.reason, "date": when}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Refusal:
        """Read what `to_json` wrote."""
        when = date.fromisoformat(said["date"]) if said.get("date") else None
        return cls(item_id=said["item_id"], reason=said["reason"], observed_on=when)


@dataclass(frozen=True)
class Witness:
    """What one source says about the Sentinel-2 offset still to be added, in DN."""

    name: str
    """`baseline`, `raster-bands`, `pixels` or `date`."""
    offset_dn: int
    detail: str


@dataclass(frozen=True)
class SceneAsset:
    """One band or quality layer of a scene."""

    role: str
    key: str
    band: int
    href: str
    """Relative to the catalog's folder where it lies below it, else an absolute path or URL."""
    scale: str
    """Exact text (`0.0001`, `11/400000`): reflectance = scale x DN + offset."""
    offset: str
    nodata: int | None

    def address(self, folder: str) -> str:
        """Give the path or URL of the file, the catalog lying in this folder."""
        absolute = self.href.startswith(("/", "http://", "https://"))
        return self.href if absolute else f"{folder}/{self.href}"

    @property
    def file_name(self) -> str:
        """Name of the archived file, within the scene's folder."""
        safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in self.key)
        return f"{safe}.tif" if self.band == 1 else f"{safe}_b{self.band}.tif"


@dataclass(frozen=True)
class Scene:
    """One acquisition (or composite) that a plan uses."""

    item_id: str
    collection: str
    observed_on: date
    observed_at: str
    interval: tuple[str, str] | None
    platform: str | None
    tile: str | None
    baseline: str | None
    cloud_cover: float | None
    assets: tuple[SceneAsset, ...]
    witnesses: tuple[Witness, ...] = ()

    @property
    def folder(self) -> str:
        """Name of the scene's folder under `inputs/`; safe for any item id."""
        kept = "".join(
            letter if letter.isalnum() or letter in "-_." else "_" for letter in self.item_id
        )
        return kept if kept.strip(".") else f"item_{len(kept)}"

    def asset(self, role: str) -> SceneAsset | None:
        """Give the asset of a role, or None."""
        return next((asset for asset in self.assets if asset.role == role), None)

    def to_json(self) -> dict[str, Any]:
        """Give the scene as plain JSON."""
        said = asdict(self)
        said["observed_on"] = self.observed_on.isoformat()
        said["interval"] = list(self.interval) if self.interval else None
        said["assets"] = list(said["assets"])
        said["witnesses"] = list(said["witnesses"])
        return said

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Scene:
        """Read what `to_json` wrote."""
        interval = said["interval"]
        return cls(
            **{
                **said,
                "observed_on": date.fromisoformat(said["observed_on"]),
                "interval": (interval[0], interval[1]) if interval else None,
                "assets": tuple(SceneAsset(**asset) for asset in said["assets"]),
                "witnesses": tuple(Witness(**witness) for witness in said["witnesses"]),
            }
        )


def scene_from_item(item: ItemRecord, card: SensorCard) -> Scene:
    """Make a scene of an item, read with a card.

    Raises
    ------
    UnusableItem
        When red, nir or a layer that the mask rule needs is missing, or the item states another
        scale than a built-in card has.
    """
    assets = [
        asset
        for role, keys in card.bands.items()
        if (asset := _band_asset(item, role=role, keys=keys, card=card)) is not None
    ]
    missing = [role for role in ("red", "nir") if role not in {asset.role for asset in assets}]
    assets += _quality_assets(item, card)
    if card.mask.rule != "none" and all(asset.role != QUALITY for asset in assets):
        missing.append(f"quality layer ({' or '.join(card.mask.assets)})")
    if missing:
        wanted = {key for keys in card.bands.values() for key in keys} | set(card.mask.assets)
        why = "; ".join(item.unreachable[key] for key in sorted(wanted & set(item.unreachable)))
        raise UnusableItem(reason=f"it lacks {', '.join(missing)}{f' ({why})' if why else ''}")
    if item.tier == "T2":
        raise UnusableItem(reason="it is of Landsat tier 2, whose places are not exact enough")
    return Scene(
        item_id=item.item_id,
        collection=item.collection,
        observed_on=item.observed_on,
        observed_at=item.observed_at,
        interval=item.interval,
        platform=item.platform,
        tile=item.tile,
        baseline=item.baseline,
        cloud_cover=item.cloud_cover,
        assets=tuple(assets),
    )


def _band_asset(
    item: ItemRecord, *, role: str, keys: Sequence[str], card: SensorCard
) -> SceneAsset | None:
    found = find_band(item, keys)
    if found is None:
        return None
    asset, band = found
    scale, offset = card.exact_scale()
    if card.scale_from == "item":
        scale = exact_decimal(band.scale) if band.scale is not None else scale
        offset = exact_decimal(band.offset) if band.offset is not None else offset
    elif card.recognise is not None:
        _must_agree(card, band, role=role)
    nodata = band.nodata if card.scale_from == "item" else card.nodata
    return SceneAsset(
        role=role,
        key=asset.key,
        band=band.index,
        href=asset.href,
        scale=str(scale),
        offset=str(offset),
        nodata=nodata if nodata is not None else card.nodata,
    )


def _must_agree(card: SensorCard, band: BandRecord, *, role: str) -> None:
    scale, offset = card.exact_scale()
    if band.scale is not None and exact_decimal(band.scale) != scale:
        raise UnusableItem(reason=f"its {role} has scale {band.scale}, {card.id} has {card.scale}")
    stated = exact_decimal(band.offset) if band.offset is not None else None
    if card.offset_rule == "card" and stated is not None and stated != offset:
        raise UnusableItem(
            reason=f"its {role} has offset {band.offset}, {card.id} has {card.offset}"
        )


def _quality_assets(item: ItemRecord, card: SensorCard) -> list[SceneAsset]:
    layers = [(QUALITY, card.mask.assets), (SATURATION, card.mask.saturation_assets)]
    found = [(role, find_band(item, keys)) for role, keys in layers]
    return [
        SceneAsset(
            role=role,
            key=pair[0].key,
            band=pair[1].index,
            href=pair[0].href,
            scale="1",
            offset="0",
            nodata=None,
        )
        for role, pair in found
        if pair is not None
    ]


def offset_in_dn(asset: SceneAsset) -> Fraction:
    """Give the offset of a band in digital numbers: offset / scale."""
    return Fraction(asset.offset) / Fraction(asset.scale)
