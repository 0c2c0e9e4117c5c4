"""Layers point one way, heavy libraries stay behind their fences, and what is public is named.

A new module must be entered in one of the tables below: that is where its layer is decided.
"""

from __future__ import annotations

import ast
import graphlib
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "plenostream"

CORE = ("version", "errors", "stats", "bytesize", "basis", "grid", "rules", "options")
"""Rank 0, in order: each may import those before it."""

RANKS = {
    "cameras": 1,
    "checkpoint": 1,
    "environment": 1,
    "images": 1,
    "store": 1,
    "budget": 2,
    "compiled": 2,
    "conversion": 2,
    "device": 2,
    "kernels": 2,
    "pointcloud": 2,
    "prefetch": 2,
    "residency": 2,
    "schedule": 2,
    "verification": 2,
    "programs": 3,
    "pool": 4,
    "render": 5,
    "api": 6,
    "bench": 7,
    "commands": 8,
    "cli": 9,
    "__main__": 10,
}
"""A module imports from lower ranks or from its own subpackage, never from a sibling."""

DEVICE_SIDE = {"compiled", "device", "kernels", "pool", "programs"}
"""Know no scene, camera or file: they import the core and each other, downwards. They are also
what may import jax, together with the host loop."""

APART = {"reference": set(), "testing": {*CORE, *RANKS, "reference"}}
"""For tests and tools alone: what each may import. No other module may import them."""

FENCES = {
    "jax": {*DEVICE_SIDE, "render"},
    "jaxlib": {*DEVICE_SIDE, "render"},
    "dask": {"conversion"},
    "distributed": {"conversion"},
    "cv2": {"images"},
    "av": {"images"},
    "OpenEXR": {"images"},
    "open3d": {"pointcloud"},
    "click": {"cli", "commands"},
    "tqdm": {"cli", "commands"},
    "hypothesis": {"testing"},
    "pytest": set(),
}
"""Libraries that are heavy, or belong to one concern: the modules that may import them."""

PREPARES_JAX = "plenostream.environment"
"""Configures jax, so it may import it too: late, and before anything else does."""

FRONT = {"cli", "commands", "environment", "__main__"}
"""The command line: it alone reads the environment, prints, and imports late to start fast."""

MODULES = sorted(PACKAGE.rglob("*.py"))
IDS = [str(path.relative_to(PACKAGE)) for path in MODULES]


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit_of(name: str) -> str:
    """The entry of the tables that a module `plenostream.x.y` belongs to: x."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Absolute names of the modules that a file imports, with the statement."""
    known = {dotted(other) for other in MODULES}
    package = dotted(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                deeper = f"{module}.{alias.name}"
                yield (deeper if deeper in known else module), node


def own_imports(path: Path) -> Iterator[tuple[str, ast.AST]]:
    for name, node in imports(path):
        if name == "plenostream" or name.startswith("plenostream."):
            yield name, node


def allowed_units(unit: str) -> set[str]:
    if unit in CORE:
        return {unit, *CORE[: CORE.index(unit)]}
    if unit in APART:
        return {unit, *APART[unit]}
    lower = {other for other, rank in RANKS.items() if rank < RANKS[unit]}
    return {unit, *CORE, *(lower & DEVICE_SIDE if unit in DEVICE_SIDE else lower)}


def function_bodies(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from ast.walk(node)


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_module_has_a_layer(path: Path) -> None:
    unit = unit_of(dotted(path))
    assert unit == "" or unit in {*CORE, *RANKS, *APART}, f"enter {unit!r} in a table of this file"


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_imports_point_downwards(path: Path) -> None:
    unit = unit_of(dotted(path))
    if unit == "":
        pytest.skip("the package itself hands out names of every layer, late")
    upward = {name for name, _ in own_imports(path)} - {"plenostream"}
    assert {name for name in upward if unit_of(name) not in allowed_units(unit)} == set()


def test_no_two_modules_import_each_other() -> None:
    graph = {dotted(p): {name for name, _ in own_imports(p)} - {dotted(p)} for p in MODULES}
    graph.pop("plenostream", None)
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_libraries_stay_behind_their_fences(path: Path) -> None:
    roots = {name.split(".")[0] for name, _ in imports(path)}
    unit = unit_of(dotted(path))
    if dotted(path) == PREPARES_JAX:
        roots.remove("jax")
    assert {root for root in roots if unit not in FENCES.get(root, {unit})} == set()


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_own_modules_are_imported_at_the_top(path: Path) -> None:
    if unit_of(dotted(path)) in FRONT | {""}:
        pytest.skip("imports late on purpose, to start fast")
    inside = set(function_bodies(ast.parse(path.read_text())))
    lines = {node.lineno for node in inside if isinstance(node, ast.Import | ast.ImportFrom)}
    late = [name for name, node in own_imports(path) if node.lineno in lines]  # type: ignore[attr-defined]
    assert late == [], "a late import hides a cycle"


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_libraries_neither_print_nor_read_the_environment_nor_catch_everything(path: Path) -> None:
    if unit_of(dotted(path)) in FRONT:
        pytest.skip("the command line does")
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += [node.func.id] * (node.func.id == "print")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            found += [name] * (name in {"os.environ", "os.getenv", "jax.config"})
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            found += [caught] * (caught in {"Exception", "everything"})
    assert found == []


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each in alphabetical order (isort's order)."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_public_names_are_listed_in_order_and_exist(path: Path) -> None:
    name = dotted(path)
    if name.endswith("__main__"):
        pytest.skip("running it is its use")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in FENCES:
            raise
        pytest.skip(f"{error.name} is not installed")
    listed = getattr(module, "__all__", None)
    defined = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", None) == name
    }
    if listed is None:
        assert defined == set(), "public names need an __all__"
        return
    assert list(listed) == sorted(listed, key=order)
    assert [missing for missing in listed if not hasattr(module, missing)] == []


def test_importing_the_package_leaves_heavy_libraries_alone() -> None:
    program = "import json, sys, plenostream; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert loaded & {"jax", "jaxlib", "cv2", "open3d", "dask", "distributed"} == set()


def test_late_import_is_seen_by_the_scan() -> None:
    tree = ast.parse("def f():\n    import jax\n")
    assert any(isinstance(node, ast.Import) for node in function_bodies(tree))
