"""Compile for a GPU that is not here, add up, and say what came out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax

from gpucheck.machine import Dump
from gpucheck.memory import Case, plan_picture, plan_rays
from gpucheck.report import faults, kernel_faults, kernel_lines, kernels_table, memory_table
from gpucheck.target import Target, compile_only, read_target
from plenostream.store.reader import SceneStore, open_store

__all__ = ["check"]

_LINE = 1920
"""Rays of a line of pixels: pictures may have one that is drawn as arbitrary rays."""


def check(
    scene: Path, target_name: str, *, sizes: list[tuple[int, int]], precision: str, dump: Path
) -> int:
    """Check pictures of `scene` with these (width, height); prints; 0 if all is well, else 1.

    `dump` is the folder that XLA was told to write to when JAX started.
    """
    target = read_target(target_name)
    watch = Dump(dump, target.arch)
    print(f"jax {jax.__version__}, compiled for {target.name} ({target.arch}); no GPU is used")
    found: list[str] = []
    shown: set[tuple[object, ...]] = set()
    with open_store(scene) as store:
        meta = store.meta
        print(
            f"{scene.name}: {' x '.join(map(str, meta.grid.size))}, {meta.n_bricks} bricks of "
            f"{meta.brick_size}^3 cells, {meta.n_rows} rows, {precision} on the device"
        )
        for case in _cases(store, target, watch, sizes, precision):
            print()
            print("\n".join(memory_table(case, target)))
            print()
            print("\n".join(kernels_table(case.kernels)))
            for kernel in case.kernels.values():
                launches = tuple((op.depth, op.what, op.gathers) for op in kernel.operations)
                if (kernel.name, launches) not in shown:
                    shown.add((kernel.name, launches))
                    print("\n".join(kernel_lines(kernel)))
                    found += kernel_faults(kernel)
            found += faults(case, target)
    print()
    print("\n".join(f"FAULT: {fault}" for fault in dict.fromkeys(found)) or "No faults.")
    return 1 if found else 0


def _cases(
    store: SceneStore, target: Target, watch: Dump, sizes: list[tuple[int, int]], precision: str
) -> Iterator[Case]:
    picture = None
    for width, height in sizes:
        device = compile_only(target, watch.take)
        picture = plan_picture(store, device, width=width, height=height, precision=precision)
        yield picture
    if picture:
        device = compile_only(target, watch.take)
        yield plan_rays(store, device, n=_LINE, beside=picture, precision=precision)
