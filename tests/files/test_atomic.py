"""Whatever byte a disk fails at: the file is whole or not there, the error is told, none is lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plenostream.errors import OutputError
from plenostream.export.film import film_output
from plenostream.export.picture_files import (
    write_exr,
    write_npy,
    write_npz,
    write_png,
    write_preview,
)
from plenostream.export.targets import choose_target
from plenostream.files.atomic import atomic_file, writing
from plenostream.files.foreign import copy_written
from plenostream.results import FrameStats, RenderResult

NOISE = np.random.default_rng(1).random((32, 48, 3), np.float32)
PICTURE = RenderResult(rgb=NOISE, alpha=NOISE[..., 0], depth=NOISE[..., 0], stats=FrameStats())


def film(path: Path) -> None:
    target = choose_target(path, outputs=("rgb",), n_frames=3)
    with film_output(target, sizes=[(48, 32)] * 3, overwrite=True) as writer:
        for number in range(3):
            writer.write(number, PICTURE)


def record(path: Path) -> None:
    with atomic_file(path, overwrite=True) as file, writing(path):
        file.write(b"{" + b"1" * 4000)
        file.write(b"}")


def by_name(path: Path) -> None:
    with atomic_file(path, overwrite=True) as file, writing(path):
        copy_written(lambda name: Path(name).write_bytes(bytes(5000)), file, ending=".ply")


WRITERS: dict[str, Callable[[Path], None]] = {
    "a.png": lambda path: write_png(path, (NOISE * 255).astype(np.uint8), overwrite=True),
    "a.npy": lambda path: write_npy(path, NOISE, overwrite=True),
    "a.exr": lambda path: write_exr(path, {"rgb": NOISE}, overwrite=True),
    "a.npz": lambda path: write_npz(path, {"rgb": NOISE}, overwrite=True),
    "a.webp": lambda path: write_preview(
        path, (NOISE * 255).astype(np.uint8), ending=".webp", quality=90, overwrite=True
    ),
    "a.mp4": film,
    "a.mov": film,
    "a.webm": film,
    "a.json": record,
    "a.ply": by_name,
}


@pytest.fixture
def fails_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`fails_at(n)`: the disk takes n bytes more, the last write of them in part."""
    write = os.write

    def fill(n_bytes: int) -> None:
        left = n_bytes

        def limited(descriptor: int, content: memoryview) -> int:
            nonlocal left
            if left == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            done = write(descriptor, memoryview(content)[:left])
            left -= done
            return done

        monkeypatch.setattr(os, "write", limited)

    return fill


@pytest.mark.parametrize("share", [0.0, 1e-9, 0.1, 0.5, 0.9, 1.0], ids=lambda s: f"{s:.0%}")
@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_fails_at_a_byte_leaves_the_old_file_and_names_the_new(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    fails_at: Callable[[int], None],
    name: str,
    share: float,
) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    n_bytes = path.stat().st_size
    path.write_bytes(b"old")
    fails_at(0 if share == 0 else min(n_bytes - 1, 1 + int(share * n_bytes)))
    with pytest.raises(OutputError, match=f"{name} cannot be written: No space left on device"):
        WRITERS[name](path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [name]
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("name", WRITERS)
def test_bytes_are_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    flushed: list[int] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        flushed.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", note)
    WRITERS[name](tmp_path / name)
    assert flushed == [(tmp_path / name).stat().st_ino, tmp_path.stat().st_ino]


def test_an_error_of_writing_that_a_library_swallows_is_raised_all_the_same(
    tmp_path: Path, fails_at: Callable[[int], None]
) -> None:
    fails_at(10)

    def careless() -> None:
        with atomic_file(tmp_path / "a", overwrite=False) as file:
            for _ in range(5):
                try:
                    file.write(b"12345")
                except OSError:
                    continue

    with pytest.raises(OutputError, match="No space left on device"):
        careless()
    assert os.listdir(tmp_path) == []
