"""Requests for monitoring and the reports they lead to, under /v1."""

from uuid import UUID

from fastapi import APIRouter, status
from starlette.responses import JSONResponse, Response

from api import intake
from api.deps import Acting, CommandId, SettingsDep, Transaction
from api.paging import LIMIT_DEFAULT, After, Limit, first_rows, key_of
from api.schemas.monitoring import (
    Report,
    ReportAnswer,
    ReportsAnswer,
    Request,
    RequestAnswer,
    RequestBody,
    RequestsAnswer,
)
from registry.errors import InvalidValue
from registry.queries import monitoring as rows
from registry.queries import projects as project_rows
from registry.services import monitoring

router = APIRouter(prefix="/v1", tags=["monitoring"])

WEB = ("https://", "http://")


@router.post(
    "/monitoring-requests",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="request_monitoring",
)
def request_monitoring(
    body: RequestBody,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> RequestAnswer:
    """Ask for an area to be measured over a period. Developers, own projects only.

    The answer is the queued request; read it again to see how far it is.
    """
    made = monitoring.request_monitoring(
        session,
        actor=actor,
        command_id=command_id,
        request=request_of(body, settings.environment),
    )
    return _request(session, made.id, settings.environment)


@router.get("/monitoring-requests/{request_id}", operation_id="read_request")
def read_request(request_id: UUID, session: Transaction, settings: SettingsDep) -> RequestAnswer:
    """Give one request: its state, its progress in words, its reports. Open to all."""
    return _request(session, request_id, settings.environment)


@router.post("/monitoring-requests/{request_id}/cancellation", operation_id="cancel_request")
def cancel_request(
    request_id: UUID, session: Transaction, actor: Acting, settings: SettingsDep
) -> RequestAnswer:
    """Withdraw a request that is not finished; safe to repeat. Own projects only."""
    monitoring.cancel_request(session, actor=actor, request_id=request_id)
    return _request(session, request_id, settings.environment)


@router.get("/projects/{code}/monitoring-requests", operation_id="list_requests")
def list_requests(
    code: str,
    session: Transaction,
    settings: SettingsDep,
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
) -> RequestsAnswer:
    """List a project's requests, the newest first. Open to all."""
    project = project_rows.get_project(session, code=code).project
    found = rows.list_requests(
        session, project_id=project.id, limit=limit + 1, after=key_of(after, UUID)
    )
    shown, following = first_rows(found, limit=limit, key=lambda row: row.id)
    return RequestsAnswer(
        environment=settings.environment,
        items=[Request.of(row) for row in shown],
        next=following,
    )


@router.get("/projects/{code}/reports", operation_id="list_reports")
def list_reports(
    code: str,
    session: Transaction,
    settings: SettingsDep,
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
) -> ReportsAnswer:
    """List a project's reports, the newest first, refused ones too. Open to all."""
    project = project_rows.get_project(session, code=code).project
    found = rows.list_reports(
        session, project_id=project.id, limit=limit + 1, after=key_of(after, UUID)
    )
    shown, following = first_rows(found, limit=limit, key=lambda row: row.report.id)
    return ReportsAnswer(
        environment=settings.environment,
        items=[Report.of(row) for row in shown],
        next=following,
    )


@router.get("/reports/{report_id}", operation_id="read_report")
def read_report(report_id: UUID, session: Transaction, settings: SettingsDep) -> ReportAnswer:
    """Give one report in short, with its review. Open to all."""
    report = Report.of(rows.get_report(session, report_id=report_id))
    return ReportAnswer.model_validate({**report.model_dump(), "environment": settings.environment})


@router.get(
    "/reports/{report_id}/estimate", operation_id="read_estimate", response_class=JSONResponse
)
def read_estimate(report_id: UUID, session: Transaction) -> Response:
    """Give the whole document, schema `amanar.estimate/1`, as it was filed. Open to all."""
    return JSONResponse(rows.get_report(session, report_id=report_id).report.estimate)


def request_of(body: RequestBody, environment: str) -> monitoring.NewRequest:
    """Give what the service takes, after the project file was read as on the command line.

    Raises
    ------
    InvalidValue
        If a production registry is to read a catalogue from a disk, or a sensor card is named by
        its path: over the network only the cards of this house are read.
    BadInput
        If the project file has faults: all of them in one sentence.
    """
    if environment == "production" and not body.catalog.lower().startswith(WEB):
        raise InvalidValue(
            what="catalog", problem=f"{body.catalog} is no URL", fix="Give a STAC API or catalogue"
        )
    if {"/", "\\"} & set(body.sensor) or body.sensor.lower().endswith(".json"):
        raise InvalidValue(
            what="sensor", problem=f"{body.sensor} is a path", fix="Give a card's id, or auto."
        )
    intake.check_parameters(body.parameters)
    return monitoring.NewRequest(**body.model_dump())


def _request(session: Transaction, request_id: UUID, environment: str) -> RequestAnswer:
    request = Request.of(rows.get_request(session, request_id=request_id))
    reports = rows.reports_of_request(session, request_id=request_id)
    return RequestAnswer.model_validate(
        {**request.model_dump(), "environment": environment, "reports": reports}
    )
