"""The command line: messages, exit codes, files and what stays behind, with a renderer of paper."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import cv2
import numpy as np
import pytest

import plenostream
from plenostream.cameras import Camera
from plenostream.cli import main as cli
from plenostream.cli.convert import convert
from plenostream.cli.plan import plan
from plenostream.cli.progress import Progress, format_seconds
from plenostream.cli.render import render
from plenostream.cli.summary import totals
from plenostream.errors import (
    BrickCorrupt,
    BudgetError,
    CameraError,
    CheckpointError,
    DeviceError,
    InternalError,
    InvalidInput,
    OutputError,
    PlenostreamError,
    StoreExists,
    StoreFormat,
    StoreNotFound,
)
from plenostream.field.grid import GridSpec
from plenostream.field.precision import ChosenPrecision
from plenostream.options import ConvertOptions, RenderOptions, StreamOptions
from plenostream.results import FrameStats

COMMANDS = ("convert", "info", "plan", "points", "render", "verify")


@dataclass
class Paper:
    """Stands for scenes and renderers: takes note of what it is asked for."""

    scenes: list[str] = field(default_factory=list)
    cameras: list[Camera] = field(default_factory=list)
    options: RenderOptions | None = None
    stream: StreamOptions | None = None
    precision: ChosenPrecision = ChosenPrecision("float16", "")
    error: BaseException | None = None
    precision: ChosenPrecision = ChosenPrecision(name="float16", why="")
    alpha: float = 0.25
    fails_at: int = 0
    """Number of the frame at which `error` is raised."""

    @contextmanager
    def open_scene(self, path: str) -> Iterator[SimpleNamespace]:
        self.scenes.append(path)
        yield SimpleNamespace(grid=GridSpec(size=(8, 8, 8), center=(0.5, 0.0, 0.0)))

    @contextmanager
    def renderer(
        self, scene: object, *, options: RenderOptions, stream: StreamOptions
    ) -> Iterator[Paper]:
        self.options, self.stream = options, stream
        yield self

    def render(self, camera: Camera) -> SimpleNamespace:
        if self.error is not None and len(self.cameras) == self.fails_at:
            raise self.error
        self.cameras.append(camera)
        shape = (camera.height, camera.width)
        return SimpleNamespace(
            rgb=np.full((*shape, 3), 0.5, np.float32),
            alpha=np.full(shape, self.alpha, np.float32),
            depth=np.full(shape, 2.0, np.float32),
            stats=FrameStats(
                bricks_visible=4, bricks_read=3, bytes_read=2_000_000, seconds=0.5,
                peak_device_bytes=len(self.cameras) * 1_000_000, planned_device_bytes=8_000_000,
                allowed_device_bytes=512_000_000,
            ),
        )  # fmt: skip

    def plan(self, camera: Camera) -> SimpleNamespace:
        self.cameras.append(camera)
        n_bytes = len(self.cameras) * 1_000_000
        told = {
            "planned_device_bytes": n_bytes, "allowed_device_bytes": 5, "working_set_bytes": 7,
            "smallest_budget_bytes": 9, "smallest_host_bytes": 6, "planned_host_bytes": 4, "allowed_host_bytes": 5,
        }  # fmt: skip
        return SimpleNamespace(
            planned_device_bytes=n_bytes, to_dict=lambda: told, lines=lambda: [f"takes {n_bytes}"]
        )


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    """What a command sets for JAX must not reach other tests, nor the user's caches this one."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    # Set, so that JAX's own settings stay as they are.
    os.environ["NPROC"] = "2"
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    made = Paper()
    monkeypatch.setattr("plenostream.scene.open_scene", made.open_scene)
    monkeypatch.setattr("plenostream.renderer.Renderer", made.renderer)
    return made


@pytest.fixture
def camera_file(tmp_path: Path) -> Path:
    """Twelve views."""
    frame = {"transform_matrix": np.eye(4).tolist()}
    path = tmp_path / "transforms.json"
    path.write_text(json.dumps({"camera_angle_x": 0.7, "frames": [frame] * 12}))
    return path


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestHelp:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_of_each_command_is_shown(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(command, "--help") == 0
        assert f"Usage: plenostream {command}" in capsys.readouterr().out

    def test_lists_the_commands_and_the_exit_codes(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("--help") == 0
        shown = capsys.readouterr().out
        assert [name for name in COMMANDS if f"\n  {name} " not in shown] == []
        assert "130 Ctrl-C" in shown

    def test_says_how_positions_of_camera_files_are_scaled(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run("render", "--help")
        assert "2/3 for files with camera_angle_x and no fl_x" in " ".join(
            capsys.readouterr().out.split()
        )

    def test_imports_nothing_heavy(self) -> None:
        program = (
            "import json, sys; from plenostream.cli.main import main; main(['render', '--help']);"
            "print(json.dumps(sorted(sys.modules)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
        assert loaded & {"jax", "zarr", "dask", "cv2", "av", "OpenEXR", "open3d"} == set()

    def test_version_is_that_of_the_package(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("--version") == 0
        assert capsys.readouterr().out == f"plenostream {plenostream.__version__}\n"

    def test_without_arguments_is_shown_as_a_usage_error(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run() == 2
        shown = capsys.readouterr().err
        assert shown.startswith("Usage: plenostream ")
        assert "Commands:" in shown


class TestFlags:
    @pytest.mark.parametrize(
        ("command", "records"),
        [
            (render, (RenderOptions, StreamOptions)),
            (plan, (RenderOptions, StreamOptions)),
            (convert, (ConvertOptions,)),
        ],
        ids=["render", "plan", "convert"],
    )
    def test_are_the_fields_of_the_options_with_their_defaults(
        self, command: click.Command, records: tuple[type, ...]
    ) -> None:
        defaults = {param.name: param.default for param in command.params}
        for record in records:
            for option in fields(record):
                assert defaults[option.name] == option.default

    def test_reach_the_options(self, paper: Paper, tmp_path: Path) -> None:
        flags = (
            "--background black --step-size 0.25 --near-clip 0.5 --sigma-thresh 1e-3 --threads 3 "
            "--stop-thresh 1e-4 --precision float32 --device-memory 64MB --host-memory 1GiB"
        ).split()
        assert run("render", "s", tmp_path / "a.png", "--look-from", "3,0,0", "--size", "4x4",
                   *flags) == 0  # fmt: skip
        assert paper.options == RenderOptions(
            background=0.0, step_size=0.25, near_clip=0.5, sigma_thresh=1e-3, stop_thresh=1e-4
        )
        assert paper.stream == StreamOptions(
            precision="float32", device_memory="64MB", host_memory="1GiB", n_threads=3
        )

    @pytest.mark.parametrize(("text", "value"), [("white", 1.0), ("black", 0.0), ("0.3", 0.3)])
    def test_background_has_names(
        self, paper: Paper, tmp_path: Path, text: str, value: float
    ) -> None:
        run("plan", "s", "--orbit", 1, "--background", text)
        assert paper.options is not None
        assert paper.options.background == value

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["rendre"], "No such command 'rendre'"),
            (["render", "s"], "Missing argument 'OUT'"),
            (["render", "s", "o.png", "--colour"], "No such option"),
            (["render", "s", "o.png"], "got none; name the cameras in one way"),
            (["render", "s", "o.png", "--orbit", "1", "--look-from", "1,2,3"],
             "got --orbit and --look-from; name the cameras in one way"),
            (["render", "s", "o.png", "--orbit", "1", "--frames", "2"],
             "--frames belongs to --cameras, not to --orbit"),
            (["render", "s", "o.png", "--cameras", "c", "--fov", "2"],
             "--fov belongs to --orbit or --look-from, not to --cameras"),
            (["render", "s", "o.png", "--look-from", "1,2"], "--look-from is '1,2'"),
            (["render", "s", "o.png", "--orbit", "1", "--size", "800"], "expected WIDTHxHEIGHT"),
            (["render", "s", "o.png", "--orbit", "1", "--size", "0x5"], "--size is (0, 5)"),
            (["render", "s", "o.png", "--orbit", "0"], "--orbit is 0"),
            (["render", "s", "o.png", "--orbit", "1", "--elevation", "100"], "--elevation is 100"),
            (["render", "s", "o.png", "--orbit", "2"], "2 frames do not go into one .png"),
            (["render", "s", "o.gif", "--orbit", "1"], "ends in .gif"),
            (["render", "s", "o.mp4", "--orbit", "2", "--size", "5x4"], "even width and height"),
            (["render", "s", "o.mp4", "--orbit", "2", "--outputs", "rgb,depth"], "rgb only"),
            (["render", "s", "o.png", "--orbit", "1", "--outputs", "xyz"], "--outputs is ('xyz',)"),
            (["render", "s", "o.png", "--orbit", "1", "--step-size", "0"], "--step-size is 0"),
            (["render", "s", "o.png", "--orbit", "1", "--background", "red"], "--background is 'red'"),
            (["render", "s", "o.png", "--orbit", "1", "--device-memory", "lots"], "--device-memory is 'lots'"),
            (["render", "s", "o.png", "--orbit", "1", "--precision", "half"], "--precision is 'half'"),
            (["plan", "s", "--orbit", "1", "--threads", "0"], "--threads is 0"),
            (["convert", "a.npz", "s", "--brick-size", "12"], "--brick-size is '12'"),
            (["convert", "a.npz", "s", "--workers", "0"], "--workers is 0"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )  # fmt: skip
    def test_that_mean_nothing_end_in_one_line_and_2(
        self,
        paper: Paper,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        message: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert run(*arguments) == 2
        told = capsys.readouterr().err
        assert message in told
        assert told.startswith("plenostream: error: ")
        assert told.count("\n") == 1
        assert paper.cameras == []
        assert names(tmp_path) == []


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (PlenostreamError("why"), 1),
            (InvalidInput("why"), 2),
            (CheckpointError("why"), 1),
            (CameraError("why"), 1),
            (OutputError("why"), 1),
            (StoreNotFound("why"), 1),
            (StoreExists("why"), 1),
            (StoreFormat("why"), 1),
            (BrickCorrupt("why"), 1),
            (BudgetError("why", planned_bytes=3, allowed_bytes=1, smallest_bytes=2), 3),
            (DeviceError("why"), 1),
            (InternalError("why"), 70),
            (MemoryError("why"), 1),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
    )
    @pytest.mark.parametrize("out", ["frames", "a.mp4", "a.png"])
    def test_end_in_one_line_and_their_code_and_leave_nothing(
        self,
        paper: Paper,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        error: Exception,
        code: int,
        out: str,
    ) -> None:
        paper.error = error
        assert run("render", "s", tmp_path / out, "--orbit", 1, "--size", "4x4", "-q") == code
        told = capsys.readouterr().err
        assert told.startswith("plenostream: error: ")
        assert "why" in told
        assert told.count("\n") == 1
        assert names(tmp_path) == []

    def test_that_nobody_foresaw_end_in_70_with_their_trace(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        paper.error = KeyError("surprise")
        assert run("plan", "s", "--orbit", 1) == 0
        paper.cameras.clear()
        assert run("render", "s", tmp_path / "a.png", "--orbit", 1, "--size", "4x4") == 70
        told = capsys.readouterr().err
        assert "Traceback" in told
        assert "a bug of plenostream, please report it" in told

    def test_ctrl_c_ends_in_130_and_keeps_finished_frames_only(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        paper.error, paper.fails_at = KeyboardInterrupt(), 2
        assert run("render", "s", tmp_path / "frames", "--orbit", 5, "--size", "4x4") == 130
        assert capsys.readouterr().err.endswith("plenostream: interrupted\n")
        assert names(tmp_path / "frames") == ["frame_0000.png", "frame_0001.png"]

    def test_a_scene_is_no_place_for_frames(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "zarr.json").write_text("{}")
        assert run("render", "s", tmp_path, "--orbit", 1, "--size", "4x4") == 1
        assert "is a scene or another Zarr folder" in capsys.readouterr().err
        assert names(tmp_path) == ["zarr.json"]


class TestRender:
    def test_says_where_the_picture_is_and_what_it_cost(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "a.png"
        assert run("render", "s", out, "--look-from", "3,0,0", "--size", "6x4") == 0
        assert paper.scenes == ["s"]
        told = capsys.readouterr().out.splitlines()
        assert told[0] == f"{out}: 1 frame, 6x4"
        assert told[1].startswith("time: ")
        assert told[2:] == [
            "device memory: peak 1 MB, planned 8 MB, allowed 512 MB",
            "bricks: 4 in view, 3 read (2 MB), 0 hidden, 0 evicted",
        ]
        assert cv2.imread(str(out)).shape == (4, 6, 3)

    def test_quiet_says_nothing(
        self, paper: Paper, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        for before, after in (["--quiet"], []), ([], ["-q"]):
            run(*before, "render", "s", tmp_path / "a.png", "--orbit", 1, "--size", "4x4",
                "--overwrite", *after)  # fmt: skip
        assert capfd.readouterr() == ("", "")
        assert len(paper.cameras) == 2

    def test_names_frames_by_their_number_in_the_file(
        self, paper: Paper, tmp_path: Path, camera_file: Path
    ) -> None:
        assert run("render", "s", f"{tmp_path}/out/", "--cameras", camera_file, "--frames", "0,8-9",
                   "--size", "4x4", "--outputs", "rgb,alpha,depth") == 0  # fmt: skip
        assert [name for name in names(tmp_path / "out") if "depth" not in name] == [
            "frame_0000.png", "frame_0008.png", "frame_0009.png",
        ]  # fmt: skip
        pixels = cv2.imread(str(tmp_path / "out" / "frame_0008.png"), cv2.IMREAD_UNCHANGED)
        assert pixels.shape == (4, 4, 4)

    def test_says_which_depths_the_colours_stand_for(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        paper.alpha = 0.8
        run("render", "s", tmp_path / "a.exr", "--orbit", 1, "--size", "4x4", "--outputs", "depth")
        told = capsys.readouterr().out
        assert "depth colours: red 2.5, blue 2.5 (world units)" in told

    def test_looks_at_the_middle_of_the_scene_unless_told(
        self, paper: Paper, tmp_path: Path
    ) -> None:
        run("render", "s", tmp_path / "a.png", "--look-from", "-2,0,0", "--size", "4x4")
        np.testing.assert_allclose(paper.cameras[0].c2w[:, 2], [1, 0, 0], atol=1e-12)

    def test_makes_a_film_of_an_orbit(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("render", "s", tmp_path / "a.mp4", "--orbit", 3, "--size", "16x16") == 0
        assert names(tmp_path) == ["a.mp4"]
        told = capsys.readouterr()
        assert "a.mp4: 3 frames, 16x16" in told.out
        assert "frames/s" in told.out
        assert "rendering: 3 of 3 frames" in told.err

    def test_replaces_nothing_unless_told(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "a.png").write_text("mine")
        arguments = ("render", "s", tmp_path / "a.png", "--orbit", 1, "--size", "4x4")
        assert run(*arguments) == 1
        assert "exists; name another place, or replace it with --overwrite" in (
            capsys.readouterr().err
        )
        assert paper.cameras == []
        assert run(*arguments, "--overwrite") == 0
        assert cv2.imread(str(tmp_path / "a.png")) is not None


class TestStats:
    def test_hold_the_totals_and_each_frame(
        self, paper: Paper, tmp_path: Path, camera_file: Path
    ) -> None:
        stats = tmp_path / "stats.json"
        assert run("render", "s", tmp_path / "out", "--cameras", camera_file, "--frames", "3,5",
                   "--size", "4x4", "--stats", stats) == 0  # fmt: skip
        told = json.loads(stats.read_text())
        assert {f.name for f in fields(FrameStats)} <= set(told)
        assert (told["bricks_read"], told["peak_device_bytes"]) == (6, 2_000_000)
        assert [frame["frame"] for frame in told["frames"]] == [3, 5]

    def test_of_several_frames_add_up_but_bounds_do_not(self) -> None:
        frames = [
            FrameStats(waves=2, peak_device_bytes=7, allowed_device_bytes=9).to_dict(),
            FrameStats(waves=3, peak_device_bytes=5, allowed_device_bytes=9).to_dict(),
        ]
        both = totals(frames)
        assert both["waves"] == 5
        assert both["peak_device_bytes"] == 7
        assert both["allowed_device_bytes"] == 9

    def test_that_are_there_are_found_before_the_work(self, paper: Paper, tmp_path: Path) -> None:
        (tmp_path / "stats.json").write_text("mine")
        assert run("render", "s", tmp_path / "a.png", "--orbit", 1, "--size", "4x4",
                   "--stats", tmp_path / "stats.json") == 1  # fmt: skip
        assert paper.cameras == []
        assert names(tmp_path) == ["stats.json"]


class TestPlan:
    def test_of_several_views_tells_the_one_that_takes_most(
        self, paper: Paper, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("plan", "s", "--orbit", 3) == 0
        assert capsys.readouterr().out == "of 3 views, number 2 takes most:\ntakes 3000000\n"

    def test_as_json_has_the_largest_of_each_bound(
        self, paper: Paper, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("plan", "s", "--orbit", 2, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told["planned_device_bytes"] == 2_000_000
        assert told["smallest_budget_bytes"] == 9
        assert [each["planned_device_bytes"] for each in told["frames"]] == [1_000_000, 2_000_000]


class TestConvert:
    def test_hands_its_flags_to_the_library_and_prints_the_report(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked: dict[str, Any] = {}

        def fake(source: str, scene: str, **options: Any) -> SimpleNamespace:
            asked.update(options, source=source, scene=scene)
            options["progress"]("packing", 4, 8)
            return SimpleNamespace(lines=lambda: ["two", "lines"])

        monkeypatch.setattr("plenostream.scene.convert", fake)
        assert run("convert", "a.npz", "s.zarr", "--codec", "lz4", "--overwrite") == 0
        told = capsys.readouterr()
        assert told.out == "two\nlines\n"
        assert told.err == "packing: 50 %\n"
        del asked["progress"]
        assert asked == {
            "source": "a.npz", "scene": "s.zarr", "brick_size": 16, "dtype": "auto", "codec": "lz4",
            "host_memory": "1GB", "workers": None, "overwrite": True, "resume": False,
        }  # fmt: skip


class TestProgress:
    def test_without_a_terminal_says_rate_and_time_left_by_all_frames_but_the_first(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: now)
        with Progress(quiet=False, unit="frames") as progress:
            for done, now in [(0, 90.0), (1, 100.0), (2, 110.0), (3, 111.0), (300, 399.0)]:  # noqa: B007
                progress.update("rendering", done, 300)
        assert capsys.readouterr().err.splitlines() == [
            "rendering: 1 of 300 frames",
            "rendering: 2 of 300 frames, 0.1 frames/s, 49 min 40 s left",
            "rendering: 300 of 300 frames, 1 frames/s",
        ]

    def test_one_of_a_kind_is_said_in_the_singular(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with Progress(quiet=False, unit="frames") as progress:
            progress.update("rendering", 1, 1)
        assert capsys.readouterr().err == "rendering: 1 of 1 frame\n"

    @pytest.mark.parametrize("terminal", [True, False])
    def test_work_that_is_refused_before_it_began_shows_no_progress(
        self,
        terminal: bool,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
        refusal = BudgetError("too small", planned_bytes=2, allowed_bytes=1, smallest_bytes=2)
        progress = Progress(quiet=False, unit="frames")
        with contextlib.suppress(BudgetError), progress:
            progress.update("rendering", 0, 2)
            raise refusal
        # What a bar drew is blanked: only returns and spaces come after it.
        assert capsys.readouterr().err.rpartition("%")[2].rpartition("\r")[2].strip() == ""

    def test_on_a_terminal_draws_a_bar(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        with Progress(quiet=False) as progress:
            progress.update("reading", 1, 2)
            progress.update("packing", 2, 2)
        shown = capsys.readouterr().err
        assert "reading:  50 %" in shown
        assert "packing: 100 %" in shown

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0.0421, "0.0421 s"), (73.2, "73.2 s"), (725, "12 min 5 s"), (11_040, "3 h 4 min")],
    )
    def test_times_are_for_reading(self, seconds: float, text: str) -> None:
        assert format_seconds(seconds) == text


def test_interrupt_signal_ends_a_film_with_130_and_no_file(tmp_path: Path) -> None:
    program = """
        import signal, sys, time
        import plenostream.renderer, plenostream.scene
        from plenostream.cli.main import main
        sys.path.insert(0, sys.argv[2])
        from test_cli import Paper

        class Slow(Paper):
            def render(self, camera):
                print("rendering", flush=True)
                time.sleep(0.2)
                return super().render(camera)

        # A suite started in the background ignores Ctrl-C, and so would its children.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        paper = Slow()
        plenostream.scene.open_scene, plenostream.renderer.Renderer = paper.open_scene, paper.renderer
        sys.exit(main(["render", "s", sys.argv[1], "--orbit", "1000", "--size", "16x16", "-q"]))
    """
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(program),
            tmp_path / "out" / "a.mp4",
            Path(__file__).parent,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "rendering\n"
        assert process.stdout.readline() == "rendering\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.endswith("plenostream: interrupted\n")
    assert names(tmp_path) == []
