"""What a program runs on the device, and what each operation is made of."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from hlo import Instruction, Program, read_program

__all__ = ["Operation", "operations"]

_TRIPS = re.compile(r'"known_trip_count":\{"n":"?(\d+)')
_KIND = re.compile(r"kind=k(\w+)")

_NO_WORK = {
    "after-all",
    "bitcast",
    "constant",
    "get-tuple-element",
    "parameter",
    "partition-id",
    "replica-id",
    "tuple",
}
_CONTROL = {"call", "conditional", "while"}
_ARITHMETIC = {"add", "subtract", "multiply", "divide", "sqrt", "rsqrt", "power", "floor"}
_COUNTED = ("gather", "scatter", "sort")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that the device is asked to do: one kernel of a GPU, or a loop."""

    name: str
    what: str
    """``fusion Loop``, ``copy``, ``while``, ..."""
    shape: str
    """Of its result, layouts left out."""
    depth: int
    """Loops and branches around it."""
    endless: bool
    """A loop whose number of trips depends on data."""
    trips: int | None
    """Of the loop, if it is one and they are known."""
    gathers: int
    scatters: int
    shared_scatters: int
    """Scatters whose indices may be equal: what they add needs atomics, and their order varies."""
    sorts: int
    float64: int
    """float64 operations of one run, elements counted."""


def operations(text: str) -> list[Operation]:
    """Everything that a program runs on the device, in its order, loops before what is in them."""
    program = read_program(text)
    return list(_walk(program, program.entry, 0))


def _walk(program: Program, computation: str, depth: int) -> Iterator[Operation]:
    for instruction in program.computations.get(computation, ()):
        if instruction.code in _NO_WORK:
            continue
        yield _operation(program, instruction, depth)
        if instruction.code in _CONTROL:
            for called in instruction.called:
                yield from _walk(program, called, depth + 1)


def _operation(program: Program, instruction: Instruction, depth: int) -> Operation:
    parts = [instruction]
    if instruction.code not in _CONTROL:
        for called in instruction.called:
            parts += program.inside(called)
    counts = {code: sum(part.code == code for part in parts) for code in _COUNTED}
    kind = _KIND.search(instruction.rest)
    trips = _TRIPS.search(instruction.rest)
    return Operation(
        name=instruction.name,
        what=f"{instruction.code} {kind[1]}" if kind else instruction.code,
        shape=re.sub(r"\{[^}]*\}|/\*.*?\*/", "", instruction.shape),
        depth=depth,
        endless=instruction.code == "while" and trips is None,
        trips=int(trips[1]) if trips else None,
        gathers=counts["gather"],
        scatters=counts["scatter"],
        shared_scatters=sum(
            part.code == "scatter" and "unique_indices=true" not in part.rest for part in parts
        ),
        sorts=counts["sort"],
        float64=sum(_elements(part.shape) for part in parts if _is_float64(part)),
    )


def _is_float64(instruction: Instruction) -> bool:
    return instruction.shape.startswith("f64") and instruction.code in _ARITHMETIC


def _elements(shape: str) -> int:
    dimensions = shape.partition("[")[2].partition("]")[0]
    return math.prod(int(n) for n in dimensions.split(",") if n)
