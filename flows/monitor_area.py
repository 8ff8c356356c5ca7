"""Measure one monitoring request: the Prefect flow and its tasks.

Imports prefect, geo.estimate (late), registry's services and the other files of this room. Tasks
take and give URIs of artefacts, never arrays; an artefact that is there is not made again, so a
killed run goes on where it was. Order: the flow, taking, the tasks, failing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows import handoff
from flows.lease import LEASE_S, Lease, held, kept
from flows.runtime import scheduler
from flows.storage import ArtefactStore, key_of, path_of
from geo.errors import BadInput, GeoError
from registry.adapters.evidence_store import EvidenceStore
from registry.cluster import with_database
from registry.db import session_scope
from registry.domain.roles import system_actor
from registry.errors import LeaseLost, RegistryError
from registry.services import monitoring
from registry.settings import Settings
from registry.tables.monitoring import MonitoringRequest

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

ACTOR = system_actor("monitor_area")
PLAN_FILE = "plan.json"


class NotMeasured(RegistryError):
    """The monitoring request {request_id} failed: {reason}"""  # noqa: D400 (fields)


@flow(name="monitor-area", persist_result=False, validate_parameters=False)
def monitor_area(at_most: int = 1, lease_seconds: float = LEASE_S) -> list[str]:
    """Take the oldest waiting requests, one after the other; measure each and file its report.

    Parameters
    ----------
    at_most
        Requests to take; it ends earlier where none waits.
    lease_seconds
        After that long without a heartbeat another worker may take the request.

    Returns
    -------
    The reports' ids. A request whose lease was lost meanwhile is left to whoever has it.

    Raises
    ------
    NotMeasured
        At the end, where requests failed; the reason stands on each, in one sentence.
    """
    settings = with_database(Settings())
    worker = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
    reports: list[str] = []
    failed: list[NotMeasured] = []
    for _ in range(at_most):
        lease = take(settings, worker=worker, lease_seconds=lease_seconds)
        if lease is None:
            break
        try:
            reports.append(measure(lease))
        except NotMeasured as error:
            failed.append(error)
        except LeaseLost:
            continue
    if failed:
        raise failed[0]
    return reports


def take(settings: Settings, *, worker: str, lease_seconds: float = LEASE_S) -> Lease | None:
    """Lease the oldest waiting request, committed at once; None where there is none."""
    with session_scope(settings) as session:
        request = monitoring.take_request(
            session, actor=ACTOR, worker=worker, lease_seconds=lease_seconds
        )
        request_id = None if request is None else request.id
    if request_id is None:
        return None
    return Lease(settings, worker, request_id, lease_seconds)


def artefacts(settings: Settings) -> ArtefactStore:
    """Give the store of unfinished work; filed evidence moves on to the evidence store."""
    return ArtefactStore(settings.state_dir.absolute() / "artefacts")


def measure(lease: Lease) -> str:
    """Measure the request of a lease and give the report's id.

    Raises
    ------
    NotMeasured
        After the reason was written on the request.
    LeaseLost
        If another worker has the request by now.
    """
    try:
        with kept(lease):
            return _through_the_stages(lease)
    except LeaseLost:
        raise
    except Exception as error:
        reason = _reason(error)
        _fail(lease, reason)
        raise NotMeasured(request_id=lease.request_id, reason=reason) from error


def _through_the_stages(lease: Lease) -> str:
    """Run each stage as a task, with what the one before it left."""
    asked = gather_inputs(str(lease.request_id))
    plan = plan_area(asked)
    inputs = archive_area(plan)
    evidence = finish_area(plan, inputs)
    report_id = file_area(evidence)
    store = artefacts(lease.settings)
    for uri in (asked, plan, inputs, evidence):
        store.forget(path_of(uri).name)  # filed: the evidence store has it all
    return report_id


def _worth_a_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Try again what a network or a disk may have caused; never what was asked wrongly."""
    try:
        state.result()
    except (BadInput, LeaseLost, RegistryError):
        return False
    except Exception:  # noqa: BLE001 - whatever it was, the next try decides
        return True
    return False


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=1, retry_condition_fn=_worth_a_retry)
def gather_inputs(request_id: str) -> str:
    """Write the request, its boundary and its plots into a folder of their own."""
    settings = held().settings
    with session_scope(settings) as session:
        request = session.get_one(MonitoringRequest, UUID(request_id))
        asked = handoff.asked_of(session, request, environment=settings.environment)
    key = key_of("asked", {"request": request_id, **asdict(asked)})
    evidence = EvidenceStore(settings.evidence_dir)
    return artefacts(settings).make(
        key, lambda folder: handoff.write_asked(asked, folder, store=evidence)
    )


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5, retry_condition_fn=_worth_a_retry)
def plan_area(asked: str) -> str:
    """Find the scenes and settle everything that decides the numbers, before any pixel is kept."""
    from geo.estimate import plan_estimate  # noqa: PLC0415 (two seconds to import)

    def make(folder: Path) -> None:
        plan = plan_estimate(handoff.read_asked(path_of(asked)))
        text = json.dumps(plan, sort_keys=True, allow_nan=False)
        (folder / PLAN_FILE).write_text(text, encoding="utf-8")

    lease = held()
    lease.tell("looking for scenes")
    key = key_of("plan", {"asked": path_of(asked).name, "code": code_version()})
    return artefacts(lease.settings).make(key, make)


@task(cache_policy=NO_CACHE, retries=3, retry_delay_seconds=10, retry_condition_fn=_worth_a_retry)
def archive_area(plan: str) -> str:
    """Copy the source pixels of the area into the archive; complete files are kept."""
    from geo.estimate import archive_inputs  # noqa: PLC0415

    lease = held()
    key = key_of("inputs", {"plan": _plan_sha256(plan), "code": code_version()})
    return artefacts(lease.settings).make(
        key, lambda folder: archive_inputs(_plan(plan), folder, progress=lease.tell)
    )


@task(cache_policy=NO_CACHE, retries=1, retry_delay_seconds=5, retry_condition_fn=_worth_a_retry)
def finish_area(plan: str, inputs: str) -> str:
    """Measure from the archive and write the evidence bundle."""
    from geo.estimate import finish_estimate  # noqa: PLC0415

    lease = held()
    settings = lease.settings

    def make(folder: Path) -> None:
        shutil.copytree(path_of(inputs), folder, dirs_exist_ok=True, copy_function=_link)
        with scheduler(settings.dask_scheduler, workers=settings.dask_workers):
            finish_estimate(_plan(plan), folder, progress=lease.tell)

    key = key_of("evidence", {"inputs": path_of(inputs).name, "code": code_version()})
    return artefacts(settings).make(key, make)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=1, retry_condition_fn=_worth_a_retry)
def file_area(evidence: str) -> str:
    """Store the evidence and file the report; the same digest is filed once."""
    lease, bundle = held(), path_of(evidence)
    settings = lease.settings
    lease.tell("filing the report")
    uri = EvidenceStore(settings.evidence_dir).put_directory(bundle)
    with session_scope(settings) as session:
        report = handoff.file_report(
            session,
            actor=ACTOR,
            worker=lease.worker,
            request_id=lease.request_id,
            bundle=bundle,
            evidence_uri=uri,
        )
        return str(report.id)


def code_version() -> str:
    """Hash geo's source and its tables: others make other artefacts, also within one run."""
    from geo.evidence import code_sha256  # noqa: PLC0415 (two seconds to import)

    return code_sha256()


def _plan(uri: str) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads((path_of(uri) / PLAN_FILE).read_text(encoding="utf-8"))
    return plan


def _plan_sha256(uri: str) -> str:
    return hashlib.sha256((path_of(uri) / PLAN_FILE).read_bytes()).hexdigest()


def _link(source: str, target: str) -> str:
    """Put a file into another artefact without copying it, where the disk can."""
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _reason(error: Exception) -> str:
    """Say in one sentence why a request was not measured."""
    if isinstance(error, GeoError | RegistryError):
        return str(error)
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"A fault of ours: {type(error).__name__}: {first[:300]}"


def _fail(lease: Lease, reason: str) -> None:
    """Write the reason on the request, unless somebody else has it by now."""
    try:
        with session_scope(lease.settings) as session:
            monitoring.fail_request(
                session,
                actor=ACTOR,
                request_id=lease.request_id,
                worker=lease.worker,
                reason=reason,
            )
    except LeaseLost:
        return
