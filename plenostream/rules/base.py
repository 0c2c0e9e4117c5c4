"""What all rules have in common, and records whose fields carry rules."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, get_type_hints

from plenostream.errors import InvalidInput, shown

__all__ = ["Rule", "check_record", "described", "require_kind", "rules_of"]

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(ABC):
    """What an option takes."""

    help: str
    """What the option means: a sentence or two."""
    unsaid: str | None = None
    """What None stands for, in words; None is refused where there is nothing."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """What is taken, as the end of "expected ..."; names range and unit."""

    @property
    @abstractmethod
    def metavar(self) -> str:
        """What stands for the value in a command's help."""

    @property
    def range(self) -> str:
        """What is taken, in the fewest words; empty where the help's metavar says it all."""
        return self.expected

    def check(self, name: str, value: object) -> Any:
        """`value` as it is kept. Raises InvalidInput, which names the option `name`."""
        if value is None and self.unsaid is not None:
            return None
        return self._checked(name, value)

    @abstractmethod
    def _checked(self, name: str, value: object) -> Any: ...

    def parse(self, text: str) -> object:
        """The value that `text` stands for; the text itself where it stands for none."""
        return text

    def refusal(self, name: str, value: object) -> InvalidInput:
        """The error that says so."""
        return InvalidInput(f"{name} is {shown(value)}; expected {self.expected}")


@cache
def rules_of(record: type[Any]) -> Mapping[str, Rule]:
    """Rules of a record's fields, each annotated as Annotated[type, rule]."""
    hints = get_type_hints(record, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


def described(record: type[_Record]) -> type[_Record]:
    """Decorator that lists a record's fields in its docstring, with range, unit and default."""
    listed = []
    for name, rule in rules_of(record).items():  # type: ignore[arg-type]
        default = record.__dataclass_fields__[name].default  # type: ignore[attr-defined]
        said = rule.unsaid if default is None else repr(default)
        listed += [f"{name} : {rule.expected}; default: {said}", f"    {rule.help}"]
    first, rest = inspect.cleandoc(record.__doc__ or "").split("\n", 1)
    record.__doc__ = "\n".join([first, "", "Parameters", "----------", *listed, rest])
    return record


def check_record(record: object) -> None:
    """Check the fields of a frozen record by their rules, from its `__post_init__`."""
    kind: type[Any] = type(record)
    for name, rule in rules_of(kind).items():  # type: ignore[arg-type]
        object.__setattr__(record, name, rule.check(name, getattr(record, name)))


def require_kind(name: str, value: object, kind: type[Any], said: str) -> None:
    """Refuse an argument `name` that is of no such kind: InvalidInput, which says what was expected."""
    if not isinstance(value, kind):
        raise InvalidInput(f"{name} is {shown(value)}; expected {said}")
