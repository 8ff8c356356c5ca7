"""One estimate, three stages: plan it, archive its pixels, finish it from the archive.

    plan = plan_estimate(EstimateRequest(...))            # JSON, no pixels but the witnesses'
    archive_inputs(plan, folder, progress=print)          # inputs/: source blocks, original DN
    document = finish_estimate(plan, folder, progress=print)   # rasters, pictures, estimate.json

`run_estimate(request, folder, progress=print)` is the three in a row. Each stage is a plain
function on a folder and can be repeated: what is complete is kept, a bundle that stopped half-way
is taken up again. `progress` gets one sentence at a time. `chunk` (pixels) never changes a
result. Command line, flows and replay all come through here.

Imports every room of geo below it. Order: the stages, what a plan holds, the findings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geo.document import document, estimate_digest
from geo.errors import BadInput
from geo.estimate_plan import make_plan, plan_essence, read_plan
from geo.evidence import (
    ESTIMATE,
    INPUTS,
    ITEM,
    MANIFEST,
    PLAN,
    TIMESERIES,
    manifest_of,
    series_fits,
    timeseries_csv,
    versions,
    write_item,
    write_json,
    write_pictures,
    write_rasters,
    write_whole,
    written_files,
)
from geo.load import archive, read_index
from geo.measure import input_roles, measure
from geo.planning import ScenePlan
from geo.reckoning import reckon
from geo.request import EstimateRequest as EstimateRequest  # noqa: TC001, PLC0414 (given on)
from geo.survey import take_survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from geo.disturbance import LossReport
    from geo.survey import Survey
    from geo.types import Boundary, Period


def plan_estimate(
    request: EstimateRequest, *, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Plan an estimate: everything that decides the number, as JSON values.

    Parameters
    ----------
    request
        Every option of the command line.

    Returns
    -------
    The plan (schema `amanar.plan/1`): boundary, project file, plots, scenes used and refused,
    grid, seasons, parameters. It can be stored, sent and read back.

    Raises
    ------
    BadInput
        Whatever the user can mend: one sentence that names the value and the fix.
    """
    return make_plan(request, progress=progress)


def archive_inputs(
    plan: Mapping[str, Any], out_dir: Path | str, *, progress: Callable[[str], None]
) -> None:
    """Write the plan and the source pixels of its scenes under `inputs/`.

    Complete files of an earlier run are kept. Nothing is fetched twice.

    Raises
    ------
    BadInput
        When the folder holds another estimate.
    SourceUnavailable
        When a server did not answer: run again, it goes on where it stopped.
    """
    folder = Path(out_dir)
    _claim(folder, plan)
    imagery = ScenePlan.from_json(plan["imagery"])
    inputs = folder / INPUTS
    archive(
        imagery.scenes,
        inputs,
        folder=imagery.folder,
        grid=imagery.grid,
        roles=input_roles(),
        progress=progress,
    )
    feature = {
        "type": "Feature",
        "properties": {"name": plan["boundary"]["name"]},
        "geometry": plan["boundary"]["geometry"],
    }
    write_json(inputs / "boundary.geojson", {"type": "FeatureCollection", "features": [feature]})
    write_json(inputs / "project.json", plan["project"])
    if plan["plots"] is not None:
        write_whole(inputs / "plots.csv", plan["plots"]["csv"])


def finish_estimate(
    plan: Mapping[str, Any],
    bundle_dir: Path | str,
    *,
    progress: Callable[[str], None],
    chunk: int | None = None,
) -> dict[str, Any]:
    """Measure from `inputs/`, write the rest of the bundle and give the document.

    Parameters
    ----------
    plan
        What `plan_estimate` gave.
    bundle_dir
        Where `archive_inputs` wrote.
    chunk
        Edge of a spatial chunk in pixels; never changes a result.

    Returns
    -------
    The document `amanar.estimate/1`, also written to `estimate.json`.
    """
    folder = Path(bundle_dir)
    made = recompute(plan, folder / INPUTS, out_dir=folder, progress=progress, chunk=chunk)
    said = made.document
    note = f"{said['kind']}, {said['environment']}. {_imagery_note(plan)}"
    write_pictures(folder, made.survey, boundary=made.boundary, loss=made.loss, note=note)
    progress("pictures drawn")
    write_json(folder / ESTIMATE, said)
    inputs = read_index(folder / INPUTS)["files"]
    files = written_files(folder, inputs)
    write_item(
        folder,
        [name for name in files if "/" not in name and name not in {PLAN, ITEM}],
        boundary=made.boundary,
        period=made.period,
        survey=made.survey,
    )
    write_json(folder / MANIFEST, whole_manifest(plan, folder, made=made, inputs=inputs))
    progress(f"evidence complete: {said['digest']}")
    return said


def whole_manifest(
    plan: Mapping[str, Any], folder: Path, *, made: Recomputed, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Give the manifest of a bundle from what was computed: the list of everything in it.

    Written last of all, it says that a bundle is complete; replay compares it.
    """
    return manifest_of(
        folder,
        written_files(folder, inputs),
        digest=made.digest,
        parameters=made.document["parameters"],
        scenes=_scene_list(plan, inputs),
    )


def run_estimate(
    request: EstimateRequest,
    bundle_dir: Path | str,
    *,
    progress: Callable[[str], None],
    chunk: int | None = None,
) -> dict[str, Any]:
    """Make an estimate from beginning to end; see the three stages."""
    plan = plan_estimate(request, progress=progress)
    archive_inputs(plan, bundle_dir, progress=progress)
    return finish_estimate(plan, bundle_dir, progress=progress, chunk=chunk)


@dataclass(frozen=True)
class Recomputed:
    """The numbers of an estimate and the arrays they came from."""

    document: dict[str, Any]
    digest: dict[str, Any]
    boundary: Boundary
    period: Period
    survey: Survey
    loss: LossReport


def recompute(
    plan: Mapping[str, Any],
    inputs_dir: Path,
    *,
    out_dir: Path,
    progress: Callable[[str], None],
    chunk: int | None = None,
) -> Recomputed:
    """Compute everything that the digest covers, from archived inputs into a folder.

    Writes the rasters and the time series; no pictures, no document, no manifest. Replay runs
    this very function into a folder of its own.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    asked = read_plan(plan, inputs_dir)
    imagery = asked.imagery
    measurement = measure(
        imagery.scenes,
        inputs_dir,
        grid=imagery.grid,
        seasons=imagery.seasons,
        card=imagery.card,
        chunk=chunk,
    )
    asked = replace(asked, series_in_bundle=series_fits(measurement))
    progress(f"measuring {imagery.grid.shape[0]} x {imagery.grid.shape[1]} pixels")
    survey = take_survey(measurement, asked.boundary, progress=progress)
    found = reckon(asked, measurement, survey=survey)
    rasters = write_rasters(
        out_dir,
        survey,
        biomass_map=found.biomass_map,
        loss=found.loss,
        with_series=asked.series_in_bundle,
    )
    write_whole(out_dir / TIMESERIES, timeseries_csv(survey.rows))
    said = document(found)
    inputs = {
        name: entry["pixels_sha256"] for name, entry in read_index(inputs_dir)["files"].items()
    }
    digest = estimate_digest(said, rasters=rasters, inputs=inputs)
    said["provenance"] = _provenance(plan, imagery)
    said["digest"] = digest["digest"]
    return Recomputed(said, digest, asked.boundary, asked.period, survey, found.loss)


def _claim(folder: Path, plan: Mapping[str, Any]) -> None:
    """Write the plan into the folder, unless another estimate lies there."""
    path = folder / PLAN
    if path.exists():
        try:
            other = plan_essence(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError):
            other = None
        if other != plan_essence(plan):
            raise BadInput(
                what=f"--out {folder}",
                problem="holds the evidence of another estimate",
                fix="Name a new folder, or remove that one.",
            )
    elif any(not entry.name.startswith(".") for entry in _entries(folder)):
        raise BadInput(
            what=f"--out {folder}",
            problem=f"holds files and no {PLAN}: it is no evidence to go on with",
            fix="Name a new or an empty folder.",
        )
    write_json(path, plan)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _provenance(plan: Mapping[str, Any], imagery: ScenePlan) -> dict[str, Any]:
    """Where and by what it was made; outside the digest."""
    return {
        "command": plan["command"],
        "catalog": imagery.catalog,
        "sensor_card": imagery.card.to_json(),
        "plots_file": None if plan["plots"] is None else plan["plots"]["file"],
        "versions": versions(),
    }


def _scene_list(plan: Mapping[str, Any], files: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each scene with its archived files and their checksums, for the manifest."""
    by_item: dict[str, dict[str, Any]] = {}
    for name, entry in files.items():
        by_item.setdefault(entry["item_id"], {})[entry["role"]] = {
            "file": f"{INPUTS}/{name}",
            "sha256": entry["sha256"],
            "pixels_sha256": entry["pixels_sha256"],
            "source": entry["source"],
        }
    imagery = ScenePlan.from_json(plan["imagery"])
    return [
        {
            "item_id": scene.item_id,
            "date": scene.observed_on.isoformat(),
            "baseline": scene.baseline,
            "witnesses": [
                {"name": witness.name, "offset_dn": witness.offset_dn}
                for witness in scene.witnesses
            ],
            "assets": by_item[scene.item_id],
        }
        for scene in imagery.scenes
        if scene.item_id in by_item
    ]


def _imagery_note(plan: Mapping[str, Any]) -> str:
    imagery = plan["imagery"]
    kind = "composites of others" if imagery["card"]["composite"] else "median of clear looks"
    return (
        f"{imagery['collection']}, {len(imagery['scenes'])} scenes, seasons {imagery['season']}, "
        f"{kind}. {plan['start']} to {plan['end']}."
    )
