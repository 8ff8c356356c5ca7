"""Reading STAC documents: static catalogs from a path or an address, and STAC APIs.

Imports items and errors; json, urllib and pystac-client; no rasters.
Order: the answer, opening a source, static walk, API, reading one document.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from geo.errors import BadInput, GeoError, SourceUnavailable
from geo.items import UnreadableItem, resolve_href

if TYPE_CHECKING:
    from datetime import date

MAX_DOCUMENT_BYTES = 50_000_000
MAX_CATALOGS = 10_000
"""A catalog tree larger than this is taken for a mistake; our choice."""

TIMEOUT_SECONDS = 30
ATTEMPTS = 3
WAIT_SECONDS = 1.0
"""Before the third attempt; the second comes at once."""

MAX_ITEMS = 20_000
"""More items than this from one search are taken for a mistake; our choice."""

_READERS = 8

Json = Mapping[str, Any]


class UnreadableDocument(GeoError):
    """The document {reason}."""


@dataclass(frozen=True)
class FoundDocument:
    """One item document, or the reason why there is none."""

    href: str
    document: Json | None
    reason: str | None = None


def item_documents(
    source: str,
    collection: str,
    *,
    bbox: tuple[float, float, float, float],
    days: tuple[date, date],
) -> Iterator[FoundDocument]:
    """Give the item documents of a collection.

    Parameters
    ----------
    source
        Path or http(s) address of a static catalog (or its folder), or address of a STAC API.
    bbox, days
        Passed to an API's search; a static catalog gives all its items.

    Raises
    ------
    BadInput
        When the catalog cannot be read or has no such collection; the ids it has are listed.
    """
    try:
        root, document = open_catalog(source)
    except SourceUnavailable as error:
        raise _no_catalog(source, str(error.fields["reason"])) from error
    if any(link.get("rel") == "search" for link in _links(document)):
        return _api_items(root, collection, bbox=bbox, days=days)
    return _static_items(root, document, collection=collection)


def folder_of(source: str) -> str:
    """Give the folder of a catalog (path or address), without the last slash.

    Scenes name their files relative to it, so that a plan means the same wherever the catalog
    is moved to.
    """
    root = _root_address(source)
    return root.rsplit("/", 1)[0] if Path(root).suffix == ".json" else root.rstrip("/")


def place_of(source: str) -> str:
    """Give the one address of a catalog, however it was written: two that differ are two."""
    root = _root_address(source)
    return root.rstrip("/") if _is_remote(root) else str(Path(root).resolve())


def open_catalog(source: str) -> tuple[str, Json]:
    """Give the address and the document of a catalog's root.

    Raises
    ------
    BadInput
        When nothing is there, or no STAC catalog.
    SourceUnavailable
        When the server did not answer.
    """
    root = _root_address(source)
    try:
        document = read_document(root)
    except UnreadableDocument as error:
        raise _no_catalog(source, str(error.fields["reason"])) from error
    if document.get("type") not in {"Catalog", "Collection"}:
        raise _no_catalog(source, "is not a STAC catalog (type is neither Catalog nor Collection)")
    return root, document


def _no_catalog(source: str, problem: str) -> BadInput:
    return BadInput(
        what=f"catalog {source}",
        problem=problem,
        fix="Give the path or address of a STAC catalog.json or of a STAC API.",
    )


def read_document(address: str) -> Json:
    """Read one JSON document; raises `UnreadableDocument` with the reason."""
    body = _fetched(address) if _is_remote(address) else _from_file(address)
    if len(body) > MAX_DOCUMENT_BYTES:
        raise UnreadableDocument(reason=f"is larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableDocument(reason=f"is not JSON ({_clause(error)})") from error
    if not isinstance(document, dict):
        raise UnreadableDocument(reason="is not a JSON object")
    return document


def _from_file(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_DOCUMENT_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UnreadableDocument(reason=f"cannot be read ({_clause(error)})") from error


def _fetched(address: str) -> bytes:
    """Fetch a document; what a server denies is unreadable, silence is tried again."""
    said = ""
    for attempt in range(ATTEMPTS):
        time.sleep(max(attempt - 1, 0) * WAIT_SECONDS)
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  # http(s) only, checked
                body: bytes = answer.read(MAX_DOCUMENT_BYTES + 1)
                return body
        except urllib.error.HTTPError as error:
            said = _clause(error)
            if error.code < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise UnreadableDocument(reason=f"cannot be read ({said})") from error
        except (OSError, HTTPException) as error:
            said = _clause(error)
    raise SourceUnavailable(path=address, reason=said)


def _clause(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _is_remote(address: str) -> bool:
    return urlsplit(address).scheme in {"http", "https"}


def _root_address(source: str) -> str:
    if _is_remote(source):
        return source
    path = Path(source.removeprefix("file://")).absolute()
    return str(path / "catalog.json" if path.is_dir() else path)


def _links(document: Json) -> list[Json]:
    links = document.get("links")
    found = links if isinstance(links, list) else []
    return [link for link in found if isinstance(link, Mapping) and link.get("href")]


def _targets(document: Json, base: str, *, rel: str) -> list[str]:
    targets = []
    for link in _links(document):
        if link.get("rel") == rel:
            try:
                targets.append(resolve_href(str(link["href"]), base))
            except UnreadableItem:
                continue  # a link out of the tree leads nowhere here; what it held is not found
    return targets


def _static_items(root: str, document: Json, *, collection: str) -> Iterator[FoundDocument]:
    start, seen = _find_collection(root, document, collection=collection)
    if start is None:
        raise _no_such_collection(root, collection, ids=seen)
    addresses = list(dict.fromkeys(_item_addresses(*start)))
    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        yield from pool.map(_read_item_document, addresses)


def _find_collection(
    root: str, document: Json, *, collection: str
) -> tuple[tuple[str, Json] | None, list[str]]:
    """Walk breadth first; give the collection's address and document, and the ids met."""
    waiting, visited, ids = deque([(root, document)]), {root}, []
    while waiting and len(visited) <= MAX_CATALOGS:
        address, node = waiting.popleft()
        if node.get("type") == "Collection":
            ids.append(str(node.get("id")))
            if node.get("id") == collection:
                return (address, node), ids
        for target in _targets(node, address, rel="child"):
            if target not in visited:
                visited.add(target)
                try:
                    waiting.append((target, read_document(target)))
                except UnreadableDocument:
                    ids.append(f"{target} (unreadable)")
    return None, ids


def _no_such_collection(root: str, collection: str, *, ids: list[str]) -> BadInput:
    return BadInput(
        what=f"collection {collection}",
        problem=f"is not in {root}",
        fix=f"It has: {', '.join(sorted(set(ids))) or 'no collection at all'}.",
    )


def _item_addresses(address: str, document: Json) -> Iterator[str]:
    """Give the item links of a collection and of the catalogs below it."""
    waiting, visited = deque([(address, document)]), {address}
    while waiting:
        base, node = waiting.popleft()
        yield from _targets(node, base, rel="item")
        for target in _targets(node, base, rel="child"):
            if target in visited or len(visited) > MAX_CATALOGS:
                continue
            visited.add(target)
            try:
                below = read_document(target)
            except UnreadableDocument:
                yield target  # is read again as an item, and refused by name there
                continue
            if below.get("type") == "Catalog":
                waiting.append((target, below))


def _read_item_document(address: str) -> FoundDocument:
    try:
        return FoundDocument(address, read_document(address))
    except UnreadableDocument as error:
        return FoundDocument(address, None, f"its document {error.reason}")


def _api_items(
    address: str,
    collection: str,
    *,
    bbox: tuple[float, float, float, float],
    days: tuple[date, date],
) -> Iterator[FoundDocument]:
    from pystac_client import Client  # noqa: PLC0415  # 0.5 s to import, needed for an API only
    from pystac_client.exceptions import APIError  # noqa: PLC0415

    try:
        client = Client.open(address, timeout=TIMEOUT_SECONDS)
        ids = [found.id for found in client.get_collections()]
        if collection not in ids:
            raise _no_such_collection(address, collection, ids=ids)
        search = client.search(
            collections=[collection],
            bbox=bbox,
            max_items=MAX_ITEMS + 1,
            datetime="/".join(day.isoformat() for day in days),
        )
        found = [cast("Json", item) for item in search.items_as_dicts()]
    except (APIError, OSError) as error:
        raise BadInput(
            what=f"STAC API {address}",
            problem=f"did not answer the search ({_clause(error)})",
            fix="Try again, or give the path of a static catalog.",
        ) from error
    if len(found) > MAX_ITEMS:
        raise BadInput(
            what=f"STAC API {address}",
            problem=f"has more than {MAX_ITEMS} items of {collection} there",
            fix="Narrow the dates or the area.",
        )
    for item in found:
        yield FoundDocument(_self_address(item, address), item)


def _self_address(item: Json, address: str) -> str:
    own = next((str(link["href"]) for link in _links(item) if link.get("rel") == "self"), "")
    return own if _is_remote(own) else f"{address.rstrip('/')}/"
