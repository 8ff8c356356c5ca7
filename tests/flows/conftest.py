"""A standing Prefect server for the flow tests, and sample land to measure under it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from flows.prefect_server import prefect_environment, prefect_server
from flows.processes import running
from geo.aoi import read_boundary
from registry.adapters.evidence_store import EvidenceStore
from registry.db import session_scope
from registry.services.documents import NewDocument, record_document
from registry.settings import ROOT, Settings

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from registry.cluster import Cluster
    from registry.domain.roles import Actor
    from registry.tables.monitoring import MonitoringRequest
    from tests.world import World

SAMPLES = ROOT / "data" / "samples"


@pytest.fixture(scope="session")
def prefect_settings(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose Prefect has a database of its own beside the tests' databases."""
    state = tmp_path_factory.mktemp("prefect")
    return Settings(state_dir=state, prefect_database_url=cluster.prefect_url)


@pytest.fixture(scope="session")
def prefect_api(prefect_settings: Settings) -> Iterator[str]:
    """Run one Prefect server for all flow tests; give its address."""
    with prefect_server(prefect_settings) as api_url:
        yield api_url


@dataclass(frozen=True)
class Site:
    """A registry with people who ask for sample land to be measured."""

    settings: Settings
    world: World

    def ask(self, code: str, *, catalog: Path | None = None, **fields: Any) -> MonitoringRequest:
        """Register a sample area, once, and ask for it to be measured with its plots."""
        developer = self.world.developer()
        boundary = read_boundary(SAMPLES / "projects" / f"{code}.geojson")
        project = self.world.project(developer, code=code)
        area = self.world.area(developer, project, boundary.geometry)
        chosen = {
            "catalog": str(catalog or SAMPLES / "catalog" / "catalog.json"),
            "plots_sha256": self._plots(code, developer),
            "parameters": self._parameters(code),
        }
        return self.world.request(developer, area, **(chosen | SPANS[code] | fields))

    def row(self, request: MonitoringRequest) -> dict[str, Any]:
        """Read a request as it stands now, with its reports."""
        query = text(
            "SELECT r.*, (SELECT count(*) FROM monitoring_report p WHERE p.request_id = r.id)"
            " AS reports FROM monitoring_request r WHERE r.id = :id"
        )
        with session_scope(self.settings) as session:
            return dict(session.execute(query, {"id": request.id}).mappings().one())

    def amanar(
        self, *words: str, api_url: str, log: Path
    ) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Run the command line on this registry and Prefect server, in a process of its own."""
        command = [sys.executable, str(ROOT / "amanar.py"), *words]
        return running(command, variables=self.variables(api_url), folder=ROOT, log=log)

    def variables(self, api_url: str) -> dict[str, str]:
        """Give the environment of a process that measures for this registry."""
        settings = self.settings.model_copy(update={"prefect_api_url": api_url})
        return prefect_environment(settings, api_url=api_url) | settings.variables()

    def _plots(self, code: str, developer: Actor) -> str:
        content = (SAMPLES / "projects" / f"{code}-plots.csv").read_bytes()
        document = NewDocument(
            sha256=EvidenceStore(self.settings.evidence_dir).put_bytes(content),
            name="plots.csv",
            media_type="text/csv",
            size_bytes=len(content),
        )
        with session_scope(self.settings) as session:
            return record_document(session, actor=developer, document=document).sha256

    @staticmethod
    def _parameters(code: str) -> dict[str, Any]:
        name = {"RO-STABLE": "RO-STABLE-1"}.get(code, code)
        found: dict[str, Any] = json.loads((SAMPLES / "projects" / f"{name}.json").read_text())
        return found


SPANS: dict[str, dict[str, Any]] = {
    "PE-CONVERTED": {
        "start": date(2010, 1, 1),
        "end": date(2020, 12, 31),
        "collection": "landsat-epochs-pucallpa",
    },
    "RO-STABLE": {
        "start": date(2016, 1, 1),
        "end": date(2018, 12, 31),
        "collection": "s2-l2a-romania",
        "season": "06-01/08-31",
    },
}


@pytest.fixture
def site(settings: Settings, world: World) -> Site:
    return Site(settings, world)
