"""The files of a report's evidence under /v1: read-only, by name, checked by content.

A name is looked up in the bundle's listing and never joined to a path; what is not listed is not
there. Pictures may be shown, all else is to be saved; nothing of it may run.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from api.deps import SettingsDep, Transaction
from api.guard import FILE_POLICY
from api.packing import zipped
from api.schemas.monitoring import EvidenceFile, FilesAnswer, Report
from registry.adapters.evidence_store import EvidenceStore, StoredFile
from registry.queries import monitoring as rows

router = APIRouter(prefix="/v1", tags=["monitoring"])

SHOWN_INLINE = ("image/png", "application/json", "text/csv", "text/plain")
CHUNK_BYTES = 1 << 16
FOR_EVER = "public, max-age=31536000, immutable"


@router.get("/reports/{report_id}/files", operation_id="list_files")
def list_files(report_id: UUID, session: Transaction, settings: SettingsDep) -> FilesAnswer:
    """List the files of a report's evidence with their checksums. Open to all."""
    row = rows.get_report(session, report_id=report_id)
    found = EvidenceStore(settings.evidence_dir).listing(row.report.evidence_uri)
    return FilesAnswer(
        environment=settings.environment,
        report_id=report_id,
        digest=row.report.digest,
        claim=Report.of(row).claim,
        items=[_file(report_id, found[name]) for name in sorted(found)],
    )


@router.get(
    "/reports/{report_id}/evidence.zip",
    operation_id="read_evidence",
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}}},
)
def read_evidence(report_id: UUID, session: Transaction, settings: SettingsDep) -> Response:
    """Give the whole bundle, as `amanar replay` reads it once it is unpacked. Open to all."""
    row = rows.get_report(session, report_id=report_id)
    store = EvidenceStore(settings.evidence_dir)
    found = store.listing(row.report.evidence_uri)
    name = f"evidence-{row.project.code}-{report_id}.zip"
    return StreamingResponse(
        zipped(store, [found[name] for name in sorted(found)]),
        media_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Security-Policy": FILE_POLICY,
        },
    )


@router.get(
    "/reports/{report_id}/files/{name:path}",
    operation_id="read_file",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def read_file(
    report_id: UUID,
    name: Annotated[str, Path(max_length=500)],
    *,
    request: Request,
    session: Transaction,
    settings: SettingsDep,
) -> Response:
    """Give one file of a report's evidence, by its name in the listing. Open to all."""
    row = rows.get_report(session, report_id=report_id)
    store = EvidenceStore(settings.evidence_dir)
    found = store.member(row.report.evidence_uri, name)
    headers = {
        "ETag": f'"{found.sha256}"',
        "Cache-Control": FOR_EVER,
        "Content-Security-Policy": FILE_POLICY,
        "Content-Disposition": _disposition(found),
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers={"ETag": headers["ETag"]})
    with store.open(found.sha256):  # checks the content; a file of another content is not sent
        path = store.path(found.sha256)
    return FileResponse(path, media_type=found.media_type, headers=headers)


def _disposition(found: StoredFile) -> str:
    how = "inline" if found.media_type.partition(";")[0] in SHOWN_INLINE else "attachment"
    plain = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in found.name)
    return f'{how}; filename="{plain.encode("ascii", "replace").decode().replace("?", "_")}"'


def _file(report_id: UUID, found: StoredFile) -> EvidenceFile:
    return EvidenceFile(
        name=found.name,
        sha256=found.sha256,
        size_bytes=found.size_bytes,
        media_type=found.media_type,
        href=f"/v1/reports/{report_id}/files/{found.name}",
    )
