"""Scenes that are written to object stores: those of a folder, whole or said to be unfinished."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plenostream.edits import add_levels
from plenostream.errors import StoreError, StoreExists, StoreFormat
from plenostream.format.opening import open_store
from plenostream.format.remote_staging import open_staging
from plenostream.format.remote_target import remote_target
from plenostream.format.staging import Staging
from plenostream.importers.svox2.convert import convert
from plenostream.options import ConvertOptions
from plenostream.testing.checkpoints import random_checkpoint

if TYPE_CHECKING:
    from .conftest import ObjectStore

pytest.importorskip("obstore")

URL = "s3://scenes/a/s"
OPTIONS = ConvertOptions(brick_size=8, levels=0)
ROWS = "scenes/a/s/rows/sh/c/0/0"
with open_store(Path(__file__).parent / "version_1" / "tiny.zip") as kept:
    META = kept.meta


KILLED = """
import os, signal, sys
from plenostream.importers.svox2.convert import convert
from plenostream.options import ConvertOptions

def progress(step, done, total):
    if step == "pack" and done == total - 1:
        os.kill(os.getpid(), signal.SIGKILL)

convert(*sys.argv[1:], ConvertOptions(brick_size=8, levels=0, workers=1), progress=progress)
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The work of a writing to a URL is in the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of four slabs of bricks of 8, which share chunks."""
    arrays = random_checkpoint(4, size=(100, 30, 28), basis_dim=1)
    return arrays.save(tmp_path_factory.mktemp("source") / "a.npz")


@pytest.fixture(scope="module")
def whole(source: Path) -> Path:
    """The scene of it in a folder."""
    target = source.parent / "whole"
    convert(source, target, OPTIONS)
    return target


def files(scene: Path) -> dict[str, bytes]:
    return {
        path.relative_to(scene).as_posix(): path.read_bytes()
        for path in scene.rglob("*")
        if path.is_file()
    }


def begin(url: str, *, overwrite: bool = False, resume: bool = False, of: str = "this") -> Staging:
    return open_staging(url, overwrite=overwrite).begin({"of": of}, resume=resume)


def test_a_scene_is_put_as_it_lies_in_a_folder_each_chunk_once(
    s3: ObjectStore, source: Path, whole: Path, elsewhere: Path
) -> None:
    report = convert(source, URL, OPTIONS)
    expected = files(whole)
    assert s3.objects("a/s") == expected
    assert report.scene_bytes == sum(map(len, expected.values()))
    chunks = {key: n for key, n in s3.web.requests.items() if "/c/" in key}
    assert chunks == {f"scenes/a/s/{key}": 1 for key in expected if "/c/" in key}
    assert list(elsewhere.iterdir()) == []
    add_levels(URL, "s3://scenes/a/levels", levels=1)
    add_levels(whole, elsewhere / "levels", levels=1)
    assert s3.objects("a/levels") == files(elsewhere / "levels")


def test_a_killed_writing_says_so_and_goes_on_with_what_is_there(
    s3: ObjectStore, source: Path, whole: Path, elsewhere: Path
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, source, URL])
    assert killed.returncode == -signal.SIGKILL
    there = [key for key in s3.objects("a/s") if "/c/" in key]
    with pytest.raises(StoreFormat, match="not complete"):
        open_store(URL)
    with pytest.raises(StoreExists, match=r"unfinished.*--resume"):
        convert(source, URL, OPTIONS)
    s3.web.requests.clear()
    convert(source, URL, ConvertOptions(brick_size=8, levels=0, resume=True))
    assert s3.objects("a/s") == files(whole)
    assert there
    assert not {f"scenes/a/s/{key}" for key in there} & set(s3.web.requests)
    assert list(elsewhere.iterdir()) == []


def cut(request: SimpleHTTPRequestHandler, blob: bytes) -> None:
    request.close_connection = True


def failed(request: SimpleHTTPRequestHandler, blob: bytes) -> None:
    request.send_error(500)


def test_puts_that_fail_are_tried_again_and_then_named_and_gone_on_with(
    s3: ObjectStore, source: Path, whole: Path
) -> None:
    s3.web.faults = {ROWS: [failed, cut], "scenes/a/s/rows/density/c/0": [failed] * 100}
    with pytest.raises(StoreError, match=r"a/s/rows/density/c/0: .*500.*--resume") as raised:
        convert(source, URL, OPTIONS)
    assert "secret" not in str(raised.value)
    assert 2 < s3.web.requests["scenes/a/s/rows/density/c/0"] < 20
    s3.web.faults = {}
    s3.web.requests.clear()
    convert(source, URL, ConvertOptions(brick_size=8, levels=0, resume=True))
    assert s3.objects("a/s") == files(whole)
    assert ROWS not in s3.web.requests  # it was put at the third try


@pytest.fixture(params=["s3", "memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder of an object store or of a file system that fsspec knows, and its neighbour."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        yield URL
        return
    fsspec = pytest.importorskip("fsspec")
    yield "memory://a/s" if request.param == "memory" else f"file://{tmp_path}/a/s"
    fsspec.filesystem("memory").store.clear()


def keys(url: str) -> set[str]:
    at_a_worker = pickle.loads(pickle.dumps(remote_target(url)))
    return {key for key, _ in at_a_worker.entries()}


def test_only_what_is_a_scene_is_replaced_and_nothing_beside_it(url: str) -> None:
    remote_target(f"{url}2").put("mine", b"1")
    with begin(url) as staging:
        staging.scene.put("rows/sh/c/7/0", b"old")
        staging.publish(META, codec="zstd")
        assert staging.scene.read("rows/sh/c/7/0", at_most=3) == b"old"
    with pytest.raises(StoreExists, match="--overwrite"):
        open_staging(url, overwrite=False)
    with begin(url, overwrite=True) as staging:
        with pytest.raises(StoreFormat, match="not complete"):
            open_store(url)
        staging.scene.put("rows/sh/c/8/0", b"new")
        staging.publish(META, codec="zstd")
    assert {key for key in keys(url) if "/c/" in key} == {"rows/sh/c/8/0"}
    remote_target(url).put("thesis.tex", b"1")
    with pytest.raises(StoreExists, match=r"thesis\.tex"):
        open_staging(url, overwrite=True)
    with pytest.raises(StoreExists, match="not a scene"):
        open_staging(f"{url}2", overwrite=True)
    assert keys(f"{url}2") == {"mine"}


def test_what_is_left_of_a_replaced_scene_is_not_gone_on_with(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begin(url) as staging:
        staging.scene.put("rows/sh/c/7/0", b"old")
        staging.publish(META, codec="zstd")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(staging.scene), "remove", interrupted)
        with pytest.raises(KeyboardInterrupt):
            begin(url, overwrite=True)
    with pytest.raises(StoreFormat, match="not complete"):
        open_store(url)
    with begin(url, overwrite=True, resume=True) as staging:
        assert not staging.scene.was_put("rows/sh/c/7/0")
        assert "rows/sh/c/7/0" not in keys(url)
        staging.publish(META, codec="zstd")


def test_an_error_removes_what_was_put_and_nothing_else(url: str, elsewhere: Path) -> None:
    remote_target(f"{url}2").put("mine", b"1")
    staging = begin(url)
    staging.scene.put("rows/sh/c/7/0", b"1")
    with pytest.raises(ValueError, match="no"), staging:
        raise ValueError("no")
    assert keys(url) == set()
    assert keys(f"{url}2") == {"mine"}
    assert not list(elsewhere.glob(".s-*"))


def test_two_conversions_to_one_place_do_not_mix(
    url: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As two machines would: each has a current folder of its own."""
    first = begin(url)
    (elsewhere / "other").mkdir()
    monkeypatch.chdir(elsewhere / "other")
    for resume in (False, True):
        with pytest.raises(StoreExists, match="unfinished"):
            begin(url, of="that", resume=resume)
    assert list((elsewhere / "other").iterdir()) == []
    with begin(url, of="that", overwrite=True) as second:
        second.scene.put("rows/sh/c/7/0", b"1")
        with pytest.raises(StoreExists, match="another conversion"), first:
            first.publish(META, codec="zstd")
        second.publish(META, codec="zstd")
    assert "rows/sh/c/7/0" in keys(url), "whoever comes too late removes nothing of the other's"


def test_work_whose_objects_are_gone_starts_anew(s3: ObjectStore, elsewhere: Path) -> None:
    staging = begin(URL)
    (staging.folder / "done").touch()
    with pytest.raises(KeyboardInterrupt), staging:
        raise KeyboardInterrupt
    remote_target(URL).remove(["zarr.json"])
    with begin(URL, resume=True) as staging:
        assert not (staging.folder / "done").exists()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("s3://nowhere/s", "s3://nowhere/s cannot be written"),
        ("http://me:secret@127.0.0.1:1/s?sig=secret", r"http://127\.0\.0\.1:1/s cannot be written"),
    ],
)
def test_a_place_that_cannot_be_written_is_said_before_the_work(
    s3: ObjectStore, target: str, words: str
) -> None:
    with pytest.raises(StoreError, match=words) as raised:
        open_staging(target, overwrite=False)
    assert "secret" not in str(raised.value)
