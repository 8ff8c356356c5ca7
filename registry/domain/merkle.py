"""The Merkle tree of the audit log, RFC 9162; imports the hashes of `proof` alone.

A tree is what is proved with: one root stands for all leaves in their order. An inclusion proof
shows that one leaf is under a root; a consistency proof shows that a later tree only appended.

Order: the tree, then the check of consistency (the check of inclusion is in `proof`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from registry.domain.proof import Malformed, node_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree with no leaves; RFC 9162 section 2.1.1."""


class Tree:
    """An append-only Merkle tree over leaf hashes.

    Level k holds the hashes of the complete subtrees of 2**k leaves, so appending costs one hash
    on average and each proof costs as many as the tree is deep. Memory: 64 bytes of hashes a leaf.

    Parameters
    ----------
    leaf_hashes
        `proof.leaf_hash` of each leaf, oldest first.
    """

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaf_hashes:
            self.append(leaf)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash at the end and complete the subtrees that it closes."""
        self._levels[0].append(leaf)
        height = 0
        while len(self._levels[height]) % 2 == 0:
            if height + 1 == len(self._levels):
                self._levels.append([])
            left, right = self._levels[height][-2:]
            self._levels[height + 1].append(node_hash(left, right))
            height += 1

    def root(self, size: int | None = None) -> bytes:
        """Give the root of the first `size` leaves, of all when None; section 2.1.1."""
        leaves = self._within(self.size if size is None else size)
        return self._subtree(0, leaves) if leaves else EMPTY_ROOT

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Give the path from leaf `index` to the root of `size` leaves; section 2.1.3.1."""
        leaves = self._within(self.size if size is None else size)
        if not 0 <= index < leaves:
            message = f"leaf {index} is not in a tree of {leaves} leaves"
            raise Malformed(message)
        path: list[bytes] = []
        start, end = 0, leaves
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, first: int, second: int | None = None) -> list[bytes]:
        """Give the proof that `second` leaves begin with the same `first`; section 2.1.4.1."""
        leaves = self._within(self.size if second is None else second)
        if not 0 < first <= leaves:
            message = f"no consistency between sizes {first} and {leaves}"
            raise Malformed(message)
        path: list[bytes] = []
        start, end, whole = 0, leaves, True
        while first < end:
            middle = start + _split(end - start)
            if first <= middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(start, middle))
                start, whole = middle, False
        if not whole:
            path.append(self._subtree(start, end))
        return path[::-1]

    def _within(self, size: int) -> int:
        if not 0 <= size <= self.size:
            message = f"the tree has {self.size} leaves, {size} were asked for"
            raise Malformed(message)
        return size

    def _subtree(self, start: int, end: int) -> bytes:
        """Hash of leaves [start, end); `start` is a multiple of the next power of two."""
        count = end - start
        if count & (count - 1) == 0:
            height = count.bit_length() - 1
            return self._levels[height][start >> height]
        middle = start + _split(count)
        return node_hash(self._subtree(start, middle), self._subtree(middle, end))


def _split(count: int) -> int:
    """Give the largest power of two that is smaller than `count` (> 1)."""
    return 1 << ((count - 1).bit_length() - 1)


def consistency_holds(
    *,
    first: int,
    second: int,
    first_root: bytes,
    second_root: bytes,
    path: Sequence[bytes],
) -> bool:
    """Say whether the later tree only appended to the earlier one; RFC 9162 section 2.1.4.2."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    steps = [first_root, *path] if first & (first - 1) == 0 else list(path)
    if not steps:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not (place & 1 or place == 0):
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, step)
        place, last = place >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root
