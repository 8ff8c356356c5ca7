"""Files known by their content: put once, never changed, checked whenever they are read.

A file lies at `<root>/<first two digits>/<the other 62 digits>` of its SHA-256. A directory is a
listing (canonical JSON of names and hashes) that is stored as a file itself, so one hash stands
for a whole evidence bundle. Names inside a listing are looked up, never joined to a path.

Order: values, the store, steps.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO

from registry.domain.proof import canonical_json
from registry.errors import EvidenceAltered, EvidenceMissing, InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = "amanar.files/1"
SCHEME = "sha256:"
"""How the address of a stored listing begins."""

CHUNK_BYTES = 1 << 20

MEDIA_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".geojson": "application/geo+json",
    ".json": "application/json",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class StoredFile:
    """One file of a stored directory."""

    name: str
    """Relative, with `/`, as it was in the directory."""
    sha256: str
    size_bytes: int

    @property
    def media_type(self) -> str:
        """What a browser should take it for, judged by the name alone."""
        suffix = PurePosixPath(self.name).suffix.lower()
        return MEDIA_TYPES.get(suffix, "application/octet-stream")


class EvidenceStore:
    """Content-addressed files below one directory; several processes may share it.

    Parameters
    ----------
    root
        `Settings.evidence_dir`; made when something is first put.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put_bytes(self, data: bytes) -> str:
        """Store bytes; give their SHA-256. Storing the same again changes nothing."""
        return self._put(io.BytesIO(data))

    def put_file(self, path: Path) -> str:
        """Store a copy of a file; give its SHA-256."""
        with path.open("rb") as source:
            return self._put(source)

    def put_directory(self, directory: Path) -> str:
        """Store every file below a directory; give the address of its listing, `sha256:<hex>`.

        Raises
        ------
        InvalidValue
            If something in it is neither a file nor a directory (a link would lead outside).
        """
        files = {}
        for path in sorted(directory.rglob("*")):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise InvalidValue(
                    what="evidence",
                    problem=f"{path.name} is no file",
                    fix="Put in the file.",
                )
            if path.is_file():
                name = path.relative_to(directory).as_posix()
                files[name] = {"sha256": self.put_file(path), "size_bytes": path.stat().st_size}
        return SCHEME + self.put_bytes(canonical_json({"schema": SCHEMA, "files": files}))

    def listing(self, uri: str) -> dict[str, StoredFile]:
        """Give the files of a stored directory by name.

        Raises
        ------
        EvidenceMissing, EvidenceAltered
        """
        sha256 = uri.removeprefix(SCHEME)
        try:
            document = json.loads(self.read(sha256))
            if document["schema"] != SCHEMA:
                raise EvidenceMissing(sha256=uri)
            return {name: StoredFile(name, **entry) for name, entry in document["files"].items()}
        except (ValueError, TypeError, KeyError) as fault:
            raise EvidenceMissing(sha256=uri) from fault

    def member(self, uri: str, name: str) -> StoredFile:
        """Find one file of a stored directory by its exact name.

        Raises
        ------
        EvidenceMissing
            If the listing does not name it.
        EvidenceAltered
        """
        found = self.listing(uri).get(name)
        if found is None:
            raise EvidenceMissing(sha256=f"{name} in {uri}")
        return found

    def faults(self, uri: str) -> list[str]:
        """Say what is missing or altered in a stored directory, a sentence a file; reads it all."""
        try:
            listed = self.listing(uri)
        except (EvidenceMissing, EvidenceAltered) as fault:
            return [f"The listing: {fault}"]
        return [said for file in listed.values() if (said := self._fault(file)) is not None]

    def _fault(self, file: StoredFile) -> str | None:
        try:
            with self.open(file.sha256):
                return None
        except (EvidenceMissing, EvidenceAltered) as fault:
            return f"{file.name}: {fault}"

    def content(self, uri: str, name: str) -> bytes:
        """Give one file of a stored directory, checked.

        Raises
        ------
        EvidenceMissing, EvidenceAltered
        """
        return self.read(self.member(uri, name).sha256)

    def read(self, sha256: str) -> bytes:
        """Give a file's bytes, checked.

        Raises
        ------
        EvidenceMissing, EvidenceAltered
        """
        with self.open(sha256) as file:
            return file.read()

    @contextmanager
    def open(self, sha256: str) -> Iterator[BinaryIO]:
        """Open a file for reading; its content is checked before the first byte is given.

        Raises
        ------
        EvidenceMissing, EvidenceAltered
        """
        with self.path(sha256).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                raise EvidenceAltered(expected=sha256, found=found)
            file.seek(0)
            yield file

    def path(self, sha256: str) -> Path:
        """Say where a file lies, for libraries that want a path; not checked by content.

        Raises
        ------
        EvidenceMissing
            If there is none, or the text is no SHA-256.
        """
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise EvidenceMissing(sha256=sha256)
        path = self._root / sha256[:2] / sha256[2:]
        if not path.is_file():
            raise EvidenceMissing(sha256=sha256)
        return path

    def _put(self, source: IO[bytes]) -> str:
        """Copy into a new file while hashing, then give it its name in one step."""
        self._root.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=self._root)
        new = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as target:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            self._name(new, digest.hexdigest())
        finally:
            new.unlink(missing_ok=True)
        return digest.hexdigest()

    def _name(self, new: Path, sha256: str) -> None:
        """Move a finished file to its place; what is there already and whole stays."""
        folder = self._root / sha256[:2]
        folder.mkdir(exist_ok=True)
        place = folder / sha256[2:]
        if place.is_file() and place.stat().st_size == new.stat().st_size:
            return
        new.chmod(0o444)
        new.replace(place)
        _sync_directory(folder)


def _sync_directory(directory: Path) -> None:
    """Make a rename durable: POSIX asks for an fsync of the directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
