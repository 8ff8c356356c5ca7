"""A bundle as one ZIP file, written while it is sent: nothing is held whole, nothing on a disk.

Stored, not deflated: the rasters are compressed already. Fixed dates, so that the same bundle gives
the same bytes. A file that was altered on disk ends the answer before its end.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from zipfile import ZIP_STORED, ZipFile, ZipInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.adapters.evidence_store import EvidenceStore, StoredFile

CHUNK_BYTES = 1 << 18
FIRST_DOS_DATE = (1980, 1, 1, 0, 0, 0)
READABLE = 0o644 << 16


class _Sink(io.RawIOBase):
    """Takes what the ZIP writer writes and gives it away in pieces; cannot seek."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def drain(self) -> bytes:
        """Give what has come since the last time."""
        given = b"".join(self._pieces)
        self._pieces.clear()
        return given


def zipped(store: EvidenceStore, files: Sequence[StoredFile]) -> Iterator[bytes]:
    """Give the bytes of a ZIP file of stored files under their names, piece by piece."""
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as target:
        for stored in files:
            entry = ZipInfo(stored.name, date_time=FIRST_DOS_DATE)
            entry.external_attr = READABLE
            entry.file_size = stored.size_bytes
            with store.open(stored.sha256) as source, target.open(entry, "w") as packed:
                while chunk := source.read(CHUNK_BYTES):
                    packed.write(chunk)
                    yield sink.drain()
            yield sink.drain()
    yield sink.drain()
