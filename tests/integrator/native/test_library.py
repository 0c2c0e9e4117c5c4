"""The compiled library: found or not, of these sources or not, and what is drawn with then."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import plenostream as ps
from plenostream.integrator.native import library, sources
from plenostream.integrator.native.structs import ARGUMENTS
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.pictures import open_renderer

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

import compile_kernels  # noqa: E402

VIEW = ps.look_at_camera((2.6, 1.1, 1.3), (0.0, 0.0, 0.0), size=(9, 8))


def test_what_is_exported_is_what_is_called() -> None:
    assert sorted(compile_kernels.kernel_names()) == sorted(ARGUMENTS)


@pytest.mark.usefixtures("native")
def test_library_of_other_sources_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "digest", lambda: "0" * 16)
    with pytest.raises(ps.DeviceError, match="install plenostream again"):
        library.load_kernels()


def test_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kernels.so").write_bytes(b"nothing")
    with pytest.raises(ps.DeviceError, match="do not load"):
        library.load_kernels(path=tmp_path / "kernels.so")


def test_without_the_library_jax_draws_and_a_line_says_why(
    monkeypatch: pytest.MonkeyPatch,
    make_scene: Callable[..., Path],
    tiny: CheckpointArrays,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(library, "library_name", lambda: "none.so")
    scene = make_scene(tiny)
    with open_renderer(scene) as renderer:
        assert renderer.backend.name == "xla"
        assert "were not compiled" in renderer.backend.why
        assert renderer.render(VIEW).stats.backend == "xla"
    with (
        pytest.raises(ps.DeviceError, match="were not compiled"),
        open_renderer(scene, backend="native"),
    ):
        pass


@pytest.mark.usefixtures("native")
def test_checkout_uses_the_library_of_the_package_that_was_installed_from_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record, compiled = tmp_path / "plenostream-9.dist-info", tmp_path / "plenostream" / "found.so"
    record.mkdir()
    compiled.parent.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: plenostream\nVersion: 9\n")
    (record / "RECORD").write_text("plenostream/found.so,,\n")
    compiled.write_bytes(Path(library.open_library()._name).read_bytes())
    monkeypatch.setattr(library, "library_name", lambda: compiled.name)
    monkeypatch.syspath_prepend(tmp_path)
    assert library.open_library()._name == str(compiled)


def test_every_source_counts_for_the_digest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = sources.digest()
    for path in sources.FOLDER.glob("*.[ch]"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    assert sources.digest() == before
    (tmp_path / "walk.h").write_bytes(b"/* another */")
    assert sources.digest() != before


def test_compiler_that_fails_says_what_it_said(tmp_path: Path) -> None:
    target = compile_kernels.host_target()
    if target is None:
        pytest.skip("needs a platform that kernels are compiled for")
    with pytest.raises(RuntimeError, match="."):
        compile_kernels.compile_library(
            target, tmp_path / "k.so", tmp_path, more=["-no-such-option"]
        )
    assert not (tmp_path / "k.so").exists()
