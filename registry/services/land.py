"""Land itself: measured, compared with what others have, claimed cell by cell.

Imports audit, tables. Everything is said to PostGIS in SQL, one statement for all cells of an
area. `projects` is the public side of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import shapely
from sqlalchemy import bindparam, func, select, text
from sqlalchemy.dialects.postgresql import DATERANGE

from registry.db import translating
from registry.errors import CellsClaimed, InvalidValue, LandOverlap
from registry.services import audit

if TYPE_CHECKING:
    from datetime import date

    from shapely import MultiPolygon
    from sqlalchemy.orm import Session

    from registry.domain.roles import Actor
    from registry.tables.projects import Area

M2_PER_HA = 10_000
SMALLEST_HA = 0.01
"""Of an area; our choice, as large as what areas may share."""


def settle(session: Session, *, actor: Actor, area: Area, action: str) -> None:
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
            area=area.name, project=others.project_code, overlap_ha=round(others.overlap_ha, 6)
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


def end_claims(session: Session, *, area: Area, day: date) -> None:
    """Let an area's claims end the day before."""
    session.execute(_END_CLAIMS, {"area_id": area.id, "day": day})


_END_CLAIMS = text(
    "UPDATE claim SET period = period * daterange(NULL, :day) WHERE area_id = :area_id"
)


def hectares(session: Session, geometry: MultiPolygon) -> float:
    """Measure on the ellipsoid, as the overlap is measured.

    Raises
    ------
    InvalidValue
        If it is too small for an area.
    """
    area_m2 = session.scalars(_AREA_M2, {"geom": shapely.to_wkb(geometry, hex=True)}).one()
    area_ha = float(area_m2) / M2_PER_HA
    if area_ha < SMALLEST_HA:
        problem = f"it has {area_ha:.4f} ha"
        raise InvalidValue(what="boundary", problem=problem, fix=f"At least {SMALLEST_HA} ha.")
    return area_ha
