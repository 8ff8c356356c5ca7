"""A factory that fills a test's registry through the services, the way people would.

Every call is one transaction, committed; what it returns can be read without a session. Each
call sends a command id of its own.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from shapely import box

from registry.db import session_scope
from registry.domain.ids import new_id
from registry.domain.roles import Actor, Role, system_actor
from registry.services import accounts, projects

if TYPE_CHECKING:
    from uuid import UUID

    from shapely import MultiPolygon, Polygon

    from registry.settings import Settings
    from registry.tables.projects import Area, Project

SETUP = system_actor("setup")


class World:
    """Organisations, people, projects and land, by name or by the next number."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._next = count(1)

    def organisation(self, name: str | None = None, *, country: str = "RO") -> UUID:
        """Admit an organisation; give its id."""
        with session_scope(self.settings) as session:
            made = accounts.create_organisation(
                session,
                actor=SETUP,
                command_id=new_id(),
                name=name or f"Organisation {next(self._next)}",
                country=country,
            )
        return made.id

    def person(
        self, *roles: Role, organisation_id: UUID | None = None, password: str | None = None
    ) -> Actor:
        """Admit a person, of a new organisation unless one is given; give them as an actor."""
        number = next(self._next)
        person = accounts.NewPerson(
            organisation_id=organisation_id or self.organisation(),
            email=f"person{number}@registry.example",
            name=f"Person {number}",
            roles=frozenset(roles),
            password=password,
        )
        with session_scope(self.settings) as session:
            made = accounts.create_user(session, actor=SETUP, command_id=new_id(), person=person)
            return accounts.actor_of_user(session, made.id)

    def developer(self) -> Actor:
        """Admit a developer of a new organisation."""
        return self.person(Role.DEVELOPER)

    def verifier(self) -> Actor:
        """Admit a verifier of a new organisation."""
        return self.person(Role.VERIFIER)

    def buyer(self) -> Actor:
        """Admit a buyer of a new organisation."""
        return self.person(Role.BUYER)

    def operator(self) -> Actor:
        """Admit an operator of a new organisation."""
        return self.person(Role.OPERATOR)

    def project(self, developer: Actor, **fields: Any) -> Project:
        """Register a project; any field of `NewProject` may be given."""
        number = next(self._next)
        chosen = {
            "code": f"RO-{number}",
            "name": f"Project {number}",
            "country": "RO",
            "activity": "Natural forest left to grow",
        }
        project = projects.NewProject(**(chosen | fields))
        with session_scope(self.settings) as session:
            return projects.register_project(
                session, actor=developer, command_id=new_id(), project=project
            )

    def area(
        self, developer: Actor, project: Project, geometry: Polygon | MultiPolygon, **fields: Any
    ) -> Area:
        """Add an area; any other field of `NewArea` may be given."""
        chosen: dict[str, Any] = {
            "project_id": project.id,
            "name": "Area",
            "geometry": geometry,
        } | fields
        area = projects.NewArea(**chosen)
        with session_scope(self.settings) as session:
            return projects.add_area(session, actor=developer, command_id=new_id(), area=area)


def square(lon: float, lat: float, *, side: float = 0.01) -> Polygon:
    """Make a square by its south-western corner, in degrees; 0.01 is about 1 km by 0.8 km."""
    return box(lon, lat, lon + side, lat + side)
