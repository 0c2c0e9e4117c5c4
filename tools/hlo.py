"""XLA's optimised programs, read from their text: computations, instructions, and where in our
source each came from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Instruction", "Program", "read_program"]

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)$")
_CALLED = re.compile(r"(?:calls|to_apply|body|condition)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_FRAME = re.compile(r"metadata=\{[^}]*stack_frame_id=(\d+)")
_ENTRY = re.compile(r"(\d+) (.+)")
_FIELD = re.compile(r"(\w+)=(\d+)")
_TABLES = ("FileNames", "FunctionNames", "FileLocations", "StackFrames")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One line of a computation."""

    name: str
    shape: str
    """Type and shape of its result, with layouts."""
    code: str
    """``fusion``, ``add``, ``while``, ..."""
    rest: str
    """Operands and attributes."""

    @property
    def called(self) -> list[str]:
        """Computations that it runs."""
        found = _CALLED.findall(self.rest)
        for branches in _BRANCHES.findall(self.rest):
            found += [branch.strip().lstrip("%") for branch in branches.split(",")]
        return found


@dataclass(slots=True)
class Program:
    """What an optimised program's text says."""

    name: str
    """Of the module: ``jit_integrate``."""
    computations: dict[str, list[Instruction]] = field(default_factory=dict)
    """Instructions of each, in their order."""
    entry: str = ""
    """The computation that a run begins with."""
    _tables: dict[str, dict[int, str]] = field(default_factory=dict)
    """At the head of the text: files, functions and stack frames by number."""

    def inside(self, computation: str) -> Iterator[Instruction]:
        """The instructions of a computation and of all that it calls."""
        for instruction in self.computations.get(computation, ()):
            yield instruction
            for called in instruction.called:
                yield from self.inside(called)

    def source(self, instruction: Instruction) -> list[tuple[Path, str]]:
        """File and function of each Python frame that an instruction was traced in, outermost
        first; none for what XLA made itself."""
        found = _FRAME.search(instruction.rest)
        frames: list[tuple[Path, str]] = []
        if found is None:
            return frames
        # The first frame has no caller; how that is written differs between versions of XLA.
        none = self._fields("StackFrames", 1)["parent_frame_id"]
        frame = int(found[1])
        while frame > 0:
            about = self._fields("StackFrames", frame)
            place = self._fields("FileLocations", about["file_location_id"])
            file = self._tables["FileNames"][place["file_name_id"]].strip('"')
            function = self._tables["FunctionNames"][place["function_name_id"]].strip('"')
            frames.append((Path(file), function))
            frame = about["parent_frame_id"] - none
        return frames[::-1]

    def _fields(self, table: str, number: int) -> dict[str, int]:
        return {name: int(value) for name, value in _FIELD.findall(self._tables[table][number])}


def read_program(text: str) -> Program:
    """The program whose optimised text this is (`jax.stages.Compiled.as_text`)."""
    program = Program(text.split(maxsplit=2)[1].rstrip(","))
    tables: dict[str, dict[int, str]] = {name: {} for name in _TABLES}
    program._tables = tables
    table: dict[int, str] | None = None
    here = ""
    for line in text.splitlines():
        if line in tables:
            table = tables[line]
        elif table is not None and (entry := _ENTRY.fullmatch(line)):
            table[int(entry[1])] = entry[2]
        elif begins := _COMPUTATION.match(line):
            here = begins[2]
            program.computations[here] = []
            program.entry = here if begins[1] else program.entry
        elif line.startswith("}"):
            here = ""
        elif here and (found := _INSTRUCTION.match(line)):
            name, shape, code, rest = found.groups()
            instruction = Instruction(name=name, shape=shape, code=code, rest=rest)
            program.computations[here].append(instruction)
    return program
