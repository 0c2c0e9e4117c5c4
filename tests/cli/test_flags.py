"""Help and flags: what is listed, what the flags mean, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from paper import Paper, names, run

import plenostream
from plenostream.cli.convert import convert
from plenostream.cli.group import commands
from plenostream.cli.plan import plan
from plenostream.cli.render import render
from plenostream.options import (
    ConvertOptions,
    FileOptions,
    RenderOptions,
    ResampleOptions,
    StreamOptions,
    VolumeOptions,
)

COMMANDS = (
    *("convert", "info", "inspect", "plan", "points", "render", "verify"),
    *("crop", "levels", "merge", "prune", "resample", "transform"),
)


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

    def test_lists_each_flag_once_under_its_heading(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run("render", "--help")
        found = re.findall(r"^(?:  (--[\w-]+|-\w, --\w+)|(\w.*):$)", capsys.readouterr().out, re.M)
        under: dict[str, list[str]] = {}
        for flag, heading in found:
            under.setdefault(heading, []) if heading else under[[*under][-1]].append(flag)
        assert under["Cameras"][0] == "--cameras"
        assert {"--background", "--level", "--outputs"} <= {*under["Picture"]}
        assert "--device-memory" in under["Device and memory"]
        assert under["Other options"][-2:] == ["-q, --quiet", "-h, --help"]
        listed = [flag.split(", ")[-1] for flags in under.values() for flag in flags]
        known = [flag.opts[-1] for flag in render.params if isinstance(flag, click.Option)]
        assert sorted(listed) == sorted([*known, "--help"])

    @pytest.mark.parametrize(
        ("typed", "offered"),
        [
            ("--backend n", ["native"]),
            ("--path ", ["interpolate", "spiral", "file:"]),
            ("--cameras data/st", ["file:data/st"]),
            ("mod", ["file:mod"]),
            ("--size 8", []),
        ],
    )
    def test_shells_are_offered_words_and_files(self, typed: str, offered: list[str]) -> None:
        *before, last = typed.split(" ")
        found = ShellComplete(commands, {}, "plenostream", "").get_completions(
            ["render", *before], last
        )
        shown = [item.value if item.type == "plain" else f"file:{item.value}" for item in found]
        assert shown == offered

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
            (render, (FileOptions, RenderOptions, StreamOptions)),
            (plan, (RenderOptions, StreamOptions)),
            (convert, (ConvertOptions, VolumeOptions, ResampleOptions)),
        ],
        ids=["render", "plan", "convert"],
    )
    def test_are_the_fields_of_the_options_with_their_defaults(
        self, command: click.Command, records: tuple[type, ...]
    ) -> None:
        defaults = {param.name: param.default for param in command.params}
        if command is render:
            assert defaults["outputs"] == ("rgb",)
            defaults["outputs"] = RenderOptions().outputs
        for record in records:
            for option in fields(record):
                assert defaults[option.name] == option.default

    def test_reach_the_options(self, paper: Paper, tmp_path: Path) -> None:
        flags = (
            "--background black --step-size 0.25 --near-clip 0.5 --sigma-thresh 1e-3 --threads 3 "
            "--stop-thresh 1e-4 --precision float32 --device-memory 64MB --host-memory 1GiB "
            "--device cuda:1 --spheric-clip --far-cap 2000 --last-sample-opaque --ndc 40,30,25"
        ).split()
        assert run("render", "s", tmp_path / "a.png", "--look-from", "3,0,0", "--look-at", "0,0,0",
                   "--size", "4x4", *flags) == 0  # fmt: skip
        assert paper.options == RenderOptions(
            background=0.0,
            step_size=0.25,
            near_clip=0.5,
            spheric_clip=True,
            far_cap=2000,
            last_sample_opaque=True,
            ndc=(40, 30, 25, 25),
            sigma_thresh=1e-3,
            stop_thresh=1e-4,
            outputs=("rgb",),
        )
        assert paper.stream == StreamOptions(
            device="cuda:1",
            precision="float32",
            device_memory="64MB",
            host_memory="1GiB",
            n_threads=3,
        )

    def test_scene_in_device_coordinates_is_looked_at_by_named_cameras(
        self, paper: Paper, capsys: pytest.CaptureFixture[str]
    ) -> None:
        paper.ndc = (40, 30, 25, 25)
        assert run("plan", "s", "--orbit", 1) == 2
        assert "normalised device coordinates" in capsys.readouterr().err
        assert run("plan", "s", "--orbit", 1, "--ndc", "off") == 0
        assert run("plan", "s", "--look-from", "0,0,0", "--look-at", "0,0,1") == 0

    @pytest.mark.parametrize(
        ("text", "value"),
        [("white", 1.0), ("black", 0.0), ("0.3", 0.3), ("0.2,0.4,0.6", (0.2, 0.4, 0.6))],
    )
    def test_background_is_a_name_a_number_or_three(
        self, paper: Paper, tmp_path: Path, text: str, value: float | tuple[float, ...]
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
            (["render", "s", "o.png"], "there are no cameras; name the cameras in one way"),
            (["render", "s", "o.png", "--orbit", "1", "--look-from", "1,2,3"],
             "got --orbit and --look-from; name the cameras in one way"),
            (["render", "s", "o.png", "--orbit", "1", "--views", "2"],
             "--views belongs to --cameras or --path, not to --orbit"),
            (["render", "s", "o.png", "--cameras", "c", "--distance", "2"],
             "--distance belongs to --orbit, not to --cameras"),
            (["render", "s", "o.png", "--orbit", "3", "--path", "spiral"],
             "--path belongs to --cameras, not to --orbit"),
            (["render", "s", "o/", "--cameras", "c", "--frames", "9"],
             "--frames belongs to --path, which is not said"),
            (["render", "s", "o/", "--cameras", "c", "--path", "loop"], "--path is 'loop'"),
            (["render", "s", "o/", "--cameras", "c", "--path", "p.json"],
             "got --cameras and --path; name the cameras in one way"),
            (["render", "s", "o/", "--path", "spiral"], "there are no cameras; name the cameras in one way"),
            (["render", "s", "o/", "--cameras", "c", "--poses", "own"], "--poses is 'own'"),
            (["render", "s", "o/", "--orbit", "1", "--samples", "3"], "--samples is '3'"),
            (["render", "s", "o.png", "--look-from", "1,2"], "--look-from is '1,2'"),
            (["render", "s", "o.png", "--orbit", "1", "--size", "800"], "expected WIDTHxHEIGHT"),
            (["render", "s", "o.png", "--orbit", "1", "--size", "0x5"], "--size is (0, 5)"),
            (["render", "s", "o.png", "--orbit", "0"], "--orbit is 0"),
            (["render", "s", "o.png", "--orbit", "1", "--elevation", "100"], "--elevation is 100"),
            (["render", "s", "o.png", "--orbit", "2"], "2 frames do not go into one .png"),
            (["render", "s", "o.gif", "--orbit", "1"], "ends in .gif"),
            (["render", "s", "o.mp4", "--orbit", "2", "--outputs", "rgb,depth"], "a film holds rgb"),
            (["render", "s", "o.mp4", "--orbit", "2", "--background", "none"], "has no transparency"),
            (["render", "s", "o.png", "--orbit", "1", "--png-bits", "12"], "--png-bits is '12'"),
            (["render", "s", "o.png", "--orbit", "1", "--linear"], "--linear is for .exr"),
            (["render", "s", "o.png", "--orbit", "1", "--outputs", "xyz"], "--outputs is ('xyz',)"),
            (["render", "s", "o.png", "--orbit", "1", "--step-size", "0"], "--step-size is 0"),
            (["render", "s", "o.png", "--orbit", "1", "--background", "red"], "--background is 'red'"),
            (["render", "s", "o.png", "--orbit", "1", "--device-memory", "lots"], "--device-memory is 'lots'"),
            (["render", "s", "o.png", "--orbit", "1", "--precision", "half"], "--precision is 'half'"),
            (["render", "s", "o.png", "--orbit", "1", "--background", "0.1,0.2"], "--background is (0.1, 0.2)"),
            (["render", "s", "o.png", "--orbit", "1", "--device", "card"], "--device is 'card'"),
            (["plan", "s", "--orbit", "1", "--threads", "0"], "--threads is 0"),
            (["plan", "s", "--orbit", "1", "--model", "nvol", "--last-sample-opaque"],
             "last_sample_opaque does not go with model nvol"),
            (["plan", "s", "--orbit", "1", "--spheric-clip", "--near-clip", "2"],
             "near_clip is 2; with spheric_clip it is a share"),
            (["plan", "s", "--orbit", "1", "--ndc", "40,30,25"],
             "name the cameras with --cameras FILE.json, not with --orbit"),
            (["plan", "s", "--look-from", "0,0,0", "--ndc", "40,30,25"], "say --look-at X,Y,Z"),
            (["plan", "s", "--orbit", "1", "--ndc", "on"], "--ndc is 'on'"),
            (["convert", "a.npz", "s", "--ndc", "off"], "--ndc is 'off'"),
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
