"""Directories of untrusted zip files are checked before any entry is read."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any
from zipfile import ZipInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plenostream.files.zip_entries import ZipError, packed_offset, read_entries

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def zipped(content: bytes, *, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = comment
        archive.writestr("a", content)
    return file.getvalue()


def entries_of(path: Path, content: bytes, *, directory_bytes: int = 1000) -> dict[str, ZipInfo]:
    path.write_bytes(content)
    return read_entries(path, methods=METHODS, directory_bytes=directory_bytes)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_archive_with_altered_bytes_is_opened_or_refused_but_nothing_else(
    data: Any, tmp_path: Path
) -> None:
    content = bytearray(zipped(b"x" * 50))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        for entry in entries_of(tmp_path / "z", bytes(content)).values():
            offset = packed_offset(lambda n, at: bytes(content[at : at + n]), entry)
            assert 0 <= offset
            assert entry.header_offset + entry.compress_size <= len(content)
    except ZipError:
        pass


def test_comment_at_the_end_is_let_be(tmp_path: Path) -> None:
    assert list(entries_of(tmp_path / "z", zipped(b"abc", comment=b"a comment"))) == ["a"]


def test_zip64_records_are_read(tmp_path: Path) -> None:
    content = zipped(b"abcdef")
    end = content.rindex(b"PK\x05\x06")
    start = content.index(b"PK\x01\x02")
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, end - start, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    full = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, *[0xFFFFFFFF] * 2, 0)
    large = content[:end] + record + locator + full
    assert entries_of(tmp_path / "z", large)["a"].file_size == 6


def test_sizes_beyond_32_bits_come_from_the_extra_field(tmp_path: Path) -> None:
    content = bytearray(zipped(b"abcdef"))
    start, end = content.index(b"PK\x01\x02"), content.rindex(b"PK\x05\x06")
    content[start + 20 : start + 28] = b"\xff" * 8
    extra = struct.pack("<2H2Q", 1, 16, 5_000_000_000, 5_000_000_000)
    content[start + 30 : start + 32] = struct.pack("<H", len(extra))
    content[end + 12 : end + 16] = struct.pack("<L", end - start + len(extra))
    content[end:end] = extra
    with pytest.raises(ZipError, match="beyond the end of the file: to byte 5000000030"):
        entries_of(tmp_path / "z", bytes(content))


@pytest.mark.parametrize("directory_bytes", [46, 70_000])
def test_directory_that_is_too_long_is_refused_before_it_is_read(
    tmp_path: Path, directory_bytes: int
) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(2000):
            archive.writestr(f"{number}", b"")
    most = max(directory_bytes, 65_557)
    with pytest.raises(ZipError, match=f"its directory has 98890 bytes, and {most}"):
        entries_of(tmp_path / "z", file.getvalue(), directory_bytes=directory_bytes)


def test_entries_before_the_file_begins_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ZipError, match="begins before the file"):
        entries_of(tmp_path / "z", zipped(bytes(100))[10:])
