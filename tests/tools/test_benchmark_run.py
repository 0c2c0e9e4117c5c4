"""tools/bench: a whole run, and what profiles read out of threads and programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from benchmarks.profile import _place  # noqa: E402
from benchmarks.stages import stages_of  # noqa: E402
from hlo import read_program  # noqa: E402

PROGRAM = """\
HloModule jit_integrate, is_scheduled=true

FileNames
1 "/somewhere/plenostream/integrator/xla/programs.py"
2 "/somewhere/plenostream/integrator/xla/kernels/integrate.py"
3 "/somewhere/plenostream/integrator/xla/kernels/lanes.py"
4 "/somewhere/plenostream/integrator/xla/kernels/shade.py"

FunctionNames
1 "Programs.integrate"
2 "integrate.<locals>.block"
3 "shade_samples"
4 "fence.<locals>.call"
5 "_blend"

FileLocations
1 {file_name_id=1 function_name_id=1 line=1 end_line=1 column=1 end_column=2}
2 {file_name_id=2 function_name_id=2 line=1 end_line=1 column=1 end_column=2}
3 {file_name_id=4 function_name_id=3 line=1 end_line=1 column=1 end_column=2}
4 {file_name_id=3 function_name_id=4 line=1 end_line=1 column=1 end_column=2}
5 {file_name_id=4 function_name_id=5 line=1 end_line=1 column=1 end_column=2}

StackFrames
1 {file_location_id=1 parent_frame_id=1}
2 {file_location_id=2 parent_frame_id=2}
3 {file_location_id=3 parent_frame_id=3}
4 {file_location_id=4 parent_frame_id=4}
5 {file_location_id=5 parent_frame_id=5}


%fused_computation (p: f32[8]) -> f32[8] {
  %p = f32[8]{0} parameter(0)
  ROOT %multiply.2 = f32[8]{0} multiply(%p, %p), metadata={op_name="mul" stack_frame_id=5}
}

ENTRY %main (x: f32[8]) -> f32[8] {
  %x = f32[8]{0} parameter(0)
  %while.1 = f32[8]{0} while(%x), metadata={op_name="while" stack_frame_id=2}
  %cond.1 = f32[8]{0} conditional(%x), metadata={op_name="cond" stack_frame_id=4}, backend_config={}
  ROOT %fusion.1 = f32[8]{0} fusion(%x), kind=kLoop, calls=%fused_computation
}
"""


@pytest.mark.parametrize(
    ("operation", "stage"),
    [
        ("while.1", "jit_integrate (loops)"),
        ("cond.1", "shade_samples"),
        ("multiply.2", "shade_samples > _blend"),
        ("fusion.1", "shade_samples > _blend"),
        ("x", "jit_integrate"),
    ],
    ids=["a loop", "a fence counts for who set it", "a part", "a fusion", "nobody's"],
)
def test_operation_belongs_to_the_stage_that_it_came_from(operation: str, stage: str) -> None:
    assert stages_of(read_program(PROGRAM))[operation] == stage


def test_thread_is_where_its_innermost_functions_of_the_package_are() -> None:
    names: dict[str, Any] = {"__name__": "plenostream.stream.chunks", "sys": sys}
    inner = "def fetch():\n    return list(map(lambda _: sys._getframe(), [0]))[0]"
    exec(f"{inner}\ndef outer():\n    return fetch()", names)
    frame: FrameType = names["outer"]()
    assert _place(frame) == "chunks.fetch > chunks.fetch.<lambda>"
    assert _place(sys._getframe()) == ""


def test_command_is_executable_and_parses() -> None:
    script = ROOT / "tools" / "bench"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """Everything measured once on the smallest model: the figures, and what was printed."""
    folder = tmp_path_factory.mktemp("quick")
    out = folder / "figures.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks",
            "models",
            "--quick",
            "--json",
            out,
            "--folder",
            folder,
        ],
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'tools'}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # What is made for a measurement is gone after it.
    assert [path.name for path in folder.glob("*.zarr")] == ["still_128.zarr"]
    figures: dict[str, Any] = json.loads(out.read_text())
    return figures, done.stdout


@pytest.mark.slow
def test_quick_run_measures_everything_once(quick: tuple[dict[str, Any], str]) -> None:
    figures, printed = quick
    model = figures["models"]["still_128"]
    parts = ("frames", "orbit", "reads", "decoding", "first_frame", "conversion", "profiles")
    assert [part for part in parts if not model[part]] == []
    for section in ("warm frame", "first frame after opening", "conversion"):
        assert section in printed.splitlines()


@pytest.mark.slow
def test_first_frame_is_told_with_a_cold_and_a_warm_compile_cache(
    quick: tuple[dict[str, Any], str],
) -> None:
    first = quick[0]["models"]["still_128"]["first_frame"]
    compiles = {state: first[state]["compiles"] for state in ("cold", "warm")}
    assert compiles == dict.fromkeys(compiles, 0)  # the native backend has nothing to compile
    assert len(first["cold"]["whole"]["seconds"]) == 1


@pytest.mark.slow
def test_conversion_is_told_beside_the_arrays_and_the_process_that_it_takes(
    quick: tuple[dict[str, Any], str],
) -> None:
    run = quick[0]["models"]["still_128"]["conversion"]
    with np.load(ROOT / "data" / "still_128.npz") as archive:
        assert run["array_bytes"] == sum(archive[name].nbytes for name in archive.files)
    assert 0 < run["resident_bytes"] <= run["peak_resident_bytes"]


@pytest.mark.slow
@pytest.mark.parametrize("line", ["resident", "pool 1/4"])
def test_profile_of_a_frame_adds_up(quick: tuple[dict[str, Any], str], line: str) -> None:
    profile = quick[0]["models"]["still_128"]["profiles"][line]
    host = sum(profile["threads"]["host loop"].values())
    assert host == pytest.approx(profile["frame_s"], rel=0.1)


@pytest.mark.slow
def test_trace_knows_the_stages_of_programs(
    quick: tuple[dict[str, Any], str], tmp_path: Path
) -> None:
    out = tmp_path / "trace.json"
    scene = quick[0]["models"]["still_128"]["scene"]
    flags = ["--orbit", "1", "--size", "64x64", "--backend", "xla", "--json", out]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "trace", scene, *flags],
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'tools'}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    stages = json.loads(out.read_text())["stages"]
    assert "march" in stages
    assert any(stage.startswith("shade_samples") for stage in stages)
