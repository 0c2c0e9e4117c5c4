"""The kernels of the backend warp, built for GPUs that are not here: what they take of one."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import warp as wp

from gpucheck.machine import find_tool
from plenostream.field.basis import BASIS_DIMS
from plenostream.integrator.interface import Light
from plenostream.integrator.warp.environment import prepare_warp
from plenostream.integrator.warp.kernels.uploads import uploads
from plenostream.integrator.warp.kernels.walk import BLOCK_THREADS, walk_kernel
from plenostream.integrator.warp.kernels.weigh import clearing_kernel
from plenostream.integrator.xla.structs import BATCH_BRICKS

__all__ = ["CAPABILITIES", "Walk", "build_walks", "parse_usage", "walk_faults", "walks_table"]

_UPLOAD_THREADS = 256
"""Threads of a block where nothing else is said (Warp)."""
CAPABILITIES = (75, 86, 89, 90, 120)
"""Compute capabilities, times 10: RTX 20, 30 and 40, H100 and H200, RTX 50."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A kernel for one kind of GPU: the walk, or one of those that put bricks into the pool."""

    name: str
    basis_dim: int
    precision: str
    capability: int
    registers: int
    """A thread."""
    spilled_bytes: int
    """A thread: what of its own it keeps in memory, registers that were spilled included."""
    code_bytes: int


def build_walks(
    *,
    precision: str,
    capabilities: Iterable[int] = CAPABILITIES,
    basis_dims: Iterable[int] = BASIS_DIMS,
) -> Iterator[Walk]:
    """Build the kernels for a pool of this precision; no GPU and no driver is needed."""
    prepare_warp()
    cuobjdump = find_tool("cuobjdump")
    kernels: list[tuple[str, int, Any, int]] = []
    for dim in basis_dims:
        kernels.append(("walk", dim, walk_kernel(dim, precision, Light.MULTIPLIES), BLOCK_THREADS))
        back = walk_kernel(dim, precision, Light.MULTIPLIES, goes_back=True)
        kernels.append(("walk back", dim, back, BLOCK_THREADS))
        weighing = walk_kernel(dim, precision, Light.MULTIPLIES, weighs=True)
        kernels.append(("walk weighing", dim, weighing, BLOCK_THREADS))
    puts = uploads(9, 16, precision, "float16", BATCH_BRICKS)._asdict()
    kernels += [(f"put {name}", 9, kernel, _UPLOAD_THREADS) for name, kernel in puts.items()]
    kernels.append(("clear weights", 9, clearing_kernel(), _UPLOAD_THREADS))
    for name, basis_dim, kernel, threads in kernels:
        module = kernel.module
        module.options["block_dim"] = threads
        for capability in capabilities:
            with tempfile.TemporaryDirectory() as folder:
                (cubin,) = wp.compile_aot_module(
                    module, arch=capability, module_dir=folder, use_ptx=False
                )
                command = [cuobjdump, "--dump-resource-usage", cubin]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                registers, spilled_bytes = parse_usage(said)
                yield Walk(
                    name=name,
                    basis_dim=basis_dim,
                    precision=precision,
                    capability=capability,
                    registers=registers,
                    spilled_bytes=spilled_bytes,
                    code_bytes=Path(cubin).stat().st_size,
                )


def parse_usage(said: str) -> tuple[int, int]:
    """Registers, and bytes of stack and local memory, from what cuobjdump says of one kernel."""
    found = re.search(r"REG:(\d+) STACK:(\d+) .*LOCAL:(\d+)", said)
    if not found:
        raise ValueError(f"cuobjdump names no registers: {said!r}")
    registers, stack, local = map(int, found.groups())
    return registers, stack + local


def walks_table(walks: Iterable[Walk]) -> Iterator[str]:
    """A line for each kernel."""
    yield f"  {'kernel':<42}{'GPU':>8}{'registers':>12}{'spilled':>12}{'bytes':>12}"
    for walk in walks:
        name = f"{walk.name}, {walk.basis_dim} functions, {walk.precision}"
        numbers = (walk.registers, walk.spilled_bytes, walk.code_bytes)
        cells = "".join(f"{number:>12}" for number in numbers)
        yield f"  {name:<42}{f'sm_{walk.capability}':>8}{cells}"


def walk_faults(walk: Walk) -> Iterator[str]:
    """What is wrong with a kernel."""
    if walk.spilled_bytes:
        yield (
            f"the kernel {walk.name} with {walk.basis_dim} functions in {walk.precision} keeps "
            f"{walk.spilled_bytes} bytes of a thread in memory on sm_{walk.capability}"
        )
