"""Where a private PostgreSQL cluster lives, who runs it and with which programs.

May import the standard library and `registry.errors` only. Order: faults, place, server user,
programs.

PostgreSQL refuses to run as root, and a Unix socket's path has at most 107 bytes. So when root
starts the cluster it runs as an unprivileged user, and where that user cannot reach the wanted
directory (a clone in a home with mode 0700) the files live in `/var/lib/amanar/<hash>` and the
wanted directory becomes a symbolic link to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import pwd
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from registry.errors import RegistryError

SOCKET_NAME = ".s.PGSQL.5432"
"""The cluster listens on sockets only, so the port is no more than a file name."""

SOCKET_PATH_BYTES = 107
"""Longest path of a Unix socket: `sun_path` has 108 bytes with the final NUL (Linux, unix(7))."""

SYSTEM_ROOT = Path("/var/lib/amanar")
SERVER_USER = "postgres"
"""The user that the distribution's PostgreSQL package makes; used when root starts a cluster."""

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")


class ClusterError(RegistryError):
    """The private database cluster cannot do what was asked."""


class ProgramsMissing(ClusterError):
    """No {wanted} found in {looked_in}. Run "make setup", or "apt-get install postgresql-15 postgresql-15-postgis-3", or name an existing PostGIS in AMANAR_DATABASE_URL."""  # noqa: E501 (one message, one line)


class IncompatibleData(ClusterError):
    """The data in {data} were made by PostgreSQL {made_by}, installed is {installed}. Install postgresql-{made_by} with its PostGIS, or give the data up with "amanar db reset"."""  # noqa: E501


class NotOurs(ClusterError):
    """{path} belongs to {owner}, not to {user}. Run this as {owner} or root, or remove {path}."""


@dataclass(frozen=True)
class ServerUser:
    """The operating-system user that PostgreSQL runs as."""

    name: str
    uid: int
    gid: int

    def command(self, *argv: str | Path) -> list[str]:
        """Give the command line that runs `argv` as this user."""
        plain = [str(part) for part in argv]
        if os.geteuid() == self.uid:
            return plain
        become = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups"]
        return [*become, *plain]

    def own(self, path: Path) -> None:
        """Give `path` to this user."""
        if os.geteuid() != self.uid:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True)
class Place:
    """The files of one cluster."""

    home: Path
    """Real directory that holds everything below; never a symbolic link."""
    socket_dir: Path
    user: ServerUser

    @property
    def data(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.home / "postgres.log"

    @property
    def settings(self) -> Path:
        """Our settings, included by postgresql.conf."""
        return self.home / "amanar.conf"

    @property
    def prepared(self) -> Path:
        """Present once roles, databases and extensions exist."""
        return self.home / "prepared"

    @property
    def major_version(self) -> str | None:
        """Major version that made the data, or None where there are none."""
        try:
            return (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return None


def locate(directory: Path) -> Place:
    """Say where the cluster of `directory` lives; changes nothing on disk."""
    wanted = directory.absolute()
    home = wanted.resolve()
    user = _server_user(home)
    return Place(home=home, socket_dir=_socket_dir(home), user=user)


def prepare_place(directory: Path) -> Place:
    """Make the directories of the cluster of `directory`; safe to repeat.

    Raises
    ------
    NotOurs
        If the directory or the socket directory belongs to somebody else.
    """
    wanted = directory.absolute()
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        _point_to_system_root(wanted)
    wanted.mkdir(exist_ok=True)
    place = locate(wanted)
    if os.geteuid() != 0:
        _refuse_foreign(place.home, {os.geteuid()})
    with contextlib.suppress(FileExistsError):  # also a file or a link, which is refused below
        place.socket_dir.mkdir(mode=0o700)
    _refuse_foreign(place.socket_dir, {os.geteuid(), place.user.uid})
    place.socket_dir.chmod(0o700)
    place.user.own(place.socket_dir)
    return place


def system_home(directory: Path) -> Path:
    """Name the place below /var/lib for a cluster wanted in `directory`."""
    return SYSTEM_ROOT / _short_hash(directory.absolute())


def find_programs(made_by: str | None, *, roots: tuple[Path, ...] = ()) -> Path:
    """Find the directory of PostgreSQL's programs, the newest that has PostGIS.

    Parameters
    ----------
    made_by
        Major version of existing data, which alone can open them; None for a new cluster.
    roots
        Directories to look in instead of the distribution's and PATH.

    Raises
    ------
    ProgramsMissing
        If there is no server, or none with PostGIS.
    IncompatibleData
        If there is a server, but of another major version than the data.
    """
    looked_in = roots or _program_roots()
    found = {_major(path): path for path in looked_in if (path / "postgres").exists()}
    if not found:
        places = ", ".join(str(path) for path in looked_in) or "/usr/lib/postgresql or PATH"
        raise ProgramsMissing(wanted="PostgreSQL server", looked_in=places)
    if made_by is not None and made_by not in found:
        installed = ", ".join(sorted(found))
        raise IncompatibleData(data="this cluster", made_by=made_by, installed=installed)
    majors = [made_by] if made_by is not None else sorted(found, key=int, reverse=True)
    for major in majors:
        if _has_postgis(found[major]):
            return found[major]
    places = ", ".join(str(found[major]) for major in majors)
    raise ProgramsMissing(wanted="PostGIS extension", looked_in=places)


def _program_roots() -> tuple[Path, ...]:
    """List program directories: the distribution's layout first, then PATH."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    on_path = shutil.which("postgres")
    return (*packaged, Path(on_path).resolve().parent) if on_path else tuple(packaged)


def _major(programs: Path) -> str:
    """Ask the server program for its major version."""
    answer = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    match = re.search(r"(\d+)", answer.stdout)
    return match.group(1) if match else "0"


def _has_postgis(programs: Path) -> bool:
    """Tell whether this server can load PostGIS."""
    answer = subprocess.run(
        [programs / "pg_config", "--sharedir"], capture_output=True, text=True, check=True
    )
    return (Path(answer.stdout.strip()) / "extension" / "postgis.control").exists()


def _server_user(home: Path) -> ServerUser:
    """Choose who runs the server: the caller, or for root whoever owns the data."""
    uid = os.geteuid()
    if uid != 0:
        entry = _entry(uid)
        return ServerUser(name=entry, uid=uid, gid=os.getegid())
    data = home / "data"
    owner = data.stat().st_uid if data.exists() else 0
    try:
        known = pwd.getpwuid(owner) if owner else pwd.getpwnam(SERVER_USER)
    except KeyError as error:
        raise ProgramsMissing(wanted=f'user "{SERVER_USER}"', looked_in="/etc/passwd") from error
    return ServerUser(name=known.pw_name, uid=known.pw_uid, gid=known.pw_gid)


def _entry(uid: int) -> str:
    """Name a user; a number without a name in /etc/passwd is given as the number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _point_to_system_root(wanted: Path) -> None:
    """Move the cluster's home below /var/lib where the server's user cannot reach `wanted`.

    Without a pointer the place of an earlier clone at this path is left as it is: its database
    belongs to a key and to evidence that went with that clone.
    """
    base = system_home(wanted)
    if wanted.is_symlink():
        target = wanted.readlink()
        if target.parent == base.parent and target.name.partition("-")[0] == base.name:
            target.mkdir(parents=True, exist_ok=True)
            return
        wanted.unlink()  # the clone was moved or copied: its cluster is another one
    if wanted.exists() or _reaches(_server_user(wanted), wanted.parent):
        return
    places = itertools.chain([base], (Path(f"{base}-{number}") for number in itertools.count(2)))
    target = next(place for place in places if not place.exists())
    target.mkdir(parents=True)
    wanted.symlink_to(target)


def _reaches(user: ServerUser, directory: Path) -> bool:
    """Tell whether `user` can enter `directory`, by trying."""
    tried = subprocess.run(
        user.command("test", "-x", directory), capture_output=True, check=False, cwd="/"
    )
    return tried.returncode == 0


def _refuse_foreign(path: Path, allowed_uids: set[int]) -> None:
    """Refuse a directory that somebody else made (a squatter in /tmp, another user's clone)."""
    info = path.lstat()
    if info.st_uid not in allowed_uids or not stat.S_ISDIR(info.st_mode):
        raise NotOurs(path=path, owner=_entry(info.st_uid), user=_entry(os.geteuid()))


def _socket_dir(home: Path) -> Path:
    """Choose a directory for the socket: in the home, or a short one where that is too long."""
    inside = home / "socket"
    socket = inside / SOCKET_NAME
    if len(os.fsencode(socket)) <= SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(str(inside)):
        return inside
    return Path("/tmp") / f"amanar-{_short_hash(home)}"  # noqa: S108 (0700, owner checked)


def _short_hash(path: Path) -> str:
    """Hash a path into 12 hexadecimal digits."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
