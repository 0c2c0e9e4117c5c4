"""One renderer or scene in the hands of several threads, or closed in the middle."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import plenostream as ps
from plenostream.format.reader import SceneStore
from plenostream.process.turns import Turns
from plenostream.stream.supply import BrickSupply
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.pictures import open_renderer, rays_around

VIEWS = [
    ps.look_at_camera(eye, (0.0, 0.0, 0.0), fov_degrees=45.0, size=(48, 40))
    for eye in ((2.6, 1.1, 1.3), (-1.0, 2.4, 0.7), (0.4, -2.2, 1.9))
]
SECONDS = 60


@pytest.fixture(scope="module")
def path(folder_or_zip: Path) -> Path:
    return folder_or_zip


@pytest.fixture(scope="module")
def expected(path: Path) -> list[ps.RenderResult]:
    with open_renderer(path) as renderer:
        return [renderer.render(view) for view in VIEWS]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


class Gate:
    """Holds the reading of chunks up, and with it a picture, until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._reached = threading.Event()

    def wait(self) -> None:
        self._reached.set()
        assert self._open.wait(SECONDS)

    def wait_until_reached(self) -> None:
        assert self._reached.wait(SECONDS)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate, fetch = Gate(), SceneStore.fetch_chunk

    def held_up(store: SceneStore, name: str, chunk: int) -> Any:
        if name.startswith("rows/"):
            gate.wait()
        return fetch(store, name, chunk)

    monkeypatch.setattr(SceneStore, "fetch_chunk", held_up)
    yield gate
    gate.open()


def own_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("plenostream-")]


def wait_until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_threads_that_share_a_renderer_get_the_right_pictures(
    path: Path, expected: list[ps.RenderResult], threads: ThreadPoolExecutor
) -> None:
    order = [0, 1, 2, 2, 1, 0, 0, 2, 1]
    with open_renderer(path) as renderer:
        pictures = threads.map(renderer.render, [VIEWS[i] for i in order], timeout=SECONDS)
        for i, picture in zip(order, pictures, strict=True):
            assert_same_picture(picture, expected[i], at_most=2e-5)


def test_renderers_that_share_a_scene_draw_in_threads_of_their_own(
    path: Path, expected: list[ps.RenderResult], threads: ThreadPoolExecutor
) -> None:
    with ps.open_scene(path) as scene, ps.Renderer(scene) as one, ps.Renderer(scene) as other:

        def draw(renderer: ps.Renderer) -> list[ps.RenderResult]:
            return [renderer.render(view) for view in VIEWS]

        for pictures in threads.map(draw, (one, other), timeout=SECONDS):
            for picture, right in zip(pictures, expected, strict=True):
                assert_same_picture(picture, right, at_most=2e-5)


def test_closing_a_renderer_waits_for_the_picture_in_hand_and_refuses_those_that_wait(
    path: Path, expected: list[ps.RenderResult], threads: ThreadPoolExecutor, gate: Gate
) -> None:
    with ps.open_scene(path) as scene:
        renderer = ps.Renderer(scene)
        in_hand = threads.submit(renderer.render, VIEWS[0])
        gate.wait_until_reached()
        waiting = threads.submit(renderer.render, VIEWS[1])
        closing = threads.submit(renderer.close)
        with pytest.raises(ps.InvalidInput, match="renderer is closed"):
            waiting.result(SECONDS)
        assert not in_hand.done()
        assert not closing.done()
        gate.open()
        assert_same_picture(in_hand.result(SECONDS), expected[0], at_most=2e-5)
        closing.result(SECONDS)


def test_closing_a_scene_waits_for_the_picture_in_hand_and_refuses_later_ones(
    path: Path, expected: list[ps.RenderResult], threads: ThreadPoolExecutor, gate: Gate
) -> None:
    scene = ps.open_scene(path)
    with ps.Renderer(scene) as renderer, ps.Renderer(scene) as other:
        in_hand = threads.submit(renderer.render, VIEWS[0])
        gate.wait_until_reached()
        closing = threads.submit(scene.close)

        def refused() -> bool:
            try:
                other.plan(VIEWS[0])
            except ps.StoreError as error:
                return "closed" in str(error)
            return False

        wait_until(refused)
        assert not closing.done()
        gate.open()
        assert_same_picture(in_hand.result(SECONDS), expected[0], at_most=2e-5)
        closing.result(SECONDS)


USES: dict[str, Callable[[ps.Renderer], Any]] = {
    "plan": lambda renderer: renderer.plan(VIEWS[0]),
    "render": lambda renderer: renderer.render(VIEWS[0]),
    "render_rays": lambda renderer: renderer.render_rays(*rays_around(1, 10)),
}


@pytest.mark.parametrize("use", USES)
def test_closed_renderer_says_so_whatever_it_is_used_for(path: Path, use: str) -> None:
    with open_renderer(path) as renderer:
        pass
    with pytest.raises(ps.InvalidInput, match="renderer is closed"):
        USES[use](renderer)


@pytest.mark.parametrize("use", USES)
def test_renderer_of_a_closed_scene_says_so_whatever_it_is_used_for(path: Path, use: str) -> None:
    with ps.open_scene(path) as scene, ps.Renderer(scene) as renderer:
        scene.close()
        with pytest.raises(ps.StoreError, match="scene is closed"):
            USES[use](renderer)


def test_closed_scene_takes_no_renderer_and_reads_no_chunk(path: Path) -> None:
    scene = ps.open_scene(path)
    scene.close()
    with pytest.raises(ps.StoreError, match="scene is closed"):
        ps.Renderer(scene)
    with pytest.raises(ps.StoreError, match="scene is closed"):
        scene.store.read_chunk("rows/sh", 0)


def test_closing_again_changes_nothing(path: Path) -> None:
    with ps.open_scene(path) as scene, ps.Renderer(scene) as renderer:
        for _ in range(2):
            renderer.close()
            scene.close()


@pytest.mark.parametrize("use", [*USES, "close"])
def test_use_by_the_thread_that_draws_is_refused_and_the_renderer_goes_on(
    path: Path, expected: list[ps.RenderResult], monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    admit = BrickSupply.admit
    refused: list[str] = []

    def interrupted(supply: BrickSupply, wave: Any) -> Any:
        # As a signal handler would.
        with pytest.raises(ps.InvalidInput, match="by this very thread"):
            USES.get(use, ps.Renderer.close)(renderer)
        refused.append(use)
        return admit(supply, wave)

    with open_renderer(path) as renderer:
        monkeypatch.setattr(BrickSupply, "admit", interrupted)
        assert_same_picture(renderer.render(VIEWS[0]), expected[0], at_most=2e-5)
        monkeypatch.undo()
        assert refused
        assert_same_picture(renderer.render(VIEWS[1]), expected[1], at_most=2e-5)


def test_interrupted_wait_for_a_turn_leaves_the_renderer_usable(
    path: Path,
    expected: list[ps.RenderResult],
    threads: ThreadPoolExecutor,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open_renderer(path) as renderer:
        in_hand = threads.submit(renderer.render, VIEWS[0])
        gate.wait_until_reached()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Condition, "wait", interrupt)
            with pytest.raises(KeyboardInterrupt):
                renderer.render(VIEWS[1])
        gate.open()
        assert_same_picture(in_hand.result(SECONDS), expected[0], at_most=2e-5)
        assert_same_picture(renderer.render(VIEWS[1]), expected[1], at_most=2e-5)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_threads_of_a_renderer_that_nobody_closed_end_with_it(path: Path) -> None:
    before = own_threads()
    with ps.open_scene(path) as scene:
        renderer = ps.Renderer(scene)
        renderer.render(VIEWS[0])
        assert own_threads() != before
        del renderer
        gc.collect()
        wait_until(lambda: own_threads() == before)


def test_turns_come_in_the_order_in_which_they_were_asked_for(threads: ThreadPoolExecutor) -> None:
    turns = Turns("a thing", closed=lambda: ps.InvalidInput("closed"), one_at_a_time=True)
    taken: list[int] = []

    def take(number: int) -> None:
        with turns.turn():
            taken.append(number)

    waiting: list[Future[None]] = []
    with turns.turn():
        for number in range(3):
            waiting.append(threads.submit(take, number))
            wait_until(lambda: len(turns._waiting) == len(waiting))
    for future in waiting:
        future.result(SECONDS)
    assert taken == [0, 1, 2]
