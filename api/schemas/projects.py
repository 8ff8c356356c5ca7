"""Projects and areas on the wire. Imports wire and what queries give."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.wire import Answer, Body, Claim, CountryCode, Line, Page, Prose, Quantity
from registry.queries.credits import Total
from registry.queries.projects import AreaRow, ProjectRow

Code = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z0-9]+(-[A-Z0-9]+)*$", max_length=32),
    Field(description="Part of every serial, never changed.", examples=["RO-STABLE"]),
]


class ProjectBody(Body):
    """A project to register for your organisation."""

    code: Code
    name: Line
    country: CountryCode
    activity: Prose
    methodology: Line = "stock-difference"
    description: Annotated[str, Field(max_length=4000)] = ""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "code": "RO-STABLE",
                    "name": "Beech forest above the Cerna",
                    "country": "RO",
                    "activity": "Forest left standing",
                    "methodology": "stock-difference",
                }
            ]
        },
    )


class Organisation(BaseModel):
    """An organisation as others see it."""

    id: UUID
    name: str


class CreditTotal(BaseModel):
    """What a project was issued, of one kind and methodology."""

    claim: Claim
    minted: Quantity
    by_state: dict[str, Quantity]

    @classmethod
    def of(cls, total: Total, environment: str) -> Self:
        """Give the wire form."""
        return cls(
            claim=Claim.of(kind=total.kind, environment=environment, methodology=total.methodology),
            minted=Quantity.of(total.minted_kg),
            by_state={state: Quantity.of(kg) for state, kg in total.kg_by_state.items()},
        )


class Project(BaseModel):
    """A project with its totals; totals of different kinds are never added up."""

    id: UUID
    code: str
    name: str
    country: str
    activity: str
    methodology: str
    description: str
    organisation: Organisation
    state: str
    created_at: datetime
    credits: list[CreditTotal]

    @classmethod
    def of(cls, row: ProjectRow, *, totals: list[Total], environment: str) -> Self:
        """Give the wire form."""
        return cls.model_validate(
            {
                **row.project.model_dump(),
                "organisation": {"id": row.project.organisation_id, "name": row.organisation},
                "credits": [CreditTotal.of(total, environment) for total in totals],
            }
        )


class ProjectAnswer(Answer, Project):
    """One project."""


class ProjectsAnswer(Page):
    """Projects in the order of their codes."""

    items: list[Project]


class Area(BaseModel):
    """One version of one boundary."""

    id: UUID
    lineage: UUID
    version: int
    name: str
    pool: str
    area_ha: float = Field(description="Geodesic hectares, WGS 84.")
    boundary_sha256: str
    effective_from: date | None
    effective_to: date | None
    state: str

    @classmethod
    def of(cls, row: AreaRow) -> Self:
        """Give the wire form, without the geometry."""
        return cls.model_validate(row, from_attributes=True)


class AreaAnswer(Answer, Area):
    """The boundary as it was understood and stored."""

    repairs: list[str] = Field(description="What was repaired on reading; empty when nothing was.")
    geometry: dict[str, Any] = Field(description="GeoJSON MultiPolygon, WGS 84.")


class AreasAnswer(Answer):
    """Every version of every boundary of a project."""

    items: list[Area]


class BoundaryAnswer(Answer):
    """A boundary as one GeoJSON Feature, with the environment beside it."""

    type: str = "Feature"
    id: UUID
    geometry: dict[str, Any]
    properties: Area


class PlotsAnswer(Answer):
    """A plots file that was read without a fault and stored."""

    sha256: str = Field(description="Give it as `plots_sha256` when you request monitoring.")
    name: str
    measurements: int
    plots: int
    measured_from: date
    measured_to: date
