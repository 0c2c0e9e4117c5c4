"""What is wrong with a scene, as values, JSON and text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from plenostream.errors import printable
from plenostream.rules.bytesize import format_bytes

__all__ = ["Fault", "VerifyReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with a scene."""

    message: str
    """A sentence that names what is damaged."""
    array: str | None = None
    """Array that it is in, such as ``rows/sh``."""
    chunk: int | None = None
    """Number of the chunk, where it is a whole chunk."""
    bricks: tuple[int, ...] = ()
    """The bricks (rows of ``bricks/index``) that it touches, as far as they can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What `verify` found."""

    path: str
    """Where the scene is."""
    n_bricks: int
    """Bricks that the scene says it has; 0 where it does not say."""
    n_chunks: int
    """Chunks that were looked at."""
    n_bytes: int
    """Stored bytes of the chunks that could be read."""
    faults: tuple[Fault, ...]
    """Everything that is wrong; empty when the scene is whole."""

    @property
    def ok(self) -> bool:
        """Whether the scene is whole."""
        return not self.faults

    @property
    def damaged_bricks(self) -> tuple[int, ...]:
        """Bricks that some fault touches, in order."""
        return tuple(sorted({brick for fault in self.faults for brick in fault.bricks}))

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self) | {"ok": self.ok, "damaged_bricks": list(self.damaged_bricks)}

    def lines(self) -> list[str]:
        """The report for people: a line per fault, then a summary."""
        bricks, chunks = _counted(self.n_bricks, "brick"), _counted(self.n_chunks, "chunk")
        looked = f"{bricks}, {chunks}, {format_bytes(self.n_bytes)}"
        if self.ok:
            return [printable(f"{self.path} is whole: {looked}")]
        faults = _counted(len(self.faults), "fault")
        damaged = f"{faults}, {_counted(len(self.damaged_bricks), 'brick')} damaged"
        lines = [*(f.message for f in self.faults), f"{self.path} is damaged: {damaged} ({looked})"]
        return [printable(line) for line in lines]


def _counted(n: int, what: str) -> str:
    """`n` of something, in the singular or the plural."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
