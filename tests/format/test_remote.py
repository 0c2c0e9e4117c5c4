"""Scenes on web servers and object stores: the picture of a local one, or an error that names what is
wrong, and no secret."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

import plenostream as ps
from plenostream.cli import main as cli
from plenostream.edits import crop
from plenostream.errors import BrickCorrupt, InvalidInput, StoreFormat, StoreNotFound
from plenostream.export.scene import export_scene
from plenostream.files.paths import without_secrets
from plenostream.format import remote
from plenostream.format.kept import KeptSource
from plenostream.format.opening import open_store
from plenostream.format.remote import open_source
from plenostream.format.source import FolderSource
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.scenes import zip_scene
from plenostream.testing.web import Fault, WebFolder, serving

if TYPE_CHECKING:
    from .conftest import ObjectStore

pytest.importorskip("obstore")

CAMERA = ps.look_at_camera((2.2, -1.4, 1.2), (0, 0, 0), size=(48, 40))
ROWS = "scene/rows/sh/c/0/0"


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory,
    gyroid: CheckpointArrays,
    make_scene: Callable[..., Path],
) -> Path:
    folder = tmp_path_factory.mktemp("web")
    shutil.copytree(make_scene(gyroid), folder / "scene")
    zip_scene(folder / "scene", folder / "scene.zip")
    return folder


@pytest.fixture
def web(place: Path) -> Iterator[WebFolder]:
    with serving(place) as server:
        yield server


def picture(path: str | Path, **kept: Any) -> np.ndarray:
    with ps.open_scene(path, **kept) as scene, ps.Renderer(scene) as renderer:
        return renderer.render(CAMERA).rgb


@pytest.fixture(scope="module")
def expected(place: Path) -> np.ndarray:
    return picture(place / "scene")


def test_a_web_server_gives_the_picture_of_the_folder(web: WebFolder, expected: np.ndarray) -> None:
    assert np.array_equal(picture(f"{web.url}/scene/"), expected)


@pytest.mark.parametrize(
    "what", ["zip::{}/scene.zip", "zip://::{}/scene.zip"], ids=["ours", "fsspec"]
)
def test_a_chained_url_reads_inside_a_zip_file(
    web: WebFolder, place: Path, expected: np.ndarray, what: str
) -> None:
    """And hardly more of it than is needed."""
    sent: list[int] = []

    def counted(request: SimpleHTTPRequestHandler, blob: bytes) -> bytes:
        sent.append(len(blob))
        return blob

    web.faults["scene.zip"] = [*[counted] * 8, status(500), *[counted] * 1000]
    assert np.array_equal(picture(what.format(web.url)), expected)
    size = (place / "scene.zip").stat().st_size
    assert sum(sent) < 2.5 * size + 128_000
    if "zip::" in what:  # length, directory, what was refused, and one for each file
        assert web.requests["scene.zip"] <= 3 + len(zipfile.ZipFile(place / "scene.zip").namelist())


def test_an_object_store_gives_the_picture_of_the_folder(
    place: Path, expected: np.ndarray, s3: ObjectStore
) -> None:
    s3.put_folder(place / "scene", "a/scene")
    assert np.array_equal(picture("s3://scenes/a/scene"), expected)
    with open_store("s3://scenes/a/scene") as store, open_store(place / "scene") as local:
        assert store.stored_bytes("rows/sh") == local.stored_bytes("rows/sh")
    with pytest.raises(StoreNotFound, match="s3://scenes/a/nothing"):
        open_store("s3://scenes/a/nothing")


def test_opening_asks_once_for_the_root_and_for_each_chunk_of_the_tables(web: WebFolder) -> None:
    with open_store(f"{web.url}/scene") as store:
        tables = {spec.chunk_key(0) for name, spec in store.specs.items() if "bricks/" in name}
    assert web.requests == Counter({f"scene/{key}": 1 for key in {"zarr.json", *tables}})


def test_a_scene_without_consolidated_metadata_opens(
    web: WebFolder, place: Path, expected: np.ndarray
) -> None:
    root = json.loads((place / "scene/zarr.json").read_bytes())
    del root["consolidated_metadata"]
    web.faults["scene/zarr.json"] = [lambda request, blob: json.dumps(root).encode()]
    assert np.array_equal(picture(f"{web.url}/scene"), expected)
    assert web.requests["scene/rows/sh/zarr.json"] == 1


def test_what_is_asked_for_comes_side_by_side(web: WebFolder) -> None:
    """Four answers wait for each other: asked for one after another, none of them would come."""
    with open_store(f"{web.url}/scene"):
        tables = [key for key in web.requests if "/bricks/" in key and "/c/" in key][:4]
    together = threading.Barrier(len(tables), timeout=60)

    def wait(_: SimpleHTTPRequestHandler, blob: bytes) -> bytes:
        together.wait()
        return blob

    web.faults = {key: [wait] for key in tables}
    with open_store(f"{web.url}/scene"):
        pass
    assert [len(web.faults[key]) for key in tables] == [0] * 4


def cut(request: SimpleHTTPRequestHandler, blob: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(blob)))
    request.end_headers()
    request.wfile.write(blob[: len(blob) // 2])
    request.close_connection = True


def status(code: int) -> Fault:
    return lambda request, blob: request.send_error(code)


FAULTS: dict[str, Fault] = {
    "cut off": cut,
    "500": status(500),
    "429": status(429),
    "shortened": lambda request, blob: blob[:-100],
    "longer": lambda request, blob: blob + bytes(100),
    "far too long": lambda request, blob: blob + bytes(20_000_000),
    "other bytes": lambda request, blob: bytes(255 - b for b in blob),
    "nothing": lambda request, blob: b"",
}


@pytest.fixture(scope="module")
def stale(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Fault]:
    """Answers with what a file was before: whole, with the right checksum, and of another scene."""
    before = tmp_path_factory.mktemp("stale") / "scene"
    shutil.copytree(place / "scene", before)
    for name in ("rows/sh", "bricks/boxes"):
        array = zarr.open_array(before / name, mode="r+")
        array[0] = array[0] // 2
    return lambda key: lambda request, blob: (before.parent / key).read_bytes()


@pytest.fixture
def stalling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fault]:
    """Sends a half, and then nothing, until the test is over."""
    monkeypatch.setattr(remote, "_READ_S", 0.2)
    over = threading.Event()

    def stall(request: SimpleHTTPRequestHandler, blob: bytes) -> None:
        cut(request, blob)
        over.wait(60)

    yield stall
    over.set()


@pytest.mark.parametrize("kind", [*FAULTS, "stale"])
def test_a_fault_that_passes_leaves_no_trace(
    web: WebFolder, expected: np.ndarray, stale: Callable[[str], Fault], kind: str
) -> None:
    web.faults[ROWS] = [FAULTS[kind] if kind in FAULTS else stale(ROWS)]
    assert np.array_equal(picture(f"{web.url}/scene"), expected)
    assert web.requests[ROWS] == 2


def test_a_server_that_stalls_is_asked_again(
    web: WebFolder, expected: np.ndarray, stalling: Fault
) -> None:
    web.faults[ROWS] = [stalling]
    assert np.array_equal(picture(f"{web.url}/scene"), expected)
    assert web.requests[ROWS] == 2


def test_faults_of_an_object_store_leave_no_trace(
    place: Path,
    expected: np.ndarray,
    s3: ObjectStore,
    stale: Callable[[str], Fault],
    stalling: Fault,
) -> None:
    s3.put_folder(place / "scene", "a/scene")
    key = f"scenes/a/{ROWS}"
    few = {name: FAULTS[name] for name in ("cut off", "500", "429", "other bytes")}
    for name, fault in {**few, "stale": stale(ROWS), "stalling": stalling}.items():
        s3.web.requests.clear()
        s3.web.faults[key] = [fault]
        assert np.array_equal(picture("s3://scenes/a/scene"), expected), name
        assert s3.web.requests[key] == 2, name
    s3.web.faults[key] = [FAULTS["other bytes"]] * 100
    with pytest.raises(BrickCorrupt, match=r"s3://scenes/a/scene.*brick \d+ at"):
        picture("s3://scenes/a/scene")
    assert s3.web.requests[key] < 20


@pytest.mark.parametrize("kind", ["500", "other bytes", "stale"])
def test_a_fault_that_stays_names_the_brick_and_the_place(
    web: WebFolder, stale: Callable[[str], Fault], kind: str
) -> None:
    web.faults[ROWS] = [FAULTS[kind] if kind in FAULTS else stale(ROWS)] * 100
    with pytest.raises(BrickCorrupt, match=r"brick \d+ at") as raised:
        picture(f"{web.url}/scene")
    assert f"{web.url}/scene" in str(raised.value)
    assert web.requests[ROWS] < 20


@pytest.mark.parametrize("key", [ROWS, "scene/bricks/boxes/c/0/0/0"])
def test_what_was_stale_is_not_kept(
    web: WebFolder,
    expected: np.ndarray,
    stale: Callable[[str], Fault],
    tmp_path: Path,
    key: str,
) -> None:
    web.faults[key] = [stale(key)] * 3
    with pytest.raises(BrickCorrupt, match=web.url):
        picture(f"{web.url}/scene", cache=tmp_path)
    web.faults.clear()
    assert np.array_equal(picture(f"{web.url}/scene", cache=tmp_path), expected)


def test_a_server_that_ignores_ranges_is_refused(web: WebFolder) -> None:
    web.ignores_ranges = True
    for url in (f"zip::{web.url}/scene.zip", f"zip://::{web.url}/scene.zip"):
        with pytest.raises((StoreFormat, InvalidInput), match="range|parts"):
            open_store(url)


def test_a_cache_spares_the_requests_and_forgets_what_is_damaged(
    web: WebFolder, expected: np.ndarray, tmp_path: Path
) -> None:
    kept = {"cache": tmp_path / "kept"}
    web.faults[ROWS] = [FAULTS["other bytes"]]
    assert np.array_equal(picture(f"{web.url}/scene", **kept), expected)
    web.requests.clear()
    assert np.array_equal(picture(f"{web.url}/scene", **kept), expected)
    assert set(web.requests) == {"scene/zarr.json"}
    for file in (tmp_path / "kept").rglob("*.kept"):
        file.write_bytes(file.read_bytes()[:-9] + b"x")
    assert np.array_equal(picture(f"{web.url}/scene", **kept), expected)
    assert web.requests[ROWS] == 1


def test_a_cache_that_can_only_be_read_is_used(
    web: WebFolder, expected: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    picture(f"{web.url}/scene", cache=tmp_path)
    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    web.requests.clear()
    assert np.array_equal(picture(f"{web.url}/scene", cache=tmp_path), expected)
    assert set(web.requests) == {"scene/zarr.json"}


def test_scenes_at_urls_are_edited_and_exported(
    web: WebFolder, place: Path, tmp_path: Path
) -> None:
    url = f"{web.url.replace('://', '://me:secret@')}/scene?sig=secret"
    for name, scene in (("local", place / "scene"), ("remote", url)):
        crop(scene, tmp_path / name, (0, 0, 0, 9, 9, 9), units="voxels")
        export_scene(scene, tmp_path / f"{name}.npz")
    with open_store(tmp_path / "local") as local, open_store(tmp_path / "remote") as remote:
        assert local.meta == remote.meta  # digests of all rows, and the history without secrets
    assert (tmp_path / "remote.npz").read_bytes() == (tmp_path / "local.npz").read_bytes()


def test_what_edits_and_exports_read_is_kept(web: WebFolder, tmp_path: Path) -> None:
    url, cache = f"{web.url}/scene", str(tmp_path / "kept")
    exported = ["export", url, str(tmp_path / "a.npz"), "--cache", cache]
    assert cli.main(exported) == 0
    web.requests.clear()
    assert (
        cli.main(["crop", url, str(tmp_path / "b"), "--box", "-1,-1,-1,1,1,1", "--cache", cache])
        == 0
    )
    assert cli.main(["info", url, "--histogram", "--cache", cache]) == 0
    assert set(web.requests) == {"scene/zarr.json"}
    assert (
        cli.main(["export", url, str(tmp_path / "c.npz")]) == 0
    )  # what was kept is kept no longer
    assert web.requests[ROWS] == 1


def test_a_cache_keeps_to_its_size(web: WebFolder, expected: np.ndarray, tmp_path: Path) -> None:
    allowed = 100_000
    kept = {"cache": tmp_path, "cache_size": allowed}
    for name, age in ((".old.part", 4000), (".new.part", 0)):
        (tmp_path / "ab").mkdir(exist_ok=True)
        (tmp_path / "ab" / name).touch()
        os.utime(tmp_path / "ab" / name, (time.time() - age,) * 2)
    for _ in range(2):
        assert np.array_equal(picture(f"{web.url}/scene", **kept), expected)
        assert sum(file.stat().st_size for file in tmp_path.rglob("*.kept")) <= allowed
    assert [file.name for file in tmp_path.rglob("*.part")] == [".new.part"]


def test_programs_that_share_a_cache_keep_to_its_size_together(tmp_path: Path) -> None:
    for n in range(8):
        (tmp_path / str(n)).write_bytes(bytes(1000))
    allowed, n_programs = 20_000, 4
    programs = [
        KeptSource(
            FolderSource(tmp_path), tmp_path / "kept", allowed_bytes=allowed, scene=f"{number}"
        )
        for number in range(n_programs)
    ]
    for n in range(8):
        for program in programs:
            program.read(f"{n}", at_most=1000)
    total = sum(file.stat().st_size for file in tmp_path.rglob("*.kept"))
    assert allowed / 2 < total <= allowed * (1 + 0.05 * n_programs)


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("{web}/nothing", StoreNotFound, "no zarr.json"),
        ("http://me:secret@127.0.0.1:1/s?sig=secret", StoreFormat, r"127\.0\.0\.1:1/s"),
        (Path("http://me:secret@127.0.0.1:1/s"), StoreFormat, r"http://127\.0\.0\.1:1/s"),
        ("zip::{web}/scene/zarr.json", StoreFormat, "not a zip file"),
        (
            "zip::http://me:secret@127.0.0.1:1/s.zip?sig=secret",
            StoreFormat,
            r"127\.0\.0\.1:1/s.zip",
        ),
        ("zip::{web}/nothing.zip", StoreNotFound, "no scene"),
        ("zip://::{web}/scene/zarr.json", InvalidInput, "not a zip file"),
        ("nonsense://bucket/s", InvalidInput, "nonsense://bucket/s cannot be opened"),
        ("s3://", InvalidInput, "s3:// cannot be opened"),
    ],
)
def test_a_url_that_leads_nowhere_is_one_error_without_secrets(
    web: WebFolder, url: str | Path, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as raised:
        open_store(url.format(web=web.url) if isinstance(url, str) else url)
    assert "secret" not in str(raised.value)


def test_no_secret_is_shown() -> None:
    told = without_secrets("GET https://me:p@w@h/a/b?sig=x&t=1 failed (see http://k@h/c#frag)")
    assert told == "GET https://h/a/b failed (see http://h/c)"


def test_a_source_says_how_much_there_is(web: WebFolder, place: Path) -> None:
    source = open_source(f"{web.url}/scene")
    assert source.size("rows/sh/c/0/0") == (place / ROWS).stat().st_size
    with pytest.raises(KeyError):
        source.read("rows/nothing", at_most=10)
    with pytest.raises(BrickCorrupt, match="at most"):
        source.read("rows/sh/c/0/0", at_most=10)
