"""`spxdata quarantine`: the replies that were refused, why, and their rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from spxdata.cli import options
from spxdata.cli.errors import advice, tell
from spxdata.cli.text import counted, echo, printable, size
from spxdata.errors import ConfigError
from spxdata.layout import QUARANTINE
from spxdata.protocols import Storage
from spxdata.sessions import NEW_YORK

if TYPE_CHECKING:
    from spxdata.pipeline.quarantine import Entry

#: Rows of a reply that are shown, signs of each, and bytes that are looked at for them.
_ROWS: Final = 20
_SIGNS: Final = 500
_BYTES: Final = 1024 * 1024


@click.command()
@click.argument("name", metavar="[ENTRY]", required=False)
@options.data_dir
@options.as_json
def command(*, name: str | None, as_json: bool, **flags: str | None) -> None:
    """List refused replies, or show one with its rows.

    ENTRY is an entry's name, or the beginning of it. Entries are kept for 30 days, and 1 GB of them at most.
    """
    from spxdata.opening import make_storage
    from spxdata.pipeline.quarantine import entries

    settings = options.settings(flags)
    storage = make_storage(settings)
    found = entries(storage)
    if name is None:
        _list(storage, found, settings.storage.data_directory.as_posix(), as_json=as_json)
    else:
        _show(storage, _named(name, found), as_json=as_json)


def _list(storage: Storage, found: Sequence["Entry"], where: str, *, as_json: bool) -> None:
    from spxdata.pipeline.quarantine import reason_of

    for entry in found:
        reason = reason_of(storage, entry)
        if as_json:
            tell("refused_reply", **_record(entry, reason))
            continue
        echo(f"{entry.name}  ({size(entry.bytes)})")
        echo(f"    {_what(entry, reason)}")
    if as_json:
        tell("summary", entries=len(found), bytes=sum(entry.bytes for entry in found))
    elif found:
        echo()
        total = size(sum(entry.bytes for entry in found))
        echo(f"{counted(len(found), 'refused reply', 'refused replies')} in {where}/{QUARANTINE} ({total})")
        echo("Hint: spxdata quarantine ENTRY shows the rows.")
    else:
        echo(f"✓ No refused reply in {where}")


def _named(name: str, found: Sequence["Entry"]) -> "Entry":
    """Return the entry that a name means.

    Raises:
        ConfigError: None or several begin so.
    """
    meant = [entry for entry in found if entry.name.startswith(name)]
    if len(meant) == 1:
        return meant[0]
    many = f"{len(meant):,} entries begin" if meant else "No entry begins"
    raise ConfigError(f"{many} with {name!r}.", hint="spxdata quarantine lists them.")


def _show(storage: Storage, entry: "Entry", *, as_json: bool) -> None:
    from spxdata.pipeline.quarantine import reason_of

    reason = reason_of(storage, entry)
    header, rows, whole = _reply(storage, entry)
    first = reason.get("first_row", 0)
    if as_json:
        tell("refused_reply", **_record(entry, reason), header=header, rows=rows, rows_are_all=whole)
        return
    echo(_what(entry, reason))
    if hint := advice(reason.get("code")):
        echo(f"Hint: {hint}")
    echo()
    number = max(len("row"), len(f"{first + len(rows):,}"))
    echo(f"{'row':>{number}}  {header}")
    for offset, row in enumerate(rows):
        echo(f"{first + offset:>{number},}  {row}")
    echo()
    more = "All" if whole else f"The first {counted(len(rows), 'row')}"
    echo(f"{more} of the batch in which it was found; as received in {QUARANTINE}/{entry.name}/reply.csv")


def _reply(storage: Storage, entry: "Entry") -> tuple[str, list[str], bool]:
    """Return header and first rows of a reply as text that is safe to show, and whether these are all."""
    from spxdata.pipeline.quarantine import reply_of

    raw = reply_of(storage, entry, _BYTES)
    lines = raw.split(b"\n")
    if not lines[-1]:
        lines.pop()
    shown = [_safe(line) for line in lines[: _ROWS + 1]]
    return (shown[0] if shown else ""), shown[1:], len(lines) <= _ROWS + 1 and len(raw) < _BYTES


def _safe(line: bytes) -> str:
    text = printable(line.removesuffix(b"\r").decode("utf-8", "backslashreplace"))
    return text if len(text) <= _SIGNS else f"{text[:_SIGNS]}…"


def _what(entry: "Entry", reason: dict[str, Any]) -> str:
    if not reason:
        return "its reason cannot be read"
    unit = reason.get("unit") or {}
    expires = f" exp {unit.get('expiration')}" if unit.get("expiration") else ""
    name = f"{unit.get('trade_date')} {unit.get('root')} {unit.get('dataset')} {unit.get('interval')}{expires}"
    at = f"{entry.at.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S} New York time"
    return printable(f"{name}, refused {at}: {reason.get('message')} [{reason.get('code')}]")


def _record(entry: "Entry", reason: dict[str, Any]) -> dict[str, Any]:
    said = {key: reason.get(key) for key in ("unit", "code", "error", "message", "first_row")}
    return {"entry": entry.name, "at": entry.at.isoformat(), "bytes": entry.bytes, **said}
