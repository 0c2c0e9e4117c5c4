"""tools/bench and tools/trace: that they work, and what they read out of renderers and programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import plenostream as ps
from plenostream.testing.checkpoints import CheckpointArrays

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from benchmark.arguments import picture_size  # noqa: E402
from benchmark.goals import Goal, goal_lines  # noqa: E402
from benchmark.models import Folders, present  # noqa: E402
from benchmark.native import build_native  # noqa: E402
from benchmark.profile import FrameProfile, profile_frame, profile_rows  # noqa: E402
from benchmark.stages import stages_of  # noqa: E402

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
        ("while.1", "(loops)"),
        ("cond.1", "shade_samples"),
        ("multiply.2", "shade_samples > _blend"),
        ("fusion.1", "shade_samples > _blend"),
        ("x", "(not known)"),
    ],
    ids=["a loop", "a fence counts for who set it", "a part", "a fusion", "nobody's"],
)
def test_operation_belongs_to_the_stage_that_it_came_from(operation: str, stage: str) -> None:
    assert stages_of(PROGRAM)[operation] == stage


@pytest.fixture(scope="module")
def profile(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> FrameProfile:
    """A frame of a small scene, streamed."""
    with ps.open_scene(make_scene(gyroid)) as scene:
        (camera,) = ps.orbit_cameras(scene.grid, 1, size=(32, 32))
        with ps.Renderer(scene) as renderer:
            memory = renderer.plan(camera).smallest_budget_bytes
        stream = ps.StreamOptions(device_memory=memory)
        return profile_frame(scene, camera, stream=stream, n_frames=1)


def test_every_phase_of_a_streamed_frame_is_found(profile: FrameProfile) -> None:
    phases = {phase for _, phase in profile.phases.seconds}
    wanted = {"schedule", "read", "pack", "upload", "march and shade", "composite"}
    assert wanted - phases == set()


def test_phases_of_the_host_loop_add_up_to_the_frame(profile: FrameProfile) -> None:
    seconds = profile.phases.seconds
    host = sum(s for (kind, _), s in seconds.items() if kind == "host loop")
    assert host == pytest.approx(profile.phases.frame_s, rel=0.02)


def test_stages_of_the_integrator_are_found(profile: FrameProfile) -> None:
    assert any(stage.startswith("shade_samples") for stage in profile.stages)
    assert "march" in profile.stages


def test_renderer_is_as_it_was_after_a_profile(profile: FrameProfile) -> None:
    del profile
    assert not hasattr(ps.Renderer.render, "__wrapped__")
    from plenostream.stream.residency import Residency

    assert not hasattr(Residency.admit, "__wrapped__")


def test_profile_is_told_as_rows(profile: FrameProfile) -> None:
    sections = {row.section for row in profile_rows("resident", profile)}
    assert len(sections) == 2


def test_goal_may_be_a_least_or_a_largest_value() -> None:
    goals = [
        Goal(model="m", what="fast", value=2.0, bound=3.0),
        Goal(model="m", what="slow", value=2.0, bound=3.0, at_least=True),
    ]
    assert [goal.met for goal in goals] == [True, False]
    assert [line.split()[-1] for line in goal_lines(goals)] == ["met", "MISSED"]


def test_models_that_are_neither_here_nor_can_be_made_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    (root / "data").mkdir(parents=True)
    (root / "data" / "still_128.npz").touch()
    assert present(Folders(root, root / ".bench")) == ["still_128"]


def test_native_baseline_that_is_not_here_is_left_out_and_said_why(tmp_path: Path) -> None:
    said: list[str] = []
    found = build_native(tmp_path / "no", tmp_path / "built", n_threads=2, say=said.append)
    assert found is None
    assert "left out" in said[0]


@pytest.mark.parametrize("text", ["800", "8x", "800x600x2", "-8x8"])
def test_size_that_is_none_is_refused(text: str) -> None:
    import argparse

    with pytest.raises(argparse.ArgumentTypeError, match="WIDTHxHEIGHT"):
        picture_size(text)


@pytest.mark.parametrize("name", ["tools/bench", "tools/trace"])
def test_command_is_executable_and_parses(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / name)], check=True)


@pytest.mark.slow
def test_quick_bench_measures_everything_once(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmark",
            "--quick",
            "--json",
            out,
            "--folder",
            tmp_path / "made",
        ],
        env=dict(os.environ) | {"PYTHONPATH": f"{ROOT / 'tools'}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    model = figures["models"]["still_128"]
    parts = ("frames", "orbit", "reads", "decoding", "first_frame", "conversion", "profiles")
    assert [part for part in parts if not model[part]] == []
    assert figures["startup"]["import jax"]["median_s"] > 0
    assert "warm frame" in done.stdout
