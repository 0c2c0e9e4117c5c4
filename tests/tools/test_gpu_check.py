"""tools/gpu_check without a CUDA compiler: its sums, what it reads from programs, and what it refuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from plenostream.format.opening import open_store
from plenostream.testing.checkpoints import CheckpointArrays

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from gpucheck.drawing import Drawn, Way  # noqa: E402
from gpucheck.kernel import Kernel  # noqa: E402
from gpucheck.machine import Code, Resources, loops_of_the_host, parse_ptxas  # noqa: E402
from gpucheck.memory import Case, plan_picture, plan_rays  # noqa: E402
from gpucheck.operations import operations  # noqa: E402
from gpucheck.rendering import Measured, from_record, measure, table  # noqa: E402
from gpucheck.rendering import faults as wrong_measures  # noqa: E402
from gpucheck.report import faults, kernel_faults, kernel_lines, memory_table  # noqa: E402
from gpucheck.target import WatchedDevice, read_target  # noqa: E402
from gpucheck.walks import Walk, build_walks, parse_usage, walk_faults, walks_table  # noqa: E402

TARGET = read_target("rtx3060ti_8gb")

PROGRAM = """\
HloModule jit_integrate, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%a, %b)
}

%fused_scatter (p: f32[8,4], i: u32[6,1], d: f64[6]) -> f32[8,4] {
  %scaled = f64[6]{0} multiply(%d, %d)
  %rows.1 = f32[6,4]{1,0} gather(%p, %i), offset_dims={1}
  ROOT %put = f32[8,4]{1,0} scatter(%p, %i, %rows.1), unique_indices=UNIQUE, to_apply=%add
}

%body (t: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %t = (s32[], f32[8,4]) parameter(0)
  %f.1 = f32[8,4]{1,0} fusion(%t), kind=kInput, calls=%fused_scatter
  ROOT %out = (s32[], f32[8,4]) tuple(%t, %f.1)
}

%until (t: (s32[], f32[8,4])) -> pred[] {
  ROOT %less = pred[] compare(%t, %t), direction=LT
}

ENTRY %main (p: f32[8,4]) -> f32[8,4] {
  %p = f32[8,4] parameter(0)
  %loop = (s32[], f32[8,4]{1,0}) while(%p), condition=%until, body=%bodyTRIPS
  ROOT %done = f32[8,4] get-tuple-element(%loop), index=1
}
"""

PTXAS = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'f_1' for 'sm_86'
ptxas info    : Function properties for f_1
    24 bytes stack frame, 20 bytes spill stores, 28 bytes spill loads
ptxas info    : Used 56 registers, used 1 barriers, 4096 bytes smem
"""
PTX = """\
.visible .entry f_1(
	@%p1 red.global.add.f32 [%rd1], %f2;
	mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f1}, {%r1}, {%r2}, {%f1};
"""

THUNKS = """\
001: kCopy         [source       | next=002 (1)] kCopy
002: kWhile        [prev=001 (1) | sink        ]
    003: kCustomKernel [source | sink] compare
    000: kCommandBuffer [source | next=023 (1)]
        004: kCopy     [source | sink] kCopy
        005: kWhile    [source | sink]
    023: kWhile    [prev=000 (1) | sink]
        024: kCustomKernel [source | sink] compare
"""


def program(*, unique: str = "false", trips: str = "") -> str:
    return PROGRAM.replace("UNIQUE", unique).replace("TRIPS", trips)


def test_operations_are_found_in_loops_with_what_their_fusions_hold() -> None:
    loop, compare, fusion = sorted(
        operations(program()), key=lambda op: "loop less f.1".find(op.name)
    )
    assert (loop.what, loop.depth, loop.endless) == ("while", 0, True)
    assert (compare.what, compare.depth) == ("compare", 1)
    assert (fusion.what, fusion.depth, fusion.shape) == ("fusion Input", 1, "f32[8,4]")
    assert (fusion.gathers, fusion.scatters, fusion.sorts, fusion.float64) == (1, 1, 0, 6)


def test_loop_whose_trips_are_known_is_not_endless() -> None:
    known = ', backend_config={"known_trip_count":{"n":"56"}}'
    loop = operations(program(trips=known))[0]
    assert (loop.endless, loop.trips) == (False, 56)


@pytest.mark.parametrize(("unique", "shared"), [("true", 0), ("false", 1)])
def test_scatter_is_shared_unless_its_indices_are_unique(unique: str, shared: int) -> None:
    found = operations(program(unique=unique))
    assert sum(op.shared_scatters for op in found) == shared


def test_registers_spills_and_atomics_are_read_from_the_assembler() -> None:
    expected = Resources(registers=56, spilled_bytes=20, shared_bytes=4096, atomics=1, tf32=1)
    assert parse_ptxas(PTXAS, PTX) == [("f_1", expected)]


WALK = Walk(
    name="walk",
    basis_dim=9,
    precision="float16",
    capability=86,
    registers=128,
    spilled_bytes=0,
    code_bytes=1,
)


def test_registers_and_spills_are_read_from_cuobjdump() -> None:
    said = "Function walk:\n  REG:128 STACK:16 SHARED:1024 LOCAL:8 CONSTANT[0]:1384 TEXTURE:0"
    assert parse_usage(said) == (128, 24)
    with pytest.raises(ValueError, match="no registers"):
        parse_usage("no such file")


def test_walk_that_spills_is_a_fault() -> None:
    assert list(walk_faults(WALK)) == []
    (fault,) = walk_faults(replace(WALK, spilled_bytes=24))
    assert "24 bytes of a thread in memory on sm_86" in fault
    heads, row = walks_table([WALK])
    assert (heads.split()[1:3], row.split()[-4:]) == (
        ["GPU", "registers"],
        ["sm_86", "128", "0", "1"],
    )


@pytest.mark.slow
def test_kernels_are_built_for_gpus_that_are_not_here(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # In place of cuobjdump, which comes with the tool's own environment: the file is there.
        stand_in = tmp_path / "cuobjdump"
        stand_in.write_text('#!/bin/sh\ntest -s "$2" && echo "REG:1 STACK:0 SHARED:0 LOCAL:0"\n')
        stand_in.chmod(0o755)
        patch.setattr("gpucheck.walks.find_tool", lambda _: stand_in)
        built = list(build_walks(precision="float16", capabilities=(75, 120), basis_dims=(1,)))
    names = ["walk", "walk back", "walk weighing", "put ranks", "put densities", "put rows"]
    names.append("clear weights")
    expected = [(name, capability) for name in names for capability in (75, 120)]
    assert [(walk.name, walk.capability) for walk in built] == expected
    assert min(walk.code_bytes for walk in built) > 1_000


def test_loops_of_the_host_are_those_outside_of_graphs() -> None:
    assert loops_of_the_host(THUNKS) == 2
    assert loops_of_the_host(f"000: kCommandBuffer\n{textwrap.indent(THUNKS, '    ')}") == 0


def test_specification_of_a_gpu_is_read() -> None:
    assert (TARGET.name, TARGET.capability) == ("NVIDIA GeForce RTX 3060 Ti", "8.6")
    assert TARGET.memory_bytes == 8_366_784_512


def test_unknown_gpu_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(FileNotFoundError, match="rtx2070_8gb, rtx3060ti_8gb"):
        read_target("voodoo2")


@pytest.fixture(scope="module")
def device() -> Iterator[WatchedDevice]:
    with pytest.MonkeyPatch.context() as patch:
        # What other tests compiled would not be compiled again, and so not be seen.
        patch.setattr("plenostream.integrator.xla.compiled._entries", OrderedDict())
        yield WatchedDevice(jax.devices("cpu")[0], None)


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


@pytest.fixture(scope="module")
def picture(device: WatchedDevice, scene: Path) -> Case:
    with open_store(scene) as store:
        return plan_picture(store, device, width=104, height=72, precision="float16")


def test_plan_of_a_picture_is_an_upper_bound_of_what_its_kernels_take(picture: Case) -> None:
    assert 0.5 * picture.planned_bytes < picture.counted_bytes <= picture.planned_bytes
    assert list(faults(picture, TARGET)) == []


def test_plan_of_rays_is_an_upper_bound_of_what_their_kernels_take(
    device: WatchedDevice, scene: Path, picture: Case
) -> None:
    with open_store(scene) as store:
        rays = plan_rays(store, device, n=104, beside=picture, precision="float16")
    assert "walk" in rays.kernels
    assert 0.5 * rays.planned_bytes < rays.counted_bytes <= rays.planned_bytes


def test_items_of_the_pool_are_counted_as_they_are_planned(picture: Case) -> None:
    pool = [item for item in picture.planned if item.startswith("pool")]
    assert {item: picture.counted[item] for item in pool} == {
        item: picture.planned[item] for item in pool
    }


def test_every_kernel_overwrites_what_it_is_given_to_overwrite(picture: Case) -> None:
    assert [
        fault for kernel in picture.kernels.values() for fault in kernel_faults(kernel, TARGET)
    ] == []
    donated = {name for name, kernel in picture.kernels.items() if kernel.donated_bytes}
    assert donated == {"integrate", "compose", "write bricks", "write rows"}


def test_plan_that_is_no_upper_bound_is_a_fault(picture: Case) -> None:
    less = {**picture.planned, "kernel temporaries": 0}
    (fault,) = faults(replace(picture, planned=less), TARGET)
    assert "no upper bound" in fault
    assert re.search("too little for: .*kernel temporaries", fault)


def test_picture_that_does_not_fit_the_gpu_is_a_fault(picture: Case) -> None:
    (fault,) = faults(picture, replace(TARGET, memory_bytes=picture.counted_bytes))
    assert "more than JAX takes" in fault


def wrong(kernel: Kernel, **changed: object) -> str:
    (fault,) = kernel_faults(replace(kernel, **changed), TARGET)
    return fault


def test_copy_of_a_donated_argument_is_a_fault(picture: Case) -> None:
    assert "copies" in wrong(picture.kernels["write rows"], alias_bytes=0)


def test_products_rounded_to_tf32_are_a_fault(picture: Case) -> None:
    rounds = Code(resources=dict(parse_ptxas(PTXAS, PTX)))
    assert "precision=HIGHEST" in wrong(picture.kernels["integrate"], code=rounds)


def test_report_names_every_item_and_every_operation(picture: Case) -> None:
    text = "\n".join([*memory_table(picture, TARGET), *kernel_lines(picture.kernels["integrate"])])
    for item in picture.planned:
        assert item in text
    for operation in picture.kernels["integrate"].operations:
        assert operation.name in text


@pytest.mark.slow
def test_run_measures_and_compares_on_whatever_device_there_is(
    tiny: CheckpointArrays, make_scene: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tools"), prepend=os.pathsep)
    cases = list(
        measure(
            make_scene(tiny),
            sizes=[(40, 24)],
            precision="float16",
            frames=1,
            draws=[("warp", (Way("a quarter", share=4), Way("resident")))],
        )
    )
    assert [case.name for case in cases] == ["40x24, warp, a quarter", "40x24, warp, resident"]
    asked = {"sizes": [(40, 24)], "precision": "float16", "frames": 1, "seconds": -1.0}
    cases += measure(make_scene(tiny), **asked)
    assert [case.drawn for case in cases[2:]] == [None, None]
    assert list(wrong_measures(cases)) == []
    heads, _, *rows = table(cases)
    assert [row.count("|") for row in rows] == [heads.count("|")] * 4


def test_picture_far_from_the_cpus_and_memory_beyond_the_plan_are_faults() -> None:
    drawn = Drawn(
        way="resident",
        planned_bytes=10,
        allowed_bytes=10,
        peak_bytes=11,
        n_slots=0,
        bricks_visible=0,
        waves=1,
        first_seconds=1.0,
        seconds=[1.0],
        device_seconds=[1.0],
        orbit_seconds=[1.0],
        orbit_uploaded=0,
        transfers=0,
        busy=None,
        difference=1.0,
        apart=float("nan"),
    )
    case = Measured(name="8x8", drawn=drawn, cold_seconds=None)
    memory, picture = wrong_measures([case])
    assert "the allocator gave 11 bytes, planned were 10" in memory
    assert "from the CPU's" in picture


def test_run_without_a_gpu_says_so_and_installs_nothing(tmp_path: Path) -> None:
    for name in ("dirname", "grep", "bash", "cat"):
        (tmp_path / name).symlink_to(Path("/usr/bin") / name)
    command = [tmp_path / "bash", ROOT / "tools" / "gpu_check", "--run"]
    said = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert said.returncode == 1
    assert "there is no NVIDIA GPU here" in said.stderr
    assert "set-up" not in said.stderr


def test_command_is_executable_and_parses() -> None:
    script = ROOT / "tools" / "gpu_check"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.slow
def test_picture_is_held_against_what_svox2_made_of_the_sample_scene() -> None:
    off, is_sound = from_record("native")
    assert is_sound
    assert off > 0.0, "svox2's picture is rounded to whole numbers"
