"""Projects and their land: registered once, overlapping nobody, every cell claimed.

Imports accounts, audit, commands, tables. Order: values, projects, areas, claims.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import shapely
from geoalchemy2.shape import from_shape, to_shape
from shapely import MultiPolygon, Polygon
from sqlalchemy import bindparam, func, select, text
from sqlalchemy.dialects.postgresql import DATERANGE, Range

from registry.db import translating
from registry.domain import states
from registry.domain.ids import new_id
from registry.domain.roles import Action
from registry.errors import AlreadyExists, CellsClaimed, InvalidValue, LandOverlap, NotFound
from registry.services import audit, commands
from registry.tables.projects import WOODY_BIOMASS, Area, Project

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy.orm import Session

    from registry.domain.roles import Actor

M2_PER_HA = 10_000
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
        If more than 0.01 ha (geodesic) are shared with an area of the same pool and days; names
        the other project and the hectares. A common border is no overlap.
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
            area_ha=_hectares(session, geometry),
            boundary_sha256=boundary_sha256(geometry),
            effective=effective,
        )
        project.state = "active"
        _settle(session, actor=actor, area=made, action="projects:area:add")
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
        If the day is not inside the old version's time.
    NotFound, NotYours, NotAllowed, WrongState, CommandConflict
    """
    actor.require(Action.ADD_AREA)
    geometry = normal_boundary(geometry)

    def do() -> commands.Result:
        old = session.get(Area, area_id, with_for_update={"key_share": True})
        if old is None:
            raise NotFound(what="area", key=area_id)
        own_project(session, actor=actor, project_id=old.project_id, action=Action.ADD_AREA)
        what = f"area {old.name}"
        states.require_step(states.AREA, what=what, state=old.state, wanted="superseded")
        before, after = _split(old.effective, first_day)
        audit.record(
            session,
            actor=actor,
            action="projects:area:supersede",
            subject=f"area:{old.id}",
            content={"last_day": str(first_day - timedelta(days=1))},
        )
        old.state, old.effective = "superseded", before
        session.flush()
        session.execute(_END_CLAIMS, {"area_id": old.id, "day": first_day})
        made = Area(
            project_id=old.project_id,
            lineage=old.lineage,
            version=old.version + 1,
            name=old.name,
            pool=old.pool,
            geom=from_shape(geometry, srid=4326),
            area_ha=_hectares(session, geometry),
            boundary_sha256=boundary_sha256(geometry),
            effective=after,
        )
        _settle(session, actor=actor, area=made, action="projects:area:revise")
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
        If the last day is before the first.
    """
    if first is not None and last is not None and last < first:
        problem = f"{last} is before {first}"
        raise InvalidValue(what="last day", problem=problem, fix="Give the days in order.")
    return Range(first, None if last is None else last + timedelta(days=1))


# --- claims -------------------------------------------------------------------------------------


def _settle(session: Session, *, actor: Actor, area: Area, action: str) -> None:
    """Write the area, its event and its claims; the land lock comes first."""
    session.execute(select(func.lock_land()))
    asked = {
        "geom": area.geom.desc,
        "days": area.effective,
        "pool": area.pool,
        "lineage": area.lineage,
    }
    others = session.execute(_OVERLAPS, asked).first()
    if others is not None:
        raise LandOverlap(
            area=area.name, project=others.project_code, overlap_ha=round(others.overlap_ha, 4)
        )
    session.add(area)
    session.flush()
    audit.record(
        session,
        actor=actor,
        action=action,
        subject=f"area:{area.id}",
        content={
            "project": str(area.project_id),
            "lineage": str(area.lineage),
            "version": area.version,
            "pool": area.pool,
            "boundary_sha256": area.boundary_sha256,
            "area_m2": round(area.area_ha * M2_PER_HA),
        },
    )
    _claim_cells(session, area)


def _claim_cells(session: Session, area: Area) -> int:
    """Claim every cell whose centre lies inside the area; return how many.

    An area without any centre takes the cell of a point inside it, shared: there the exact
    comparison of boundaries alone is the guard.
    """
    taken = CellsClaimed(area=area.name, pool=area.pool)
    with translating(session, {"ex_claim_cell": taken}):
        cells = session.scalars(_CLAIM_CENTRES, {"area_id": area.id}).one()
    if cells == 0:
        session.execute(_CLAIM_POINT, {"area_id": area.id})
    return int(cells)


_OVERLAPS = text("""
SELECT project_code, overlap_ha
FROM land_overlaps(ST_SetSRID(CAST(:geom AS geometry), 4326), :days, :pool, :lineage)
""").bindparams(bindparam("days", type_=DATERANGE))

_AREA_M2 = text("SELECT ST_Area(CAST(ST_SetSRID(CAST(:geom AS geometry), 4326) AS geography))")

# Pieces of few vertices keep the lattice small where the parts of an area lie far apart; the
# centres go back to longitude and latitude, because there the boundary's edges are straight.
_CLAIM_CENTRES = text("""
WITH whole AS (SELECT * FROM area WHERE id = :area_id),
piece AS (SELECT ST_Subdivide(geom, 128) AS geom FROM whole),
corner AS (
    SELECT geom,
           ST_Transform(ST_SetSRID(ST_MakePoint(ST_XMin(geom), ST_YMin(geom)), 4326), 6933) AS low,
           ST_Transform(ST_SetSRID(ST_MakePoint(ST_XMax(geom), ST_YMax(geom)), 4326), 6933) AS high
    FROM piece
),
centre AS (
    SELECT DISTINCT x, y
    FROM corner,
         generate_series(floor(ST_X(low) / 100)::int, floor(ST_X(high) / 100)::int) AS x,
         generate_series(floor(ST_Y(low) / 100)::int, floor(ST_Y(high) / 100)::int) AS y
    WHERE ST_Intersects(geom, ST_Transform(
        ST_SetSRID(ST_MakePoint(x * 100 + 50, y * 100 + 50), 6933), 4326))
),
made AS (
    INSERT INTO claim (cell, pool, period, area_id, project_id, area_lineage, mode)
    SELECT (y + 100000)::bigint * 1000000 + x + 500000, pool, effective, whole.id, project_id,
           lineage, 'exclusive'
    FROM whole, centre
    RETURNING 1
)
SELECT count(*) FROM made
""")

_CLAIM_POINT = text("""
INSERT INTO claim (cell, pool, period, area_id, project_id, area_lineage, mode)
SELECT (floor(ST_Y(point) / 100) + 100000)::bigint * 1000000
       + floor(ST_X(point) / 100)::bigint + 500000,
       pool, effective, id, project_id, lineage, 'shared'
FROM area, ST_Transform(ST_PointOnSurface(geom), 6933) AS point
WHERE id = :area_id
""")

_END_CLAIMS = text(
    "UPDATE claim SET period = period * daterange(NULL, :day) WHERE area_id = :area_id"
)


def _hectares(session: Session, geometry: MultiPolygon) -> float:
    """Measure on the ellipsoid, as the overlap is measured."""
    area_m2 = session.scalars(_AREA_M2, {"geom": shapely.to_wkb(geometry, hex=True)}).one()
    return float(area_m2) / M2_PER_HA


def _split(effective: Range[date], day: date) -> tuple[Range[date], Range[date]]:
    lower, upper = effective.lower, effective.upper
    if (lower is not None and day <= lower) or (upper is not None and day >= upper):
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
