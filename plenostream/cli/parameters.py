"""What flags accept, and the flags that several commands share.

The flags of a record of options are made from its fields, so that a default has one home.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import click

from plenostream.errors import InvalidInput
from plenostream.options import ConvertOptions, RenderOptions, StreamOptions
from plenostream.rules import Number, Rule, Truth, format_number, rules_of

__all__ = [
    "Asked",
    "Settings",
    "json_option",
    "quiet_option",
    "record_options",
    "rule_option",
    "spelled_flag",
    "take_record",
]

_Record = TypeVar("_Record", RenderOptions, StreamOptions, ConvertOptions)
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


_SPELLED = {"n_threads": "threads"}
"""Flags that have another name than the field."""


def rule_option(
    flag: str, field: str, rule: Rule, *, default: Any = None, shown: str | None = None
) -> Callable[[_Command], _Command]:
    """Decorator that gives a command the flag of an option; its help states range and default.

    Where the flag is left out, the command gets `default`, unchecked; `shown` is that in words.
    """
    if isinstance(rule, Truth):
        return click.option(flag, field, is_flag=True, default=default, help=rule.help)
    said = shown or rule.unsaid or (None if default is None else _as_typed(rule, default))
    facts = [rule.range] if rule.range else []
    facts += [f"default: {said}"] if said else []
    return click.option(
        flag,
        field,
        type=Asked(rule),
        metavar=rule.metavar,
        default=default,
        help=rule.help + (f"  [{'; '.join(facts)}]" if facts else ""),
    )


def _as_typed(rule: Rule, default: Any) -> str:
    if isinstance(rule, Number):
        names = [f"{word}, " for word, value in rule.words if value == default]
        return f"{''.join(names)}{format_number(default)}"
    return str(default)


def spelled_flag(name: str) -> str:
    """A parameter's name as it is typed: look_at -> --look-at."""
    return "--" + name.replace("_", "-")


def record_options(record: type, *, without: Sequence[str] = ()) -> Callable[[_Command], _Command]:
    """Decorator that gives a command one flag per field of a record of options.

    The command gets the fields as keyword arguments of the same names.
    """

    def decorate(command: _Command) -> _Command:
        rules = rules_of(record)
        # Click lists flags in the order of decorators read from top to bottom.
        for field in reversed(fields(record)):
            if field.name in without:
                continue
            flag = spelled_flag(_SPELLED.get(field.name, field.name))
            rule = rules[field.name]
            command = rule_option(flag, field.name, rule, default=field.default)(command)
        return command

    return decorate


def take_record(record: type[_Record], flags: dict[str, Any]) -> _Record:
    """The record made of its fields among `flags`, which are taken out of them."""
    return record(**{field.name: flags.pop(field.name) for field in fields(record)})


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
