"""Which sensor card fits a set of items: a built-in one, one derived from metadata, or none.

Imports items and sensors; no arrays, no files but the card that a user names.
Order: the answer, choosing a card, what an item must have, the derived card.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from geo.errors import BadInput
from geo.items import AssetRecord, BandRecord, ItemRecord
from geo.sensors import ROLES, MaskRule, SensorCard, builtin_cards, read_card
from geo.types import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

_WHOLE_YEAR = "01-01/12-31"
_DTYPE_TOP = {"uint8": 255, "uint16": 65_535, "int16": 32_767}


@dataclass(frozen=True)
class Recognition:
    """The card to read the items with, and what has to be said about it."""

    card: SensorCard
    findings: tuple[Finding, ...] = ()


def recognise(items: Sequence[ItemRecord], *, sensor: str = "auto") -> Recognition:
    """Choose the card for these items.

    Parameters
    ----------
    items
        At least one item of one collection.
    sensor
        `auto`, the id of a built-in card, or the path of a card file.

    Returns
    -------
    The card; with the warning `sensor-card-derived` where it had to be made from metadata.

    Raises
    ------
    BadInput
        When no card can be had; the sentence names `--sensor CARD.json`.
    """
    builtin = builtin_cards()
    if sensor in builtin:
        return Recognition(builtin[sensor])
    if sensor != "auto":
        if not sensor.endswith(".json"):
            raise BadInput(
                what=f"--sensor {sensor}",
                problem=f"is neither built in ({', '.join(builtin)}) nor a JSON file",
                fix="Name one of these, a CARD.json, or auto.",
            )
        return Recognition(read_card(Path(sensor)))
    fitting = [card for card in builtin.values() if any(fits(card, item) for item in items)]
    if len(fitting) == 1:
        return Recognition(fitting[0])
    derived = next((card for card in map(_derive, items) if card is not None), None)
    if derived is None:
        raise BadInput(
            what=f"collection {items[0].collection}",
            problem="its items do not say enough to read them (mission and quality layer of a "
            "built-in sensor, or the red and nir bands with their scale)",
            fix="Describe the imagery in a file and give it: --sensor CARD.json "
            "(data/sensors holds examples).",
        )
    return Recognition(derived, (_derived_finding(derived),))


def fits(card: SensorCard, item: ItemRecord) -> bool:
    """Whether an item's assets and metadata both agree with a built-in card."""
    rule = card.recognise
    if rule is None or rule.mission not in item.mission:
        return False
    if rule.interval != item.is_composite:
        return False
    found = [find_band(item, card.bands[role]) for role in ("red", "nir")]
    if any(band is None for band in found):
        return False
    if card.mask.rule != "none" and find_band(item, card.mask.assets) is None:
        return False
    stated = [band for _, band in (pair for pair in found if pair is not None)]
    return all(band.data_type in {None, rule.data_type} for band in stated) and all(
        _scale_agrees(card, band) for band in stated
    )


def find_band(item: ItemRecord, keys: Sequence[str]) -> tuple[AssetRecord, BandRecord] | None:
    """Find the first of these assets (`key`, or `key#2` for a band) that the item has."""
    for key in keys:
        name, _, number = key.partition("#")
        asset, index = item.asset(name), int(number) if number.isdigit() else 1
        if asset is not None:
            silent = BandRecord(index, (), None, None, None, None)
            return asset, next((band for band in asset.bands if band.index == index), silent)
    return None


def exact_decimal(text: str) -> Fraction:
    """Read a number as the publisher meant it.

    A value that passed through 32-bit floats (9.999999747378752e-05) is given as the shortest
    decimal that has the same 32-bit form (0.0001); any other is taken as written.
    """
    written = Fraction(text)
    value = float(written)
    short = next(
        (form for form in (f"{value:.{digits}g}" for digits in range(1, 10)) if _same(form, value)),
        text,
    )
    same_float = struct.unpack("f", struct.pack("f", value))[0] == value
    return Fraction(short) if same_float else written


def _same(form: str, value: float) -> bool:
    return struct.pack("f", float(form)) == struct.pack("f", value)


def _scale_agrees(card: SensorCard, band: BandRecord) -> bool:
    scale, offset = card.exact_scale()
    if band.scale is not None and exact_decimal(band.scale) != scale:
        return False
    free = card.offset_rule == "sentinel-2" or band.offset is None
    return free or exact_decimal(str(band.offset)) == offset


def _derive(item: ItemRecord) -> SensorCard | None:
    """Make a card from what one item says, or give None where it does not say enough."""
    bands: dict[str, tuple[str, ...]] = {}
    facts: dict[str, BandRecord] = {}
    for role in ROLES:
        names = ("nir", "nir08") if role == "nir" else (role,)
        for key, band in ((k, b) for name in names for k, b in _named(item, name)):
            if role not in bands:
                bands[role], facts[role] = (key,), band
    red, nir = facts.get("red"), facts.get("nir")
    if red is None or nir is None or red.scale is None or red.data_type not in _DTYPE_TOP:
        return None
    top = _DTYPE_TOP[red.data_type]
    return SensorCard(
        id=f"derived-{item.collection}",
        title=f"Derived from the metadata of {item.collection}",
        bands=bands,
        scale=str(exact_decimal(red.scale)),
        offset=str(exact_decimal(red.offset or "0")),
        nodata=red.nodata,
        valid_dn=(1, top) if red.nodata == 0 else (0, top),
        mask=_derived_mask(item),
        source=f"STAC metadata of item {item.item_id}",
        scale_from="item",
        season=_WHOLE_YEAR if item.is_composite else None,
        composite=item.is_composite,
        scale_inferred=red.data_type == "uint8",
        derived=True,
    )


def _named(item: ItemRecord, name: str) -> list[tuple[str, BandRecord]]:
    return [
        (asset.key if len(asset.bands) == 1 else f"{asset.key}#{band.index}", band)
        for asset in item.assets
        for band in asset.bands
        if name in band.names and band.data_type in _DTYPE_TOP
    ]


def _derived_mask(item: ItemRecord) -> MaskRule:
    for card in builtin_cards().values():
        if card.mask.rule != "none" and find_band(item, card.mask.assets) is not None:
            return card.mask
    return MaskRule(rule="none")


def _derived_finding(card: SensorCard) -> Finding:
    mask = "no quality layer" if card.mask.rule == "none" else f"quality layer {card.mask.rule}"
    guess = "; 8-bit values, so the scale is taken as inferred" if card.scale_inferred else ""
    return Finding(
        code="sensor-card-derived",
        severity="warning",
        message=f"No built-in sensor fits; bands, scale {card.scale} and offset {card.offset} were "
        f"taken from the items' metadata ({mask}{guess}). Give --sensor CARD.json to settle it.",
    )
