"""Defaults are safe for a developer and refused in production."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from registry.errors import SecretUnsafe, SettingMissing
from registry.private_files import secret_of
from registry.settings import Settings

PRODUCTION: dict[str, Any] = {
    "environment": "production",
    "database_url": "postgresql://amanar_app@db/amanar",
    "database_owner_url": "postgresql://amanar_owner@db/amanar",
    "secret_key": "0123456789abcdef0123456789abcdef",
    "log_origin": "amanar-production/registry.example",
    "signing_key_file": Path("/etc/amanar/key.pem"),
}


def test_the_defaults_are_a_sandbox_on_this_machine() -> None:
    defaults = Settings()
    assert (defaults.environment, defaults.host) == ("sandbox", "127.0.0.1")


def test_a_whole_production_is_accepted() -> None:
    assert Settings(**PRODUCTION).environment == "production"


@pytest.mark.parametrize("name", [name for name in PRODUCTION if name != "environment"])
def test_production_refuses_each_default(name: str) -> None:
    left = {key: value for key, value in PRODUCTION.items() if key != name}
    with pytest.raises(ValidationError, match=f"AMANAR_{name.upper()}"):
        Settings(**left)


def test_production_refuses_the_owner_as_the_application() -> None:
    with pytest.raises(ValidationError, match="must not be the owner's"):
        Settings(**(PRODUCTION | {"database_url": PRODUCTION["database_owner_url"]}))


def test_production_refuses_a_sandboxs_log() -> None:
    with pytest.raises(ValidationError, match="must begin with amanar-production/"):
        Settings(**(PRODUCTION | {"log_origin": "amanar-sandbox/registry.example"}))


def test_a_short_secret_is_refused_everywhere() -> None:
    with pytest.raises(ValidationError, match="at least 32 bytes"):
        Settings(secret_key="short")


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMANAR_PORT", "9000")
    monkeypatch.setenv("AMANAR_DATABASE_URL", "postgres://amanar_app@db/amanar")
    read = Settings()
    assert (read.port, read.url()) == (9000, "postgresql+psycopg://amanar_app@db/amanar")


def test_what_is_missing_is_named() -> None:
    for ask in (Settings().url, Settings().owner_url):
        with pytest.raises(SettingMissing, match="Set AMANAR_DATABASE_"):
            ask()


def test_the_secret_is_not_printed() -> None:
    assert PRODUCTION["secret_key"] not in repr(Settings(**PRODUCTION))


# --- the secret of a sandbox --------------------------------------------------------------------


def test_a_given_secret_is_the_one_that_signs(tmp_path: Path) -> None:
    given = Settings(secret_key=PRODUCTION["secret_key"], state_dir=tmp_path)
    assert secret_of(given) == PRODUCTION["secret_key"]
    assert not list(tmp_path.iterdir())


def test_each_sandbox_has_a_secret_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    one, other = (Settings(state_dir=tmp_path / name) for name in ("one", "other"))
    assert secret_of(one) == secret_of(Settings(state_dir=tmp_path / "one"))
    assert secret_of(one) != secret_of(other)
    assert len(secret_of(one)) == 64
    (file,) = (tmp_path / "one").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_processes_that_begin_together_agree_on_the_secret(tmp_path: Path) -> None:
    program = (
        "from registry.settings import Settings; from registry.private_files import secret_of;"
        "print(secret_of(Settings()))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=os.environ | {"AMANAR_STATE_DIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    said = {process.communicate()[0].strip() for process in running}
    assert said == {secret_of(Settings(state_dir=tmp_path))}


@pytest.mark.parametrize(("mode", "text"), [(0o644, "x" * 64), (0o600, "")])
def test_a_secret_that_is_none_is_refused(tmp_path: Path, mode: int, text: str) -> None:
    file = tmp_path / "session-secret"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(SecretUnsafe, match="Remove it"):
        secret_of(Settings(state_dir=tmp_path))
