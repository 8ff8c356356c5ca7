"""The Merkle tree against known answers and against the RFC's own recursion, written out slowly."""

from __future__ import annotations

import hashlib

import pytest

from registry.domain.merkle import EMPTY_ROOT, Tree, consistency_holds
from registry.domain.proof import Malformed, leaf_hash, root_from_inclusion

# Leaves, roots and proofs of the reference implementation's test data for RFC 6962
# (certificate-transparency, merkle_tree_test); RFC 9162 hashes the same way.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
LARGEST = 40


# The definitions of RFC 9162, sections 2.1.1, 2.1.3.1 and 2.1.4.1, word by word over the data.
def slow_root(data: list[bytes]) -> bytes:
    if not data:
        return hashlib.sha256(b"").digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = slow_split(len(data))
    return hashlib.sha256(b"\x01" + slow_root(data[:k]) + slow_root(data[k:])).digest()


def slow_split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def slow_path(m: int, data: list[bytes]) -> list[bytes]:
    if len(data) == 1:
        return []
    k = slow_split(len(data))
    if m < k:
        return [*slow_path(m, data[:k]), slow_root(data[k:])]
    return [*slow_path(m - k, data[k:]), slow_root(data[:k])]


def slow_subproof(m: int, data: list[bytes], *, whole: bool) -> list[bytes]:
    if m == len(data):
        return [] if whole else [slow_root(data)]
    k = slow_split(len(data))
    if m <= k:
        return [*slow_subproof(m, data[:k], whole=whole), slow_root(data[k:])]
    return [*slow_subproof(m - k, data[k:], whole=False), slow_root(data[:k])]


def tree_of(data: list[bytes]) -> Tree:
    return Tree(leaf_hash(item) for item in data)


def hexes(path: list[bytes]) -> list[str]:
    return [step.hex() for step in path]


def numbered(count: int) -> list[bytes]:
    return [f"leaf {number}".encode() for number in range(count)]


class TestKnownAnswers:
    def test_root_of_no_leaves_is_the_hash_of_nothing(self) -> None:
        assert Tree().root() == EMPTY_ROOT == slow_root([])
        assert EMPTY_ROOT.hex().startswith("e3b0c44298fc1c14")

    @pytest.mark.parametrize("size", range(1, 9))
    def test_roots(self, size: int) -> None:
        assert tree_of(LEAVES).root(size).hex() == ROOTS[size - 1]

    @pytest.mark.parametrize("place", INCLUSION)
    def test_inclusion_proofs(self, place: tuple[int, int]) -> None:
        assert hexes(tree_of(LEAVES).inclusion(*place)) == INCLUSION[place]

    @pytest.mark.parametrize("sizes", CONSISTENCY)
    def test_consistency_proofs(self, sizes: tuple[int, int]) -> None:
        assert hexes(tree_of(LEAVES).consistency(*sizes)) == CONSISTENCY[sizes]


class TestEverySmallTree:
    def test_roots_equal_the_slow_recursion(self) -> None:
        data = numbered(LARGEST)
        tree = tree_of(data)
        for size in range(LARGEST + 1):
            assert tree.root(size) == slow_root(data[:size])

    def test_inclusion_equals_the_slow_recursion_and_leads_to_the_root(self) -> None:
        data = numbered(LARGEST)
        tree = tree_of(data)
        for size in range(1, LARGEST + 1):
            for index in range(size):
                path = tree.inclusion(index, size)
                assert path == slow_path(index, data[:size])
                found = root_from_inclusion(
                    leaf=leaf_hash(data[index]), index=index, size=size, path=path
                )
                assert found == tree.root(size)

    def test_consistency_equals_the_slow_recursion_and_holds(self) -> None:
        data = numbered(LARGEST)
        tree = tree_of(data)
        for second in range(1, LARGEST + 1):
            for first in range(1, second + 1):
                path = tree.consistency(first, second)
                assert path == slow_subproof(first, data[:second], whole=True)
                assert consistency_holds(
                    first=first,
                    second=second,
                    first_root=tree.root(first),
                    second_root=tree.root(second),
                    path=path,
                )


class TestWhatMustNotHold:
    def test_another_leaf_another_place_and_a_changed_step_give_other_roots(self) -> None:
        data = numbered(13)
        tree = tree_of(data)
        root = tree.root()
        for index in range(13):
            path = tree.inclusion(index)
            leaf = leaf_hash(data[index])
            wrong = leaf_hash(b"another")
            assert root_from_inclusion(leaf=wrong, index=index, size=13, path=path) != root
            for step in range(len(path)):
                bent = [*path]
                bent[step] = wrong
                assert root_from_inclusion(leaf=leaf, index=index, size=13, path=bent) != root

    def test_path_of_the_wrong_length_is_refused(self) -> None:
        tree = tree_of(numbered(13))
        path = tree.inclusion(5)
        leaf = leaf_hash(b"leaf 5")
        for bent in (path[:-1], [*path, path[0]]):
            with pytest.raises(Malformed, match="leaf 5 of 13"):
                root_from_inclusion(leaf=leaf, index=5, size=13, path=bent)

    def test_a_node_does_not_pass_as_a_leaf(self) -> None:
        tree = tree_of(LEAVES[:2])
        parts = leaf_hash(LEAVES[0]) + leaf_hash(LEAVES[1])
        assert leaf_hash(parts) != tree.root()

    def test_rewritten_history_is_not_consistent(self) -> None:
        data = numbered(21)
        old, rewritten = tree_of(data[:9]), tree_of([*data[:3], b"changed", *data[4:]])
        assert not consistency_holds(
            first=9,
            second=21,
            first_root=old.root(),
            second_root=rewritten.root(),
            path=rewritten.consistency(9),
        )

    def test_leaf_outside_the_tree_is_refused(self) -> None:
        with pytest.raises(Malformed, match="leaf 3 is not in a tree of 3 leaves"):
            tree_of(numbered(3)).inclusion(3)

    def test_size_beyond_the_tree_is_refused(self) -> None:
        with pytest.raises(Malformed, match="has 3 leaves, 4 were asked"):
            tree_of(numbered(3)).root(4)
