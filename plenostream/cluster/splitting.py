"""Which worker keeps which subvolume, and what that will take: values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plenostream.cameras import Camera
from plenostream.cluster.sharing import picture_bytes
from plenostream.cluster.sheet_tasks import Kept
from plenostream.engine.sheets import sheet_bytes
from plenostream.engine.subvolumes import SubvolumePlan
from plenostream.field.aovs import Aovs
from plenostream.field.tiles import TILE
from plenostream.options import RenderOptions
from plenostream.plan import Split, fold
from plenostream.rules.bytesize import format_bytes

__all__ = ["SplitPlan", "moved_bytes", "placed", "tiles_of"]


def placed(
    split: Split, workers: Sequence[str], before: Mapping[int, str] | None = None
) -> dict[int, str]:
    """The address of the worker of each subvolume.

    Those whose worker `before` is still there stay; others go to workers that keep nothing, and where
    there are none, to those that keep the least. Raises ValueError where there is no worker.
    """
    if not workers:
        raise ValueError("a cluster without workers keeps nothing")
    where = {number: at for number, at in (before or {}).items() if at in workers}
    load = dict.fromkeys(workers, 0)
    for number, at in where.items():
        load[at] += int(split.n_bytes[number])
    for number in range(len(split.boxes)):
        if number not in where:
            where[number] = min(workers, key=lambda worker: load[worker])
            load[where[number]] += int(split.n_bytes[number])
    return where


def kept_by(split: Split, where: Mapping[int, str]) -> dict[str, Kept]:
    """What each worker keeps, by its address."""
    numbers: dict[str, list[int]] = {}
    for number, at in sorted(where.items()):
        numbers.setdefault(at, []).append(number)
    return {at: Kept.of(split, tuple(mine)) for at, mine in numbers.items()}


def tiles_of(camera: Camera, samples: int) -> int:
    """Tiles of a camera's picture."""
    across, down = (-(-edge * samples // TILE) for edge in (camera.width, camera.height))
    return across * down


def moved_bytes(split: Split, sheets: Sequence[int], whole: int) -> int:
    """Bytes of sheets that go from one worker to another for a picture, at most.

    Of the two sides of a cut the high one's sheet goes to the low one's worker; `sheets` [n] are those
    of the subvolumes, and none is larger than that of the `whole` picture.
    """
    moved = 0

    def join(cut: object, low: int, high: int) -> int:
        nonlocal moved
        del cut
        moved += high
        return min(low + high, whole)

    fold(split.root, lambda number: sheets[number], join)
    return moved


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan:
    """What a picture drawn by subvolumes takes of each worker, and what travels: upper bounds."""

    split: Split
    workers: dict[str, list[SubvolumePlan]]
    """Of each worker, by its address, those of what it keeps."""
    moved_bytes: int
    """Of sheets that go from worker to worker for a picture."""
    sent_bytes: int
    """Of a picture, which comes here."""

    @classmethod
    def of(
        cls,
        split: Split,
        where: Mapping[int, str],
        plans: Mapping[int, SubvolumePlan],
        camera: Camera,
        options: RenderOptions,
    ) -> SplitPlan:
        """That of subvolumes at the workers in `where`."""
        columns = Aovs.of(options.outputs).n_columns
        whole = sheet_bytes(tiles_of(camera, options.samples), columns)
        sheets = [plans[number].sheet_bytes for number in range(len(split.boxes))]
        workers: dict[str, list[SubvolumePlan]] = {}
        for number, at in sorted(where.items()):
            workers.setdefault(at, []).append(plans[number])
        return cls(
            split=split,
            workers=workers,
            moved_bytes=moved_bytes(split, sheets, whole),
            sent_bytes=picture_bytes(camera, options.outputs),
        )

    @property
    def band_rows(self) -> int:
        """Rows of tiles that all of them can draw together."""
        return min(plan.band_rows for mine in self.workers.values() for plan in mine)

    @property
    def read_bytes(self) -> int:
        """Of chunks that all workers read, once, as they are decoded."""
        return sum(plan.read_bytes for mine in self.workers.values() for plan in mine)

    def _rows(self) -> list[dict[str, Any]]:
        """A line for each worker."""
        names = ("n_bricks", "device_bytes", "host_bytes", "read_bytes", "sheet_bytes")
        return [
            {
                "worker": at,
                "subvolumes": len(mine),
                **{name: sum(getattr(plan, name) for plan in mine) for name in names},
                "allowed_device_bytes": sum(plan.allowed_device_bytes for plan in mine),
                "allowed_host_bytes": sum(plan.allowed_host_bytes for plan in mine),
            }
            for at, mine in self.workers.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {
            "split": "bricks",
            "workers": self._rows(),
            "balance": round(self.split.balance, 4),
            "band_rows": self.band_rows,
            "read_bytes": self.read_bytes,
            "moved_bytes": self.moved_bytes,
            "sent_bytes": self.sent_bytes,
        }

    def lines(self) -> list[str]:
        """The plan as text, a line each."""
        rows = self._rows()
        lines = [
            f"cluster: the scene's bricks in {len(self.split.boxes)} sets, kept by {len(rows)} "
            f"worker(s); the average set has {self.split.balance:.0%} of the largest one's bytes"
        ]
        lines += [
            f"  {row['worker']}: {row['n_bricks']} bricks; device {format_bytes(row['device_bytes'])} of "
            f"{format_bytes(row['allowed_device_bytes'])} allowed, host "
            f"{format_bytes(row['host_bytes'])} of {format_bytes(row['allowed_host_bytes'])}; reads "
            f"{format_bytes(row['read_bytes'])} once, decoded"
            for row in rows
        ]
        lines.append(
            f"a picture: up to {format_bytes(self.moved_bytes)} of sheets go from worker to worker, and "
            f"{format_bytes(self.sent_bytes)} come here, in bands of {self.band_rows} rows of tiles; of "
            "the scene, nothing travels between them"
        )
        return lines

    def worker_lines(self) -> list[str]:
        """Nothing more: all workers are in `lines`."""
        return []
