"""Reads one member of an archive from front to back, unpacking a bounded piece at a time.

`zipfile` would do it all, but for bzip2 and LZMA it gives whatever a piece of 4 kB unpacks to at
once, and that may be gigabytes.
"""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import zlib
from typing import Self
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipInfo

from plenostream.errors import CheckpointError

__all__ = ["METHODS", "MemberStream"]

METHODS = (ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA)
"""Methods of compression that are known here."""
_PIECE_BYTES = 1 << 18
_MAX_LZMA_DICTIONARY = 64 << 20


class _Packed(io.FileIO):
    """Bytes [offset, offset + n_bytes) of a file, as a file that ends there."""

    def __init__(self, path: str, offset: int, n_bytes: int) -> None:
        super().__init__(path)
        self.seek(offset)
        self._left = n_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= self._left:
            size = self._left
        data = super().read(size) or b""
        self._left -= len(data)
        return data

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        n_bytes = super().readinto(memoryview(buffer)[: self._left]) or 0
        self._left -= n_bytes
        return n_bytes


class _Inflated(io.RawIOBase):
    """What a raw deflate stream unpacks to, as `bz2.BZ2File` and `lzma.LZMAFile` are for theirs."""

    def __init__(self, packed: _Packed) -> None:
        self._packed = packed
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        while not self._stream.eof:
            data = self._stream.unconsumed_tail or self._packed.read(_PIECE_BYTES)
            piece = self._stream.decompress(data, len(buffer))
            if piece or not data:
                buffer[: len(piece)] = piece
                return len(piece)
        return 0


def _unpacked(packed: _Packed, entry: ZipInfo) -> io.RawIOBase | bz2.BZ2File | lzma.LZMAFile:
    """A file of the unpacked bytes; no more is unpacked at a time than is asked for."""
    if entry.compress_type == ZIP_DEFLATED:
        return _Inflated(packed)
    if entry.compress_type == ZIP_BZIP2:
        return bz2.BZ2File(packed)
    if entry.compress_type == ZIP_LZMA:
        coder = _lzma_filter(packed.read(9), entry.file_size)
        return lzma.LZMAFile(packed, format=lzma.FORMAT_RAW, filters=[coder])
    return packed


def _lzma_filter(head: bytes, n_bytes: int) -> dict[str, int]:
    """The decoder that LZMA in a zip file begins with: version, length, and five bytes of its own."""
    if len(head) != 9 or struct.unpack_from("<2xH", head) != (5,):
        raise ValueError("the LZMA properties are cut off")
    packed, dictionary = struct.unpack_from("<BL", head, 4)
    if packed >= 9 * 5 * 5:
        raise ValueError("the LZMA properties are damaged")
    # A dictionary longer than the data serves nothing, and would be allocated.
    dictionary = max(4096, min(dictionary, n_bytes))
    if dictionary > _MAX_LZMA_DICTIONARY:
        raise ValueError(f"an LZMA dictionary of {dictionary} bytes is too large")
    return {
        "id": lzma.FILTER_LZMA1,
        "dict_size": dictionary,
        "lc": packed % 9,
        "lp": packed // 9 % 5,
        "pb": packed // 45,
    }


class MemberStream:
    """The unpacked bytes of an entry, in order; a context manager.

    Memory is bounded whatever the archive says: a piece of packed bytes, and the caller's own
    buffer. `finish` must be called at the end: only then are the length and the checksum known to
    be right.

    Parameters
    ----------
    path : the archive
    entry : what its directory says
    offset : where the packed bytes begin, see `packed_offset`

    Raises
    ------
    CheckpointError : the file cannot be read, or the entry cannot be unpacked.
    """

    def __init__(self, path: str, entry: ZipInfo, offset: int) -> None:
        self._where = f"{path}: {entry.filename}"
        self._entry = entry
        self._left = entry.file_size
        self._crc = 0
        try:
            self._packed = _Packed(path, offset, entry.compress_size)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
        try:
            self._file = _unpacked(self._packed, entry)
        except (ValueError, lzma.LZMAError) as error:
            self._packed.close()
            raise CheckpointError(f"{self._where}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._packed.close()

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
        done = 0
        while done < len(buffer):
            n_bytes = self._unpack(buffer[done:])
            if n_bytes == 0:
                raise CheckpointError(
                    f"{self._where} holds fewer than the {self._entry.file_size} bytes it claims"
                )
            done += n_bytes
        self._crc = zlib.crc32(buffer, self._crc)
        self._left -= len(buffer)

    def _unpack(self, buffer: memoryview) -> int:
        """Fill the beginning of `buffer`; the number of bytes, 0 at the end of the entry."""
        try:
            return self._file.readinto(buffer) or 0
        except EOFError:  # the packed bytes end before the stream that they are
            return 0
        except (zlib.error, lzma.LZMAError, OSError, ValueError) as error:
            raise CheckpointError(f"{self._where}: damaged compressed data: {error}") from error

    def finish(self) -> None:
        """Read what is left and check length and checksum of the whole entry.

        Raises
        ------
        CheckpointError : they are not what the archive says.
        """
        rest = memoryview(bytearray(min(self._left, _PIECE_BYTES * 4)))
        while self._left:
            self.readinto(rest[: self._left])
        if self._crc != self._entry.CRC:
            raise CheckpointError(
                f"{self._where} is damaged: its checksum is {self._crc:08x}, "
                f"and {self._entry.CRC:08x} was written down"
            )
        if self._unpack(memoryview(bytearray(1))):
            raise CheckpointError(
                f"{self._where} holds more than the {self._entry.file_size} bytes it claims"
            )
