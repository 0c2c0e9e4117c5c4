"""Each option has one rule: the library and the command line refuse by it, and the help states it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click
import numpy as np
import pytest

from plenostream import options
from plenostream.cameras import look_at_camera, orbit_cameras
from plenostream.cli import main as cli
from plenostream.cli.convert import convert
from plenostream.cli.edits import crop, levels, merge, prune, resample, transform
from plenostream.cli.parameters import Asked
from plenostream.cli.plan import plan
from plenostream.cli.points import points
from plenostream.cli.render import render
from plenostream.cli.sketch import inspect
from plenostream.cli.train import refine, train
from plenostream.errors import InvalidInput
from plenostream.field.grid import GridSpec
from plenostream.options import (
    ConvertOptions,
    EditOptions,
    FileOptions,
    RenderOptions,
    ResampleOptions,
    StreamOptions,
    VolumeOptions,
)
from plenostream.rules import (
    Box,
    Choice,
    Colour,
    DeviceName,
    Lengths,
    Memory,
    Names,
    Number,
    Pixel,
    Point,
    Projection,
    Rule,
    Size,
    Spelled,
    Steps,
    Truth,
    Whole,
    rules_of,
)

RECORDS = (
    RenderOptions,
    StreamOptions,
    ConvertOptions,
    VolumeOptions,
    ResampleOptions,
    EditOptions,
    FileOptions,
)
OF_RECORDS = [
    pytest.param(record, name, rule, id=f"{record.__name__}.{name}")
    for record in RECORDS
    for name, rule in rules_of(record).items()
]
NEVER = (math.nan, math.inf, -math.inf, "", "x", b"1", 1j, [], {}, [1, [2]], object(), 10**5000)
"""What no option takes."""
TYPED_NEVER = ("", " ", "nan", "inf", "-inf", "1e39x", "9" * 5000, "1+2j", "\0")


def outside(rule: Rule) -> list[Any]:
    """Values beyond the rule's own limits."""
    if isinstance(rule, Number):
        beyond = [np.nextafter(rule.least, -math.inf), np.nextafter(rule.most, math.inf)]
        far = [value for value in (1e39, 1e300, -1e300, -1) if not rule.least <= value <= rule.most]
        return [*map(float, beyond), *far, True, None]
    if isinstance(rule, Whole):
        return [rule.least - 1, rule.most + 1, -1, 1.0, True]
    if isinstance(rule, Memory):
        return [0, -1, 10**19, "0", "-1", "1e9", 1.5, True, "1e300"]
    if isinstance(rule, Choice):
        return [0, -1, "0", True, 1.5]
    if isinstance(rule, Colour):
        above = math.nextafter(1, 2)
        wrong = [(0.5, 0.5), (0.5,) * 4, (0, 0, -1e-9), (0, above, 0), (0, math.nan, 0)]
        return [*wrong, above, -1, True, None, "red", np.ma.masked_all(3), np.zeros((3, 1))]
    if isinstance(rule, DeviceName):
        return ["card", "cuda:", "cuda:x", "cuda:-1", "cpu:0:0", "CPU", 0, True]
    if isinstance(rule, Point):
        return [(1, 2), (1, 2, math.nan), (1e39, 0, 0), (0, 0, 10**400), np.ma.masked_all(3)]
    if isinstance(rule, Lengths):
        return [(1, 2), (1, 2, 0), (1, -1, 1), (1, 1, 1e39), 1.0, np.ma.masked_all(3), True]
    if isinstance(rule, Spelled):
        return [
            "1:0",
            "1:0,2",
            "1:0;2:1",
            "hot:1",
            "hot:1,2,3",
            "viridis",
            "a.png",
            ".txt",
            1,
            True,
        ]
    if isinstance(rule, Projection):
        least, most = 0.5 * rule.least, 2 * rule.most
        short = [(9, 9), (9,) * 5, (least, 9, 9), (9, 9, 9, least), (9, most, 9), (9, 9, math.nan)]
        return [*short, 9, "on", "9,9,9", True, (9, 9, "x"), None]
    if isinstance(rule, Size):
        return [(0, 5), (5,), (1, 2, 3), (65_537, 1), (1.5, 2), 5, "8x8"]
    return []


def limits(rule: Rule) -> list[Any]:
    """Values at the rule's limits, as they are kept."""
    if isinstance(rule, Number | Whole):
        return [rule.least, rule.most]
    if isinstance(rule, Memory):
        return ["1B", "1000000TB"]
    if isinstance(rule, Colour):
        return [0.0, 1.0, (0.0, 0.25, 1.0)]
    if isinstance(rule, Lengths):
        return [(rule.least, 1.0, rule.most)]
    if isinstance(rule, Spelled):
        return ["a.txt", "a b/c.csv"]
    if isinstance(rule, DeviceName):
        return [*rule.platforms, "cuda:0", "cuda:9999"]
    if isinstance(rule, Projection):
        return [*rule.words, (rule.least, rule.most, rule.most, rule.least)]
    if isinstance(rule, Names):
        return [rule.choices[:1], rule.choices]
    return list(rule.choices) if isinstance(rule, Choice) else [True, False]


@pytest.mark.parametrize(("record", "name", "rule"), OF_RECORDS)
def test_field_beyond_its_rule_is_refused_by_name(record: type[Any], name: str, rule: Rule) -> None:
    for value in [*NEVER, *outside(rule)]:
        if value is None and rule.unsaid:
            continue
        with pytest.raises(InvalidInput, match=rf"^{name} is "):
            record(**{name: value})


@pytest.mark.parametrize(("record", "name", "rule"), OF_RECORDS)
def test_field_takes_the_limits_of_its_rule(record: type[Any], name: str, rule: Rule) -> None:
    for value in limits(rule):
        assert getattr(record(**{name: value}), name) == value


@pytest.mark.parametrize("record", RECORDS)
def test_every_field_carries_a_rule(record: type[Any]) -> None:
    assert list(rules_of(record)) == [field.name for field in fields(record)]


COMMANDS = (
    *(render, plan, inspect, convert, points, crop, levels, merge, prune, resample, transform),
    *(train, refine),
)
ASKED = [
    pytest.param(command, param, id=f"{command.name} {param.opts[0]}")
    for command in COMMANDS
    for param in command.params
    if isinstance(param.type, Asked)
]
UNRULED = {
    *("--cameras", "--cache", "--stats", "--overwrite", "--resume", "--json", "--quiet"),
    *("--spheric-clip", "--last-sample-opaque", "--approximate", "--keep-grid", "--linear"),
    *("--out", "--start", "--test", "--sheet", "--colours-only"),
}
"""Paths, and flags without a value."""


def typed(rule: Rule) -> list[str]:
    """`outside`, as it is typed."""
    if isinstance(rule, Point):
        return ["1,2", "1,2,nan", "1e39,0,0", "0,-1e300,0", "1,2,3,4", "a,b,c"]
    if isinstance(rule, Lengths):
        return ["1,2", "1,2,0", "1,2,-3", "1,2,nan", "1,1,1e39", "1,2,3,4", "a,b,c", "1"]
    if isinstance(rule, Box):
        return ["1,2,3", "0,0,0,1,1,nan", "0,0,0,1,1,0", "0,0,0,1,1,1e39", "0,0,0,1,1,1,1", "a"]
    if isinstance(rule, Steps):
        return ["1,2", "1,2,0.5", "1,2,nan", f"1,2,{rule.most + 1}", "1,2,3,4", "a,b,c"]
    if isinstance(rule, Projection):
        return ["9,9", "9,9,9,9,9", "0,9,9", "9,9,1e7", "9,9,-1", "9,9,nan", "on", "9x9,9"]
    if isinstance(rule, Pixel):
        return ["1", "1,2,3", "-1,2", "1,65537", "1.5,2", "1e3,2", "1x2"]
    if isinstance(rule, Size):
        return ["0x5", "800", "5x", "65537x1", "-1x5", "1e3x5", "800x600x3"]
    if isinstance(rule, Colour):
        return ["0.5,0.5", "1,1,1,1", "0,0,-1e-9", "1.1", "-1", "0,nan,0", "red", "red,0,0", ","]
    beyond = [value for value in outside(rule) if not isinstance(value, bool | None)]
    # "1.5" is a byte and a half, rounded down; as a count it is none.
    return [str(value) for value in beyond if not (isinstance(rule, Memory) and value == 1.5)]


@pytest.mark.parametrize(("command", "param"), ASKED)
def test_flag_beyond_its_rule_ends_in_2_and_names_it(
    command: click.Command, param: click.Parameter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(param.type, Asked)
    rule, flag = param.type.rule, param.opts[0]
    operands = {
        **{
            "convert": ["no.npz", "no"],
            "points": ["no", "no.ply"],
            "export": ["no", "no.ply"],
            "render": ["no", "no.png"],
        },
        **{edit: ["no", "out"] for edit in ("crop", "levels", "prune", "resample", "transform")},
        **{three: ["no", "no", "out"] for three in ("merge", "refine")},
        "train": ["no", "out"],
    }
    for text in [*TYPED_NEVER, *typed(rule)]:
        code = cli.main(
            [command.name or "", *operands.get(command.name or "", ["no"]), f"{flag}={text}"]
        )
        told = capsys.readouterr().err
        assert (code, told.count("\n")) == (2, 1), text
        assert told.startswith(f"plenostream: error: {flag} is "), text


@pytest.mark.parametrize(("command", "param"), ASKED)
def test_help_of_a_flag_states_its_rule(command: click.Command, param: click.Parameter) -> None:
    assert isinstance(param, click.Option)
    assert isinstance(param.type, Asked)
    rule = param.type.rule
    flag, told = param.get_help_record(click.Context(command)) or ("", "")
    assert rule.help in told
    assert rule.range in told
    assert flag == f"{param.opts[0]} {rule.metavar}"


def test_every_flag_that_takes_a_value_has_a_rule() -> None:
    without = {
        max(param.opts, key=len)
        for command in COMMANDS
        for param in command.params
        if isinstance(param, click.Option) and not isinstance(param.type, Asked)
    }
    assert without <= UNRULED


GRID = GridSpec(size=(8, 8, 8))


@pytest.mark.parametrize(
    ("place", "name", "rule"),
    [
        (lambda v: orbit_cameras(GRID, v), "n", options.ORBIT),
        (
            lambda v: orbit_cameras(GRID, 1, elevation_degrees=v),
            "elevation_degrees",
            options.ELEVATION,
        ),
        (lambda v: orbit_cameras(GRID, 1, distance=v), "distance", options.DISTANCE),
        (lambda v: orbit_cameras(GRID, 1, fov_degrees=v), "fov_degrees", options.FOV),
        (lambda v: orbit_cameras(GRID, 1, size=v), "size", options.SIZE),
        (lambda v: look_at_camera(v, (0, 0, 0)), "eye", options.LOOK_FROM),
        (lambda v: look_at_camera((1, 2, 3), v), "target", options.LOOK_AT),
    ],
    ids=["n", "elevation", "distance", "fov", "size", "eye", "target"],
)
def test_camera_is_placed_by_the_same_rules(
    place: Callable[[Any], Any], name: str, rule: Rule
) -> None:
    for value in [*NEVER, *outside(rule)]:
        if value is None and rule.unsaid:
            continue
        with pytest.raises(InvalidInput, match=rf"^{name} is "):
            place(value)
    if isinstance(rule, Number):
        for value in limits(rule):
            place(value)


@pytest.mark.parametrize("rule", [RenderOptions, StreamOptions, ConvertOptions], ids=str)
def test_truth_values_are_no_numbers_and_numbers_no_truth_values(rule: type[Any]) -> None:
    for name, each in rules_of(rule).items():
        wrong: object = 1 if isinstance(each, Truth) else True
        with pytest.raises(InvalidInput, match=name):
            rule(**{name: wrong})


def test_background_has_the_same_names_in_the_library() -> None:
    assert RenderOptions(background="black").background == 0.0  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [0.25, (0.25,) * 3, [0.25] * 3, np.full(3, 0.25)], ids=repr)
def test_background_of_one_number_or_three_is_a_colour(given: Any) -> None:
    assert RenderOptions(background=given).background_rgb == (0.25, 0.25, 0.25)
