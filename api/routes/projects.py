"""Projects, boundaries and plots files under /v1."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, File, Form, UploadFile, status
from sqlalchemy.orm import Session

from api import intake
from api.deps import Acting, CommandId, SettingsDep, Transaction
from api.paging import LIMIT_DEFAULT, After, Limit, first_rows, key_of, text
from api.schemas.projects import (
    Area,
    AreaAnswer,
    AreasAnswer,
    BoundaryAnswer,
    PlotsAnswer,
    Project,
    ProjectAnswer,
    ProjectBody,
    ProjectsAnswer,
)
from api.wire import Line
from registry.domain.roles import Action, Actor
from registry.queries import credits as credit_rows
from registry.queries import projects as rows
from registry.services import projects
from registry.tables.projects import Project as ProjectTable

router = APIRouter(prefix="/v1", tags=["projects"])


@router.get("/projects", operation_id="list_projects")
def list_projects(
    session: Transaction,
    settings: SettingsDep,
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
) -> ProjectsAnswer:
    """List projects in the order of their codes. Open to all."""
    found = rows.list_projects(session, limit=limit + 1, after=key_of(after, text))
    shown, following = first_rows(found, limit=limit, key=lambda row: row.project.code)
    totals = credit_rows.totals_of(session, project_ids=[row.project.id for row in shown])
    items = [
        Project.of(row, totals=totals.get(row.project.id, []), environment=settings.environment)
        for row in shown
    ]
    return ProjectsAnswer(environment=settings.environment, items=items, next=following)


@router.post("/projects", status_code=status.HTTP_201_CREATED, operation_id="register_project")
def register_project(
    body: ProjectBody,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> ProjectAnswer:
    """Register a project for your organisation. Developers only."""
    new = projects.NewProject(**body.model_dump())
    made = projects.register_project(session, actor=actor, command_id=command_id, project=new)
    return project_answer(session, made.code, environment=settings.environment)


@router.get("/projects/{code}", operation_id="read_project")
def read_project(code: str, session: Transaction, settings: SettingsDep) -> ProjectAnswer:
    """Give one project with its totals. Open to all."""
    return project_answer(session, code, environment=settings.environment)


@router.get("/projects/{code}/areas", operation_id="list_areas")
def list_areas(code: str, session: Transaction, settings: SettingsDep) -> AreasAnswer:
    """List every version of every boundary of a project. Open to all."""
    project = rows.get_project(session, code=code).project
    found = rows.areas_of(session, project_id=project.id)
    return AreasAnswer(environment=settings.environment, items=[Area.of(row) for row in found])


@router.post("/projects/{code}/areas", status_code=status.HTTP_201_CREATED, operation_id="add_area")
def add_area(
    code: str,
    file: Annotated[UploadFile, File(description="GeoJSON, KML, GPKG or a zipped shapefile.")],
    name: Annotated[Line | None, Form(description="Else the feature's own.")] = None,
    feature: Annotated[Line | None, Form(description="Which one, where there are several.")] = None,
    first_day: Annotated[date | None, Form(description="From when it counts.")] = None,
    last_day: Annotated[date | None, Form(description="Until when, inside.")] = None,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> AreaAnswer:
    """Upload the boundary of an accounting area. Developers, own projects only.

    The file is read as on the command line; land that another project has is refused.
    """
    project = _own(session, actor, code=code, action=Action.ADD_AREA)
    boundary = intake.boundary_of(file, name=name, feature=feature)
    new = projects.NewArea(
        project_id=project.id,
        name=boundary.name,
        geometry=boundary.geometry,
        first_day=first_day,
        last_day=last_day,
    )
    made = projects.add_area(session, actor=actor, command_id=command_id, area=new)
    row = rows.get_area(session, area_id=made.id)
    return AreaAnswer(
        environment=settings.environment,
        repairs=list(boundary.repairs),
        geometry=row.geometry,
        **Area.of(row).model_dump(),
    )


@router.post(
    "/projects/{code}/plots", status_code=status.HTTP_201_CREATED, operation_id="add_plots"
)
def add_plots(
    code: str,
    file: Annotated[UploadFile, File(description="CSV; one line a measurement.")],
    *,
    session: Transaction,
    actor: Acting,
    settings: SettingsDep,
) -> PlotsAnswer:
    """Upload field plots, `plot_id,lon,lat,date,area_ha,agb_t_per_ha[,stratum]`.

    Every bad row is named at once. The file is known by its content, so it needs no command id.
    """
    _own(session, actor, code=code, action=Action.REQUEST_MONITORING)
    read = intake.plots_of(file)
    stored = intake.store_plots(session, actor=actor, read=read, settings=settings)
    return PlotsAnswer(
        environment=settings.environment,
        sha256=stored.sha256,
        name=stored.name,
        measurements=len(read.plots),
        plots=len({plot.plot_id for plot in read.plots}),
        measured_from=min(plot.measured_on for plot in read.plots),
        measured_to=max(plot.measured_on for plot in read.plots),
    )


@router.get("/areas/{area_id}/boundary", operation_id="read_boundary")
def read_boundary(area_id: UUID, session: Transaction, settings: SettingsDep) -> BoundaryAnswer:
    """Give a boundary as a GeoJSON Feature. Open to all."""
    row = rows.get_area(session, area_id=area_id)
    return BoundaryAnswer(
        environment=settings.environment,
        id=row.id,
        geometry=row.geometry,
        properties=Area.of(row),
    )


def _own(session: Session, actor: Actor, *, code: str, action: Action) -> ProjectTable:
    """Give a project that the actor may change: asked before a file is read at all."""
    actor.require(action)
    project = rows.get_project(session, code=code).project
    actor.require_own(project.organisation_id, action=action, what=f"project {code}")
    return project


def project_answer(session: Session, code: str, *, environment: str) -> ProjectAnswer:
    """Build the answer for one project."""
    row = rows.get_project(session, code=code)
    totals = credit_rows.totals_of(session, project_ids=[row.project.id])
    project = Project.of(row, totals=totals.get(row.project.id, []), environment=environment)
    return ProjectAnswer.model_validate({**project.model_dump(), "environment": environment})
