"""The stylesheet and the mark: the few files of our own that pages load, kept by browsers for ever.

Each is known by name; nothing else of the disk can be asked for.
"""

from fastapi import APIRouter, HTTPException
from starlette.responses import FileResponse, Response

from api.console.templating import STATIC_DIR

router = APIRouter(include_in_schema=False)

MEDIA_TYPES = {"amanar.css": "text/css", "mark.svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"


@router.get("/static/{name}")
def read_static(name: str) -> Response:
    """Give one of our own static files."""
    if name not in MEDIA_TYPES:
        raise HTTPException(404, "There is no such file.")
    return FileResponse(
        STATIC_DIR / name, media_type=MEDIA_TYPES[name], headers={"Cache-Control": FOR_EVER}
    )


@router.get("/favicon.ico")
def read_icon() -> Response:
    """Give the mark to browsers that ask by the old name."""
    return read_static("mark.svg")
