"""For developers: register a project, upload its boundary, request monitoring."""

import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.responses import Response
from starlette.status import HTTP_200_OK, HTTP_201_CREATED

from api import intake
from api.console.attempts import Refused, attempt, go_to, status_of
from api.console.boundary_map import draw_boundary
from api.console.present import hectares
from api.console.templating import Form, page
from api.console.trouble import form_of
from api.console.visits import (
    Person,
    Posted,
    SignedIn,
    command_id_of,
    file_of,
    text_of,
    texts_of,
)
from api.faults import FileUnreadable
from api.routes.monitoring import request_of
from api.schemas.monitoring import RequestBody
from api.schemas.projects import ProjectBody
from geo.types import Boundary
from registry.domain import claims
from registry.domain.roles import Action
from registry.queries import monitoring as reports
from registry.queries import projects as rows
from registry.services import monitoring, projects

router = APIRouter()

PROJECT_FIELDS = ("code", "name", "country", "activity", "description")
REQUEST_FIELDS = ("area_id", "start", "end", "catalog", "collection", "sensor", "season")
PARAMETERS_LIMIT_BYTES = 500_000


@router.get("/projects/new")
def show_new_project(found: Person) -> Response:
    """Show the form for a project."""
    found.actor.require(Action.REGISTER_PROJECT)
    return _new_project(found, Form())


@router.post("/projects/new")
def register_project(found: Person, data: Posted) -> Response:
    """Register a project and lead to it."""
    try:
        with attempt(found.session):
            body = ProjectBody.model_validate({n: text_of(data, n) for n in PROJECT_FIELDS})
            made = projects.register_project(
                found.session,
                actor=found.actor,
                command_id=command_id_of(data),
                project=projects.NewProject(**body.model_dump()),
            )
            code = made.code
    except Refused as refused:
        fault = refused.fault
        return _new_project(found, form_of(texts_of(data), fault), status=status_of(fault))
    return go_to(f"/projects/{code}?done=project")


@router.get("/projects/{code}/boundary")
def show_boundary_form(code: str, found: Person) -> Response:
    """Show the form for a boundary."""
    return _boundary_form(found, _own(found, code), Form())


@router.post("/projects/{code}/boundary")
def upload_boundary(code: str, found: Person, data: Posted) -> Response:
    """Store a boundary and show how it was understood; faults in the command line's words."""
    row = _own(found, code)
    try:
        with attempt(found.session):
            boundary = intake.boundary_of(
                _needed_file(data, "file"),
                name=text_of(data, "name") or None,
                feature=text_of(data, "feature") or None,
            )
            area = projects.add_area(
                found.session,
                actor=found.actor,
                command_id=command_id_of(data),
                area=projects.NewArea(
                    project_id=row.project.id, name=boundary.name, geometry=boundary.geometry
                ),
            )
            area_id = area.id
    except Refused as refused:
        fault = refused.fault
        return _boundary_form(found, row, form_of(texts_of(data), fault), status=status_of(fault))
    return _understood(found, row, boundary, rows.get_area(found.session, area_id=area_id))


@router.get("/projects/{code}/monitoring")
def show_monitoring_form(code: str, found: Person) -> Response:
    """Show the form for a request, with the day on which the next period has to begin."""
    row = _own(found, code)
    areas = _active(found, row)
    before = reports.last_requested(found.session, project_id=row.project.id)
    values: dict[str, Any] = {"sensor": "auto"}
    if before is not None:
        values |= {name: getattr(before, name) or "" for name in REQUEST_FIELDS[3:]}
        values["start"] = str(before.period.upper)
    return _monitoring_form(found, row, areas, Form(values))


@router.post("/projects/{code}/monitoring")
def request_monitoring(code: str, found: Person, data: Posted) -> Response:
    """Queue a request; a plots file with bad rows goes back with every one of them named."""
    row = _own(found, code)
    areas = _active(found, row)
    try:
        with attempt(found.session):
            typed = {name: text_of(data, name) or None for name in REQUEST_FIELDS}
            plots = file_of(data, "plots")
            body = RequestBody.model_validate(
                {name: value for name, value in typed.items() if value is not None}
                | {"parameters": _parameters(data)}
            )
            if plots is not None:
                body.plots_sha256 = intake.store_plots(
                    found.session,
                    actor=found.actor,
                    read=intake.plots_of(plots),
                    settings=found.settings,
                ).sha256
            monitoring.request_monitoring(
                found.session,
                actor=found.actor,
                command_id=command_id_of(data),
                request=request_of(body, found.settings.environment),
            )
    except Refused as refused:
        fault = refused.fault
        return _monitoring_form(
            found, row, areas, form_of(texts_of(data), fault), status=status_of(fault)
        )
    return go_to(f"/projects/{code}?done=request")


@router.post("/projects/{code}/requests/{request_id}/cancellation")
def cancel_request(code: str, request_id: UUID, found: Person, data: Posted) -> Response:
    """Withdraw a request that is not finished."""
    del data
    monitoring.cancel_request(found.session, actor=found.actor, request_id=request_id)
    return go_to(f"/projects/{quote(code, safe='')}?done=cancelled#requests")


def _own(found: SignedIn, code: str) -> rows.ProjectRow:
    row = rows.get_project(found.session, code=code)
    found.actor.require(Action.ADD_AREA)
    found.actor.require_own(
        row.project.organisation_id, action=Action.ADD_AREA, what=f"project {code}"
    )
    return row


def _active(found: SignedIn, row: rows.ProjectRow) -> list[rows.AreaRow]:
    areas = rows.areas_of(found.session, project_id=row.project.id)
    return [area for area in areas if area.state == "active"]


def _needed_file(data: FormData, name: str) -> Any:
    upload = file_of(data, name)
    if upload is None:
        raise FileUnreadable(name="file", problem="missing", fix="Choose one")
    return upload


def _parameters(data: FormData) -> dict[str, Any]:
    """Read the project file: the one uploaded, else what was typed, else nothing."""
    upload = file_of(data, "parameters_file")
    name = intake.shown_name(upload) if upload else "project file"
    text = (
        upload.file.read(PARAMETERS_LIMIT_BYTES).decode("utf-8", "replace")
        if upload
        else text_of(data, "parameters")
    )
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise FileUnreadable(name=name, problem=f"no JSON: {fault}", fix="Mend it") from fault
    if not isinstance(value, dict):
        raise FileUnreadable(name=name, problem="no JSON object", fix="Begin it with a brace")
    return value


def _new_project(found: SignedIn, form: Form, *, status: int = HTTP_200_OK) -> Response:
    return page(
        found.request,
        "new_project.html",
        actor=found.actor,
        visit=found.visit,
        status=status,
        form=form,
    )


def _boundary_form(
    found: SignedIn, row: rows.ProjectRow, form: Form, *, status: int = HTTP_200_OK
) -> Response:
    return page(
        found.request,
        "boundary.html",
        actor=found.actor,
        visit=found.visit,
        status=status,
        project=row.project,
        form=form,
    )


def _understood(
    found: SignedIn, row: rows.ProjectRow, boundary: Boundary, area: rows.AreaRow
) -> Response:
    label = f"Boundary of {row.project.code}, {hectares(area.area_ha)} hectares"
    return page(
        found.request,
        "understood.html",
        actor=found.actor,
        visit=found.visit,
        status=HTTP_201_CREATED,
        project=row.project,
        area=area,
        repairs=boundary.repairs,
        map=draw_boundary(area.geometry, label=label, width=720),
    )


def _monitoring_form(
    found: SignedIn,
    row: rows.ProjectRow,
    areas: list[rows.AreaRow],
    form: Form,
    *,
    status: int = HTTP_200_OK,
) -> Response:
    return page(
        found.request,
        "monitoring.html",
        actor=found.actor,
        visit=found.visit,
        status=status,
        project=row.project,
        kinds=claims.KIND_SENTENCES,
        areas=[(area.id, f"{area.name}, {hectares(area.area_ha)} ha") for area in areas],
        form=form,
    )
