"""Headers of .npy arrays."""

from __future__ import annotations

import random
import struct
from pathlib import Path

from fuzzing.target import Raw
from plenostream.errors import CheckpointError
from plenostream.files.npy import parse_header

__all__ = ["NpyHeaders", "mutate_header"]

_DESCRS = ("<f4", "<f2", ">f8", "|u1", "<i4", "<i8", "|b1", "<c8", "|O", "<U3", "<M8[s]", "<f16")
_SHAPES = (
    "()",
    "(1,)",
    "(3,)",
    "(4, 1)",
    "(8, 8, 8)",
    "(4, 27)",
    "(0,)",
    "(-1,)",
    "(1e3,)",
    "(1,2)",
)
_WORDS = (
    *_DESCRS,
    *_SHAPES,
    *("True", "False", "None", "{}", "[", "((((", "'shape'", "'descr'", "'fortran_order'", "\\0"),
    *("9" * 30, "1_0", "0x10", "1L", "()()", "__import__('os')", "[('a', '<f4')]", "#", "\n", "\t"),
)


class NpyHeaders:
    """See `Target`: `parse_header`."""

    name = "npy"

    def seeds(self) -> list[bytes]:
        return [
            _header(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}", version)
            for descr, shape in zip(_DESCRS, _SHAPES, strict=False)
            for version in (1, 2, 3)
        ]

    def mutate(self, case: bytes, rng: random.Random, raw: Raw) -> bytes:
        return raw(case) if rng.random() < 0.3 else mutate_header(case, rng, raw)

    def read(self, case: bytes, folder: Path) -> None:
        header = parse_header(case, where="array", error=CheckpointError)
        assert header.n_bytes >= header.data_offset, "an array has a negative size"


def mutate_header(case: bytes, rng: random.Random, raw: Raw) -> bytes:
    """The bytes of an array with the text of its header changed, its length made anew."""
    if len(case) < 12:
        return raw(case)
    version = case[6]
    start = 10 if version == 1 else 12
    (length,) = struct.unpack_from("<H" if version == 1 else "<L", case, 8)
    text, rest = case[start : start + length], case[start + length :]
    kind = rng.randrange(4)
    if kind == 0:
        text = raw(text)
    elif kind == 1:
        key, words = rng.choice(((b"'descr': ", _DESCRS), (b"'shape': ", _SHAPES)))
        word = rng.choice(words)
        word = f"'{word}'" if words is _DESCRS else word
        before, found, after = text.partition(key)
        if found:
            comma = after.find(b", '")
            text = before + found + word.encode() + after[max(comma, 0) :]
    else:
        at = rng.randint(0, len(text))
        cut = rng.choice((0, 0, 1, 4))
        text = text[:at] + rng.choice(_WORDS).encode() + text[at + cut :]
    return _header(text.decode("latin1"), rng.choice((version, version, 1, 2, 3))) + rest


def _header(text: str, version: int) -> bytes:
    raw = text.encode("utf-8" if version == 3 else "latin1", "replace")[:65_000]
    length = struct.pack("<H" if version == 1 else "<L", len(raw))
    return b"\x93NUMPY" + bytes([version, 0]) + length + raw
