"""What commands tell: what is under way, and the figures in the end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from benchmarks.table import Row, as_json, table_lines

__all__ = ["save", "say", "tell"]


def say(what: str) -> None:
    """A line, at once, beside the figures."""
    click.echo(what, err=True)


def save(target: Path | None, told: Any) -> None:
    """Figures as JSON, where a file is asked for."""
    if target is not None:
        target.write_text(json.dumps(told, indent=1) + "\n")


def tell(place: str, found: Any, rows: Iterable[Row], *, target: Path | None) -> None:
    """The figures of the scene at `place` as a table, and as JSON where a file is asked for."""
    save(target, as_json(found))
    click.echo("\n".join(table_lines({os.path.basename(place): list(rows)})))
