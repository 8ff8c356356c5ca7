"""Where arrays are computed: threads of this process, processes, or a dask cluster.

Imports dask (late: distributed). The choice changes the time and never the digest.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Literal

import dask

if TYPE_CHECKING:
    from collections.abc import Iterator

Scheduler = Literal["threads", "processes", "distributed"]


@contextlib.contextmanager
def scheduler(kind: Scheduler, *, workers: int | None = None) -> Iterator[None]:
    """Compute with this scheduler for the length of the block.

    Parameters
    ----------
    kind
        `threads` for what fits into this process's memory; `distributed` starts a local cluster
        of processes (loopback only, its dashboard on any free port) and ends it with the block.
    workers
        Threads or processes; None: as many as this process may use cores.
    """
    count = workers or len(os.sched_getaffinity(0))
    if kind != "distributed":
        with dask.config.set(scheduler=kind, num_workers=count):
            yield
        return
    import distributed  # noqa: PLC0415 (half a second to import)

    local_cluster: Any = distributed.LocalCluster  # the library has no types
    client: Any = distributed.Client
    with (
        local_cluster(
            n_workers=count, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        client(cluster),
    ):
        yield
