"""The key that signs the log's checkpoints; imports private_files and errors.

An Ed25519 private key in a file that only its owner can read. A sandbox and a production registry
have files of different names, and production must name its file in the settings.

Order: the key, its public side, making one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from registry.domain.proof import fingerprint_of
from registry.errors import SigningKeyUnsafe
from registry.private_files import OTHERS, make_once

if TYPE_CHECKING:
    from pathlib import Path

    from registry.settings import Settings


def signing_key(settings: Settings) -> Ed25519PrivateKey:
    """Load the log's private key; a sandbox makes one on first use.

    Safe to call from several processes at once: all get the same key.

    Raises
    ------
    SigningKeyUnsafe
        If others can read the file, if it holds no Ed25519 key, or if a named one is missing.
    """
    path = key_path(settings)
    if not path.exists():
        if settings.signing_key_file is not None:
            raise SigningKeyUnsafe(
                path=path,
                problem="does not exist",
                fix="Make one with: openssl genpkey -algorithm ed25519; set its mode to 0600.",
            )
        _make(path)
    if path.stat().st_mode & OTHERS:
        raise SigningKeyUnsafe(
            path=path, problem="can be read by others", fix=f"Run: chmod 600 {path}"
        )
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as fault:
        raise SigningKeyUnsafe(
            path=path,
            problem=f"is not readable as a key ({fault})",
            fix="Put the right file there.",
        ) from fault
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyUnsafe(
            path=path, problem="holds another kind of key", fix="Put an Ed25519 key there."
        )
    return key


def key_path(settings: Settings) -> Path:
    """Give the place of the private key."""
    if settings.signing_key_file is not None:
        return settings.signing_key_file
    return settings.state_dir / f"signing-{settings.environment}.pem"


def public_key(settings: Settings) -> bytes:
    """Give the 32 raw bytes of the public key."""
    return signing_key(settings).public_key().public_bytes_raw()


def public_pem(settings: Settings) -> str:
    """Give the public key as PEM, as `amanar verify-proof --key FILE` reads it."""
    public = signing_key(settings).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def fingerprint(settings: Settings) -> str:
    """Give the fingerprint of the public key: `sha256:` and 64 hexadecimal digits."""
    return fingerprint_of(public_key(settings))


def _make(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    make_once(path, pem)
