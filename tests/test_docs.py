"""README and docs/: links lead somewhere, words and names exist, rules are all there."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from plenostream.format.schema import ATTRIBUTES, BACKGROUND_ATTRIBUTES, BASIS_ATTRIBUTES, OPTIONAL

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "data" / "README.md", *DOCS.glob("*.md")]
MODULES = sorted((ROOT / "plenostream").rglob("*.py"))
CODE = [
    path
    for folder in ("plenostream", "tests", "tools", ".ci")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and path.suffix in ("", ".py", ".sh") and "corpus" not in path.parts
]
"""Whatever may cite a page; scripts without an ending among it."""

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_REPOSITORY = re.compile(r"`(?:\./)?((?:plenostream|tests|tools|docs|data|\.ci)/[\w./-]+)[^`]*`")
_CITED = re.compile(r"docs/rules\.md`?, rules? (\d+)(?: and (\d+))?")
_ELSEWHERE = re.compile(r"\b(?:DESIGN|STYLE)\b|\bissue \d|(?<!docs/rules\.md`, )\brules? \d")
"""Citations of what is not in the repository, or not by its name."""
_LARGEST_README = 150


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Names of a page's headings in links, made as GitHub makes them."""
    plain = (re.sub(r"[^\w\- ]", "", heading).lower() for heading in _HEADING.findall(prose(page)))
    return {name.strip().replace(" ", "-") for name in plain}


def broken_links(page: Path) -> list[str]:
    broken = []
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue  # elsewhere: nothing here depends on a network
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    assert broken_links(page) == []


def test_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two`\n[a](#one-two) [b](page.md) [c](#three) [d](none.md)\n")
    assert broken_links(page) == ["#three", "none.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    # Names in capitals and `version_N` stand for what somebody will make.
    named = [
        name for name in _REPOSITORY.findall(prose(page)) if not re.search(r"[A-Z]{2}|_N", name)
    ]
    # The changelog names what went, too.
    gone = [name for name in named if not (ROOT / name).exists() and page.name != "CHANGELOG.md"]
    assert gone == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(_LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} <= {
        link.split("#")[0] for link in linked
    }


def test_source_distribution_holds_what_the_readme_links_to() -> None:
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
    included = hatch["build"]["targets"]["sdist"]["include"]
    links = _LINK.findall(prose(ROOT / "README.md"))
    linked = {link.partition("#")[0].partition("/")[0] for link in links if ":" not in link}
    assert {"docs", "data", "CHANGELOG.md"} <= linked
    assert linked <= {name.removeprefix("/") for name in included}


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= _LARGEST_README


def test_rules_are_numbered_without_a_gap_and_those_cited_exist() -> None:
    numbers = re.findall(r"^(\d+)\. ", (DOCS / "rules.md").read_text(), re.MULTILINE)
    assert numbers == [str(n + 1) for n in range(len(numbers))]
    cited = {
        number
        for path in CODE
        for pair in _CITED.findall(" ".join(path.read_text(errors="replace").split()))
        for number in pair
        if number
    }
    assert cited
    assert cited <= set(numbers)


def test_nothing_is_cited_that_is_not_in_the_repository() -> None:
    cited = [
        f"{path.relative_to(ROOT)}: {words}"
        for path in CODE
        if path != Path(__file__)
        for words in _ELSEWHERE.findall(" ".join(path.read_text(errors="replace").split()))
    ]
    assert cited == []


def test_layers_of_the_design_are_those_of_the_package() -> None:
    section = (DOCS / "design.md").read_text().split("## Layers")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([\w./]+)`", row)}
    assert len(named) > 10
    assert [name for name in named if not (ROOT / "plenostream" / name).exists()] == []


def test_format_names_every_attribute() -> None:
    section = (DOCS / "format.md").read_text().split("## Attributes")[1].split("\n## ")[0]
    named = {
        name
        for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    extra = {*BACKGROUND_ATTRIBUTES, *(name for of in BASIS_ATTRIBUTES.values() for name in of)}
    extra |= {*OPTIONAL}
    assert named == {*ATTRIBUTES, *extra, "format_version", "complete", "checksum"}


@cache
def names_in_the_package() -> frozenset[str]:
    """Every identifier: modules, functions, classes, arguments, variables, fields."""
    names = {path.stem for path in MODULES}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name):
                    names.add(name)
                case ast.arg(arg=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                    names.add(name)
    return frozenset(names)


def glossary(section: str) -> list[list[str]]:
    """Rows of the tables under headings that match, without their heads; cells as text."""
    text = (DOCS / "glossary.md").read_text()
    parts = [part for part in text.split("\n## ")[1:] if re.match(section, part)]
    rows = [row for part in parts for row in re.findall(r"^\| (.+) \|$", part, re.MULTILINE)]
    cells = [row.split(" | ") for row in rows]
    return [row for row in cells if row[0] not in ("word", "not")]


def test_names_of_the_glossary_exist() -> None:
    rows = glossary(r"(?!Words that)")
    assert len(rows) > 40
    for word, code, _ in rows:
        for name in re.findall(r"`(\w+)`", code):
            known = name in names_in_the_package() or name in ("checksum",)
            assert known, f"{word}: {name}"


def test_no_word_of_the_glossary_is_explained_twice() -> None:
    words = [word for row in glossary(r"(?!Words that)") for word in row[0].split(", ")]
    assert sorted(set(words)) == sorted(words)


def test_words_that_the_glossary_forbids_are_not_used() -> None:
    forbidden = [w for row in glossary("Words that") for w in re.findall(r"`(\w+)`", row[0])]
    assert len(forbidden) > 5
    used = [
        f"{path.relative_to(ROOT)}:{number}: {word}"
        for path in MODULES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for word in re.findall(r"[A-Za-z]+(?:_[A-Za-z]+)*", line)
        if {word.lower(), *word.lower().split("_")} & set(forbidden)
    ]
    assert used == []
