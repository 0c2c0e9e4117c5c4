"""How the suite itself behaves: when a process dies, with what it writes, and what it says at its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PASSES = "def test_passes():\n    pass\n"

DISTRIBUTED = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
"""As in tools/test."""


def run_suite(
    folder: Path, *arguments: str, temporary: Path | None = None, **files: str
) -> subprocess.CompletedProcess[str]:
    """Run pytest, with the settings of this repository, on a folder of test files."""
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), "-p", "xdist"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *settings, "-p", "no:cacheprovider", *arguments, folder],
        cwd=folder,
        # Other plugins take a second to import, in each process.
        env={
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_DEBUG_TEMPROOT": str(temporary or folder),
        },
        capture_output=True,
        text=True,
        timeout=120,  # far above what it takes: this is what a hang runs into
    )


@pytest.mark.parametrize(
    "death",
    ["os.abort()", "os._exit(0)", "os.kill(os.getpid(), signal.SIGSEGV)"],
    ids=["abort", "exit", "segfault"],
)
def test_worker_that_dies_ends_the_run_with_a_failure(death: str, tmp_path: Path) -> None:
    dies = f"import os, signal\ndef test_before():\n    pass\ndef test_dies():\n    {death}\n"
    others = {f"other_{i}": PASSES for i in range(4)}
    done = run_suite(tmp_path, *DISTRIBUTED, dies=dies, **others)
    assert done.returncode != 0
    # Where a worker is gone in the middle of being told something, xdist itself fails.
    named = "crashed while running 'test_dies.py::" in done.stdout
    assert named or "INTERNALERROR" in done.stdout


def test_tools_test_distributes_as_is_tried_here() -> None:
    assert " ".join(DISTRIBUTED[2:]) in (ROOT / "tools" / "test").read_text()


def test_only_the_folders_of_failed_tests_are_kept(tmp_path: Path) -> None:
    writes = """
def test_fails(tmp_path):
    (tmp_path / "kept").touch()
    assert False
def test_passes(tmp_path, tmp_path_factory):
    (tmp_path / "gone").touch()
    (tmp_path_factory.mktemp("shared") / "gone too").touch()
"""
    (tmp_path / "suite").mkdir()
    suite = tmp_path / "suite"
    (suite / "conftest.py").write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.conftest import pytest_sessionfinish\n"
    )
    run_suite(suite, *DISTRIBUTED, temporary=tmp_path, writes=writes, other=PASSES)
    left = [
        path.name for path in (tmp_path).rglob("*") if path.is_file() and "suite" not in path.parts
    ]
    assert [name for name in left if name != ".lock"] == ["kept"]


def test_what_is_not_tried_for_want_of_a_library_is_counted_at_the_end(tmp_path: Path) -> None:
    skips = """
import pytest
@pytest.mark.parametrize("n", range(3))
def test_skips(n):
    pytest.skip("open3d cannot be loaded: libEGL.so.1")
"""
    (tmp_path / "conftest.py").write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.conftest import pytest_terminal_summary\n"
    )
    done = run_suite(tmp_path, *DISTRIBUTED, skips=skips, other=PASSES)
    assert "3 skipped, not tried here: open3d cannot be loaded: libEGL.so.1" in done.stdout


def test_few_cases_are_the_first_and_the_last_of_each_test_that_is_not_left_out(
    tmp_path: Path,
) -> None:
    cases = """
import pytest
@pytest.mark.parametrize("n", [0, 1, 2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_counts(n):
    assert n in (0, 3)
def test_passes():
    pass
"""
    hooks = "pytest_addoption, pytest_collection_modifyitems"
    (tmp_path / "conftest.py").write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.conftest import {hooks}\n"
    )
    done = run_suite(tmp_path, "--few", "-m", "not slow", cases=cases)
    assert "3 passed, 3 deselected" in done.stdout


def test_case_for_one_backend_is_drawn_by_native_alone(tmp_path: Path) -> None:
    cases = """
import pytest
@pytest.fixture(params=["native", "warp", "xla"])
def each_backend(request):
    return request.param
@pytest.mark.one_backend
def test_draws(each_backend):
    assert each_backend == "native"
def test_draws_on_every_backend(each_backend):
    pass
"""
    hooks = "pytest_addoption, pytest_collection_modifyitems"
    (tmp_path / "conftest.py").write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.conftest import {hooks}\n"
    )
    done = run_suite(tmp_path, cases=cases)
    assert "4 passed, 2 deselected" in done.stdout
