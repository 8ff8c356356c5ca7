"""What a source file says of itself without being read: whether it is still the same one.

Imports nothing of ours. A stamp never enters a digest: it decides whether a kept input is fetched
again, not what it means.
"""

from __future__ import annotations

import re
import urllib.request
from http.client import HTTPException
from pathlib import Path

TIMEOUT_SECONDS = 10
_REMOTE = re.compile("https?://", re.IGNORECASE)
_HEADERS = ("ETag", "Last-Modified", "Content-Length")

Stamp = dict[str, str | int]


def source_stamp(address: str) -> Stamp | None:
    """Give size and time of a path, or ETag, Last-Modified and length of an http(s) address.

    Returns
    -------
    None where nothing is said: the file is gone, or the server does not answer this question.
    """
    try:
        if _REMOTE.match(address):
            return _said_by_server(address)
        found = Path(address).stat()
    except (OSError, ValueError, HTTPException):
        return None
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def _said_by_server(address: str) -> Stamp | None:
    asked = urllib.request.Request(address, method="HEAD")  # noqa: S310  # http(s) only, checked
    with urllib.request.urlopen(asked, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  # as above
        said = {name: str(answer.headers[name]) for name in _HEADERS if name in answer.headers}
    return dict(said) or None
