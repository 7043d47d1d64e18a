"""Writes the generated parts of the documentation; with --check, fails if one is out of date.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import ast
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

import spxdata
from spxdata import flags, schema
from spxdata.cli.group import cli
from spxdata.config import SETTINGS
from spxdata.errors import SpxDataError
from spxdata.pipeline import rules

ROOT = Path(__file__).parent.parent
SOURCE = Path(spxdata.__file__).parent  # the installed package: the tests run it without src too
FILES = ("README.md", "docs/cli.md", "docs/data.md", "docs/settings.md")
PART = re.compile(r"(<!-- generated: (?P<name>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


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
    parts = []
    context = click.Context(cli, info_name="spxdata")
    for name in ("", *cli.list_commands(context)):
        command = cli.get_command(context, name) if name else cli
        if command is None:
            raise SystemExit(f"no command {name}")
        info = f"spxdata {name}".strip()
        text = command.get_help(click.Context(command, info_name=info, max_content_width=100, terminal_width=100))
        parts.append(f"## {info}\n\n```text\n{text}\n```")
    return "\n\n".join(parts)


def datasets() -> str:
    """Return every dataset's columns."""
    parts = []
    for dataset in schema.DATASETS.values():
        columns = (schema.TRADE_DATE, *dataset.columns, schema.FLAGS)
        rows = [(f"`{column.name}`", column.kind.value, column.unit) for column in columns]
        parts.append(
            f"### {dataset.name}\n\n`{dataset.path}`, from the {dataset.tier} subscription on; "
            f"sorted by {', '.join(dataset.order_at(dataset.interval))}.\n\n" + table(("column", "type", "unit"), rows)
        )
    return "\n\n".join(parts)


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


def error_table() -> str:
    """Return every error with its code, exit code and hint."""
    kinds: list[type[SpxDataError]] = [SpxDataError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    rows = [
        (f"`{kind.code}`", kind.__name__, str(kind.exit_code), (kind.__doc__ or "").split("\n", 1)[0], kind.advice)
        for kind in kinds
        if "code" in vars(kind) and kind is not SpxDataError
    ]
    return table(("code", "error", "exit", "what happened", "what to do"), sorted(rows))


PARTS: dict[str, Callable[[], str]] = {
    "where": where,
    "commands": commands,
    "datasets": datasets,
    "flags": row_flags,
    "rules": rule_table,
    "settings": settings,
    "errors": error_table,
}


def write_or_check() -> int:
    """Write or check all files."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name in FILES:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        made = PART.sub(lambda m: f"{m[1]}{PARTS[m['name']]()}\n{m[3]}", text)
        if made != text:
            stale.append(name)
            if not check:
                path.write_text(made, encoding="utf-8")
    if check and stale:
        print(f"out of date: {', '.join(stale)}; run `make docs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(write_or_check())
