"""Artefacts: directories named by the hash of what they were made from; present means done.

Imports the standard library only. Order: keys, the store, what makes a rename durable.

Tasks hand each other URIs, never arrays. A maker works in `<name>.partial`, which a killed run
leaves behind and the next one continues; only a finished directory gets its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def key_of(kind: str, inputs: Mapping[str, Any]) -> str:
    """Name an artefact: its kind and the SHA-256 of its inputs' canonical JSON.

    Floats keep Python's shortest repr; NaN and infinity are refused, they are no input.
    """
    canonical = json.dumps(
        {"kind": kind, "inputs": inputs}, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return f"{kind}-{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"


def path_of(uri: str) -> Path:
    """Give the local path of a `file:` URI."""
    return Path(unquote(urlsplit(uri).path))


@dataclass(frozen=True)
class ArtefactStore:
    """A directory of artefacts, shared by every worker that can reach it."""

    root: Path

    def is_done(self, key: str) -> bool:
        """Tell whether the artefact is there, which means finished."""
        return (self.root / key).is_dir()

    def make(self, key: str, maker: Callable[[Path], None]) -> str:
        """Give the URI of an artefact, making it where it is not there yet.

        Parameters
        ----------
        key
            As `key_of` gives it.
        maker
            Fills the directory that it is given, which may hold what an earlier, killed maker
            left. Two workers never fill it at once: the second waits and then finds it done.

        Returns
        -------
        A `file:` URI.
        """
        done, partial = self.root / key, self.root / f"{key}.partial"
        self.root.mkdir(parents=True, exist_ok=True)
        with self._alone(key):
            if not done.is_dir():
                partial.mkdir(exist_ok=True)
                maker(partial)
                _flush(partial)
                partial.rename(done)
                _flush_directory(self.root)
        return done.absolute().as_uri()

    def forget(self, key: str) -> None:
        """Delete an artefact and what was begun of it; it can be made again from its inputs."""
        with self._alone(key):
            for path in (self.root / key, self.root / f"{key}.partial"):
                if path.is_dir():
                    shutil.rmtree(path)

    @contextlib.contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Let one process at a time work on an artefact; the lock goes with the process."""
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / f"{key}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _flush(directory: Path) -> None:
    """Bring every file below `directory` to the disk, so that a name never outlives its bytes."""
    for folder, _, names in os.walk(directory):
        for name in names:
            descriptor = os.open(Path(folder) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        _flush_directory(Path(folder))


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
