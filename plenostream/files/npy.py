"""Headers of .npy arrays: read by NumPy, within bounds, and checked before they are believed."""

from __future__ import annotations

import io
import math
import tokenize
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.lib import format as npy

from plenostream.errors import PlenostreamError, shown

__all__ = ["HEADER_BYTES", "ArrayHeader", "parse_header"]

HEADER_BYTES = 10_012
"""The longest header that NumPy reads, and what says that it is one."""
_READERS = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
    # Differs in the names of a record's fields alone, and records are refused.
    (3, 0): npy.read_array_header_2_0,
}
_HEADER_ERRORS = (
    ValueError,
    TypeError,
    SyntaxError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RecursionError,
    tokenize.TokenError,
)
"""What NumPy and Python's parser raise on a header that makes no sense."""


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


def parse_header(head: bytes, *, where: str, error: type[PlenostreamError]) -> ArrayHeader:
    """The header of the array that begins with `head`: HEADER_BYTES of it, or all there are.

    Raises
    ------
    error : not an array of plain numbers, or with a header that cannot be; `where` is said.
    """
    file = io.BytesIO(head)
    try:
        version = npy.read_magic(file)
    except ValueError as problem:
        raise error(f"{where} is not an .npy array") from problem
    if version not in _READERS:
        raise error(f"{where} has the unknown .npy version {version[0]}.{version[1]}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers of Python 2, which are read
            shape, fortran_order, dtype = _READERS[version](file)
    except _HEADER_ERRORS as problem:
        raise error(
            f"{where}: the array's header cannot be read: {str(problem)[:100]}"
        ) from problem
    if not all(type(n) is int and n >= 0 for n in shape):
        raise error(f"{where} has the impossible shape {shown(shape)}")
    if dtype.hasobject:
        raise error(
            f"{where} is an array of pickled Python objects, which run code when they are opened and "
            "never are here: where you trust the file, save them with numpy as arrays of numbers"
        )
    if dtype.names is not None or dtype.subdtype is not None:
        raise error(f"{where} is an array of records; expected plain numbers")
    return ArrayHeader(
        dtype=dtype, shape=shape, fortran_order=fortran_order, data_offset=file.tell()
    )
