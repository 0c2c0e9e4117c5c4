"""A writing that is killed leaves no scene, and goes on where it was with `resume`."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fields import blobs, files

import plenostream as ps

FIELD = blobs(6, (150, 33, 40), share=0.02)
OPTIONS = ps.ConvertOptions(brick_size=8)
RESUME = ps.ConvertOptions(brick_size=8, resume=True)
PROGRAM = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_write_resume import FIELD, OPTIONS, source_of
import plenostream as ps

kind, target, at_step, at = sys.argv[2:]

def progress(step, done, total):
    if step == at_step and done >= float(at) * total:
        os.kill(os.getpid(), signal.SIGKILL)

ps.write_scene(target, FIELD.grid, source_of(kind), OPTIONS, progress=progress)
"""


def source_of(kind: str) -> Any:
    if kind == "arrays":
        return FIELD.density, FIELD.colours
    if kind == "function":
        return FIELD.box
    return (
        ((i, j, k), *FIELD.box((8 * i, 8 * j, 8 * k), (8 * i + 8, 8 * j + 8, 8 * k + 8)))
        for i in range(19)
        for j in range(5)
        for k in range(5)
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of the scene when nothing goes wrong."""
    target = tmp_path_factory.mktemp("whole") / "s"
    ps.write_scene(target, FIELD.grid, source_of("arrays"), OPTIONS)
    return files(target)


def kill(kind: str, target: Path, step: str, at: float) -> None:
    """Write in a process that is killed when it says that `step` is done by a share of `at`."""
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", PROGRAM, here, kind, target, step, str(at)])
    assert done.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "step", "at"),
    [
        ("arrays", "gather", 0.5),
        ("function", "gather", 1.0),
        ("function", "pack", 0.6),
        ("arrays", "finish", 0.0),
        ("bricks", "bricks", 1.0),
        ("bricks", "gather", 0.5),
    ],
)
def test_killed_writing_leaves_no_scene_and_is_resumed_to_the_same_bytes(
    tmp_path: Path, whole: dict[str, bytes], kind: str, step: str, at: float
) -> None:
    target = tmp_path / "s"
    kill(kind, target, step, at)
    assert not target.exists()
    with pytest.raises(ps.StoreNotFound):
        ps.open_scene(tmp_path / ".s.partial")
    ps.write_scene(target, FIELD.grid, source_of(kind), RESUME)
    assert files(target) == whole
    assert list(tmp_path.iterdir()) == [target]


def interrupted(target: Path, source: Any, at_step: str, at: int) -> None:
    def interrupt(step: str, done: int, total: int) -> None:
        if (step, done) == (at_step, at):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ps.write_scene(target, FIELD.grid, source, OPTIONS, progress=interrupt)
    assert not target.exists()


def test_slabs_that_were_gathered_are_not_asked_for_again(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    asked: list[int] = []

    def ask(lower: tuple[int, ...], upper: tuple[int, ...]) -> Any:
        asked.append(lower[0])
        return FIELD.box(lower, upper)

    interrupted(tmp_path / "s", ask, "gather", 3)
    assert asked == [0, 31, 63]
    asked.clear()
    ps.write_scene(tmp_path / "s", FIELD.grid, ask, RESUME)
    # The third was asked for, and not whole yet.
    assert asked == [63, 95, 127]
    assert files(tmp_path / "s") == whole


def test_bricks_that_were_all_taken_are_not_asked_for_again(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    interrupted(tmp_path / "s", source_of("bricks"), "gather", 1)
    ps.write_scene(tmp_path / "s", FIELD.grid, iter(()), RESUME)
    assert files(tmp_path / "s") == whole


@pytest.mark.parametrize(
    "changes", [{"name": "other"}, {"basis_dim": 1}, {"grid": ps.GridSpec(size=(150, 33, 40))}]
)
def test_work_of_another_source_is_not_resumed(tmp_path: Path, changes: dict[str, Any]) -> None:
    interrupted(tmp_path / "s", FIELD.box, "gather", 3)
    arguments: dict[str, Any] = {"grid": FIELD.grid, "source": FIELD.box, "options": RESUME}
    with pytest.raises(ps.StoreError, match="without --resume"):
        ps.write_scene(tmp_path / "s", **(arguments | changes))
