"""Reads one member of an archive from front to back, unpacking a bounded piece at a time."""

from __future__ import annotations

import bz2
import lzma
import os
import struct
import zlib
from typing import Protocol

from plenostream.errors import CheckpointError
from plenostream.importers.svox2.archive import BZIP2, DEFLATED, LZMA, STORED, Member

__all__ = ["MemberStream", "read_exactly"]

_PIECE_BYTES = 1 << 18
_MAX_LZMA_DICTIONARY = 64 << 20


class _Unpacker(Protocol):
    """What zlib, bz2 and lzma have in common here; bz2 and lzma have it by themselves."""

    @property
    def needs_input(self) -> bool: ...

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Inflate:
    """A raw deflate stream behind the interface that bz2 and lzma have."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._stream.eof

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)


def _lzma_unpacker(properties: bytes, n_bytes: int) -> _Unpacker:
    """Decoder for LZMA as zip stores it: five bytes of properties, then the raw stream."""
    if len(properties) != 5:
        raise ValueError("the LZMA properties are cut off")
    packed, dictionary = struct.unpack("<BL", properties)
    if packed >= 9 * 5 * 5:
        raise ValueError("the LZMA properties are damaged")
    # A dictionary longer than the data serves nothing, and would be allocated.
    dictionary = max(4096, min(dictionary, n_bytes))
    if dictionary > _MAX_LZMA_DICTIONARY:
        raise ValueError(f"an LZMA dictionary of {dictionary} bytes is too large")
    coder = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": dictionary,
        "lc": packed % 9,
        "lp": packed // 9 % 5,
        "pb": packed // 45,
    }
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[coder])


def read_exactly(fd: int, buffer: memoryview, offset: int) -> bool:
    """Fill `buffer` with the bytes of a file from `offset` on; False when the file ends before."""
    done = 0
    while done < len(buffer):
        got = os.preadv(fd, [buffer[done:]], offset + done)
        if got == 0:
            return False
        done += got
    return True


class MemberStream:
    """The unpacked bytes of a located member, in order; a context manager.

    Memory is bounded whatever the archive says: at most `_PIECE_BYTES` of packed bytes and the
    caller's own buffer are held. `finish` must be called at the end: only then are the length and
    the checksum known to be right.
    """

    def __init__(self, path: str, member: Member) -> None:
        self._where = f"{path}: {member.name}"
        self._member = member
        self._unpacker: _Unpacker | None = None
        self._offset = member.offset
        self._packed_left = member.packed_bytes
        self._left = member.n_bytes
        self._crc = 0
        try:
            self._fd = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
        try:
            self._unpacker = self._open_unpacker()
        except (ValueError, lzma.LZMAError) as error:
            os.close(self._fd)
            raise CheckpointError(f"{self._where}: {error}") from error

    def __enter__(self) -> MemberStream:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def _open_unpacker(self) -> _Unpacker | None:
        if self._member.method == DEFLATED:
            return _Inflate()
        if self._member.method == BZIP2:
            return bz2.BZ2Decompressor()
        if self._member.method == LZMA:
            head = self._next_packed(4)
            length = struct.unpack_from("<2xH", head)[0] if len(head) == 4 else 0
            return _lzma_unpacker(self._next_packed(min(length, 5)), self._member.n_bytes)
        assert self._member.method == STORED
        return None

    def _next_packed(self, n_bytes: int) -> bytes:
        piece = os.pread(self._fd, min(n_bytes, self._packed_left), self._offset)
        self._offset += len(piece)
        self._packed_left -= len(piece)
        return piece

    def _unpack(self, max_length: int) -> bytes:
        """Between 1 and `max_length` further bytes, or none at the end of the packed stream."""
        unpacker = self._unpacker
        assert unpacker is not None
        while not unpacker.eof:
            data = self._next_packed(_PIECE_BYTES) if unpacker.needs_input else b""
            exhausted = unpacker.needs_input and not data
            try:
                piece = unpacker.decompress(data, max_length)
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
                raise CheckpointError(f"{self._where}: damaged compressed data: {error}") from error
            if piece:
                return piece
            if exhausted:
                break
        return b""

    def read(self, n_bytes: int) -> bytes:
        """The next `n_bytes`, or what is left when that is less."""
        buffer = bytearray(min(n_bytes, self._left))
        self.readinto(memoryview(buffer))
        return bytes(buffer)

    def readinto(self, buffer: memoryview) -> None:
        """Fill `buffer` (bytes) with what comes next.

        Raises
        ------
        CheckpointError : there are fewer bytes than the archive claims, or they are damaged.
        """
        if len(buffer) > self._left:
            raise CheckpointError(f"{self._where} ends {len(buffer) - self._left} bytes early")
        if self._unpacker is None:
            if not read_exactly(self._fd, buffer, self._offset):
                raise CheckpointError(f"{self._where} is cut off")
            self._offset += len(buffer)
        else:
            done = 0
            while done < len(buffer):
                piece = self._unpack(len(buffer) - done)
                if not piece:
                    raise CheckpointError(
                        f"{self._where} holds fewer than the {self._member.n_bytes} bytes it claims"
                    )
                buffer[done : done + len(piece)] = piece
                done += len(piece)
        self._crc = zlib.crc32(buffer, self._crc)
        self._left -= len(buffer)

    def finish(self) -> None:
        """Read what is left and check length and checksum of the whole member.

        Raises
        ------
        CheckpointError : they are not what the archive says.
        """
        rest = bytearray(min(self._left, _PIECE_BYTES * 4))
        while self._left:
            self.readinto(memoryview(rest)[: min(len(rest), self._left)])
        if self._crc != self._member.crc:
            raise CheckpointError(
                f"{self._where} is damaged: its checksum is {self._crc:08x}, "
                f"and {self._member.crc:08x} was written down"
            )
        if self._unpacker is not None and self._unpack(1):
            raise CheckpointError(
                f"{self._where} holds more than the {self._member.n_bytes} bytes it claims"
            )
