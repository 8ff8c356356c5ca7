"""Which pixels were seen clearly, by a card's mask rule.

Imports sensors, numpy, dask, xarray, scipy. Order: the lazy mask, the rules on one block.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import xarray as xr
from scipy import ndimage

from geo.blocks import over_blocks, over_neighbourhoods

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geo.sensors import MaskRule

_CIRRUS_SHIFT = 14
_CIRRUS_BITS = 0b11


def clear_pixels(inputs: xr.Dataset, rule: MaskRule, *, pixel_m: float) -> xr.DataArray:
    """Say where the ground was seen.

    Parameters
    ----------
    inputs
        int32 DN, dims (time, y, x), with the roles `quality` and `saturation` where the rule
        reads them; negative values are missing.
    rule
        The card's mask rule.
    pixel_m
        Edge of a pixel in metres, to bring the rule's dilation to pixels (rounded up).

    Returns
    -------
    bool, dims (time, y, x), lazy, chunked as the inputs. False where the quality layer is
    missing. All True under the rule `none`.
    """
    template = inputs["quality"] if "quality" in inputs else inputs["red"]
    if rule.rule == "none":
        data = da.ones(template.shape, chunks=template.chunks, dtype=bool)
    elif rule.rule == "scl":
        data = _scl(inputs["quality"].data, rule, pixel_m=pixel_m)
    else:
        data = over_blocks(qa_clear, inputs["quality"].data, rule=rule, dtype=np.bool_)
        if "saturation" in inputs:
            saturation = inputs["saturation"]
            present = np.array(saturation.attrs["present"], dtype=bool)[:, np.newaxis, np.newaxis]
            data &= (saturation.data == 0) | ~present
    return xr.DataArray(data, dims=template.dims, coords=template.coords, name="clear")


def _scl(quality: da.Array, rule: MaskRule, *, pixel_m: float) -> da.Array:
    reach = math.ceil(rule.dilate_m / pixel_m - 1e-6)
    if reach == 0 or not rule.dilate_classes:
        return over_blocks(scl_clear, quality, rule=rule, reach=0, dtype=np.bool_)
    # the reach is given twice: how far a block must see, and how far the rule grows
    return over_neighbourhoods(
        _scl_grown, quality, reach=reach, dtype=np.bool_, rule=rule, grow=reach
    )


def _scl_grown(quality: NDArray[np.int32], *, rule: MaskRule, grow: int) -> NDArray[np.bool_]:
    return scl_clear(quality, rule=rule, reach=grow)


def clear_block(quality: NDArray[np.int32], *, rule: MaskRule) -> NDArray[np.bool_]:
    """Apply a rule to a quality layer in memory, without dilation."""
    if rule.rule == "none":
        return np.ones(quality.shape, dtype=bool)
    if rule.rule == "scl":
        return scl_clear(quality, rule=rule)
    return qa_clear(quality, rule=rule)


def scl_clear(quality: NDArray[np.int32], *, rule: MaskRule, reach: int = 0) -> NDArray[np.bool_]:
    """Keep the classes of the rule, and nothing within `reach` pixels of the dilated ones.

    Scene classification of Sen2Cor: 4 vegetation, 5 bare, 7 unclassified are kept;
    shadow (3), clouds (8, 9, 10), water (6), snow (11), dark (2), saturated (1), none (0) not.
    """
    clear = np.isin(quality, rule.keep)
    if reach:
        disk = np.hypot(*np.ogrid[-reach : reach + 1, -reach : reach + 1]) <= reach
        for number in range(quality.shape[0]):
            bad = np.isin(quality[number], rule.dilate_classes)
            if bad.any():
                clear[number] &= ~ndimage.binary_dilation(bad, structure=disk)
    return clear


def qa_clear(quality: NDArray[np.int32], *, rule: MaskRule) -> NDArray[np.bool_]:
    """Keep a pixel with none of the rejected bits and cirrus confidence below the rule's.

    QA_PIXEL of Landsat Collection 2: bit 6 (`clear`) is never asked, since cloud shadow and
    snow have it set too.
    """
    rejected = sum(1 << bit for bit in rule.reject_bits)
    clear: NDArray[np.bool_] = (quality >= 0) & ((quality & rejected) == 0)
    if rule.cirrus_below is not None:
        clear &= ((quality >> _CIRRUS_SHIFT) & _CIRRUS_BITS) < rule.cirrus_below
    return clear
