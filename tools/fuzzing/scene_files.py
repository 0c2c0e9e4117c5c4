"""Scenes whose attributes, documents and tables were changed, with right checksums around them.

A case is a JSON object that says what is changed in a small sound scene:

========================  ======================================================================
``attributes``            values put in place of those of the scene's attributes
``without``               attributes that are left out
``documents``             values put into ``zarr.json`` documents, by array or group
``follow``                true: shapes in the documents follow the attributes
``tables``                ``[position, value]`` pairs, by array: elements that are changed
``checksums``             false: those of the attributes and tables stay as they were
``missing``               files that are deleted
========================  ======================================================================
"""

from __future__ import annotations

import copy
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

import plenostream as ps
from fuzzing.json_cases import mutate_document, mutate_json
from fuzzing.target import Raw
from plenostream.errors import PlenostreamError
from plenostream.format.attributes import ATTRIBUTES_KEY, decode_attributes
from plenostream.format.digests import tables_digest
from plenostream.format.info import info_lines, scene_info
from plenostream.format.layout import ArraySpec, array_specs
from plenostream.format.opening import open_store
from plenostream.format.verify import verify
from plenostream.format.writer import encode_chunk
from plenostream.plan import build_boxes
from plenostream.stream import BrickFetcher, smallest_cache_bytes
from plenostream.testing.checkpoints import random_checkpoint

__all__ = ["SceneFiles"]

_SEEDS: tuple[dict[str, Any], ...] = (
    {},
    {"attributes": {"n_voxels": 1}},
    {"attributes": {"source_name": "other"}, "documents": {"rows/sh": {"attributes": {}}}},
    {"tables": {"bricks/density_max": [[0, 2.0]], "bricks/boxes": [[0, 1]]}},
    {"tables": {"bricks/row_start": [[1, 3]], "rows/sh": [[0, 0.5]], "rows/density": [[5, 1.0]]}},
    {"attributes": {"grid_size": [17, 16, 16], "n_rows": 4}, "follow": True, "checksums": False},
    {"without": ["density_rounding"], "missing": ["bricks/digest/zarr.json"]},
)


class SceneFiles:
    """See `Target`: `open_store`, `verify`, `scene_info` and the reading of all bricks."""

    name = "scene"

    def __init__(self) -> None:
        self._sound: Path | None = None
        self._arrays: dict[str, NDArray[Any]] = {}
        self._body: dict[str, Any] = {}
        self._documents: dict[str, Any] = {}
        self._specs: dict[str, ArraySpec] = {}
        self._files: set[str] = set()
        self._touched: set[str] = set()
        """Files of the case before that are not as in the sound scene."""

    def seeds(self) -> list[bytes]:
        return [json.dumps(seed).encode() for seed in _SEEDS]

    def mutate(self, case: bytes, rng: random.Random, raw: Raw) -> bytes:
        self._prepare()
        names = [*self._arrays, *(f"{name}/zarr.json" for name in self._arrays), "bricks", "rows"]
        document = ("shape", "data_type", "codecs", "fill_value", "chunk_grid", "attributes")
        case_keys = ("attributes", "without", "documents", "follow", "tables", "missing")
        keys = [*self._body, *self._body, *names, *document, *case_keys, "new"]
        if rng.random() < 0.3:
            return mutate_json(case, rng, raw, keys)
        return self._purposely(case, rng)

    def _purposely(self, case: bytes, rng: random.Random) -> bytes:
        """A change of one attribute, element, document or flag, on top of those of the case or alone."""
        changes: dict[str, Any] = {}
        if rng.random() < 0.5:
            try:
                found = json.loads(case)
            except (ValueError, RecursionError):
                found = {}
            changes = found if isinstance(found, dict) else {}
        kind = rng.choice(("attributes", "attributes", "tables", "tables", "documents", "follow"))
        if kind == "follow":
            flag = rng.choice(("follow", "checksums"))
            changes[flag] = not changes.get(flag, flag == "checksums")
            return json.dumps(changes).encode()
        inner = changes.get(kind)
        inner = changes[kind] = inner if isinstance(inner, dict) else {}
        if kind == "attributes":
            key = rng.choice(list(self._body))
            inner[key] = mutate_document(inner.get(key, self._body[key]), rng, list(self._body))
        elif kind == "tables":
            name = rng.choice(list(self._arrays))
            array = self._arrays[name].reshape(-1)
            at = rng.randrange(array.size)
            value = array[at].item()
            to = rng.choice((value + 1, value - 1, -value, 0, 2 * value, 255, 2**62, float("nan")))
            inner[name] = [*_list(inner.get(name)), [at, to]][-8:]
        else:
            name = rng.choice([*self._documents])
            document = {**self._documents[name], **dict(_pairs(inner.get(name)))}
            key = rng.choice(list(document))
            inner[name] = {key: mutate_document(document[key], rng, keys=list(document))}
        return json.dumps(changes).encode()

    def read(self, case: bytes, folder: Path) -> None:
        try:
            changes = json.loads(case)
        except (ValueError, RecursionError):
            return
        if not isinstance(changes, dict):
            return
        scene = folder / "scene.zarr"
        self._restore(scene)
        self._write(scene, changes)
        _read_everything(scene)

    def _restore(self, scene: Path) -> None:
        """Make `scene` a sound one. Folders are not made anew each time: that took half of it."""
        sound = self._prepare()
        if not scene.exists():
            shutil.copytree(sound, scene)
        else:
            for name in self._touched:
                shutil.copy(sound / name, scene / name)
        self._touched = set()

    def _prepare(self) -> Path:
        """The sound scene, made once."""
        if self._sound is None:
            folder = Path(tempfile.mkdtemp(prefix="plenostream-fuzz-"))
            sound = folder / "sound.zarr"
            checkpoint = random_checkpoint(3, size=(16, 12, 9), active_share=0.1, basis_dim=4)
            ps.convert(
                checkpoint.save(folder / "sound.npz"),
                sound,
                ps.ConvertOptions(brick_size=8, workers=1),
            )
            with open_store(sound) as store:
                self._specs = store.specs
                self._arrays = {name: store.read_array(name).copy() for name in store.specs}
            self._documents = {
                name: json.loads((sound / name / "zarr.json").read_text())
                for name in ("bricks", "rows", *self._arrays)
            }
            self._body = json.loads((sound / "zarr.json").read_text())["attributes"][ATTRIBUTES_KEY]
            self._files = {p.relative_to(sound).as_posix() for p in sound.rglob("*") if p.is_file()}
            self._sound = sound
        return self._sound

    def close(self) -> None:
        """Delete the sound scene."""
        if self._sound is not None:
            shutil.rmtree(self._sound.parent, ignore_errors=True)
            self._sound = None

    def _write(self, scene: Path, changes: dict[str, Any]) -> None:
        arrays, changed = dict(self._arrays), set()
        for name, edits in _pairs(changes.get("tables")):
            if name in arrays:
                arrays[name] = _edited(arrays[name], edits)
                changed.add(name)
        body = {key: value for key, value in self._body.items() if key != "checksum"}
        anew = changes.get("checksums", True) is not False
        if anew:
            body["tables_digest"] = tables_digest(arrays)
        body |= dict(_pairs(changes.get("attributes")))
        for key in _list(changes.get("without")):
            if isinstance(key, str):
                body.pop(key, None)
        if anew:
            checksum = _checksum(body)
            body.setdefault("checksum", checksum)
        else:
            body["checksum"] = self._body["checksum"]
        root = json.loads((scene / "zarr.json").read_text())
        root["attributes"] = {ATTRIBUTES_KEY: body}
        documents = {"": root} | copy.deepcopy(self._documents)
        if changes.get("follow") is True:
            try:
                meta = decode_attributes({ATTRIBUTES_KEY: body}, where="")
                following = array_specs(meta)
            except (PlenostreamError, ArithmeticError, TypeError, ValueError, KeyError):
                following = {}  # the attributes say nothing that documents could follow
            for name, spec in following.items():
                documents[name]["shape"] = list(spec.shape)
                chunk_shape = list(spec.chunk_shape)
                documents[name]["chunk_grid"]["configuration"]["chunk_shape"] = chunk_shape
        for name, values in _pairs(changes.get("documents")):
            name = name.removesuffix("/zarr.json").removesuffix("zarr.json")
            if name in documents and isinstance(values, dict):
                documents[name] |= values
        for name, document in documents.items():
            if document != self._documents.get(name):
                self._put(scene, f"{name}/zarr.json", json.dumps(document).encode())
        for name in changed:
            chunk = encode_chunk(self._specs[name], arrays[name], codec="zstd")
            self._put(scene, self._specs[name].chunk_key(0), chunk)
        for name in _list(changes.get("missing")):
            if isinstance(name, str) and name in self._files:
                self._touched.add(name)
                (scene / name).unlink(missing_ok=True)

    def _put(self, scene: Path, name: str, content: bytes) -> None:
        self._touched.add(name.lstrip("/"))
        (scene / name.lstrip("/")).write_bytes(content)


def _read_everything(scene: Path) -> None:
    """As `info`, `verify` and a render of all bricks read; each is tried, whatever the others say."""
    errors: list[PlenostreamError] = []
    whole, unreadable = False, ""
    try:
        lines = info_lines(scene_info(scene))
        for line in lines:
            assert line.isprintable(), f"what is printed is not all text: {line!r}"
    except PlenostreamError as error:
        errors.append(error)
    try:
        report = verify(scene)
        whole = report.ok
        for line in report.lines():
            assert line.isprintable(), f"what is printed is not all text: {line!r}"
    except PlenostreamError as error:
        errors.append(error)
    try:
        with (
            open_store(scene) as store,
            BrickFetcher(store, cache_bytes=smallest_cache_bytes(store), n_threads=1) as fetcher,
        ):
            tables, meta = store.tables, store.meta
            build_boxes(tables.index, tables.boxes, tables.occupied, meta.bricks)
            fetcher.take(np.arange(meta.n_bricks))
    except PlenostreamError as error:
        errors.append(error)
        unreadable = str(error)
    assert not (whole and unreadable), f"verify calls it whole, and reading ends with: {unreadable}"
    if errors:
        raise errors[0]


def _checksum(body: dict[str, Any]) -> str | None:
    """As the format says: xxh3-64 of the others as compact JSON with sorted keys."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return xxhash.xxh3_64_hexdigest(text.encode("utf-8", "surrogatepass"))


def _edited(array: NDArray[Any], edits: object) -> NDArray[Any]:
    """A copy with the elements of `[position, value]` pairs changed, as far as they are that."""
    flat = array.copy().reshape(-1)
    for edit in _list(edits):
        match edit:
            case [int(at), int() | float() as value] if flat.size:
                with np.errstate(all="ignore"):
                    if flat.dtype.kind == "f":
                        number = float(min(max(value, -(10**300)), 10**300))
                        flat[at % flat.size] = np.float64(number).astype(flat.dtype)
                    elif value == value and abs(value) < 1e300:
                        bits = int(value) % (1 << (8 * flat.dtype.itemsize))
                        raw = bits.to_bytes(flat.dtype.itemsize, "little")
                        flat[at % flat.size] = np.frombuffer(raw, flat.dtype.newbyteorder("<"))[0]
    return flat.reshape(array.shape)


def _pairs(value: object) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
