"""Projects and areas as readers see them: lists by key, one project, its boundaries.

Reads only; imports tables, domain and errors. Order: values, lists, one project, areas.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col

from registry.errors import NotFound
from registry.tables.accounts import Organisation
from registry.tables.projects import Area, Project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import Select
    from sqlalchemy.dialects.postgresql import Range
    from sqlalchemy.orm import Session

GEOJSON_DECIMALS = 7
"""About 1 cm; the stored geometry keeps all digits."""

OUTLINE_DECIMALS = 5
"""About 1 m: enough for a picture in a list."""


@dataclass(frozen=True)
class ProjectRow:
    """A project with the name of its organisation."""

    project: Project
    organisation: str


@dataclass(frozen=True)
class AreaRow:
    """One version of one boundary, with its geometry as GeoJSON (WGS 84)."""

    id: UUID
    lineage: UUID
    version: int
    name: str
    pool: str
    area_ha: float
    boundary_sha256: str
    effective_from: date | None
    effective_to: date | None
    """Last day inside; none means still."""
    state: str
    geometry: dict[str, Any]


def list_projects(session: Session, *, limit: int, after: str | None = None) -> list[ProjectRow]:
    """Give projects in the order of their codes, those after the code `after`."""
    statement = _readable().order_by(col(Project.code)).limit(limit)
    if after is not None:
        statement = statement.where(col(Project.code) > after)
    return [ProjectRow(project, name) for project, name in session.execute(statement)]


def get_project(session: Session, *, code: str) -> ProjectRow:
    """Give one project by its code.

    Raises
    ------
    NotFound
        If there is none.
    """
    found = session.execute(_readable().where(col(Project.code) == code)).first()
    if found is None:
        raise NotFound(what="project", key=code)
    return ProjectRow(found[0], found[1])


def _readable() -> Select[Project, str]:
    return select(Project, col(Organisation.name)).join(
        Organisation, col(Organisation.id) == col(Project.organisation_id)
    )


def areas_of(
    session: Session, *, project_id: UUID, decimals: int = GEOJSON_DECIMALS
) -> list[AreaRow]:
    """Give every version of every boundary of a project, the newest version first."""
    statement = (
        _areas(decimals)
        .where(col(Area.project_id) == project_id)
        .order_by(col(Area.lineage), col(Area.version).desc())
    )
    return [_area_row(row[0], row[1]) for row in session.execute(statement)]


def outlines_of(session: Session, *, project_ids: Sequence[UUID]) -> dict[UUID, AreaRow]:
    """Give one active boundary of each project, in few digits, for the pictures of a list."""
    statement = (
        _areas(OUTLINE_DECIMALS)
        .where(col(Area.project_id).in_(project_ids), col(Area.state) == "active")
        .ext(distinct_on(col(Area.project_id)))
        .order_by(col(Area.project_id), col(Area.id))
    )
    return {row[0].project_id: _area_row(row[0], row[1]) for row in session.execute(statement)}


def get_area(session: Session, *, area_id: UUID) -> AreaRow:
    """Give one version of one boundary.

    Raises
    ------
    NotFound
        If there is none.
    """
    found = session.execute(_areas(GEOJSON_DECIMALS).where(col(Area.id) == area_id)).first()
    if found is None:
        raise NotFound(what="area", key=area_id)
    return _area_row(found[0], found[1])


def _areas(decimals: int) -> Select[Area, str]:
    return select(Area, func.ST_AsGeoJSON(Area.geom, decimals))


def _area_row(area: Area, geojson: str) -> AreaRow:
    return AreaRow(
        id=area.id,
        lineage=area.lineage,
        version=area.version,
        name=area.name,
        pool=area.pool,
        area_ha=area.area_ha,
        boundary_sha256=area.boundary_sha256,
        effective_from=area.effective.lower,
        effective_to=last_day(area.effective),
        state=area.state,
        geometry=json.loads(geojson),
    )


def last_day(days: Range[date]) -> date | None:
    """Give the last day inside a span whose upper bound is outside; None if it is open."""
    return None if days.upper is None else days.upper - timedelta(days=1)


def both_days(days: Range[date]) -> tuple[date, date]:
    """Give the first and the last day inside of a span that has both, such as a period."""
    first, last = days.lower, last_day(days)
    if first is None or last is None:
        message = f"a span without an end: {days}"
        raise ValueError(message)
    return first, last
