"""Between the two vocabularies: what the registry asks for, and what geo answers.

The only file that knows both. Imports geo.request and registry's tables and services.
Order: a monitoring request becomes an estimate request; an evidence bundle becomes a report.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import shapely

from geo.request import EstimateRequest
from registry.errors import ReportMismatch
from registry.services import monitoring
from registry.services.periods import first_day, last_day
from registry.services.projects import boundary_of
from registry.tables.projects import Area

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.orm import Session

    from registry.adapters.evidence_store import EvidenceStore
    from registry.domain.roles import Actor
    from registry.tables.monitoring import MonitoringReport, MonitoringRequest

ESTIMATE_SCHEMA = "amanar.estimate/1"
ESTIMATE_FILE = "estimate.json"
_ASKED_FILE = "request.json"
_BOUNDARY_FILE = "boundary.geojson"
_PLOTS_FILE = "plots.csv"


@dataclass(frozen=True)
class Asked:
    """A monitoring request in words that depend on no database."""

    options: dict[str, Any]
    """Fields of an EstimateRequest but for the two files."""
    boundary: dict[str, Any]
    """GeoJSON geometry, WGS 84."""
    plots_sha256: str | None


def asked_of(session: Session, request: MonitoringRequest, *, environment: str) -> Asked:
    """Translate a monitoring request; its area's boundary is the one that was registered."""
    area = session.get_one(Area, request.area_id)
    return Asked(
        options={
            "catalog": request.catalog,
            "collection": request.collection,
            "start": first_day(request.period).isoformat(),
            "end": last_day(request.period).isoformat(),
            "project": request.parameters,
            "sensor": request.sensor,
            "season": request.season,
            "methodology": request.methodology,
            "environment": environment,
        },
        boundary=json.loads(shapely.to_geojson(boundary_of(area)))
        | {"name": area.name, "sha256": request.boundary_sha256},
        plots_sha256=request.plots_sha256,
    )


def write_asked(asked: Asked, folder: Path, *, store: EvidenceStore) -> None:
    """Write what was asked into a folder, with the files that it names."""
    geometry = {name: asked.boundary[name] for name in ("type", "coordinates")}
    feature = {
        "type": "Feature",
        "properties": {"name": asked.boundary["name"]},
        "geometry": geometry,
    }
    (folder / _BOUNDARY_FILE).write_text(json.dumps(feature))
    if asked.plots_sha256 is not None:
        (folder / _PLOTS_FILE).write_bytes(store.read(asked.plots_sha256))
    (folder / _ASKED_FILE).write_text(json.dumps(asked.options))


def read_asked(folder: Path) -> EstimateRequest:
    """Read what `write_asked` wrote."""
    plots = folder / _PLOTS_FILE
    return EstimateRequest(
        boundary=folder / _BOUNDARY_FILE,
        plots=plots.read_bytes() if plots.exists() else None,
        **json.loads((folder / _ASKED_FILE).read_text()),
    )


def file_report(
    session: Session,
    *,
    actor: Actor,
    worker: str,
    request_id: UUID,
    bundle: Path,
    evidence_uri: str,
) -> MonitoringReport:
    """Hand a finished evidence bundle to the registry as a report for a verifier.

    Nothing here approves: that takes a person of another organisation.

    Raises
    ------
    ReportMismatch
        If the bundle's document is not one that this registry reads.
    LeaseLost
        If the worker does not hold the lease now.
    """
    document = json.loads((bundle / ESTIMATE_FILE).read_text(encoding="utf-8"))
    if document.get("schema") != ESTIMATE_SCHEMA:
        found = document.get("schema")
        raise ReportMismatch(field="schema", given=found, expected=ESTIMATE_SCHEMA)
    return monitoring.submit_report(
        session,
        actor=actor,
        request_id=request_id,
        worker=worker,
        estimate=document,
        evidence_uri=evidence_uri,
    )
