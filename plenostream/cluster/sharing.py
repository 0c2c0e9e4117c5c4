"""How pictures are shared out among workers, and what that will take: values in, values out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from plenostream.cameras import Camera
from plenostream.cluster.drawing import WorkerPlan, sent_channels
from plenostream.errors import BudgetError
from plenostream.field.tiles import TILE
from plenostream.rules.bytesize import format_bytes

__all__ = [
    "ClusterPlan",
    "Share",
    "bands",
    "picture_bytes",
    "require_room",
    "share_out",
]

_BANDS_A_WORKER = 2
"""Of a picture that is cut: some show more than others, and a worker that is done early takes another."""
_LEAST_ROWS = 32
"""Of a band: each finds out by itself what it shows."""
_WAITING = 2
"""Parts for each worker that are under way: one is drawn, the next one waits."""


def picture_bytes(camera: Camera, outputs: Sequence[str]) -> int:
    """Bytes of what is sent of a picture."""
    return camera.width * camera.height * 4 * sum(sent_channels(outputs).values())


def bands(camera: Camera, n: int) -> list[tuple[int, int]]:
    """The rows [top, bottom) of up to `n` parts of a picture, whole tiles but for the last.

    Where the middle of the camera, seen from a part's first row, is not a float64, its rays would be
    others in the last digit: the picture is not cut there.
    """
    step = max(-(-camera.height // (n * TILE)) * TILE, _LEAST_ROWS)
    tops = [top for top in range(0, camera.height, step) if _is_exact(camera.cy, top)]
    return list(zip(tops, [*tops[1:], camera.height], strict=True))


def _is_exact(cy: float, top: int) -> bool:
    return Fraction(cy) - top == Fraction(cy - top)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Who draws what."""

    n_workers: int
    n_pictures: int
    parts: list[list[tuple[int, int]]]
    """Of each picture, the rows [top, bottom) of its parts."""
    part_bytes: int
    """Bytes that are sent of the largest part."""
    sent_bytes: int
    """Bytes of all pictures, which workers send here."""
    most: int
    """Parts that are under way or wait here for earlier ones, at most."""

    @property
    def n_parts(self) -> int:
        """Parts of all pictures."""
        return sum(map(len, self.parts))

    @property
    def most_parts(self) -> int:
        """Parts of the worker that draws most, where all take the same time."""
        return math.ceil(self.n_parts / self.n_workers)

    @property
    def balance(self) -> float:
        """Share of the workers' time that is spent drawing, where all parts take the same time."""
        busy = min(self.n_workers, self.most)
        rounds = math.ceil(self.n_parts / busy) if self.n_parts else 1
        return self.n_parts / (rounds * self.n_workers)


def share_out(
    cameras: Sequence[Camera], outputs: Sequence[str], *, n_workers: int, host_bytes: int
) -> Share:
    """Share pictures out: one by one, or in bands of rows where there are fewer than workers.

    `host_bytes` bounds what waits in this process.
    """
    n_bands = 1
    if len(cameras) < n_workers:
        n_bands = math.ceil(_BANDS_A_WORKER * n_workers / max(len(cameras), 1))
    parts = [bands(camera, n_bands) for camera in cameras]
    sizes = [picture_bytes(camera, outputs) for camera in cameras]
    part_bytes = max(
        (
            size * (bottom - top) // camera.height
            for size, camera, rows in zip(sizes, cameras, parts, strict=True)
            for top, bottom in rows
        ),
        default=0,
    )
    most = min(_WAITING * n_workers, host_bytes // max(part_bytes, 1))
    return Share(
        n_workers=n_workers,
        n_pictures=len(cameras),
        parts=parts,
        part_bytes=part_bytes,
        sent_bytes=sum(sizes),
        most=max(1, most),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """What a render will take of each worker, and what travels."""

    share: Share
    worker: WorkerPlan
    """Of the largest picture."""

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        share = self.share
        return {
            "workers": share.n_workers,
            "pictures": share.n_pictures,
            "parts": share.n_parts,
            "most_parts_of_a_worker": share.most_parts,
            "most_parts_under_way": share.most,
            "sent_bytes": share.sent_bytes,
            "largest_part_bytes": share.part_bytes,
            "expected_balance": round(share.balance, 4),
            "worker": self.worker.plan.to_dict(),
        }

    def lines(self) -> list[str]:
        """The plan as text, a line each."""
        share, plan = self.share, self.worker.plan
        drawn = f"{_count(share.n_pictures, 'picture')}"
        if share.n_parts > share.n_pictures:
            drawn += f" in {share.n_parts} bands of rows"
        return [
            f"cluster: {_count(share.n_workers, 'worker')}, {drawn}: up to {share.most_parts} each, "
            f"{share.balance:.0%} of their time busy if all take the same",
            f"a worker: device {format_bytes(plan.planned_device_bytes)} of "
            f"{format_bytes(plan.allowed_device_bytes)} allowed, host "
            f"{format_bytes(plan.planned_host_bytes)} of {format_bytes(plan.allowed_host_bytes)}; "
            f"what it shows of the scene at a time takes up to {format_bytes(plan.working_set_bytes)}",
            f"pictures: {format_bytes(share.sent_bytes)} in all come here from the workers, at most "
            f"{share.most} of {format_bytes(share.part_bytes)} under way; of the scene, nothing "
            "travels between them",
        ]

    def worker_lines(self) -> list[str]:
        """The plan of a worker as text, a line each."""
        return self.worker.plan.lines()


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def require_room(needed: int, machine_bytes: int, beside: Mapping[str, int]) -> None:
    """Refuse workers that plan `needed` bytes each, together more than their machine has.

    Raises
    ------
    BudgetError : naming how many workers fit.
    """
    n = max(beside.values(), default=1)
    if n * needed <= machine_bytes:
        return
    fitting = machine_bytes // needed
    raise BudgetError(
        f"{n} workers on one machine would take {format_bytes(n * needed)} together, "
        f"{format_bytes(needed)} each, and it has {format_bytes(machine_bytes)}; "
        f"{f'start {fitting} at most, or ' * (fitting > 0)}allow each less (device_memory, host_memory)",
        planned_bytes=n * needed,
        allowed_bytes=machine_bytes,
        smallest_bytes=n * needed,
    )
