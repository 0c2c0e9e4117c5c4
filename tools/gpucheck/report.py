"""What was found, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gpucheck.kernel import Kernel
from gpucheck.memory import Case
from gpucheck.operations import Operation
from gpucheck.target import GRANTED_SHARE, Target
from plenostream.rules.bytesize import format_bytes

__all__ = ["faults", "kernel_faults", "kernel_lines", "kernels_table", "memory_table"]

_8_GB = 8_000_000_000


def _row(name: str, *cells: str) -> str:
    return f"  {name:<34}" + "".join(f"{cell:>12}" for cell in cells)


def memory_table(case: Case, target: Target) -> Iterator[str]:
    """Bytes by what they are for, counted and planned, and what part of the device they are."""
    sizes = case.layout.sizes
    yield (
        f"{case.name}: {sizes.n_tiles} tiles of 64 rays at once, a pool of "
        f"{sizes.n_slots} bricks and {sizes.n_pages} pages of colour rows"
    )
    yield _row("device memory", "compiled", "planned")
    for item in [*case.planned, *(item for item in case.counted if item not in case.planned)]:
        cells = (side.get(item, 0) for side in (case.counted, case.planned))
        yield _row(item, *map(_megabytes, cells))
    yield _row("together", _megabytes(case.counted_bytes), _megabytes(case.planned_bytes))
    limits = {
        "of 8 GB": _8_GB,
        f"of {target.name}": target.memory_bytes,
        f"of the {GRANTED_SHARE:.0%} that JAX takes of it": target.memory_bytes * GRANTED_SHARE,
    }
    for name, limit in limits.items():
        yield _row(name, f"{case.counted_bytes / limit:.2%}", f"{case.planned_bytes / limit:.2%}")
    yield _row("smallest budget that works", "", _megabytes(case.layout.smallest_device_bytes))


def kernels_table(kernels: Mapping[str, Kernel]) -> Iterator[str]:
    """A line for each kernel; counts are of a program's text, each loop once."""
    heads = ("temporaries", "results", "launches", "loops", "gathers", "scatters", "sorts")
    yield _row("kernel", *heads, "float64", "registers", "spilled")
    for kernel in kernels.values():
        ops = kernel.operations
        loops = sum(op.what == "while" for op in ops)
        scatters, shared = sum(op.scatters for op in ops), sum(op.shared_scatters for op in ops)
        yield _row(
            kernel.name,
            _megabytes(kernel.temp_bytes),
            _megabytes(kernel.fresh_bytes),
            str(kernel.launches),
            f"{loops}, {kernel.waiting_loops} wait" if loops else "-",
            str(sum(op.gathers for op in ops) or "-"),
            f"{scatters}, {shared} shared" if scatters else "-",
            str(sum(op.sorts for op in ops) or "-"),
            f"{sum(op.float64 for op in ops) / 1e6:.1f}M" if any(op.float64 for op in ops) else "-",
            str(max((r.registers for r in kernel.code.resources.values()), default="-")),
            str(max((r.spilled_bytes for r in kernel.code.resources.values()), default="-")),
        )
    yield (
        "  wait: loops whose trips depend on data, outside of CUDA graphs: before each, the host "
        "waits. shared: scatters whose indices may be equal. float64: operations, loops run once."
    )


def kernel_lines(kernel: Kernel) -> Iterator[str]:
    """Every launch of a kernel: fusions, and what is gathered, scattered and sorted in each."""
    yield f"{kernel.name}:"
    for operation in kernel.operations:
        notes = list(_notes(operation))
        if resources := kernel.of(operation):
            notes.append(f"{resources.registers} registers")
            if resources.shared_bytes:
                notes.append(f"{resources.shared_bytes} B shared")
            if resources.spilled_bytes:
                notes.append(f"{resources.spilled_bytes} B SPILLED")
            if resources.atomics:
                notes.append(f"{resources.atomics} atomics")
            if resources.tf32:
                notes.append("ROUNDS TO TF32")
        shape = operation.shape if len(operation.shape) < 40 else operation.shape[:37] + "..."
        indent = "  " * (operation.depth + 1)
        yield f"{indent}{operation.what} {operation.name} -> {shape}  [{', '.join(notes)}]"


def _notes(operation: Operation) -> Iterator[str]:
    if operation.what == "while":
        yield "trips depend on data" if operation.endless else f"{operation.trips} trips"
    if operation.gathers:
        yield f"{operation.gathers} gathers"
    if operation.scatters:
        yield f"{operation.scatters} scatters" + (", shared" if operation.shared_scatters else "")
    if operation.sorts:
        yield f"{operation.sorts} sorts"
    if operation.float64:
        yield f"{operation.float64} float64 operations"


def faults(case: Case, target: Target) -> Iterator[str]:
    """What is wrong: each a sentence."""
    if case.counted_bytes > target.memory_bytes * GRANTED_SHARE:
        yield (
            f"{target.name}: {case.name} takes {format_bytes(case.counted_bytes)}, more than JAX "
            f"takes of it by default"
        )
    if case.counted_bytes > case.planned_bytes:
        over = {
            item: n_bytes - case.planned.get(item, 0)
            for item, n_bytes in case.counted.items()
            if n_bytes > case.planned.get(item, 0)
        }
        most = ", ".join(f"{item} {format_bytes(n)}" for item, n in over.items())
        yield (
            f"{target.name}: {case.name}: the plan is no upper bound, {format_bytes(case.planned_bytes)} for what "
            f"takes {format_bytes(case.counted_bytes)}; too little for: {most}"
        )


def kernel_faults(kernel: Kernel, target: Target) -> Iterator[str]:
    """What is wrong with a kernel, whatever the picture."""
    where = f"{target.name}: {kernel.name}"
    if kernel.alias_bytes < kernel.donated_bytes:
        yield f"{where} copies what it was given to overwrite"
    if any(found.tf32 for found in kernel.code.resources.values()):
        yield (
            f"{where}: products of float32 are made of factors rounded to 10 bits (TF32); they "
            f"need precision=HIGHEST"
        )


def _megabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:.1f} MB"
