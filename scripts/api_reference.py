"""The reference of the Python API, made from signatures and docstrings: what docs/api.md shows."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final

#: The pages' groups: from a heading to the names in it, each with the place it is imported from.
GROUPS: Final[Mapping[str, Mapping[str, str]]] = {
    "Reading": {"open": "spxdata", "Archive": "spxdata.analysis.archive", "Surface": "spxdata.analysis.smile"},
    "Downloading": {"download": "spxdata", "Summary": "spxdata", "Settings": "spxdata"},
    "Greeks": {
        "greeks": "spxdata.analysis.greeks",
        "cut_mid": "spxdata.analysis.greeks",
        "cut": "spxdata.analysis.greeks",
        "implied_volatility": "spxdata.analysis.implied_vol",
        "price": "spxdata.analysis.black_scholes",
        "years_to_expiration": "spxdata.analysis.expiry",
    },
    "Rows": {"Flag": "spxdata"},
    "An emulated Terminal": {"Emulator": "spxdata", "Fault": "spxdata.emulator"},
    "Errors": dict.fromkeys(
        (
            "SpxDataError",
            "ArchiveBusy",
            "ConfigError",
            "DataError",
            "RefusedError",
            "StorageError",
            "TerminalError",
            "TransientError",
        ),
        "spxdata",
    ),
    "Version": {"__version__": "spxdata"},
}
_SECTION: Final = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Example):$")
_TITLES: Final = {"Args": "Parameters"}
_WIDTH: Final = 100


def text() -> str:
    """Return all of it as Markdown."""
    return "\n\n".join(part for heading, names in GROUPS.items() for part in _group(heading, names))


def _group(heading: str, names: Mapping[str, str]) -> Iterator[str]:
    yield f"## {heading}"
    for name, home in names.items():
        value = getattr(import_module(home), name)
        yield from _entry(name, home, value)
        if inspect.isclass(value):
            for member, method in _methods(value):
                yield from _entry(f"{name}.{member}", "", method)


def _methods(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class has of its own, in its own order."""
    if issubclass(kind, Exception) or kind.__name__ == "Flag":
        return
    for name, member in vars(kind).items():
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
            yield name, member


def _entry(name: str, home: str, value: Any) -> Iterator[str]:  # noqa: ANN401 - whatever a name stands for
    yield f"### {name}"
    if isinstance(value, str):
        yield "The version of spxdata, a text."
        return
    if home:
        yield f"`from {home} import {name}`" if home != "spxdata" else f"`spxdata.{name}`"
    if callable(value) and not _is_error(value):
        yield f"```text\n{signature(name, value)}\n```"
    yield from documentation(inspect.getdoc(value) or "")


def _is_error(value: object) -> bool:
    return inspect.isclass(value) and (issubclass(value, Exception) or value.__name__ == "Flag")


def signature(name: str, value: Callable[..., Any]) -> str:
    """Return how something is called, on as many lines as it takes."""
    parameters = list(inspect.signature(value).parameters.values())
    shown, starred = [], False
    for one in parameters:
        if one.name == "self":
            continue
        if one.kind is one.KEYWORD_ONLY and not starred:
            starred = True
            shown.append("*")
        shown.append(one.name if one.default is one.empty else f"{one.name}={_default(one.default)}")
    short = name.rpartition(".")[2]
    flat = f"{short}({', '.join(shown)})"
    if len(flat) <= _WIDTH:
        return flat
    return f"{short}(\n" + "".join(f"    {part},\n" for part in shown) + ")"


def _default(value: object) -> str:
    if callable(value):
        return getattr(value, "__name__", "…")
    if (isinstance(value, tuple) and len(value) > 3) or "factory" in repr(value):  # a surface's grid, a section
        return "…"
    return repr(value)


def documentation(doc: str) -> Iterator[str]:
    """Yield a docstring's parts as Markdown.

    Args:
        doc: As `inspect.getdoc` gives it, with sections in Google's style.
    """
    title, held = "", list[str]()
    for line in [*doc.split("\n"), "End:"]:
        found = _SECTION.match(line)
        if not found and line != "End:":
            held.append(line)
            continue
        body = inspect.cleandoc("\n".join(held))
        if body:
            yield _section(title, body)
        title, held = found[1] if found else "", []


def _section(title: str, body: str) -> str:
    if not title:
        return body
    if title == "Example":
        return f"```python\n{_typed(body)}\n```"
    if title in {"Returns", "Yields"}:
        return f"**{title}**: {body}"
    # A line that is not indented begins an entry: "name: what it is", and what is indented goes on.
    entries = re.findall(r"^(\S.*?):[ \n](.*(?:\n(?: .*)?)*)", body, re.MULTILINE)
    return f"**{_TITLES.get(title, title)}**\n\n" + "\n".join(
        f"* `{name}`: {' '.join(words.split())}" for name, words in entries
    )


def _typed(example: str) -> str:
    """Return an example as one types it: without prompts, answers and doctest's directives."""
    lines = [line[4:] for line in example.split("\n") if line.startswith((">>> ", "... "))]
    return "\n".join(re.sub(r"\s*# doctest: .*", "", line) for line in lines)
