"""Whatever has a name that users meet is documented: a name without its place in a page fails here.

Names come from the code, places from the pages as they are; the generator has no say in it.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

import click
import pytest

import api_reference
import make_docs
import spxdata
from spxdata import errors, flags, schema
from spxdata.analysis.archive import Archive
from spxdata.analysis.chain import COLUMNS as CHAIN
from spxdata.analysis.smile import Surface
from spxdata.cli.errors import EXIT_CODES
from spxdata.cli.group import COMMANDS
from spxdata.config import SETTINGS
from spxdata.observe.levels import ENTRIES
from spxdata.pipeline import rules
from tests.conftest import ROOT


class Place(NamedTuple):
    """Where something must stand.

    Attributes:
        name: What it is called.
        page: The file.
        heading: Heading of the section, with its hashes; empty for the whole page.
        words: What must stand there: a pattern.
    """

    name: str
    page: str
    heading: str
    words: str


def section(text: str, heading: str) -> str:
    """Return what stands below a heading, down to the next one of its level or above; nothing if there is none."""
    if not heading:
        return text
    level = len(heading.split(" ", 1)[0])
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{level}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def undocumented(places: Iterable[Place], read: Callable[[str], str]) -> list[str]:
    """Return the names that do not stand where they must.

    Args:
        places: Where.
        read: From a page to its text.
    """
    return [
        f"{one.name}: not in {one.page} {one.heading}".rstrip()
        for one in places
        if not re.search(one.words, section(read(one.page), one.heading), re.MULTILINE)
    ]


def page(name: str) -> str:
    """Read a page."""
    return (ROOT / name).read_text(encoding="utf-8")


def commands() -> Iterator[Place]:
    """Every command, option and argument, each in its command's help, and each option with words of its own."""
    for name in COMMANDS:
        yield Place(name, "docs/cli.md", "## spxdata", rf"^  {name} +\S")
    for context in make_docs.command_contexts():
        info = context.command_path
        heading = f"## {info}"
        yield Place(info, "docs/cli.md", heading, rf"^Usage: {info} ")
        for parameter in context.command.get_params(context):
            if isinstance(parameter, click.Option):
                for option in (*parameter.opts, *parameter.secondary_opts):
                    # its line, and on it or the next what it is for
                    yield Place(
                        f"{info} {option}", "docs/cli.md", heading, rf"^  .*{option}\b[^\n]*(?:  |\n {{10,}})\w"
                    )
            else:
                shown = parameter.make_metavar(context).strip("[].")
                yield Place(f"{info} {shown}", "docs/cli.md", heading, rf"^Usage: [^\n]*{re.escape(shown)}")


def exit_codes() -> Iterator[Place]:
    """Every exit code that a run or an error ends with."""
    for code in {*EXIT_CODES, *(kind.exit_code for kind in make_docs.errors().values())}:
        yield Place(f"exit code {code}", "docs/cli.md", "## Exit codes", rf"^\| {code} \| \w")


def error_codes() -> Iterator[Place]:
    """Every error: what happened, why, what to do."""
    for code, kind in make_docs.errors().items():
        yield Place(code, "docs/errors.md", f"## {code}", rf"^\*\*{kind.__name__}\*\*, exit code {kind.exit_code}, ")
        yield Place(f"{code}: what to do", "docs/errors.md", f"## {code}", "^What to do: ")
        yield Place(f"{code} in the list", "docs/cli.md", "## Errors", rf"^\| \[`{code}`\]")


def columns() -> Iterator[Place]:
    """Every dataset, and every column of it with its type and unit."""
    for dataset in schema.DATASETS.values():
        yield Place(dataset.name, "docs/data.md", "## Datasets", rf"^\| \[`{dataset.name}`\]\(#{dataset.name}\) \| \w")
        for column in (schema.TRADE_DATE, *dataset.columns, schema.FLAGS):
            words = rf"^\| `{column.name}` \| {column.kind.value} \| [\w']"
            yield Place(f"{dataset.name}.{column.name}", "docs/data.md", f"### {dataset.name}", words)


def row_flags() -> Iterator[Place]:
    """Every flag with its bit, and every rule that sets one."""
    for flag in flags.Flag:
        name = (flag.name or "").lower()
        yield Place(name, "docs/data.md", "## Flags", rf"^\| {int(flag)} \| `{name}` \| \w")
    for rule in rules.RULES:
        yield Place(rule.name, "docs/data.md", "## Rules", rf"^\| `{rule.name}` \| ")


def settings() -> Iterator[Place]:
    """Every setting with its variable and what it is for."""
    for key, setting in SETTINGS.items():
        yield Place(key, "docs/settings.md", "", rf"^\| `{key}` \| `{setting.variable}` \|.*\| \w[^|]+ \|$")


def events() -> Iterator[Place]:
    """Every event that is logged."""
    for kind in ENTRIES:
        yield Place(kind.__name__, "docs/logs.md", "", rf"^\| `{make_docs.event_name(kind)}` \| ")


def public_names() -> Iterator[Place]:
    """Every public name with its docstring, its public methods with theirs, and each parameter."""
    homes = {name: home for names in api_reference.GROUPS.values() for name, home in names.items()}
    values = {name: getattr(spxdata, name) for name in spxdata.__all__} | {
        name: getattr(import_module(home), name) for name, home in homes.items()
    }
    for name, value in values.items():
        yield from _documented(name, value)
    for kind in (Archive, Surface):
        for member, value in inspect.getmembers(kind):
            if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                yield from _documented(f"{kind.__name__}.{member}", value)
    for heading, names in {"### Archive.chain": CHAIN, "### Archive.days": ("verdict", "max_dte")}.items():
        for column in names:
            yield Place(f"{heading[4:]} {column}", "docs/api.md", heading, rf"\b{column}\b")


def _documented(name: str, value: Any) -> Iterator[Place]:
    heading = f"### {name}"
    first = "The version" if isinstance(value, str) else (inspect.getdoc(value) or "no docstring").split("\n", 1)[0]
    yield Place(name, "docs/api.md", heading, rf"^{re.escape(first)}")
    if inspect.isfunction(value):
        for parameter in inspect.signature(value).parameters:
            if parameter != "self":
                yield Place(f"{name} {parameter}", "docs/api.md", heading, rf"^\* `{parameter}`: \S")


def targets() -> Iterator[Place]:
    """Every target of make."""
    (names,) = re.findall(r"^\.PHONY: (.*)$", page("Makefile"), re.MULTILINE)
    for name in names.split():
        yield Place(f"make {name}", "Makefile", "", rf"^{name}:.* ## \S")


KINDS = (commands, exit_codes, error_codes, columns, row_flags, settings, events, public_names, targets)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_nothing_is_undocumented(kind: Callable[[], Iterator[Place]]) -> None:
    places = list(kind())
    assert len(places) >= 8
    assert undocumented(places, page) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_taken_out_of_its_page_is_found(kind: Callable[[], Iterator[Place]]) -> None:
    """Each check can fail: the first, the middle and the last of each kind."""
    places = list(kind())
    for gone in (places[0], places[len(places) // 2], places[-1]):

        def without(name: str, gone: Place = gone) -> str:
            text = page(name)
            whole = section(text, gone.heading)
            return text.replace(whole, re.sub(gone.words, "", whole, flags=re.MULTILINE)) if name == gone.page else text

        assert any(line.startswith(f"{gone.name}: ") for line in undocumented(places, without))


@pytest.mark.parametrize(
    "place",
    [
        Place("spxdata nosuch", "docs/cli.md", "## spxdata nosuch", "^Usage: "),
        Place("spxdata download --nosuch", "docs/cli.md", "## spxdata download", "^  --nosuch"),
        Place("SPX-X999", "docs/errors.md", "## SPX-X999", "."),
        Place("greeks.nosuch", "docs/data.md", "### greeks", r"^\| `nosuch`"),
        Place("quote.delta", "docs/data.md", "### quote", r"^\| `delta`"),  # which greeks have
        *_documented("nosuch", errors.SpxDataError),
    ],
    ids=lambda place: place.name,
)
def test_a_name_that_has_no_place_is_found(place: Place) -> None:
    assert undocumented([place], page) == [f"{place.name}: not in {place.page} {place.heading}"]


def test_every_public_name_of_the_package_has_a_place_in_the_reference() -> None:
    """So that a new one fails before its page is written."""
    assert set(spxdata.__all__) <= {name for names in api_reference.GROUPS.values() for name in names}
