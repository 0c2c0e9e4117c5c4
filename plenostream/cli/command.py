"""A command with its flags under headings, and words and files to complete in a shell."""

from __future__ import annotations

import re
from typing import Any

import click
from click.shell_completion import CompletionItem

__all__ = ["Command", "Flag", "Place"]

_OTHERS = "Other options"
_WORD = re.compile(r"[a-z0-9][a-z0-9.-]*")
_FILE = re.compile(r"FILE(\.\w+)?|PATH|FOLDER|SCENE")


class Flag(click.Option):
    """A flag that belongs under a heading of the help; one without is under the last."""

    def __init__(self, *names: Any, heading: str = "", **rest: Any) -> None:
        super().__init__(*names, **rest)
        self.heading = heading

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The words that its metavar names, and files where it names one."""
        parts = (self.metavar or "").split("|")
        words = [part for part in parts if _WORD.fullmatch(part) and part.startswith(incomplete)]
        # Shells complete files by themselves once they are told to.
        files = (
            [CompletionItem(incomplete, type="file")] if any(map(_FILE.fullmatch, parts)) else []
        )
        return [*map(CompletionItem, words), *files]


class Place(click.Argument):
    """A file or folder that a command reads or writes."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Files."""
        return [CompletionItem(incomplete, type="file")]


class Command(click.Command):
    """A command whose help lists flags under their headings, in the order in which these come."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the flags; under one heading where none of them has another."""
        lists: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            # Newer versions of click have records of arguments, which the text speaks of.
            if record is not None and isinstance(parameter, click.Option):
                lists.setdefault(getattr(parameter, "heading", ""), []).append(record)
        others = lists.pop("", [])
        for heading, records in lists.items():
            with formatter.section(heading):
                formatter.write_dl(records)
        with formatter.section(_OTHERS if lists else "Options"):
            formatter.write_dl(others)
