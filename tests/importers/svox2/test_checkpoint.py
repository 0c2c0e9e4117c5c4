"""Checkpoints are opened without unpickling, and what cannot be a scene is refused by name."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenostream.errors import CheckpointError
from plenostream.files.npy import parse_header
from plenostream.files.zip_entries import packed_offset, read_entries
from plenostream.importers.svox2.checkpoint import open_checkpoint
from plenostream.importers.svox2.unpacking import METHODS as KNOWN
from plenostream.importers.svox2.unpacking import MemberStream

METHODS = {
    "stored": zipfile.ZIP_STORED,
    "deflate": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}


def arrays(**changes: Any) -> dict[str, np.ndarray]:
    links = np.full((3, 4, 5), -1, np.int32)
    links[1, 2, 3], links[2, 0, 0] = 0, 1
    sound = {
        "links": links,
        "density_data": np.array([[1.0], [2.0]], np.float32),
        "sh_data": np.zeros((2, 27), np.float16),
        "radius": np.array([1, 2, 3], np.float32),
        "center": np.array([0, -1, 0.5], np.float32),
        "basis_type": np.array(1),
    }
    return {key: value for key, value in (sound | changes).items() if value is not None}


def save(path: Path, **changes: Any) -> Path:
    np.savez(path, **arrays(**changes))
    return path


def zipped(content: bytes, *, method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.comment = comment
        archive.writestr("a.npy", content)
    return file.getvalue()


def unpacked(path: Path, *, piece: int) -> bytes:
    entry = read_entries(path, methods=KNOWN, directory_bytes=1000)["a.npy"]
    content = path.read_bytes()
    offset = packed_offset(lambda n, at: content[at : at + n], entry)
    with MemberStream(str(path), entry, offset) as stream:
        out = b"".join(stream.read(piece) for _ in range(-(-entry.file_size // piece)))
        stream.finish()
    return out


def test_sound_checkpoint_is_described_without_reading_its_rows(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(save(tmp_path / "a.npz"))
    assert checkpoint.grid.size == (3, 4, 5)
    assert checkpoint.grid.radius == (1, 2, 3)
    assert checkpoint.grid.center == (0, -1, 0.5)
    assert (checkpoint.basis_dim, checkpoint.n_rows, checkpoint.sh_dtype) == (9, 2, "float16")


def test_missing_radius_and_center_are_one_and_zero(tmp_path: Path) -> None:
    grid = open_checkpoint(save(tmp_path / "a.npz", radius=None, center=None)).grid
    assert (grid.radius, grid.center) == ((1, 1, 1), (0, 0, 0))


def test_single_radius_and_center_count_for_all_axes(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", radius=np.float32(1.5), center=np.array([0.25]))
    grid = open_checkpoint(path).grid
    assert (grid.radius, grid.center) == ((1.5,) * 3, (0.25,) * 3)


def test_older_dialect_has_the_density_in_its_first_column(tmp_path: Path) -> None:
    data = np.zeros((2, 13), np.float32)
    checkpoint = open_checkpoint(
        save(tmp_path / "a.npz", data=data, density_data=None, sh_data=None)
    )
    assert (checkpoint.basis_dim, checkpoint.n_rows, len(checkpoint.tables)) == (4, 2, 1)


@pytest.mark.parametrize("basis_dim", [1, 4, 9, 16, 25])
def test_all_degrees_of_spherical_harmonics_are_known(tmp_path: Path, basis_dim: int) -> None:
    path = save(tmp_path / "a.npz", sh_data=np.zeros((2, 3 * basis_dim), np.float32))
    assert open_checkpoint(path).basis_dim == basis_dim


def test_missing_file_is_a_checkpoint_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not there"):
        open_checkpoint(tmp_path / "a.npz")


def test_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="it is a folder"):
        open_checkpoint(tmp_path)


def test_every_cut_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    whole = save(tmp_path / "a.npz").read_bytes()
    cut = tmp_path / "cut.npz"
    for length in range(0, len(whole), 37):
        cut.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            open_checkpoint(cut)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
@pytest.mark.parametrize("piece", [1 << 20, 4097], ids=["at once", "in pieces"])
def test_stream_gives_the_bytes_back(tmp_path: Path, method: int, piece: int) -> None:
    rng = np.random.default_rng(1)
    content = rng.integers(0, 4, 300_000, np.uint8).tobytes() + bytes(700_000)
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(content, method=method))
    assert unpacked(path, piece=piece) == content


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_stream_of_nothing_is_sound(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(b"", method=method))
    assert unpacked(path, piece=1) == b""


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_altered_byte_of_a_member_is_found(tmp_path: Path, method: int, at: float) -> None:
    rng = np.random.default_rng(1)
    content = bytearray(zipped(rng.integers(0, 9, 50_000, np.uint8).tobytes(), method=method))
    content[35 + int(at * (content.index(b"PK\x01\x02") - 35))] ^= 0x10
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        unpacked(path, piece=1 << 16)


@pytest.mark.parametrize("claim", [999, 1001], ids=["longer", "shorter"])
def test_member_of_another_length_than_claimed_is_found(tmp_path: Path, claim: int) -> None:
    content = bytearray(zipped(bytes(1000), method=zipfile.ZIP_DEFLATED))
    start = content.index(b"PK\x01\x02")
    content[start + 16 : start + 20] = struct.pack("<L", zlib.crc32(bytes(claim)))
    content[start + 24 : start + 28] = struct.pack("<L", claim)
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="more than the 999|fewer than the 1001"):
        unpacked(path, piece=100)


def header(text: str) -> bytes:
    raw = text.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw


@given(
    dtype=st.sampled_from(["<f4", ">f8", "<i2", "|u1", ">u8", "<c8", "|S5", "<U3", "|b1"]),
    shape=st.lists(st.integers(0, 10**12), max_size=4).map(tuple),
    fortran=st.booleans(),
)
def test_headers_as_numpy_writes_them_are_read(
    dtype: str, shape: tuple[int, ...], fortran: bool
) -> None:
    text = f"{{'descr': {dtype!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"
    parsed = parse_header(header(text), where="w", error=CheckpointError)
    assert (parsed.dtype, parsed.shape, parsed.fortran_order) == (np.dtype(dtype), shape, fortran)


@given(st.text(alphabet="{}()[]'\",:<f48TrueFalsedcrhpotn_ ", max_size=120))
def test_header_of_any_text_is_read_or_refused_but_nothing_else(text: str) -> None:
    try:
        parse_header(header(text), where="w", error=CheckpointError)
    except CheckpointError:
        pass


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
        "{'descr': '(1000000000,)f4', 'fortran_order': False, 'shape': (1,)}",
        "__import__('os').getcwd()",
        "[" * 90,
    ],
    ids=["objects", "records", "order", "list", "bool", "subarray", "call", "brackets"],
)
def test_header_that_is_no_plain_array_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        parse_header(header(text), where="w", error=CheckpointError)
