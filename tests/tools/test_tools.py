"""The set-up that tools/demo and tools/test share, with an interpreter and apt-get that only pretend.

What they pretend to do is written to a log, so nothing is downloaded and nothing installed here;
tests/test_packaging.py installs in earnest.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PRETEND_PYTHON = r"""#!/usr/bin/env bash
case "$*" in
  *version_info*) echo 3.12 ;;
  --version) echo "Python 3.12.0" ;;
  *"import ensurepip, venv"*) [ ! -e "$LOG.no-venv" ] ;;
  *"import open3d"*) [ ! -e "$LOG.no-open3d" ] ;;
  "-m venv "*) echo "venv" >>"$LOG"; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  "-m pip "*)
    echo "pip ${*: -1}" >>"$LOG"
    [ ! -e "$LOG.killed" ] || kill -9 $PPID
    [ ! -e "$LOG.no-network" ] ;;
  *) echo "unexpected: $*" >>"$LOG"; exit 9 ;;
esac
"""

PRETEND_APT = r"""#!/usr/bin/env bash
echo "apt-get $*" >>"$LOG"
exit 100
"""

SET_UP = r"""#!/usr/bin/env bash
set -euo pipefail
root=$(cd "$(dirname "$0")" && pwd)
. "$root/tools/set_up.sh"
set_up "$1"
"""


class Checkout:
    """A folder with the set-up script in it, and a PATH whose Python and apt-get pretend."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "check out"  # a space, as people have in their paths
        self.log = folder / "log"
        self.log.touch()
        programs = folder / "programs"
        for place, text in (
            (programs / "python3", PRETEND_PYTHON),
            (programs / "apt-get", PRETEND_APT),
            (programs / "sudo", "#!/bin/sh\nexit 1\n"),
            (self.root / "go", SET_UP),
        ):
            place.parent.mkdir(exist_ok=True)
            place.write_text(text)
            place.chmod(0o755)
        native = "plenostream/integrator/native"
        for name in (
            "pyproject.toml",
            *(f"tools/{name}" for name in ("set_up.sh", "build_hook.py", "compile_kernels.py")),
            *(f"{native}/{name}" for name in ("sources.py", "structs.py", "kernels/kernels.c")),
        ):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        self.env = {"PATH": f"{programs}:{os.defpath}", "LOG": str(self.log)}

    def pretend(self, what: str) -> Path:
        """Let something go wrong until the file is removed again."""
        flag = Path(f"{self.log}.{what}")
        flag.touch()
        return flag

    def set_up(self, level: str = "run") -> subprocess.CompletedProcess[str]:
        command = ["bash", str(self.root / "go"), level]
        return subprocess.run(command, env=self.env, capture_output=True, text=True)

    def done(self) -> list[str]:
        """What was done since the last call, paths left out."""
        lines = self.log.read_text().replace(str(self.root), "").splitlines()
        self.log.write_text("")
        return lines


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_first_run_makes_an_environment_and_installs_the_package(checkout: Checkout) -> None:
    assert checkout.set_up().returncode == 0
    assert checkout.done() == ["venv", "pip "]


def test_second_run_does_nothing_and_says_nothing(checkout: Checkout) -> None:
    checkout.set_up()
    checkout.done()
    again = checkout.set_up()
    assert (again.returncode, again.stderr, checkout.done()) == (0, "", [])


def test_environment_that_a_killed_run_left_is_made_anew(checkout: Checkout) -> None:
    flag = checkout.pretend("killed")
    assert checkout.set_up().returncode != 0
    flag.unlink()
    checkout.done()
    assert checkout.set_up().returncode == 0
    assert checkout.done() == ["venv", "pip "]


def test_environment_whose_update_was_killed_is_made_anew(checkout: Checkout) -> None:
    checkout.set_up("run")
    flag = checkout.pretend("killed")
    assert checkout.set_up("dev").returncode != 0
    flag.unlink()
    checkout.done()
    assert checkout.set_up("run").returncode == 0
    assert checkout.done() == ["venv", "pip "]


def test_failed_installation_ends_with_a_message_and_is_tried_again(checkout: Checkout) -> None:
    flag = checkout.pretend("no-network")
    failed = checkout.set_up()
    assert failed.returncode == 1
    assert "could not be installed" in failed.stderr
    flag.unlink()
    assert checkout.set_up().returncode == 0


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "plenostream/integrator/native/kernels/kernels.c"]
)
def test_changed_requirements_and_kernels_are_installed_into_the_same_environment(
    checkout: Checkout, name: str
) -> None:
    checkout.set_up()
    checkout.done()
    with (checkout.root / name).open("a") as file:
        file.write("# changed\n")
    assert checkout.set_up().returncode == 0
    assert checkout.done() == ["pip "]


def test_environment_of_the_gate_serves_its_fast_part_and_the_demo_but_not_the_reverse(
    checkout: Checkout,
) -> None:
    checkout.set_up("run")
    checkout.done()
    checkout.set_up("fast")
    assert checkout.done() == ["pip [dev]"]
    checkout.set_up("dev")
    assert checkout.done() == ["pip [dev,points]"]
    for level in ("run", "fast"):
        checkout.set_up(level)
        assert checkout.done() == []


def test_environment_of_a_moved_checkout_is_made_anew(checkout: Checkout) -> None:
    checkout.set_up()
    checkout.done()
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    checkout.set_up()
    assert checkout.done() == ["venv", "pip "]


def test_environment_of_somebody_else_is_left_alone(checkout: Checkout) -> None:
    theirs = checkout.root / ".venv" / "theirs"
    theirs.parent.mkdir()
    theirs.touch()
    refused = checkout.set_up()
    assert (refused.returncode, checkout.done(), theirs.exists()) == (1, [], True)
    assert "was not made by this script" in refused.stderr


def test_missing_venv_package_is_named_with_the_command_to_run(checkout: Checkout) -> None:
    checkout.pretend("no-venv")
    refused = checkout.set_up()
    assert refused.returncode == 1
    assert "apt-get install python3.12-venv" in refused.stderr


def test_missing_interpreter_is_named_with_the_command_to_run(checkout: Checkout) -> None:
    checkout.env["PYTHON"] = "python3.99"
    refused = checkout.set_up()
    assert refused.returncode == 1
    assert "apt-get install python3 python3-venv" in refused.stderr


def test_libraries_that_open3d_lacks_are_named_and_stop_nothing(checkout: Checkout) -> None:
    checkout.pretend("no-open3d")
    done = checkout.set_up("dev")
    assert done.returncode == 0
    assert re.search(r"apt-get install lib.* libusb-1\.0-0", done.stderr)


def test_set_up_and_the_readme_name_the_same_packages() -> None:
    listed = re.search(r'^points_packages="(.+)"', (ROOT / "tools" / "set_up.sh").read_text(), re.M)
    assert listed is not None
    assert f"apt-get install {listed[1]}" in (ROOT / "README.md").read_text()


def run_ci(
    folder: Path, *, pythons: tuple[str, ...] = (), gate: str = "true", on_newest: str = "true"
) -> tuple[int, list[str], str]:
    """Exit code, calls of the gate, and what CI says, with Pythons and a gate that only pretend."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci")
    calls = folder / "calls"
    gate_text = f'echo "${{VENV:-.venv}} $*" >>{calls}\nif [ -n "${{VENV:-}}" ]; then {on_newest}; else {gate}; fi'
    programs = {
        "tools/test": gate_text,
        ".venv/bin/python": "echo 3.11",
        **{f"programs/python{v}": f"echo {v}" for v in pythons},
    }
    for name, text in programs.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    env = {"PATH": f"{folder / 'programs'}:{os.defpath}", "HOME": str(folder)}
    done = subprocess.run([folder / ".ci" / "run"], env=env, capture_output=True, text=True)
    return done.returncode, calls.read_text().splitlines(), done.stderr


def test_ci_runs_the_gate_and_few_cases_on_the_newest_python(tmp_path: Path) -> None:
    code, calls, _ = run_ci(tmp_path, pythons=("3.13", "3.14"))
    assert (code, calls) == (0, [".venv ", ".venv-3.14 --few"])


@pytest.mark.parametrize("failing", ["gate", "on_newest"])
def test_ci_fails_if_either_run_fails_and_runs_both(tmp_path: Path, failing: str) -> None:
    code, calls, said = run_ci(tmp_path, pythons=("3.13",), **{failing: "false"})
    assert (code, len(calls)) == (1, 2)
    assert "FAILED" in said


@pytest.mark.parametrize("name", ["tools/demo", "tools/test", ".ci/run"])
def test_command_is_executable_and_parses(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / name)], check=True)
