"""How commands end that cannot go on: one line, an exit code, and nothing half made."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from paper import Paper, names, run

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


def test_interrupt_signal_ends_a_film_with_130_and_no_file(tmp_path: Path) -> None:
    program = """
        import signal, sys, time
        import plenostream.renderer, plenostream.scene
        from plenostream.cli.main import main
        sys.path.insert(0, sys.argv[2])
        from paper import Paper

        class Slow(Paper):
            def render(self, camera, **told):
                print("rendering", flush=True)
                time.sleep(0.2)
                return super().render(camera, **told)

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
