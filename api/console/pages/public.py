"""What everybody may see: the projects, one project with its pictures, the words, the log."""

from fastapi import APIRouter
from starlette.responses import Response

from api.console.boundary_map import draw_boundary
from api.console.present import hectares
from api.console.templating import page
from api.console.visits import Looking
from api.paging import After, first_rows, key_of, text
from api.schemas.projects import CreditTotal
from registry.domain import claims
from registry.queries import credits as credit_rows
from registry.queries import projects as rows

router = APIRouter()

PROJECTS_A_PAGE = 24


@router.get("/")
def show_projects(found: Looking, after: After = None) -> Response:
    """List the projects with their boundaries."""
    listed = rows.list_projects(found.session, limit=PROJECTS_A_PAGE + 1, after=key_of(after, text))
    shown, following = first_rows(listed, limit=PROJECTS_A_PAGE, key=lambda row: row.project.code)
    ids = [row.project.id for row in shown]
    outlines = rows.outlines_of(found.session, project_ids=ids)
    totals = credit_rows.totals_of(found.session, project_ids=ids)
    cards = [
        {
            "project": row.project,
            "organisation": row.organisation,
            "outline": outlines.get(row.project.id),
            "map": _outline(outlines.get(row.project.id), row.project.code),
            "totals": [
                CreditTotal.of(total, found.settings.environment)
                for total in totals.get(row.project.id, [])
            ],
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


def _outline(area: rows.AreaRow | None, code: str) -> object:
    if area is None:
        return None
    label = f"Boundary of {code}, {hectares(area.area_ha)} hectares"
    return draw_boundary(area.geometry, label=label, width=420)


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
