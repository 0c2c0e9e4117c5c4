"""A conversion that is killed leaves no scene, and goes on where it was with --resume."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plenostream.errors import StoreError, StoreNotFound
from plenostream.format.opening import open_store
from plenostream.importers.svox2.convert import convert
from plenostream.options import ConvertOptions
from plenostream.testing.checkpoints import random_checkpoint

PROGRAM = """
import os, signal, sys
from plenostream.importers.svox2.convert import convert
from plenostream.options import ConvertOptions

source, target, at_step, at = sys.argv[1:5]

def progress(step, done, total):
    if step == at_step and done >= float(at) * total:
        os.kill(os.getpid(), signal.SIGKILL)

convert(source, target, ConvertOptions(brick_size=8, levels=0, workers=1), progress=progress)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compressed checkpoint with rows in no order, of five slabs of bricks of 8."""
    arrays = random_checkpoint(4, size=(150, 40, 38), basis_dim=4)
    place = (len(arrays.density) - 1) - arrays.links
    arrays.links[arrays.links >= 0] = place[arrays.links >= 0]
    return arrays.save(tmp_path_factory.mktemp("source") / "a.npz")


@pytest.fixture(scope="module")
def whole(source: Path) -> dict[str, bytes]:
    """Files of the scene when nothing goes wrong."""
    target = source.parent / "whole"
    convert(source, target, ConvertOptions(brick_size=8, levels=0))
    return files(target)


def files(scene: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(scene)): path.read_bytes()
        for path in scene.rglob("*")
        if path.is_file()
    }


def kill(source: Path, target: Path, step: str, at: float) -> None:
    """Convert in a process that is killed when it says that `step` is done by a share of `at`."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, source, target, step, str(at)])
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("step", "at"),
    [
        ("scan", 1.0),
        ("rows of density_data", 1.0),
        ("pack", 0.0),
        ("pack", 0.6),
        ("finish", 0.0),
        ("finish", 1.0),
    ],
)
def test_killed_conversion_leaves_no_scene_and_is_resumed_to_the_same_bytes(
    tmp_path: Path, source: Path, whole: dict[str, bytes], step: str, at: float
) -> None:
    target = tmp_path / "s"
    kill(source, target, step, at)
    assert not target.exists()
    with pytest.raises(StoreNotFound):
        open_store(tmp_path / ".s.partial")
    convert(source, target, ConvertOptions(brick_size=8, levels=0, resume=True))
    assert files(target) == whole
    assert list(tmp_path.iterdir()) == [target]


def test_resuming_does_not_pack_again_what_was_packed(
    tmp_path: Path, source: Path, whole: dict[str, bytes]
) -> None:
    kill(source, tmp_path / "s", "pack", 0.6)
    told: list[tuple[str, int]] = []
    convert(
        source,
        tmp_path / "s",
        ConvertOptions(brick_size=8, levels=0, resume=True),
        progress=lambda step, done, total: told.append((step, done)),
    )
    assert {step for step, _ in told} == {"digest", "pack", "finish"}
    assert [done for step, done in told if step == "pack"] == [3, 4, 5]


def test_slab_whose_chunk_was_damaged_meanwhile_is_packed_again(
    tmp_path: Path, source: Path, whole: dict[str, bytes]
) -> None:
    kill(source, tmp_path / "s", "pack", 1.0)
    chunks = sorted((tmp_path / ".s.partial" / "scene" / "rows" / "sh" / "c").glob("*/0"))
    content = bytearray(chunks[0].read_bytes())
    content[50] ^= 1
    chunks[0].write_bytes(content)
    convert(source, tmp_path / "s", ConvertOptions(brick_size=8, levels=0, resume=True))
    assert files(tmp_path / "s") == whole


def test_without_resume_the_work_starts_anew(
    tmp_path: Path, source: Path, whole: dict[str, bytes]
) -> None:
    kill(source, tmp_path / "s", "pack", 0.6)
    convert(source, tmp_path / "s", ConvertOptions(brick_size=8, levels=0))
    assert files(tmp_path / "s") == whole


def test_work_with_other_options_is_not_resumed(tmp_path: Path, source: Path) -> None:
    kill(source, tmp_path / "s", "pack", 0.6)
    with pytest.raises(StoreError, match="other options"):
        convert(source, tmp_path / "s", ConvertOptions(brick_size=16, levels=0, resume=True))


def test_work_of_another_checkpoint_is_not_resumed(tmp_path: Path, source: Path) -> None:
    kill(source, tmp_path / "s", "pack", 0.6)
    other = random_checkpoint(11).save(tmp_path / "other.npz")
    with pytest.raises(StoreError, match="another checkpoint"):
        convert(other, tmp_path / "s", ConvertOptions(brick_size=8, levels=0, resume=True))


def test_work_of_another_version_is_not_resumed(tmp_path: Path, source: Path) -> None:
    kill(source, tmp_path / "s", "pack", 0.6)
    journal = tmp_path / ".s.partial" / "journal.json"
    earlier = json.loads(journal.read_bytes())
    del earlier["work"]  # as the first version wrote it
    journal.write_text(json.dumps(earlier))
    with pytest.raises(StoreError, match="another version"):
        convert(source, tmp_path / "s", ConvertOptions(brick_size=8, levels=0, resume=True))


def test_interrupted_conversion_is_resumed(
    tmp_path: Path, source: Path, whole: dict[str, bytes]
) -> None:
    def interrupt(step: str, done: int, total: int) -> None:
        if step == "pack" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "s", ConvertOptions(brick_size=8, levels=0), progress=interrupt)
    assert not (tmp_path / "s").exists()
    convert(source, tmp_path / "s", ConvertOptions(brick_size=8, levels=0, resume=True))
    assert files(tmp_path / "s") == whole


@pytest.mark.slow
def test_conversion_killed_at_random_moments_is_never_half() -> None:
    tool = Path(__file__).resolve().parents[3] / "tools" / "kill_convert"
    done = subprocess.run([sys.executable, tool, "--times", "10"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
