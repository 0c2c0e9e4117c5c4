"""The renderer: keeps bricks on the device, and draws pictures and rays from them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plenostream.cameras import Camera
from plenostream.engine.level_sessions import LevelSessions
from plenostream.engine.oversight import overseen
from plenostream.engine.projection import ChosenNdc, choose_ndc
from plenostream.engine.ray_picture import picture_job
from plenostream.engine.rays import RaysJob
from plenostream.engine.scene_sessions import SceneSessions
from plenostream.errors import InvalidInput, PlenostreamError, shown
from plenostream.field.precision import ChosenPrecision
from plenostream.format.opening import open_level
from plenostream.integrator.backends import ChosenBackend
from plenostream.options import LARGEST_COORDINATE, RenderOptions, StreamOptions
from plenostream.plan.budget import RenderPlan
from plenostream.process.closing import Closing
from plenostream.process.forks import Owner
from plenostream.process.turns import Turns
from plenostream.results import Cancel, FrameStats, PoolUse, Progress, RayResult, RenderResult
from plenostream.rules import real_rows
from plenostream.scene import Scene

__all__ = ["Renderer", "checked_rays"]

_log = logging.getLogger(__name__)
_SHORT, _LONG = 1e-100, 1e100
"""Lengths of directions whose squares float64 holds with all their digits."""
_NO_MORE_TASKS = "cannot schedule new futures"


class Renderer(Closing):
    """Renders a scene inside a device and a host budget; a context manager.

    Bricks stay on the device from one picture to the next. It draws one picture at a time: a second
    thread waits for its turn. After an error in a picture (a damaged brick, say) it can be used on.
    Where JAX was used before `os.fork`, the child cannot render: start it with multiprocessing's
    "spawn" or "forkserver".

    Notes
    -----
    What is compiled depends on the scene's brick size and basis, on the pool, and on the number
    of rays that are drawn together: some ten programs at the first picture, none at later ones of
    the same size. A budget that the scene does not fit takes some ten more at the first, unless
    they were compiled before: the kernels' temporaries have to be known to size the pool. The next
    process compiles them again, unless they are kept on disk (`prepare_jax`).

    On a GPU, JAX takes 75 % of the memory when it first looks for devices; the budget is then a
    share of that. XLA_PYTHON_CLIENT_PREALLOCATE=false, before that moment, has it take what it
    needs (`prepare_jax` sets it).
    """

    def __init__(
        self,
        scene: Scene,
        options: RenderOptions | None = None,
        stream: StreamOptions | None = None,
    ) -> None:
        """Prepare to render `scene`, which stays open meanwhile; allocates nothing on the device.

        Raises
        ------
        InvalidInput : one of the three is of another type, or the scene has no such level.
        BudgetError : more device memory is allowed than the device grants.
        DeviceError : there is no such device, or JAX was used before this process was forked.
        StoreError : the scene is closed.
        """
        _require("scene", scene, Scene, "a Scene, such as open_scene(path) gives")
        self.options = RenderOptions() if options is None else options
        self.stream = StreamOptions() if stream is None else stream
        _require("options", self.options, RenderOptions, "RenderOptions")
        _require("stream", self.stream, StreamOptions, "StreamOptions")
        self._owner = Owner()
        self._turns = Turns(
            "this renderer",
            closed=lambda: InvalidInput("this renderer is closed; make another one to render"),
            one_at_a_time=True,
        )
        self._levels: LevelSessions | None = None
        with scene.store.in_use():
            named = 0 if isinstance(self.options.level, str) else self.options.level
            store = open_level(scene.store, named)
            self._sessions = SceneSessions(store, self.options, self.stream)
            if self.options.level == "auto":
                self._open_levels(scene)
        self._ndc = choose_ndc(self.options, scene.meta)
        if self._ndc.why:
            _log.warning(self._ndc.why)

    def __repr__(self) -> str:
        why = f" since {self.backend.why}" if self.backend.why else ""
        return f"<Renderer: {self.backend.name}{why}, {self.precision.name}>"

    def _open_levels(self, scene: Scene) -> None:
        """Share what one session may use with those of all levels."""
        if not scene.meta.levels:
            _log.warning("the scene has no coarser levels: level auto draws it as it is")
            return
        allowed = self._sessions.current.integrator.allowed_bytes
        self._sessions.close()
        self._levels = LevelSessions(scene.store, self.options, self.stream, device_bytes=allowed)
        self._sessions = self._levels.of(0)

    def _interrupt(self) -> None:
        (self._levels or self._sessions).interrupt()

    def _close_sessions(self) -> None:
        (self._levels or self._sessions).close()

    def close(self) -> None:
        """Give back the device arrays, the cache and the threads; waits for the picture in hand.

        May be called again. Does nothing in a forked child: all of it belongs to the parent.

        Raises
        ------
        InvalidInput : called in the middle of a picture, by the thread that draws it.
        """
        if not self._owner.is_another:
            self._turns.close(self._close_sessions)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The time in which a picture is drawn, by one thread, with the scene kept open."""
        self._owner.refuse_others()
        with self._turns.turn(), self._sessions.store.root.in_use():
            try:
                yield
            except RuntimeError as error:
                # Python ends the threads of executors when the main thread is done.
                if _NO_MORE_TASKS not in str(error):
                    raise
                raise PlenostreamError(
                    "the program is ending, since its main thread is done, and no picture is drawn "
                    "any more; have the main thread wait (join) for the threads that draw"
                ) from error

    @property
    def precision(self) -> ChosenPrecision:
        """The type of densities and coefficients on the device, and why it is that one."""
        return self._sessions.precision

    @property
    def backend(self) -> ChosenBackend:
        """The integrator that draws, and why it is that one."""
        return self._sessions.backend

    @property
    def ndc(self) -> ChosenNdc:
        """The coordinates that rays are brought to, and whether the scene may need some."""
        return self._ndc

    @property
    def use(self) -> PoolUse:
        """What it holds at the moment; other threads may ask in the middle of a picture."""
        return (self._levels or self._sessions).use

    def plan(self, camera: Camera) -> RenderPlan:
        """What a picture will take; allocates nothing, neither on the device nor for bricks.

        Raises
        ------
        BudgetError : it does not fit; the error names the smallest budget that works. Else as
        `render`.
        """
        _require("camera", camera, Camera, "a Camera")
        with self._turn():
            return picture_job(self._sessions, camera, self._levels).plan()

    def render(
        self, camera: Camera, *, cancel: Cancel | None = None, progress: Progress | None = None
    ) -> RenderResult:
        """The picture that `camera` takes.

        Parameters
        ----------
        cancel : says whether the picture is not wanted any more (`threading.Event().is_set`, say);
            asked by another thread every few milliseconds
        progress : told "drawing", how many rays are drawn, and how many there are

        Raises
        ------
        BudgetError : it does not fit; nothing was read. BrickCorrupt : a brick that it needs is
        damaged; the error names it. DeviceError : the device failed, or JAX was used before this
        process was forked. InvalidInput : the renderer is closed, or this very thread is drawing
        with it (in a signal handler). RenderCancelled : `cancel` said so; bricks that are in the
        pool stay there, and the next picture is drawn as ever. StoreError : the scene is closed.
        """
        _require("camera", camera, Camera, "a Camera")
        with self._turn(), overseen(cancel, progress, self._interrupt) as oversight:
            began = time.perf_counter()
            job = picture_job(self._sessions, camera, self._levels)
            pixels, stats = job.draw(oversight)
        stats.seconds = time.perf_counter() - began
        seen = {"rgb": pixels.rgb, "alpha": pixels.alpha, "depth": pixels.depth, **pixels.aovs}
        return RenderResult(**seen, stats=stats)

    def pictures(
        self,
        cameras: Sequence[Camera],
        *,
        cancel: Cancel | None = None,
        progress: Progress | None = None,
    ) -> Iterator[RenderResult]:
        """The pictures that `cameras` take, each drawn when it is asked for; as `render`."""
        for camera in cameras:
            yield self.render(camera, cancel=cancel, progress=progress)

    def render_rays(
        self,
        origins: ArrayLike,
        directions: ArrayLike,
        *,
        cancel: Cancel | None = None,
        progress: Progress | None = None,
    ) -> RayResult:
        """Colours of any rays. They have no pixels: level auto draws them from level 0.

        Parameters
        ----------
        origins, directions : real numbers [n, 3], world space; origins up to
            `options.LARGEST_COORDINATE`, directions of any length above zero
        cancel, progress : as of `render`

        Raises
        ------
        InvalidInput : shapes or values that mean nothing. Else as `render`.
        """
        start, course = checked_rays(origins, directions)
        with self._turn(), overseen(cancel, progress, self._interrupt) as oversight:
            began, stats = time.perf_counter(), FrameStats()
            session = self._sessions.whole()
            aovs = session.aovs
            values = np.empty((0, 5 + aovs.n_columns), np.float32)
            if len(start):
                values, stats = RaysJob(session, start, course).draw(oversight=oversight)
        rgb, alpha, depth = _cut(values)
        found = aovs.of_pixels(values[:, None, 5:])
        stats.seconds = time.perf_counter() - began
        return RayResult(rgb=rgb, alpha=alpha, depth=depth, **found, stats=stats)


def _require(name: str, value: object, kind: type, said: str) -> None:
    if not isinstance(value, kind):
        raise InvalidInput(f"{name} is {shown(value)}; expected {said}")


def _cut(
    values: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Colour [..., 3], alpha and depth [...] out of [..., 5 or more], arrays of their own."""
    rgb, alpha, depth = values[..., :3], values[..., 3], values[..., 4]
    return np.ascontiguousarray(rgb), np.ascontiguousarray(alpha), np.ascontiguousarray(depth)


def checked_rays(
    origins: ArrayLike, directions: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Origins and directions [n, 3] as they are drawn; raises InvalidInput as `Renderer.render_rays`."""
    start = real_rows("origins", origins, most=LARGEST_COORDINATE)
    course = real_rows("directions", directions)
    if len(start) != len(course):
        raise InvalidInput(f"there are {len(start)} origins and {len(course)} directions")
    # Column by column: NumPy takes five times as long for the largest of three numbers in a row.
    x, y, z = np.abs(course).T
    largest = np.maximum(np.maximum(x, y), z)
    if len(largest) and not largest.all():
        still = int(np.argmin(largest))
        raise InvalidInput(f"the direction of ray {still} is zero; expected any other")
    if ((largest < _SHORT) | (largest > _LONG)).any():
        # By a power of two, which changes no digit: squares of the lengths would leave float64.
        course = np.ldexp(course, -np.frexp(largest)[1][:, None])
    return start, course
