"""Files that only their owner can read, and the secret that signs sessions and tokens.

Imports settings and errors. Order: the secret, making a private file.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from registry.errors import SecretUnsafe

if TYPE_CHECKING:
    from pathlib import Path

    from registry.settings import Settings

OTHERS = 0o077
"""Permission bits of group and others; none may be set on a private file."""

SECRET_BYTES = 32


def secret_of(settings: Settings) -> str:
    """Give the secret that signs sessions and tokens; a sandbox makes a random one on first use.

    Safe to call from several processes of one `state_dir` at once: all get the same secret.

    Raises
    ------
    SecretUnsafe
        If others can read the file, or it holds no secret.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    path = settings.state_dir / "session-secret"
    if not path.exists():
        make_once(path, secrets.token_hex(SECRET_BYTES).encode())
    if path.stat().st_mode & OTHERS:
        problem, fix = "can be read by others", f"Remove it: {path}; everybody signs in anew."
        raise SecretUnsafe(path=path, problem=problem, fix=fix)
    secret = path.read_text(encoding="utf-8", errors="replace").strip()
    if len(secret) < SECRET_BYTES:
        problem, fix = "holds no secret", f"Remove it: {path}; everybody signs in anew."
        raise SecretUnsafe(path=path, problem=problem, fix=fix)
    return secret


def make_once(path: Path, data: bytes) -> None:
    """Write a private file under a name of its own and link it into place: the first one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return
    finally:
        draft.unlink()
