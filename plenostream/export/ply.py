"""PLY files (binary, little endian), written record by record without knowing how many will come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.files.atomic import AsideFile

__all__ = ["FACE", "PlyWriter"]

FACE = np.dtype([("n", "u1"), ("vertex_indices", "<i4", (3,))])
"""A triangle: the list of its three vertices."""

_TYPES = {"u1": "uchar", "i4": "int", "f4": "float", "f8": "double"}
_LARGEST = 10**18


class PlyWriter:
    """Takes records of one element after another; `finish` writes the header, whose place is kept.

    Parameters
    ----------
    file : at its beginning
    elements : type of a record by name, in the order in which they will come
    comment : a line about the content
    """

    def __init__(
        self, file: AsideFile, elements: Mapping[str, np.dtype[Any]], *, comment: str
    ) -> None:
        self._file, self._elements, self._comment = file, elements, comment
        self._counts = dict.fromkeys(elements, 0)
        self._longest = len(self._header(dict.fromkeys(elements, _LARGEST), filler=""))
        file.write(bytes(self._longest))

    def append(self, element: str, records: NDArray[Any]) -> None:
        """Write records of `element`; those of the elements before it have been written."""
        self._file.write(np.ascontiguousarray(records).view(np.uint8))
        self._counts[element] += len(records)

    def count(self, element: str, n_records: int) -> None:
        """Count records of `element` that were written to the file as bytes."""
        self._counts[element] += n_records

    def finish(self) -> None:
        """Write the header before what was written."""
        missing = self._longest - len(self._header(self._counts, filler=""))
        self._file.seek(0)
        self._file.write(self._header(self._counts, filler="-" * missing))

    def _header(self, counts: Mapping[str, int], *, filler: str) -> bytes:
        lines = ["ply", "format binary_little_endian 1.0", f"comment {self._comment} {filler}"]
        for element, record in self._elements.items():
            lines.append(f"element {element} {counts[element]}")
            lines += _properties(record)
        return "\n".join([*lines, "end_header", ""]).encode("ascii")


def _properties(record: np.dtype[Any]) -> list[str]:
    if record == FACE:
        return ["property list uchar int vertex_indices"]
    assert record.names is not None
    return [f"property {_TYPES[record[name].str[1:]]} {name}" for name in record.names]
