"""Settings files to begin with: every setting, commented out at its default, explained."""

from spxdata.config import SECTIONS, SETTINGS, Setting, written

_WIDTH = 100

_TOML = """\
# Settings of spxdata, each commented out at its default. An option on the command line, the environment
# and .env go before this file. `spxdata config` shows every value and where it came from.
"""

_DOTENV = """\
# Settings of spxdata as variables, each commented out at its default. Copy this file to .env, which git
# ignores. An option on the command line and the environment go before it; spxdata.toml comes after it.
"""


def toml() -> str:
    """Return a spxdata.toml to begin with."""
    parts = [_TOML]
    for section, cls in SECTIONS.items():
        lines = [f"# {(cls.__doc__ or '').partition(chr(10))[0]}", f"[{section}]"]
        for setting in _of(section):
            lines += [*_about(setting), f"# {setting.key.partition('.')[2]} = {_literal(setting.default)}"]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def dotenv() -> str:
    """Return a .env to begin with."""
    parts = [_DOTENV]
    for section, cls in SECTIONS.items():
        lines = [f"# {(cls.__doc__ or '').partition(chr(10))[0]}"]
        for setting in _of(section):
            lines += [*_about(setting), f"# {setting.variable}={written(setting.default)}"]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _of(section: str) -> list[Setting]:
    return [setting for key, setting in SETTINGS.items() if key.partition(".")[0] == section]


def _about(setting: Setting) -> list[str]:
    """Return the comment above a setting: what it is for, and what is allowed."""
    lines = ["#"]
    for word in f"{setting.help[:1].upper()}{setting.help[1:]}: {setting.accepts.allowed}.".split():
        if len(lines[-1]) + len(word) >= _WIDTH:
            lines.append("#")
        lines[-1] += f" {word}"
    return ["", *lines]


def _literal(value: object) -> str:
    """Return a value as TOML has it; an address or a path needs its quotes."""
    return written(value) if isinstance(value, int | float) else f'"{written(value)}"'
