"""What is set up for JAX: memory, threads, and the folder of compiled kernels."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import pytest

from plenostream.integrator.xla import environment
from plenostream.integrator.xla.environment import (
    BLOCK_LOST,
    CACHE_BYTES,
    cache_folder,
    hands_out_blocks,
    prepare_jax,
)

CACHE_SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs",
)
BOUNDS = (
    "XLA_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_PREALLOCATE",
    "XLA_PYTHON_CLIENT_ALLOCATOR",
)
FRACTION, _, PREALLOCATE, ALLOCATOR = BOUNDS


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> Iterator[None]:
    """What a command sets for JAX must not reach other tests, nor the user's caches this one."""
    before = {name: getattr(jax.config, name) for name in CACHE_SETTINGS}
    monkeypatch.setattr(os, "environ", dict(os.environ))
    # Set, so that JAX's own settings stay as they are.
    os.environ["NPROC"] = "2"
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    # The suite's own folder of compiled programs.
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    os.environ.pop("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", None)
    # What a run on a GPU shares among its workers, see ./tools/test --gpu.
    for name in BOUNDS:
        os.environ.pop(name, None)
    # Of the processes that are started: a GPU has no room for one more, and its log says things.
    os.environ["JAX_PLATFORMS"] = "cpu"
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_keeps_compiled_kernels_in_the_users_cache() -> None:
    prepare_jax()
    folder = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    assert folder == Path(os.environ["XDG_CACHE_HOME"]) / "plenostream" / "jax"
    assert folder.is_dir()


def test_does_without_a_cache_where_none_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path / "file")
    prepare_jax()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


def test_turns_off_preallocation() -> None:
    prepare_jax()
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


def test_leaves_what_the_user_set() -> None:
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "true"
    os.environ["JAX_COMPILATION_CACHE_DIR"] = "elsewhere"
    prepare_jax()
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "true"
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "elsewhere"


@pytest.fixture
def asynchronous() -> Iterator[Callable[[], bool]]:
    """Tells whether JAX runs programs on a CPU in threads of its own; it does so at first."""
    name = "jax_cpu_enable_async_dispatch"
    before = jax.config.read(name)
    jax.config.update(name, True)
    yield lambda: jax.config.read(name)
    jax.config.update(name, before)


def test_leaves_the_cores_of_a_cpu_to_the_renderers_threads(
    asynchronous: Callable[[], bool],
) -> None:
    del os.environ["NPROC"]
    prepare_jax()
    assert os.environ["NPROC"] == "1"
    assert not asynchronous()


def test_of_a_process_without_jax_is_finished_when_a_device_is_made() -> None:
    program = """if True:
        import sys
        import plenostream
        plenostream.prepare_jax()
        assert "jax" not in sys.modules
        from plenostream.integrator.xla.device import Device
        Device(None, 1)
        import jax
        print(jax.config.read("jax_cpu_enable_async_dispatch"))
    """
    del os.environ["NPROC"]
    done = subprocess.run(
        [sys.executable, "-c", program], env=dict(os.environ), capture_output=True, text=True
    )
    assert done.stdout.strip() == "False", done.stderr


def test_leaves_the_threads_that_the_user_asked_for(asynchronous: Callable[[], bool]) -> None:
    os.environ["NPROC"] = "4"
    prepare_jax()
    assert os.environ["NPROC"] == "4"
    assert asynchronous()


def test_folder_of_compiled_kernels_has_a_bound() -> None:
    prepare_jax()
    assert os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] == str(CACHE_BYTES)


def test_full_disk_has_kernels_compiled_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    prepare_jax()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


def test_entry_that_was_cut_off_is_dropped_unless_it_is_being_written() -> None:
    folder = cache_folder()
    folder.mkdir(parents=True)
    for name in ("whole", "cut", "new"):
        (folder / f"{name}-cache").write_bytes(b"kernel")
    (folder / "whole-atime").write_bytes(bytes(8))
    an_hour_ago = time.time() - 3600
    os.utime(folder / "cut-cache", (an_hour_ago, an_hour_ago))
    os.utime(folder / "whole-cache", (an_hour_ago, an_hour_ago))
    prepare_jax()
    assert sorted(path.name for path in folder.iterdir()) == [
        "new-cache",
        "whole-atime",
        "whole-cache",
    ]


@pytest.mark.parametrize("way", ["reading", "writing"])
def test_what_jax_says_of_its_cache_is_not_shown(way: str) -> None:
    with warnings.catch_warnings():
        prepare_jax()
        warnings.warn(
            f"Error {way} persistent compilation cache entry for 'f': OSError", stacklevel=1
        )


def test_folder_is_used_by_a_jax_that_was_imported_before() -> None:
    prepare_jax()
    assert jax.config.jax_compilation_cache_dir == os.environ["JAX_COMPILATION_CACHE_DIR"]
    assert jax.config.jax_compilation_cache_max_size == CACHE_BYTES


@pytest.mark.parametrize("first", ["prepare_jax()", "import jax"])
def test_kernels_are_compiled_once_and_kept_within_the_bound(tmp_path: Path, first: str) -> None:
    program = f"""
        from plenostream.integrator.xla.environment import prepare_jax
        {first}
        prepare_jax()
        import jax
        for n in range(4):
            jax.jit(lambda x: x * n)(1.0)
    """
    variables = {
        **os.environ, "XDG_CACHE_HOME": str(tmp_path), "JAX_COMPILATION_CACHE_MAX_SIZE": "20000",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        env=variables, capture_output=True, text=True, check=True,
    )  # fmt: skip
    entries = list((tmp_path / "plenostream" / "jax").glob("*-cache"))
    assert done.stderr == ""
    assert entries
    assert sum(entry.stat().st_size for entry in entries) <= 20_000


class Nvml:
    """Stands in for NVIDIA's library of the same functions, on a machine with two GPUs."""

    NVMLError = RuntimeError
    SIZES = (24_000_000_000, 10_000_000_000)

    def __init__(self, *, driver: bool = True) -> None:
        self.driver = driver
        self.closed = False

    def nvmlInit(self) -> None:
        if not self.driver:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlShutdown(self) -> None:
        self.closed = True

    def nvmlDeviceGetCount(self) -> int:
        return len(self.SIZES)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(total=self.SIZES[handle])


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nvml]:
    nvml = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    for name in BOUNDS:
        monkeypatch.setenv(name, "")  # what is set below is taken back with it
        monkeypatch.delenv(name)
    interval = sys.getswitchinterval()
    yield nvml
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("memory", [1_800_000_000, "1.8GB"])
def test_memory_of_a_gpu_is_bounded_by_the_budget(nvml: Nvml, memory: int | str) -> None:
    prepare_jax(memory)
    # Nine tenths are the budget, on the smaller of the two; and a block that is never cut.
    assert float(os.environ[FRACTION]) == pytest.approx(0.2 + BLOCK_LOST / 10e9, abs=1e-5)
    assert os.environ[PREALLOCATE] == "true"
    assert not hands_out_blocks()
    assert nvml.closed


def test_no_more_than_the_gpu_is_asked_for(nvml: Nvml) -> None:
    prepare_jax("80GB")
    assert float(os.environ[FRACTION]) == 1.0


def test_without_a_budget_the_memory_of_a_gpu_is_taken_as_it_is_needed(nvml: Nvml) -> None:
    prepare_jax()
    assert FRACTION not in os.environ
    assert hands_out_blocks()


@pytest.mark.parametrize("name", BOUNDS)
def test_what_is_said_of_jaxs_memory_stays(
    nvml: Nvml, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "0.5")
    prepare_jax("1GB")
    assert os.environ[name] == "0.5"
    assert (FRACTION in os.environ) == (name == FRACTION)


def test_threads_take_turns_more_often_beside_a_gpu(nvml: Nvml) -> None:
    prepare_jax()
    assert sys.getswitchinterval() <= 0.001


def test_without_a_driver_nothing_is_set_for_gpus(nvml: Nvml) -> None:
    nvml.driver = False
    before = sys.getswitchinterval()
    prepare_jax("1GB")
    assert FRACTION not in os.environ
    assert sys.getswitchinterval() == before


@pytest.mark.parametrize(
    ("preallocate", "allocator", "expected"),
    [
        (None, None, False),  # JAX takes its share of the GPU at once
        ("true", "bfc", False),
        ("false", None, True),
        ("0", "default", True),
        ("false", "cuda_async", False),
        ("false", "platform", False),
    ],
)
def test_blocks_are_handed_out_where_memory_is_taken_as_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
    preallocate: str | None,
    allocator: str | None,
    expected: bool,
) -> None:
    for name, value in (("XLA_PYTHON_CLIENT_PREALLOCATE", preallocate), (ALLOCATOR, allocator)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert hands_out_blocks() is expected
