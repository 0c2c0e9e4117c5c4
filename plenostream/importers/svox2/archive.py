"""The table of contents of a zip archive, read with suspicion and without unpacking anything.

The standard library's reader takes a directory of any length and does not say where a member's
bytes lie; converting needs exactly that, to read rows straight from where they are stored.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from plenostream.errors import CheckpointError

__all__ = ["BZIP2", "DEFLATED", "LZMA", "STORED", "Member", "locate", "read_directory"]

STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14

_MAX_ENTRIES = 1000
_MAX_DIRECTORY_BYTES = 1 << 20
"""A checkpoint has a dozen arrays; a directory beyond these is an attack on our memory."""

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX_COMMENT = 0xFFFF
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_UTF8 = 0x800
_ZIP64_EXTRA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry of the archive, as its directory describes it."""

    name: str
    method: int
    """Compression: STORED, DEFLATED, BZIP2, LZMA, or a number that nobody here knows."""
    flags: int
    crc: int
    """CRC-32 of the unpacked bytes."""
    packed_bytes: int
    """Bytes in the archive."""
    n_bytes: int
    """Bytes when unpacked: a claim, until they have been read."""
    header_offset: int
    """Where the local header begins."""
    offset: int = -1
    """Where the packed bytes begin; known after `locate`."""


def _refuse(where: str, what: str) -> CheckpointError:
    return CheckpointError(f"{where}: {what}")


def _read_at(file: BinaryIO, offset: int, n_bytes: int) -> bytes:
    file.seek(offset)
    return file.read(n_bytes)


def _find_end(file: BinaryIO, n_bytes: int, where: str) -> tuple[int, int, int]:
    """Number of entries, offset and length of the directory."""
    tail_start = max(0, n_bytes - _END.size - _MAX_COMMENT)
    tail = _read_at(file, tail_start, n_bytes - tail_start)
    at = tail.rfind(b"PK\x05\x06")
    # A comment may hold the signature too: the record is the one whose comment ends the file.
    while at >= 0:
        if at + _END.size <= len(tail):
            _, disk, first_disk, _, entries, size, offset, comment = _END.unpack_from(tail, at)
            if at + _END.size + comment == len(tail):
                break
        at = tail.rfind(b"PK\x05\x06", 0, at)
    if at < 0:
        raise _refuse(
            where, "not an .npz archive, or cut off: the end of a zip directory is missing"
        )
    end = tail_start + at
    if disk or first_disk:
        raise _refuse(where, "the archive is spread over several disks")
    if entries == _FULL16 or size == _FULL32 or offset == _FULL32:
        locator = _read_at(file, max(0, end - _END64_LOCATOR.size), _END64_LOCATOR.size)
        if len(locator) == _END64_LOCATOR.size and locator.startswith(b"PK\x06\x07"):
            end = _END64_LOCATOR.unpack(locator)[2]
            record = _read_at(file, min(end, n_bytes), _END64.size)
            if len(record) != _END64.size or not record.startswith(b"PK\x06\x06"):
                raise _refuse(where, "the zip64 end record is not where it should be")
            entries, size, offset = _END64.unpack(record)[7:10]
    if offset + size != end:
        raise _refuse(
            where,
            f"the zip directory should end at byte {offset + size} and ends at {end}; "
            "bytes are missing or were added",
        )
    if entries > _MAX_ENTRIES or size > _MAX_DIRECTORY_BYTES:
        raise _refuse(where, f"the zip directory lists {entries} entries in {size} bytes")
    return entries, offset, size


def _zip64_fields(extra: bytes) -> list[int]:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == _ZIP64_EXTRA:
            body = extra[4 : 4 + length]
            return [v for (v,) in struct.iter_unpack("<Q", body[: len(body) // 8 * 8])]
        extra = extra[4 + length :]
    return []


def read_directory(file: BinaryIO, *, where: str) -> dict[str, Member]:
    """The members of the archive `file`, by name.

    Raises
    ------
    CheckpointError : not a zip archive, cut off, or with two entries of one name; `where` is said.
    """
    n_bytes = file.seek(0, os.SEEK_END)
    entries, offset, size = _find_end(file, n_bytes, where)
    directory = _read_at(file, offset, size)
    members: dict[str, Member] = {}
    at = 0
    for _ in range(entries):
        if at + _CENTRAL.size > len(directory) or directory[at : at + 4] != b"PK\x01\x02":
            raise _refuse(where, "the zip directory is damaged")
        field = _CENTRAL.unpack_from(directory, at)
        flags, method, crc, packed, unpacked = field[3], field[4], field[7], field[8], field[9]
        n_name, n_extra, n_comment, header = field[10], field[11], field[12], field[16]
        at += _CENTRAL.size
        raw = directory[at : at + n_name]
        large = iter(_zip64_fields(directory[at + n_name : at + n_name + n_extra]))
        # The extra field holds those of the three values that do not fit 32 bits, in this order.
        unpacked, packed, header = (
            next(large, value) if value == _FULL32 else value
            for value in (unpacked, packed, header)
        )
        at += n_name + n_extra + n_comment
        name = raw.decode("utf-8" if flags & _UTF8 else "cp437", errors="replace")
        if name in members:
            raise _refuse(where, f"two entries are named {name}; which one is meant is unknown")
        members[name] = Member(
            name=name, method=method, flags=flags, crc=crc, packed_bytes=packed,
            n_bytes=unpacked, header_offset=header,
        )  # fmt: skip
    if at != len(directory):
        raise _refuse(where, "the zip directory is damaged")
    return members


def locate(file: BinaryIO, member: Member, *, where: str) -> Member:
    """`member` with the place of its bytes, after its local header has been checked.

    Raises
    ------
    CheckpointError : encrypted, compressed in an unknown way, or not lying inside the file.
    """
    if member.flags & _ENCRYPTED:
        raise _refuse(where, f"{member.name} is encrypted")
    if member.method not in (STORED, DEFLATED, BZIP2, LZMA):
        raise _refuse(where, f"{member.name} is compressed with the unknown method {member.method}")
    n_file = file.seek(0, os.SEEK_END)
    header = b""
    if member.header_offset < n_file:
        header = _read_at(file, member.header_offset, _LOCAL.size)
    if len(header) != _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        raise _refuse(where, f"{member.name} is not where the zip directory says")
    _, _, flags, method, *_, n_name, n_extra = _LOCAL.unpack(header)
    raw = _read_at(file, member.header_offset + _LOCAL.size, n_name)
    name = raw.decode("utf-8" if flags & _UTF8 else "cp437", errors="replace")
    if name != member.name or method != member.method or flags & _ENCRYPTED:
        raise _refuse(where, f"{member.name}: its header does not agree with the zip directory")
    offset = member.header_offset + _LOCAL.size + n_name + n_extra
    if offset + member.packed_bytes > n_file:
        raise _refuse(
            where,
            f"{member.name} should have {member.packed_bytes} bytes in the archive, "
            f"which holds {max(0, n_file - offset)} from there on",
        )
    if method == STORED and member.packed_bytes != member.n_bytes:
        raise _refuse(where, f"{member.name} is not compressed, and yet said to change its size")
    return Member(
        name=member.name, method=method, flags=flags, crc=member.crc,
        packed_bytes=member.packed_bytes, n_bytes=member.n_bytes,
        header_offset=member.header_offset, offset=offset,
    )  # fmt: skip
