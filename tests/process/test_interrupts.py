"""Ctrl-C and its like end the program at once, at any moment, with nothing half made left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plenostream.cameras import orbit_cameras
from plenostream.field.grid import GridSpec
from plenostream.testing.checkpoints import CheckpointArrays

SECONDS = 120
FILM = ("render", "{scene}", "turn.mp4", "--orbit", "9000", "--size", "16x16")
PICTURES = ("render", "{scene}", "new/turn/", "--orbit", "9000", "--size", "16x16")
RENDERING = "rendering:"
COMPILING = "Compiling"
"""JAX says so before it compiles a program, if asked to."""


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


class Running:
    """A program that is under way; it writes both outputs to one pipe."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.told = ""

    def wait_for(self, words: str) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.told += line
            if words in line:
                return
        raise AssertionError(f"it never said {words!r}:\n{self.told}")

    def end(self, number: int) -> int:
        """Send a signal; the exit code."""
        self._process.send_signal(number)
        self.told += self._process.communicate(timeout=SECONDS)[0]
        return self._process.returncode


@contextmanager
def running(
    command: list[str], folder: Path, *, ignored: bool = False, **environment: str
) -> Iterator[Running]:
    # A suite started in the background ignores Ctrl-C, and so would its children. Not by preexec_fn:
    # that forks, of which JAX warns.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    # What never says what a test waits for is ended, and the test fails with what it did say.
    too_long = threading.Timer(SECONDS, process.kill)
    too_long.start()
    with process:
        try:
            yield Running(process)
        finally:
            too_long.cancel()
            process.kill()


def plenostream(scene: Path, *arguments: str) -> list[str]:
    filled = [argument.format(scene=scene) for argument in arguments]
    return [sys.executable, "-m", "plenostream", *filled]


@pytest.mark.parametrize(
    "arguments",
    [pytest.param(FILM, id="film"), pytest.param(PICTURES, id="folder", marks=pytest.mark.slow)],
)
def test_ctrl_c_in_the_middle_of_pictures_ends_with_130(
    scene: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with running(plenostream(scene, *arguments), tmp_path) as program:
        program.wait_for(RENDERING)
        assert program.end(signal.SIGINT) == 130
    assert "Traceback" not in program.told
    assert program.told.endswith("\nplenostream: interrupted\n")
    # Pictures that are whole stay; a film that is not goes.
    assert arguments is not FILM or os.listdir(tmp_path) == []


@pytest.mark.slow
def test_ctrl_c_while_kernels_are_compiled_ends_with_130_and_leaves_nothing(
    scene: Path, tmp_path: Path
) -> None:
    place, cache = tmp_path / "place", tmp_path / "cache"
    place.mkdir()
    command = plenostream(scene, *FILM, "--backend", "xla")
    # A folder of its own: otherwise programs that other tests compiled would be read from disk.
    environment = {"JAX_COMPILATION_CACHE_DIR": str(cache), "JAX_LOG_COMPILES": "1"}
    with running(command, place, **environment) as program:
        program.wait_for(COMPILING)
        assert program.end(signal.SIGINT) == 130
    assert "Traceback" not in program.told
    assert os.listdir(place) == []


def test_ctrl_c_in_a_conversion_leaves_what_resume_goes_on_with(
    gyroid_file: Path, tmp_path: Path
) -> None:
    command = plenostream(gyroid_file, "convert", "{scene}", "s")
    with running(command, tmp_path) as program:
        program.wait_for("scan:")
        code = program.end(signal.SIGINT)
    # It may be done before the signal comes, or be just about to put the scene where it belongs.
    assert (code, os.listdir(tmp_path)) == (0, ["s"]) or code == 130
    assert set(os.listdir(tmp_path)) <= {".s.partial", "s"}
    subprocess.run([*command, "--resume", "--overwrite", "-q"], cwd=tmp_path, check=True)
    assert os.listdir(tmp_path) == ["s"]


def test_ctrl_c_in_a_training_ends_with_a_scene_that_can_be_trained_further(
    scene: Path, tmp_path: Path
) -> None:
    views = "render {scene} views/ --orbit 3 --size 16x16 -q".split()
    subprocess.run(plenostream(scene, *views), cwd=tmp_path, check=True)
    look_at = [orbit.c2w for orbit in orbit_cameras(GridSpec(size=(48, 48, 48)), 3)]
    frames = [
        {
            "file_path": f"views/frame_{number:04d}.png",
            "transform_matrix": [*pose.tolist(), [0, 0, 0, 1]],
        }
        for number, pose in enumerate(look_at)
    ]
    document = {"camera_angle_x": 0.7, "scene_scale": 1.0, "frames": frames}
    (tmp_path / "t.json").write_text(json.dumps(document))
    command = plenostream(scene, *"train t.json s --size 32 --rays 64 --held 0".split())
    with running(command, tmp_path) as program:
        program.wait_for("training 32")
        assert program.end(signal.SIGINT) == 130
    assert "coming to an end" in program.told
    assert "--resume" in program.told
    assert {"s", ".s.training"} <= set(os.listdir(tmp_path))
    subprocess.run(plenostream(tmp_path / "s", "verify", "{scene}", "-q"), check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_other_signals_to_end_leave_nothing_either(scene: Path, tmp_path: Path, name: str) -> None:
    number = signal.Signals[name]
    with running(plenostream(scene, *FILM), tmp_path) as program:
        program.wait_for(RENDERING)
        assert program.end(number) == 128 + number
    assert program.told.endswith("\nplenostream: told to end\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_ctrl_c_that_was_ignored_at_the_start_stays_ignored(scene: Path, tmp_path: Path) -> None:
    command = plenostream(scene, "render", "{scene}", "t.mp4", "--orbit", "3", "--size", "16x16")
    with running(command, tmp_path, ignored=True) as program:
        program.wait_for(RENDERING)
        assert program.end(signal.SIGINT) == 0
    assert os.listdir(tmp_path) == ["t.mp4"]


UNDER_WAY = {
    "the main thread computes": "while True: pass",
    "the main thread waits": "threading.Event().wait()",
    "another thread makes a file": """
threading.Thread(target=lambda: make("b")).start()
threading.Event().wait()
""",
}


@pytest.mark.parametrize("moment", UNDER_WAY)
def test_what_is_entered_is_cleared_away_whatever_the_threads_are_at(
    tmp_path: Path, moment: str
) -> None:
    program = f"""
from plenostream.process import interrupts
interrupts.watch()
import sys, threading
from pathlib import Path
from plenostream.process import leftovers

def make(name):
    with leftovers.temporary_file(Path(name)):
        Path(name).touch()
        print("made " + name + "\\n", end="", flush=True)  # in one piece: two threads print
        threading.Event().wait()

threading.Thread(target=make, args="a", daemon=True).start()
while not Path("a").exists(): pass
print("begun\\n", end="", flush=True)
{textwrap.dedent(UNDER_WAY[moment])}
"""
    with running([sys.executable, "-c", program], tmp_path) as started:
        started.wait_for("made b" if "file" in moment else "begun")
        assert started.end(signal.SIGINT) == 130
    assert os.listdir(tmp_path) == []
