"""A renderer and scenes of paper, which take note of what the command line asks of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from plenostream.cameras import Camera
from plenostream.cli import main as cli
from plenostream.field.grid import GridSpec
from plenostream.field.precision import ChosenPrecision
from plenostream.integrator.backends import ChosenBackend
from plenostream.options import RenderOptions, StreamOptions
from plenostream.results import FrameStats, Progress, RenderResult


@dataclass
class Paper:
    """Stands for scenes and renderers: takes note of what it is asked for."""

    scenes: list[str] = field(default_factory=list)
    cameras: list[Camera] = field(default_factory=list)
    options: RenderOptions | None = None
    stream: StreamOptions | None = None
    error: BaseException | None = None
    precision: ChosenPrecision = ChosenPrecision(name="float16", why="")
    backend: ChosenBackend = ChosenBackend("xla")
    ndc: tuple[float, float, float, float] | None = None
    """Reference camera that the scene has."""
    grid: GridSpec = field(default_factory=lambda: GridSpec(size=(8, 8, 8), center=(0.5, 0.0, 0.0)))
    alpha: float = 0.25
    fails_at: int = 0
    """Number of the frame at which `error` is raised."""

    @contextmanager
    def open_scene(self, path: str, **kept: object) -> Iterator[SimpleNamespace]:
        self.scenes.append(path)
        yield SimpleNamespace(grid=self.grid, meta=SimpleNamespace(grid=self.grid, ndc=self.ndc))

    @contextmanager
    def renderer(
        self, scene: object, *, options: RenderOptions, stream: StreamOptions
    ) -> Iterator[Paper]:
        self.options, self.stream = options, stream
        yield self

    def render(self, camera: Camera, *, progress: Progress | None = None) -> RenderResult:
        if self.error is not None and len(self.cameras) == self.fails_at:
            raise self.error
        self.cameras.append(camera)
        shape = (camera.height, camera.width)
        return RenderResult(
            rgb=np.full((*shape, 3), 0.5, np.float32),
            alpha=np.full(shape, self.alpha, np.float32),
            depth=np.full(shape, 2.0, np.float32),
            stats=FrameStats(
                bricks_visible=4, bricks_read=3, bytes_read=2_000_000, seconds=0.5,
                peak_device_bytes=len(self.cameras) * 1_000_000, planned_device_bytes=8_000_000,
                allowed_device_bytes=512_000_000,
            ),
        )  # fmt: skip

    def pictures(
        self, cameras: Sequence[Camera], *, progress: Progress | None = None
    ) -> Iterator[RenderResult]:
        for camera in cameras:
            yield self.render(camera, progress=progress)

    def plan(self, camera: Camera) -> SimpleNamespace:
        self.cameras.append(camera)
        n_bytes = len(self.cameras) * 1_000_000
        told = {
            "planned_device_bytes": n_bytes, "allowed_device_bytes": 5, "working_set_bytes": 7,
            "smallest_budget_bytes": 9, "smallest_host_bytes": 6, "planned_host_bytes": 4, "allowed_host_bytes": 5,
        }  # fmt: skip
        return SimpleNamespace(
            planned_device_bytes=n_bytes, to_dict=lambda: told, lines=lambda: [f"takes {n_bytes}"]
        )


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
