"""One of our kernels as the compiler left it: its memory, and what it launches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

from gpucheck.machine import Code, Resources
from gpucheck.operations import Operation, operations
from plenostream.integrator.xla.structs import n_bytes

__all__ = ["Kernel", "look_into"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A compiled kernel."""

    name: str
    args: tuple[Any, ...]
    """What it takes, as trees of shapes."""
    temp_bytes: int
    output_bytes: int
    alias_bytes: int
    """Of its results, what takes the place of arguments."""
    donated_bytes: int
    """Of its arguments, what it was given to overwrite."""
    operations: list[Operation]
    code: Code
    """Of its GPU kernels, by the names of their operations; empty where nothing was asked."""

    @property
    def fresh_bytes(self) -> int:
        """Results that take memory of their own."""
        return self.output_bytes - self.alias_bytes

    @property
    def launches(self) -> int:
        """GPU kernels and copies that a run asks for, each loop run once."""
        return sum(operation.what != "while" for operation in self.operations)

    @property
    def waiting_loops(self) -> int:
        """Loops before each trip of which the host waits for the device."""
        endless = sum(operation.endless for operation in self.operations)
        return endless if self.code.host_loops is None else min(endless, self.code.host_loops)

    def of(self, operation: Operation) -> Resources | None:
        """What an operation takes; None for copies and loops."""
        return self.code.resources.get(operation.name.replace(".", "_").replace("-", "_"))


def look_into(name: str, compiled: jax.stages.Compiled, code: Code) -> Kernel:
    """Describe a program; `code` is what is known of what was made of it."""
    analysis: Any = compiled.memory_analysis()
    text = compiled.as_text()
    assert text is not None, f"XLA gives no text of {name}"
    args = compiled.args_info[0]
    donated = [leaf for leaf in jax.tree.leaves(args) if leaf.donated]
    return Kernel(
        name=name,
        args=args,
        temp_bytes=int(analysis.temp_size_in_bytes),
        output_bytes=int(analysis.output_size_in_bytes),
        alias_bytes=int(analysis.alias_size_in_bytes),
        donated_bytes=n_bytes(donated),
        operations=operations(text),
        code=code,
    )
