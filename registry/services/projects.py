"""Projects and their land: registered once, overlapping nobody, every cell claimed.

Imports accounts, audit, commands, tables. Order: values, projects, areas, claims.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import shapely
from geoalchemy2.shape import from_shape, to_shape
from shapely import MultiPolygon, Polygon
from sqlalchemy.dialects.postgresql import Range

from registry.db import translating
from registry.domain import states
from registry.domain.ids import new_id
from registry.domain.roles import Action
from registry.errors import AlreadyExists, InvalidValue, NotFound
from registry.services import audit, commands, land
from registry.services.periods import last_verified, require_free
from registry.tables.projects import WOODY_BIOMASS, Area, Project

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.domain.roles import Actor

CODE = "[A-Z0-9]+(-[A-Z0-9]+)*"
LONGEST_CODE = 32


@dataclass(frozen=True)
class NewProject:
    """What a developer says of a project."""

    code: str
    """Part of every serial: capital letters, digits, hyphens, at most 32."""
    name: str
    country: str
    """ISO 3166-1 alpha-2."""
    activity: str
    methodology: str = "stock-difference"
    description: str = ""


@dataclass(frozen=True)
class NewArea:
    """The boundary of an accounting area."""

    project_id: UUID
    name: str
    geometry: Polygon | MultiPolygon
    """WGS 84 longitude and latitude, valid."""
    first_day: date | None = None
    """From when it counts; None: always."""
    last_day: date | None = None
    """Until when, inside; None: for ever."""
    pool: str = WOODY_BIOMASS


# --- projects -----------------------------------------------------------------------------------


def register_project(
    session: Session, *, actor: Actor, command_id: UUID, project: NewProject
) -> Project:
    """Register a project of the actor's organisation; it begins as `registered`.

    Developers only. Writes project, audit_event. Safe to repeat with the same id.

    Raises
    ------
    InvalidValue, AlreadyExists, NotAllowed, CommandConflict
    """
    actor.require(Action.REGISTER_PROJECT)
    _require_words(project)

    def do() -> commands.Result:
        made = Project(**asdict(project), organisation_id=actor.organisation())
        taken = AlreadyExists(what="project", key=project.code)
        with translating(session, {"uq_project_code": taken}):
            session.add(made)
        audit.record(
            session,
            actor=actor,
            action="projects:project:register",
            subject=f"project:{made.id}",
            content={**asdict(project), "organisation": str(actor.organisation())},
        )
        return {"project_id": str(made.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="projects.register_project",
        content=asdict(project),
        do=do,
    )
    return session.get_one(Project, UUID(result["project_id"]))


def own_project(session: Session, *, actor: Actor, project_id: UUID, action: Action) -> Project:
    """Give a project for changing, its row locked until the transaction ends.

    Raises
    ------
    NotFound
    NotYours
        If it belongs to another organisation.
    """
    found = session.get(Project, project_id, with_for_update={"key_share": True})
    if found is None:
        raise NotFound(what="project", key=project_id)
    actor.require_own(found.organisation_id, action=action, what=f"project {found.code}")
    return found


# --- areas --------------------------------------------------------------------------------------


def add_area(session: Session, *, actor: Actor, command_id: UUID, area: NewArea) -> Area:
    """Add an accounting area: refused where it overlaps another, else its cells are claimed.

    Developers, own projects only. The project becomes `active`. Writes area, claim, audit_event.
    Registrations of land wait for each other (advisory lock), so of two who press at once one
    finds the other's land taken. Safe to repeat with the same id.

    Raises
    ------
    LandOverlap
        If more than 0.01 ha (geodesic) or 1 % of the smaller area are shared with an area of the
        same pool and days, or 0.01 ha with all of them; names the project that shares most and
        its hectares. A common border is no overlap.
    CellsClaimed
        If a 100 m cell is claimed already though the boundaries overlap less than that.
    InvalidValue, NotFound, NotYours, NotAllowed, WrongState, CommandConflict
    """
    actor.require(Action.ADD_AREA)
    geometry = normal_boundary(area.geometry)
    effective = days(area.first_day, area.last_day)

    def do() -> commands.Result:
        project = own_project(
            session, actor=actor, project_id=area.project_id, action=Action.ADD_AREA
        )
        if project.state != "active":
            what = f"project {project.code}"
            states.require_step(states.PROJECT, what=what, state=project.state, wanted="active")
        made = Area(
            project_id=project.id,
            lineage=new_id(),
            name=area.name,
            pool=area.pool,
            geom=from_shape(geometry, srid=4326),
            area_ha=land.hectares(session, geometry),
            boundary_sha256=boundary_sha256(geometry),
            effective=effective,
        )
        project.state = "active"
        land.settle(session, actor=actor, area=made, action="projects:area:add")
        return {"area_id": str(made.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="projects.add_area",
        content={**_spoken(area), "boundary_sha256": boundary_sha256(geometry)},
        do=do,
    )
    return session.get_one(Area, UUID(result["area_id"]))


def revise_area(
    session: Session,
    *,
    actor: Actor,
    command_id: UUID,
    area_id: UUID,
    geometry: Polygon | MultiPolygon,
    first_day: date,
) -> Area:
    """Give an area a new boundary from a day on; the old one ends the day before.

    Developers, own projects only. The old version becomes `superseded`, its claims end, the new
    version of the same lineage claims its own cells. Writes area, claim, audit_event. Safe to
    repeat with the same id.

    Raises
    ------
    LandOverlap, CellsClaimed
        As for `add_area`.
    InvalidValue
        If the day is not inside the old version's time, or not after its verified periods.
    RequestOpen, ReportUndecided
        If a request or report of the day or later ones is not finished.
    NotFound, NotYours, NotAllowed, WrongState, CommandConflict
    """
    actor.require(Action.ADD_AREA)
    geometry = normal_boundary(geometry)

    def do() -> commands.Result:
        old = session.get(Area, area_id, with_for_update={"key_share": True})
        if old is None:
            raise NotFound(what="area", key=area_id)
        own_project(session, actor=actor, project_id=old.project_id, action=Action.ADD_AREA)
        after = _end(session, actor=actor, old=old, day=first_day)
        made = Area(
            project_id=old.project_id,
            lineage=old.lineage,
            version=old.version + 1,
            name=old.name,
            pool=old.pool,
            geom=from_shape(geometry, srid=4326),
            area_ha=land.hectares(session, geometry),
            boundary_sha256=boundary_sha256(geometry),
            effective=after,
        )
        land.settle(session, actor=actor, area=made, action="projects:area:revise")
        return {"area_id": str(made.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="projects.revise_area",
        content={
            "area_id": area_id,
            "first_day": first_day,
            "boundary_sha256": boundary_sha256(geometry),
        },
        do=do,
    )
    return session.get_one(Area, UUID(result["area_id"]))


def boundary_of(area: Area) -> MultiPolygon:
    """Give an area's boundary as it was stored: WGS 84 longitude and latitude."""
    geometry = to_shape(area.geom)
    if not isinstance(geometry, MultiPolygon):
        raise InvalidValue(what="area", problem="it is no multipolygon", fix="Report this fault.")
    return geometry


def boundary_sha256(geometry: MultiPolygon) -> str:
    """Hash a normalised boundary: SHA-256 of its little-endian two-dimensional ISO WKB."""
    wkb = shapely.to_wkb(
        geometry, byte_order=1, output_dimension=2, flavor="iso", include_srid=False
    )
    return hashlib.sha256(wkb).hexdigest()


def normal_boundary(geometry: Polygon | MultiPolygon) -> MultiPolygon:
    """Give the one stored form of a boundary: two dimensions, rings and parts in fixed order.

    Raises
    ------
    InvalidValue
        If it is empty, invalid (with the place), or outside longitude +-180, latitude +-90.
    """
    if geometry.is_empty:
        raise InvalidValue(what="boundary", problem="it is empty", fix="Give at least one polygon.")
    if not geometry.is_valid:
        problem = shapely.is_valid_reason(geometry)
        raise InvalidValue(what="boundary", problem=problem, fix="Mend the polygon there.")
    west, south, east, north = geometry.bounds
    if west < -180 or south < -90 or east > 180 or north > 90:  # noqa: PLR2004 - degrees
        problem = f"it reaches from {west:g} {south:g} to {east:g} {north:g}"
        raise InvalidValue(what="boundary", problem=problem, fix="Give degrees in WGS 84.")
    parts = geometry.geoms if isinstance(geometry, MultiPolygon) else [geometry]
    flat = shapely.force_2d(shapely.normalize(MultiPolygon(list(parts))))
    if not isinstance(flat, MultiPolygon):
        raise InvalidValue(what="boundary", problem="it is no polygon", fix="Give polygons only.")
    return flat


def days(first: date | None, last: date | None) -> Range[date]:
    """Make a span of days from its first and last, both inside; None: no end on that side.

    Raises
    ------
    InvalidValue
        If the last day is before the first, or the last of the calendar.
    """
    if first is not None and last is not None and last < first:
        problem = f"{last} is before {first}"
        raise InvalidValue(what="last day", problem=problem, fix="Give the days in order.")
    if last == date.max:
        problem = f"{last} is the calendar's last day, no day follows it"
        raise InvalidValue(what="last day", problem=problem, fix="Give an earlier day.")
    return Range(first, None if last is None else last + timedelta(days=1))


# --- steps --------------------------------------------------------------------------------------


def _end(session: Session, *, actor: Actor, old: Area, day: date) -> Range[date]:
    """Let a version and its claims end before a day; give the time that is left to the next."""
    require_free(session, lineage=old.lineage, pool=old.pool, span=Range(day, None))
    before_it = last_verified(session, lineage=old.lineage, pool=old.pool)
    if before_it is not None and day < before_it.ends_before:
        problem = f"{day} is not after the verified period ending {before_it.last_day}"
        fix = f"The next boundary may begin on {before_it.ends_before}."
        raise InvalidValue(what="first day", problem=problem, fix=fix)
    states.require_step(states.AREA, what=f"area {old.name}", state=old.state, wanted="superseded")
    before, after = _split(old.effective, day)
    audit.record(
        session,
        actor=actor,
        action="projects:area:supersede",
        subject=f"area:{old.id}",
        content={"last_day": str(day - timedelta(days=1))},
    )
    old.state, old.effective = "superseded", before
    session.flush()
    land.end_claims(session, area=old, day=day)
    return after


def _split(effective: Range[date], day: date) -> tuple[Range[date], Range[date]]:
    lower, upper = effective.lower, effective.upper
    if day <= (lower or date.min) or (upper is not None and day >= upper):
        problem = f"{day} is not inside {lower or 'always'} to {upper or 'for ever'}"
        raise InvalidValue(what="first day", problem=problem, fix="Choose a day inside.")
    return Range(lower, day), Range(day, upper)


def _spoken(area: NewArea) -> dict[str, object]:
    return {
        "project_id": area.project_id,
        "name": area.name,
        "pool": area.pool,
        "first_day": area.first_day,
        "last_day": area.last_day,
    }


def _require_words(project: NewProject) -> None:
    if not re.fullmatch(CODE, project.code) or len(project.code) > LONGEST_CODE:
        raise InvalidValue(
            what="code",
            problem=f"{project.code!r} has another form",
            fix="Capital letters, digits and single hyphens, at most 32, such as RO-STABLE.",
        )
    if not re.fullmatch("[A-Z]{2}", project.country):
        problem = f"{project.country!r} is no ISO 3166-1 alpha-2 code"
        raise InvalidValue(what="country", problem=problem, fix="Two capital letters, such as RO.")
    for what in ("name", "activity", "methodology"):
        if not getattr(project, what).strip():
            raise InvalidValue(what=what, problem="it is empty", fix=f"Give the project's {what}.")
