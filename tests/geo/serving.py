"""A small web server for files, with byte ranges as object stores give them."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class RangedFiles(SimpleHTTPRequestHandler):
    """Serve a folder; answer `Range: bytes=a-b`."""

    failing = ""
    """Paths that hold this text are answered with 503."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if self.failing and self.failing in self.path:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        if not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content = path.read_bytes()
        status, part = HTTPStatus.OK, content
        if asked:
            first = int(asked[1])
            last = min(int(asked[2] or len(content)), len(content) - 1)
            status, part = HTTPStatus.PARTIAL_CONTENT, content[first : last + 1]
        self.send_response(status)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)


@contextmanager
def served(handler: Any) -> Iterator[str]:
    """Run a handler on a free port of this machine; give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def files_of(folder: Path, *, failing: str = "") -> Any:
    """Give the handler that serves a folder, but for paths that hold `failing`."""
    handler = type("Files", (RangedFiles,), {"failing": failing})
    return partial(handler, directory=str(folder))
