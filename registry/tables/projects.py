"""Projects, areas of land, claims on its cells, documents; imports base.

Land is claimed once: a trigger compares exact geometries (tolerance 0.01 ha), and the exclusion
constraint on `claim` guards every 100 m cell, pool and day.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry
from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlmodel import Field, SQLModel

from registry.domain.ids import new_id
from registry.tables.base import HEX_SHA256, Days, check, created, days_column, one_of, same

WOODY_BIOMASS = "woody-biomass"
"""The carbon pool of this methodology family: above- and below-ground woody biomass."""


class Project(SQLModel, table=True):
    """What a developer registered; its code is part of every serial."""

    __tablename__ = "project"
    __table_args__ = (
        check("code", "code ~ '^[A-Z0-9]+(-[A-Z0-9]+)*$' AND length(code) <= 32"),
        check("country", "country ~ '^[A-Z]{2}$'"),
        one_of("state", "registered", "active", "suspended", "closed"),
        UniqueConstraint("id", "country"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    code: str = Field(unique=True)
    name: str
    country: str
    """ISO 3166-1 alpha-2."""
    activity: str
    """What is done on the land, in the developer's words."""
    methodology: str
    """Id of a frozen methodology row, such as `stock-difference`."""
    organisation_id: UUID = Field(foreign_key="organisation.id", index=True)
    description: str = ""
    state: str = "registered"
    created_at: datetime = created()


class Area(SQLModel, table=True):
    """One version of one accounting area; versions share a lineage and follow in time."""

    __tablename__ = "area"
    __table_args__ = (
        check("geom_valid", "ST_IsValid(geom) AND NOT ST_IsEmpty(geom)"),
        check("geom_world", "ST_MakeEnvelope(-180, -90, 180, 90, 4326) ~ geom"),
        check("area_ha", "area_ha > 0"),
        check("version", "version >= 1"),
        check("effective", "NOT isempty(effective)"),
        check("boundary_sha256", f"boundary_sha256 {HEX_SHA256}"),
        one_of("state", "active", "superseded", "withdrawn"),
        UniqueConstraint("lineage", "version"),
        UniqueConstraint("id", "project_id", "lineage", "pool"),
        ExcludeConstraint(
            ("lineage", "="), ("effective", "&&"),
            name="ex_area_lineage", using="gist", where=text("state <> 'withdrawn'"),
        ),
        Index("ix_area_project_id", "project_id"),
    )  # fmt: skip

    id: UUID = Field(default_factory=new_id, primary_key=True)
    project_id: UUID = Field(foreign_key="project.id")
    lineage: UUID = Field(default_factory=new_id)
    """The same for every version of this boundary."""
    version: int = 1
    name: str
    pool: str = WOODY_BIOMASS
    geom: Any = Field(sa_column=Column(Geometry("MULTIPOLYGON", srid=4326), nullable=False))
    """WGS 84; never changed, a new boundary is a new version."""
    area_ha: float = Field(sa_type=Double)
    """Geodesic, WGS 84 ellipsoid."""
    boundary_sha256: str
    """Of the canonical GeoJSON of the geometry."""
    effective: Days = days_column()
    """From when to when this boundary counts; unbounded by default."""
    state: str = "active"
    created_at: datetime = created()


class Claim(SQLModel, table=True):
    """One 100 m cell of EPSG:6933, one pool, one span of days, one area."""

    __tablename__ = "claim"
    __table_args__ = (
        PrimaryKeyConstraint("area_id", "cell"),
        same("area_id project_id area_lineage pool", "area.id project_id lineage pool"),
        one_of("mode", "exclusive", "shared"),
        check("period", "NOT isempty(period)"),
        ExcludeConstraint(
            ("cell", "="), ("pool", "="), ("period", "&&"),
            name="ex_claim_cell", using="gist", where=text("mode = 'exclusive'"),
        ),
    )  # fmt: skip

    cell: int = Field(sa_type=BigInteger)
    """(floor(y / 100) + 100000) * 1000000 + floor(x / 100) + 500000, x and y in EPSG:6933."""
    pool: str
    period: Days = days_column()
    area_id: UUID
    project_id: UUID
    area_lineage: UUID
    mode: str = "exclusive"
    """`shared`: the one cell of an area too small to hold a cell's centre."""


class Document(SQLModel, table=True):
    """A file in the evidence store, known by its content."""

    __tablename__ = "document"
    __table_args__ = (
        check("sha256", f"sha256 {HEX_SHA256}"),
        check("size_bytes", "size_bytes >= 0"),
    )

    sha256: str = Field(primary_key=True)
    media_type: str
    size_bytes: int = Field(sa_type=BigInteger)
    name: str
    """As it was called when it came; for people, never used as a path."""
    organisation_id: UUID | None = Field(default=None, foreign_key="organisation.id", index=True)
    created_at: datetime = created()
