"""Which Sentinel-2 offset is still to be added: four witnesses, at least two, all of one mind.

Imports scenes, items, errors and numpy; no files. Order: the three witnesses of the metadata,
the witness of the pixels, the verdict.

From processing baseline 04.00 ESA adds 1000 to every DN; some publishers take it off again, and
some say so wrongly. Forgetting it turns NDVI 0.79 into 0.53, so no single source is believed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from geo.errors import GeoError
from geo.recognition import exact_decimal
from geo.scenes import QUALITY, SATURATION, Scene, Witness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geo.items import ItemRecord

ADDED_OFFSET_DN = -1000
"""BOA_ADD_OFFSET of processing baseline 04.00 and later (ESA S2 product specification)."""

BASELINE_WITH_OFFSET = (4, 0)
FIRST_DAY_WITH_OFFSET = date(2022, 1, 25)
"""First day on which ESA produced baseline 04.00."""

MIN_WITNESSES = 2

DENSE_NDVI = 0.7
"""NDVI from which a pixel counts as dense vegetation here; our choice."""

DARK_BLUE = (0.01, 0.06)
"""Blue reflectance of dark dense vegetation, lowest and highest believable median."""

MIN_DENSE_PIXELS = 30
"""Fewer dense pixels than this say nothing; our choice."""

MIN_DENSE_SHARE = 0.5
"""Dense pixels must be this share of the clear ones. Our choice: with fewer, the edges of thin
cloud, brighter by about 0.1, pass for pixels with an offset (seen in the sample's hazy dates)."""


class OffsetUnsettled(GeoError):
    """The offset is not settled: {reason}."""


def metadata_witnesses(item: ItemRecord, scene: Scene) -> tuple[Witness, ...]:
    """Ask baseline and applied flag, raster:bands, and (without a baseline) the date."""
    witnesses = list(_baseline_witness(item)) + list(_raster_witness(item, scene))
    if item.baseline is None:
        late = item.observed_on >= FIRST_DAY_WITH_OFFSET
        says = ADDED_OFFSET_DN if late else 0
        witnesses.append(Witness("date", says, f"seen on {item.observed_on}, no baseline stated"))
    return tuple(witnesses)


def _baseline_witness(item: ItemRecord) -> list[Witness]:
    if item.baseline is None:
        return []
    major, minor = (int(part) for part in item.baseline.split("."))
    added = (major, minor) >= BASELINE_WITH_OFFSET
    applied = item.offset_applied is True
    flag = {None: "no applied flag", True: "flag: applied", False: "flag: not applied"}
    detail = f"baseline {item.baseline}, {flag[item.offset_applied]}"
    return [Witness("baseline", ADDED_OFFSET_DN if added and not applied else 0, detail)]


def _raster_witness(item: ItemRecord, scene: Scene) -> list[Witness]:
    said: dict[int, list[str]] = {}
    for asset in scene.assets:
        record = item.asset(asset.key)
        if asset.role in {QUALITY, SATURATION} or record is None:
            continue
        band = next((band for band in record.bands if band.index == asset.band), None)
        if band is not None and band.offset is not None:
            scale = exact_decimal(band.scale) if band.scale is not None else Fraction(asset.scale)
            offset_dn = round(exact_decimal(band.offset) / scale)
            said.setdefault(offset_dn, []).append(asset.key)
    return [
        Witness("raster-bands", offset_dn, f"offset stated for {', '.join(keys)}")
        for offset_dn, keys in sorted(said.items())
    ]


def pixel_witness(
    *, blue: NDArray[np.integer], red: NDArray[np.integer], nir: NDArray[np.integer]
) -> Witness | None:
    """Ask the pixels: blue reflectance of dark dense vegetation is 0.01 to 0.06.

    Parameters
    ----------
    blue, red, nir
        DN of the clear pixels of the area, scale 1/10000, same shape (n,); missing ones left out.

    Returns
    -------
    The one offset (0 or -1000) under which at least half of the pixels (and 30) have NDVI >= 0.7
    and these a believable blue median; None where that holds for neither or both.

    Source: design reference 7.1 (guard on the median of dark dense-vegetation pixels).
    """
    believable = []
    for offset in (0, ADDED_OFFSET_DN):
        b, r, n = (band.astype(np.float64) + offset for band in (blue, red, nir))
        dense = (r > 0) & (n - r >= DENSE_NDVI * (n + r))
        count = int(dense.sum())
        if count >= max(MIN_DENSE_PIXELS, MIN_DENSE_SHARE * dense.size):
            median = float(np.median(b[dense])) / 10_000
            if DARK_BLUE[0] <= median <= DARK_BLUE[1]:
                detail = f"blue median {median:.4f} in {count} dense vegetation pixels"
                believable.append(Witness("pixels", offset, detail))
    return believable[0] if len(believable) == 1 else None


def settle_offset(scene: Scene, witnesses: tuple[Witness, ...]) -> Scene:
    """Give the scene with its offset settled and its witnesses named.

    Raises
    ------
    OffsetUnsettled
        When fewer than two witnesses are present or those present disagree.
    """
    told = "; ".join(f"{w.name} says {w.offset_dn} ({w.detail})" for w in witnesses)
    if len({w.name for w in witnesses}) < MIN_WITNESSES:
        reason = f"its offset has fewer than {MIN_WITNESSES} witnesses: {told or 'none'}"
        raise OffsetUnsettled(reason=reason)
    if len({w.offset_dn for w in witnesses}) > 1:
        raise OffsetUnsettled(reason=f"the witnesses of its offset disagree: {told}")
    offset_dn = witnesses[0].offset_dn
    assets = tuple(
        asset
        if asset.role in {QUALITY, SATURATION}
        else replace(asset, offset=str(Fraction(asset.scale) * offset_dn))
        for asset in scene.assets
    )
    return replace(scene, assets=assets, witnesses=witnesses)
