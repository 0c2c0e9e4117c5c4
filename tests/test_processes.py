"""Renderers in processes that fork, and in those that end without closing anything."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SECONDS = 60


@pytest.fixture(scope="module")
def path(folder_or_zip: Path) -> Path:
    return folder_or_zip


CHILDREN = """
    import json, os, sys, threading, warnings
    import plenostream as ps

    warnings.simplefilter("ignore")  # JAX's own about forks
    path = sys.argv[1]
    view = ps.look_at_camera((2.6, 1.1, 1.3), (0.0, 0.0, 0.0), size=(16, 16))
    xla = ps.StreamOptions(backend="xla")

    def child(use):
        # What `use` ends with in a forked child.
        readable, writable = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                end = use() or "done"
            except ps.PlenostreamError as error:
                end = f"{type(error).__name__}: {error}"
            os.write(writable, end.encode())
            os._exit(0)
        os.close(writable)
        with open(readable) as end:
            answer = end.read()
        os.waitpid(pid, 0)
        return answer

    def render_anew():
        with ps.open_scene(path) as scene, ps.Renderer(scene, stream=xla) as renderer:
            renderer.render(view)

    def read():
        for chunk in range(scene.store.specs["rows/sh"].n_chunks):
            scene.store.read_chunk("rows/sh", chunk)
        scene.close()

    ends = {"before JAX is used": child(render_anew)}
    scene = ps.open_scene(path)
    renderer = ps.Renderer(scene, stream=xla)
    renderer.render(view)

    def all_ends(when):
        ends[f"render, {when}"] = child(lambda: renderer.render(view) and None)
        ends[f"plan, {when}"] = child(lambda: renderer.plan(view) and None)
        ends[f"close, {when}"] = child(renderer.close)
        ends[f"new renderer, {when}"] = child(render_anew)
        ends[f"scene, {when}"] = child(read)

    all_ends("idle")
    reached, opened = threading.Event(), threading.Event()
    from plenostream.engine.picture import PictureJob
    draw = PictureJob.draw

    def slowly(*arguments):
        reached.set()
        opened.wait()
        return draw(*arguments)

    PictureJob.draw = slowly
    drawing = threading.Thread(target=lambda: renderer.render(view))
    drawing.start()
    reached.wait()
    all_ends("while another thread draws")
    opened.set()
    drawing.join()
    renderer.render(view)
    print(json.dumps(ends))
"""


@pytest.fixture(scope="module")
def ends(path: Path) -> dict[str, str]:
    """How uses in forked children end."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILDREN), path],
        capture_output=True,
        text=True,
        timeout=3 * SECONDS,
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, str] = json.loads(done.stdout)
    return answers


@pytest.mark.slow
def test_child_forked_before_jax_is_used_renders(ends: dict[str, str]) -> None:
    assert ends["before JAX is used"] == "done"


WHEN = ["idle", "while another thread draws"]


@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("use", ["render", "plan", "new renderer"])
def test_child_forked_after_a_render_is_told_at_once_how_to_start_processes(
    ends: dict[str, str], use: str, when: str
) -> None:
    assert ends[f"{use}, {when}"].startswith("DeviceError: this process was forked")
    assert "'spawn'" in ends[f"{use}, {when}"]


@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("use", ["close", "scene"])
def test_forked_child_closes_and_reads_as_ever(ends: dict[str, str], use: str, when: str) -> None:
    assert ends[f"{use}, {when}"] == "done"


FORGETFUL = {
    "after a picture": "kept.append(renderer)",
    "after an error": "kept.append(renderer); raise RuntimeError('of the user')",
    "while another thread draws": "threading.Thread(target=draw).start()",
}


@pytest.mark.slow
@pytest.mark.parametrize("when", FORGETFUL)
def test_program_that_closes_nothing_ends(path: Path, when: str) -> None:
    program = f"""
import sys, threading
import plenostream as ps

kept = []
view = ps.look_at_camera((2.6, 1.1, 1.3), (0.0, 0.0, 0.0), size=(16, 16))
renderer = ps.Renderer(ps.open_scene(sys.argv[1]))
renderer.render(view)

def draw():
    try:
        while True:
            renderer.render(view)
    except ps.PlenostreamError as error:
        print(error)

{FORGETFUL[when]}
"""
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == (when == "after an error"), done.stderr
    told = done.stderr.splitlines()
    assert told[-1:] == (["RuntimeError: of the user"] if when == "after an error" else [])
    assert ("the program is ending" in done.stdout) == (when == "while another thread draws")
