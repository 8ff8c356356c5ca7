"""The plan of an estimate: from a request to JSON values, and back to values of ours.

Imports aoi, plots, project, planning, stocks and the values below. Order: making a plan, reading
one back, what decides the number, checks.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shapely
from shapely.geometry import mapping, shape

from geo.aoi import read_boundary
from geo.baseline import methodology
from geo.carbon import norm_zone
from geo.digest import json_digest
from geo.document import Asked
from geo.errors import BadInput
from geo.grid import grid_to_json
from geo.planning import ScenePlan, plan_scenes
from geo.plots import read_plots
from geo.project import ProjectFile, read_project
from geo.request import EstimateRequest, check_request
from geo.stac import place_of
from geo.stocks import choose_ratio, refuse_estimator, refuse_without_card, sort_plots
from geo.types import Boundary, Period

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PLAN_SCHEMA = "amanar.plan/1"


def make_plan(request: EstimateRequest, *, progress: Callable[[str], None]) -> dict[str, Any]:
    """Make the plan of an estimate; see `geo.estimate.plan_estimate`."""
    check_request(request)
    methodology(request.methodology)
    project = read_project(request.project)
    refuse_estimator(project)
    zone = _one_zone(request.zone, project.zone)
    period = request.period
    crediting = _crediting(project, period)
    boundary = read_boundary(request.boundary)
    progress(f"area {boundary.name}: {boundary.area_ha:,.2f} ha")
    plots = _plots_text(request)
    if plots is not None:
        sample = sort_plots(
            read_plots(plots[1].encode("utf-8")),
            boundary=boundary,
            project_file=project,
            period=crediting,
        )
        refuse_without_card(sample, project)
        progress(f"plots: {len(sample.ends.start)} at the start, {len(sample.ends.end)} at the end")
    _check_ratios(project, zone)
    imagery = plan_scenes(
        request.catalog,
        request.collection,
        boundary=boundary,
        period=crediting,
        sensor=request.sensor,
        season=request.season,
        progress=progress,
    )
    progress(f"{len(imagery.scenes)} scenes used, {len(imagery.refused)} refused")
    return {
        "schema": PLAN_SCHEMA,
        "environment": request.environment,
        "methodology": request.methodology,
        "start": period.start.isoformat(),
        "end": period.end.isoformat(),
        "t0": crediting.start.isoformat(),
        "zone": zone,
        "seed": request.seed,
        "command": request.command,
        "boundary": _boundary_to_json(boundary),
        "project": project.document(),
        "plots": None if plots is None else {"file": plots[0], "csv": plots[1]},
        "donor_pool": _donor_pool(request),
        "imagery": imagery.to_json(),
    }


def read_plan(plan: Mapping[str, Any], inputs_dir: Path) -> Asked:
    """Read a plan as values; the plots come from the archive."""
    project = read_project(plan["project"])
    period = Period(date.fromisoformat(plan["start"]), date.fromisoformat(plan["end"]))
    plots = () if plan["plots"] is None else read_plots(inputs_dir / "plots.csv")
    imagery = ScenePlan.from_json(plan["imagery"])
    return Asked(
        environment=plan["environment"],
        methodology=methodology(plan["methodology"]),
        project=project,
        zone=plan["zone"],
        parameters=_parameters(plan, imagery),
        boundary=_boundary_from_json(plan["boundary"]),
        period=period,
        crediting=_crediting(project, period),
        plots=plots,
        donor_pool=None if plan["donor_pool"] is None else plan["donor_pool"]["file"],
        imagery=imagery,
        series_in_bundle=True,
    )


def _parameters(plan: Mapping[str, Any], imagery: ScenePlan) -> dict[str, Any]:
    """Give what was asked for, as the digest covers it; files by their SHA-256."""
    plots, pool = plan["plots"], plan["donor_pool"]
    return {
        "start": plan["start"],
        "end": plan["end"],
        "collection": imagery.collection,
        "sensor": imagery.card.id,
        "season": imagery.season,
        "zone": plan["zone"],
        "seed": plan["seed"],
        "grid": grid_to_json(imagery.grid),
        "boundary_sha256": json_digest(plan["boundary"]["geometry"]),
        "plots_sha256": None if plots is None else _text_sha256(plots["csv"]),
        "donor_pool_sha256": None if pool is None else pool["sha256"],
        "project": plan["project"],
    }


def plan_essence(plan: Mapping[str, Any]) -> str:
    """Digest what was asked of which catalog, however the command was written.

    For telling folders apart. The catalog counts as the place that it is; the digest of a result
    knows nothing of places.
    """
    kept = {key: value for key, value in plan.items() if key != "command"}
    kept["imagery"] = {**plan["imagery"], "catalog": place_of(plan["imagery"]["catalog"])}
    return json_digest(kept)


def _one_zone(asked: str | None, stated: str | None) -> str | None:
    """Take the one zone there is; two that differ are the user's to settle."""
    zones = {norm_zone(zone) for zone in (asked, stated) if zone is not None}
    if len(zones) > 1:
        raise BadInput(
            what="--zone",
            problem=f"{asked!r} is not the project file's {stated!r}",
            fix="Give one of them.",
        )
    return next(iter(zones), None)


def _crediting(project: ProjectFile, period: Period) -> Period:
    """From t0 (else the start of the period) to the end of the period."""
    t0 = project.t0 or period.start
    if t0 > period.start:
        raise BadInput(
            what="t0",
            problem=f"{t0} is after the start of the period, {period.start}",
            fix="A period lies in the crediting period that t0 begins: correct one of them.",
        )
    return Period(t0, period.end)


def _check_ratios(project: ProjectFile, zone: str | None) -> None:
    """Refuse an unknown zone or an impossible ratio before any pixel is read."""
    for stratum in (None, *(project.strata or ())):
        choose_ratio(project, stratum, zone=zone)


def _plots_text(request: EstimateRequest) -> tuple[str, str] | None:
    """Give the name and the checked text of the plots file."""
    if request.plots is None:
        return None
    if isinstance(request.plots, bytes):
        content, name = request.plots, "plots.csv"
        read_plots(content)
    else:
        read_plots(request.plots)
        content, name = Path(request.plots).read_bytes(), Path(request.plots).name
    return name, content.decode("utf-8")


def _donor_pool(request: EstimateRequest) -> dict[str, str] | None:
    if request.donor_pool is None:
        return None
    path = Path(request.donor_pool)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(
            what=f"--donor-pool {path}",
            problem=f"cannot be read ({error.strerror})",
            fix="Give the path of one polygon layer.",
        ) from error
    return {"file": path.name, "sha256": hashlib.sha256(content).hexdigest()}


def _boundary_to_json(boundary: Boundary) -> dict[str, Any]:
    return {
        "name": boundary.name,
        "area_ha": boundary.area_ha,
        "repairs": list(boundary.repairs),
        "geometry": json.loads(json.dumps(mapping(boundary.geometry))),
    }


def _boundary_from_json(said: Mapping[str, Any]) -> Boundary:
    parts = shapely.get_parts(shape(said["geometry"]))
    geometry = shapely.MultiPolygon([part for part in parts if isinstance(part, shapely.Polygon)])
    return Boundary(said["name"], geometry, said["area_ha"], tuple(said["repairs"]))


def _text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
