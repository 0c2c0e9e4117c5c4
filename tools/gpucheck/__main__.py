"""The command behind `tools/gpu_check`."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from plenostream.errors import PlenostreamError
from plenostream.integrator.xla.environment import prepare_jax

_BUDGET = 8_000_000_000
_TARGETS = ("rtx3060ti_8gb", "rtx2070_8gb", "rtx4060_8gb", "rtx5060_8gb")


def _size(text: str) -> tuple[int, int]:
    width, height = map(int, text.split("x"))
    return width, height


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/gpu_check",
        description="Compile every kernel for an 8 GB GPU, without one, and add up what a picture "
        "of a 512^3 scene takes of it; or, with --run, render on the GPU that is here.",
    )
    parser.add_argument("--run", action="store_true", help="render; needs an NVIDIA GPU")
    parser.add_argument("--scene", type=Path, help="another scene than the 512^3 still life")
    parser.add_argument(
        "--size",
        action="append",
        type=_size,
        metavar="WIDTHxHEIGHT",
        help="of a picture, several times if you like (default: 800x800 and 1920x1080)",
    )
    parser.add_argument("--precision", choices=("float16", "float32"), default="float16")
    parser.add_argument(
        "--target",
        action="append",
        help="GPU to compile for, several times if you like: one of tools/gpucheck/targets, or a "
        "file like those (default: four generations of cards with 8 GB)",
    )
    parser.add_argument("--frames", type=int, default=12, help="with --run: frames that are timed")
    parser.add_argument(
        "--seconds",
        type=float,
        default=300.0,
        help="with --run: after which no other backend or size is begun",
    )
    return parser.parse_args()


def main() -> int:
    """Run it; 0 if all is well, 1 if not."""
    arguments = _arguments()
    sizes = arguments.size or [(800, 800), (1920, 1080)]
    if arguments.run:
        return _run(arguments, sizes)
    return _check(arguments, sizes)


def _check(arguments: argparse.Namespace, sizes: list[tuple[int, int]]) -> int:
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as dump:
        # Read when JAX starts. No CUDA client is ever made, and nothing is timed on a GPU.
        os.environ["JAX_PLATFORMS"] = "cpu"
        logging.getLogger("jax_plugins").setLevel(logging.ERROR)  # no CUDA runtime: yes, we know
        flags = [os.environ.get("XLA_FLAGS", ""), f"--xla_dump_to={dump}"]
        os.environ["XLA_FLAGS"] = " ".join([*flags, "--xla_gpu_autotune_level=0"])
        from gpucheck.check import check
        from gpucheck.scene import make_scene

        return check(
            arguments.scene or make_scene(),
            arguments.target or list(_TARGETS),
            sizes=sizes,
            precision=arguments.precision,
            dump=Path(dump),
        )


def _run(arguments: argparse.Namespace, sizes: list[tuple[int, int]]) -> int:
    began = time.monotonic()
    name, driver, mebibytes = _gpu()
    # As the command line does, for a budget of 8 GB: the allocator is held to it too.
    prepare_jax(_BUDGET)
    os.environ["JAX_PLATFORMS"] = "cuda,cpu"
    import jax
    import warp

    from gpucheck.rendering import faults, from_record, measure, table
    from gpucheck.scene import make_scene

    scene = arguments.scene or make_scene()
    print(
        f"./tools/gpu_check --run: {scene.name}, {arguments.precision} on the device, {name} "
        f"({mebibytes} MiB, driver {driver}), jax {jax.__version__}, warp {warp.__version__}, "
        f"{len(os.sched_getaffinity(0))} CPU cores; median (least to most) of up to "
        f"{arguments.frames} frames\n",
        flush=True,
    )
    cases, found = [], []
    for backend in ("warp", "xla"):
        # In a process of its own: this one takes nothing of the GPU.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            off, is_sound = apart.submit(from_record, backend).result()
        said = f"the sample scene by {backend}: {off:.2f} of 255 from svox2's own picture"
        print(said, flush=True)
        found += [] if is_sound else [said]
    heads, under = table([])
    print(f"\n{heads}\n{under}", flush=True)
    left = arguments.seconds - (time.monotonic() - began)
    asked = {"sizes": sizes, "precision": arguments.precision, "frames": arguments.frames}
    for case in measure(scene, **asked, seconds=left):
        print(f"{time.monotonic() - began:5.0f} s  {case.name}", file=sys.stderr, flush=True)
        cases.append(case)
        print(list(table([case]))[-1], flush=True)
    found += faults(cases)
    print("\n" + ("\n".join(f"FAULT: {fault}" for fault in found) or "No faults."))
    return 1 if found else 0


def _gpu() -> list[str]:
    """Name, driver and memory in MiB of the first NVIDIA GPU."""
    query = "--query-gpu=name,driver_version,memory.total"
    command = ["nvidia-smi", "--id=0", query, "--format=csv,noheader,nounits"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return said.strip().split(", ")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (PlenostreamError, FileNotFoundError) as error:
        sys.exit(f"gpu_check: {error}")
