"""What a browser gets for what it says, by a client that says the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

import plenostream as ps
from plenostream.cameras import interpolated_cameras
from plenostream.export.pixels import colour_8bit, psnr

visiting = pytest.importorskip(
    "plenostream.testing.visiting", reason="needs websockets", exc_type=ImportError
)
messages = pytest.importorskip("plenostream.viewer.messages")

LEAST_DB = 40.0
"""Of a picture at rest, after JPEG."""
WAIT_S = 60.0


@pytest.fixture
def client(viewer: Any) -> Iterator[Any]:
    with visiting.VisitingClient(viewer.url) as came:
        yield came


def laid(pictures: list[Any]) -> np.ndarray:
    """The patches of a picture, put together [H, W, 3], 0 to 1."""
    width, height = pictures[-1].head["size"]
    whole = np.zeros((height, width, 3), np.uint8)
    for picture in pictures:
        left, top, w, h = picture.head["place"]
        bgr = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
        whole[top : top + h, left : left + w] = cv2.resize(bgr, (w, h))[..., ::-1]
    return whole / np.float64(255)


def test_view_at_rest_is_the_picture_that_render_draws(client: Any, scene: ps.Scene) -> None:
    """Coarse first; then patches, which do not end where its tiles of rays do."""
    size = [300, 210]
    first = client.look(size=size, moves=True)
    assert client.picture(first).is_coarse
    number = client.look(size=size)
    pictures = client.pictures_until_exact(number)
    patches = [picture for picture in pictures if not picture.is_coarse]
    assert [patch.head["left"] for patch in patches] == list(range(len(patches)))[::-1]
    pose = np.array(client.scene["first"]["pose"]).reshape(3, 4)
    with ps.Renderer(scene) as renderer:
        want = renderer.render(messages.pinhole(pose, 45.0, (300, 210)))
    assert psnr(laid(patches), colour_8bit(want.rgb) / 255) > LEAST_DB


def test_camera_of_the_data_set_is_drawn_as_it_is_on_another_background(
    client: Any, scene: ps.Scene, cameras: list[ps.Camera]
) -> None:
    behind = (0.2, 0.0, 1.0)
    number = client.look(camera=2, background=list(behind), size=[8, 8])
    picture = laid(client.pictures_until_exact(number)[-1:])
    with ps.Renderer(scene, ps.RenderOptions(background=behind)) as renderer:
        want = renderer.render(cameras[2])
    assert psnr(picture, colour_8bit(want.rgb) / 255) > LEAST_DB


def test_other_outputs_are_drawn(client: Any) -> None:
    shown = {}
    for output in client.scene["outputs"]:
        number = client.look(output=output, camera=0)
        shown[output] = laid(client.pictures_until_exact(number)[-1:])
    assert set(shown) == {"rgb", "depth", "alpha", "normals", "cost"}
    assert np.ptp(shown["alpha"]) > 0.5
    assert len({picture.tobytes() for picture in shown.values()}) == len(shown)


def test_pixel_that_is_picked_says_the_point_that_is_seen(client: Any, scene: ps.Scene) -> None:
    client.pictures_until_exact(client.look())
    client.say(kind="pick", at=[32, 24])
    picked = client.told("picked")
    pose = np.array(client.scene["first"]["pose"]).reshape(3, 4)
    camera = messages.pinhole(pose, 45.0, (64, 48))
    with ps.Renderer(scene) as renderer:
        drawn = renderer.render(camera)
    away = np.linalg.norm(np.array(picked["point"]) - pose[:, 3])
    assert away == pytest.approx(drawn.depth[24, 32] / drawn.alpha[24, 32], rel=1e-5)
    client.say(kind="pick", at=[0, 0])
    assert client.told("picked")["point"] is None


def test_path_is_the_one_that_render_follows(client: Any, cameras: list[ps.Camera]) -> None:
    keys = [{"pose": camera.c2w.reshape(-1).tolist(), "fov": 50} for camera in cameras]
    client.say(kind="path", keys=keys, frames=7, size=[64, 48])
    frames = client.told("path")["frames"]
    want = interpolated_cameras([messages.pinhole(c.c2w, 50, (64, 48)) for c in cameras], 7)
    poses = [np.reshape(frame["pose"], (3, 4)) for frame in frames]
    np.testing.assert_allclose(poses, [camera.c2w for camera in want], atol=1e-12)
    assert {round(frame["fov"], 9) for frame in frames} == {50.0}


def test_step_is_changed_for_all(client: Any, viewer: Any) -> None:
    number = client.look()
    before = laid(client.pictures_until_exact(number))
    with visiting.VisitingClient(viewer.url) as other:
        other.say(kind="step", step=3.0)
        assert client.told("options")["step"] == 3.0
        after = laid(client.pictures_until_exact(number))
        assert np.abs(after - before).max() > 0.02
        other.say(kind="step", step=0.5)
        assert [other.told("options")["step"] for _ in range(2)] == [3.0, 0.5]


def test_level_that_a_scene_has_not_is_said_and_nothing_changes(client: Any, viewer: Any) -> None:
    client.say(kind="level", level=1)
    assert "level" in client.told("error")["text"]
    assert viewer._painter.changeable["level"] == 0


def test_view_that_does_not_fit_is_said_and_the_next_is_drawn(
    client: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = viewer._painter._renderer

    def refuse(*_: Any, **__: Any) -> None:
        raise ps.BudgetError("too large", planned_bytes=2, allowed_bytes=1, smallest_bytes=2)

    with monkeypatch.context() as patch:
        patch.setattr(type(renderer), "render", refuse)
        client.look()
        assert client.told("error")["text"] == "too large"
    assert client.pictures_until_exact(client.look())[-1].head["exact"]


def test_patch_is_given_up_when_the_camera_moves(
    client: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = ps.Renderer.render
    waits, given_up = threading.Event(), threading.Event()

    def slow(renderer: ps.Renderer, camera: ps.Camera, *, cancel: Callable[[], bool]) -> Any:
        """Patches of the first view, a sixth as wide, take for ever, unless they are cancelled."""
        if camera.width == 117:
            waits.set()
            began = time.monotonic()
            while not cancel():
                assert time.monotonic() - began < WAIT_S
                time.sleep(0.002)
            given_up.set()
        return render(renderer, camera, cancel=cancel)

    monkeypatch.setattr(ps.Renderer, "render", slow)
    client.look(size=[700, 100])
    client.picture(client.number)
    client.picture(client.number)
    assert waits.wait(WAIT_S)
    number = client.look(size=[64, 48])
    assert client.picture(number).is_coarse
    assert given_up.is_set()


def test_two_visitors_have_turns(viewer: Any) -> None:
    """One that moves without end does not keep another from its last patch, nor the other way round."""
    with (
        visiting.VisitingClient(viewer.url) as restless,
        visiting.VisitingClient(viewer.url) as patient,
    ):
        number = patient.look(size=[400, 300])
        n_coarse, done = 0, threading.Event()

        def take() -> None:
            patient.pictures_until_exact(number)
            done.set()

        waiting = threading.Thread(target=take, daemon=True)
        waiting.start()
        began = time.monotonic()
        while not done.is_set():
            assert time.monotonic() - began < WAIT_S
            restless.picture(restless.look(moves=True, fov=40 + n_coarse % 7))
            n_coarse += 1
        waiting.join()
        assert n_coarse > 1
        assert patient.told("status")["visitors"] == 2
