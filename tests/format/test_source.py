"""Bytes from folders and zip files; hostile zip files are refused before they cost anything."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plenostream.errors import BrickCorrupt, StoreError, StoreFormat, StoreNotFound
from plenostream.format.opening import open_store
from plenostream.format.remote import open_source
from plenostream.format.source import FolderSource, ZipSource, local_source
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.scenes import write_checkpoint_plain, zip_scene

CONTENT = {"zarr.json": b"{}", "rows/sh/c/0/0": bytes(range(256)) * 40, "rows/sh/c/1/0": b""}
LIMIT = 1 << 20
CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "folder"
    for key, value in CONTENT.items():
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(value)
    return root


def patch(path: Path, signature: bytes, offset: int, value: bytes, *, entry: int = 0) -> None:
    """Overwrite bytes of the header of an entry: what no tool writes, but anybody can make."""
    blob = bytearray(path.read_bytes())
    at = -1
    for _ in range(entry + 1):
        at = blob.index(signature, at + 1)
    blob[at + offset : at + offset + len(value)] = value
    path.write_bytes(blob)


@pytest.mark.parametrize(
    "pack",
    [
        lambda folder, target: folder,
        zip_scene,
        lambda folder, target: zip_scene(folder, target, compression=zipfile.ZIP_DEFLATED),
    ],
    ids=["folder", "stored", "deflated"],
)
class TestEverySource:
    @pytest.fixture
    def source(
        self, pack: Callable[[Path, Path], Path], folder: Path, tmp_path: Path
    ) -> FolderSource | ZipSource:
        return local_source(pack(folder, tmp_path / "packed.zip"))

    def test_bytes_are_those_that_were_written(self, source: FolderSource | ZipSource) -> None:
        assert {key: source.read(key, at_most=LIMIT) for key in CONTENT} == CONTENT
        source.close()

    def test_keys_and_sizes_are_those_of_the_content(
        self, source: FolderSource | ZipSource
    ) -> None:
        sizes = {key: len(value) for key, value in CONTENT.items()}
        assert {key: source.size(key) for key in source.keys()} == sizes
        source.close()

    @pytest.mark.parametrize("key", ["absent", "rows/absent", "zarr.json/deeper"])
    def test_missing_key_is_a_key_error(self, source: FolderSource | ZipSource, key: str) -> None:
        with pytest.raises(KeyError):
            source.read(key, at_most=LIMIT)
        with pytest.raises(KeyError):
            source.size(key)
        source.close()

    def test_more_bytes_than_allowed_are_not_read(self, source: FolderSource | ZipSource) -> None:
        with pytest.raises(BrickCorrupt, match="10240 bytes, and 10239 at most"):
            source.read("rows/sh/c/0/0", at_most=10239)
        source.close()


def test_folder_and_zip_file_are_told_apart(folder: Path, tmp_path: Path) -> None:
    packed = open_source(zip_scene(folder, tmp_path / "no_ending"))
    assert isinstance(packed, ZipSource)
    assert isinstance(open_source(folder), FolderSource)
    packed.close()


def test_nothing_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound):
        open_source(tmp_path / "absent")


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip file" * 100, bytes(1000)])
def test_file_that_is_no_zip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(StoreFormat, match="not a scene in a zip file"):
        open_source(tmp_path / "file")


@pytest.mark.parametrize(
    "name",
    ["../zarr.json", "/zarr.json", "rows/../../x", "a\\b", "C:/x", "rows//x", "./zarr.json", "/"],
)
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"{}")
    with pytest.raises(StoreFormat, match="leads out"):
        open_source(tmp_path / "z")


def test_name_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr("zarr.json", b"{}")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("zarr.json", b"[]")
    with pytest.raises(StoreFormat, match="twice"):
        open_source(tmp_path / "z")


def test_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("zarr.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(StoreFormat, match="link"):
        open_source(tmp_path / "z")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(folder: Path, tmp_path: Path, method: int) -> None:
    packed = zip_scene(folder, tmp_path / "z", compression=method)
    with pytest.raises(StoreFormat, match="compressed with method 1[24], which is not read"):
        open_source(packed)


def test_encrypted_entry_is_refused(folder: Path, tmp_path: Path) -> None:
    packed = zip_scene(folder, tmp_path / "z")
    patch(packed, CENTRAL, 8, b"\x01")
    with pytest.raises(StoreFormat, match="encrypted"):
        open_source(packed)


def test_entries_that_share_bytes_are_refused(folder: Path, tmp_path: Path) -> None:
    packed = zip_scene(folder, tmp_path / "z")
    patch(packed, CENTRAL, 42, struct.pack("<I", 5), entry=1)
    with pytest.raises(StoreFormat, match="overlaps"):
        open_source(packed)


def test_entry_that_reaches_beyond_the_file_is_refused(folder: Path, tmp_path: Path) -> None:
    packed = zip_scene(folder, tmp_path / "z")
    patch(packed, CENTRAL, 20, struct.pack("<II", 2**31, 2**31))
    with pytest.raises(StoreFormat, match="beyond the end"):
        open_source(packed)


def test_stored_entry_of_two_sizes_is_refused(folder: Path, tmp_path: Path) -> None:
    packed = zip_scene(folder, tmp_path / "z")
    patch(packed, CENTRAL, 24, struct.pack("<I", 7))
    with pytest.raises(StoreFormat, match="two different sizes"):
        open_source(packed)


@pytest.mark.parametrize("claimed", [0, 1, 10239, 10241, 2**31])
def test_inflated_size_that_lies_is_damage(folder: Path, tmp_path: Path, claimed: int) -> None:
    packed = zip_scene(folder, tmp_path / "z", compression=zipfile.ZIP_DEFLATED)
    patch(packed, CENTRAL, 24, struct.pack("<I", claimed))  # rows/sh/c/0/0 comes first
    source = open_source(packed)
    with pytest.raises(BrickCorrupt):
        source.read("rows/sh/c/0/0", at_most=LIMIT)
    source.close()


def test_bomb_is_not_inflated(tmp_path: Path) -> None:
    # 200 MB of zeros in 200 kB; what is read by name is held to its limit, lie or no lie.
    with zipfile.ZipFile(tmp_path / "z", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("zarr.json", "w") as entry:
            for _ in range(200):
                entry.write(bytes(1_000_000))
    for claimed in (200_000_000, 1000):
        patch(tmp_path / "z", CENTRAL, 24, struct.pack("<I", claimed))
        source = open_source(tmp_path / "z")
        with pytest.raises(BrickCorrupt):
            source.read("zarr.json", at_most=LIMIT)
        source.close()


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [(0, b"X", "no header"), (30, b"X", "contradict"), (500, b"\xff", "checksum")],
    ids=["signature", "name", "content"],
)
def test_altered_entry_is_damage(
    folder: Path, tmp_path: Path, offset: int, value: bytes, message: str
) -> None:
    packed = zip_scene(folder, tmp_path / "z")
    patch(packed, LOCAL, offset, value)
    source = open_source(packed)
    with pytest.raises(BrickCorrupt, match=message):
        source.read("rows/sh/c/0/0", at_most=LIMIT)
    source.close()


def test_zip_of_the_folder_itself_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    packed = zip_scene(folder, tmp_path / "z", prefix="scene.zarr/")
    with pytest.raises(StoreNotFound, match="zip the content"):
        open_store(packed)


def test_checkpoint_is_no_scene(tiny_checkpoint: Path) -> None:
    with pytest.raises(StoreNotFound, match="plenostream convert"):
        open_store(tiny_checkpoint)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_zip_file_never_gives_other_values(
    tiny: CheckpointArrays, tmp_path: Path, compression: int
) -> None:
    write_checkpoint_plain(tmp_path / "s.zarr", tiny)
    packed = zip_scene(tmp_path / "s.zarr", tmp_path / "s.zip", compression=compression)
    whole = packed.read_bytes()
    with open_store(packed) as store:
        names = list(store.specs)
        expected = {name: store.read_array(name) for name in names}
    rng = np.random.default_rng(1)
    n_refused = 0
    for _ in range(60):
        blob = bytearray(whole)
        for at in rng.integers(0, len(whole), 4):
            blob[at] ^= 1 << int(rng.integers(8))
        # The directory is small and at the end: half of the tries go there.
        at = len(whole) - int(rng.integers(1, 1500))
        blob[at] = int(rng.integers(256))
        packed.write_bytes(blob)
        try:
            with open_store(packed) as store:
                for name in names:
                    np.testing.assert_array_equal(store.read_array(name), expected[name])
        except StoreError:
            n_refused += 1
    assert n_refused > 50
