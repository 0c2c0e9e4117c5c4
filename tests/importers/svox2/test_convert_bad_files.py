"""The hostile, broken and odd checkpoints of ../shared: each is refused or converted as it must be.

Two of them, zip bombs of 700 MB and 6 GB, take most of a minute to make as they were recorded. The
first is put together here from copies of one compressed megabyte. The second claims its 6 GB and
holds 64 MB, which is three times the memory that a file may take.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from plenostream.errors import PlenostreamError
from plenostream.format.layout import SceneMeta
from plenostream.format.opening import open_store
from plenostream.importers.svox2.convert import convert
from plenostream.options import ConvertOptions

MAKER = Path(__file__).resolve().parents[4] / "shared" / "reference" / "10_bad" / "make_bad.py"
MANIFEST = MAKER.with_name("manifest.json")
FILES: dict[str, dict[str, Any]] = (
    json.loads(MANIFEST.read_text())["files"] if MANIFEST.exists() else {}
)
TWINS = sorted(name for name, entry in FILES.items() if "same_as" in entry)
LIMITED = sorted(name for name, entry in FILES.items() if "max_memory_mb" in entry)


def load_maker(shared: Path, folder: Path) -> ModuleType:
    """The program that makes the files, as a module that writes to `folder`."""
    path = shared / "reference" / "10_bad" / "make_bad.py"
    spec = importlib.util.spec_from_file_location("make_bad", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    arguments, sys.argv = sys.argv, [str(path), str(folder)]
    try:
        spec.loader.exec_module(module)
    finally:
        sys.argv = arguments
    return module


MEGABYTE = bytes(1 << 20)


def deflated(header: bytes, size: int) -> tuple[bytes, int]:
    """The deflate stream of a header and `size` zeros, made in no time, and its checksum."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush nothing refers back, so the same bytes may come any number of times.
    block = packer.compress(MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    n, rest = divmod(size, len(MEGABYTE))
    end = packer.compress(bytes(rest)) + packer.flush()
    crc = zlib.crc32(header)
    for _ in range(n):
        crc = zlib.crc32(MEGABYTE, crc)
    return start + n * block + end, zlib.crc32(bytes(rest), crc)


def bombs(maker: Any) -> None:
    """The recorded bombs, one of them with a stream that is shorter than it claims to be."""
    rows, size = 175_000_000, 6_000_000_000
    header = maker.raw_npy(maker.head("<f4", f"({rows}, 1)"))
    stream, crc = deflated(header, 4 * rows)
    members = maker.scene(drop=["density_data"])
    claimed = len(header) + 4 * rows
    maker.add(
        "bomb_deflate",
        maker.zip_of_stream(
            members, "density_data.npy", stream, claimed, crc, zipfile.ZIP_DEFLATED
        ),
        **FILES["bomb_deflate.npz"],
    )
    header = maker.raw_npy(maker.head("<f2", f"({size // 24}, 12)"))
    stream = maker.zeros_bz2(header, 64 << 20)
    members = maker.scene(drop=["sh_data"])
    maker.add(
        "bomb_bz2",
        maker.zip_of_stream(
            members, "sh_data.npy", stream, len(header) + size, 0, zipfile.ZIP_BZIP2
        ),
        **FILES["bomb_bz2.npz"],
    )
    members = [(f"{k}.npy", v) for k, v in maker.base().items() if k != "links"]
    claim = maker.raw_npy(maker.head("<i4", "(4000, 4000, 4000)"), bytes(4000))
    maker.add(
        "bomb_links_claim",
        maker.pack([*members, ("links.npy", claim)]),
        **FILES["bomb_links_claim.npz"],
    )


@pytest.fixture(scope="session")
def bad(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all the files."""
    folder = tmp_path_factory.mktemp("bad")
    maker: Any = load_maker(shared, folder)
    for part in (maker.archives, partial(bombs, maker), maker.headers, maker.scenes, maker.sound):
        part()
    assert {path.name for path in folder.iterdir()} == set(FILES)
    return folder


@pytest.fixture
def outcome(bad: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """`outcome(name)`: "ok" or "error" after checking what must hold in both cases."""
    monkeypatch.chdir(tmp_path)

    def run(name: str) -> str:
        refused: PlenostreamError | None = None
        try:
            convert(bad / name, "scene", ConvertOptions())
        except PlenostreamError as error:
            refused = error
        # Nothing was run, nothing lies anywhere but in the scene, and errors leave nothing at all.
        assert os.listdir(tmp_path) == ([] if refused else ["scene"])
        if refused is None:
            return "ok"
        message = str(refused).replace(str(bad), "")
        assert refused.exit_code == 1
        # A recipe for pickles is the longest; nothing of the file's own makes it longer.
        assert len(message) < 600
        assert "\n" not in message
        return "error"

    return run


@pytest.mark.parametrize("name", FILES or ["-"])
def test_file_does_what_its_manifest_says(
    bad: Path, outcome: Callable[[str], str], name: str
) -> None:
    result = outcome(name)
    assert FILES[name]["result"] in (result, "either")


def contents(scene: Path) -> tuple[SceneMeta, dict[str, NDArray[Any]]]:
    with open_store(scene) as store:
        return store.meta, {name: store.read_array(name) for name in store.specs}


@pytest.mark.parametrize("name", TWINS or ["-"])
def test_sound_file_gives_the_scene_of_its_twin(bad: Path, tmp_path: Path, name: str) -> None:
    scenes = []
    for number, file in enumerate((name, FILES[name]["same_as"])):
        convert(bad / file, tmp_path / str(number), ConvertOptions())
        scenes.append(contents(tmp_path / str(number)))
    (ours, arrays), (theirs, expected) = scenes
    for key, values in expected.items():
        # The digest is of the stored bytes, so it differs where float32 stays float32.
        if key != "bricks/digest" or ours.sh_dtype == theirs.sh_dtype:
            np.testing.assert_array_equal(arrays[key], values, err_msg=key)
    unlike = ("sh_dtype", "source_name", "source_bytes", "source_digest", "tables_digest")
    assert replace(ours, **{key: getattr(theirs, key) for key in unlike}) == theirs


MEASURE = """
import json, resource, sys
from plenostream.importers.svox2.convert import convert
from plenostream.errors import PlenostreamError
from plenostream.options import ConvertOptions

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak()
for path in sys.argv[2:]:
    try:
        convert(path, sys.argv[1], ConvertOptions())
    except PlenostreamError:
        continue
    sys.exit(path + " was converted")
print(json.dumps(peak() - before))
"""


def growth(target: Path, paths: list[Path]) -> int:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, target, *paths], capture_output=True, text=True, check=True
    )
    return int(json.loads(done.stdout))


def test_bomb_of_copies_unpacks_to_what_was_recorded(bad: Path) -> None:
    with zipfile.ZipFile(bad / "bomb_deflate.npz") as archive:
        size = archive.getinfo("density_data.npy").file_size
        with archive.open("density_data.npy") as member:  # checks the checksum at its end
            n = sum(len(part) for part in iter(partial(member.read, 1 << 22), b""))
    assert n == size > 700_000_000


def test_files_that_claim_much_take_little_memory(bad: Path, tmp_path: Path) -> None:
    assert growth(tmp_path / "s", [bad / name for name in LIMITED]) < 20_000_000
