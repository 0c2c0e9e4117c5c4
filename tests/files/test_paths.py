"""What a path may be, whoever named it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from plenostream.errors import CheckpointError, InvalidInput, OutputError
from plenostream.files.paths import apart_from, input_file, local_path, outside_scenes, scene_name


@pytest.mark.parametrize(
    "path",
    ["s3://bucket/x", "S3://b", "http://h/x", "file:///x", "gs://", "a+b-c.d://x",
     "zip::s3://b/x.zip", Path("s3://bucket/x"), "s3:/bucket/x"],
    ids=repr,
)  # fmt: skip
def test_a_url_is_a_url_even_where_path_took_a_slash(path: Any) -> None:
    with pytest.raises(InvalidInput, match=r"the scene .* is a URL \(.*://\); only scenes"):
        local_path(path, what="scene")


def test_a_url_is_refused_without_its_secrets() -> None:
    with pytest.raises(InvalidInput, match="the film s3://bucket/x is a URL") as raised:
        local_path("s3://me:secret@bucket/x?sig=secret", what="film")
    assert "secret" not in str(raised.value)
    assert scene_name("s3://me:secret@bucket/?sig=secret") == "bucket"


@pytest.mark.parametrize("path", ["a:b", "C:/x", "x/s3://y", "12://x", "./s3:/x", "a b://x", " "])
def test_other_names_with_colons_are_files(path: str) -> None:
    assert local_path(path, what="scene") == Path(path)


def test_a_folder_that_is_named_as_a_scheme_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run:").mkdir()
    assert local_path("run:/a.png", what="picture") == Path("run:/a.png")


@pytest.mark.parametrize("path", ["", "a\0b", b"a", 5, None], ids=repr)
def test_what_no_file_can_be_named_is_refused(path: Any) -> None:
    with pytest.raises(InvalidInput, match="scene"):
        local_path(path, what="scene")


@pytest.mark.parametrize(
    ("kind", "message"),
    [("pipe", "a named pipe"), ("folder", "a folder"), ("device", "a device"), ("none", "not there"),
     ("dangling", "not there"), ("loop", "symbolic links")],
)  # fmt: skip
def test_an_input_is_a_file_on_a_disk(tmp_path: Path, kind: str, message: str) -> None:
    path = tmp_path / "input"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "dangling":
        path.symlink_to("nothing")
    elif kind == "loop":
        path.symlink_to("input")
    with pytest.raises(CheckpointError, match=f"the checkpoint .*{message}"):
        input_file(path, what="checkpoint", error=CheckpointError)


def test_a_link_into_a_scene_leads_into_the_scene(tmp_path: Path) -> None:
    (tmp_path / "scene" / "rows").mkdir(parents=True)
    (tmp_path / "scene" / "zarr.json").touch()
    (tmp_path / "link").symlink_to("scene/rows")
    for folder in ("scene", "scene/rows", "scene/new/deep", "link", "link/new"):
        with pytest.raises(OutputError, match="would lie in .*scene, which is a scene"):
            outside_scenes(tmp_path / folder, shown="a.png", error=OutputError)
    outside_scenes(tmp_path / "scene/..", shown="a.png", error=OutputError)


def test_an_output_is_not_one_of_the_inputs_by_whatever_name(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    (tmp_path / "link").symlink_to("x")
    with pytest.raises(OutputError, match="would be written over the scene"):
        apart_from([tmp_path / "link"], {"scene": tmp_path / "x", "camera file": None})
    apart_from([tmp_path / "y"], {"scene": tmp_path / "x"})
