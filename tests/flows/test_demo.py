"""The demo tells its story once: a second run changes nothing and measures nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, func, select, table

from registry import invariants
from registry.db import session_scope
from registry.domain import proof
from registry.settings import ROOT

if TYPE_CHECKING:
    from registry.settings import Settings
    from tests.conftest import Database
    from tests.flows.conftest import Site

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.xdist_group("prefect")]

NOWHERE = "http://127.0.0.1:9/api"
"""Nobody answers here: whoever asks Prefect for anything fails."""

UNCHANGED = (
    "organisation", "app_user", "project", "area", "claim", "monitoring_request",
    "monitoring_report", "review", "verified_period", "batch", "credit_block", "transfer",
    "posting", "listing", "purchase", "retirement", "audit_event", "command",
)  # fmt: skip


def demo(site: Site, api_url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "amanar.py"), "demo", "--no-serve"]
    variables = {"PATH": "/usr/bin:/bin", **site.variables(api_url)}
    return subprocess.run(
        command, env=variables, capture_output=True, text=True, check=False, timeout=600
    )


def counts(database: Database) -> dict[str, int]:
    engine = create_engine(database.owner_url)
    with engine.connect() as connection:
        found = {
            name: connection.execute(select(func.count()).select_from(table(name))).scalar_one()
            for name in UNCHANGED
        }
    engine.dispose()
    return found


def test_the_demo_tells_its_story_and_a_second_run_changes_nothing(
    site: Site, settings: Settings, database: Database, prefect_api: str
) -> None:
    first = demo(site, prefect_api)
    assert first.returncode == 0, first.stderr
    after_first = counts(database)
    second = demo(site, NOWHERE)
    assert second.returncode == 0, second.stderr
    assert counts(database) == after_first
    assert first.stdout == second.stdout

    with session_scope(settings) as session:
        assert invariants.run(session) == []

    # What it says was done was done.
    assert after_first["verified_period"] == 2
    assert after_first["retirement"] == 1
    for word in ("RO-STABLE", "RO-HARVEST", "PE-CONVERTED", "loss-detected", "Sandbox unit"):
        assert word in first.stdout
    certificate = settings.state_dir / "demo" / "certificate.json"
    verdict = proof.verify_certificate(
        proof.read_certificate(certificate.read_text()),
        key=proof.read_key(str(certificate.with_name("log-public-key.pem"))),
    )
    assert (verdict.holds, verdict.pinned) == (True, True)
    assert verdict.fingerprint in first.stdout
    assert json.loads(certificate.read_text())["retirement"]["quantity_kg"] == 1350
    for code in ("RO-HARVEST", "PE-CONVERTED"):
        pictures = list((settings.state_dir / "demo").glob(f"{code}*/*.png"))
        assert pictures, f"{code} is shown with no picture"
