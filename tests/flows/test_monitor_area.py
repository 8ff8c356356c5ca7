"""One request through the flow: its stages, under a real Prefect server, killed, and in vain."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text
from sqlmodel import select

from flows import monitor_area as flow
from flows.lease import Lease, kept
from flows.processes import running
from geo.replay import replay
from registry.adapters.evidence_store import EvidenceStore
from registry.db import session_scope
from registry.errors import LeaseLost
from registry.settings import ROOT
from registry.tables.monitoring import MonitoringReport

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from registry.settings import Settings
    from registry.tables.monitoring import MonitoringRequest
    from tests.conftest import Database
    from tests.flows.conftest import Site

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]

WAIT_S = 120.0


def taken(site: Site, *, seconds: float = 60.0) -> Lease:
    lease = flow.take(site.settings, worker="a worker", lease_seconds=seconds)
    assert lease is not None
    return lease


def wait_until(true: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        assert process is None or process.poll() is None, "the worker ended"
        time.sleep(0.05)


def report_of(site: Site, request: MonitoringRequest) -> MonitoringReport:
    with session_scope(site.settings) as session:
        return session.exec(
            select(MonitoringReport).where(MonitoringReport.request_id == request.id)
        ).one()


def outlive_leases(database: Database) -> None:
    """Let every lease have ended, as if time had passed."""
    engine = create_engine(database.owner_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE monitoring_request SET leased_until = now()"))
    engine.dispose()


def test_the_stages_hand_on_addresses_and_file_a_report_that_replays(
    site: Site, tmp_path: Path
) -> None:
    request = site.ask("PE-CONVERTED")
    with kept(taken(site)):
        asked = flow.gather_inputs.fn(str(request.id))
        plan = flow.plan_area.fn(asked)
        inputs = flow.archive_area.fn(plan)
        evidence = flow.finish_area.fn(plan, inputs)
        flow.file_area.fn(evidence)
    assert all(uri.startswith("file:///") for uri in (asked, plan, inputs, evidence))
    assert site.row(request)["state"] == "done"
    report = report_of(site, request)
    store = EvidenceStore(site.settings.evidence_dir)
    for name, file in store.listing(report.evidence_uri).items():
        target = tmp_path / "bundle" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(store.read(file.sha256))
    assert list(replay(tmp_path / "bundle").differences) == []
    assert json.loads((tmp_path / "bundle/estimate.json").read_text())["digest"] == report.digest


def test_what_is_done_is_not_done_again(site: Site, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    shutil.copytree(ROOT / "data/samples/catalog", catalog)
    request = site.ask("PE-CONVERTED", catalog=catalog / "catalog.json")
    with kept(taken(site)):
        asked = flow.gather_inputs.fn(str(request.id))
        plan = flow.plan_area.fn(asked)
        inputs = flow.archive_area.fn(plan)
        shutil.rmtree(catalog)
        assert flow.plan_area.fn(asked) == plan
        assert flow.archive_area.fn(plan) == inputs
        assert flow.finish_area.fn(plan, inputs)


def test_of_two_workers_one_gets_the_request(site: Site) -> None:
    request = site.ask("PE-CONVERTED")
    with ThreadPoolExecutor(2) as pool:
        workers = ("first", "second")
        leases = list(pool.map(lambda name: flow.take(site.settings, worker=name), workers))
    assert sorted(lease is None for lease in leases) == [False, True]
    assert site.row(request)["attempts"] == 1


def test_heartbeats_outlast_a_short_lease(site: Site) -> None:
    site.ask("PE-CONVERTED")
    with kept(taken(site, seconds=0.4)):
        time.sleep(1.0)
        assert flow.take(site.settings, worker="another") is None


def test_a_worker_that_lost_its_lease_stops_and_files_nothing(
    site: Site, database: Database
) -> None:
    request = site.ask("PE-CONVERTED")
    with kept(taken(site, seconds=600)) as lease:
        outlive_leases(database)
        other = flow.take(site.settings, worker="another")
        assert other is not None
        with pytest.raises(LeaseLost):
            lease.tell("still here")
        with contextlib.suppress(LeaseLost):
            lease.beat()
    row = site.row(request)
    assert (row["state"], row["lease_owner"], row["reports"]) == ("running", "another", 0)


def test_under_prefect_one_is_measured_one_fails_with_a_sentence_and_the_work_goes_on(
    site: Site, prefect_api: str, prefect_settings: Settings, tmp_path: Path
) -> None:
    bad = site.ask("RO-STABLE", collection="no-such-collection")
    good = site.ask("PE-CONVERTED")
    log = tmp_path / "log"
    with site.amanar("work", "--once", api_url=prefect_api, log=log) as process:
        assert process.wait(WAIT_S) == 0, log.read_text()
    assert (site.row(good)["state"], site.row(good)["reports"]) == ("done", 1)
    failed = site.row(bad)
    assert failed["state"] == "failed"
    assert "no-such-collection" in failed["failure"]
    assert "\n" not in failed["failure"]
    assert {"COMPLETED", "FAILED"} <= flow_states(prefect_settings)
    assert not list((site.settings.state_dir / "artefacts").glob("evidence-*/"))


def flow_states(settings: Settings) -> set[str]:
    """Read Prefect's own record of how its runs ended."""
    url = str(settings.prefect_database_url).replace("+asyncpg", "+psycopg")
    engine = create_engine(url)
    with engine.connect() as connection:
        found = set(connection.scalars(text("SELECT DISTINCT state_type::text FROM flow_run")))
    engine.dispose()
    return found


def test_a_run_killed_while_archiving_goes_on_with_what_it_has(
    site: Site, database: Database, prefect_api: str, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog"
    shutil.copytree(ROOT / "data/samples/catalog", catalog)
    request = site.ask("RO-STABLE", catalog=catalog / "catalog.json")
    artefacts = site.settings.state_dir / "artefacts"
    log = tmp_path / "log"

    def archived() -> list[Path]:
        return list(artefacts.glob("inputs-*.partial/inputs/*/*.tif"))

    with site.amanar("work", "--once", api_url=prefect_api, log=log) as first:
        wait_until(lambda: len(archived()) >= 4, first)
        first.kill()
        first.wait()
    assert site.row(request)["state"] == "running"
    assert not list(artefacts.glob("evidence-*/"))
    kept_scenes = whole_scenes(archived())
    for scene in kept_scenes:  # they cannot be had again: the next run has to use its archive
        shutil.rmtree(catalog / "s2-l2a-romania" / scene)
    outlive_leases(database)
    with site.amanar("work", "--once", api_url=prefect_api, log=log) as second:
        assert second.wait(WAIT_S) == 0, log.read_text()
    row = site.row(request)
    assert (row["state"], row["attempts"], row["reports"]) == ("done", 2, 1), row["failure"]


def whole_scenes(files: list[Path]) -> list[str]:
    """Name the scenes whose every asset was archived; the one in work is left out."""
    scenes = sorted({path.parent.name for path in files})
    assert len(scenes) >= 2
    return scenes[:-1]


def test_the_deployment_of_prefect_yaml_measures_a_request(
    site: Site, prefect_api: str, tmp_path: Path
) -> None:
    request = site.ask("PE-CONVERTED")
    variables = site.variables(prefect_api)
    prefect = [sys.executable, "-m", "prefect"]

    def run(*words: str) -> None:
        log = tmp_path / "prefect.log"
        with running([*prefect, *words], variables=variables, folder=ROOT, log=log) as process:
            assert process.wait(WAIT_S) == 0, log.read_text()

    run("work-pool", "create", "amanar", "--type", "process", "--overwrite")
    run("--no-prompt", "deploy", "--all")
    run("deployment", "run", "monitor-area/monitor-area")
    worker = [*prefect, "worker", "start", "--pool", "amanar"]
    log = tmp_path / "worker.log"
    with running(worker, variables=variables, folder=tmp_path, log=log) as process:
        wait_until(lambda: site.row(request)["state"] not in {"queued", "running"}, process)
    row = site.row(request)
    assert (row["state"], row["reports"]) == ("done", 1), log.read_text()
