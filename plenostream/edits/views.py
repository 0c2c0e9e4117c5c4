"""Views that an edit goes by: their pictures before it, and how far those after it are from them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.errors import BudgetError, InvalidInput, shown
from plenostream.export.pixels import psnr
from plenostream.files.paths import PathLike
from plenostream.options import EditOptions, RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.results import Progress
from plenostream.scene import open_scene

__all__ = ["KeptPictures", "Views", "checked_views", "unnamed_file"]

_TYPE = np.dtype("<f4")
_PARTS = 3
"""Parts of an edit's memory: for bricks, for drawing, and for the heap to grow between the two (with
halves, 1 GB allowed became 0.95 GB of resident memory)."""

Draw = Callable[[Camera], NDArray[np.float32]]
"""The picture [height, width, 3] of a camera."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Cameras, and how their pictures are drawn."""

    cameras: tuple[Camera, ...]
    render: RenderOptions
    stream: StreamOptions
    shares_memory: bool
    """Whether `stream` is the edit's own, with a part of its memory each for device and host."""

    @contextmanager
    def budgeted(self) -> Iterator[None]:
        """A `with` in which a budget that is too small is said to be the edit's."""
        try:
            yield
        except BudgetError as error:
            if not self.shares_memory:
                raise
            raise BudgetError(
                "views are drawn with a third of host_memory, and bricks lie in another third: "
                f"{error}",
                planned_bytes=_PARTS * error.planned_bytes,
                allowed_bytes=_PARTS * error.allowed_bytes,
                smallest_bytes=_PARTS * error.smallest_bytes,
            ) from error

    @contextmanager
    def drawn(self, scene: PathLike) -> Iterator[Draw]:
        """What draws them of a scene."""
        with (
            self.budgeted(),
            open_scene(scene) as opened,
            Renderer(opened, self.render, self.stream) as renderer,
        ):
            yield lambda camera: renderer.render(camera).rgb


def checked_views(
    cameras: Sequence[Any] | None, render: Any, stream: Any, options: EditOptions
) -> Views | None:
    """The views that are asked for, None where there are none; drawn on the CPU, within the memory of
    `options`, where `stream` does not say otherwise.

    Raises
    ------
    InvalidInput : no camera, something else than a camera, options of another type, or options
        without cameras.
    """
    for name, given, kind in (("render", render, RenderOptions), ("stream", stream, StreamOptions)):
        if given is not None and not isinstance(given, kind):
            raise InvalidInput(f"{name} is {shown(given)}; expected {kind.__name__}")
        if given is not None and cameras is None:
            raise InvalidInput(f"{name} says how pictures are drawn, and there are no cameras")
    if cameras is None:
        return None
    if not cameras or not all(isinstance(camera, Camera) for camera in cameras):
        raise InvalidInput(f"cameras is {shown(cameras)}; expected one Camera or more")
    part = options.host_bytes // _PARTS
    return Views(
        cameras=tuple(cameras),
        render=render or RenderOptions(),
        shares_memory=stream is None,
        stream=stream
        or StreamOptions(
            device="cpu", device_memory=part, host_memory=part, n_threads=options.workers
        ),
    )


class KeptPictures:
    """The pictures of views, in a file."""

    def __init__(self, views: Views, file: BinaryIO) -> None:
        """Take an empty file."""
        self._views, self._file = views, file

    def keep(self, draw: Draw, tell: Progress) -> None:
        """Draw all of them."""
        for done, camera in enumerate(self._views.cameras):
            self._file.write(draw(camera).astype(_TYPE).tobytes())
            tell("views before", done + 1, len(self._views.cameras))

    def compare(self, scene: Path, tell: Progress) -> tuple[float, ...]:
        """PSNR in dB of the pictures of another scene, view by view; infinite for the same picture."""
        self._file.seek(0)
        found: list[float] = []
        with self._views.drawn(scene) as draw:
            for camera in self._views.cameras:
                after = draw(camera)
                stored = self._file.read(after.size * _TYPE.itemsize)
                before = np.frombuffer(stored, _TYPE).reshape(after.shape)
                found.append(psnr(np.clip(before, 0, 1), np.clip(after, 0, 1)))
                tell("views after", len(found), len(self._views.cameras))
        return tuple(found)


@contextmanager
def unnamed_file(folder: Path) -> Iterator[BinaryIO]:
    """A file in a folder that nobody sees, and that is gone at the end."""
    with tempfile.TemporaryFile(dir=folder) as file:
        yield file
