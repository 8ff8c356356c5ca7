"""Check a certificate offline; imports the standard library and cryptography, nothing of ours.

This one file is the whole offline checker: copy it anywhere and run
`python proof.py CERTIFICATE.json [--key FILE|FINGERPRINT]`. `registry.domain.merkle` builds the
trees that this file checks and takes the hashes from here, so there is one definition of each.

What a certificate proves is small, and said on it: that this registry recorded this retirement in
its log. It does not prove that a tonne was removed.

Order: canonical bytes and hashes, inclusion, checkpoints, the certificate, keys,
the command line.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCHEMA = "amanar.certificate/1"

ENVIRONMENTS = ("sandbox", "production")

RETIRE = "ledger:credits:retire"
"""The action of the recorded event that a certificate prints; no other event has one."""

_SERIAL = r".+-([1-9][0-9]{0,18})-([1-9][0-9]{0,18})"
"""At most 19 digits, as a quantity in the ledger; Python reads no integer of 5,000."""

_ED25519_NOTE = b"\x01"
"""Signature type of Ed25519 in a signed note (C2SP signed-note, "Signature types")."""

_TOP = frozenset({"schema", "environment", "number", "retirement", "statement", "log"})
_PLACE = frozenset({"leaf_index", "tree_size", "inclusion_proof", "checkpoint"})
_LOG = _PLACE | {"leaf", "public_key", "fingerprint"}


class Malformed(ValueError):
    """The text is not what its place asks for; the message names the place."""


# --- canonical bytes and hashes ------------------------------------------------------------------


def canonical_json(value: Any) -> bytes:
    """Give the one spelling of a JSON value that is hashed and signed.

    Keys sorted by code point, no spaces, UTF-8, no escapes but those that JSON asks for. Floats
    are refused: one number has many spellings as a float, and quantities here are integers or
    decimal text.

    Raises
    ------
    Malformed
        For a float, a key that is no text, or a type that JSON does not have.
    """
    try:
        _refuse_floats(value, "$")
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
        ).encode()
    except (UnicodeEncodeError, RecursionError) as fault:
        message = f"no one spelling: {type(fault).__name__}"
        raise Malformed(message) from fault


def _refuse_floats(value: Any, place: str) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                message = f"{place}: the key {key!r} is not text"
                raise Malformed(message)
            _refuse_floats(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            _refuse_floats(inner, f"{place}[{number}]")
    elif not (value is None or isinstance(value, str | int)):
        message = f"{place}: {value!r} is a {type(value).__name__}; write text or an integer"
        raise Malformed(message)


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data), RFC 9162 section 2.1.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right), RFC 9162 section 2.1.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


# --- inclusion -------------------------------------------------------------------


def root_from_inclusion(*, leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Recompute the root that an inclusion proof leads to; RFC 9162 section 2.1.3.2.

    Raises
    ------
    Malformed
        If the index is outside the tree or the path has the wrong length for it.
    """
    if not 0 <= index < size:
        message = f"leaf {index} is not in a tree of {size} leaves"
        raise Malformed(message)
    place, last, root = index, size - 1, leaf
    for step in path:
        if last == 0:
            message = f"the path has {len(path)} steps, too many for leaf {index} of {size}"
            raise Malformed(message)
        if place & 1 or place == last:
            root = node_hash(step, root)
            while not (place & 1 or place == 0):
                place, last = place >> 1, last >> 1
        else:
            root = node_hash(root, step)
        place, last = place >> 1, last >> 1
    if last != 0:
        message = f"the path has {len(path)} steps, too few for leaf {index} of {size}"
        raise Malformed(message)
    return root


# --- checkpoints ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checkpoint:
    """The head of the log as it was signed: which log, how many leaves, which root."""

    origin: str
    """Name of the log; a sandbox and a production registry never share one."""
    size: int
    root: bytes

    def text(self) -> str:
        """Give the signed text, three lines (C2SP tlog-checkpoint)."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def note_of(checkpoint: Checkpoint, *, public_key: bytes, signature: bytes) -> str:
    """Join a checkpoint and its Ed25519 signature into one signed note (C2SP signed-note)."""
    stamp = base64.b64encode(key_id(checkpoint.origin, public_key) + signature).decode()
    return f"{checkpoint.text()}\n— {checkpoint.origin} {stamp}\n"


def key_id(name: str, public_key: bytes) -> bytes:
    """Give the 4 bytes by which a note names its key: SHA-256(name, newline, 0x01, key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519_NOTE + public_key).digest()[:4]


def read_note(note: str) -> tuple[Checkpoint, bytes, bytes]:
    """Read a signed note: the checkpoint, the 4-byte key id and the 64-byte signature.

    Raises
    ------
    Malformed
        If the note is not exactly three lines, an empty one and one signature line.
    """
    found = re.fullmatch(
        r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/=]+)\n\n— ([^\n ]+) ([A-Za-z0-9+/=]+)\n",
        note,
    )
    if found is None:
        message = "log.checkpoint: not a signed note of three lines and one signature"
        raise Malformed(message)
    origin, size, root_text, name, stamp_text = found.groups()
    root = _unbase64(root_text, "log.checkpoint: root", length=32)
    stamp = _unbase64(stamp_text, "log.checkpoint: signature", length=68)
    if name != origin:
        message = f"log.checkpoint: signed by {name}, but the log is {origin}"
        raise Malformed(message)
    return Checkpoint(origin=origin, size=int(size), root=root), stamp[:4], stamp[4:]


def signature_holds(checkpoint: Checkpoint, *, signature: bytes, public_key: bytes) -> bool:
    """Say whether this key signed this checkpoint (Ed25519, RFC 8032)."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, checkpoint.text().encode())
    except InvalidSignature:
        return False
    return True


# --- the certificate -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """One reason why a certificate does not hold."""

    code: str
    """Stable: malformed, unknown-field, altered-field, event, environment, quantity, inclusion,
    checkpoint, signature, wrong-key."""
    place: str
    """Where in the document, `retirement.beneficiary`."""
    message: str
    """One sentence with both values that clash."""


@dataclass(frozen=True)
class Verdict:
    """What checking a certificate found."""

    problems: tuple[Problem, ...]
    pinned: bool
    """Whether the reader brought the signer's key; without it anyone could have signed."""
    environment: str = ""
    fingerprint: str = ""
    """Of the key that the document itself names."""
    summary: Mapping[str, str] = field(default_factory=dict)
    """What is certified, as the log's leaf says it."""

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts the certificate."""
        return not self.problems

    @property
    def exit_code(self) -> int:
        """0 proven by the pinned key, 3 consistent but signer not pinned, 4 does not hold."""
        if self.problems:
            return 4
        return 0 if self.pinned else 3

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.problems:
            return "Does not hold: " + " ".join(problem.message for problem in self.problems)
        if not self.pinned:
            return (
                "Consistent, signer not pinned: the document agrees with itself, but anyone could "
                f"have signed it. Compare its key {self.fingerprint} with one that you trust."
            )
        return (
            "Proven: the registry that holds this key recorded this. Shows that this registry "
            "recorded this, not that a tonne was removed."
        )


def verify_certificate(document: Mapping[str, Any], *, key: str | None = None) -> Verdict:
    """Check a certificate offline.

    Recomputes the leaf from the recorded event, the root from the inclusion proof, the signature
    of the checkpoint; compares every printed field with what the leaf says.

    Parameters
    ----------
    document
        The certificate, as `read_certificate` gives it.
    key
        The signer that the reader trusts, as `read_key` gives it: `sha256:` and 64 hexadecimal
        digits of SHA-256 over the raw Ed25519 public key. None: the signer is not pinned.

    Returns
    -------
    Verdict; all problems are collected, none is raised.
    """
    problems: list[Problem] = []
    shape = _check_shape(document, problems)
    if not shape:
        return Verdict(problems=tuple(problems), pinned=key is not None)
    leaf, log = document["log"]["leaf"], document["log"]
    _check_event(leaf, problems)
    _check_printed(document, leaf, problems)
    _check_quantity(leaf["content"], problems)
    fingerprint = ""
    try:
        _check_inclusion(log, leaf, problems)
        fingerprint = _check_signature(log, str(document["environment"]), key, problems)
    except Malformed as fault:
        problems.append(Problem("malformed", "log", f"{fault}."))
    return Verdict(
        problems=tuple(problems),
        pinned=key is not None,
        environment=str(leaf["environment"]),
        fingerprint=fingerprint,
        summary=_summary(leaf["content"]),
    )


def read_certificate(text: str) -> dict[str, Any]:
    """Parse a certificate's JSON; a key written twice is refused, for readers differ on it.

    Raises
    ------
    Malformed
        If the text is not one JSON object, or holds a key twice or a number with a fraction.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = sorted({name for name, _ in pairs if [n for n, _ in pairs].count(name) > 1})
            message = f"the certificate writes {', '.join(twice)} twice in one object"
            raise Malformed(message)
        return found

    def whole(number: str) -> Any:
        message = f"the certificate holds the number {number}; it may hold integers only"
        raise Malformed(message)

    try:
        document = json.loads(text, object_pairs_hook=once, parse_float=whole, parse_constant=whole)
    except Malformed:
        raise
    except (ValueError, RecursionError) as fault:
        message = f"the certificate is not JSON: {fault}"
        raise Malformed(message) from fault
    if not isinstance(document, dict):
        message = "the certificate is not a JSON object"
        raise Malformed(message)
    return document


def _check_shape(document: Mapping[str, Any], problems: list[Problem]) -> bool:
    """Collect what is missing, added or of the wrong type; True if the rest can be checked."""
    before = len(problems)
    _check_keys(document, _TOP, "", problems)
    log = document.get("log")
    if document.get("schema") != SCHEMA:
        said = document.get("schema")
        problems.append(Problem("malformed", "schema", f"The schema is {said!r}, not {SCHEMA}."))
    if not isinstance(log, dict):
        problems.append(Problem("malformed", "log", "The proof, `log`, is missing."))
        return False
    _check_keys(log, _LOG, "log.", problems)
    leaf = log.get("leaf")
    if not isinstance(leaf, dict) or not isinstance(leaf.get("content"), dict):
        message = "The recorded event, `log.leaf`, is missing."
        problems.append(Problem("malformed", "log.leaf", message))
        return False
    if leaf.get("environment") not in ENVIRONMENTS:
        message = "The leaf names no environment."
        problems.append(Problem("malformed", "log.leaf.environment", message))
    problems.extend(
        Problem("malformed", f"log.{name}", f"log.{name} is not an integer.")
        for name in ("leaf_index", "tree_size")
        if type(log.get(name)) is not int
    )
    path = log.get("inclusion_proof")
    if not isinstance(path, list) or not all(isinstance(step, str) for step in path):
        message = "The inclusion proof is not a list."
        problems.append(Problem("malformed", "log.inclusion_proof", message))
    try:
        canonical_json(dict(document))
    except Malformed as fault:
        problems.append(Problem("malformed", "", f"{fault}."))
    return not any(problem.code == "malformed" for problem in problems[before:])


def _check_keys(
    found: Mapping[str, Any], known: frozenset[str], place: str, problems: list[Problem]
) -> None:
    problems.extend(
        Problem("malformed", f"{place}{name}", f"{place}{name} is missing.")
        for name in sorted(known - set(found))
    )
    problems.extend(
        Problem("unknown-field", f"{place}{name}", f"{place}{name} is not part of a certificate.")
        for name in sorted(set(found) - known)
    )


def _check_event(leaf: Mapping[str, Any], problems: list[Problem]) -> None:
    """Require the event to be a retirement, and the one that the number names."""
    if leaf.get("action") != RETIRE:
        message = f"The log recorded {_short(leaf.get('action'))}, which is no retirement."
        problems.append(Problem("event", "log.leaf.action", message))
    number, subject = leaf["content"].get("number"), leaf.get("subject")
    found = re.fullmatch(r"(?:SANDBOX-)?AMR-RETIREMENT-([0-9a-f-]{36})", str(number))
    if found is None or subject != f"retirement:{found[1]}":
        message = f"The number {_short(number)} is not that of {_short(subject)} in the log."
        problems.append(Problem("event", "log.leaf.subject", message))


def _check_printed(
    document: Mapping[str, Any], leaf: Mapping[str, Any], problems: list[Problem]
) -> None:
    """Compare each printed field with the leaf's content, the same way for every field."""
    content = dict(leaf["content"])
    statement, number = content.pop("statement", None), content.pop("number", None)
    _compare("environment", document["environment"], leaf["environment"], problems)
    _compare("number", document["number"], number, problems)
    _compare("statement", document["statement"], statement, problems)
    printed = document["retirement"]
    if not isinstance(printed, dict):
        problems.append(Problem("malformed", "retirement", "`retirement` is not an object."))
        return
    for name in sorted(set(printed) | set(content)):
        place = f"retirement.{name}"
        if name in printed and name in content:
            _compare(place, printed[name], content[name], problems)
        else:
            where = "the page" if name in printed else "the log"
            message = f"{place} stands only in {where}."
            problems.append(Problem("altered-field", place, message))


def _compare(place: str, printed: Any, recorded: Any, problems: list[Problem]) -> None:
    if canonical_json(printed) != canonical_json(recorded):
        message = f"{place} says {_short(printed)}, the log recorded {_short(recorded)}."
        problems.append(Problem("altered-field", place, message))


def _short(value: Any) -> str:
    text = canonical_json(value).decode()
    limit = 120
    return text if len(text) <= limit else text[:limit] + "…"


def _check_quantity(content: Mapping[str, Any], problems: list[Problem]) -> None:
    """Add up the serials, last minus first plus one each; they are the stated kilograms."""
    total = 0
    serials = content.get("serials")
    for serial in serials if isinstance(serials, list) else ():
        found = re.fullmatch(_SERIAL, str(serial))
        if found is None:
            message = f"{_short(serial)} is not a range of serials."
            problems.append(Problem("quantity", "retirement.serials", message))
            return
        total += int(found[2]) - int(found[1]) + 1
    stated = content.get("quantity_kg")
    if stated != total:
        message = f"The serials name {total} kg, the quantity says {stated} kg."
        problems.append(Problem("quantity", "retirement.quantity_kg", message))


def _check_inclusion(
    log: Mapping[str, Any], leaf: Mapping[str, Any], problems: list[Problem]
) -> None:
    checkpoint, _, _ = read_note(str(log["checkpoint"]))
    if checkpoint.size != log["tree_size"]:
        message = (
            f"log.tree_size says {log['tree_size']}, the checkpoint signs {checkpoint.size} leaves."
        )
        problems.append(Problem("checkpoint", "log.tree_size", message))
        return
    try:
        path = [_unhex(step) for step in log["inclusion_proof"]]
        root = root_from_inclusion(
            leaf=leaf_hash(canonical_json(leaf)),
            index=log["leaf_index"],
            size=log["tree_size"],
            path=path,
        )
    except Malformed as fault:
        message = f"The inclusion proof: {fault}."
        problems.append(Problem("inclusion", "log.inclusion_proof", message))
        return
    if root != checkpoint.root:
        message = (
            f"The proof leads from the leaf to the root {root.hex()}, the checkpoint has "
            f"{checkpoint.root.hex()}: the leaf or the proof was altered."
        )
        problems.append(Problem("inclusion", "log.inclusion_proof", message))


def _check_signature(
    log: Mapping[str, Any], environment: str, key: str | None, problems: list[Problem]
) -> str:
    """Check origin, key and signature; return the fingerprint of the key in the document."""
    checkpoint, named, signature = read_note(str(log["checkpoint"]))
    public_key = _unbase64(str(log["public_key"]), "log.public_key", length=32)
    own = fingerprint_of(public_key)
    _compare("log.fingerprint", log["fingerprint"], own, problems)
    if not checkpoint.origin.startswith(f"amanar-{environment}/"):
        message = f"The log {checkpoint.origin} is not one of a {environment} registry."
        problems.append(Problem("environment", "log.checkpoint", message))
    if key is not None and key != own:
        message = f"The document was signed with the key {own}, you trust {key}."
        problems.append(Problem("wrong-key", "log.public_key", message))
    if named != key_id(checkpoint.origin, public_key):
        message = "The signature names another key than the one in the document."
        problems.append(Problem("signature", "log.public_key", message))
    if not signature_holds(checkpoint, signature=signature, public_key=public_key):
        message = "The signature of the checkpoint does not hold: it or the checkpoint was altered."
        problems.append(Problem("signature", "log.checkpoint", message))
    return own


def _summary(content: Mapping[str, Any]) -> dict[str, str]:
    wanted = ("quantity_t", "beneficiary", "purpose", "kind", "retired_at")
    found = {name: str(content[name]) for name in wanted if name in content}
    serials = content.get("serials")
    if isinstance(serials, list):
        found["serials"] = ", ".join(str(serial) for serial in serials)
    return found


# --- keys ----------------------------------------------------------------------------------------


def fingerprint_of(public_key: bytes) -> str:
    """Give `sha256:` and the 64 hexadecimal digits of SHA-256 over the 32 raw bytes."""
    return "sha256:" + hashlib.sha256(public_key).hexdigest()


def read_key(text: str) -> str:
    """Read the signer that the reader trusts, a FILE or a FINGERPRINT, into a fingerprint.

    A file holds a fingerprint, or an Ed25519 public key as PEM or as base64 of its 32 bytes.

    Raises
    ------
    Malformed
        If it is neither, or holds a private key.
    """
    given = text.strip()
    if re.fullmatch(r"(sha256:)?[0-9a-fA-F]{64}", given):
        return "sha256:" + given.lower().removeprefix("sha256:")
    path = Path(given)
    if not path.is_file():
        message = f"--key {given}: no such file, and not a fingerprint (sha256: and 64 digits)"
        raise Malformed(message)
    held = path.read_text(encoding="utf-8", errors="replace").strip()
    if "PRIVATE KEY" in held:
        message = f"--key {given}: this is a private key; give the public key or its fingerprint"
        raise Malformed(message)
    if re.fullmatch(r"(sha256:)?[0-9a-fA-F]{64}", held):
        return "sha256:" + held.lower().removeprefix("sha256:")
    if "BEGIN PUBLIC KEY" in held:
        return fingerprint_of(_raw_of_pem(held, given))
    return fingerprint_of(_unbase64(held, f"--key {given}", length=32))


def _raw_of_pem(pem: str, given: str) -> bytes:
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError as fault:
        message = f"--key {given}: not a public key ({fault})"
        raise Malformed(message) from fault
    if not isinstance(key, Ed25519PublicKey):
        message = f"--key {given}: a public key, but not an Ed25519 one"
        raise Malformed(message)
    return key.public_bytes_raw()


def _unbase64(text: str, place: str, *, length: int) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as fault:
        message = f"{place}: not base64"
        raise Malformed(message) from fault
    if len(value) != length:
        message = f"{place}: {len(value)} bytes, {length} are wanted"
        raise Malformed(message)
    return value


def _unhex(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        message = f"{text[:80]!r} is not a hash (64 hexadecimal digits)"
        raise Malformed(message)
    return bytes.fromhex(text)


# --- the command line ----------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    """Run as `python proof.py CERTIFICATE.json [--key FILE|FINGERPRINT]`."""
    rest = list(arguments)
    key_text: str | None = None
    if "--key" in rest:
        at = rest.index("--key")
        key_text = "".join(rest[at + 1 : at + 2])
        del rest[at : at + 2]
    if len(rest) != 1:
        sys.stderr.write("usage: proof.py CERTIFICATE.json [--key FILE|FINGERPRINT]\n")
        return 2
    try:
        key = None if key_text is None else read_key(key_text)
        document = read_certificate(Path(rest[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        sys.stderr.write(f"{fault}\n")
        return 2
    verdict = verify_certificate(document, key=key)
    sys.stdout.write(f"{verdict.sentence}\n")
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
