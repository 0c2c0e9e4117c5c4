"""Subvolumes that one worker keeps on its device: their sessions, and what drawing them takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.engine.bands import PixelBand, TileBand
from plenostream.engine.joining import Joining
from plenostream.engine.opening import open_session
from plenostream.engine.picture import PictureJob
from plenostream.engine.ray_picture import RayPictureJob
from plenostream.engine.rays import packets_of
from plenostream.engine.session import Session
from plenostream.engine.sheets import sheet_bytes
from plenostream.errors import BudgetError
from plenostream.field.tiles import TILE
from plenostream.format.reader import SceneStore
from plenostream.options import RenderOptions, StreamOptions
from plenostream.process.closing import Closing
from plenostream.rules.bytesize import format_bytes, format_least_bytes

__all__ = [
    "SHEETS_HELD",
    "BrickBytes",
    "SubvolumePlan",
    "Subvolumes",
    "brick_bytes",
    "subvolume_plan",
]

_SHEET_SHARE = 4
"""Of the host memory, the part that is kept for sheets."""
SHEETS_HELD = 6
"""Sheets of a band that a worker holds at most: of each of two bands its own, another that is laid over
it, and what comes of both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubvolumePlan:
    """What a worker takes to keep a subvolume and to draw its part of a picture: upper bounds."""

    n_bricks: int
    """Bricks that it keeps."""
    device_bytes: int
    """Of the device, with all of them in the pool."""
    allowed_device_bytes: int
    smallest_device_bytes: int
    """The smallest device memory with which they stay there."""
    host_bytes: int
    """Of the host, with sheets."""
    allowed_host_bytes: int
    read_bytes: int
    """Of chunks that it reads, once, as they are decoded."""
    sheet_bytes: int
    """Of the sheets of a picture, if every tile shows something that may."""
    band_rows: int
    """Rows of tiles that it draws together, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class BrickBytes:
    """The bricks of a scene that can contribute, m of them."""

    index: NDArray[np.int32]
    """[m, 3]: brick coordinates."""
    n_bytes: NDArray[np.int64]
    """[m]: what each takes in a pool."""
    allowed_bytes: int
    """Of the device that was asked."""


class Subvolumes(Closing):
    """Sessions of some subvolumes of a scene, each within its share of what one worker is allowed.

    Half of the memory is shared out equally, since rays take the same for each; half by bricks.
    """

    def __init__(
        self,
        store: SceneStore,
        options: RenderOptions,
        stream: StreamOptions,
        boxes: Iterable[NDArray[np.int64]],
        n_bytes: Iterable[int],
    ) -> None:
        """Keep the bricks in `boxes` [2, 3] of a scene or level, which take `n_bytes`; allocates
        nothing on the device. Raises as `open_session`."""
        self._host_bytes = stream.host_bytes
        self.sheet_bytes = stream.host_bytes // _SHEET_SHARE
        self.sessions: list[Session] = []
        parts = list(zip(boxes, n_bytes, strict=True))
        total = sum(mine for _, mine in parts)
        device = stream.device_bytes
        if device is None and len(parts) > 1:
            # What a device grants is known when an integrator is opened on it.
            whole, *_ = open_session(store, options, stream)
            device = whole.integrator.allowed_bytes
            whole.close()
        try:
            for box, mine in parts:
                share = (1.0 / len(parts) + mine / total) / 2.0
                within = replace(
                    stream,
                    device_memory=None if device is None else int(device * share),
                    host_memory=int((stream.host_bytes - self.sheet_bytes) * share),
                )
                session, self.precision, self.backend = open_session(
                    store, options, within, within=box
                )
                self.sessions.append(session)
        except BaseException:
            self.close()
            raise
        self._device_bytes = device or self.sessions[0].integrator.allowed_bytes

    def close(self) -> None:
        """Give back what all of them hold."""
        for session in self.sessions:
            session.close()

    def plan(self, camera: Camera) -> list[SubvolumePlan]:
        """What a picture will take of each.

        Raises
        ------
        BudgetError : bricks, a row of tiles and its sheets do not fit; in terms of what the whole worker
        is allowed.
        """
        room, plans = self.sheet_bytes // len(self.sessions), []
        for session in self.sessions:
            try:
                plans.append(subvolume_plan(session, camera, room=room))
            except BudgetError as error:
                raise self._of_worker(error, session) from error
        return plans

    def _of_worker(self, error: BudgetError, session: Session) -> BudgetError:
        """A session's error in terms of what all of them are allowed."""
        whole, part = self._host_bytes, session.host_bytes
        if error.allowed_bytes == session.integrator.allowed_bytes:
            whole, part = self._device_bytes, session.integrator.allowed_bytes
        elif error.allowed_bytes != session.host_bytes:
            whole, part = len(self.sessions), 1
        if whole == part:
            return error
        smallest = -(-error.smallest_bytes * whole // part)
        return BudgetError(
            f"{error} That is {part / whole:.0%} of what this worker is allowed, which has to be "
            f"{format_least_bytes(smallest)}.",
            planned_bytes=smallest,
            allowed_bytes=error.allowed_bytes * whole // part,
            smallest_bytes=smallest,
        )


def subvolume_plan(session: Session, camera: Camera, *, room: int) -> SubvolumePlan:
    """What a picture will take of a session of a subvolume, with `room` for sheets in bytes.

    Raises
    ------
    BudgetError : its bricks, a row of tiles and the sheets of it do not fit what is allowed.
    """
    joining = Joining(session.store.meta, session.options)
    (_, first), *_ = joining.bands(camera, 1)
    by_pixel = isinstance(first, PixelBand)
    if by_pixel:
        layout = RayPictureJob(session, camera).layout
    else:
        layout = PictureJob(session, camera, in_parts=True).layout
    row_bytes = SHEETS_HELD * sheet_bytes(first.rays.n_tiles, session.aovs.n_columns)
    rows = room // row_bytes
    if not rows:
        smallest = row_bytes * _SHEET_SHARE
        raise BudgetError(
            f"putting a row of tiles together takes {format_bytes(row_bytes)} of host memory, of which "
            f"{format_bytes(room)} are kept for it; allow {format_least_bytes(smallest)}, or make the "
            "picture narrower",
            planned_bytes=smallest,
            allowed_bytes=room * _SHEET_SHARE,
            smallest_bytes=smallest,
        )
    rows = min(rows, -(-camera.height * session.options.samples // TILE))
    if not by_pixel:
        rows = min(rows, layout.band_rows)
    taken = layout.host.planned_bytes + rows * row_bytes
    return SubvolumePlan(
        n_bricks=len(session.table.bricks),
        device_bytes=sum(layout.device_items.values()),
        allowed_device_bytes=session.integrator.allowed_bytes,
        smallest_device_bytes=layout.smallest_device_bytes,
        host_bytes=taken,
        allowed_host_bytes=session.host_bytes + room,
        read_bytes=_chunk_bytes(session),
        sheet_bytes=sheet_bytes(
            _tiles_seen(session, joining, camera, rows), session.aovs.n_columns
        ),
        band_rows=rows,
    )


def _tiles_seen(session: Session, joining: Joining, camera: Camera, rows: int) -> int:
    """Tiles of a picture that may show something of a session's bricks."""
    total = 0
    for _, band in joining.bands(camera, rows):
        if isinstance(band, TileBand):
            view = PictureJob(session, camera, in_parts=True).view(band.top, band.bottom)
            total += int(view.tiles_seen().sum())
        else:
            total += band.rays.n_tiles
    return total


def _chunk_bytes(session: Session) -> int:
    """Bytes of the chunks of rows that hold some of a session's bricks."""
    start, bricks = session.store.tables.row_start, session.table.bricks
    first, last = start[bricks], start[bricks + 1] - 1
    filled = last >= first
    total = 0
    for name in ("rows/density", "rows/sh"):
        spec = session.store.specs[name]
        edges = np.zeros(spec.n_chunks + 1, np.int64)
        np.add.at(edges, first[filled] // spec.chunk_shape[0], 1)
        np.add.at(edges, last[filled] // spec.chunk_shape[0] + 1, -1)
        total += int((np.cumsum(edges)[:-1] > 0).sum()) * spec.chunk_bytes
    return total


def brick_bytes(store: SceneStore, options: RenderOptions, stream: StreamOptions) -> BrickBytes:
    """What keeping each brick of a scene or level takes on a device; raises as `open_session`."""
    session, *_ = open_session(store, options, stream)
    try:
        any_rays = packets_of(np.ones((1, 3)), np.ones((1, 3)))
        costs = session.integrator.device_costs(session.projected(any_rays))
        drawn = session.table.bricks
        n_bytes = costs.slot_bytes + session.pages[drawn] * costs.page_bytes
        index = store.tables.index[drawn]
        return BrickBytes(index, n_bytes, session.integrator.allowed_bytes)
    finally:
        session.close()
