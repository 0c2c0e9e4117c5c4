"""A scene in a zip file of another machine: its directory is read once, then a range for each chunk."""

from __future__ import annotations

import zipfile
from typing import Protocol

from plenostream.errors import BrickCorrupt, InternalError, StoreFormat, StoreNotFound
from plenostream.files.zip_entries import ZipError, header_bytes, packed_offset
from plenostream.format.source import ByteSource, scene_entries, unpacked

__all__ = ["PartSource", "RemoteZipSource"]

_END_BYTES = 128 << 10
"""Read at once from the end of the file: a directory of 1500 chunks, and what stands behind it."""


class PartSource(ByteSource, Protocol):
    """A source that also reads parts."""

    def part(self, key: str, n_bytes: int, at: int) -> bytes:
        """`n_bytes` of `key` from `at` on, fewer at its end; KeyError and OSError as of `read`, also where
        there is no way to read less than all of it."""
        ...


class RemoteZipSource:
    """A `ByteSource`: the zip file of a scene folder's content, an object of an object store.

    Raises
    ------
    StoreNotFound : there is no such object.
    StoreFormat : it cannot be read in parts, is no zip file, or one that is broken or hostile.
    """

    def __init__(self, source: PartSource, name: str, *, where: str) -> None:
        """Take the `source` of the folder in which the object `name` lies; it is closed with this."""
        self.most_at_once, self.n_attempts = source.most_at_once, source.n_attempts
        self._source, self._name = source, name
        try:
            n_bytes = source.size(name)
            first = max(0, n_bytes - _END_BYTES)
            end = source.part(name, n_bytes - first, first)
            self._entries = scene_entries(
                lambda n, at: (
                    end[at - first : at - first + n] if at >= first else source.part(name, n, at)
                ),
                n_bytes,
                where=where,
            )
        except KeyError:
            raise StoreNotFound(f"there is no scene at {where}") from None
        except OSError as error:
            raise StoreFormat(f"{where} is not read in parts, as a zip file is: {error}") from error

    @property
    def n_at_once(self) -> int:
        """See `ByteSource`."""
        return self._source.n_at_once

    def read(self, key: str, *, at_most: int) -> bytes:
        """See `ByteSource.read`."""
        entry = self._entries[key]
        for left in reversed(range(self.n_attempts)):
            try:
                return unpacked(entry, at_most, self._packed)
            except BrickCorrupt:
                if not left:
                    raise
        raise InternalError("an entry is asked for no times")

    def _packed(self, entry: zipfile.ZipInfo) -> bytes:
        """Bytes of an entry as they lie in the file, with its own header in one request."""
        start = entry.header_offset
        blob = self._source.part(self._name, header_bytes(entry) + entry.compress_size, start)
        try:
            offset = packed_offset(lambda n, at: blob[at - start : at - start + n], entry) - start
        except ZipError as error:
            raise BrickCorrupt(str(error)) from error
        missing = offset + entry.compress_size - len(blob)
        if missing > 0:
            blob += self._source.part(self._name, missing, start + len(blob))
        packed = blob[offset : offset + entry.compress_size]
        if len(packed) != entry.compress_size:
            raise BrickCorrupt("the zip file ends within its entry")
        return packed

    def size(self, key: str) -> int:
        """See `ByteSource.size`."""
        return self._entries[key].file_size

    def forget(self, key: str) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Let go of the connections."""
        self._source.close()
