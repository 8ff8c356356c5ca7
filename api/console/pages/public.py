"""What everybody may see: the projects, one project with its pictures, what the words mean."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.console import report_view
from api.console.boundary_map import draw_boundary
from api.console.present import hectares
from api.console.templating import page
from api.console.visits import Look, Looking
from api.paging import After, first_rows, key_of, text
from api.schemas.projects import CreditTotal
from registry.adapters.evidence_store import EvidenceStore, StoredFile
from registry.domain import claims
from registry.errors import EvidenceAltered, EvidenceMissing
from registry.queries import audit as events
from registry.queries import credits as credit_rows
from registry.queries import monitoring as reports
from registry.queries import projects as rows

router = APIRouter()

PROJECTS_A_PAGE = 24
REPORTS_A_PAGE = 10
BATCHES_SHOWN = 100
EVENTS_SHOWN = 12
RETIREMENTS_SHOWN = 10
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_HEAD_BYTES = 24


@router.get("/")
def show_projects(found: Looking, after: After = None) -> Response:
    """List the projects with their boundaries."""
    listed = rows.list_projects(found.session, limit=PROJECTS_A_PAGE + 1, after=key_of(after, text))
    shown, following = first_rows(listed, limit=PROJECTS_A_PAGE, key=lambda row: row.project.code)
    ids = [row.project.id for row in shown]
    outlines = rows.outlines_of(found.session, project_ids=ids)
    totals = credit_rows.totals_of(found.session, project_ids=ids)
    latest = reports.latest_states(found.session, project_ids=ids)
    cards = [
        {
            "project": row.project,
            "organisation": row.organisation,
            "outline": outlines.get(row.project.id),
            "map": _outline(outlines.get(row.project.id), row.project.code),
            "latest": latest.get(row.project.id),
            "totals": _totals(found, totals.get(row.project.id, [])),
        }
        for row in shown
    ]
    return page(
        found.request,
        "front.html",
        actor=found.actor,
        visit=found.visit,
        cards=cards,
        following=following,
        is_first=after is None,
    )


@router.get("/projects/{code}")
def show_project(code: str, found: Looking, after: After = None) -> Response:
    """Show one project: its land, its periods with their pictures, what was refused and why."""
    row = rows.get_project(found.session, code=code)
    project = row.project
    areas = rows.areas_of(found.session, project_id=project.id)
    listed = reports.list_reports(
        found.session,
        project_id=project.id,
        limit=REPORTS_A_PAGE + 1,
        after=key_of(after, UUID),
    )
    shown, following = first_rows(listed, limit=REPORTS_A_PAGE, key=lambda one: one.report.id)
    live = [
        one
        for one in reports.list_requests(found.session, project_id=project.id, limit=REPORTS_A_PAGE)
        if one.state != "done"
    ]
    totals = credit_rows.totals_of(found.session, project_ids=[project.id])
    subjects = [
        f"project:{project.id}",
        *(f"area:{area.id}" for area in areas),
        *(f"monitoring_report:{one.report.id}" for one in shown),
    ]
    return page(
        found.request,
        "project.html",
        actor=found.actor,
        visit=found.visit,
        project=project,
        organisation=row.organisation,
        is_own=found.actor is not None and found.actor.organisation_id == project.organisation_id,
        areas=areas,
        map=_detailed(areas, project.code),
        totals=_totals(found, totals.get(project.id, [])),
        requests=live,
        views=views_of(found, shown),
        following=following,
        base_url=str(found.request.base_url).rstrip("/"),
        retirements=credit_rows.list_retirements(
            found.session, limit=RETIREMENTS_SHOWN, project_id=project.id
        ),
        events=events.list_events(found.session, limit=EVENTS_SHOWN, subjects=subjects),
    )


def views_of(found: Look, shown: list[reports.ReportRow]) -> list[report_view.ReportView]:
    """Give the views of some reports of one project, with what was minted from each."""
    if not shown:
        return []
    batches = credit_rows.list_batches(
        found.session, project_id=shown[0].project.id, limit=BATCHES_SHOWN
    )
    bundles = [Bundle.of(found, row) for row in shown]
    return [
        report_view.view_of(
            row,
            environment=found.settings.environment,
            files=bundle.files,
            sizes=bundle.sizes,
            batches=[one for one in batches if one.batch.report_id == row.report.id],
        )
        for row, bundle in zip(shown, bundles, strict=True)
    ]


@dataclass(frozen=True)
class Bundle:
    """A report's files, and the sizes of its pictures; empty if the store lost them."""

    files: dict[str, StoredFile]
    sizes: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, found: Look, row: reports.ReportRow) -> Self:
        """Read the listing; a store that lost something leaves the page standing."""
        store = EvidenceStore(found.settings.evidence_dir)
        try:
            files = store.listing(row.report.evidence_uri)
            pictures = [name for name in report_view.PICTURES if name in files]
            sizes = {name: png_size(store.path(files[name].sha256)) for name in pictures}
        except (EvidenceMissing, EvidenceAltered):
            return cls({}, {})
        return cls(files, {name: size for name, size in sizes.items() if size})


def png_size(path: Path) -> tuple[int, int] | None:
    """Read how large a PNG is from its first bytes; None if it is none.

    Source: PNG specification, third edition, 11.2.1 (IHDR).
    """
    with path.open("rb") as file:
        head = file.read(PNG_HEAD_BYTES)
    if len(head) < PNG_HEAD_BYTES or not head.startswith(PNG_SIGNATURE):
        return None
    width, height = struct.unpack(">II", head[16:])
    return width, height


@router.get("/kinds")
def show_words(found: Looking) -> Response:
    """Say what the words on these pages mean."""
    return page(
        found.request,
        "kinds.html",
        actor=found.actor,
        visit=found.visit,
        kinds=claims.KIND_SENTENCES,
        sentences={
            "Certificate and proof": claims.CERTIFICATE,
            "Replay": claims.REPLAY,
            "Trading": claims.TRADING,
            "Verifiers": claims.VERIFIER_FEE,
        },
    )


def _totals(found: Look, totals: list[credit_rows.Total]) -> list[CreditTotal]:
    return [CreditTotal.of(total, found.settings.environment) for total in totals]


def _outline(area: rows.AreaRow | None, code: str) -> object:
    if area is None:
        return None
    label = f"Boundary of {code}, {hectares(area.area_ha)} hectares"
    return draw_boundary(area.geometry, label=label, width=420)


def _detailed(areas: list[rows.AreaRow], code: str) -> object:
    active = [area for area in areas if area.state == "active"] or areas[:1]
    if not active:
        return None
    total = sum(area.area_ha for area in active)
    geometry = {
        "type": "MultiPolygon",
        "coordinates": [part for area in active for part in area.geometry["coordinates"]],
    }
    label = f"Boundary of {code}, {hectares(total)} hectares, with latitude and longitude"
    return draw_boundary(geometry, label=label, width=720)
