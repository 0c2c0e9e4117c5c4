"""Headers of .npy arrays, parsed without evaluating anything and checked before they are believed."""

from __future__ import annotations

import ast
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from plenostream.errors import CheckpointError

__all__ = ["ArrayHeader", "parse_header"]

_MAGIC = b"\x93NUMPY"
_MAX_HEADER_BYTES = 10_000
"""numpy refuses longer ones as well."""
_MAX_BRACKETS = 16
"""An honest header has three pairs; deep nesting exhausts the stack of the parser."""
_NUMBER_TYPE = re.compile(r"[<>=|]?[?biufcSUOVmM]\d{0,6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayHeader:
    """What the header of an .npy array says."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    fortran_order: bool
    data_offset: int
    """Bytes before the first element."""

    @property
    def n_bytes(self) -> int:
        """Bytes of the header and all elements; a Python integer, so that nothing overflows."""
        return self.data_offset + math.prod(self.shape) * self.dtype.itemsize


def _parse_dict(text: str, where: str) -> dict[object, object]:
    if sum(map(text.count, "([{")) > _MAX_BRACKETS:
        raise CheckpointError(f"{where}: the array's header is nested too deeply")
    try:
        # Literals only: names, calls and operators are errors, not evaluated.
        value = ast.literal_eval(text.strip(" \n"))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise CheckpointError(f"{where}: the array's header is not a plain description") from error
    if not isinstance(value, dict) or value.keys() != {"descr", "fortran_order", "shape"}:
        raise CheckpointError(
            f"{where}: the array's header must hold descr, fortran_order and shape, no more"
        )
    return value


def _parse_dtype(descr: object, where: str) -> np.dtype[np.generic]:
    if not isinstance(descr, str):
        raise CheckpointError(f"{where} is an array of records; expected plain numbers")
    if not _NUMBER_TYPE.fullmatch(descr):
        raise CheckpointError(f"{where} has elements of the unknown type {descr[:40]!r}")
    try:
        dtype = np.dtype(descr)
    except TypeError as error:
        raise CheckpointError(f"{where} has elements of the unknown type {descr!r}") from error
    if dtype.hasobject:
        raise CheckpointError(
            f"{where} is an array of pickled Python objects; these are never opened"
        )
    return dtype


def parse_header(read: Callable[[int], bytes], *, where: str) -> ArrayHeader:
    """The header of the array whose first bytes `read(n)` returns, piece by piece.

    Raises
    ------
    CheckpointError : not an array, or with a header that cannot be; `where` is said.
    """
    prefix = read(8)
    if len(prefix) < 8 or not prefix.startswith(_MAGIC):
        raise CheckpointError(f"{where} is not an .npy array")
    version = (prefix[6], prefix[7])
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise CheckpointError(f"{where} has the unknown .npy version {version[0]}.{version[1]}")
    layout = "<H" if version == (1, 0) else "<L"
    encoding = "utf-8" if version == (3, 0) else "latin1"
    raw_length = read(struct.calcsize(layout))
    if len(raw_length) < struct.calcsize(layout):
        raise CheckpointError(f"{where}: the array's header is cut off")
    (length,) = struct.unpack(layout, raw_length)
    if length > _MAX_HEADER_BYTES:
        raise CheckpointError(f"{where}: the array's header is said to have {length} bytes")
    raw = read(length)
    if len(raw) < length:
        raise CheckpointError(f"{where}: the array's header is cut off")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{where}: the array's header is not text") from error
    values = _parse_dict(text, where)
    shape, fortran_order = values["shape"], values["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise CheckpointError(f"{where} has the impossible shape {str(shape)[:80]}")
    if type(fortran_order) is not bool:
        raise CheckpointError(f"{where}: fortran_order is neither True nor False")
    return ArrayHeader(
        dtype=_parse_dtype(values["descr"], where),
        shape=shape,
        fortran_order=fortran_order,
        data_offset=len(prefix) + len(raw_length) + length,
    )
