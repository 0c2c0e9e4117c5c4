"""What is fuzzed: a reader, files that it takes, and a way to change them that gets past its door."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

__all__ = ["Raw", "Target"]

Raw = Callable[[bytes], bytes]
"""Changes bytes without knowing what they are; what it does is led by coverage."""


class Target(Protocol):
    """One reader."""

    name: str

    def seeds(self) -> list[bytes]:
        """Cases that are read without an error, to begin with."""
        ...

    def mutate(self, case: bytes, rng: random.Random, raw: Raw) -> bytes:
        """`case` with something changed, checksums around it made anew."""
        ...

    def read(self, case: bytes, folder: Path) -> None:
        """Read `case` through everything that a command would; files may be left in `folder`.

        Raises PlenostreamError where the reader refuses it, AssertionError where it takes it and
        what comes out cannot be.
        """
        ...
