"""A scene of any size on a cluster of any size, planned as it would be, and scheduled by Dask itself.

What is real: the split, what each worker would keep and read, the tiles that it would send, and the
scheduler, with every task, argument and message of the pictures. What is not: the scene's rows, of which
none is read, and the workers, all in one process, whose tasks do nothing.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import numpy as np
from distributed import Client, SpecCluster, Worker
from distributed.deploy.subprocess import SubprocessScheduler
from numpy.typing import NDArray

from benchmarks.timing import Say
from plenostream.cameras import Camera, orbit_cameras
from plenostream.cluster.jobs import Job
from plenostream.cluster.keepers import Keepers, Tasks
from plenostream.cluster.splitting import moved_bytes, tiles_of
from plenostream.engine.bands import Band
from plenostream.engine.joining import Joining
from plenostream.engine.sheets import sheet_bytes
from plenostream.engine.sight import camera_view
from plenostream.engine.subvolumes import brick_bytes
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.format.reader import SceneStore
from plenostream.options import RenderOptions, StreamOptions
from plenostream.plan import Split, bricks_within, build_boxes, split_bricks
from plenostream.rules.bytesize import format_bytes
from plenostream.scene import open_scene

__all__ = ["Simulated", "simulate_split", "simulation_lines"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Large:
    """Copies of a scene side by side, as one scene."""

    grid: GridSpec
    bricks: BrickGrid
    index: NDArray[np.int32]
    """[m, 3]: bricks that can contribute."""
    n_bytes: NDArray[np.int64]
    """[m]: of each on a device."""
    first_row: NDArray[np.int64]
    last_row: NDArray[np.int64]
    """[m]: of each, among the rows of all copies."""
    chunks: tuple[tuple[int, int], ...]
    """Rows and bytes of a chunk of each array of rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What a cluster would take."""

    n_workers: int
    n_bricks: int
    split_seconds: float
    """Splitting the bricks."""
    balance: float
    """Bytes of a set of bricks, on average, as a part of those of the largest."""
    kept_bytes: int
    """Of the largest set, on a device."""
    requests: int
    """Chunks that all workers read until everything is kept, each worker each of its own once."""
    read_bytes: int
    """Of these, as they are decoded."""
    moved_bytes: int
    """Of sheets from worker to worker, a picture, at most."""
    sent_bytes: int
    """Of a picture, to whoever asked."""
    tasks: int
    """Of a picture."""
    scheduler_seconds: float
    """Processor time of the scheduler, a picture."""
    scheduler_bytes: int
    """That it reads and writes, a picture."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return asdict(self)


def simulate_split(
    place: str,
    *,
    workers: Sequence[int],
    copies: int,
    pictures: int,
    size: tuple[int, int],
    say: Say,
) -> list[Simulated]:
    """Plan and schedule a scene, `copies` times as long along each axis, for each number of workers."""
    options = RenderOptions()
    with open_scene(place) as scene:
        large = _many_copies(scene.store, copies)
        camera = orbit_cameras(large.grid, 1, size=size)[0]
        meta = replace(scene.meta, grid=large.grid, ndc=None)
        job = Job(place=scene.place, meta=meta, options=options, stream=StreamOptions())
        found = []
        for n in workers:
            say(f"{n} worker(s), {len(large.index)} bricks")
            found.append(_simulated(large, job, camera, n, pictures))
        return found


def _many_copies(store: SceneStore, copies: int) -> _Large:
    """Copies of the scene, each of whole bricks."""
    bricks = brick_bytes(store, RenderOptions(), StreamOptions())
    drawn = np.flatnonzero(store.tables.occupied)
    start = store.tables.row_start
    step = np.array(store.meta.bricks.shape)
    places = np.argwhere(np.ones((copies,) * 3, bool))
    index = (bricks.index[None] + places[:, None] * step).reshape(-1, 3).astype(np.int32)
    rows = np.arange(copies**3)[:, None] * store.meta.n_rows
    edge = store.meta.brick_size
    x, y, z = (int(n) * copies * edge + 1 for n in step)
    radius = store.meta.grid.radius
    grid = GridSpec(size=(x, y, z), radius=radius, center=store.meta.grid.center)
    specs = [store.specs[name] for name in ("rows/density", "rows/sh")]
    return _Large(
        grid=grid,
        bricks=BrickGrid(size=grid.size, brick_size=edge),
        index=index,
        n_bytes=np.tile(bricks.n_bytes, copies**3),
        first_row=(start[drawn] + rows).reshape(-1),
        last_row=(start[drawn + 1] - 1 + rows).reshape(-1),
        chunks=tuple((spec.chunk_shape[0], spec.chunk_bytes) for spec in specs),
    )


def _simulated(large: _Large, job: Job, camera: Camera, n: int, pictures: int) -> Simulated:
    began = time.perf_counter()
    split = split_bricks(large.index, large.n_bytes, n, large.bricks.shape)
    took = time.perf_counter() - began
    requests = read = 0
    sheets = []
    for box in split.boxes:
        mine = bricks_within(large.index, box)
        for rows, n_bytes in large.chunks:
            first, last = large.first_row[mine] // rows, large.last_row[mine] // rows
            chunks = int(last.max()) + 1
            edges = np.bincount(first, minlength=chunks + 1) - np.bincount(
                last + 1, minlength=chunks + 1
            )
            touched = int((np.cumsum(edges) > 0).sum())
            requests, read = requests + touched, read + touched * n_bytes
        sheets.append(sheet_bytes(_tiles_seen(large, mine, camera), 0))
    whole = sheet_bytes(tiles_of(camera, 1), 0)
    scheduled = _schedule(job, split, camera, pictures)
    return Simulated(
        n_workers=n,
        n_bricks=len(large.index),
        split_seconds=took,
        balance=split.balance,
        kept_bytes=int(split.n_bytes.max()),
        requests=requests,
        read_bytes=read,
        moved_bytes=moved_bytes(split, sheets, whole),
        sent_bytes=camera.width * camera.height * 5 * 4,
        tasks=2 * n,
        **scheduled,
    )


def _tiles_seen(large: _Large, mine: NDArray[np.bool_], camera: Camera) -> int:
    """Tiles in which some of the bricks may be seen, each brick as a box of all its cells."""
    edge = large.bricks.brick_size
    index = large.index[mine]
    box = np.array([[(0, 0, 0, edge, edge, edge)]], np.uint8)
    one = BrickGrid(size=large.bricks.size, brick_size=edge)
    boxes = np.zeros((len(index), one.blocks, 6), np.uint8)
    boxes[:, :1] = box
    table = build_boxes(index, boxes, np.ones(len(index), bool), one)
    place = (table, index, large.grid, large.bricks, camera)
    return int(camera_view(*place, top=0, bottom=camera.height).tiles_seen().sum())


def _schedule(job: Job, split: Split, camera: Camera, pictures: int) -> dict[str, Any]:
    """What a scheduler takes for a picture."""
    # The scheduler's process cannot import this module.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with _cluster(len(split.boxes)) as client:
        keepers = Keepers(client, job, split, Tasks(_draw, _join, _finish))
        (_, band), *_ = Joining(job.meta, job.options).bands(camera, 1 << 20)
        keepers.draw(band).result()
        client.run_on_scheduler(_count_bytes)
        before = client.run_on_scheduler(_cost)
        for _ in range(pictures):
            keepers.draw(band).result()
        after = client.run_on_scheduler(_cost)
    return {
        "scheduler_seconds": (after[0] - before[0]) / pictures,
        "scheduler_bytes": (after[1] - before[1]) // pictures,
    }


@contextmanager
def _cluster(n: int) -> Iterator[Client]:
    """Of a scheduler with a process of its own, and workers that are threads of this one."""
    os.environ["DASK_LOGGING__DISTRIBUTED"] = "error"  # of the scheduler's process
    quiet = logging.CRITICAL
    common = {"nthreads": 1, "dashboard": False, "memory_limit": 0, "silence_logs": quiet}
    scheduler = {
        "cls": SubprocessScheduler,
        "options": {"scheduler_kwargs": {"dashboard": False}},
    }
    workers = {number: {"cls": Worker, "options": common} for number in range(n)}
    with (
        SpecCluster(workers=workers, scheduler=scheduler, silence_logs=quiet) as cluster,
        Client(cluster, direct_to_workers=True) as client,
    ):
        yield client


def _draw(job: Job, kept: object, number: int, band: Band) -> int:
    del job, kept, band
    return number


def _join(job: Job, band: Band, cut: object, low: int, high: int) -> int:
    del job, band, cut, high
    return low


def _finish(job: Job, kept: object, band: Band, sheet: int) -> int:
    del job, kept, band
    return sheet


def _count_bytes() -> None:
    """Have the process count what it reads and writes, from now on."""
    from distributed.comm import tcp

    write, read = tcp.TCP.write, tcp.read_bytes_rw
    tcp.TCP.counted = 0

    async def counting_write(self: Any, *arguments: Any, **named: Any) -> Any:
        n_bytes = await write(self, *arguments, **named)
        tcp.TCP.counted += n_bytes
        return n_bytes

    async def counting_read(stream: Any, n_bytes: int) -> Any:
        tcp.TCP.counted += n_bytes
        return await read(stream, n_bytes)

    tcp.TCP.write, tcp.read_bytes_rw = counting_write, counting_read


def _cost() -> tuple[float, int]:
    """Processor time of the process, and bytes counted."""
    from distributed.comm import tcp

    return time.process_time(), tcp.TCP.counted


def simulation_lines(found: Sequence[Simulated]) -> list[str]:
    """The figures as a table of Markdown, a row a cluster."""
    head = (
        "workers", "bricks of each", "split in", "balance", "kept, the most", "chunks read", "read, decoded",
        "sheets moved", "sent here", "tasks", "scheduler, CPU", "through it",
    )  # fmt: skip
    rows = [
        (
            str(each.n_workers),
            f"{each.n_bricks // each.n_workers:,}",
            f"{each.split_seconds:.2g} s",
            f"{each.balance:.1%}",
            format_bytes(each.kept_bytes),
            f"{each.requests:,}",
            format_bytes(each.read_bytes),
            format_bytes(each.moved_bytes),
            format_bytes(each.sent_bytes),
            str(each.tasks),
            f"{each.scheduler_seconds * 1e3:.3g} ms",
            format_bytes(each.scheduler_bytes),
        )
        for each in found
    ]
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
