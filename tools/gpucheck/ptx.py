"""What the machine code of each GPU kernel takes, as `ptxas` says, and some of what it does."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Dump", "Resources", "find_ptxas", "parse_ptxas"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Of one GPU kernel."""

    registers: int
    """A thread."""
    spilled_bytes: int
    """A thread: registers that had to be kept in memory."""
    shared_bytes: int
    """A block."""
    atomics: int
    """Instructions that read, change and write memory in one."""
    tf32: int
    """Matrix instructions that round their float32 factors to 10 bits of mantissa."""


def find_ptxas() -> Path:
    """The assembler, in NVIDIA's wheels.

    Raises
    ------
    FileNotFoundError : it is not there.
    """
    spec = importlib.util.find_spec("nvidia")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        for path in sorted(Path(folder).glob("*/bin/ptxas")):
            return path
    raise FileNotFoundError(f"no */bin/ptxas in {folders}")


class Dump:
    """The folder that XLA writes the PTX of its kernels to (`--xla_dump_to`)."""

    def __init__(self, folder: Path, arch: str) -> None:
        self._folder = folder
        self._arch = arch
        self._ptxas = find_ptxas()

    def take(self) -> dict[str, Resources]:
        """What the kernels take that were compiled since the last call, by name."""
        files = [path for path in self._folder.glob("*.ptx") if path.stat().st_size]
        with ThreadPoolExecutor(2) as pool:
            found = [kernel for kernels in pool.map(self._assemble, files) for kernel in kernels]
        for path in self._folder.iterdir():
            path.unlink()
        return dict(found)

    def _assemble(self, path: Path) -> list[tuple[str, Resources]]:
        with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
            command = [str(self._ptxas), "-v", f"-arch={self._arch}", str(path), "-o", cubin.name]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        return parse_ptxas(said, path.read_text())


def parse_ptxas(said: str, source: str) -> list[tuple[str, Resources]]:
    """Kernels and what they take, from what ``ptxas -v`` says of `source`."""
    parts = re.split(r"Compiling entry function '([^']+)'", said)[1:]
    atomics = len(re.findall(r"^\s+(?:@\S+ )?(?:atom|red)\.", source, re.M))
    tf32 = len(re.findall(r"^\s+(?:@\S+ )?\w*mma\S*tf32", source, re.M))

    def number(pattern: str, text: str) -> int:
        found = re.search(pattern, text)
        return int(found[1]) if found else 0

    return [
        (
            name,
            Resources(
                registers=number(r"Used (\d+) registers", text),
                spilled_bytes=number(r"(\d+) bytes spill stores", text),
                shared_bytes=number(r"(\d+) bytes smem", text),
                atomics=atomics,
                tf32=tf32,
            ),
        )
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    ]
