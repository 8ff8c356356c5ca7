"""The bundle that we ship, altered: replay names what was altered, with no database."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "data" / "samples" / "bundle"


def amanar(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "amanar.py", *arguments],
        env={
            "PATH": "/usr/bin:/bin",
            "AMANAR_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("field", ["net", "creditable"])
def test_one_changed_number_is_named(tmp_path: Path, field: str) -> None:
    changed = Path(shutil.copytree(BUNDLE, tmp_path / "bundle"))
    path = changed / "estimate.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["removals_tco2e"][field] += 1
    path.write_text(json.dumps(document), encoding="utf-8")
    again = amanar("replay", changed)
    assert again.returncode not in {0, 1, 2}
    assert f"removals_tco2e.{field}" in again.stdout


def test_one_changed_input_is_named(tmp_path: Path) -> None:
    changed = Path(shutil.copytree(BUNDLE, tmp_path / "bundle"))
    path = next(changed.glob("inputs/*/B04.tif"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    again = amanar("replay", changed)
    assert again.returncode not in {0, 1, 2}
    assert path.relative_to(changed).as_posix() in again.stdout
