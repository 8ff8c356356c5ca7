"""Fixtures of the registry's tests: books with one developer, area and verifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.registry.books import Books

if TYPE_CHECKING:
    from tests.world import World


@pytest.fixture
def books(world: World) -> Books:
    """Give a developer with an area and a verifier, and the ways to move credits."""
    return Books(world)
