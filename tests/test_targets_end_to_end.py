"""Places that commands are told to read or write: what cannot be is one clear line, and no harm."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plenostream.cli import main as cli
from plenostream.format.opening import open_store

VIEW = ("--look-from", "2.5,1,0.5", "--size", "16x16")
PLENOSTREAM = (sys.executable, "-m", "plenostream")


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    """What a command sets for JAX must not reach other tests, nor the user's caches this one."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def place(
    make_scene: Callable[..., Path], tiny_checkpoint: Path, tmp_path: Path, monkeypatch: Any
) -> Path:
    """The current folder: a checkpoint, a scene, links to it, a pipe, a socket, folders."""
    here = tmp_path / "here"
    here.mkdir()
    shutil.copytree(make_scene(tiny_checkpoint), here / "scene.zarr")
    shutil.copy(tiny_checkpoint, here / "x.npz")
    (here / "link.zarr").symlink_to("scene.zarr")
    (here / "rows").symlink_to("scene.zarr/rows")
    (here / "into.png").symlink_to("scene.zarr/into.png")
    (here / "loop.png").symlink_to("loop.png")
    os.mkfifo(here / "pipe")
    os.mkfifo(here / "pipe.png")
    (here / "work").mkdir()
    (here / "work" / "thesis.tex").write_text("mine")
    monkeypatch.chdir(here)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")  # by its name alone: a socket's address has 108 characters at most
    return here


def everything(folder: Path) -> list[tuple[str, int]]:
    """All names below, with sizes of files."""
    return sorted(
        (str(path.relative_to(folder)), path.lstat().st_size) for path in folder.rglob("*")
    )


REFUSED = {
    "render to an empty path": ("render", "scene.zarr", "", *VIEW),
    "convert to an empty path": ("convert", "x.npz", "", "--overwrite"),
    "convert an empty path": ("convert", "", "out.zarr"),
    "points to an empty path": ("points", "scene.zarr", ""),
    "info of an empty path": ("info", ""),
    "stats to an empty path": ("render", "scene.zarr", "a.png", "--stats", "", *VIEW),
    "cameras of an empty path": ("render", "scene.zarr", "a.png", "--cameras", ""),
    "convert to a URL of nothing": ("convert", "x.npz", "nonsense://bucket/x"),
    "convert a URL": ("convert", "https://host/x.npz", "out.zarr"),
    "render a URL of nothing": ("render", "nonsense://bucket/s.zarr", "a.png", *VIEW),
    "render to a URL": ("render", "scene.zarr", "s3://bucket/a.png", *VIEW),
    "render a folder at a URL": ("render", "scene.zarr", "file:///tmp/frames", *VIEW),
    "stats to a URL": ("render", "scene.zarr", "a.png", "--stats", "s3://bucket/s.json", *VIEW),
    "cameras of a URL": ("render", "scene.zarr", "a.png", "--cameras", "http://host/c.json"),
    "points to a URL": ("points", "scene.zarr", "s3://bucket/a.ply"),
    "convert a pipe": ("convert", "pipe", "out.zarr"),
    "convert a socket": ("convert", "socket", "out.zarr"),
    "convert a device": ("convert", "/dev/zero", "out.zarr"),
    "convert a folder": ("convert", "work", "out.zarr"),
    "info of a pipe": ("info", "pipe"),
    "info of a device": ("info", "/dev/zero"),
    "cameras of a pipe": ("render", "scene.zarr", "a.png", "--cameras", "pipe"),
    "cameras of a device": ("plan", "scene.zarr", "--cameras", "/dev/zero"),
    "render to a pipe": ("render", "scene.zarr", "pipe.png", *VIEW, "--overwrite"),
    "render frames to a pipe": ("render", "scene.zarr", "pipe", *VIEW, "--overwrite"),
    "render frames to a device": ("render", "scene.zarr", "/dev/null", *VIEW, "--overwrite"),
    "stats to a device": ("render", "scene.zarr", "a.png", "--stats", "/dev/full", "--overwrite",
                          *VIEW),
    "stats to a folder": ("render", "scene.zarr", "a.png", "--stats", "work", "--overwrite", *VIEW),
    "stats to what would be a folder": ("render", "scene.zarr", "a.png", "--stats", "s/", *VIEW),
    "stats in a missing folder": ("render", "scene.zarr", "a.png", "--stats", "no/s.json", *VIEW),
    "points to a folder": ("points", "scene.zarr", "out.ply/"),
    "points in a missing folder": ("points", "scene.zarr", "no/out.ply"),
    "render to a link to itself": ("render", "scene.zarr", "loop.png", *VIEW, "--overwrite"),
    "render into the scene": ("render", "scene.zarr", "scene.zarr/x.png", *VIEW),
    "render deep into the scene": ("render", "scene.zarr", "scene.zarr/rows/new/x.png", *VIEW),
    "render frames over the scene": ("render", "scene.zarr", "scene.zarr", *VIEW),
    "render frames into the scene": ("render", "scene.zarr", "link.zarr/frames", *VIEW),
    "render a film into the scene": ("render", "scene.zarr", "rows/a.mp4", *VIEW),
    "render through a link into the scene": ("render", "scene.zarr", "into.png", *VIEW),
    "stats into the scene": ("render", "scene.zarr", "a.png", "--stats", "rows/s.json", *VIEW),
    "points into the scene": ("points", "scene.zarr", "link.zarr/x.ply"),
    "convert into the scene": ("convert", "x.npz", "scene.zarr/inner.zarr"),
    "convert into the scene by a link": ("convert", "x.npz", "rows/inner.zarr"),
    "convert over the checkpoint": ("convert", "x.npz", "x.npz", "--overwrite"),
    "convert over work of others": ("convert", "x.npz", "work", "--overwrite"),
    "convert over the current folder": ("convert", "x.npz", ".", "--overwrite"),
    "convert over the folder above": ("convert", "x.npz", "..", "--overwrite"),
    "convert over everything": ("convert", "x.npz", "/", "--overwrite"),
    "convert over a pipe": ("convert", "x.npz", "pipe", "--overwrite"),
    "stats over the picture": ("render", "scene.zarr", "a.png", "--stats", "a.png", *VIEW),
    "stats over the depth": ("render", "scene.zarr", "a.png", "--stats", "./a_depth.npy",
                             "--outputs", "rgb,depth", *VIEW),
    "a name that is too long": ("render", "scene.zarr", "x" * 300 + ".png", *VIEW),
    "a checkpoint whose name is too long": ("convert", "x" * 300, "out.zarr"),
    "a scene whose name is too long": ("info", "x" * 300),
    "a target whose name is too long": ("convert", "x.npz", "x" * 300),
    "a name with control characters": ("info", "no\x1b[31m\nsuch"),
    "a name that is no text": ("convert", "no\udcffsuch.npz", "out.zarr"),
}  # fmt: skip


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused_in_one_line_before_drawing_and_changes_nothing(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    drawn = []
    monkeypatch.setattr("plenostream.renderer.Renderer.render", lambda *_: drawn.append(1))
    before = everything(place)
    assert run(*arguments) in (1, 2)
    told = capsys.readouterr()
    assert told.err.startswith("plenostream: error: ")
    assert told.err.count("\n") == 1
    assert told.err[:-1].isprintable()
    assert told.out == ""
    assert drawn == []
    assert everything(place) == before


def test_a_scene_around_the_current_folder_is_left_alone(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place / "scene.zarr")
    before = everything(place)
    for target in ("", ".", "../scene.zarr", "inner.zarr", "rows/../inner.zarr"):
        assert run("convert", "../x.npz", target, "--overwrite") in (1, 2)
    assert everything(place) == before


def test_a_scene_that_holds_the_checkpoint_is_not_replaced(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "x.npz").rename(place / "scene.zarr" / "x.npz")
    before = everything(place)
    assert run("convert", "scene.zarr/x.npz", "scene.zarr", "--overwrite") == 1
    assert "x.npz would go with it and is no part of a scene" in capsys.readouterr().err
    assert everything(place) == before


def test_a_link_to_a_scene_stays_a_link_when_the_scene_is_replaced(place: Path) -> None:
    assert run("convert", "x.npz", "link.zarr", "--overwrite", "-q") == 0
    assert (place / "link.zarr").is_symlink()
    open_store(place / "scene.zarr").close()


def test_a_link_to_nothing_becomes_a_link_to_the_picture(place: Path) -> None:
    (place / "a.png").symlink_to("work/b.png")
    assert run("render", "scene.zarr", "a.png", *VIEW, "-q") == 0
    assert (place / "a.png").is_symlink()
    assert (place / "work" / "b.png").read_bytes().startswith(b"\x89PNG")


def test_stats_may_lie_in_the_folder_that_the_pictures_make(place: Path) -> None:
    assert run("render", "scene.zarr", "new/", "--stats", "new/s.json", *VIEW, "-q") == 0
    assert sorted(os.listdir("new")) == ["frame_0000.png", "s.json"]


def test_the_longest_name_that_a_folder_can_have_can_be_written(place: Path) -> None:
    name = "x" * (os.pathconf(place, "PC_NAME_MAX") - 4) + ".png"
    assert run("render", "scene.zarr", name, *VIEW, "-q") == 0
    assert (place / name).is_file()


def test_an_odd_name_is_written_and_printed_escaped(place: Path) -> None:
    done = subprocess.run(
        [*PLENOSTREAM, "render", "scene.zarr", os.fsencode("a\n\x1b[31m") + b"\xff.png", *VIEW],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(r"a\n\x1b[31m\udcff.png: 1 frame")
    assert os.fsencode("a\n\x1b[31m") + b"\xff.png" in os.listdir(b".")


PLAN = pytest.param("plan scene.zarr --orbit 1", marks=pytest.mark.slow)
SLOW = [pytest.param("verify -q --json scene.zarr", marks=pytest.mark.slow)]

STREAMS = {
    "full": (">/dev/full", 1, "standard output cannot be written: No space left on device"),
    "closed": (">&-", 1, ""),
    "both closed": (">&- 2>&-", 1, ""),
    "both full": (">/dev/full 2>/dev/full", 1, ""),
    "errors closed": (">/dev/null 2>&-", 0, ""),
    "errors full": (">/dev/null 2>/dev/full", 0, ""),
}


@pytest.mark.parametrize(("how", "code", "message"), STREAMS.values(), ids=STREAMS.keys())
@pytest.mark.parametrize("command", ["info scene.zarr", *SLOW, "--help", "--version"])
def test_what_cannot_be_printed_ends_in_1_and_says_why(
    place: Path, command: str, how: str, code: int, message: str
) -> None:
    line = f"{sys.executable} -m plenostream {command} {how}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr == (f"plenostream: error: {message}\n" if message else "")


@pytest.mark.parametrize("command", ["info scene.zarr", "verify -q --json scene.zarr", "--help",
                                     "--version", PLAN])  # fmt: skip
def test_a_reader_that_has_gone_ends_a_command_quietly(place: Path, command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*PLENOSTREAM, *command.split()], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int, str], Path]]:
    """`small_disk(kilobytes, options)`: a disk of its own; skips where that is not allowed."""
    mounted = []

    def mount(kilobytes: int, options: str = "rw") -> Path:
        folder = tmp_path / "disk"
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,{options}", "tmpfs"]
        try:
            subprocess.run([*command, folder], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"a small disk cannot be mounted here: {error}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


WRITERS = {
    "png": ("render", "scene.zarr", "{}/a.png", "--look-from", "2,1,1", "--size", "400x400"),
    "npy": ("render", "scene.zarr", "{}/a.npy", "--look-from", "2,1,1", "--size", "400x400"),
    "exr": ("render", "scene.zarr", "{}/a.exr", "--look-from", "2,1,1", "--size", "400x400"),
    "mp4": ("render", "scene.zarr", "{}/a.mp4", "--orbit", "3", "--size", "400x400"),
    "stats": ("render", "scene.zarr", "frames", "--stats", "{}/s.json", "--orbit", "20",
              "--size", "4x4"),
    "points": ("points", "scene.zarr", "{}/a.ply"),
    "svox2": ("export", "scene.zarr", "{}/a.npz"),
    "mesh": ("export", "scene.zarr", "{}/a.ply", "--format", "mesh"),
    "volume": ("export", "scene.zarr", "{}/a.zarr"),
    "scene": ("convert", "x.npz", "{}/s.zarr"),
}  # fmt: skip


@pytest.mark.parametrize("arguments", WRITERS.values(), ids=WRITERS.keys())
def test_a_disk_that_fills_up_leaves_nothing_and_is_named(
    place: Path,
    small_disk: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:
    disk = small_disk(8)
    assert run(*(argument.format(disk) for argument in arguments), "-q") == 1
    told = capsys.readouterr().err
    assert "No space left on device" in told or "are free" in told
    assert str(disk) in told or "are free" in told
    assert told.count("\n") == 1
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize("arguments", WRITERS.values(), ids=WRITERS.keys())
@pytest.mark.parametrize("state", ["read only", "full"])
def test_a_disk_that_takes_nothing_is_found_out_before_drawing(
    place: Path,
    small_disk: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    state: str,
) -> None:
    disk = small_disk(8, "ro" if state == "read only" else "rw")
    if state == "full":
        (disk / "filler").write_bytes(bytes(8192))
    opened: list[object] = []
    for reader in ("plenostream.scene.open_store", "plenostream.export.scene.open_store"):
        monkeypatch.setattr(reader, lambda *_: opened.append(1))
    monkeypatch.setattr("plenostream.importers.svox2.convert._digest", lambda *_: opened.append(1))
    assert run(*(argument.format(disk) for argument in arguments), "-q") == 1
    assert str(disk) in capsys.readouterr().err
    assert opened == []
