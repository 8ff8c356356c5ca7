"""Holding a monitoring request while it is measured: heartbeats, progress, losing it.

Imports registry.services.monitoring and registry.db. A lease is kept by a thread of its own, for
one long array computation may take longer than the lease lasts.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from registry.db import session_scope
from registry.errors import LeaseLost, NotFound
from registry.services import monitoring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from registry.settings import Settings

LEASE_S = 60.0
"""A killed worker's request is given out again after that long."""

BEATS_A_LEASE = 4
PROGRESS_EVERY_S = 1.0
_LOG = logging.getLogger("amanar.work")


@dataclass
class Lease:
    """One request, held by one worker."""

    settings: Settings
    worker: str
    request_id: UUID
    seconds: float
    lost: threading.Event = field(default_factory=threading.Event)
    _told_at: float = 0.0

    def tell(self, message: str) -> None:
        """Say what is done now: to the log, and at most once a second to those who wait.

        Raises
        ------
        LeaseLost
            If another worker has the request by now: stop working.
        """
        if self.lost.is_set():
            raise LeaseLost(worker=self.worker, request_id=self.request_id)
        _LOG.info("%s", message)
        if time.monotonic() - self._told_at < PROGRESS_EVERY_S:
            return
        self._told_at = time.monotonic()
        with session_scope(self.settings) as session:
            monitoring.note_progress(
                session, worker=self.worker, request_id=self.request_id, message=message
            )

    def beat(self) -> None:
        """Keep the lease for another while."""
        with session_scope(self.settings) as session:
            monitoring.heartbeat(
                session,
                worker=self.worker,
                request_id=self.request_id,
                lease_seconds=self.seconds,
            )


_held: ContextVar[Lease] = ContextVar("lease")


def held() -> Lease:
    """Give the lease that the running flow keeps; tasks are handed URIs, not leases."""
    return _held.get()


@contextlib.contextmanager
def kept(lease: Lease) -> Iterator[Lease]:
    """Keep a lease alive for the length of the block."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(lease.seconds / BEATS_A_LEASE):
            try:
                lease.beat()
            except (LeaseLost, NotFound):
                lease.lost.set()
                return
            except SQLAlchemyError:
                # The database may be away for a moment; the lease's own end is the judge.
                _LOG.exception("a heartbeat failed, trying again")

    thread = threading.Thread(target=keep, name="lease", daemon=True)
    thread.start()
    token = _held.set(lease)
    try:
        yield lease
    finally:
        _held.reset(token)
        over.set()
        thread.join()
