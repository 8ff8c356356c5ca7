"""Taking monitoring requests one after the other, under a Prefect server of our own.

Imports registry and the other files of this room; Prefect late, once its environment is set.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from typing import TYPE_CHECKING

from sqlalchemy import text

from flows.prefect_server import in_prefect
from registry.db import engine
from registry.settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.settings import Settings

POLL_S = 1.0
COUNT_EVERY_S = 2.0
_COUNT = re.compile(r"\d+ of \d+")


def work(settings: Settings, *, once: bool, progress: Callable[[str], None]) -> int:
    """Measure waiting requests, for ever or (`once`) until none waits.

    A Prefect server is started with the first request and ended with the work, unless the
    settings name a standing one.

    Returns
    -------
    How many requests were taken.
    """
    os.chdir(ROOT)  # a catalog's path is read from the clone's root, wherever we were started
    taken = 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(_told(progress))
        while True:
            if waiting(settings):
                if taken == 0:
                    progress("starting Prefect")
                    stack.enter_context(in_prefect(settings))
                _run_one()
                taken += 1
            elif once:
                return taken
            else:
                time.sleep(POLL_S)


def waiting(settings: Settings) -> bool:
    """Tell whether a request waits for a worker: queued, or left by one that died."""
    with engine(settings).connect() as connection:
        return bool(connection.execute(text(_WAITING)).scalar_one())


_WAITING = """
SELECT EXISTS (SELECT FROM monitoring_request
               WHERE state = 'queued' OR (state = 'running' AND leased_until < clock_timestamp()))
"""


def _run_one() -> None:
    """Run the flow once; what went wrong stands on the request, the work goes on."""
    from flows.monitor_area import monitor_area  # noqa: PLC0415 (Prefect reads its environment)

    state = monitor_area(return_state=True)
    if state.is_failed():
        logging.getLogger("amanar.work").warning("%s", state.message)


@contextlib.contextmanager
def _told(progress: Callable[[str], None]) -> Iterator[None]:
    """Bring what the work says to whoever started it."""
    log = logging.getLogger("amanar.work")
    handler = _Teller(progress)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False  # Prefect's own handlers would say it again
    try:
        yield
    finally:
        log.propagate = True
        log.removeHandler(handler)


class _Teller(logging.Handler):
    """Hands lines to a function; of a long count only one line in a while."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        super().__init__()
        self._progress = progress
        self._counted_at = -COUNT_EVERY_S

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if _COUNT.search(message):
            if time.monotonic() - self._counted_at < COUNT_EVERY_S:
                return
            self._counted_at = time.monotonic()
        self._progress(message)
