"""The thread that draws: one renderer, and the visitors in turns.

Each visitor gets one job a turn. A coarse picture is drawn to its end, or a camera that never rests
would never see one; a patch of a view that has changed is given up within milliseconds.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera, interpolated_cameras
from plenostream.errors import InvalidInput, PlenostreamError, RenderCancelled
from plenostream.renderer import Renderer
from plenostream.results import FrameStats, RenderResult
from plenostream.scene import Scene
from plenostream.viewer.messages import CHANGEABLE, Change, Message, Path, Pick, Thumbnail, View
from plenostream.viewer.shown import Colouring, depths_in_view, packed, picture_jpeg
from plenostream.viewer.visitor import CoarseJob, Job, PatchJob, Visitor

__all__ = ["Painter"]

_THUMBNAIL_EDGE = 96
_MOST_THUMBNAILS = 512
"""Kept; one is some 3 kB."""
_ALWAYS = ("rgb", "alpha", "depth")
"""What each picture has; all else is drawn while somebody looks at it."""
_CLEAR = 0.05
"""Opacity below which there is nothing to look at."""


class Painter:
    """Draws for visitors from `start` to `close`."""

    def __init__(
        self,
        scene: Scene,
        renderer: Renderer,
        cameras: list[Camera],
        corners: NDArray[np.float64],
    ) -> None:
        """Take the `corners` [2, 3] (world) of what is drawn; `renderer` is closed in the end."""
        self.failed: Callable[[], None] = lambda: None
        """Called in the painter's thread when it ends for a bug of ours, see `failure`."""
        self.failure: BaseException | None = None
        self._scene, self._renderer = scene, renderer
        self._cameras = cameras
        self._corners = corners
        self._thumbnails: OrderedDict[int, bytes] = OrderedDict()
        self._changed = threading.Condition()
        self._visitors: list[Visitor] = []
        self._closing = False
        self._stats = FrameStats()
        self._thread = threading.Thread(target=self._work, name="plenostream-painter", daemon=True)

    def start(self) -> None:
        """Begin to draw."""
        self._thread.start()

    def close(self) -> None:
        """Give up what is being drawn, and give back the renderer."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._renderer.close()

    # What visitors do

    def enter(self, visitor: Visitor) -> None:
        """From now on it has its turns."""
        with self._changed:
            self._visitors.append(visitor)

    def leave(self, visitor: Visitor) -> None:
        """It is gone; what is drawn for it is given up."""
        with self._changed:
            visitor.is_gone = True
            self._visitors.remove(visitor)

    def tell(self, visitor: Visitor, message: Message) -> None:
        """A visitor says something. Raises InvalidInput for what no page of ours says."""
        number = getattr(message, "chosen", None) or getattr(message, "camera", None)
        if isinstance(number, int) and number >= len(self._cameras):
            raise InvalidInput(f"there is no camera {number}")
        with self._changed:
            visitor.take(message)
            self._changed.notify_all()

    @property
    def changeable(self) -> dict[str, Any]:
        """The options that visitors may change, by the names of `CHANGEABLE`."""
        options = self._renderer.options
        return {name: getattr(options, option) for name, option in CHANGEABLE.items()}

    def status(self) -> dict[str, Any]:
        """What the renderer holds, and what the last picture took."""
        use, stats = self._renderer.use, self._stats
        with self._changed:
            n_visitors = len(self._visitors)
        return {
            "kind": "status",
            "visitors": n_visitors,
            "backend": self._renderer.backend.name,
            "precision": self._renderer.precision.name,
            "bricks": use.bricks,
            "slots": use.slots,
            "chunks_coming": use.chunks_coming,
            "bytes_read": use.bytes_read,
            "device_bytes": stats.peak_device_bytes,
            "allowed_device_bytes": stats.allowed_device_bytes,
            "host_bytes": stats.peak_host_bytes,
            "allowed_host_bytes": stats.allowed_host_bytes,
            "bricks_visible": stats.bricks_visible,
            "bricks_read": stats.bricks_read,
            "waves": stats.waves,
            "samples": stats.samples_marched,
            "seconds": stats.seconds,
        }

    # What the thread does

    def _work(self) -> None:
        try:
            while (turn := self._next_turn()) is not None:
                self._do(*turn)
        except BaseException as error:  # whatever it is: said by the thread that waits for visitors
            self.failure = error
            self.failed()

    def _next_turn(self) -> tuple[Visitor, Job] | None:
        """The next visitor that has something to do, and that; None in the end."""
        with self._changed:
            while not self._closing:
                for number, visitor in enumerate(self._visitors):
                    job = visitor.next_job(self._size_of)
                    if job is not None:
                        # Behind all others: each has one job a turn.
                        del self._visitors[number]
                        self._visitors.append(visitor)
                        return visitor, job
                self._changed.wait()
        return None

    def _do(self, visitor: Visitor, job: Job) -> None:
        try:
            if isinstance(job, CoarseJob):
                self._sketch(visitor, job)
            elif isinstance(job, PatchJob):
                self._refine(visitor, job)
            elif isinstance(job, Pick):
                self._pick(visitor, job)
            elif isinstance(job, Thumbnail):
                self._thumbnail(visitor, job)
            elif isinstance(job, Path):
                self._path(visitor, job)
            else:
                self._change(job)
        except PlenostreamError as error:
            if isinstance(job, CoarseJob | PatchJob):
                with self._changed:
                    visitor.give_up(job, for_good=not isinstance(error, RenderCancelled))
            if not isinstance(error, RenderCancelled):
                visitor.send(json.dumps({"kind": "error", "text": str(error)}))

    def _draw(self, visitor: Visitor, job: Job, camera: Camera) -> RenderResult:
        def is_unwanted() -> bool:
            return self._closing or not visitor.wants(job)

        if isinstance(job, CoarseJob | PatchJob):
            self._make_ready(job.view)
        result = self._renderer.render(camera, cancel=is_unwanted)
        self._stats = result.stats
        return result

    def _sketch(self, visitor: Visitor, job: CoarseJob) -> None:
        began = time.perf_counter()
        camera = self._camera_of(job.view)
        divisor = job.divisor or visitor.pace.divisor(camera.width, camera.height)
        size = (max(1, camera.width // divisor), max(1, camera.height // divisor))
        picture = self._draw(visitor, job, camera.resized(*size))
        jpeg = self._jpeg(job.view, camera, picture, is_fine=False)
        seconds = time.perf_counter() - began
        with self._changed:
            visitor.sketched(divisor)
            if job.divisor is None:
                visitor.pace.drew(size[0] * size[1], seconds)
        head = {"divisor": divisor, "exact": False, "left": None, "drawn": [*size]}
        whole = [0, 0, camera.width, camera.height]
        self._show(visitor, job.view, camera, whole, head | {"seconds": seconds}, jpeg)

    def _refine(self, visitor: Visitor, job: PatchJob) -> None:
        began = time.perf_counter()
        camera, patch = self._camera_of(job.view), job.patch
        place = [patch.left, patch.top, patch.width, patch.height]
        picture = self._draw(visitor, job, camera.region(*place))
        jpeg = self._jpeg(job.view, camera, picture, is_fine=True)
        seconds = time.perf_counter() - began
        head = {"divisor": 1, "exact": job.n_left == 0, "left": job.n_left, "seconds": seconds}
        self._show(visitor, job.view, camera, place, head, jpeg)

    def _show(
        self,
        visitor: Visitor,
        view: View,
        camera: Camera,
        place: list[int],
        head: dict[str, Any],
        jpeg: bytes,
    ) -> None:
        size = [camera.width, camera.height]
        visitor.send(packed({"view": view.number, "size": size, "place": place, **head}, jpeg))

    def _jpeg(self, view: View, camera: Camera, picture: RenderResult, *, is_fine: bool) -> bytes:
        colouring = Colouring(
            output=view.output,
            background=view.background,
            drawn_behind=self._renderer.options.background_rgb,
            depths=depths_in_view(camera, self._corners),
        )
        return picture_jpeg(colouring.pixels(picture), is_fine=is_fine)

    def _camera_of(self, view: View) -> Camera:
        return self._cameras[view.chosen or 0] if view.camera is None else view.camera

    def _size_of(self, view: View) -> tuple[int, int]:
        camera = self._camera_of(view)
        return camera.width, camera.height

    def _pick(self, visitor: Visitor, job: Pick) -> None:
        view = visitor.view
        if view is None:
            return
        camera = self._camera_of(view)
        column, row = min(job.column, camera.width - 1), min(job.row, camera.height - 1)
        pixel = camera.region(column, row, 1, 1)
        picture = self._draw(visitor, job, pixel)
        alpha, point = float(picture.alpha[0, 0]), None
        if alpha > _CLEAR:
            origins, directions, _ = pixel.rays()
            way = directions[0, 0] / np.linalg.norm(directions[0, 0])
            point = (origins[0, 0] + way * float(picture.depth[0, 0]) / alpha).tolist()
        visitor.send(json.dumps({"kind": "picked", "point": point, "alpha": alpha}))

    def _thumbnail(self, visitor: Visitor, job: Thumbnail) -> None:
        if job.camera not in self._thumbnails:
            camera = self._cameras[job.camera]
            scale = _THUMBNAIL_EDGE / max(camera.width, camera.height)
            size = [max(1, round(scale * edge)) for edge in (camera.width, camera.height)]
            picture = self._draw(visitor, job, camera.resized(*size))
            options = self._renderer.options
            colouring = Colouring(
                output="rgb",
                background=options.background_rgb,
                drawn_behind=options.background_rgb,
                depths=None,
            )
            jpeg = picture_jpeg(colouring.pixels(picture), is_fine=False)
            self._thumbnails[job.camera] = jpeg
            while len(self._thumbnails) > _MOST_THUMBNAILS:
                self._thumbnails.popitem(last=False)
        visitor.send(packed({"thumbnail": job.camera}, self._thumbnails[job.camera]))

    def _path(self, visitor: Visitor, job: Path) -> None:
        cameras = interpolated_cameras(job.keys, job.n)
        fovs = [2 * np.degrees(np.arctan(0.5 * camera.width / camera.fx)) for camera in cameras]
        frames = [
            {"pose": camera.c2w.reshape(-1).tolist(), "fov": float(fov)}
            for camera, fov in zip(cameras, fovs, strict=True)
        ]
        visitor.send(json.dumps({"kind": "path", "frames": frames}))

    def _make_ready(self, view: View) -> None:
        """Have a renderer that draws what visitors ask for, and nothing that none of them does."""
        with self._changed:
            views = [view, *(each.view for each in self._visitors if each.view is not None)]
        wanted = {each.output for each in views} - set(_ALWAYS)
        drawn = set(self._renderer.options.outputs) - set(_ALWAYS)
        if view.output in {*_ALWAYS, *drawn} and (wanted or not drawn):
            return
        self._replace(outputs=(*_ALWAYS, *sorted(wanted)))

    def _replace(self, **changes: Any) -> None:
        """Another renderer, with such options; one is there at a time but for what takes no memory."""
        before = self._renderer
        options = dataclasses.replace(before.options, **changes)
        other = Renderer(self._scene, options, before.stream)
        before.close()
        with self._changed:
            self._renderer = other

    def _change(self, job: Change) -> None:
        """Another renderer, since samples lie elsewhere; raises InvalidInput for a value that does not
        go with the scene."""
        self._replace(**{job.option: job.value})
        with self._changed:
            self._thumbnails.clear()
            for visitor in self._visitors:
                visitor.draw_again()
                visitor.send(json.dumps({"kind": "options"} | self.changeable))
