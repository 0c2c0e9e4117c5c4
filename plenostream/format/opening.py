"""Open a scene or a level of it, wherever it lies.

Opening reads the ``zarr.json`` documents and the tables in ``bricks/``, checks all of them, and no
row. Of scenes with `table_sections` it reads where bricks are. Where answers have to be waited for, the
root's document says what all others do (`consolidated`), or all of them are asked for at once; and then
all chunks of the tables.
"""

from __future__ import annotations

import os

from plenostream.errors import InvalidInput
from plenostream.files.paths import PathLike, url_of, without_secrets
from plenostream.format.asking import asked_at_once
from plenostream.format.consolidated import ConsolidatedSource
from plenostream.format.kept import KeptSource, kept_around
from plenostream.format.layout import ArraySpec, SceneMeta, groups_of
from plenostream.format.levels import level_folder
from plenostream.format.nodes import check_group_node, read_array_node, read_root
from plenostream.format.reader import SceneStore
from plenostream.format.remote import open_source
from plenostream.format.source import ByteSource, SourceWithin
from plenostream.format.stored import StoredArray

__all__ = ["open_level", "open_store"]


def open_store(
    path: PathLike, *, cache: PathLike | None = None, cache_bytes: int = 0
) -> SceneStore:
    """The scene at `path`: a folder, a zip file of the folder's content, or a URL of the folder.

    What is read of other machines is kept in `cache`, up to `cache_bytes`; where that is None, as the
    `kept_in` around it says.

    Raises
    ------
    InvalidInput : no path, or a URL whose library is not installed.
    StoreNotFound : nothing there that could be a scene.
    StoreFormat : not complete, not this format, a newer version of it, or altered.
    BrickCorrupt : a chunk of a table is missing or damaged; named.
    """
    source = open_source(path)
    where = without_secrets(url_of(path) or os.fspath(path))
    try:
        root = read_root(source, where=where)
        if source.most_at_once:
            if cache is None and (kept := kept_around()) is not None:
                cache, cache_bytes = kept
            if cache is not None:
                source = KeptSource(source, cache, allowed_bytes=cache_bytes, scene=root.checksum)
            source = ConsolidatedSource(source, root.documents)
        return _opened(where, source, root.meta)
    except BaseException:
        source.close()
        raise


def open_level(store: SceneStore, level: int) -> SceneStore:
    """A coarser level of an open scene, which has to stay open meanwhile.

    It has the scene's attributes but for grid and counts (`SceneMeta.level`), and no groups but
    `bricks` and `rows`.

    Raises
    ------
    InvalidInput : the scene has no such level.
    StoreFormat, BrickCorrupt : as for `open_store`.
    """
    n_levels = len(store.meta.levels)
    if not 0 <= level <= n_levels:
        there = f"has levels 0 to {n_levels}" if n_levels else "has no coarser levels"
        raise InvalidInput(
            f"{store.path} {there}, and level is {level}; convert it again with more levels"
        )
    if level == 0:
        return store
    folder = level_folder(level)
    source = SourceWithin(store.source, f"{folder}/")
    return _opened(f"{store.path}/{folder}", source, store.meta.level(level), level_of=store)


def _opened(
    where: str, source: ByteSource, meta: SceneMeta, *, level_of: SceneStore | None = None
) -> SceneStore:
    """The scene or level in a source; its documents and tables are read and checked."""
    store = SceneStore(path=where, source=source, meta=meta, level_of=level_of)

    def read_document(of: str | ArraySpec) -> StoredArray | None:
        if isinstance(of, ArraySpec):
            return read_array_node(source, of, where=where)
        check_group_node(source, of, where=where)
        return None

    with asked_at_once(source.n_at_once) as each:
        documents: list[str | ArraySpec] = [*groups_of(meta), *store.specs.values()]
        nodes = each(read_document, documents)
        store.arrays = {node.spec.name: node for node in nodes if node is not None}
        if meta.table_sections is None:
            store.read_tables(each)
        else:
            store.read_places(each)
    if meta.table_sections is None:
        store.check_tables()
    return store
