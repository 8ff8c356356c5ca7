"""The private PostgreSQL cluster: start, stop, ask, forget; sockets only, never the system's.

May import `registry.cluster_place`, `registry.settings`, errors and psycopg (late). Order: faults,
values, the four commands, settings with a database, a throw-away cluster, the steps of starting.

Every command may be repeated and run twice at once (a file lock); a killed server or a killed
command is repaired by the next `start_cluster`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from registry.cluster_place import (
    SOCKET_NAME,
    ClusterError,
    IncompatibleData,
    NotOurs,
    Place,
    find_programs,
    locate,
    prepare_place,
    system_home,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.settings import Settings

NEW_CLUSTER_BYTES = 300_000_000
"""Room asked for before a cluster is made: 40 MB of templates, 2 databases, 80 MB of WAL."""

START_BYTES = 50_000_000
"""Room asked for before a start: recovery writes at least one 16 MB segment of WAL."""

LOCK_WAIT_S = 180.0
START_WAIT_S = 120
OWNER_ROLE = "amanar_owner"
APP_ROLE = "amanar_app"
PREFECT_ROLE = "amanar_prefect"
ADMIN_ROLE = "postgres"
DATABASE = "amanar"
PREFECT_DATABASE = "prefect"
_READY_LINE = 7
"""Zero-based line of postmaster.pid that says "ready" (PostgreSQL 10 and later)."""

SETTINGS = """\
# Written by Amanar at every start; edits are lost.
listen_addresses = ''
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
port = 5432
max_connections = 100
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
idle_in_transaction_session_timeout = '10min'
"""


class DiskFull(ClusterError):
    """The disk of {path} has {free_mb} MB free and the database needs {wanted_mb} MB. Free some room there and run the command again; what was committed is safe."""  # noqa: E501 (one message, one line)


class SocketTaken(ClusterError):
    """Another server holds the socket {socket}. Stop it (its process id is in {socket}.lock) and run the command again."""  # noqa: E501


class ClusterBusy(ClusterError):
    """Another Amanar command has been starting or stopping this cluster for {seconds:.0f} s. Wait for it, or end the process that holds {lock}."""  # noqa: E501


class StartFailed(ClusterError):
    """PostgreSQL did not {action}: {reason} The details are in {log}."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster and the addresses of its databases (psycopg 3 unless said)."""

    directory: Path
    socket_dir: Path

    @property
    def admin_url(self) -> str:
        """Superuser of the cluster: makes databases and extensions, for set-up and tests."""
        return self.url(ADMIN_ROLE, DATABASE)

    @property
    def owner_url(self) -> str:
        """Owner of the database `amanar`: migrates it."""
        return self.url(OWNER_ROLE, DATABASE)

    @property
    def app_url(self) -> str:
        """Restricted role that the application connects as."""
        return self.url(APP_ROLE, DATABASE)

    @property
    def prefect_url(self) -> str:
        """Prefect's own database (asyncpg)."""
        return self.url(PREFECT_ROLE, PREFECT_DATABASE, driver="asyncpg")

    def url(self, role: str, database: str, *, driver: str = "psycopg") -> str:
        """Give the SQLAlchemy address of `database` as `role`."""
        host = quote(str(self.socket_dir), safe="/")
        return f"postgresql+{driver}://{role}@/{database}?host={host}&port=5432"

    def conninfo(self, role: str, database: str) -> str:
        """Give the libpq address, as psql and psycopg take it."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql://{role}@/{database}?host={host}&port=5432"


@dataclass(frozen=True)
class ClusterStatus:
    """What is known of a cluster without starting it."""

    state: Literal["absent", "stopped", "running"]
    home: Path
    pid: int | None
    major_version: str | None
    disk_bytes: int | None


def start_cluster(directory: Path) -> Cluster:
    """Make the cluster of `directory` if there is none, start it if it is down; safe to repeat.

    Raises
    ------
    ClusterError
        With a sentence that names what is in the way and how to mend it.
    """
    with _locked(directory):
        place = prepare_place(directory)
        cluster = Cluster(directory=directory, socket_dir=place.socket_dir)
        if _await_ready(place) is None:
            _clear_remains(place)
            programs = find_programs(place.major_version)
            if place.major_version is None:
                _create(place, programs)
            _start(place, programs)
        if not place.prepared.exists():
            _prepare(cluster, place)
            place.prepared.write_text("roles, databases and extensions exist\n")
        return cluster


def stop_cluster(directory: Path, *, mode: Literal["fast", "immediate"] = "fast") -> bool:
    """Stop the cluster of `directory`; False where none was running."""
    with _locked(directory):
        place = locate(directory)
        if _running_pid(place) is None:
            return False
        programs = find_programs(place.major_version)
        stopped = _run(place, programs / "pg_ctl", "stop", "-D", place.data, "-m", mode, "-w")
        if stopped.returncode != 0:
            raise StartFailed(action="stop", reason=stopped.stderr.strip(), log=place.log)
        return True


def reset_cluster(directory: Path) -> None:
    """Stop the cluster and delete it with everything in it. There is no way back."""
    stop_cluster(directory, mode="immediate")
    with _locked(directory):
        place = locate(directory)
        _clear_remains(place)
        for path in (place.socket_dir, place.home):
            if path.exists():
                shutil.rmtree(path)
        if directory.is_symlink():
            directory.unlink()


def cluster_status(directory: Path) -> ClusterStatus:
    """Look at the cluster of `directory`; changes nothing."""
    place = locate(directory)
    pid = _running_pid(place)
    version = place.major_version
    if version is None:
        return ClusterStatus("absent", place.home, None, None, None)
    size = sum(_size(path) for path in place.home.rglob("*"))
    state: Literal["stopped", "running"] = "stopped" if pid is None else "running"
    return ClusterStatus(state, place.home, pid, version, size)


def with_database(settings: Settings) -> Settings:
    """Give settings that name a database: the given one, or this clone's, started if needed."""
    if settings.database_url is not None:
        return settings
    cluster = start_cluster(settings.state_dir / "pg")
    found = {
        "database_url": cluster.app_url,
        "database_owner_url": cluster.owner_url,
        "prefect_database_url": settings.prefect_database_url or cluster.prefect_url,
    }
    return settings.model_copy(update=found)


@contextlib.contextmanager
def throwaway_cluster() -> Iterator[Cluster]:
    """Run a durable (fsync on) cluster in a fresh directory, deleted at the end."""
    directory = Path(tempfile.mkdtemp(prefix="amanar-"))
    directory.chmod(0o755)  # the server's user has to reach the home inside it
    try:
        yield start_cluster(directory / "pg")
    finally:
        reset_cluster(directory / "pg")
        shutil.rmtree(system_home(directory / "pg"), ignore_errors=True)
        shutil.rmtree(directory)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let one command at a time change this cluster."""
    lock = directory.absolute().with_name(directory.name + ".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError as error:
        raise NotOurs(path=lock, owner=lock.owner(), user=str(os.geteuid())) from error
    try:
        deadline = time.monotonic() + LOCK_WAIT_S
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise ClusterBusy(seconds=LOCK_WAIT_S, lock=lock)
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Take the lock if nobody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _await_ready(place: Place) -> int | None:
    """Give the process id of the postmaster, waiting for one that is still recovering."""
    deadline = time.monotonic() + START_WAIT_S
    while (pid := _running_pid(place)) is not None and time.monotonic() < deadline:
        if _pid_file(place)[_READY_LINE:][:1] == ["ready"] and _answers(place):
            return pid
        time.sleep(0.05)
    return None


def _answers(place: Place) -> bool:
    """Tell whether somebody listens on the socket (a killed server leaves its pid file "ready")."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(place.socket_dir / SOCKET_NAME)) == 0


def _running_pid(place: Place) -> int | None:
    """Give the process id of this cluster's postmaster, or None where none is alive.

    A process id in a stale file may belong to anybody by now, so it counts only where that
    process works in our data directory, as a postmaster always does.
    """
    lines = _pid_file(place)
    pid = int(lines[0]) if lines and lines[0].isdigit() else 0
    return pid if pid in _processes(place) else None


def _pid_file(place: Place) -> list[str]:
    """Read the lines of the postmaster's pid file; none where there is no file."""
    try:
        text = (place.data / "postmaster.pid").read_text()
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [line.strip() for line in text.splitlines()]


def _processes(place: Place) -> list[int]:
    """List the processes that work in this data directory: server, backends, orphans."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            if (entry / "cwd").readlink() == place.data and _is_server(entry):
                found.append(int(entry.name))
    return found


def _is_server(entry: Path) -> bool:
    """Tell a living PostgreSQL process from others and from a dead one nobody has reaped."""
    facts = (entry / "stat").read_text()  # "pid (name) state ...", proc(5)
    name, _, rest = facts.partition("(")[2].rpartition(")")
    return name == "postgres" and rest.split()[0] not in {"Z", "X"}


def _clear_remains(place: Place) -> None:
    """Remove what a killed server left: orphaned backends, its pid file, its socket.

    Orphans hold the shared memory and would make the next start fail; they get SIGQUIT, the
    server's own immediate shutdown, from which it recovers by its write-ahead log.
    """
    deadline = time.monotonic() + START_WAIT_S
    while orphans := _processes(place):
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)
        if time.monotonic() > deadline:
            raise StartFailed(
                action="start", reason=f"Processes {orphans} do not end.", log=place.log
            )
        time.sleep(0.05)
    (place.data / "postmaster.pid").unlink(missing_ok=True)
    listening = place.socket_dir / SOCKET_NAME
    lock = listening.with_name(SOCKET_NAME + ".lock")
    if not _names_living_server(lock):
        lock.unlink(missing_ok=True)
        listening.unlink(missing_ok=True)


def _names_living_server(lock: Path) -> bool:
    """Tell whether a socket's lock file names a server that is alive."""
    try:
        return _is_server(Path("/proc") / lock.read_text().split("\n", 1)[0].strip())
    except OSError:
        return False


def _create(place: Place, programs: Path) -> None:
    """Make the data directory: complete under its name, or not there at all."""
    _want_room(place, NEW_CLUSTER_BYTES)
    fresh = place.home / "data.new"
    if fresh.exists():
        shutil.rmtree(fresh)  # an earlier command was killed while making it
    place.prepared.unlink(missing_ok=True)
    fresh.mkdir(mode=0o700)
    place.user.own(fresh)
    options = ("--encoding=UTF8", "--locale=C.UTF-8", f"--username={ADMIN_ROLE}")
    access = ("--auth-local=trust", "--auth-host=reject")  # the socket's directory is 0700
    made = _run(place, programs / "initdb", "-D", fresh, *options, *access)
    if made.returncode != 0:
        shutil.rmtree(fresh)
        _want_room(place, START_BYTES)
        raise StartFailed(action="make its files", reason=made.stderr.strip(), log=place.log)
    with (fresh / "postgresql.conf").open("a") as conf:
        conf.write("include '../amanar.conf'\n")
    fresh.rename(place.data)


def _start(place: Place, programs: Path) -> None:
    """Start the server and wait until it answers."""
    _want_room(place, START_BYTES)
    place.settings.write_text(SETTINGS.format(socket_dir=place.socket_dir))
    place.settings.chmod(0o644)
    place.log.touch()
    place.user.own(place.log)
    before = place.log.stat().st_size
    started = _run(
        place, programs / "pg_ctl", "start", "-D", place.data, "-l", place.log, "-s", "-w",
        "-t", START_WAIT_S,
    )  # fmt: skip
    if started.returncode != 0:
        with place.log.open(errors="replace") as log:
            log.seek(before)
            _explain(place, programs, log.read() + started.stderr)


def _explain(place: Place, programs: Path, text: str) -> None:
    """Turn what the server said into a sentence with the fix."""
    if "No space left on device" in text:
        _want_room(place, shutil.disk_usage(place.home).free + START_BYTES)
    if "could not bind Unix address" in text or f'{SOCKET_NAME}.lock" already exists' in text:
        raise SocketTaken(socket=place.socket_dir / SOCKET_NAME)
    if "incompatible with" in text:
        made_by = place.major_version
        raise IncompatibleData(data=place.data, made_by=made_by, installed=programs.parent.name)
    said = re.findall(r"(?:LOG|ERROR|FATAL|PANIC):\s+(.+)", text)[-2:]
    reason = "; ".join(said or text.strip().splitlines()[-1:] or ["it gave no reason"])
    raise StartFailed(action="start", reason=f"{reason}.", log=place.log)


def _want_room(place: Place, wanted_bytes: int) -> None:
    """Refuse to start on a disk that is about to be full."""
    free = shutil.disk_usage(place.home).free
    if free < wanted_bytes:
        wanted_mb = wanted_bytes // 10**6
        raise DiskFull(path=place.home, free_mb=free // 10**6, wanted_mb=wanted_mb)


def _run(place: Place, *argv: object) -> subprocess.CompletedProcess[str]:
    """Run a program of the server as its user, with an environment of our own."""
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    command = place.user.command(*(str(part) for part in argv))
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=place.home
    )


def _prepare(cluster: Cluster, place: Place) -> None:
    """Make what the databases need; a fault on the way becomes a sentence."""
    import psycopg  # noqa: PLC0415 (late: status and stop need no driver)

    try:
        _make_databases(cluster)
    except psycopg.Error as error:
        _want_room(place, NEW_CLUSTER_BYTES)
        reason = str(error).partition("\n")[0]
        raise StartFailed(action="make its databases", reason=reason, log=place.log) from error


def _make_databases(cluster: Cluster) -> None:
    """Create roles, databases and extensions that are not there yet."""
    import psycopg  # noqa: PLC0415
    from psycopg import sql  # noqa: PLC0415

    def connect(database: str) -> psycopg.Connection:
        return psycopg.connect(cluster.conninfo(ADMIN_ROLE, database), autocommit=True)

    owners = {DATABASE: OWNER_ROLE, PREFECT_DATABASE: PREFECT_ROLE}
    with connect("postgres") as connection:
        roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role in {OWNER_ROLE, APP_ROLE, PREFECT_ROLE} - roles:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        names = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for name, owner in owners.items():
            if name not in names:
                create = sql.SQL("CREATE DATABASE {} OWNER {}")
                connection.execute(create.format(sql.Identifier(name), sql.Identifier(owner)))
    extensions = {DATABASE: ("postgis", "btree_gist"), PREFECT_DATABASE: ("pg_trgm",)}
    for name, wanted in extensions.items():
        with connect(name) as connection:
            for extension in wanted:
                statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {}")
                connection.execute(statement.format(sql.Identifier(extension)))


def _size(path: Path) -> int:
    """Give a file's size; 0 for what is gone meanwhile."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0
