"""The private PostgreSQL cluster survives what happens to it, or says what to do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from registry import cluster as cluster_module
from registry.cluster import (
    ADMIN_ROLE,
    APP_ROLE,
    DATABASE,
    DiskFull,
    SocketTaken,
    cluster_status,
    reset_cluster,
    start_cluster,
    stop_cluster,
    throwaway_cluster,
)
from registry.cluster_place import (
    SOCKET_NAME,
    SOCKET_PATH_BYTES,
    IncompatibleData,
    NotOurs,
    ProgramsMissing,
    find_programs,
    locate,
    system_home,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.cluster import Cluster

pytestmark = pytest.mark.database


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    """One cluster that every test may stop, kill and damage, and leaves running and whole."""
    with throwaway_cluster() as made:
        yield made


@pytest.fixture
def up(shared: Cluster) -> Cluster:
    return start_cluster(shared.directory)


@pytest.fixture
def fresh() -> Iterator[Path]:
    """A directory for a cluster of one test's own."""
    parent = Path(tempfile.mkdtemp(prefix="amanar-house-"))
    parent.chmod(0o755)
    yield parent / "pg"
    reset_cluster(parent / "pg")
    shutil.rmtree(parent)


def ask(cluster: Cluster, question: str, *, role: str = ADMIN_ROLE) -> object:
    with psycopg.connect(cluster.conninfo(role, DATABASE), autocommit=True) as connection:
        answer = connection.execute(question)
        row = answer.fetchone() if answer.description else None
    return row[0] if row else None


def pid_of(cluster: Cluster) -> int:
    pid = cluster_status(cluster.directory).pid
    assert pid is not None
    return pid


def kill_postmaster(cluster: Cluster) -> int:
    """Kill it as the kernel does when memory runs out, and wait until it is dead."""
    pid = pid_of(cluster)
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}/stat").exists() and cluster_status(cluster.directory).pid == pid:
        time.sleep(0.01)
    return pid


def test_a_commit_is_on_disk_when_it_returns(up: Cluster) -> None:
    durable = [ask(up, f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
    assert durable == ["on", "on"]


def test_it_listens_on_no_network_address(up: Cluster) -> None:
    assert ask(up, "SHOW listen_addresses") == ""


def test_both_extensions_are_there(up: Cluster) -> None:
    wanted = "SELECT count(*) FROM pg_extension WHERE extname IN ('postgis', 'btree_gist')"
    assert ask(up, wanted, role=APP_ROLE) == 2


def test_the_application_may_not_create_a_table(up: Cluster) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(up, "CREATE TABLE mine (a int)", role=APP_ROLE)


def test_only_its_user_can_enter_the_socket_directory(up: Cluster) -> None:
    info = up.socket_dir.stat()
    assert (info.st_mode & 0o777, info.st_uid) == (0o700, locate(up.directory).user.uid)


def test_postgresql_never_runs_as_root(up: Cluster) -> None:
    owner = Path(f"/proc/{pid_of(up)}").stat().st_uid
    assert owner != 0


def test_a_second_start_finds_the_running_server(up: Cluster) -> None:
    before = pid_of(up)
    start_cluster(up.directory)
    assert pid_of(up) == before


def test_rows_outlive_a_stop(up: Cluster) -> None:
    ask(up, "CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS answer")
    stop_cluster(up.directory)
    assert cluster_status(up.directory).state == "stopped"
    assert ask(start_cluster(up.directory), "SELECT answer FROM kept") == 42


def test_stopping_twice_says_that_nothing_ran(up: Cluster) -> None:
    assert [stop_cluster(up.directory), stop_cluster(up.directory)] == [True, False]


def test_a_killed_postmaster_recovers_with_what_was_committed(up: Cluster) -> None:
    ask(up, "CREATE TABLE IF NOT EXISTS survivor AS SELECT 7 AS answer")
    before = kill_postmaster(up)
    again = start_cluster(up.directory)
    assert ask(again, "SELECT answer FROM survivor") == 7
    assert pid_of(again) != before


def test_a_busy_orphan_of_a_killed_postmaster_does_not_block_the_start(up: Cluster) -> None:
    connection = psycopg.connect(up.conninfo(ADMIN_ROLE, DATABASE))
    loop = "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$"
    connection.pgconn.send_query(loop.encode())  # returns at once; nobody waits for the answer
    orphan = Path(f"/proc/{connection.info.backend_pid}")
    time.sleep(0.1)
    kill_postmaster(up)
    assert orphan.exists()
    again = start_cluster(up.directory)
    assert ask(again, "SELECT 1") == 1
    assert not (orphan / "cwd").exists()
    connection.close()


def test_a_pid_file_that_names_a_stranger_is_stale(up: Cluster) -> None:
    place = locate(up.directory)
    pid_file = place.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    stop_cluster(up.directory)
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    (place.socket_dir / SOCKET_NAME).touch()
    assert cluster_status(up.directory).state == "stopped"
    assert ask(start_cluster(up.directory), "SELECT 1") == 1


def test_a_socket_that_another_server_holds_is_named(up: Cluster) -> None:
    stop_cluster(up.directory)
    with throwaway_cluster() as other:
        lock = up.socket_dir / f"{SOCKET_NAME}.lock"
        lock.write_text((other.socket_dir / f"{SOCKET_NAME}.lock").read_text())
        lock.chmod(0o644)
        with pytest.raises(SocketTaken, match=r"Another server holds .*PGSQL.* Stop it"):
            start_cluster(up.directory)
    assert ask(start_cluster(up.directory), "SELECT 1") == 1


def test_a_full_disk_is_named_before_the_start(
    up: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_cluster(up.directory)
    monkeypatch.setattr(cluster_module, "START_BYTES", 10**18)
    with pytest.raises(DiskFull, match=r"has \d+ MB free .* Free some room there"):
        start_cluster(up.directory)


def test_a_full_disk_is_named_before_a_cluster_is_made(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "NEW_CLUSTER_BYTES", 10**18)
    with pytest.raises(DiskFull):
        start_cluster(fresh)
    assert cluster_status(fresh).state == "absent"


def test_data_of_another_version_are_refused_and_left_alone(up: Cluster) -> None:
    stop_cluster(up.directory)
    version = locate(up.directory).data / "PG_VERSION"
    right = version.read_text()
    version.write_text("9\n")
    with pytest.raises(IncompatibleData, match=r"made by PostgreSQL 9, installed is .*db reset"):
        start_cluster(up.directory)
    version.write_text(right)
    assert ask(start_cluster(up.directory), "SELECT 1") == 1


def test_a_fault_in_the_servers_settings_is_told_with_its_log(up: Cluster) -> None:
    stop_cluster(up.directory)
    conf = locate(up.directory).data / "postgresql.conf"
    right = conf.read_text()
    conf.write_text(right + "max_connections = plenty\n")
    with pytest.raises(cluster_module.StartFailed, match=r"max_connections.*postgres\.log"):
        start_cluster(up.directory)
    conf.write_text(right)


def test_missing_programs_are_named_with_their_packages(tmp_path: Path) -> None:
    with pytest.raises(ProgramsMissing, match=r"No PostgreSQL server .* postgresql-15-postgis-3"):
        find_programs(None, roots=(tmp_path,))


def test_a_server_without_postgis_is_not_enough(tmp_path: Path) -> None:
    for name, says in (("postgres", "postgres (PostgreSQL) 15.1"), ("pg_config", str(tmp_path))):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{says}'\n")
        program.chmod(0o755)
    with pytest.raises(ProgramsMissing, match="No PostGIS extension"):
        find_programs(None, roots=(tmp_path,))


def test_two_first_starts_at_once_make_one_cluster(fresh: Path) -> None:
    start = "import sys, pathlib; from registry.cluster import start_cluster;"
    start += "print(start_cluster(pathlib.Path(sys.argv[1])).app_url)"
    command = [sys.executable, "-c", start, str(fresh)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0] == answers[1] != ""


def test_a_killed_creation_is_begun_anew(fresh: Path) -> None:
    fresh.mkdir()
    half_made = locate(fresh).home / "data.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("15\n")
    assert ask(start_cluster(fresh), "SELECT 1") == 1


def test_a_clone_with_a_long_and_spaced_path_gets_a_short_socket(fresh: Path) -> None:
    deep = fresh.parent / ("a long name " * 6) / ("b" * 60) / "pg"
    made = start_cluster(deep)
    try:
        assert len(os.fsencode(made.socket_dir / SOCKET_NAME)) <= SOCKET_PATH_BYTES
        assert ask(made, "SELECT 1") == 1
    finally:
        reset_cluster(deep)
    assert not made.socket_dir.exists()


def test_a_squatted_socket_directory_is_refused(fresh: Path) -> None:
    deep = fresh.parent / ("c" * 110) / "pg"
    squatted = locate(deep).socket_dir
    squatted.touch()
    try:
        with pytest.raises(NotOurs, match=f"{squatted} belongs to"):
            start_cluster(deep)
    finally:
        squatted.unlink()


def test_a_closed_home_is_no_obstacle(fresh: Path) -> None:
    fresh.parent.chmod(0o700)
    made = start_cluster(fresh)
    assert ask(made, "SELECT 1") == 1
    # Root hands the server to another user, who cannot enter here; any other user stays inside.
    expected = system_home(fresh) if os.geteuid() == 0 else fresh
    assert cluster_status(fresh).home == expected
    assert fresh.is_symlink() == (os.geteuid() == 0)


def test_a_new_clone_in_the_place_of_a_removed_one_begins_anew(fresh: Path) -> None:
    fresh.parent.chmod(0o700)
    ask(start_cluster(fresh), "CREATE TABLE earlier ()")
    left = cluster_status(fresh).home
    stop_cluster(fresh)
    shutil.rmtree(fresh.parent)
    fresh.parent.mkdir(mode=0o700)
    try:
        assert ask(start_cluster(fresh), "SELECT to_regclass('earlier')") is None
        assert (left != cluster_status(fresh).home) == (os.geteuid() == 0)
        assert left.exists()  # what nobody asked to delete is not deleted
    finally:
        reset_cluster(fresh)
        shutil.rmtree(left, ignore_errors=True)


def test_a_reset_leaves_nothing(fresh: Path) -> None:
    made = start_cluster(fresh)
    home = cluster_status(fresh).home
    reset_cluster(fresh)
    assert [path.exists() for path in (fresh, home, made.socket_dir)] == [False, False, False]
    assert cluster_status(fresh).state == "absent"
