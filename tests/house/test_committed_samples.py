"""The evidence and the certificate that the project ships can be checked by anybody, offline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import amanar
from registry.settings import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CERTIFICATE = ROOT / "data" / "samples" / "certificate" / "certificate.json"
KEY = CERTIFICATE.with_name("log-public-key.pem")
BUNDLE = ROOT / "data" / "samples" / "bundle"


@pytest.fixture(autouse=True)
def no_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever asks for a database gets a fault, not the one of this clone."""
    monkeypatch.setenv("AMANAR_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("AMANAR_STATE_DIR", str(tmp_path))


def test_the_certificate_is_proven_by_the_key_beside_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert amanar.run(["verify-proof", str(CERTIFICATE), "--key", str(KEY)]) == 0
    assert "not that a tonne was removed" in capsys.readouterr().out


def test_without_a_key_the_signer_is_not_pinned(capsys: pytest.CaptureFixture[str]) -> None:
    assert amanar.run(["verify-proof", str(CERTIFICATE)]) == 3
    assert "signer not pinned" in capsys.readouterr().out


def test_a_changed_certificate_does_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(CERTIFICATE.read_text(encoding="utf-8"))
    document["retirement"]["beneficiary"] = "Somebody else"
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(document), encoding="utf-8")
    assert amanar.run(["verify-proof", str(changed), "--key", str(KEY)]) == 4
    assert "Somebody else" in capsys.readouterr().out


def test_the_bundle_replays_to_the_digest_that_it_states(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert amanar.run(["replay", str(BUNDLE)]) == 0
    stated = json.loads((BUNDLE / "estimate.json").read_text(encoding="utf-8"))["digest"]
    assert f"Identical, {stated}" in capsys.readouterr().out


def test_the_certificate_leads_back_to_the_bundle() -> None:
    retirement = json.loads(CERTIFICATE.read_text(encoding="utf-8"))["retirement"]
    estimate = json.loads((BUNDLE / "estimate.json").read_text(encoding="utf-8"))
    assert retirement["report_digest"] == estimate["digest"]
    assert (retirement["kind"], estimate["environment"]) == ("demonstration", "sandbox")
    assert all(serial.startswith("SANDBOX-AMR-") for serial in retirement["serials"])
