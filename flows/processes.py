"""Processes that we start and end: with our environment, never outliving us.

Imports registry's errors only. Order: starting, ending, ports, the environment.
The environment is read here for one purpose, to hand it on to the processes we start.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

from registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

STOP_WAIT_S = 15.0


class PortTaken(RegistryError):
    """Cannot listen on {host} port {port}: {reason}. End the program that has it, or choose another port with --port or AMANAR_PORT."""  # noqa: E501 (one message, one line)


@contextlib.contextmanager
def running(
    command: list[str],
    *,
    variables: Mapping[str, str],
    folder: Path | None = None,
    log: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the length of the block.

    It ends with the block, on Ctrl-C, and with this process however that dies (Linux).

    Parameters
    ----------
    variables
        Added to our own environment.
    folder
        Where it runs; None: where we are.
    log
        Takes its output; None: it writes where we write, its stdout to our stderr.
    """
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("wb")) if log else None
        process = subprocess.Popen(
            _dies_with_parent(command),
            env={**os.environ, **variables},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output or 2,
            stderr=output or 2,
            start_new_session=True,  # Ctrl-C reaches us, and we end it in order
        )
        try:
            yield process
        finally:
            _end(process)


def _dies_with_parent(command: list[str]) -> list[str]:
    """Wrap a command so that the kernel ends it when this process dies (Linux, prctl(2))."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", *command] if setpriv else command


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children: asked first, killed after a while."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_WAIT_S)
            return


def free_port(host: str = "127.0.0.1") -> int:
    """Ask the kernel for a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def listen(host: str, port: int) -> socket.socket:
    """Take a port before anything else is done; 0 takes a free one.

    Raises
    ------
    PortTaken
        With the fix.
    """
    taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
    except OSError as error:
        taken.close()
        raise PortTaken(host=host, port=port, reason=error.strerror) from error
    return taken


def near_hosts() -> str:
    """List the hosts that no proxy may be asked for: the user's own, and our loopback."""
    given = (os.environ.get("NO_PROXY"), os.environ.get("no_proxy"), "127.0.0.1,localhost")
    return ",".join(filter(None, given))


def enter_environment(variables: Mapping[str, str]) -> None:
    """Set variables of this very process, for a library that reads them when imported."""
    os.environ.update(variables)
