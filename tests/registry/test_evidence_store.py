"""Files known by their content: stored once, checked when read, reachable by no other name."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.adapters.evidence_store import EvidenceStore
from registry.errors import EvidenceAltered, EvidenceMissing, InvalidValue

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    return EvidenceStore(tmp_path / "evidence")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    directory = tmp_path / "bundle"
    (directory / "inputs" / "item-1").mkdir(parents=True)
    (directory / "estimate.json").write_text("{}")
    (directory / "inputs" / "item-1" / "B04.tif").write_bytes(b"II*\0")
    (directory / "inputs" / "empty.csv").write_bytes(b"")
    return directory


def test_a_file_is_read_back_by_its_hash(store: EvidenceStore) -> None:
    data = b"plot_id,lon,lat\n"
    assert store.put_bytes(data) == sha256(data).hexdigest()
    assert store.read(sha256(data).hexdigest()) == data


def test_storing_twice_keeps_the_first_file(store: EvidenceStore) -> None:
    first = store.path(store.put_bytes(b"same")).stat()
    again = store.path(store.put_bytes(b"same")).stat()
    assert (first.st_ino, first.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)


def test_a_file_cut_short_is_mended_by_storing_it_again(store: EvidenceStore) -> None:
    name = store.put_bytes(b"whole")
    store.path(name).chmod(0o644)
    store.path(name).write_bytes(b"who")
    store.put_bytes(b"whole")
    assert store.read(name) == b"whole"


def test_an_altered_file_is_named_and_not_given(store: EvidenceStore) -> None:
    name = store.put_bytes(b"1.350 t")
    path = store.path(name)
    path.chmod(0o644)
    path.write_bytes(b"9.350 t")
    with pytest.raises(EvidenceAltered, match="was altered on disk") as refused, store.open(name):
        pass
    assert refused.value.expected == name
    assert refused.value.found == sha256(b"9.350 t").hexdigest()


def test_a_stored_file_is_read_only(store: EvidenceStore) -> None:
    assert store.path(store.put_bytes(b"fixed")).stat().st_mode & 0o222 == 0


def test_a_failed_copy_leaves_nothing(store: EvidenceStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put_file(tmp_path / "absent")
    store.put_bytes(b"")
    left = [path for path in (tmp_path / "evidence").rglob("*") if path.is_file()]
    assert len(left) == 1


@pytest.mark.parametrize(
    "name",
    ["", "..", "../../etc/passwd", "/etc/passwd", "0" * 63, "0" * 64, "A" * 64, "0" * 64 + "\n"],
)
def test_what_is_no_stored_hash_is_missing(store: EvidenceStore, name: str) -> None:
    with pytest.raises(EvidenceMissing):
        store.read(name)


@given(name=st.text(max_size=80))
def test_no_text_leads_out_of_the_store(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    directory = tmp_path_factory.getbasetemp() / "walk"
    (directory / "evidence").mkdir(parents=True, exist_ok=True)
    (directory / "secret").write_text("secret")
    with pytest.raises(EvidenceMissing):
        EvidenceStore(directory / "evidence").read(name)


def test_a_directory_becomes_one_address(store: EvidenceStore, bundle: Path) -> None:
    uri = store.put_directory(bundle)
    files = store.listing(uri)
    assert list(files) == ["estimate.json", "inputs/empty.csv", "inputs/item-1/B04.tif"]
    assert {name: store.read(file.sha256) for name, file in files.items()} == {
        "estimate.json": b"{}",
        "inputs/empty.csv": b"",
        "inputs/item-1/B04.tif": b"II*\0",
    }
    assert [file.size_bytes for file in files.values()] == [2, 0, 4]
    assert uri == "sha256:" + sha256(store.read(uri.removeprefix("sha256:"))).hexdigest()


def test_the_address_of_a_directory_depends_on_names_and_content_only(
    store: EvidenceStore, bundle: Path
) -> None:
    uri = store.put_directory(bundle)
    os.utime(bundle / "estimate.json", (0, 0))
    assert store.put_directory(bundle) == uri
    (bundle / "estimate.json").rename(bundle / "renamed.json")
    assert store.put_directory(bundle) != uri


def test_a_member_is_found_by_its_exact_name_only(store: EvidenceStore, bundle: Path) -> None:
    uri = store.put_directory(bundle)
    assert store.member(uri, "estimate.json").media_type == "application/json"
    for name in ("../estimate.json", "./estimate.json", "/estimate.json", "inputs", "", "none"):
        with pytest.raises(EvidenceMissing):
            store.member(uri, name)


def test_a_link_in_a_directory_is_refused(store: EvidenceStore, bundle: Path) -> None:
    (bundle / "passwords").symlink_to("/etc/passwd")
    with pytest.raises(InvalidValue, match="passwords is no file"):
        store.put_directory(bundle)


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"[]",
        b"not json",
        b'{"schema": "amanar.files/1", "files": {"a": 1}}',
    ],
)
def test_a_file_that_is_no_listing_is_not_read_as_one(store: EvidenceStore, content: bytes) -> None:
    with pytest.raises(EvidenceMissing):
        store.listing("sha256:" + store.put_bytes(content))


def test_many_writers_of_one_file_agree(store: EvidenceStore) -> None:
    data = os.urandom(1 << 20)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(store.put_bytes, [data] * 32)) == {sha256(data).hexdigest()}
    assert store.read(sha256(data).hexdigest()) == data
