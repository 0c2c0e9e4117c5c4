"""A scene is made beside its target, locked, and moved there whole; the target is never half."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from plenostream.errors import InvalidInput, StoreError, StoreExists
from plenostream.files.durable import write_atomically
from plenostream.format.attributes import ATTRIBUTES_KEY
from plenostream.format.folder_staging import FolderStaging
from plenostream.format.opening import open_store

JOURNAL = {"of": "this"}
with open_store(Path(__file__).parent / "version_1" / "tiny.zip") as kept:
    META = kept.meta
OLD = "rows/sh/c/0/0"


def begin(target: Path, *, overwrite: bool = False, resume: bool = False) -> FolderStaging:
    return FolderStaging(target, overwrite=overwrite).begin(JOURNAL, resume=resume)


def cut_off(*_: object) -> None:
    raise KeyboardInterrupt


def interrupted(target: Path) -> None:
    staging = begin(target)
    (staging.folder / "mark").write_text("done")
    with pytest.raises(KeyboardInterrupt), staging:
        cut_off()


def old_scene(target: Path) -> Path:
    target.mkdir()
    (target / "zarr.json").write_text(json.dumps({"attributes": {ATTRIBUTES_KEY: {}}}))
    (target / OLD).parent.mkdir(parents=True)
    (target / OLD).touch()
    return target


def test_published_scene_is_at_the_target_and_nothing_else_is_left(tmp_path: Path) -> None:
    with begin(tmp_path / "s") as staging:
        staging.scene.put("rows/a", b"1")
        staging.publish(META, codec="zstd")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert (tmp_path / "s" / "rows" / "a").read_text() == "1"
    files = [path for path in (tmp_path / "s").rglob("*") if path.is_file()]
    assert staging.n_bytes == sum(path.stat().st_size for path in files)


def test_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), begin(tmp_path / "s"):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_interruption_leaves_the_work_for_resuming(tmp_path: Path) -> None:
    interrupted(tmp_path / "s")
    with begin(tmp_path / "s", resume=True) as staging:
        assert (staging.folder / "mark").exists()


def test_work_is_dropped_without_resume(tmp_path: Path) -> None:
    interrupted(tmp_path / "s")
    with begin(tmp_path / "s") as staging:
        assert not (staging.folder / "mark").exists()


def test_resuming_where_nothing_was_begun_starts_anew(tmp_path: Path) -> None:
    with begin(tmp_path / "s", resume=True) as staging:
        assert sorted(path.name for path in staging.folder.iterdir()) == [
            "journal.json", "lock", "scene",
        ]  # fmt: skip
        assert list(staging.scene.entries()) == []


def test_work_of_another_conversion_is_not_resumed(tmp_path: Path) -> None:
    interrupted(tmp_path / "s")
    with pytest.raises(StoreError, match="without --resume"):
        FolderStaging(tmp_path / "s", overwrite=False).begin({"of": "that"}, resume=True)
    assert (tmp_path / ".s.partial" / "mark").exists()


def test_two_conversions_to_one_target_do_not_meet(tmp_path: Path) -> None:
    with begin(tmp_path / "s") as staging:
        for _ in range(2):
            with pytest.raises(StoreError, match="another conversion"):
                begin(tmp_path / "s")
            # As if the other had not come further yet than to its lock.
            shutil.rmtree(staging.folder / "scene", ignore_errors=True)
            (staging.folder / "journal.json").unlink(missing_ok=True)
        assert staging.folder.exists()


def test_lock_is_given_back(tmp_path: Path) -> None:
    interrupted(tmp_path / "s")
    with begin(tmp_path / "s") as staging:
        staging.publish(META, codec="zstd")
    assert (tmp_path / "s").is_dir()


def test_folder_that_is_not_ours_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / ".s.partial").mkdir()
    (tmp_path / ".s.partial" / "precious").touch()
    with pytest.raises(StoreError, match="in the way"):
        begin(tmp_path / "s")
    assert (tmp_path / ".s.partial" / "precious").exists()


@pytest.mark.parametrize("kind", ["file", "folder", "scene", "empty"])
def test_existing_target_is_not_touched_without_overwrite(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "s"
    if kind == "file":
        target.write_text("x")
    elif kind == "scene":
        old_scene(target)
    else:
        target.mkdir()
        if kind == "folder":
            (target / "x").touch()
    with pytest.raises(StoreExists, match="--overwrite"):
        FolderStaging(target, overwrite=False)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_overwrite_replaces_scenes_only(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "s"
    if kind == "file":
        target.write_text("x")
    else:
        target.mkdir()
        (target / "thesis.tex").touch()
    with pytest.raises(StoreExists, match="not a scene"):
        FolderStaging(target, overwrite=True)


def test_overwrite_replaces_a_scene_at_the_very_end(tmp_path: Path) -> None:
    target = old_scene(tmp_path / "s")
    with begin(target, overwrite=True) as staging:
        staging.scene.put("rows/new", b"")
        assert (target / OLD).exists()
        staging.publish(META, codec="zstd")
    assert (target / "rows" / "new").exists()
    assert not (target / OLD).exists()
    assert list(tmp_path.iterdir()) == [target]


def test_replaced_scene_comes_back_when_the_replacing_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = old_scene(tmp_path / "s")
    rename = os.rename

    def once(source: Path, to: Path) -> None:
        rename(source, to)
        monkeypatch.setattr(os, "rename", cut_off)

    staging = begin(target, overwrite=True)
    monkeypatch.setattr(os, "rename", once)
    with pytest.raises(KeyboardInterrupt), staging:
        staging.publish(META, codec="zstd")
    monkeypatch.setattr(os, "rename", rename)
    assert not target.exists()
    with pytest.raises(ValueError, match="later"), begin(target, overwrite=True):
        raise ValueError("later")
    assert (target / OLD).exists()


def test_target_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    staging = begin(tmp_path / "s")
    (tmp_path / "s").mkdir()
    with pytest.raises(StoreExists), staging:
        staging.publish(META, codec="zstd")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_target_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        FolderStaging(tmp_path / "missing" / "s", overwrite=False)


def test_zip_file_as_a_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="zip"):
        FolderStaging(tmp_path / "s.zip", overwrite=False)


def test_atomic_writing_leaves_the_old_content_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="full"):
        write_atomically(path, b"new")
    assert path.read_text() == "old"


def test_everything_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def flushed(descriptor: int) -> None:
        calls.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def renamed(source: Path, to: Path) -> None:
        calls.append(f"-> {Path(to).name}")
        rename(source, to)

    with begin(tmp_path / "s") as staging:
        staging.scene.put("c/0", b"1")
        monkeypatch.setattr(os, "fsync", flushed)
        monkeypatch.setattr(os, "rename", renamed)
        staging.publish(META, codec="zstd")
    at = calls.index("-> s")
    assert {"0", "c", "scene", "zarr.json"} <= set(calls[:at])
    assert calls.index("0") < calls.index("c") < calls.index("scene")
    assert calls[at + 1] == tmp_path.name


def test_full_disk_is_said_with_the_path_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"s cannot be written: No space left.*another disk"):
        with begin(tmp_path / "s"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []
