"""What flags accept, and the flags that several commands share.

The flags of a record of options are made from its fields, so that a default has one home.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

import click

from plenostream.bytesize import parse_bytes
from plenostream.errors import InvalidInput
from plenostream.options import ConvertOptions, RenderOptions, StreamOptions

__all__ = [
    "BACKGROUND",
    "OUTPUTS",
    "POINT",
    "SCALE",
    "SIZE",
    "FromText",
    "Settings",
    "json_option",
    "quiet_option",
    "record_options",
    "spelled_flag",
    "take_record",
]

_Record = TypeVar("_Record", RenderOptions, StreamOptions, ConvertOptions)
_Command = TypeVar("_Command", bound=Callable[..., Any])


class FromText(click.ParamType):  # type: ignore[type-arg]
    """A value read from text by a function that raises ValueError (InvalidInput is one)."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):  # a default
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,9})\s*[xX]\s*([0-9]{1,9})", text.strip())
    if match is None:
        raise InvalidInput(f"{text!r} is no size in pixels; expected WIDTHxHEIGHT, such as 800x600")
    return int(match[1]), int(match[2])


def _point(text: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(f"{text!r} is no point; expected X,Y,Z, such as 1.5,-2,0.8") from None
    return x, y, z


def _background(text: str) -> float:
    named = {"white": 1.0, "black": 0.0}
    try:
        return named[text] if text in named else float(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is neither white, black nor a number") from None


def _scale(text: str) -> float | str:
    try:
        return "auto" if text == "auto" else float(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is neither auto nor a number") from None


def _bytes(text: str) -> str:
    parse_bytes(text)
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


SIZE = FromText("WxH", _size)
POINT = FromText("X,Y,Z", _point)
BACKGROUND = FromText("white|black|VALUE", _background)
SCALE = FromText("auto|FACTOR", _scale)
OUTPUTS = FromText("rgb,alpha,depth", _names)
_BYTES = FromText("SIZE", _bytes)


@dataclass(frozen=True, slots=True)
class _Flag:
    """How a field is asked for on the command line."""

    kind: click.ParamType  # type: ignore[type-arg]
    help: str
    name: str | None = None
    """Where it is not the field's."""
    shown: str | None = None
    """The default in words."""


_FLAGS: dict[type, dict[str, _Flag]] = {
    RenderOptions: {
        "background": _Flag(
            BACKGROUND, "Brightness behind everything, 0 to 1.", shown="white, 1"
        ),
        "step_size": _Flag(click.FLOAT, "Distance between samples along a ray, in voxels."),
        "near_clip": _Flag(
            click.FLOAT, "Nearest distance from the eye that counts, in world units."
        ),
        "sigma_thresh": _Flag(
            click.FLOAT, "Samples of this density (per world unit) or less contribute nothing."
        ),
        "stop_thresh": _Flag(
            click.FLOAT, "A ray ends, fully opaque, when less than this share of light is left."
        ),
    },
    StreamOptions: {
        "precision": _Flag(
            click.Choice(["auto", "float16", "float32"]),
            "Type of what is held on the device; arithmetic is float32 in any case. auto takes "
            "float16 where that is safe for the scene, else float32, and says so.",
        ),
        "device_memory": _Flag(
            _BYTES,
            "Bytes allowed on the device, such as 512MB, 8GB or 1.5GiB. Kept to, or refused at "
            "once with the smallest budget that works.",
            shown="8GB on a CPU, 90 % of what the device grants elsewhere",
        ),
        "host_memory": _Flag(
            _BYTES, "Bytes allowed for decoded chunks, staging buffers and reads in flight."
        ),
        "n_threads": _Flag(
            click.INT,
            "Threads that read and, on a CPU, integrate.",
            name="threads",
            shown="one a core",
        ),
    },
    ConvertOptions: {
        "brick_size": _Flag(click.INT, "Cells per axis of a brick: 8, 16 or 32."),
        "dtype": _Flag(
            click.Choice(["auto", "float16"]),
            "auto keeps the checkpoint's values exactly; float16 rounds densities and coefficients.",
        ),
        "codec": _Flag(
            click.Choice(["zstd", "lz4"]), "zstd makes smaller scenes, lz4 is read faster."
        ),
        "host_memory": _Flag(
            _BYTES, "Bound on the process's memory above what the program itself takes."
        ),
        "workers": _Flag(
            click.INT, "Threads that pack and compress.", shown="one a core"
        ),
        "overwrite": _Flag(click.BOOL, "Replace the scene if it exists."),
        "resume": _Flag(click.BOOL, "Go on with a conversion that was cut off."),
    },
}  # fmt: skip


def spelled_flag(name: str) -> str:
    """A parameter's name as it is typed: look_at -> --look-at."""
    return "--" + name.replace("_", "-")


def record_options(record: type, *, without: Sequence[str] = ()) -> Callable[[_Command], _Command]:
    """Decorator that gives a command one flag per field of a record of options.

    The command gets the fields as keyword arguments of the same names.
    """

    def decorate(command: _Command) -> _Command:
        # Click lists flags in the order of decorators read from top to bottom.
        for field in reversed(fields(record)):
            if field.name in without:
                continue
            flag = _FLAGS[record][field.name]
            assert field.default is not MISSING
            spelled = spelled_flag(flag.name or field.name)
            command = click.option(
                spelled,
                field.name,
                type=flag.kind,
                metavar=_metavar(flag.kind),
                is_flag=flag.kind is click.BOOL,
                default=field.default,
                show_default=flag.shown is None and flag.kind is not click.BOOL,
                help=flag.help + (f"  [default: {flag.shown}]" if flag.shown else ""),
            )(command)
        return command

    return decorate


def _metavar(kind: click.types.ParamType) -> str | None:  # type: ignore[type-arg]
    """Click would print names in capitals, and floats as FLOAT."""
    return (
        kind.name
        if isinstance(kind, FromText)
        else {"float": "NUMBER", "integer": "N"}.get(kind.name)
    )


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
