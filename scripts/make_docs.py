"""Writes the generated parts of the documentation; with --check, fails if one is out of date.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`, or `<!-- generated: NAME:ARGUMENT -->`. What is
explained by hand in docs/errors.md is checked for being there: each code has a section of its own, once.
"""

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

import api_examples
import api_reference
import spxdata
from spxdata import flags, schema
from spxdata.cli import templates
from spxdata.cli.errors import EXIT_CODES
from spxdata.cli.group import cli
from spxdata.config import SETTINGS
from spxdata.errors import SpxDataError
from spxdata.observe.levels import ENDINGS, ENTRIES, Level
from spxdata.pipeline import rules

ROOT = Path(__file__).parent.parent
SOURCE = Path(spxdata.__file__).parent  # the installed package: the tests run it without src too
FILES = (
    "README.md",
    "docs/api-examples.md",
    "docs/api.md",
    "docs/cli.md",
    "docs/data.md",
    "docs/errors.md",
    "docs/logs.md",
    "docs/performance.md",
    "docs/settings.md",
)
WHOLE_FILES: dict[str, Callable[[], str]] = {".env.example": templates.dotenv}
PART = re.compile(r"(<!-- generated: (?P<name>[\w-]+)(?::(?P<argument>\S+))? -->\n).*?(<!-- end -->)", re.DOTALL)
#: A section of docs/errors.md: its heading is the code, its facts are generated, its explanation is not empty.
SECTION = re.compile(
    r"^## (?P<code>\S+)\n\n<!-- generated: error:(?P=code) -->\n.*?<!-- end -->\n\n(?P<why>\w.*?)(?=^## |\Z)",
    re.DOTALL | re.MULTILINE,
)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return doc.split("\n", 1)[0]


def where() -> str:
    """Return what every module is for, in its own words."""
    modules = sorted(path for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file())
    rows = []
    for path in modules:
        name = f"{path.name}/" if path.is_dir() else path.name
        doc = first_line(path / "__init__.py" if path.is_dir() else path)
        rows.append((f"[`{name}`](src/spxdata/{name})", doc))
    return table(("module", "what it is"), rows)


def commands() -> str:
    """Return the help of every command."""
    parts = [
        f"## {context.command_path}\n\n```text\n{context.command.get_help(context)}\n```"
        for context in command_contexts()
    ]
    return "\n\n".join(parts)


def command_contexts() -> Iterator[click.Context]:
    """Yield a context for the group and one for each command, as it runs in the group: -h comes from there."""
    group = cli.make_context("spxdata", [], resilient_parsing=True, max_content_width=100, terminal_width=100)
    yield group
    for name in cli.list_commands(group):
        command = cli.get_command(group, name)
        if command is None:
            raise SystemExit(f"no command {name}")
        yield click.Context(command, info_name=name, parent=group)


def datasets() -> str:
    """Return every dataset's columns."""
    parts = []
    for dataset in schema.DATASETS.values():
        columns = (schema.TRADE_DATE, *dataset.columns, schema.FLAGS)
        rows = [(f"`{column.name}`", column.kind.value, column.unit) for column in columns]
        lacking = (
            f" A v2 Terminal does not send {', '.join(dataset.v2.lacks)}: null."
            if dataset.v2 and dataset.v2.lacks
            else ""
        )
        parts.append(
            f"### {dataset.name}\n\n`{dataset.path}`, from the {dataset.tier} subscription on; "
            f"sorted by {', '.join(dataset.order_at(dataset.interval)) or 'arrival'}.{lacking}\n\n"
            + table(("column", "type", "unit"), rows)
        )
    return "\n\n".join(parts)


def dataset_list() -> str:
    """Return every dataset in a line."""
    head = ("dataset", "what it is", "v3 tier", "v2 tier", "a file is", "intervals", "vendor has it since")
    rows = [
        (
            f"[`{dataset.name}`](#{dataset.name})",
            dataset.what,
            dataset.tier if dataset.subject is schema.Subject.OPTION else f"{dataset.tier} ({dataset.subject})",
            dataset.v2.tier if dataset.v2 else "not there",
            f"an {dataset.unit_of}" if dataset.unit_of == "expiration" else f"a {dataset.unit_of}",
            ", ".join(dataset.intervals),
            dataset.since.isoformat(),
        )
        for dataset in schema.DATASETS.values()
    ]
    return table(head, rows)


def row_flags() -> str:
    """Return every bit of the column `flags`."""
    return table(
        ("bit", "name", "meaning"),
        [(str(int(flag)), f"`{(flag.name or '').lower()}`", flags.MEANING[flag]) for flag in flags.Flag],
    )


def rule_table() -> str:
    """Return the rules a reply is held to."""
    return table(
        ("rule", "looks at", "when broken"),
        [
            (
                f"`{rule.name}`",
                {"row": "each row", "key": "rows of one key"}[rule.scope],
                f"sets `{(rule.flag.name or '').lower()}`" if rule.flag else "the attempt fails",
            )
            for rule in rules.RULES
        ],
    )


def settings() -> str:
    """Return every setting."""
    return table(
        ("key", "variable", "option", "default", "allowed", "what it is for"),
        [
            (
                f"`{key}`",
                f"`{setting.variable}`",
                f"`{setting.flag}`" if setting.flag else "",
                "auto" if setting.default is None else str(setting.default),
                setting.accepts.allowed,
                setting.help,
            )
            for key, setting in SETTINGS.items()
        ],
    )


def original_keys() -> str:
    """Return what the keys of the original architecture document are called here."""
    rows = [(f"`{setting.brief}`", f"`{key}`") for key, setting in SETTINGS.items() if setting.brief]
    return table(("there", "here"), rows)


def errors() -> dict[str, type[SpxDataError]]:
    """Return every error that has a code of its own, by that code, sorted."""
    kinds: list[type[SpxDataError]] = [SpxDataError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    own = (kind for kind in kinds[1:] if "code" in vars(kind))
    return {kind.code: kind for kind in sorted(own, key=lambda kind: kind.code)}


def happened(kind: type[SpxDataError]) -> str:
    """Return what happened when an error is raised, in its own words."""
    return (kind.__doc__ or "").split("\n", 1)[0]


def error_table() -> str:
    """Return every error with its code, exit code and hint."""
    rows = [
        (f"[`{code}`](errors.md#{code.lower()})", kind.__name__, str(kind.exit_code), happened(kind), kind.advice)
        for code, kind in errors().items()
    ]
    return table(("code", "error", "exit", "what happened", "what to do"), rows)


def error_facts(code: str) -> str:
    """Return what an error's class says of it."""
    kind = errors().get(code)
    if kind is None:
        return "There is no such error any more."
    tried = {0: "not tried again", None: "tried again as often as `download.retries` allows"}
    again = tried.get(kind.retries, f"tried again at most {kind.retries} times").replace("at most 1 times", "once")
    facts = f"**{kind.__name__}**, exit code {kind.exit_code}, {again}. {happened(kind)}"
    return f"{facts}\n\n> {kind.advice}" if kind.advice else facts


def unexplained(text: str) -> list[str]:
    """Return what is wrong with the sections of docs/errors.md.

    Args:
        text: The document.
    """
    explained = [match["code"] for match in SECTION.finditer(text)]
    headings = re.findall(r"^## (\S+)$", text, re.MULTILINE)
    return [
        *(f"{code} has no section that explains it" for code in errors() if code not in explained),
        *(f"{code} has {headings.count(code)} sections" for code in sorted(set(headings)) if headings.count(code) > 1),
        *(f"{code} is no error's code" for code in headings if code not in errors()),
    ]


def event_name(kind: type) -> str:
    """Return what records call a class of events: day_planned."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def event_table() -> str:
    """Return every event that is logged: who speaks, how urgently, and what it says."""
    rows = []
    for kind, entry in ENTRIES.items():
        level = entry.level.name.lower() if isinstance(entry.level, Level) else "by how it went"
        doc = (kind.__doc__ or "").split("\n", 1)[0]
        rows.append((f"`{event_name(kind)}`", level, f"{entry.service}.{entry.operation}", doc))
    return table(("event", "level", "service and operation", "what happened"), rows)


def ending_table() -> str:
    """Return how the log says that a run ended before its time."""
    rows = [(kind.__name__, f"`{name}`", level.name.lower()) for kind, name, level in ENDINGS]
    return table(("what ended the run", "event", "level"), rows)


def exit_codes() -> str:
    """Return what the exit codes mean, and which errors end with them."""
    rows = [
        (str(code), words, ", ".join(f"`{name}`" for name, kind in errors().items() if kind.exit_code == code))
        for code, words in EXIT_CODES.items()
    ]
    return table(("code", "means", "errors that end with it"), rows)


def bench_results() -> str:
    """Return the newest results of the bench."""
    found = json.loads(max((ROOT / "bench" / "results").glob("*.json")).read_text(encoding="utf-8"))
    on = found["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in on["packages"].items())
    where = (
        f"Measured on {found['date']} by `make bench`: {on['cores']} cores ({on['cpu']}), {on['memory_gib']} GiB, "
        f"{on['system']}, Python {on['python']}, {packages}; load before it began: {on['load_before']}."
    )
    parts = [f"### {one['title']}\n\n{one['markdown']}" for one in found["sections"].values()]
    return "\n\n".join([where, *parts])


PARTS: dict[str, Callable[[], str]] = {
    "api": api_reference.text,
    "exit-codes": exit_codes,
    "api-examples": api_examples.text,
    "bench": bench_results,
    "dataset-list": dataset_list,
    "where": where,
    "commands": commands,
    "datasets": datasets,
    "flags": row_flags,
    "rules": rule_table,
    "settings": settings,
    "original-keys": original_keys,
    "errors": error_table,
    "events": event_table,
    "endings": ending_table,
}
PARTS_OF: dict[str, Callable[[str], str]] = {"error": error_facts}


def made(text: str) -> str:
    """Return a document with its generated parts as they should be."""

    def part(match: re.Match[str]) -> str:
        name, argument = match["name"], match["argument"]
        return f"{match[1]}{PARTS_OF[name](argument) if argument else PARTS[name]()}\n{match[4]}"

    return PART.sub(part, text)


def write_or_check() -> int:
    """Write or check all files."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name in (*FILES, *WHOLE_FILES):
        path = ROOT / name
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        wanted = WHOLE_FILES[name]() if name in WHOLE_FILES else made(text)
        if wanted != text:
            stale.append(name)
            if not check:
                path.write_text(wanted, encoding="utf-8")
    if check and stale:
        print(f"out of date: {', '.join(stale)}; run `make docs`", file=sys.stderr)
    wrong = unexplained((ROOT / "docs" / "errors.md").read_text(encoding="utf-8"))
    if wrong:
        print(f"docs/errors.md: {'; '.join(wrong)}", file=sys.stderr)
    return 1 if wrong or (check and stale) else 0


if __name__ == "__main__":
    sys.exit(write_or_check())
