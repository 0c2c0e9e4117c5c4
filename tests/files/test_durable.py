"""Bytes reach the disk before their name does, and the name before we go on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from plenostream.files import durable


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Flushes and renamings as they happen, each with the name it concerns."""
    seen: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.replace

    def flush(descriptor: int) -> None:
        seen.append(("flush", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
        fsync(descriptor)

    def move(source: Path, target: Path) -> None:
        seen.append(("rename", Path(target).name))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", move)
    return seen


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_bytes_are_flushed_then_renamed_then_the_name_is_flushed(
    tmp_path: Path, calls: list[tuple[str, str]], kind: str
) -> None:
    source = tmp_path / "aside"
    if kind == "file":
        source.write_bytes(b"new")
    else:
        source.mkdir()
    durable.replace(source, tmp_path / "target")
    assert calls == [("flush", "aside"), ("rename", "target"), ("flush", tmp_path.name)]


def test_a_file_that_cannot_be_flushed_does_not_get_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "aside", tmp_path / "target"
    source.write_bytes(b"new")
    target.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        durable.replace(source, target)
    assert target.read_bytes() == b"old"


def test_a_file_system_that_cannot_flush_folders_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = []

    def refused(descriptor: int) -> None:
        refusals.append(descriptor)
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refused)
    durable.flush_folder(tmp_path)
    assert len(refusals) == 1


def test_a_name_in_the_current_folder_is_replaced_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("aside").write_bytes(b"new")
    durable.replace("aside", "target")
    assert Path("target").read_bytes() == b"new"


def test_flushing_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        durable.flush_file(tmp_path / "absent")
    with pytest.raises(NotADirectoryError):
        durable.flush_folder(Path(__file__))
