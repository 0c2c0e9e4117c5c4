"""The page in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import pytest

import plenostream as ps
from plenostream.cameras import load_cameras
from plenostream.cli.group import commands
from plenostream.export.pixels import colour_8bit, psnr

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WAIT_MS = 60_000
LEAST_DB = 40.0
SCREENSHOT = "PLENOSTREAM_SCREENSHOT"
"""Names a file for the picture in the README, which is made of the sample model."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs chromium (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        # In a container there is no sandbox to be had for root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()


FIND_HANDLE = """() => {
  const canvas = document.getElementById("overlay");
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const filled = (x, y) => data[4 * (y * width + x) + 3] === 255;
  const around = [[0, 0], [3, 0], [-3, 0], [0, 3], [0, -3], [2, 2], [-2, 2], [2, -2], [-2, -2]];
  for (let y = 4; y < height - 4; y += 1)
    for (let x = 4; x < width - 4; x += 1)
      if (around.every(([dx, dy]) => filled(x + dx, y + dy))) return [x, y];
}"""
"""Where a handle of the box is: a filled circle among lines."""


class Tab:
    """A page that is looked at, and what went wrong on it."""

    def __init__(self, browser: Any, url: str) -> None:
        self.page = browser.new_page(viewport={"width": 700, "height": 420})
        self.page.set_default_timeout(WAIT_MS)
        self.faults: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.faults.append(text)

    def settle(self) -> None:
        """Wait until what is on screen is exact, and of the last view."""
        self.page.wait_for_timeout(200)  # a view rests a moment before it is said to
        self.page.wait_for_selector("body[data-exact=true]")

    def picture(self) -> np.ndarray:
        """What the canvas shows, [H, W, 3], 0 to 1."""
        data = self.page.evaluate("document.getElementById('picture').toDataURL('image/png')")
        png = np.frombuffer(base64.b64decode(data.partition(",")[2]), np.uint8)
        return cv2.imdecode(png, cv2.IMREAD_COLOR)[..., ::-1] / np.float64(255)

    def camera_file(self) -> dict[str, Any]:
        """The view as the page gives it to be copied."""
        said: dict[str, Any] = json.loads(self.page.input_value("#pose"))
        return said

    def eye(self) -> np.ndarray:
        return np.array(self.camera_file()["frames"][0]["transform_matrix"])[:3, 3]


@pytest.fixture
def tab(browser: Any, viewer: Any) -> Iterator[Tab]:
    opened = Tab(browser, viewer.url)
    opened.settle()
    yield opened
    opened.page.close()


def test_page_shows_the_picture_and_asks_no_other_host(
    tab: Tab, viewer: Any, scene: ps.Scene, cameras: list[ps.Camera]
) -> None:
    with ps.Renderer(scene) as renderer:
        want = colour_8bit(renderer.render(cameras[0]).rgb) / 255
    assert psnr(tab.picture(), want) > LEAST_DB
    assert tab.faults == []
    assert all(url.startswith((viewer.url, "blob:" + viewer.url)) for url in tab.asked)


def test_free_camera_is_the_one_that_render_reads_to_the_pixel(
    tab: Tab, scene: ps.Scene, tmp_path: Path
) -> None:
    drag(tab, (60, 25))
    tab.settle()
    path = tmp_path / "view.json"
    path.write_text(json.dumps(tab.camera_file()))
    (camera,) = load_cameras(path)
    with ps.Renderer(scene) as renderer:
        want = colour_8bit(renderer.render(camera).rgb) / 255
    got = tab.picture()
    assert got.shape == want.shape
    assert psnr(got, want) > LEAST_DB
    assert psnr(np.roll(got, 1, axis=1), want) < psnr(got, want) - 6, "a pixel aside is another"


def drag(
    tab: Tab, by: tuple[float, float], n: int = 5, start: tuple[float, float] = (200, 200)
) -> None:
    mouse, (x, y) = tab.page.mouse, start
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + by[0], y + by[1], steps=n)
    mouse.up()


def test_drag_wheel_keys_and_double_click_move_the_camera(tab: Tab, scene: ps.Scene) -> None:
    page, eyes = tab.page, [tab.eye()]

    def moved() -> np.ndarray:
        tab.settle()
        eyes.append(tab.eye())
        assert not np.allclose(eyes[-1], eyes[-2])
        return eyes[-1]

    drag(tab, (80, 0))
    middle = np.array(scene.grid.center)
    turned = moved()
    assert np.linalg.norm(turned - middle) == pytest.approx(
        np.linalg.norm(eyes[0] - middle), rel=0.2
    )
    page.mouse.wheel(0, -300)
    assert np.linalg.norm(moved() - middle) < np.linalg.norm(turned - middle)
    page.keyboard.down("d")
    page.wait_for_timeout(150)
    page.keyboard.up("d")
    moved()
    before = tab.camera_file()
    page.mouse.dblclick(190, 205)
    page.wait_for_function(
        "said => document.getElementById('pose').value !== said",
        arg=json.dumps(before, separators=(",", ":")),
    )
    tab.settle()
    assert np.allclose(tab.eye(), eyes[-1]), "it turns where it stands"
    page.keyboard.press("r")
    tab.settle()
    assert np.allclose(tab.eye(), eyes[0])
    assert tab.faults == []


def test_values_of_the_panel_take_effect(
    tab: Tab, cameras: list[ps.Camera], tmp_path: Path
) -> None:
    page = tab.page
    seen = [tab.picture()]

    def changed() -> np.ndarray:
        tab.settle()
        seen.append(tab.picture())
        assert seen[-1].shape != seen[-2].shape or np.abs(seen[-1] - seen[-2]).max() > 0.1
        return seen[-1]

    page.fill("#background", "#ff0000")
    page.dispatch_event("#background", "change")
    assert np.allclose(changed()[0, 0], (1, 0, 0), atol=0.03)
    for output in ("depth", "alpha", "rgb"):
        page.select_option("#output", output)
        changed()
    page.fill("#fov", "80")
    page.press("#fov", "Enter")
    changed()
    page.click("#after")
    changed()
    assert page.inner_text("#camera") == "camera 0"
    page.check("#crop")
    tab.settle()
    assert page.input_value("#crop-command").startswith(
        "plenostream crop scene.zarr part.zarr --box "
    )
    handle = page.evaluate(FIND_HANDLE)
    before = page.input_value("#crop-command")
    drag(tab, (9, 9), start=handle)
    assert page.input_value("#crop-command") != before
    page.click("#path-play")
    page.wait_for_timeout(700)  # news of the renderer come every half second
    assert "two views" in page.inner_text("#notice")
    drag(tab, (5, 5))
    tab.settle()
    assert page.is_hidden("#notice")
    for _ in range(2):
        page.click("#path-add")
        drag(tab, (40, 10))
    assert page.inner_text("#path-length") == "2 views"
    page.fill("#path-frames", "10")
    for name in ("#command", "#path-command", "#crop-command"):
        _, command, *words = shlex.split(page.input_value(name))
        known = commands.get_command(click.Context(commands), command)
        assert known is not None
        known.make_context(command, words)  # refuses what it does not know
    before = page.get_attribute("body", "data-view")
    page.click("#path-play")
    page.wait_for_function(
        "before => Number(document.body.dataset.view) > before + 2", arg=int(before)
    )
    with page.expect_download() as saved:
        page.click("#path-save")
    path = tmp_path / "path.json"
    saved.value.save_as(path)
    first, second = load_cameras(path)
    own = cameras[0].width / cameras[0].fx
    assert first.width / second.fx == pytest.approx(own), "the angle of the camera that was left"
    assert not np.allclose(first.c2w, second.c2w)
    assert tab.faults == []


def test_two_browsers_each_have_their_camera(tab: Tab, browser: Any, viewer: Any) -> None:
    other = Tab(browser, viewer.url)
    other.settle()
    before = tab.picture()
    drag(other, (100, 30))
    other.settle()
    np.testing.assert_array_equal(tab.picture(), before)
    assert not np.allclose(other.eye(), tab.eye())
    other.page.close()


def test_connection_that_is_cut_comes_back_where_it_was(
    browser: Any, open_viewer: Callable[..., Any]
) -> None:
    with open_viewer() as first:
        tab, port = Tab(browser, first.url), first.port
        tab.settle()
        drag(tab, (50, 0))
        tab.settle()
        eye = tab.eye()
    tab.page.wait_for_selector("#notice:not([hidden])")
    assert "connection is lost" in tab.page.inner_text("#notice")
    with open_viewer(port=port):
        tab.page.wait_for_selector("body[data-connected=true]")
        tab.settle()
        assert np.allclose(tab.eye(), eye)
        assert tab.page.is_hidden("#notice")
    tab.page.close()


def test_address_without_its_token_shows_no_page(
    browser: Any, open_viewer: Callable[..., Any]
) -> None:
    with open_viewer(share_token=True) as viewer:
        page = browser.new_page()
        assert page.goto(viewer.url.partition("?")[0]).status == 403
        page.close()
        tab = Tab(browser, viewer.url)
        tab.settle()
        assert tab.faults == []
        tab.page.close()


def test_long_drag_leaves_nothing_behind(tab: Tab, viewer: Any) -> None:
    """Some seconds of what `./tools/soak` does for as long as it is told."""
    psutil = pytest.importorskip("psutil")
    own = psutil.Process()

    def turn(times: int) -> int:
        for _ in range(times):
            drag(tab, (120, 40), n=10)
            drag(tab, (-120, -40), n=10)
        tab.settle()
        return int(own.memory_info().rss)

    turn(3)
    before, threads = turn(2), own.num_threads()
    assert turn(6) < before + 20_000_000
    assert own.num_threads() <= threads
    assert len(viewer._painter._visitors) == 1


@pytest.mark.skipif(SCREENSHOT not in os.environ, reason=f"{SCREENSHOT} names no file")
def test_picture_for_the_readme_is_made(browser: Any, tmp_path: Path) -> None:
    from plenostream.options import ViewOptions
    from plenostream.viewer.server import Viewer

    data = Path(__file__).resolve().parents[2] / "data"
    ps.convert(data / "still_128.npz", tmp_path / "still.zarr")
    cameras = load_cameras(data / "still_cameras.json")
    with (
        ps.open_scene(tmp_path / "still.zarr") as scene,
        Viewer(
            "still.zarr", scene, cameras,
            options=ps.RenderOptions(), stream=ps.StreamOptions(), view=ViewOptions(port=0),
        ) as viewer,
    ):  # fmt: skip
        tab = Tab(browser, viewer.url)
        tab.page.set_viewport_size({"width": 1000, "height": 620})
        tab.settle()
        drag(tab, (-60, 40))
        tab.page.mouse.wheel(0, 500)
        tab.settle()
        tab.page.wait_for_function("document.querySelectorAll('#cameras img').length >= 6")
        tab.page.screenshot(path=os.environ[SCREENSHOT])
        assert tab.faults == []
