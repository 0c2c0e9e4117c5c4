"""Compiles the kernels of the native integrator with zig's C compiler, for this platform or another.

Standard library alone, beside the `ziglang` package: the build of the package uses it.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

__all__ = [
    "FLAGS",
    "TARGETS",
    "Target",
    "compile_library",
    "host_target",
    "kernel_names",
    "library_of",
    "sources",
]

_NATIVE = Path(__file__).resolve().parents[1] / "plenostream" / "integrator" / "native"

FLAGS = (
    "-std=c11",
    "-O3",
    "-fPIC",
    "-fvisibility=hidden",
    # Neither errno nor floating-point exceptions are looked at; without these, vectors are not used
    # where a lane that does not count might raise one.
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-strict-aliasing",
    # Products and sums are one operation wherever they meet, but where the source forbids it.
    "-ffp-contract=fast-honor-pragmas",
    "-Wall",
    "-Wextra",
)

_X86 = {
    "v4": ("-mcpu=x86_64_v4", "-mprefer-vector-width=512"),
    "v3": ("-mcpu=x86_64_v3+fast_gather",),
    "v1": ("-mcpu=x86_64",),
}
_PLAIN = {"v1": ()}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A platform."""

    triple: str
    """How zig calls it, with the oldest system library."""
    wheel: str
    """How wheels call it."""
    platform: str
    """How `sys.platform` calls it."""
    variants: dict[str, tuple[str, ...]]
    """What the library holds, with the compiler's options for each."""


TARGETS = {
    "linux-x86_64": Target(
        triple="x86_64-linux-gnu.2.17",
        wheel="manylinux_2_17_x86_64",
        platform="linux",
        variants=_X86,
    ),
    "linux-aarch64": Target(
        triple="aarch64-linux-gnu.2.17",
        wheel="manylinux_2_17_aarch64",
        platform="linux",
        variants=_PLAIN,
    ),
    "macos-x86_64": Target(
        triple="x86_64-macos.11.0", wheel="macosx_11_0_x86_64", platform="darwin", variants=_X86
    ),
    "macos-arm64": Target(
        triple="aarch64-macos.11.0", wheel="macosx_11_0_arm64", platform="darwin", variants=_PLAIN
    ),
    "windows-x86_64": Target(
        triple="x86_64-windows-gnu", wheel="win_amd64", platform="win32", variants=_X86
    ),
}


def sources() -> ModuleType:
    """`plenostream.integrator.native.sources`, without the package around it."""
    spec = importlib.util.spec_from_file_location("kernel_sources", _NATIVE / "sources.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kernel_names() -> list[str]:
    """What the library exports for each variant."""
    text = (sources().FOLDER / "kernels.c").read_text()
    return re.findall(r"^KERNEL\((\w+),", text, re.MULTILINE)


def host_target() -> Target | None:
    """The platform that this runs on, None where it is not among `TARGETS`."""
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, "")
    if system == "linux" and platform.libc_ver()[0] != "glibc":
        return None
    return TARGETS.get(f"{system}-{machine}")


def library_of(target: Target) -> Path:
    """Where the package looks for the library."""
    name: str = sources().library_name(target.platform)
    return _NATIVE / name


def compile_library(target: Target, library: Path, work: Path, *, more: Sequence[str] = ()) -> None:
    """Compile all variants and link them into `library`; everything else stays in the folder `work`.

    Raises
    ------
    RuntimeError : the compiler is not there or fails, with what it said.
    """
    work.mkdir(parents=True, exist_ok=True)
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target.triple, *FLAGS, *more]
    cache = str(work / "zig")
    env = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    kernels = sources()
    objects, calls = [], []
    for variant, options in target.variants.items():
        objects.append(str(work / f"{variant}.o"))
        source = str(kernels.FOLDER / "kernels.c")
        command = [*compiler, *options, f"-DVARIANT={variant}", "-c", source, "-o", objects[-1]]
        calls.append(_start(command, env))
    _finish(*calls)
    # Beside its place first: a library in use is replaced as a whole.
    part = library.with_name(f"{library.name}.part")
    made_from = f'-DSOURCES="{kernels.digest()}"'
    variants = str(kernels.FOLDER / "variants.c")
    link = [*compiler, made_from, "-shared", "-s", variants, *objects, "-o", str(part)]
    _finish(_start(link, env))
    os.replace(part, library)


def _start(command: list[str], env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _finish(*calls: subprocess.Popen[str]) -> None:
    """Wait for all; raises with what the first of those that failed said."""
    said = [call.communicate()[0] for call in calls]
    for call, text in zip(calls, said, strict=True):
        if call.returncode:
            raise RuntimeError(text.strip()[-2000:])
