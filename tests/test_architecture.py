"""Layers point one way, heavy libraries stay behind their fences, and what is public is named.

A new module must be entered in one of the tables below: that is where its layer is decided.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "plenostream"

CORE = ("errors", "process", "rules", "files", "field", "options", "results")
"""Values, and what every layer needs; in order: each may import those before it."""

RANKS = {
    "cameras": 1,
    "format": 1,
    "integrator": 1,
    "plan": 1,
    "export": 2,
    "importers": 2,
    "stream": 2,
    "engine": 3,
    "sketch": 3,
    "scene": 3,
    "renderer": 4,
    "cluster": 5,
    "edits": 5,
    "train": 5,
    "viewer": 5,
    "cli": 6,
    "__main__": 7,
}
"""A unit imports from lower ranks or from itself, never from a sibling. So an integrator knows no
scene, camera or file, and a plan no device."""

APART = {
    "reference": {"reference_aovs", "reference_extras", "reference_rays"},
    "reference_aovs": set(),
    "reference_extras": set(),
    "reference_rays": set(),
    "testing": {*CORE, *RANKS, "reference"},
}
"""For tests and tools alone: what each may import. No other module may import them."""

FENCES = {
    "jax": {"integrator"},
    "jaxlib": {"integrator"},
    "warp": {"integrator"},
    "pynvml": {"integrator"},
    "dask": {"cluster", "importers"},
    "distributed": {"cluster", "importers"},
    "cv2": {"export", "sketch"},
    "av": {"export"},
    "OpenEXR": {"export"},
    "open3d": {"sketch"},
    "lpips": {"export"},
    "skimage": {"export"},
    "torch": {"export"},
    "trimesh": {"export"},
    "websockets": {"viewer", "testing"},
    "click": {"cli"},
    "tqdm": {"cli"},
    "hypothesis": {"testing"},
    "pytest": set(),
}
"""Libraries that are heavy, or belong to one concern: the units that may import them."""

FRONT = {"cli", "__main__"}
"""The command line: it alone reads the environment, prints, and imports late to start fast."""

STARTING = {
    "plenostream.process.interrupts",
    "plenostream.integrator.xla.environment",
    "plenostream.integrator.warp.environment",
}
"""Run before all else, or before a library is: they may import late too, and read the environment."""

CHOOSING = {"plenostream.integrator.backends"}
"""Imports a backend only where it draws, since what it is built on takes a second to load."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {dotted(path) for path in MODULES}


def unit_of(name: str) -> str:
    """The entry of the tables that a module `plenostream.x.y` belongs to: x."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


@dataclass(frozen=True, kw_only=True)
class Import:
    """One name that a module imports."""

    name: str
    """Absolute name of the module it comes from."""
    line: int
    late: bool
    """Inside a function."""

    @property
    def root(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True, kw_only=True)
class Module:
    """What one walk over a file finds; calls, names and handlers with their lines."""

    name: str
    path: Path
    imports: list[Import]
    reserved: list[tuple[str, int]]
    """Printing, reading the environment, setting JAX up, and catching everything."""

    @property
    def unit(self) -> str:
        return unit_of(self.name)

    def at(self, line: int, what: str) -> str:
        return f"{self.path.relative_to(PACKAGE.parent)}:{line}: {what}"


def scan(path: Path, name: str, source: str) -> Module:
    imports: list[Import] = []
    reserved: list[tuple[str, int]] = []
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]

    def visit(node: ast.AST, late: bool) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for imported in imported_names(node, package):
                imports.append(Import(name=imported, line=node.lineno, late=late))
        elif (what := reserved_name(node)) is not None:
            reserved.append((what, node.lineno))  # type: ignore[attr-defined]
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, late or inside)

    visit(ast.parse(source), False)
    return Module(name=name, path=path, imports=imports, reserved=reserved)


def imported_names(node: ast.Import | ast.ImportFrom, package: list[str]) -> list[str]:
    """Absolute names of the modules that a statement in a package imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = package[: len(package) - node.level + 1] if node.level else []
    module = ".".join([*base, *([node.module] if node.module else [])])
    deeper = [f"{module}.{alias.name}" for alias in node.names]
    return [name if name in NAMES else module for name in deeper]


def reserved_name(node: ast.AST) -> str | None:
    """What a statement or expression does that is for the command line alone."""
    found: str | None = None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        found = node.func.id if node.func.id == "print" else None
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        name = f"{node.value.id}.{node.attr}"
        found = name if name in {"os.environ", "os.getenv", "jax.config"} else None
    elif isinstance(node, ast.ExceptHandler):
        caught = ast.unparse(node.type) if node.type else "everything"
        found = f"except {caught}" if caught in {"Exception", "everything"} else None
    return found


@functools.cache  # not on import, which every worker does
def scanned() -> list[Module]:
    return [scan(path, dotted(path), path.read_text()) for path in MODULES]


def allowed_units(unit: str) -> set[str]:
    if unit in CORE:
        return {unit, *CORE[: CORE.index(unit)]}
    if unit in APART:
        return {unit, *APART[unit]}
    return {unit, *CORE, *(other for other, rank in RANKS.items() if rank < RANKS[unit])}


def upward(module: Module) -> Iterator[str]:
    if module.unit == "":
        return  # the package itself hands out names of every layer, late
    for found in module.imports:
        own = found.root == "plenostream" and found.name != "plenostream"
        if own and unit_of(found.name) not in allowed_units(module.unit):
            yield module.at(found.line, f"{found.name} is not below {module.unit}")


def over_the_fence(module: Module) -> Iterator[str]:
    for found in module.imports:
        if module.unit not in FENCES.get(found.root, {module.unit}):
            yield module.at(found.line, f"{found.root} is for {sorted(FENCES[found.root])}")


def late(module: Module) -> Iterator[str]:
    if module.unit in FRONT | {""} or module.name in STARTING | CHOOSING:
        return  # imports late on purpose, to start fast
    for found in module.imports:
        if found.late and found.root == "plenostream":
            yield module.at(found.line, f"a late import hides a cycle: {found.name}")


def of_the_command_line(module: Module) -> Iterator[str]:
    if module.unit not in FRONT and module.name not in STARTING:
        for what, line in module.reserved:
            yield module.at(line, f"{what} is for the command line")


RULES = (upward, over_the_fence, late, of_the_command_line)


def test_module_has_a_layer() -> None:
    units = {module.unit for module in scanned()} - {""}
    assert units - {*CORE, *RANKS, *APART} == set(), "enter these in a table of this file"


@pytest.mark.parametrize("rule", RULES)
def test_every_module_obeys(rule: Callable[[Module], Iterator[str]]) -> None:
    found = [broken for module in scanned() for broken in rule(module)]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (upward, "from plenostream.engine import frame"),
        (over_the_fence, "def f():\n    import jax"),
        (late, "def f():\n    from plenostream import errors"),
        (of_the_command_line, "print('a')"),
        (of_the_command_line, "import os\nhome = os.environ['HOME']"),
        (of_the_command_line, "try:\n    f()\nexcept Exception:\n    pass"),
    ],
)
def test_rule_sees_a_module_that_breaks_it(
    rule: Callable[[Module], Iterator[str]], source: str
) -> None:
    module = scan(PACKAGE / "export" / "new.py", "plenostream.export.new", source)
    assert [line.partition(": ")[0][-9:-2] for line in rule(module)] == ["/new.py"]


def test_no_two_modules_import_each_other() -> None:
    graph = {
        module.name: {i.name for i in module.imports if i.root == "plenostream"} - {module.name}
        for module in scanned()
        if module.name != "plenostream"
    }
    graphlib.TopologicalSorter(graph).prepare()


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each in alphabetical order (isort's order)."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def faults_of_public_names(name: str) -> Iterator[str]:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in FENCES:
            raise
        return  # an extra that is not installed
    listed = list(getattr(module, "__all__", ()))
    defined = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", None) == name
    }
    if defined and not hasattr(module, "__all__"):
        yield f"{name}: public names need an __all__: {sorted(defined)}"
    if listed != sorted(listed, key=order):
        yield f"{name}: __all__ is out of order"
    yield from (f"{name}: no {key}" for key in listed if not hasattr(module, key))


def test_public_names_are_listed_in_order_and_exist() -> None:
    names = sorted(NAMES - {"plenostream.__main__"})  # running it is its use
    found = [fault for name in names for fault in faults_of_public_names(name)]
    assert found == [], "\n".join(found)


def test_importing_the_package_leaves_heavy_libraries_alone() -> None:
    program = "import json, sys, plenostream; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert loaded & {"jax", "jaxlib", "warp", "cv2", "open3d", "dask", "distributed"} == set()
