"""A Prefect server of our own: offline, no telemetry, started and stopped by us.

Imports httpx, processes and `registry.settings`; never Prefect itself, which reads its environment
when it is first imported. Order: the environment, this process, the server.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

import httpx

from flows.processes import enter_environment, free_port, near_hosts, running
from registry.errors import RegistryError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from registry.settings import Settings

START_WAIT_S = 180.0
"""A first start migrates Prefect's database: 13 s measured on 2 cores, more on a busy machine."""


class PrefectNotStarted(RegistryError):
    """Prefect's server did not start within {waited_s:.0f} s: {reason}. The details are in {log}."""  # noqa: E501 (one message, one line)


def prefect_environment(settings: Settings, *, api_url: str | None = None) -> dict[str, str]:
    """Give the variables of every Prefect process of ours.

    Nothing leaves the machine: no telemetry (the first two), no fall-back server, no profile of
    the user's own, no proxy between us and our own server.
    """
    home = settings.state_dir.absolute() / "prefect"
    sqlite = f"sqlite+aiosqlite:///{home / 'prefect.db'}"
    given = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": settings.prefect_database_url or sqlite,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_CLI_PROMPT": "false",
        "NO_PROXY": near_hosts(),
        "no_proxy": near_hosts(),
    }
    return given | ({"PREFECT_API_URL": api_url} if api_url else {})


@contextlib.contextmanager
def in_prefect(settings: Settings) -> Iterator[None]:
    """Make this process one that runs flows: on the server that the settings name, or our own.

    Enter it before Prefect is first imported. The variables stay: Prefect reads them only once.
    """
    with contextlib.ExitStack() as stack:
        api_url = settings.prefect_api_url or stack.enter_context(prefect_server(settings))
        enter_environment(prefect_environment(settings, api_url=api_url) | settings.variables())
        yield


@contextlib.contextmanager
def prefect_server(settings: Settings) -> Iterator[str]:
    """Run a Prefect server for the length of the block; give its API's address.

    It listens on a free port of the loopback only.

    Raises
    ------
    PrefectNotStarted
        If it ends early or does not answer in time.
    """
    home = settings.state_dir.absolute() / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    api_url = f"http://127.0.0.1:{port}/api"
    log = home / "server.log"
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with running(command, variables=prefect_environment(settings), log=log) as process:
        _await_health(process, api_url, log=log)
        yield api_url


def _await_health(process: subprocess.Popen[bytes], api_url: str, *, log: Path) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + START_WAIT_S
    reason = "it does not answer"
    with httpx.Client(timeout=5.0, trust_env=False) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                reason = f"it ended with code {process.returncode}"
                break
            with contextlib.suppress(httpx.TransportError):
                if client.get(f"{api_url}/health").is_success:
                    return
            time.sleep(0.2)
    raise PrefectNotStarted(waited_s=START_WAIT_S, reason=reason, log=log)
