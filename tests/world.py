"""A factory that fills a test's registry through the services, the way people would.

Every call is one transaction, committed; what it returns can be read without a session. Each
call sends a command id of its own.
"""

from __future__ import annotations

import json
from datetime import date
from hashlib import sha256
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from shapely import box

from registry.adapters.evidence_store import EvidenceStore
from registry.db import session_scope
from registry.domain.ids import new_id
from registry.domain.roles import Actor, Role, system_actor
from registry.services import accounts, monitoring, periods, projects
from registry.tables.projects import Area

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from shapely import MultiPolygon, Polygon

    from registry.settings import Settings
    from registry.tables.monitoring import MonitoringReport, MonitoringRequest
    from registry.tables.projects import Project

SETUP = system_actor("setup")
WORKER = system_actor("monitor-area")


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

    def land(self, developer: Actor, **fields: Any) -> Area:
        """Register a project with one area on land that nobody has yet."""
        lon = 20 + next(self._next) * 0.05
        return self.area(developer, self.project(developer, **fields), square(lon, 45))

    def request(self, developer: Actor, area: Area, **fields: Any) -> MonitoringRequest:
        """Ask for an area to be measured, 2016 to 2018 unless other days are given."""
        chosen: dict[str, Any] = {
            "area_id": area.id,
            "start": date(2016, 1, 1),
            "end": date(2018, 12, 31),
            "catalog": "data/samples/catalog/catalog.json",
            "collection": "sentinel-2-l2a",
        }
        request = monitoring.NewRequest(**(chosen | fields))
        with session_scope(self.settings) as session:
            return monitoring.request_monitoring(
                session, actor=developer, command_id=new_id(), request=request
            )

    def report(self, request: MonitoringRequest, **removals: Any) -> MonitoringReport:
        """Take the oldest request, which must be this one, and file an estimate for it.

        Any field of `estimate_of` may be given: kind, net, buffer, digest.
        """
        worker = f"worker-{next(self._next)}"
        with session_scope(self.settings) as session:
            taken = monitoring.take_request(session, actor=WORKER, worker=worker)
            if taken is None or taken.id != request.id:
                message = f"the oldest request is {taken and taken.id}, not {request.id}"
                raise LookupError(message)
        with session_scope(self.settings) as session:
            area = session.get_one(Area, request.area_id)
            estimate = estimate_of(request, area, **removals)
            return monitoring.submit_report(
                session,
                actor=WORKER,
                request_id=request.id,
                worker=worker,
                estimate=estimate,
                evidence_uri=store_evidence(self.settings, estimate),
            )


def store_evidence(settings: Settings, estimate: Mapping[str, Any]) -> str:
    """Put a small bundle of real files into the evidence store; give its address."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "estimate.json").write_text(json.dumps(estimate), encoding="utf-8")
        (Path(folder) / "timeseries.csv").write_text("item_id,date,ndvi_mean\n", encoding="utf-8")
        return EvidenceStore(settings.evidence_dir).put_directory(Path(folder))


def estimate_of(
    request: MonitoringRequest,
    area: Area,
    *,
    kind: str = "demonstration",
    net: float = 100.0,
    buffer: float = 12.0,
    digest: str | None = None,
) -> dict[str, Any]:
    """Write the part of an `amanar.estimate/1` document that the registry reads."""
    previous = request.parameters.get("previous_net_tco2e") or 0
    creditable = max(0.0, net - previous - buffer)
    return {
        "schema": "amanar.estimate/1",
        "kind": kind,
        "environment": "sandbox",
        "digest": digest or "sha256:" + sha256(request.id.bytes).hexdigest(),
        "methodology": {
            "id": request.methodology,
            "conformity": "not-assessed",
            "unconfirmed": [],
        },
        "boundary": {"area_ha": area.area_ha},
        "period": {
            "start": str(periods.first_day(request.period)),
            "end": str(periods.last_day(request.period)),
            "t0": periods.t0_of(request),
        },
        "removals_tco2e": {
            "net": net,
            "previous": previous,
            "buffer": buffer,
            "buffer_base": net,
            "creditable": creditable,
        },
        "quality": [],
    }


def square(lon: float, lat: float, *, side: float = 0.01) -> Polygon:
    """Make a square by its south-western corner, in degrees; 0.01 is about 1 km by 0.8 km."""
    return box(lon, lat, lon + side, lat + side)
