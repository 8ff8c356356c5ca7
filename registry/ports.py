"""What services ask of the world outside, for the edge to give; imports nothing of ours."""

from __future__ import annotations

from typing import Protocol


class Evidence(Protocol):
    """Where evidence lies, as who decides on a report needs it (`adapters.evidence_store`)."""

    def faults(self, uri: str) -> list[str]:
        """Say what is missing or altered in a stored directory, a sentence a file."""

    def content(self, uri: str, name: str) -> bytes:
        """Give one file of a stored directory, checked.

        Raises
        ------
        EvidenceMissing, EvidenceAltered
        """
