"""Files that come in: read by the same functions as on the command line, in the same words.

A boundary or a plots file is looked at here before any row is written. The name that a client
gives is used for its ending only, never as a path. Imports geo.aoi, geo.plots and geo.project.

Order: boundaries, plots, project files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from api.faults import FileUnreadable
from geo.aoi import read_boundary
from geo.errors import BadInput
from geo.plots import read_plots
from geo.project import read_project
from registry.adapters.evidence_store import EvidenceStore
from registry.services.documents import NewDocument, record_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session
    from starlette.datastructures import UploadFile

    from geo.types import Boundary, Plot
    from registry.domain.roles import Actor
    from registry.settings import Settings
    from registry.tables.projects import Document

NAME_MAX_CHARS = 100
UNNAMED = "upload"
"""What geo.aoi calls bytes that have no name."""

UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class PlotsFile:
    """A plots file that was read without a fault."""

    content: bytes
    name: str
    plots: tuple[Plot, ...]


def boundary_of(
    upload: UploadFile, *, name: str | None = None, feature: str | None = None
) -> Boundary:
    """Read an uploaded boundary: GeoJSON, KML, KMZ, GeoPackage or zipped shapefile.

    Parameters
    ----------
    name
        Of the area; else the feature's own, else the file's.
    feature
        Which one to take, where the file holds several.

    Raises
    ------
    FileUnreadable
        If the file is empty.
    BadInput
        In the words of the command line.
    """
    shown = shown_name(upload)
    content = _content(upload, shown)
    try:
        boundary = read_boundary(content, name=name, feature=feature)
    except BadInput as fault:
        raise _renamed(fault, UNNAMED, shown) from fault
    if boundary.name == UNNAMED and name is None:
        return replace(boundary, name=PurePosixPath(shown).stem)
    return boundary


def plots_of(upload: UploadFile) -> PlotsFile:
    """Read an uploaded plots file.

    Raises
    ------
    FileUnreadable
        If the file is empty.
    BadInput
        With every bad row named at once, in the words of the command line.
    """
    name = shown_name(upload)
    content = _content(upload, name)
    try:
        return PlotsFile(content, name, read_plots(content))
    except BadInput as fault:
        raise _renamed(fault, "the plots file", name) from fault


def store_plots(session: Session, *, actor: Actor, read: PlotsFile, settings: Settings) -> Document:
    """Keep a plots file that was read: the bytes in the evidence store, then the row."""
    sha256 = EvidenceStore(settings.evidence_dir).put_bytes(read.content)
    document = NewDocument(
        sha256=sha256, name=read.name, media_type="text/csv", size_bytes=len(read.content)
    )
    return record_document(session, actor=actor, document=document)


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Read the project file of a request as the command line would.

    Raises
    ------
    BadInput
        With every fault of it in one sentence.
    """
    read_project(parameters)


def shown_name(upload: UploadFile) -> str:
    """Give the client's file name as it is safe to show and to store: no path, no odd signs."""
    last = PurePosixPath((upload.filename or "").replace("\\", "/")).name
    return UNSAFE.sub("_", last)[-NAME_MAX_CHARS:] or "upload"


def _content(upload: UploadFile, name: str) -> bytes:
    content = upload.file.read()
    if not content:
        raise FileUnreadable(name=name, problem="empty", fix="Choose a file that holds something")
    return content


def _renamed(fault: BadInput, ours: str, theirs: str) -> BadInput:
    """Say the client's own file name where the reader, given bytes, has a word of its own."""
    what = str(fault.fields.get("what", "")).replace(ours, theirs)
    return type(fault)(**{**fault.fields, "what": what})
