"""JSON documents with something changed: a value, a key, a place."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

from fuzzing.target import Raw

__all__ = ["mutate_document", "mutate_json"]

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -0.0, 1, -1, 2, 3, 9, 16, 255, 0.5, 1e-45, 1e-320, 1e39, -1e300),
    *(float("nan"), float("inf"), float("-inf")),
    *(2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, 10**400, -(10**400)),
    *("", "0", "nan", "float16", "\0", "\x1b[31m", "\ud800", "a" * 300, "../..", "/dev/zero"),
    *(
        [],
        {},
        [[]],
        [None],
        [1, 2],
        [1, 2, 3],
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3]],
        {"": []},
    ),
)
_MOST_NODES = 400


def mutate_json(case: bytes, rng: random.Random, raw: Raw, keys: Sequence[str]) -> bytes:
    """The document in `case` with one to four changes; `keys` are names that mean something."""
    if rng.random() < 0.15:
        return raw(case)
    try:
        document = json.loads(case)
    except (ValueError, RecursionError):
        return raw(case)
    try:
        document = mutate_document(document, rng, keys)
        text = json.dumps(document, ensure_ascii=bool(rng.random() < 0.8))
        return text.encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return raw(case)


def mutate_document(document: Any, rng: random.Random, keys: Sequence[str]) -> Any:
    """A JSON value with one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        holder = {"": document}
        places = _places(holder)
        parent, key = rng.choice(places)
        _change(parent, key, rng, keys, places)
        document = holder.get("", None)
    return document


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Container and key of each value below `document`, breadth first."""
    found: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting and len(found) < _MOST_NODES:
        node = waiting.pop(0)
        if isinstance(node, dict):
            items: list[tuple[Any, Any]] = list(node.items())
        elif isinstance(node, list):
            items = list(enumerate(node))
        else:
            continue
        found += [(node, key) for key, _ in items]
        waiting += [value for _, value in items]
    return found


def _change(
    parent: Any, key: Any, rng: random.Random, keys: Sequence[str], places: list[tuple[Any, Any]]
) -> None:
    value = parent[key]
    kind = rng.randrange(9)
    if kind == 0:
        parent[key] = copy.deepcopy(rng.choice(_VALUES))
    elif kind == 1 and len(parent) > 1:
        del parent[key]
    elif kind == 2 and isinstance(value, list):
        value.insert(rng.randint(0, len(value)), copy.deepcopy(rng.choice([*value, *_VALUES])))
    elif kind == 3 and isinstance(value, dict):
        other, name = rng.choice(places)
        value[rng.choice(keys)] = copy.deepcopy(rng.choice([*_VALUES, other[name]]))
    elif kind == 4 and isinstance(parent, dict) and key != "":
        parent[rng.choice(keys)] = parent.pop(key)
    elif kind == 5:
        other, name = rng.choice(places)
        parent[key] = copy.deepcopy(other[name])
    elif kind == 6:
        parent[key] = [copy.deepcopy(value) for _ in range(rng.choice((1, 2, 3, 17)))]
    elif type(value) is int:
        parent[key] = rng.choice((value + 1, value - 1, -value, 2 * value, value << 31, str(value)))
    elif type(value) is float:
        parent[key] = rng.choice((-value, value * (1 + 1e-6), value * 1e30, value / 1e30, int(1e9)))
    elif isinstance(value, str):
        parent[key] = rng.choice(
            (value + "\n", value[1:], value.upper(), [value], rng.choice(keys))
        )
    else:
        parent[key] = copy.deepcopy(rng.choice(_VALUES))
