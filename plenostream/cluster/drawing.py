"""What a worker does: it draws a picture, or a part of one, and sends what of it is wanted."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.cluster.holding import alone, let_go
from plenostream.cluster.jobs import Job, is_unwanted, renderer_of
from plenostream.errors import DeviceError, PlenostreamError, RenderCancelled
from plenostream.field.precision import ChosenPrecision
from plenostream.integrator.backends import ChosenBackend
from plenostream.plan.budget import RenderPlan
from plenostream.results import FrameStats

__all__ = [
    "Drawn",
    "Refused",
    "WorkerPlan",
    "bytes_of_this_machine",
    "done",
    "draw",
    "plan",
    "sent_channels",
    "taken",
]

_Made = TypeVar("_Made")

_DEPTHS = {"depth", "mean-depth"}
"""Outputs that are made of depth and of how much is seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A part of a picture: its wanted arrays, [rows, width] or [rows, width, 3] float32, by name."""

    arrays: dict[str, NDArray[np.float32]]
    stats: FrameStats


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is none, where no other try would change that."""

    error: PlenostreamError


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """What a picture will take of a worker."""

    plan: RenderPlan
    backend: ChosenBackend
    precision: ChosenPrecision
    machine_bytes: int
    """Memory of the worker's machine."""

    @property
    def needed_bytes(self) -> int:
        """Of that memory; a GPU has its own."""
        on_device = self.plan.planned_device_bytes
        return self.plan.planned_host_bytes + on_device * self.backend.on_host


def sent_channels(outputs: Sequence[str]) -> dict[str, int]:
    """The arrays of a `RenderResult` that `outputs` are made of, with the channels of each."""
    names = {name.replace("-", "_") for name in outputs} - {"mean_depth"}
    if _DEPTHS & set(outputs):
        names |= {"depth", "alpha"}
    if "mean-depth" in outputs:
        names.add("depth_weight")
    return {name: 3 if name in ("rgb", "normals") else 1 for name in sorted(names)}


def taken(found: Any) -> Any:
    """What a worker made; raises what it refused with."""
    if isinstance(found, Refused):
        raise found.error
    return found


def done(do: Callable[[], _Made]) -> _Made | Refused:
    """What `do` makes, or why it does not, where no other try would change that.

    Raises
    ------
    MemoryError, DeviceError : the machine failed, and another may not. RenderCancelled : nobody wants
    it any more. In all of these cases what this worker held is closed: the next try begins anew, and a
    client that is gone has nobody close it.
    """
    with alone():
        try:
            return do()
        except (MemoryError, DeviceError, RenderCancelled):
            let_go()
            raise
        except PlenostreamError as error:
            return Refused(error)


def draw(job: Job, camera: Camera) -> Drawn | Refused:
    """The picture of `camera`; raises as `done`."""

    def do() -> Drawn:
        result = renderer_of(job).render(camera, cancel=is_unwanted())
        arrays = {name: getattr(result, name) for name in sent_channels(job.options.outputs)}
        return Drawn(arrays, result.stats)

    return done(do)


def plan(job: Job, camera: Camera) -> WorkerPlan | Refused:
    """What `draw` will take; raises as `done`."""

    def do() -> WorkerPlan:
        renderer = renderer_of(job)
        return WorkerPlan(
            plan=renderer.plan(camera),
            backend=renderer.backend,
            precision=renderer.precision,
            machine_bytes=bytes_of_this_machine(),
        )

    return done(do)


def bytes_of_this_machine() -> int:
    """Memory of the machine that this process runs on."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
