"""Compile for GPUs that are not here, add up, and say what came out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax

from gpucheck.kernel import Kernel
from gpucheck.machine import Dump
from gpucheck.memory import Case, plan_picture, plan_rays
from gpucheck.report import faults, kernel_faults, kernel_lines, kernels_table, memory_table
from gpucheck.target import Target, compile_only, read_target
from gpucheck.walks import build_walks, walk_faults, walks_table
from plenostream.errors import DeviceError
from plenostream.format.opening import open_store
from plenostream.format.reader import SceneStore

__all__ = ["check"]

_LINE = 1920
"""Rays of a line of pixels: pictures may have one that is drawn as arbitrary rays."""


def check(
    scene: Path,
    target_names: list[str],
    *,
    sizes: list[tuple[int, int]],
    precision: str,
    dump: Path,
) -> int:
    """Check pictures of `scene` with these (width, height); prints; 0 if all is well, else 1.

    What each kernel launches is listed for the first of the targets. `dump` is the folder that XLA
    was told to write to when JAX started.
    """
    targets = [read_target(name) for name in target_names]
    watch = Dump(dump)
    found: list[str] = []
    with open_store(scene) as store:
        meta = store.meta
        print(
            f"jax {jax.__version__}; no GPU is used. {scene.name}: "
            f"{' x '.join(map(str, meta.grid.size))}, {meta.n_bricks} bricks of "
            f"{meta.brick_size}^3 cells, {meta.n_rows} rows, {precision} on the device"
        )
        for target in targets:
            title = f"{target.name}, compute capability {target.capability}"
            print(f"\n{title}\n{'=' * len(title)}")
            known: list[Kernel] = []
            try:
                for case in _cases(store, target, watch, sizes, precision):
                    print("", *memory_table(case, target), "", sep="\n")
                    print(*kernels_table(case.kernels), sep="\n")
                    found += faults(case, target)
                    known += case.kernels.values()
            except DeviceError as error:
                found.append(str(error))
                print(f"\n{error}")
            found += [fault for kernel in known for fault in kernel_faults(kernel, target)]
            if target is targets[0]:
                _print_launches(known)
    title = "Kernels of the backend warp"
    print(f"\n{title}\n{'=' * len(title)}")
    walks = list(build_walks(precision=precision))
    print(*walks_table(walks), sep="\n")
    found += [fault for walk in walks for fault in walk_faults(walk)]
    print("", *(f"FAULT: {fault}" for fault in dict.fromkeys(found)), sep="\n")
    if not found:
        print("No faults.")
    return 1 if found else 0


def _print_launches(kernels: list[Kernel]) -> None:
    """Each kernel in full, those that differ from an earlier one in sizes alone left out."""
    shown: set[tuple[object, ...]] = set()
    for kernel in kernels:
        launches = tuple((op.depth, op.what, op.gathers) for op in kernel.operations)
        if (kernel.name, launches) not in shown:
            shown.add((kernel.name, launches))
            print("", *kernel_lines(kernel), sep="\n")


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
