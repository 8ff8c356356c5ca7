"""Vegetation indices from integer digital numbers: exact coefficients, one division, int16.

Imports scenes, sensors, types, load's missing value by argument; numpy, dask, xarray.
Order: the formulas, the registry, availability, exact coefficients, the lazy index, one block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from geo.blocks import over_blocks
from geo.errors import BadInput
from geo.types import NDVI_NODATA, NDVI_SCALE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from geo.scenes import Scene
    from geo.sensors import SensorCard

_EXACT = 2**53
_MAX_DN = 65_535


@dataclass(frozen=True)
class IndexFormula:
    """An index as a quotient of two integer combinations of reflectances."""

    name: str
    title: str
    numerator: Mapping[str, int]
    """Role to coefficient."""
    denominator: Mapping[str, int]
    denominator_constant: int
    """Reflectance units; not 0 makes the index depend on the scale."""
    source: str

    @property
    def roles(self) -> tuple[str, ...]:
        """Bands that the index needs, sorted."""
        return tuple(sorted({*self.numerator, *self.denominator}))


_FORMULAS: dict[str, IndexFormula] = {}


def register(formula: IndexFormula) -> IndexFormula:
    """Add a formula; a name that is taken by another one is refused."""
    if _FORMULAS.setdefault(formula.name, formula) != formula:
        raise ValueError(f"index {formula.name} is already another formula")  # noqa: TRY003, EM102  # a programming fault
    return formula


def formulas() -> Mapping[str, IndexFormula]:
    """Give all formulas by name, NDVI first."""
    return dict(_FORMULAS)


def _normalised(name: str, title: str, *, roles: tuple[str, str], source: str) -> IndexFormula:
    """Register (a - b) / (a + b)."""
    first, second = roles
    return register(
        IndexFormula(
            name=name,
            title=title,
            numerator={first: 1, second: -1},
            denominator={first: 1, second: 1},
            denominator_constant=0,
            source=source,
        )
    )


NDVI = _normalised(
    "ndvi",
    "Normalised difference vegetation index, (nir - red) / (nir + red)",
    roles=("nir", "red"),
    source="Rouse et al. 1974, NASA SP-351",
)
NDMI = _normalised(
    "ndmi",
    "Normalised difference moisture index, (nir - swir16) / (nir + swir16)",
    roles=("nir", "swir16"),
    source="Wilson & Sader 2002, Remote Sensing of Environment 80:385; Gao 1996, ibid. 58:257",
)
NBR = _normalised(
    "nbr",
    "Normalised burn ratio, (nir - swir22) / (nir + swir22)",
    roles=("nir", "swir22"),
    source="Key & Benson 2006, USDA RMRS-GTR-164",
)
EVI = register(
    IndexFormula(
        name="evi",
        title="Enhanced vegetation index, 2.5 (nir - red) / (nir + 6 red - 7.5 blue + 1)",
        numerator={"nir": 5, "red": -5},
        denominator={"nir": 2, "red": 12, "blue": -15},
        denominator_constant=2,
        source="Huete et al. 2002, Remote Sensing of Environment 83:195",
    )
)


def unavailable_because(
    formula: IndexFormula, card: SensorCard, *, scenes: Sequence[Scene]
) -> str | None:
    """Say why an index cannot be formed from these scenes; None where it can."""
    had = [{asset.role for asset in scene.assets} for scene in scenes]
    lacking = [role for role in formula.roles if not any(role in roles for roles in had)]
    if lacking:
        return f"{formula.name}: the scenes have no {', '.join(lacking)} band"
    if not card.scale_inferred:
        return None
    if formula.denominator_constant:
        return f"{formula.name}: it depends on the scale of {card.id}, which is inferred"
    if any(not _scale_cancels(formula, scene) for scene in scenes):
        return f"{formula.name}: the bands of {card.id} have different inferred scales or offsets"
    return None


def _scale_cancels(formula: IndexFormula, scene: Scene) -> bool:
    used = [asset for asset in scene.assets if asset.role in formula.roles]
    return len({Fraction(asset.scale) for asset in used}) <= 1 and all(
        Fraction(asset.offset) == 0 for asset in used
    )


@dataclass(frozen=True)
class Coefficients:
    """An index over digital numbers: integers, exact, roles in the order of the formula."""

    numerator: tuple[int, ...]
    numerator_constant: int
    denominator: tuple[int, ...]
    denominator_constant: int
    lowest_dn: tuple[int, ...]
    """Lowest DN with a reflectance above 0, per role."""


def exact_coefficients(
    formula: IndexFormula, scales: Mapping[str, tuple[Fraction, Fraction]]
) -> Coefficients:
    """Bring a formula over reflectances to integers over DN.

    Parameters
    ----------
    scales
        Role to (scale, offset), reflectance = scale x DN + offset, exact.

    Returns
    -------
    Coefficients without a common divisor. Sentinel-2 with -1000: nir - red over
    nir + red - 2000; Landsat (0.0000275, -0.2): times 11, 11 nir + 11 red - 160000.

    Raises
    ------
    BadInput
        Where the scales need integers beyond 2**53 (more digits than a measurement has).
    """
    top = [formula.numerator.get(role, 0) * scales[role][0] for role in formula.roles]
    top.append(_constant(formula.numerator, scales))
    bottom = [formula.denominator.get(role, 0) * scales[role][0] for role in formula.roles]
    bottom.append(_constant(formula.denominator, scales) + formula.denominator_constant)
    factor = math.lcm(*(number.denominator for number in [*top, *bottom]))
    whole = [int(number * factor) for number in [*top, *bottom]]
    divisor = math.gcd(*whole)
    whole = [number // divisor for number in whole]
    upper, lower = whole[: len(top)], whole[len(top) :]
    if NDVI_SCALE * sum(map(abs, upper)) * _MAX_DN >= _EXACT:
        raise BadInput(
            what=f"scale of {', '.join(formula.roles)}",
            problem=f"needs integers too large for an exact {formula.name}",
            fix="Write scale and offset with fewer digits.",
        )
    lowest = tuple(math.floor(-scales[role][1] / scales[role][0]) + 1 for role in formula.roles)
    return Coefficients(tuple(upper[:-1]), upper[-1], tuple(lower[:-1]), lower[-1], lowest)


def _constant(part: Mapping[str, int], scales: Mapping[str, tuple[Fraction, Fraction]]) -> Fraction:
    return sum((number * scales[role][1] for role, number in part.items()), Fraction(0))


def index_series(
    formula: IndexFormula,
    inputs: xr.Dataset,
    *,
    clear: xr.DataArray,
    scenes: Sequence[Scene],
    card: SensorCard,
) -> xr.DataArray:
    """Form an index of every date.

    Parameters
    ----------
    inputs
        int32 DN, dims (time, y, x), negative below any sensor's range where missing.
    clear
        bool, same dims and chunks.
    scenes
        In the order of `time`; each brings its own scale and offset.
    card
        Gives the valid range of DN.

    Returns
    -------
    int16, dims (time, y, x), lazy: 10,000 x the index, rounded half to even; -32768 where not
    clear, a band is missing, out of the valid range or not above 0 in reflectance, and where
    the denominator is not above 0 or the index lies outside [-1, 1].

    Source: the formula's own (`IndexFormula.source`).
    """
    coefficients = tuple(_scene_coefficients(formula, scene) for scene in scenes)
    data = over_blocks(
        index_block,
        clear.data,
        *(inputs[role].data for role in formula.roles),
        coefficients=coefficients,
        valid_dn=card.valid_dn,
        dtype=np.int16,
    )
    attrs = {"long_name": formula.title, "scale_factor_inverse": NDVI_SCALE}
    return xr.DataArray(data, dims=clear.dims, coords=clear.coords, name=formula.name, attrs=attrs)


def _scene_coefficients(formula: IndexFormula, scene: Scene) -> Coefficients | None:
    assets = {role: scene.asset(role) for role in formula.roles}
    scales = {
        role: (Fraction(asset.scale), Fraction(asset.offset))
        for role, asset in assets.items()
        if asset is not None
    }
    return exact_coefficients(formula, scales) if len(scales) == len(assets) else None


def index_block(
    clear: NDArray[np.bool_],
    *bands: NDArray[np.int32],
    coefficients: tuple[Coefficients | None, ...],
    valid_dn: tuple[int, int],
) -> NDArray[np.int16]:
    """Form an index of one block, date by date; see `index_series`."""
    result = np.full(clear.shape, NDVI_NODATA, dtype=np.int16)
    for number, exact in enumerate(coefficients):
        if exact is None:
            continue
        layers = [band[number] for band in bands]
        usable = clear[number].copy()
        for layer, lowest in zip(layers, exact.lowest_dn, strict=True):
            usable &= (layer >= max(lowest, valid_dn[0])) & (layer <= valid_dn[1])
        upper = _combine(layers, exact.numerator, constant=exact.numerator_constant) * NDVI_SCALE
        lower = _combine(layers, exact.denominator, constant=exact.denominator_constant)
        usable &= (lower > 0) & (np.abs(upper) <= NDVI_SCALE * lower)
        np.copyto(lower, 1, where=~usable)
        rounded = np.rint(upper / lower)
        np.copyto(result[number], rounded, where=usable, casting="unsafe")
    return result


def _combine(
    layers: Sequence[NDArray[np.int32]], factors: Sequence[int], *, constant: int
) -> NDArray[np.int64]:
    total = np.full(layers[0].shape, constant, dtype=np.int64)
    for layer, factor in zip(layers, factors, strict=True):
        if factor:
            total += layer.astype(np.int64) * factor
    return total


def find_not_positive(
    inputs: xr.Dataset, clear: xr.DataArray, *, scenes: Sequence[Scene], missing: int
) -> xr.DataArray:
    """Find the clear pixels whose red or nir reflectance is not above 0.

    Returns
    -------
    bool, dims as `clear`, lazy. Such pixels are masked from NDVI, never turned into 0.
    """
    limits = [_scene_coefficients(NDVI, scene) for scene in scenes]
    bad = xr.zeros_like(clear)
    for position, role in enumerate(NDVI.roles):
        lowest = xr.DataArray(
            [exact.lowest_dn[position] if exact else missing for exact in limits], dims="time"
        )
        layer = inputs[role]
        bad = bad | ((layer < lowest) & (layer != missing))
    return (bad & clear).rename("not_positive")
