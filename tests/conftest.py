"""Settings and fixtures of the whole suite: strict JAX, hypothesis profiles, scenes, ../shared."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
import xxhash
from hypothesis import settings

from plenostream.format import layout
from plenostream.integrator.backends import ChosenBackend, Terms
from plenostream.integrator.interface import Integrator
from plenostream.integrator.xla.environment import cache_folder
from plenostream.options import Backend
from plenostream.plan import budget
from plenostream.testing.checkpoints import CheckpointArrays, gyroid_checkpoint, random_checkpoint
from plenostream.testing.scenes import SMALL_CHUNKS

# Set through the environment, so that the tests of NumPy-only modules need not import jax and
# that the processes which tests start are held to the same rules.
os.environ["JAX_NUMPY_DTYPE_PROMOTION"] = "strict"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# No deadlines: on a busy machine they fail for the wrong reason. "dev" always draws the same
# examples, so that a failure in the gate is a failure at one's desk; "full" looks for new ones.
settings.register_profile("dev", max_examples=40, deadline=None, derandomize=True)
settings.register_profile("full", max_examples=1000, deadline=None)
settings.load_profile("dev")

_LACKS = ("needs ", "cannot be loaded", "could not import", "is not installed")
"""Words of the reasons for which a test is skipped that would have run elsewhere."""

_INTEGRATOR = Path(__file__).resolve().parents[1] / "plenostream" / "integrator"
_COMPILED_FROM = [
    _INTEGRATOR / "lattice.py",
    *(_INTEGRATOR / "xla").rglob("*.py"),
    *(_INTEGRATOR / "warp").rglob("*.py"),
]
"""Files of the kernels that XLA compiles."""
_KEPT_SECONDS = 24 * 3600
"""For how long programs of other kernels are kept."""

_NEEDS_SHARED = "needs the folder `shared` beside this checkout (recorded svox2 outputs, models)"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with recorded outputs and trained models; the test is skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "reference" / "check.py").is_file():
        pytest.skip(_NEEDS_SHARED)
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count what was skipped for want of something, by reason, so that no gap goes unnoticed."""
    reasons = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
    )
    for reason, n in reasons.items():
        if any(word in reason for word in _LACKS):
            terminalreporter.write_line(f"{n} skipped, not tried here: {reason}", yellow=True)


def pytest_configure() -> None:
    """Keep compiled programs, for all processes of this run and for later ones of the same kernels.

    XLA's compiler takes most of the suite's time. JAX finds a program by its operations and the
    compiler's settings, and reads it as it was compiled, names of Python functions included: hence
    a folder for each state of the kernels' source. JAX_COMPILATION_CACHE_DIR, set to an empty
    folder, makes a run compile everything.
    """
    # Small programs are many; JAX would keep those only that take a second.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:  # a worker has its controller's
        return
    with contextlib.suppress(OSError, RuntimeError):  # no home, or none that can be written to
        source = b"".join(path.read_bytes() for path in sorted(_COMPILED_FROM))
        folder = cache_folder().with_name("tests") / xxhash.xxh3_64_hexdigest(source)
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        for other in folder.parent.iterdir():
            if time.time() - other.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(other, ignore_errors=True)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--few`: for one more Python, which changes what a test does, but not one of its cases alone."""
    parser.addoption("--few", action="store_true", help="run two cases of each test at most")


@pytest.hookimpl(trylast=True)  # after what -m leaves out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what one backend proves, and most cases where `--few` are wanted; put the files with
    the most slow tests first, so that no worker is left with one at the end."""
    kept = [item for item in items if not _was_proven(item)]
    if config.getoption("few"):
        kept = _first_and_last(kept)
    left_out = set(items) - set(kept)
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    slow = Counter(item.path for item in kept if item.get_closest_marker("slow"))
    items[:] = sorted(kept, key=lambda item: -slow[item.path])


def _first_and_last(items: list[pytest.Item]) -> list[pytest.Item]:
    """Of the cases of each test, the first and the last."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    ends = {id(item) for mine in cases.values() for item in (mine[0], mine[-1])}
    return [item for item in items if id(item) in ends]


def _was_proven(item: pytest.Item) -> bool:
    """Whether this is a case for one backend, of another than that one: of `warp` on a GPU, where
    `native` does not draw."""
    one = "native" if os.environ["JAX_PLATFORMS"] == "cpu" else "warp"
    call = getattr(item, "callspec", None)
    if call is None or not item.get_closest_marker("one_backend"):
        return False
    return bool(call.params.get("each_backend", one) != one)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep what failed tests wrote, and nothing of what all tests share."""
    if hasattr(session.config, "workerinput"):
        return
    base = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    for folder in [base, *base.glob("popen-*")]:
        for entry in folder.glob("*"):
            # `tmp_path` is named after its test; what `mktemp` makes is not.
            if not entry.name.startswith(("test_", "popen-")) and entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)


@pytest.fixture(scope="session")
def tiny() -> CheckpointArrays:
    """A random checkpoint of 16^3 voxels, as arrays."""
    return random_checkpoint(1)


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny: CheckpointArrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    return tiny.save(tmp_path_factory.mktemp("checkpoints") / "tiny.npz")


@pytest.fixture(scope="module")
def small_chunks() -> Iterator[None]:
    """Scenes are written and read with chunks of a few rows, so that small ones have several."""
    with pytest.MonkeyPatch.context() as patch:
        for name, rows in SMALL_CHUNKS.items():
            patch.setattr(layout, name, rows)
        yield


@pytest.fixture(scope="session")
def gyroid() -> CheckpointArrays:
    """A curved sheet in 48^3 voxels: many bricks, empty ones and hidden ones among them."""
    return gyroid_checkpoint()


@pytest.fixture(scope="session")
def gyroid_file(gyroid: CheckpointArrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    return gyroid.save(tmp_path_factory.mktemp("checkpoints") / "gyroid.npz")


@pytest.fixture(scope="session")
def make_scene(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`make_scene(checkpoint, brick_size=16)`: the scene of a checkpoint (arrays or a file).

    Each file is converted once a session, brick size and size of chunks.
    """
    made: dict[tuple[CheckpointArrays | Path, int, int], Path] = {}

    def make(checkpoint: CheckpointArrays | Path, *, brick_size: int = 16) -> Path:
        # Modules with `small_chunks` have scenes of their own.
        key = (checkpoint, brick_size, layout.BRICKS_PER_CHUNK)
        if key not in made:
            import plenostream as ps

            folder = tmp_path_factory.mktemp("scenes")
            if isinstance(checkpoint, Path):
                source = checkpoint
            else:
                source = checkpoint.save(folder / "checkpoint.npz", compressed=False)
            target = folder / "scene.zarr"
            ps.convert(source, target, ps.ConvertOptions(brick_size=brick_size, levels=0))
            made[key] = target
        return made[key]

    return make


@pytest.fixture(scope="module", params=["folder", pytest.param("zip", marks=pytest.mark.slow)])
def folder_or_zip(
    request: pytest.FixtureRequest,
    gyroid: CheckpointArrays,
    make_scene: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The scene of `gyroid`, in both of its forms."""
    from plenostream.testing.scenes import zip_scene

    folder = make_scene(gyroid)
    if request.param == "folder":
        return folder
    return zip_scene(folder, tmp_path_factory.mktemp("zipped") / "scene.zip")


_BACKENDS = [
    name if name == "native" else pytest.param(name, marks=pytest.mark.slow)
    for name in get_args(Backend)[1:]
]


@pytest.fixture(scope="module", params=_BACKENDS)
def each_backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a module's tests once for each backend, which stands for `auto` meanwhile.

    What holds for one backend holds for all. Fixtures that draw have to ask for this one. Cases that
    are marked `one_backend` run with the one alone that is made for the device: the rule is tried on
    every backend by others of the same test, and what they add lies outside of a backend (another view,
    lens or model).
    """
    from plenostream.engine import opening

    if request.param == "native" and os.environ["JAX_PLATFORMS"] != "cpu":
        pytest.skip("the native backend draws on CPUs")
    opened = opening.open_integrator

    def open_this(backend: Backend, terms: Terms) -> tuple[Integrator, ChosenBackend]:
        return opened(request.param if backend == "auto" else backend, terms)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "open_integrator", open_this)
        yield request.param


@pytest.fixture(scope="module")
def same_bits(each_backend: str) -> float:
    """By how much two pictures of one configuration may differ: by nothing, but where `xla` draws on a
    GPU. There samples are added to their rays in the order in which threads happen to come."""
    return 2e-6 if each_backend == "xla" and os.environ["JAX_PLATFORMS"] != "cpu" else 0.0


@pytest.fixture(scope="module")
def alike_pools() -> Iterator[None]:
    """Small scenes get pools of one size, and so share compiled programs.

    For tests of pictures alone: what is planned is more than the scenes need.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "_LEAST_SLOTS", 1024)
        patch.setattr(budget, "_LEAST_PAGES", 16_384)
        yield
