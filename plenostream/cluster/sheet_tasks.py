"""What workers do that each keep a subvolume: they draw sheets, lay them over each other, and finish them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.cluster.drawing import Refused, bytes_of_this_machine, done, sent_channels
from plenostream.cluster.jobs import (
    Job,
    held_for,
    is_unwanted,
    opened_scene,
    refuse_other_versions,
    with_fair_threads,
)
from plenostream.engine.bands import Band
from plenostream.engine.joining import Joining
from plenostream.engine.oversight import overseen
from plenostream.engine.sheets import Sheet
from plenostream.engine.subvolumes import (
    BrickBytes,
    SubvolumePlan,
    Subvolumes,
    brick_bytes,
)
from plenostream.field.precision import ChosenPrecision
from plenostream.format.opening import open_level
from plenostream.format.reader import SceneStore
from plenostream.integrator.backends import ChosenBackend
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import StreamOptions
from plenostream.plan import Cut, Split, split_bricks
from plenostream.results import FrameStats
from plenostream.scene import Scene

__all__ = [
    "Count",
    "FinishedBand",
    "Kept",
    "Piece",
    "Planned",
    "ScenesSplit",
    "count_subvolumes",
    "draw_sheet",
    "fewest_subvolumes",
    "finish_band",
    "join_sheets",
    "joining_of",
    "plan_subvolumes",
    "split_scene",
]


@dataclass(frozen=True, slots=True)
class Kept:
    """The subvolumes that a worker keeps: one, but for those it took over from a worker that was lost."""

    numbers: tuple[int, ...]
    boxes: tuple[tuple[tuple[int, ...], ...], ...]
    """Of each its box, see `Split.boxes`."""
    n_bytes: tuple[int, ...]

    @classmethod
    def of(cls, split: Split, numbers: tuple[int, ...]) -> Kept:
        """These subvolumes of a scene."""
        boxes = tuple(
            tuple(tuple(corner) for corner in split.boxes[number].tolist()) for number in numbers
        )
        return cls(numbers, boxes, tuple(int(split.n_bytes[number]) for number in numbers))


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """The sheet of a node of the tree, and what it cost."""

    sheet: Sheet
    stats: tuple[FrameStats, ...]
    moved_bytes: int = 0
    """Bytes of sheets that went from one worker to another."""


@dataclass(frozen=True, slots=True, eq=False)
class ScenesSplit:
    """How a scene is split for some workers."""

    split: Split
    allowed_bytes: int
    """Of a worker's device."""


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """What a worker takes for each of its subvolumes."""

    plans: list[SubvolumePlan]
    backend: ChosenBackend
    precision: ChosenPrecision
    machine_bytes: int
    """Memory of the worker's machine."""

    @property
    def needed_bytes(self) -> int:
        """Of that memory; a GPU has its own."""
        on_host = self.backend.on_host
        return sum(plan.host_bytes + plan.device_bytes * on_host for plan in self.plans)


@dataclass(frozen=True, slots=True)
class Count:
    """How many subvolumes a scene needs."""

    fewest: int
    """0: there is no split that fits."""
    total_bytes: int
    """Of all bricks on a device."""
    allowed_bytes: int
    """Of a worker's device."""


def joining_of(job: Job) -> Joining:
    """How sheets of the job's scene, or of the level that is drawn, go together."""
    assert not isinstance(job.options.level, str)
    return Joining(job.meta.level(job.options.level), job.options)


def _store(job: Job, scene: Scene) -> SceneStore:
    assert not isinstance(job.options.level, str)
    return open_level(scene.store, job.options.level)


def _opened(job: Job, kept: Kept) -> Subvolumes:
    """This worker's subvolumes; raises as `held_for` and `Subvolumes`."""

    def make(scene: Scene, stream: StreamOptions) -> Subvolumes:
        boxes = [np.array(box) for box in kept.boxes]
        return Subvolumes(_store(job, scene), job.options, stream, boxes, kept.n_bytes)

    return held_for(job, (job, kept), make)


def split_scene(job: Job, n: int) -> ScenesSplit | Refused:
    """A split of the job's scene into `n` subvolumes."""

    def do() -> ScenesSplit:
        bricks, shape = _bricks(job)
        split = split_bricks(bricks.index, bricks.n_bytes, n, shape)
        return ScenesSplit(split, bricks.allowed_bytes)

    return done(do)


def count_subvolumes(job: Job, least: int, room: int | None = None) -> Count | Refused:
    """How many subvolumes there have to be, `least` at least, of which none takes more than `room` bytes
    of a device, or half of what a worker is allowed; see `fewest_subvolumes`."""

    def do() -> Count:
        bricks, shape = _bricks(job)
        most = bricks.allowed_bytes // 2 if room is None else room
        fewest = fewest_subvolumes(bricks, least, most, shape)
        return Count(fewest, int(bricks.n_bytes.sum()), bricks.allowed_bytes)

    return done(do)


def _bricks(job: Job) -> tuple[BrickBytes, tuple[int, int, int]]:
    """What is in the job's scene, and the grid of its bricks."""
    refuse_other_versions(job)
    with opened_scene(job) as scene:
        store, stream = _store(job, scene), with_fair_threads(job)
        prepare_jax(stream.device_bytes)
        return brick_bytes(store, job.options, stream), store.meta.bricks.shape


def fewest_subvolumes(
    bricks: BrickBytes, least: int, room: int, shape: tuple[int, int, int]
) -> int:
    """The fewest, or nearly so, `least` at least, of which none takes more than `room`; 0: none."""
    n = max(least, -(-int(bricks.n_bytes.sum()) // max(room, 1)))
    while n <= len(bricks.index):
        if int(split_bricks(bricks.index, bricks.n_bytes, n, shape).n_bytes.max()) <= room:
            return n
        n += max(1, n // 16)
    return 0


def plan_subvolumes(job: Job, kept: Kept, camera: Camera) -> Planned | Refused:
    """What this worker takes to keep its subvolumes and to draw its part of a picture."""

    def do() -> Planned:
        opened = _opened(job, kept)
        return Planned(
            opened.plan(camera), opened.backend, opened.precision, bytes_of_this_machine()
        )

    return done(do)


def draw_sheet(job: Job, kept: Kept, number: int, band: Band) -> Piece | Refused:
    """What subvolume `number`, which this worker keeps, shows of a band."""

    def do() -> Piece:
        session = _opened(job, kept).sessions[kept.numbers.index(number)]
        with overseen(is_unwanted(), None, session.interrupt) as oversight:
            sheet, stats = band.draw(session, oversight)
        return Piece(sheet, (stats,))

    return done(do)


def join_sheets(
    job: Job, band: Band, cut: Cut, low: Piece | Refused, high: Piece | Refused
) -> Piece | Refused:
    """What both sides of a cut show; the worker that does it has the low side's."""
    for side in (low, high):
        if isinstance(side, Refused):
            return side
    assert isinstance(low, Piece)
    assert isinstance(high, Piece)
    sheet = joining_of(job).joined(band, cut, low.sheet, high.sheet)
    moved = low.moved_bytes + high.moved_bytes + high.sheet.nbytes
    return Piece(sheet, low.stats + high.stats, moved)


@dataclass(frozen=True, slots=True, eq=False)
class FinishedBand:
    """Rows of a picture, or rays: the arrays that are wanted, by the fields of `Outputs`."""

    arrays: dict[str, NDArray[np.float32]]
    stats: tuple[FrameStats, ...]
    moved_bytes: int


def finish_band(job: Job, kept: Kept, band: Band, piece: Piece | Refused) -> FinishedBand | Refused:
    """The rows of the picture that a band is of, background and all."""

    def do() -> FinishedBand | Refused:
        if isinstance(piece, Refused):
            return piece
        arrays = band.finish(_opened(job, kept).sessions[0], piece.sheet)
        wanted = sent_channels(job.options.outputs)
        return FinishedBand({name: arrays[name] for name in wanted}, piece.stats, piece.moved_bytes)

    return done(do)
