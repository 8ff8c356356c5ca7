"""Requests and reports on the wire. Imports wire and what queries give."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.wire import Answer, Body, Claim, Days, Line, Page, finite_json
from registry.queries.monitoring import ReportRow
from registry.queries.projects import both_days
from registry.tables.monitoring import MonitoringRequest

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Season = Annotated[
    str,
    StringConstraints(pattern=r"^(0[1-9]|1[0-2])-[0-3][0-9]/(0[1-9]|1[0-2])-[0-3][0-9]$"),
    Field(description="`MM-DD/MM-DD`; the collection card's own where it is left out."),
]


class RequestBody(Body):
    """One area and one period to measure; `parameters` is the project file of the command line."""

    area_id: UUID
    start: date
    end: date
    catalog: Annotated[Line, Field(max_length=2000, description="STAC catalogue: URL or path.")]
    collection: Line
    sensor: Line = "auto"
    season: Season | None = None
    methodology: Line | None = Field(default=None, description="The project's, if left out.")
    parameters: Annotated[dict[str, Any], AfterValidator(finite_json)] = Field(default_factory=dict)
    plots_sha256: Sha256 | None = None

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "area_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "start": "2016-06-01",
                    "end": "2019-08-31",
                    "catalog": "data/samples/catalog/catalog.json",
                    "collection": "s2-l2a-romania",
                    "season": "06-01/08-31",
                    "parameters": {"buffer_percent": 20, "leakage_tco2e": 0},
                    "plots_sha256": "0" * 64,
                }
            ]
        },
    )


class Request(BaseModel):
    """A request and how far it is."""

    id: UUID
    project_id: UUID
    area_id: UUID
    period: Days
    catalog: str
    collection: str
    sensor: str
    season: str | None
    methodology: str
    parameters: dict[str, Any]
    plots_sha256: str | None
    state: str
    progress: str | None = Field(description="What the worker does now, one line.")
    failure: str | None = Field(description="Why it failed, one sentence.")
    attempts: int
    heartbeat_at: datetime | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: MonitoringRequest) -> Self:
        """Give the wire form, without the lease's owner."""
        start, end = both_days(row.period)
        return cls.model_validate({**row.model_dump(), "period": Days(start=start, end=end)})


class RequestAnswer(Answer, Request):
    """One request, with the reports that it led to."""

    reports: list[UUID] = Field(default_factory=list)


class RequestsAnswer(Page):
    """A project's requests, the newest first."""

    items: list[Request]


class Finding(BaseModel):
    """One entry of the report's quality list."""

    code: str
    severity: str
    message: str


class Review(BaseModel):
    """Who looks or looked at a report: the organisation, never the person."""

    organisation: str
    taken_at: datetime
    decision: str | None
    reasons: str | None
    decided_at: datetime | None


class Report(BaseModel):
    """What was found, in short; the whole document is one link away."""

    id: UUID
    request_id: UUID
    project_id: UUID
    project_code: str
    area_id: UUID
    period: Days
    claim: Claim
    digest: str
    state: str
    agb_t_per_ha: dict[str, Any] | None = Field(description="Mean, se, df, ci90; null = unknown.")
    removals_tco2e: dict[str, Any] | None
    quality: list[Finding]
    review: Review | None
    created_at: datetime
    decided_at: datetime | None
    estimate_href: str
    files_href: str
    page_href: str

    @classmethod
    def of(cls, row: ReportRow) -> Self:
        """Give the wire form."""
        report, estimate = row.report, row.report.estimate
        start, end = both_days(report.period)
        return cls.model_validate(
            {
                **report.model_dump(),
                "project_code": row.project.code,
                "period": Days(start=start, end=end),
                "claim": Claim.of(
                    kind=report.kind,
                    environment=report.environment,
                    methodology=estimate["methodology"],
                ),
                "agb_t_per_ha": estimate.get("agb_t_per_ha"),
                "removals_tco2e": estimate.get("removals_tco2e"),
                "quality": estimate.get("quality", []),
                "review": _review(row),
                "estimate_href": f"/v1/reports/{report.id}/estimate",
                "files_href": f"/v1/reports/{report.id}/files",
                "page_href": f"/projects/{row.project.code}#report-{report.id}",
            }
        )


def _review(row: ReportRow) -> dict[str, Any] | None:
    if row.review is None:
        return None
    return {**row.review.review.model_dump(), "organisation": row.review.organisation}


class ReportAnswer(Answer, Report):
    """One report."""


class ReportsAnswer(Page):
    """Reports, the newest first (the queue: the oldest first)."""

    items: list[Report]


class EvidenceFile(BaseModel):
    """One file of an evidence bundle."""

    name: str
    sha256: str
    size_bytes: int | None
    media_type: str
    href: str


class FilesAnswer(Answer):
    """The files of a report's evidence, as its manifest lists them."""

    report_id: UUID
    digest: str
    claim: Claim
    items: list[EvidenceFile]
