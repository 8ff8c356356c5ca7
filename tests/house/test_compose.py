"""compose.yaml and prefect.yaml keep step with the settings, the commands and the locks."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml

import amanar
from registry.settings import ROOT, Settings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"] == "amanar:local"}
PREFECT: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))


def filled(text: str) -> str:
    """Put a password where a variable is asked for."""
    return re.sub(
        r"\$\{(\w+)[^}]*\}", lambda found: f"a-{found.group(1)}-of-some-length", str(text)
    )


def variables(service: str) -> dict[str, str]:
    return {name: filled(value) for name, value in OURS[service]["environment"].items()}


def test_the_four_parts_and_the_migration_are_there() -> None:
    assert set(SERVICES) == {"database", "migrate", "api", "prefect", "worker"}


@pytest.mark.parametrize("service", sorted(OURS))
def test_every_variable_of_ours_is_a_setting(service: str) -> None:
    fields = {f"AMANAR_{name.upper()}" for name in Settings.model_fields}
    ours = {name for name in OURS[service]["environment"] if name.startswith("AMANAR_")}
    assert ours <= fields


@pytest.mark.parametrize("service", sorted(OURS))
def test_the_settings_take_the_variables(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables(service).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.url().startswith("postgresql+psycopg://amanar_app:")
    assert settings.prefect_api_url == variables(service)["PREFECT_API_URL"]
    assert settings.prefect_database_url != settings.database_url


@pytest.mark.parametrize("service", ["api", "prefect", "worker"])
def test_only_the_migration_knows_the_owner(service: str) -> None:
    assert "AMANAR_DATABASE_OWNER_URL" not in OURS[service]["environment"]
    assert "AMANAR_DATABASE_OWNER_URL" in OURS["migrate"]["environment"]


def test_prefect_sends_nothing_home() -> None:
    assert variables("prefect")["DO_NOT_TRACK"] == "1"
    assert variables("prefect")["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


def test_the_commands_exist() -> None:
    known = {command.callback.__name__ for command in amanar.app.registered_commands
             if command.callback}  # fmt: skip
    known |= {f"db {command.callback.__name__}" for command in amanar.database.registered_commands
              if command.callback}  # fmt: skip
    used = [one["command"][1:] for one in OURS.values() if one["command"][0] == "amanar"]
    for words in used:
        assert " ".join(words[:2]) in known or words[0] in known


def test_the_image_uses_the_pinned_uv() -> None:
    script = (ROOT / "scripts" / "environment.sh").read_text(encoding="utf-8")
    pinned = re.search(r"UV_VERSION=(\S+)", script)
    assert pinned is not None
    assert f"uv=={pinned.group(1)} " in COMPOSE["x-amanar"]["build"]["dockerfile_inline"]


def test_the_image_holds_every_room() -> None:
    recipe = COMPOSE["x-amanar"]["build"]["dockerfile_inline"]
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert rooms == {"api", "flows", "geo", "registry"}
    assert all(f"COPY {room} ./{room}" in recipe for room in (*rooms, "data"))


def test_ports_are_open_on_the_loopback_only() -> None:
    assert SERVICES["api"]["ports"] == ["127.0.0.1:8321:8321"]
    assert all("ports" not in one for name, one in SERVICES.items() if name != "api")


def test_prefect_yaml_names_the_locked_prefect() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    locked = {package["name"]: package.get("version") for package in lock["package"]}
    assert PREFECT["prefect-version"] == locked["prefect"]


def test_each_deployment_names_a_flow_that_is_there() -> None:
    for deployment in PREFECT["deployments"]:
        path, _, name = deployment["entrypoint"].partition(":")
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")
