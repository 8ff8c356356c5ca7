"""The estimate as one JSON document, `amanar.estimate/1`.

Imports the values of the rooms below; computes nothing but sums of what they say. Order: what a
document is made from, the document, its parts, the digest.
Schema: data/schemas/amanar.estimate-1.schema.json; a complete example: data/examples. NaN never
appears: what is unknown is null.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from geo.baseline import CONFORMITY
from geo.carbon import tco2e_per_agb
from geo.digest import json_digest
from geo.inference import ci90, scaled
from geo.scenes import offset_in_dn
from geo.units import CARBON_FRACTION, DAYS_PER_YEAR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geo.baseline import Baseline, Methodology
    from geo.biomass_map import BiomassMap
    from geo.carbon import RootShoot, Tier1
    from geo.disturbance import LossReport
    from geo.measure import Measurement
    from geo.planning import ScenePlan
    from geo.project import ProjectFile
    from geo.quality import KindDecision
    from geo.sequestration import Removals
    from geo.stocks import Sample, Stocks
    from geo.survey import Survey
    from geo.types import Boundary, Estimate, Finding, Period, Plot

ESTIMATE_SCHEMA = "amanar.estimate/1"

UNDIGESTED = ("digest", "provenance")
"""Parts that may differ between two runs of one estimate: where and by what it was made."""

COVERS = "sampling error of the plots, 90 % two-sided"
LEAVES_OUT = (
    "error of the plots' own biomass (allometry, tree measurement)",
    "error of the root-to-shoot ratio and of the carbon fraction",
    "error of the area",
    "pools other than living biomass",
    "uncertainty of the baseline",
)


@dataclass(frozen=True)
class Asked:
    """What was asked for: the plan, read back."""

    environment: str
    methodology: Methodology
    project: ProjectFile
    zone: str | None
    parameters: Mapping[str, Any]
    boundary: Boundary
    period: Period
    crediting: Period
    plots: Sequence[Plot]
    donor_pool: str | None
    imagery: ScenePlan
    series_in_bundle: bool


@dataclass(frozen=True)
class Findings:
    """Everything that one estimate found out; the document says it."""

    asked: Asked
    measurement: Measurement
    survey: Survey
    loss: LossReport
    sample: Sample
    stocks: Stocks
    biomass_map: BiomassMap | None
    tier1: Tier1 | None
    baseline: Baseline
    removals: Removals
    kind: KindDecision
    refused: Sequence[Mapping[str, Any]]
    quality: Sequence[Finding]


def document(found: Findings) -> dict[str, Any]:
    """Say everything that was found, without provenance and digest.

    Returns
    -------
    JSON values only: tonnes unrounded, days YYYY-MM-DD, shares and indices in unit 1.
    """
    stock = found.stocks.change
    return {
        "schema": ESTIMATE_SCHEMA,
        "kind": found.kind.kind,
        "environment": found.asked.environment,
        "method": _method(found),
        "methodology": {
            "id": found.asked.methodology.id,
            "conformity": CONFORMITY,
            "unconfirmed": list(found.asked.methodology.unconfirmed),
            "applicability": _applicability(found.asked.project),
        },
        "parameters": dict(found.asked.parameters),
        "boundary": _boundary(found.asked.boundary),
        "period": {
            "start": found.asked.period.start.isoformat(),
            "end": found.asked.period.end.isoformat(),
            "t0": found.asked.crediting.start.isoformat(),
        },
        "seasons": _seasons(found),
        "measured_from": _day(stock.measured_from if stock.change else None),
        "measured_to": _day(stock.measured_to if stock.change else None),
        "plots": _plots(found),
        "agb_t_per_ha": {
            "start": interval(stock.start),
            "end": interval(stock.end),
            "change": interval(stock.change),
        },
        "agb_change_t": interval(
            None
            if stock.change is None
            else scaled(stock.change, found.asked.boundary.area_ha, unit="t")
        ),
        "carbon": _carbon(found.stocks.ratios),
        "biomass_map": _biomass_map(found.biomass_map),
        "tier1": _tier1(found),
        "baseline": {
            "method": found.baseline.method,
            "agb_change_t": found.baseline.agb_change_t,
            "note": found.baseline.note,
            "donor_pool": found.baseline.donor_pool,
        },
        "removals_tco2e": _removals(found.removals),
        "uncertainty": _uncertainty(found),
        "ndvi": _means(found.survey, "ndvi"),
        "indices": _indices(found),
        "disturbance": _disturbance(found.loss),
        "observations": _observations(found),
        "quality": [asdict(finding) for finding in found.quality],
    }


def interval(estimate: Estimate | None) -> dict[str, Any] | None:
    """Give an estimate as {mean, se, df, ci90}; null where it is unknown."""
    if estimate is None:
        return None
    low, high = ci90(estimate)
    return {
        "mean": estimate.mean,
        "se": estimate.se,
        "df": estimate.df if math.isfinite(estimate.df) else None,
        "ci90": [low, high],
    }


def estimate_digest(
    said: Mapping[str, Any], *, rasters: Mapping[str, str], inputs: Mapping[str, str]
) -> dict[str, Any]:
    """Digest an estimate: its document, its rasters and the pixels it was made from.

    Parameters
    ----------
    said
        The document; its provenance and digest do not enter.
    rasters, inputs
        Digest of the decoded pixels of each raster, by name.

    Returns
    -------
    `digest` and the `parts` that it is made of.
    """
    parts = {
        "estimate": json_digest({k: v for k, v in said.items() if k not in UNDIGESTED}),
        "rasters": dict(sorted(rasters.items())),
        "inputs": json_digest(dict(inputs)),
    }
    return {"digest": f"sha256:{json_digest(parts)}", "parts": parts}


def _method(found: Findings) -> str:
    """Name how the number came about."""
    if found.stocks.change.change is None:
        return "imagery-only"
    estimator = found.asked.project.estimator or "mean"
    return f"{found.stocks.change.design}-plots-{estimator}"


def _applicability(project: ProjectFile) -> str | dict[str, Any]:
    if project.applicability is None:
        return "not assessed"
    return project.applicability.model_dump(mode="json")


def _boundary(boundary: Boundary) -> dict[str, Any]:
    return {
        "name": boundary.name,
        "area_ha": boundary.area_ha,
        "bbox": list(boundary.geometry.bounds),
        "parts": len(boundary.geometry.geoms),
        "repairs": list(boundary.repairs),
    }


def _seasons(found: Findings) -> list[dict[str, Any]]:
    survey = found.survey
    return [
        {
            "year": season.year,
            "start": season.start.isoformat(),
            "end": season.end.isoformat(),
            "scenes": sum(
                season.start <= scene.observed_on <= season.end
                for scene in found.measurement.scenes
            ),
            "compared": season in (survey.seasons[0], survey.seasons[-1]),
        }
        for season in survey.seasons
    ]


def _plots(found: Findings) -> dict[str, Any]:
    stock = found.stocks.change
    return {
        "given": found.sample.given,
        "outside": len(found.sample.outside),
        "not_used": len(found.sample.ends.not_used),
        "start": len(stock.ends.start),
        "end": len(stock.ends.end),
        "design": stock.design,
        "relative_efficiency": found.stocks.relative_efficiency,
    }


def _carbon(ratios: Mapping[str, RootShoot]) -> dict[str, Any]:
    """Say the ratio; with strata that differ, null above and one entry a stratum."""
    values = {ratio.value for ratio in ratios.values()}
    one = next(iter(ratios.values())) if len(values) == 1 else None
    strata = [
        {
            "id": name,
            "root_shoot": ratio.value,
            "zone": ratio.zone,
            "source": ratio.source,
            "fallback": ratio.fallback,
        }
        for name, ratio in ratios.items()
        if name
    ]
    return {
        "root_shoot": one.value if one else None,
        "carbon_fraction": CARBON_FRACTION,
        "zone": one.zone if one else None,
        "source": one.source if one else "one ratio a stratum",
        "fallback": any(ratio.fallback for ratio in ratios.values()),
        "tco2e_per_t_agb": tco2e_per_agb(one.value) if one else None,
        "strata": strata or None,
    }


def _biomass_map(made: BiomassMap | None) -> dict[str, Any] | None:
    if made is None:
        return None
    means = made.means()
    return {
        "card": made.card.model_dump(mode="json"),
        "fitted_on_these_plots": bool(made.without),
        "agb_t_per_ha": None if means is None else {"start": means[0], "end": means[1]},
        "pixels": {
            end: asdict(counts) for end, counts in zip(("start", "end"), made.counts, strict=True)
        },
    }


def _tier1(found: Findings) -> dict[str, Any] | None:
    """Growth x hectares x years of the zone's defaults: information, never credited."""
    if found.tier1 is None:
        return None
    low, high = found.tier1.growth_t_per_ha_yr
    crediting = found.asked.crediting
    years = ((crediting.end - crediting.start).days + 1) / DAYS_PER_YEAR
    factor = found.asked.boundary.area_ha * years
    return {
        "growth_t_per_ha_yr": [low, high],
        "years": years,
        "agb_change_t": [low * factor, high * factor],
        "source": found.tier1.source,
        "note": "Range over the age classes of the zone. For information, never credited.",
    }


def _removals(removals: Removals) -> dict[str, Any]:
    return {
        "gross": removals.gross,
        "baseline": removals.baseline,
        "uncertainty_deduction": removals.uncertainty_deduction,
        "project_emissions": removals.project_emissions,
        "leakage": removals.leakage,
        "net": removals.net,
        "previous": removals.previous,
        "buffer_base": removals.buffer_base,
        "buffer": removals.buffer,
        "creditable": removals.creditable,
    }


def _uncertainty(found: Findings) -> dict[str, Any]:
    return {
        "relative_half_width": found.removals.relative_half_width,
        "deduction_share": found.removals.deduction_share,
        "rule": found.asked.methodology.deduction,
        "covers": COVERS,
        "leaves_out": list(LEAVES_OUT),
    }


def _means(survey: Survey, name: str) -> dict[str, Any]:
    means = survey.means.get(name)
    if means is None:
        return {"start": None, "end": None, "change": None}
    return {"start": means.start, "end": means.end, "change": means.change}


def _indices(found: Findings) -> dict[str, Any]:
    """Means of the other indices, null where an index could not be formed, with the reasons."""
    names = sorted({*found.survey.means, "evi", "ndmi", "nbr"} - {"ndvi"})
    formed = {
        name: _means(found.survey, name) if name in found.survey.means else None for name in names
    }
    return {**formed, "unavailable": list(found.measurement.unavailable)}


def _disturbance(loss: LossReport) -> dict[str, Any]:
    return {
        "method": "seasonal NDVI against the highest earlier season",
        "lost_ha": loss.lost_ha,
        "share": loss.share,
        "unseen_share": loss.unseen_share,
        "refuses": loss.refuses,
        "seasons": [asdict(season) for season in loss.seasons],
        "sentence": loss.sentence(),
    }


def _observations(found: Findings) -> dict[str, Any]:
    looks = found.survey.looks
    rows = {row.item_id: row for row in found.survey.rows}
    used = []
    for scene in found.measurement.scenes:
        red = scene.asset("red")
        row = rows.get(scene.item_id)
        used.append(
            {
                "item_id": scene.item_id,
                "date": scene.observed_on.isoformat(),
                "platform": scene.platform,
                "baseline": scene.baseline,
                "offset_dn": float(offset_in_dn(red)) if red else None,
                "clear_share": row.clear_share if row else None,
            }
        )
    return {
        "scenes_used": used,
        "scenes_refused": [dict(entry) for entry in found.refused],
        "clear_looks": {
            "min": looks.minimum if looks else None,
            "median": looks.median if looks else None,
            "known": looks is not None,
        },
        "missing_share": {"start": found.survey.missing[0], "end": found.survey.missing[1]},
        "not_positive_masked": found.survey.not_positive,
    }


def _day(day: object) -> str | None:
    return None if day is None else str(day)
