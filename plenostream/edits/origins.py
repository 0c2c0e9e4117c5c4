"""Scenes that an edit starts from, and what a scene that is made of them says of where it is from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from plenostream import __version__
from plenostream.edits.extras import chosen_extras, copy_extras
from plenostream.edits.voxels import SceneVoxels
from plenostream.errors import InvalidInput, printable, shown
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.files.paths import (
    PathLike,
    apart_from,
    scene_name,
    scene_place,
    without_secrets,
)
from plenostream.format.brick_rows import cached_chunks
from plenostream.format.layout import SceneMeta
from plenostream.format.opening import open_store
from plenostream.format.staging import Staging
from plenostream.importers.arrays.boxes import BoxSource
from plenostream.importers.arrays.making import DescribedSource, box_width, make_scene
from plenostream.importers.arrays.values import ValueForm
from plenostream.importers.packing.report import ConvertReport
from plenostream.options import Codec, ConvertOptions, EditOptions
from plenostream.results import Progress

__all__ = ["Edit", "Origin", "make_edited", "open_origin", "require_memory"]

_CACHE_SHARE = 8
"""Of the memory allowed, the part that decoded chunks of all scenes may take."""
_LONGEST_LINE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A scene that something is made of; closed again."""

    path: str
    """Absolute, or a URL."""
    meta: SceneMeta
    codec: Codec
    table_bytes: int
    """Memory that its tables take while it is open."""

    @property
    def label(self) -> str:
        """Its name, and the digest that says which one it was."""
        return printable(f"{scene_name(self.path)} ({self.meta.tables_digest})")

    @property
    def shown(self) -> str:
        """Where it is, for messages."""
        return printable(without_secrets(self.path).rstrip("/"))


class Edit(Protocol):
    """What an edit does with the voxels of its scenes."""

    def __call__(self, scenes: Sequence[SceneVoxels]) -> BoxSource:
        """The voxels of the new scene."""


def open_origin(scene: PathLike, target: PathLike) -> Origin:
    """What an edit has to know of a scene before it starts.

    Raises
    ------
    StoreError : no scene, or damaged tables.
    OutputError : `target` is the scene itself.
    """
    path = scene_place(scene)
    apart_from([scene_place(target)], {"scene": path})
    with open_store(path) as store:
        return Origin(
            path=path,
            meta=store.meta,
            codec="lz4" if store.codec == "lz4" else "zstd",
            table_bytes=store.tables.nbytes,
        )


def make_edited(
    target: PathLike,
    grid: GridSpec,
    origins: Sequence[Origin],
    edit: Edit,
    options: EditOptions | None,
    *,
    line: str,
    progress: Progress | None,
    held_bytes: int = 0,
) -> ConvertReport:
    """Write the scene that `edit` makes of `origins`; codec and bricks are the first one's.

    `line` says in words what is done; `held_bytes` is memory that the edit takes for itself.

    Raises
    ------
    InvalidInput : what the scenes have beside voxels does not go together, see `chosen_extras`.
    """
    options = checked_options(options)
    first = origins[0]
    extras = chosen_extras(origins, grid)
    caches = _caches(origins, options)
    form = _form_of(origins)
    files_before = {origin.meta.source_digest: origin.meta for origin in origins}
    files = ExitStack()

    def source(staging: Staging, tell: Progress) -> BoxSource:
        stores = [files.enter_context(open_store(origin.path)) for origin in origins]
        scene = staging.scene
        copy_extras(stores[extras.layers_of], scene, "background", codec=first.codec)
        copy_extras(stores[0], scene, "basis", codec=first.codec)
        return edit(
            [
                SceneVoxels(store, n_chunks=n_chunks)
                for store, (n_chunks, _) in zip(stores, caches, strict=True)
            ]
        )

    described = DescribedSource(
        name=" + ".join(meta.source_name for meta in files_before.values())[:_LONGEST_LINE],
        form=form,
        open=source,
        close=files.close,
        n_bytes=sum(meta.source_bytes for meta in files_before.values()),
        held_bytes=held_bytes + _held_bytes(origins, options),
        identity={
            "scenes": [origin.meta.tables_digest for origin in origins],
            "extras": extras.digests,
            "edit": line,
        },
        digest=first.meta.source_digest if len(files_before) == 1 else "",
        history=new_history(origins, line),
        background=extras.background,
        learned=extras.learned,
    )
    how = ConvertOptions(
        brick_size=first.meta.brick_size,
        codec=first.codec,
        levels="auto" if first.meta.levels else 0,
        host_memory=options.host_memory,
        workers=options.workers,
        overwrite=options.overwrite,
        resume=options.resume,
        ndc=extras.ndc,
    )
    with files:
        return make_scene(target, grid, described, how, progress=progress)


def require_memory(
    grid: GridSpec, origins: Sequence[Origin], options: EditOptions, *, held_bytes: int = 0
) -> None:
    """Refuse (BudgetError) as `make_edited` would, where that is known before: for who has long work to
    do until then."""
    bricks = BrickGrid(size=grid.size, brick_size=origins[0].meta.brick_size)
    held_bytes += _held_bytes(origins, options)
    box_width(bricks, _form_of(origins), options, held_bytes=held_bytes)


def _form_of(origins: Sequence[Origin]) -> ValueForm:
    return ValueForm(
        basis_dim=max(origin.meta.basis_dim for origin in origins),
        sh_dtype=max(origin.meta.sh_dtype for origin in origins),  # float32 where one has it
    )


def _caches(origins: Sequence[Origin], options: EditOptions) -> list[tuple[int, int]]:
    """Decoded chunks that are kept of each scene, and their bytes."""
    share = options.host_bytes // _CACHE_SHARE // len(origins)
    return [cached_chunks(origin.meta, share) for origin in origins]


def _held_bytes(origins: Sequence[Origin], options: EditOptions) -> int:
    """Memory that open scenes take."""
    tables = sum(origin.table_bytes for origin in origins)
    return tables + sum(n_bytes for _, n_bytes in _caches(origins, options))


def checked_options(options: Any) -> EditOptions:
    """`options`, or the defaults for None; InvalidInput for anything else."""
    if options is None:
        return EditOptions()
    if not isinstance(options, EditOptions):
        raise InvalidInput(f"options is {shown(options)}; expected EditOptions")
    return options


def new_history(origins: Sequence[Origin], line: str) -> tuple[str, ...]:
    """All that was done to the scenes, in their order, and then this."""
    before = [entry for origin in origins for entry in origin.meta.history]
    labels = ", ".join(origin.label for origin in origins)
    return (*before, f"{line}; of {labels}; plenostream {__version__}"[:_LONGEST_LINE])
