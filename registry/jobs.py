"""What happens without a person: sealing the log. Procrastinate tasks; imports services, adapters.

The queue's tables came with the first migration and lie in the registry's own database, so there
is no other server to run. Prefect measures; nothing here does, and nothing here approves.

Order: the work as plain functions, the queue's application, the worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrastinate import App, PsycopgConnector

from registry.adapters import signing
from registry.db import session_scope
from registry.services import log

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.settings import Settings
    from registry.tables.audit import Checkpoint

QUEUE = "log"
SEAL_EVERY = "* * * * * */5"
"""Cron, the seconds last (croniter): each fifth second. A certificate waits no longer."""


# --- the work ------------------------------------------------------------------------------------


def seal_log(session: Session, settings: Settings) -> Checkpoint | None:
    """Seal the log with the registry's key; see `services.log.seal`. Safe to repeat."""
    key = signing.signing_key(settings)
    return log.seal(
        session,
        signer=log.Signer(
            origin=settings.log_origin,
            public_key=key.public_key().public_bytes_raw(),
            sign=key.sign,
        ),
    )


def seal_now(settings: Settings) -> Checkpoint | None:
    """Seal the log in a transaction of its own."""
    with session_scope(settings) as session:
        return seal_log(session, settings)


# --- the queue -----------------------------------------------------------------------------------


def make_app(settings: Settings) -> App:
    """Make the queue's application on the registry's database, with every task.

    Tasks: `seal_log`, by the clock and whenever somebody defers it; at most one waits.
    """
    app = App(connector=PsycopgConnector(conninfo=_conninfo(settings)))

    @app.periodic(cron=SEAL_EVERY)
    @app.task(name="seal_log", queue=QUEUE, queueing_lock="seal_log", lock="seal_log")
    def _seal_log(timestamp: int) -> None:
        del timestamp  # the clock's, given by the queue; sealing takes what is there
        seal_now(settings)

    return app


def _conninfo(settings: Settings) -> str:
    """Give the database's address as psycopg itself reads it."""
    return settings.url().replace("postgresql+psycopg://", "postgresql://", 1)


# --- the worker ----------------------------------------------------------------------------------


def run_worker(
    settings: Settings, *, wait: bool = True, install_signal_handlers: bool = True
) -> None:
    """Work on the queue: for ever, or (`wait=False`) until nothing is left to do.

    Blocking. Run it in a process of its own, or in a thread without signal handlers. Several may
    run at once. Finished jobs are deleted: the log itself is the record.
    """
    app = make_app(settings)
    app.run_worker(
        queues=[QUEUE],
        wait=wait,
        install_signal_handlers=install_signal_handlers,
        delete_jobs="successful",
    )
