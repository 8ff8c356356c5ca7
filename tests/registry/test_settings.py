"""Defaults are safe for a developer and refused in production."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from registry.errors import SettingMissing
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
