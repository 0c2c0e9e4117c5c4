"""What XLA leaves in its dump: the machine code of each GPU kernel, and how the host runs them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Code", "Dump", "Resources", "find_tool", "loops_of_the_host", "parse_ptxas"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Of a program."""

    resources: dict[str, Resources] = field(default_factory=dict)
    """Of its GPU kernels, by name."""
    host_loops: int | None = None
    """Loops that the host goes round, and not the device, inside a CUDA graph; None: not known."""


def find_tool(name: str) -> Path:
    """The program `name`, in NVIDIA's wheels.

    Raises
    ------
    FileNotFoundError : it is not there.
    """
    spec = importlib.util.find_spec("nvidia")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        for path in sorted(Path(folder).glob(f"*/bin/{name}")):
            return path
    raise FileNotFoundError(f"no */bin/{name} in {folders}")


class Dump:
    """The folder that XLA writes the PTX of its kernels to (`--xla_dump_to`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ptxas = str(find_tool("ptxas"))

    def take(self) -> Code:
        """What was compiled since the last call, which must be one program."""
        # The second is written only where something became a graph.
        thunks = sorted(self._folder.glob("*.thunk_sequence*.txt"), key=lambda path: len(path.name))
        host_loops = loops_of_the_host(thunks[-1].read_text()) if thunks else None
        files = [path for path in self._folder.glob("*.ptx") if path.stat().st_size]
        with ThreadPoolExecutor(2) as pool:
            found = [kernel for kernels in pool.map(self._assemble, files) for kernel in kernels]
        for path in self._folder.iterdir():
            path.unlink()
        return Code(resources=dict(found), host_loops=host_loops)

    def _assemble(self, path: Path) -> list[tuple[str, Resources]]:
        source = path.read_text()
        made_for = re.search(r"^\.target (\w+)", source, re.M)
        assert made_for, f"{path.name} names no target"
        with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
            command = [self._ptxas, "-v", f"-arch={made_for[1]}", str(path), "-o", cubin.name]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        return parse_ptxas(said, source)


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


def loops_of_the_host(thunks: str) -> int:
    """Loops outside of CUDA graphs in XLA's list of what the host runs (``thunk_sequence``)."""
    around: list[tuple[int, str]] = []
    loops = 0
    for indent, kind in re.findall(r"^( *)\d+: (k\w+)", thunks, re.M):
        around = [(depth, what) for depth, what in around if depth < len(indent)]
        loops += kind == "kWhile" and "kCommandBuffer" not in {what for _, what in around}
        around.append((len(indent), kind))
    return loops
