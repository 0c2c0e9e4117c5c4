"""tools/fuzz and tools/soak: that a run of a second or two works, and how what they see is judged."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from plenostream.testing.checkpoints import CheckpointArrays

ROOT = Path(__file__).resolve().parents[2]
FUZZER = ROOT / ".fuzz" / "packages"
HAS_FUZZER = any((FUZZER / "atheris").glob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"))
"""Whether there is one, for this Python."""
sys.path.insert(0, str(ROOT / "tools"))

from soaking import Sample, flatness, main  # noqa: E402

Scenes = Callable[..., Path]
MB = 1_000_000


def run(
    module: str, *arguments: str | Path, fuzzer: bool = False
) -> subprocess.CompletedProcess[str]:
    path = [str(ROOT), str(ROOT / "tools"), *([str(FUZZER)] if fuzzer else [])]
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
    )


def curve(*sizes_mb: float, threads: int = 5, fds: int = 6) -> list[Sample]:
    """A sample a minute."""
    return [
        Sample(
            minute=n,
            rss_bytes=int(size * MB),
            objects=9,
            threads=threads,
            fds=fds,
            frames=n,
            verified=0,
        )
        for n, size in enumerate(sizes_mb)
    ]


@pytest.mark.parametrize("module", ["fuzzing", "soaking"])
def test_help_says_what_it_is_for_and_how_it_ends(module: str) -> None:
    done = run(module, "--help")
    assert done.returncode == 0
    assert "tools/" in done.stdout
    assert "xit code" in done.stdout


def test_kept_case_is_read_again_by_name() -> None:
    case = min((ROOT / "tests" / "corpus" / "npy").iterdir())
    done = run("fuzzing", "npy", "--replay", case)
    assert (done.returncode, done.stderr) == (0, "")
    assert "CheckpointError" in done.stdout or done.stdout == "read\n"


def test_unknown_reader_is_refused_with_those_that_there_are() -> None:
    done = run("fuzzing", "tarballs")
    assert done.returncode == 2
    assert "checkpoint" in done.stderr


@pytest.mark.skipif(not HAS_FUZZER, reason="the fuzzer is not installed (tools/fuzz does it)")
def test_run_of_two_seconds_counts_its_cases(tmp_path: Path) -> None:
    done = run("fuzzing", "npy", "--seconds", "2", "--folder", tmp_path, fuzzer=True)
    assert (done.returncode, done.stderr) == (0, "")
    words = done.stdout.split()
    assert words[0] == "npy:"
    assert int(words[1]) > 100
    assert "0 findings" in done.stdout
    assert any((tmp_path / "npy" / "endings").iterdir())


@pytest.mark.slow
def test_soak_of_seconds_writes_its_curve(
    gyroid: CheckpointArrays, make_scene: Scenes, tmp_path: Path
) -> None:
    target = tmp_path / "curve.csv"
    done = run(
        *("soaking", make_scene(gyroid), "--minutes", "0.05", "--every", "1"),
        *("--threads", "2", "--csv", target),
    )
    lines = done.stdout.splitlines()
    assert "error" not in done.stderr, done.stderr
    assert lines[-1].startswith(("resident size after", "threads grew", "too short"))
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(" drawn " in line for line in lines) >= 1
    assert int(rows[-1]["frames"]) > 0


def test_soak_of_a_scene_that_is_not_there_says_so(tmp_path: Path) -> None:
    done = run("soaking", tmp_path / "none.zarr", "--minutes", "0.1")
    assert done.returncode == 1
    assert "none.zarr" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("samples", "flat"),
    [
        (curve(300, 500, 600, 601, 600, 602, 601), True),
        (curve(300, 500, 600, 700, 650, 600, 600), True),
        (curve(300, 500, 600, 610, 620, 630, 640), False),
        (curve(300, 500, 600, 600, 600, 600, 700), False),
        ([*curve(300, 500, 600, 600, 600), *curve(*[600] * 7, threads=6)[5:]], False),
        ([*curve(300, 500, 600, 600, 600), *curve(*[600] * 7, fds=7)[5:]], False),
        (curve(300, 500), False),
    ],
    ids=["level", "a peak", "a slope", "a late step", "a thread", "a file", "too short"],
)
def test_memory_is_flat_when_nothing_grows_after_settling(
    samples: list[Sample], flat: bool
) -> None:
    assert flatness(samples, settle_minutes=2)[0] is flat


def test_soak_can_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["soak", "scene", "--minutes", "-1"])
    with pytest.raises(SystemExit, match="2"):
        main()
