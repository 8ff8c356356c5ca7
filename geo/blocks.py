"""Functions over the blocks of lazy arrays, with types; imports dask and numpy only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Chunks = tuple[tuple[int, ...], ...]


def over_blocks(
    function: Callable[..., Any],
    *arrays: da.Array,
    dtype: type[np.generic],
    chunks: Chunks | None = None,
    **constants: object,
) -> da.Array:
    """Apply a function to the blocks of three-dimensional arrays; nothing is computed.

    Parameters
    ----------
    function
        Takes one block of each array (same chunks) and the constants; gives a block of `dtype`.
    chunks
        Chunks of the result where they differ from the inputs', or where there is no input.
    constants
        Passed on as keywords; they travel to the workers with the graph.
    """
    keywords: dict[str, Any] = {} if chunks is None else {"chunks": chunks}
    result: da.Array = da.map_blocks(  # type: ignore[no-untyped-call]  # dask has no types here
        function,
        *arrays,
        dtype=dtype,
        meta=np.empty((0, 0, 0), dtype=dtype),
        **keywords,
        **constants,
    )
    return result


def over_neighbourhoods(
    function: Callable[..., Any],
    array: da.Array,
    *,
    reach: int,
    dtype: type[np.generic],
    **constants: object,
) -> da.Array:
    """Apply a function that looks `reach` pixels around in y and x; the chunks stay the same."""
    grown: da.Array = da.map_overlap(  # type: ignore[no-untyped-call]  # as above
        function,
        array,
        depth={0: 0, 1: reach, 2: reach},
        boundary="none",
        dtype=dtype,
        meta=np.empty((0, 0, 0), dtype=dtype),
        **constants,
    )
    same: da.Array = grown.rechunk(array.chunks)  # type: ignore[no-untyped-call]  # as above
    return same
