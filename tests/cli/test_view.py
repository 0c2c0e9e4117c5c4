"""`plenostream view`: what it prints, and how it ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plenostream.cli import main as cli
from plenostream.testing.checkpoints import CheckpointArrays

visiting = pytest.importorskip(
    "plenostream.testing.visiting", reason="needs websockets", exc_type=ImportError
)
exceptions = pytest.importorskip("websockets.exceptions")


@pytest.fixture
def scene(tiny: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(tiny)


def test_prints_where_it_is_and_ctrl_c_ends_all_at_once(scene: Path) -> None:
    command = [sys.executable, "-m", "plenostream", "view", str(scene), "--port", "0"]
    # A suite started in the background ignores Ctrl-C, and so would its children.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        process = subprocess.Popen(
            [*command, "--share-token"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(5)]
        url = said[0].removeprefix("look at ").strip()
        port = re.findall(r"^http://127\.0\.0\.1:(\d+)/\?token=[\w-]{32}$", url)[0]
        assert f"ssh -L {port}:127.0.0.1:{port} " in said[2]
        assert f"http://localhost:{port}/?token=" in said[3]
        with visiting.VisitingClient(url) as visitor:
            assert visitor.scene["name"] == scene.name
            assert str(scene.parent) not in str(visitor.scene)
            visitor.look(size=[2000, 2000])
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 130
            with pytest.raises(exceptions.ConnectionClosed):
                visitor.pictures_until_exact(visitor.number)
    finally:
        process.kill()
        _, errors = process.communicate()
    assert errors == "\nplenostream: interrupted\n"


def test_port_that_is_taken_ends_it(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert cli.main(["view", str(scene), "--port", str(port)]) == 1
    assert f"port {port} of 127.0.0.1 is taken" in capsys.readouterr().err


def test_flags_of_a_camera_file_belong_to_one(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["view", str(scene), "--views", "0"]) == 2
    assert "--views belongs to --cameras" in capsys.readouterr().err
