"""What flags accept, and the flags that several commands share.

The flags of a record of options are made from its fields, so that a default has one home.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, TypeVar, cast

import click

from plenostream.cli.command import Flag
from plenostream.errors import InvalidInput
from plenostream.options import (
    CACHE_SIZE,
    ClusterOptions,
    ConvertOptions,
    EditOptions,
    ExportOptions,
    FileOptions,
    RenderOptions,
    ResampleOptions,
    StreamOptions,
    TrainOptions,
    ViewOptions,
    VolumeOptions,
)
from plenostream.rules import Rule, Truth, rules_of

__all__ = [
    "Asked",
    "Settings",
    "cache_options",
    "json_option",
    "keeps_read",
    "quiet_option",
    "record_options",
    "rule_option",
    "spelled_flag",
    "take_record",
]

_Record = TypeVar(
    "_Record",
    RenderOptions,
    StreamOptions,
    ClusterOptions,
    ConvertOptions,
    VolumeOptions,
    ResampleOptions,
    EditOptions,
    ExportOptions,
    ViewOptions,
    FileOptions,
    TrainOptions,
)
_Command = TypeVar("_Command", bound=Callable[..., Any])


class Asked(click.ParamType):  # type: ignore[type-arg]
    """A value read from text and checked by an option's rule."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.name = rule.metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name = param.opts[0] if param is not None else self.name
        try:
            return self.rule.check(
                name, self.rule.parse(value) if isinstance(value, str) else value
            )
        except InvalidInput as error:
            raise click.UsageError(str(error), ctx) from error


class _RuleOption(Flag):
    """A flag whose help states what its rule takes beside the default."""

    def get_help_extra(self, ctx: click.Context) -> Any:
        extra = super().get_help_extra(ctx)
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default  # click puts words between parentheses
        if isinstance(self.type, Asked) and self.type.rule.range:
            extra["range"] = self.type.rule.range
        return extra


def rule_option(
    *names: str,
    rule: Rule,
    default: Any = None,
    shown: str | None = None,
    required: bool = False,
    multiple: bool = False,
    heading: str = "",
) -> Callable[[_Command], _Command]:
    """Decorator that gives a command the flag of an option; `names` as `click.option` takes them.

    It is listed under `heading`. Where the flag is left out, the command gets `default`; `shown` is
    that in words. `required`: it may not be; `multiple`: it may be said several times, and the
    command gets a tuple.
    """
    if isinstance(rule, Truth):
        return click.option(
            *names, cls=Flag, heading=heading, is_flag=True, default=default, help=rule.help
        )
    # To click, None is a default like any other, and what has one is not missing.
    unless_said = {} if required else {"default": default}
    return click.option(
        *names,
        cls=_RuleOption,
        heading=heading,
        type=Asked(rule),
        metavar=rule.metavar,
        **unless_said,
        show_default=shown or rule.unsaid or True,
        required=required,
        multiple=multiple,
        help=rule.help,
    )


_HEADINGS: dict[type, str] = {
    ClusterOptions: "Several processes or machines",
    FileOptions: "Files",
    RenderOptions: "Picture",
    ResampleOptions: "Models that are resampled",
    StreamOptions: "Device and memory",
    TrainOptions: "Training",
    VolumeOptions: "Volumes of numbers",
}
"""Headings of the flags of records; those of other records are the command's own."""
_SPELLED = {"n_threads": "threads"}
"""Flags that have another name than the field."""


def spelled_flag(name: str) -> str:
    """A parameter's name as it is typed: look_at -> --look-at."""
    return "--" + name.replace("_", "-")


def record_options(
    record: type, *, without: Container[str] = (), **defaults: Any
) -> Callable[[_Command], _Command]:
    """Decorator that gives a command one flag per field of a record of options.

    The command gets the fields as keyword arguments of the same names; not those it is `without`.
    `defaults` are those of this command, where they are not the record's.
    """

    def decorate(command: _Command) -> _Command:
        rules = rules_of(record)
        # Click lists flags in the order of decorators read from top to bottom.
        for field in reversed(fields(record)):
            if field.name in without:
                continue
            flag = spelled_flag(_SPELLED.get(field.name, field.name))
            default = defaults.get(field.name, field.default)
            add = rule_option(
                flag,
                field.name,
                rule=rules[field.name],
                default=default,
                heading=_HEADINGS.get(record, ""),
            )
            command = add(command)
        return command

    return decorate


def cache_options(command: _Command) -> _Command:
    """Decorator that gives a command --cache and --cache-size, for scenes of other machines."""
    folder = click.option(
        "--cache",
        cls=Flag,
        metavar="FOLDER",
        help="Folder in which what was read of a scene at a URL is kept for the next time; several "
        "programs may share it.",
    )
    return folder(rule_option("--cache-size", rule=CACHE_SIZE, default="20GB")(command))


def keeps_read(command: _Command) -> _Command:
    """Decorator that gives a command the `cache_options`, for all scenes that it opens."""

    @wraps(command)
    def run(*places: Any, cache: str | None, cache_size: int | str, **said: Any) -> Any:
        if cache is None:
            return command(*places, **said)
        from plenostream.scene import keep_read

        with keep_read(cache, cache_size=cache_size):
            return command(*places, **said)

    return cache_options(cast("_Command", run))


def take_record(record: type[_Record], flags: dict[str, Any]) -> _Record:
    """The record made of its fields among `flags`, which are taken out of them."""
    named = [field.name for field in fields(record) if field.name in flags]
    return record(**{name: flags.pop(name) for name in named})


@dataclass(slots=True)
class Settings:
    """What holds for the program as a whole; the context's object."""

    quiet: bool = False


def _be_quiet(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    del parameter
    if value:
        context.ensure_object(Settings).quiet = True


quiet_option = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=_be_quiet,
    help="No progress and no summary; errors are still said.",
)
"""Accepted before and after the name of a command."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
