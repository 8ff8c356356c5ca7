"""From biomass to carbon dioxide: root-to-shoot, pools, Tier-1 growth, combined errors.

May import types, units and errors. Order: root-to-shoot, Tier-1, conversion, pools (IPCC 2006
Guidelines vol. 4 ch. 2 as refined in 2019; forms standard, equation numbers from memory),
error propagation. Tables are data (data/reference), each row with its source and flags.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geo.errors import BadInput
from geo.types import Estimate
from geo.units import CARBON_FRACTION, CO2_PER_C, ROOT_SHOOT_FALLBACK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REFERENCE_DIR = Path(__file__).resolve().parent.parent / "data" / "reference"

ROOT_SHOOT_RANGE = (0.10, 1.0)
"""A stated ratio outside needs a written justification (data/reference 9, rule 6)."""

BLOCKED_FLAGS = frozenset({"gap-filled", "implausible"})
"""Table cells with one of these are never used; the project must state a ratio instead."""

GWP_CH4 = 28.0
GWP_N2O = 265.0
"""100 years, AR5, as VCS Standard v5.0, 3.14.4, Table 9 pins them."""

FIRE_CH4_G_PER_KG = 6.8
FIRE_N2O_G_PER_KG = 0.20
"""Tropical forest, IPCC 2006 vol. 4 ch. 2, Table 2.5."""


_CONTINENTS = {
    "america": "americas",
    "north-america": "americas",
    "south-america": "americas",
    "australia": "oceania",
}


@dataclass(frozen=True)
class RootShoot:
    """Below-ground over above-ground biomass, one for a stratum and its whole crediting period."""

    value: float
    source: str
    zone: str | None = None
    fallback: bool = False
    """True where neither the project nor a zone names a ratio."""
    flags: tuple[str, ...] = ()
    """Doubts that the table records about the cells used."""


@dataclass(frozen=True)
class Tier1:
    """A default growth for a zone; information only, never credited."""

    growth_t_per_ha_yr: tuple[float, float]
    """Lowest and highest over the age classes of the zone, t of dry matter above ground."""
    source: str


def root_shoot(
    *,
    stated: float | None = None,
    stated_source: str | None = None,
    justification: str | None = None,
    zone: str | None = None,
    stocks_t_per_ha: Sequence[float] = (),
) -> RootShoot:
    """Choose the root-to-shoot ratio: stated by the project, else by zone, else the fallback.

    Parameters
    ----------
    stated, stated_source, justification
        A ratio of the project file, t/t, where it is from, and why it may leave 0.10 to 1.0.
    zone
        `zone/continent/origin[/type]`, a row of data/reference/root_shoot.json.
    stocks_t_per_ha
        Above-ground biomass at both ends. Of the biomass classes they touch the smaller ratio
        is taken, the same at both ends (else the step between classes turns growth into loss);
        with no stocks known the smaller ratio of the whole row.

    Raises
    ------
    BadInput
        An unknown zone (with the candidates), a blocked cell, a stated ratio out of range.
    """
    if stated is not None:
        low, high = ROOT_SHOOT_RANGE
        if not low <= stated <= high and not justification:
            raise BadInput(
                what="root_shoot",
                problem=f"{stated:g} is outside {low:g} to {high:g}",
                fix='Correct it, or state {"value", "source", "justification"}.',
            )
        if zone is not None and tier1(zone) is None:
            _zone_row(zone, fix="leave it out: root_shoot is stated")
        source = stated_source or "stated in the project file without a source"
        return RootShoot(stated, source, zone)
    if zone is None:
        source = "Mokany et al. 2006, Global Change Biology 12:84, slope of Fig. 3; fallback"
        return RootShoot(ROOT_SHOOT_FALLBACK, source, fallback=True)
    return _zone_root_shoot(zone, stocks_t_per_ha)


def tier1(zone: str | None) -> Tier1 | None:
    """Look up the default growth of a zone; None where the table has no such row.

    Source: IPCC 2019 Refinement, vol. 4 ch. 4, Table 4.9 (data/reference/growth.json).
    """
    if zone is None:
        return None
    name, continent, origin = (*norm_zone(zone).split("/"), "", "")[:3]
    table = _table("growth.json")
    for row in table["rows"]:
        same_land = row["zone"] == name and row["continent"] in {continent, "any"}
        if same_land and row["origin"] == origin:
            ranges = [
                row[age]["growth_t_per_ha_yr"]
                for age in ("primary", "over_20_years", "to_20_years")
            ]
            low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
            return Tier1((low, high), table["source"])
    return None


def norm_zone(zone: str) -> str:
    """Bring a zone to its one spelling: lower case, hyphens, slashes, one name a continent."""
    parts = ["-".join(part.lower().replace("_", " ").split()) for part in zone.split("/")]
    return "/".join(_CONTINENTS.get(part, part) for part in parts)


def tco2e_per_agb(root_shoot_ratio: float) -> float:
    """Carbon dioxide in one t of above-ground dry matter with its roots, tCO2e/t.

    (1 + R) x 0.47 x 44/12; the order of data/reference 9, rule 1.
    """
    return (1 + root_shoot_ratio) * CARBON_FRACTION * CO2_PER_C


def stock_tc(area_ha: float, agb_t_per_ha: float, *, root_shoot_ratio: float) -> float:
    """Carbon in living biomass, C = A x AGB x (1 + R) x CF, tC (eq. 2.8)."""
    return area_ha * agb_t_per_ha * (1 + root_shoot_ratio) * CARBON_FRACTION


def stock_difference_tc_per_yr(start_tc: float, end_tc: float, *, years: float) -> float:
    """Stock-difference method, (C_t2 - C_t1) / (t2 - t1), tC/yr (eq. 2.5)."""
    return (end_tc - start_tc) / years


def change_tco2e(change_agb_t: Estimate, root_shoot_ratio: float) -> Estimate:
    """Change of above-ground biomass (t) as change of carbon dioxide, tCO2e; > 0 is removal.

    The ratio and the carbon fraction carry no error of their own: sampling error only.
    """
    factor = tco2e_per_agb(root_shoot_ratio)
    return Estimate(change_agb_t.mean * factor, change_agb_t.se * factor, change_agb_t.df, "tCO2e")


def gain_tc_per_yr(area_ha: float, growth_t_per_ha_yr: float, *, root_shoot_ratio: float) -> float:
    """Annual gain of biomass carbon, A x G_W x (1 + R) x CF, tC/yr (eq. 2.9, 2.10)."""
    return area_ha * growth_t_per_ha_yr * (1 + root_shoot_ratio) * CARBON_FRACTION


def wood_removal_tc(
    removed_m3: float, expansion_t_per_m3: float, *, root_shoot_ratio: float
) -> float:
    """Carbon in wood taken out, H x BCEF_R x (1 + R) x CF, tC (eq. 2.12)."""
    return removed_m3 * expansion_t_per_m3 * (1 + root_shoot_ratio) * CARBON_FRACTION


def disturbance_loss_tc(
    area_ha: float, agb_t_per_ha: float, *, root_shoot_ratio: float, fraction_lost: float
) -> float:
    """Carbon lost on disturbed land, A x B_W x (1 + R) x CF x fd, tC (eq. 2.14); fd unit 1."""
    return stock_tc(area_ha, agb_t_per_ha, root_shoot_ratio=root_shoot_ratio) * fraction_lost


def conversion_tc(area_ha: float, *, before_t_per_ha: float, after_t_per_ha: float) -> float:
    """Carbon change at conversion of land, (B_after - B_before) x A x CF, tC (eq. 2.16)."""
    return (after_t_per_ha - before_t_per_ha) * area_ha * CARBON_FRACTION


def dead_matter_tc_per_yr(
    area_ha: float, *, before_tc_per_ha: float, after_tc_per_ha: float, years: float = 20.0
) -> float:
    """Litter or dead wood, linear over the transition, tC/yr (eq. 2.23; default 20 years)."""
    return (after_tc_per_ha - before_tc_per_ha) * area_ha / years


def soil_tc_per_yr(
    area_ha: float, reference_tc_per_ha: float, *, before: float, after: float, years: float = 20.0
) -> float:
    """Mineral soil 0-30 cm, SOC_REF x (F_after - F_before) x A / D, tC/yr (eq. 2.25).

    `before` and `after` are products of the land-use, management and input factors, unit 1.
    """
    return reference_tc_per_ha * (after - before) * area_ha / years


def fire_tco2e(area_ha: float, fuel_t_per_ha: float, *, combustion: float) -> tuple[float, float]:
    """Methane and nitrous oxide of a forest fire, A x M_B x C_f x G_ef x 1e-3, tCO2e (eq. 2.27).

    Carbon dioxide is counted as loss of stock, not here.
    """
    burnt = area_ha * fuel_t_per_ha * combustion * 1e-3
    return burnt * FIRE_CH4_G_PER_KG * GWP_CH4, burnt * FIRE_N2O_G_PER_KG * GWP_N2O


def product_error(*relative_half_widths: float) -> float:
    """Relative half-width of a product of independent factors (IPCC vol. 1 ch. 3 eq. 3.1)."""
    return math.hypot(*relative_half_widths)


def sum_error(terms: Sequence[tuple[float, float]]) -> float:
    """Relative half-width of a sum of independent (U_i, x_i) (IPCC vol. 1 ch. 3 eq. 3.2)."""
    total = math.fsum(value for _, value in terms)
    return math.hypot(*(error * value for error, value in terms)) / abs(total)


def one_plus_error(relative_half_width: float, ratio: float) -> float:
    """Relative half-width of (1 + R) from that of R."""
    return relative_half_width * ratio / (1 + ratio)


def _zone_root_shoot(zone: str, stocks_t_per_ha: Sequence[float]) -> RootShoot:
    row = _zone_row(zone, fix="state root_shoot with its source")
    cells = _touched(row["classes"], stocks_t_per_ha)
    blocked = [cell for cell in cells if BLOCKED_FLAGS & set(cell["flags"])]
    if blocked or not cells:
        told = ", ".join(f"{cell['value']:g} is {cell['flags'][0]}" for cell in blocked)
        raise BadInput(
            what="--zone",
            problem=f"{zone!r} may not be used here ({told or 'no value for this biomass'})",
            fix="State root_shoot in the project file with its source.",
        )
    flags = sorted({flag for cell in cells for flag in cell["flags"]})
    value = min(min(cell["value"], cell.get("other_copy", cell["value"])) for cell in cells)
    source = f"{_table('root_shoot.json')['source']}, row {_key(row)}"
    return RootShoot(value, source, norm_zone(zone), flags=tuple(flags))


def _zone_row(zone: str, *, fix: str) -> Any:
    """Find the row of a zone, or refuse it with the rows of its land."""
    rows, wanted = _table("root_shoot.json")["rows"], norm_zone(zone)
    row = next((row for row in rows if _is_row(row, wanted)), None)
    if row is None:
        keys = [_key(row) for row in rows]
        near = [key for key in keys if key.split("/")[0] == wanted.split("/")[0]] or keys
        raise BadInput(
            what="--zone",
            problem=f"{zone!r} has no row in Table 4.4",
            fix=f"Take one of {', '.join(near)}, or {fix}.",
        )
    return row


def _touched(cells: Sequence[Mapping[str, Any]], stocks: Sequence[float]) -> list[Any]:
    """Keep the biomass classes that the stocks lie in; without stocks the usable ones."""
    if not stocks:
        return [cell for cell in cells if not BLOCKED_FLAGS & set(cell["flags"])]

    def holds(cell: Mapping[str, Any], stock: float) -> bool:
        low, high = cell["agb_above"], cell["agb_to"]
        return (stock > low or (stock == low == 0)) and (high is None or stock <= high)

    for stock in stocks:
        if not any(holds(cell, stock) for cell in cells):
            return []
    return [cell for cell in cells if any(holds(cell, stock) for stock in stocks)]


def _is_row(row: Mapping[str, Any], wanted: str) -> bool:
    parts = wanted.split("/")
    known = [row["zone"], row["continent"], row["origin"], *([row["type"]] if row["type"] else [])]
    same = zip(parts, known, strict=False)
    return len(parts) == len(known) and all(have in {want, "any"} for want, have in same)


def _key(row: Mapping[str, Any]) -> str:
    parts = (row["zone"], row["continent"], row["origin"], row["type"])
    return "/".join(part for part in parts if part)


@functools.cache
def _table(name: str) -> Any:
    return json.loads((REFERENCE_DIR / name).read_text(encoding="utf-8"))
