"""Draw the illustrative plots of the sample projects; run once, its output is committed.

    python data/samples/draw_plots.py

Nobody measured these plots. Their stock and growth are published defaults (IPCC 2019 Refinement,
vol. 4 ch. 4, Tables 4.7 and 4.9, as in data/reference/growth.json); the two spreads and the number
of plots are our choice, made before any result was computed, and nothing is tuned to a result.
The recipe knows nothing of what happened on the land: for RO-HARVEST and PE-CONVERTED it writes
down what a hopeful developer might claim, so that the pixels can say no.
"""

# ruff: noqa: INP001 - a script beside its data, not a package
from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from pyproj import Transformer

HERE = Path(__file__).resolve().parent
GROWTH_TABLE = HERE.parent / "reference" / "growth.json"

PLOTS = 12
STOCK_VARIATION = 0.25
"""Standard deviation over mean of the plots' first stock: our choice."""
GROWTH_VARIATION = 0.30
"""The same of their yearly growth: our choice."""
HEADER = "plot_id,lon,lat,date,area_ha,agb_t_per_ha,note"
NOTE = "illustrative: drawn by data/samples/draw_plots.py"


@dataclass(frozen=True)
class Recipe:
    """How the plots of one area are drawn."""

    code: str
    zone: str
    age: str
    plot_area_ha: float
    visits: tuple[tuple[str, int], ...]
    """Day of the visit and growing seasons since the first visit."""
    metric_crs: str
    seed: int


RECIPES = (
    Recipe(
        code="RO-STABLE",
        zone="temperate-mountain/europe",
        age="over_20_years",
        plot_area_ha=0.05,
        visits=(("2016-03-15", 0), ("2018-11-20", 3), ("2020-11-20", 5)),
        metric_crs="EPSG:32634",
        seed=20160101,
    ),
    Recipe(
        code="RO-HARVEST",
        zone="temperate-mountain/europe",
        age="over_20_years",
        plot_area_ha=0.05,
        visits=(("2016-03-15", 0), ("2020-11-20", 5)),
        metric_crs="EPSG:32634",
        seed=20160102,
    ),
    Recipe(
        code="PE-CONVERTED",
        zone="tropical-rainforest/americas",
        age="primary",
        plot_area_ha=0.25,
        visits=(("2010-07-01", 0), ("2020-07-01", 10)),
        metric_crs="EPSG:32718",
        seed=20100101,
    ),
)


def main() -> None:
    """Write `projects/<code>-plots.csv` for every recipe."""
    for recipe in RECIPES:
        path = HERE / "projects" / f"{recipe.code}-plots.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(HEADER.split(","))
            writer.writerows(rows(recipe))


def rows(recipe: Recipe) -> list[list[str]]:
    """Draw one area: plots at random inside it, each visited on the same days."""
    dice = np.random.default_rng(recipe.seed)
    stock_mean, growth_mean = published(recipe)
    places = positions(recipe, dice)
    stock = np.clip(dice.normal(stock_mean, STOCK_VARIATION * stock_mean, PLOTS), 1, None)
    growth = np.clip(dice.normal(growth_mean, GROWTH_VARIATION * growth_mean, PLOTS), 0, None)
    return [
        [
            f"{recipe.code}-{number + 1:02d}",
            f"{places[number][0]:.6f}",
            f"{places[number][1]:.6f}",
            day,
            f"{recipe.plot_area_ha:g}",
            f"{stock[number] + seasons * growth[number]:.1f}",
            NOTE,
        ]
        for number in range(PLOTS)
        for day, seasons in recipe.visits
    ]


def published(recipe: Recipe) -> tuple[float, float]:
    """Look up stock (t/ha) and growth (t/ha/yr) of the zone and age class."""
    table = json.loads(GROWTH_TABLE.read_text(encoding="utf-8"))
    name, continent = recipe.zone.split("/")
    row = next(r for r in table["rows"] if (r["zone"], r["continent"]) == (name, continent))
    cell = row[recipe.age]
    return cell["agb_t_per_ha"][0], cell["growth_t_per_ha_yr"][0]


def positions(recipe: Recipe, dice: np.random.Generator) -> list[tuple[float, float]]:
    """Draw plot centres uniformly where the whole round plot lies inside the area."""
    text = (HERE / "projects" / f"{recipe.code}.geojson").read_text(encoding="utf-8")
    area = shapely.geometry.shape(json.loads(text)["features"][0]["geometry"])
    there = Transformer.from_crs("EPSG:4326", recipe.metric_crs, always_xy=True)
    radius_m = (recipe.plot_area_ha * 10_000 / np.pi) ** 0.5
    metric = shapely.transform(area, lambda xy: np.column_stack(there.transform(*xy.T)))
    inner = metric.buffer(-radius_m)
    west, south, east, north = inner.bounds
    found: list[tuple[float, float]] = []
    while len(found) < PLOTS:
        x, y = dice.uniform(west, east), dice.uniform(south, north)
        if inner.contains(shapely.Point(x, y)):
            found.append(there.transform(x, y, direction="INVERSE"))
    return found


if __name__ == "__main__":
    main()
