"""Small PlenOctrees in the form that svox 1 writes, and their picture worked out ray by ray."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream import reference


class Tree:
    """A tree that is grown cell by cell; cells are [node, x, y, z]."""

    def __init__(self, dim: int, *, radius: float = 1.5, center: float = 0.0) -> None:
        self.dim, self.radius, self.center = dim, radius, center
        self.child = np.zeros((1, 2, 2, 2), np.int32)
        self.data = np.zeros((1, 2, 2, 2, 3 * dim + 1), np.float16)

    def split(self, cell: tuple[int, int, int, int]) -> int:
        """Put a node below a leaf; its number."""
        node = len(self.child)
        self.child[cell] = node - cell[0]
        self.child = np.concatenate([self.child, np.zeros((1, 2, 2, 2), np.int32)])
        self.data = np.concatenate([self.data, np.zeros((1, *self.data.shape[1:]), np.float16)])
        return node

    def arrays(self, **changes: Any) -> dict[str, Any]:
        scaling = np.full(3, 0.5 / self.radius, np.float32)
        values: dict[str, Any] = {
            "data_dim": 3 * self.dim + 1,
            "child": self.child,
            "parent_depth": np.zeros((len(self.child), 2), np.int32),
            "n_internal": len(self.child),
            "n_free": 0,
            "invradius3": scaling,
            "offset": np.full(3, 0.5 * (1 - self.center / self.radius), np.float32),
            "depth_limit": 10,
            "geom_resize_fact": 1.0,
            "data": self.data,
            "data_format": f"SH{self.dim}",
        }
        return {name: value for name, value in (values | changes).items() if value is not None}

    def save(self, path: Path, **changes: Any) -> Path:
        np.savez_compressed(path, **self.arrays(**changes))
        return path


def ball_tree(levels: int, dim: int = 4, *, seed: int = 3) -> Tree:
    """Leaves of the deepest level are a ball with soft colours; the tree is coarse elsewhere."""
    rng = np.random.default_rng(seed)
    slopes = rng.normal(0.0, 1.0, (3, 3 * dim))
    tree = Tree(dim, radius=1.5, center=0.25)

    def fill(node: int, corner: NDArray[np.float64], edge: float, level: int) -> None:
        for x, y, z in np.ndindex(2, 2, 2):
            low = corner + edge * np.array([x, y, z])
            middle = low + edge / 2 - 0.5
            near = np.linalg.norm(middle) - edge * math.sqrt(3) / 2
            far = np.linalg.norm(middle) + edge * math.sqrt(3) / 2
            if level + 1 < levels and near < 0.35 < far:
                fill(tree.split((node, x, y, z)), low, edge / 2, level + 1)
            elif np.linalg.norm(middle) < 0.35:
                tree.data[node, x, y, z, :-1] = np.sin(3 * middle @ slopes)
                tree.data[node, x, y, z, -1] = 6.0

    fill(0, np.zeros(3), 0.5, 0)
    return tree


def ray_by_ray(
    tree: Tree, origins: NDArray[np.float64], dirs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Colours on white: one ray at a time, in the words of svox's kernel."""
    colours = []
    for origin, direction in zip(origins, dirs, strict=True):
        view = direction / np.linalg.norm(direction)
        basis = reference.sh_basis(view[None], tree.dim)[0]
        o = 0.5 * (1 - tree.center / tree.radius) + 0.5 / tree.radius * origin
        d = 0.5 / tree.radius * view
        delta_scale = 1 / np.linalg.norm(d)
        d = d * delta_scale
        t_min, t_max = 0.0, 1e9
        for axis in range(3):
            one, other = -o[axis] / (d[axis] + 1e-9), (1 - o[axis]) / (d[axis] + 1e-9)
            t_min, t_max = max(t_min, min(one, other)), min(t_max, max(one, other))
        rgb, light, t = np.zeros(3), 1.0, t_min
        while t < t_max:
            where = np.clip(o + t * d, 0, 1 - 1e-6)
            node, cells = 0, 2
            while True:
                where = where * 2
                x, y, z = np.floor(where).astype(int)
                where = where - [x, y, z]
                if tree.child[node, x, y, z] == 0:
                    break
                node += tree.child[node, x, y, z]
                cells *= 2
            ends = [
                max(-p / (v + 1e-9), (1 - p) / (v + 1e-9)) for p, v in zip(where, d, strict=True)
            ]
            length = min(ends) / cells + 1e-3
            values = tree.data[node, x, y, z].astype(np.float64)
            if values[-1] > 0:
                left = math.exp(-length * delta_scale * values[-1])
                colour = 1 / (1 + np.exp(-(values[:-1].reshape(3, -1) @ basis)))
                rgb += light * (1 - left) * colour
                light *= left
            t += length
        colours.append(rgb + light)
    return np.array(colours)
