"""Frozen settings: flags > environment > .env > spxdata.toml > default; remembers where each value came from.

A setting is one line of a section below: its type, what it is for, what it accepts, its default. The table
`SETTINGS`, the names of variables, the error messages and `spxdata config` are derived from that line.
"""

import difflib
import io
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_type_hints
from urllib.parse import urlsplit

from spxdata.errors import ConfigError
from spxdata.masking import MASK, masked
from spxdata.model import parse_root
from spxdata.schema import DATASETS, DEFAULT_DATASET

#: Requests that an account may have at the same time, by dialect and subscription.
TIER_LIMITS: Final[Mapping[str, Mapping[str, int]]] = {
    "v3": {"free": 1, "value": 2, "standard": 4, "professional": 8},
    "v2": {"free": 1, "value": 1, "standard": 2, "professional": 4},
}

#: Variables of ours that are no settings, and what they are.
RESERVED: Final[Mapping[str, str]] = {
    "SPXDATA_CONFIG": "path of the settings file, instead of spxdata.toml",
    "SPXDATA_NOW": "the time to take as now",
    "SPXDATA_REFERENCE": "folder of recorded data for the tests",
}

#: Levels of the log, from the least to the most urgent.
LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")

_FILE = "spxdata.toml"
_PREFIX = "SPXDATA_"
_INTERVALS = ("tick", "10ms", "100ms", "500ms", "1s", "5s", "10s", "15s", "30s", "1m", "5m", "10m", "15m", "30m", "1h")
_LONGEST_REPEATED = 100
_LONGEST_PATH = 4096  # what systems take at most
_LONGEST_ADDRESS = 300  # a host's name has 253 letters at most
_RATES = ("m1", "m3", "m6", "y1", "y2", "y3", "y5", "y7", "y10", "y20", "y30")  # of the Treasury


class _RefusedError(ValueError):
    """A value that is not allowed for a reason worth saying; the reason does not repeat the value.

    Args:
        reason: Why, as the end of a sentence.
        hint: What to do.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Accepts(NamedTuple):
    """What may be given for a setting: a reader that raises ValueError for anything else, and words for people."""

    read: Callable[[object], object]
    allowed: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A line of the table of settings.

    Attributes:
        help: What it is for, on one line.
        accepts: What may be given.
        flag: Its option on the command line, if it has one.
        brief: What the original architecture document calls it; suggested from.
        key: Its name: section.name (filled in by the table).
        default: Its value when nothing is given (filled in by the table).
    """

    help: str
    accepts: Accepts
    flag: str = ""
    brief: str = ""
    key: str = ""
    default: object = None

    @property
    def variable(self) -> str:
        """Its environment variable, such as SPXDATA_STORAGE__DATA_DIRECTORY."""
        return _PREFIX + self.key.upper().replace(".", "__")

    def read(self, value: object, origin: str) -> object:
        """Build the setting's value.

        Raises:
            ConfigError: The value is not allowed.
        """
        reason, hint = "", f"Allowed: {self.accepts.allowed}."
        try:
            return self.accepts.read(value)
        except _RefusedError as refused:
            reason, hint = f": {refused.reason}", refused.hint
        except (ValueError, RuntimeError, ConfigError):  # RuntimeError: ~ without a home directory
            pass  # said below in the words that fit every setting
        raise ConfigError(f"{self.key}: {_repeated(value)} (from {origin}) is not allowed{reason}.", hint=hint)


def _repeated(value: object) -> str:
    """Return a value as an error repeats it: not endlessly, and nothing that may be a password."""
    text = str(value)
    before, at, after = text.rpartition("@")
    text = masked(f"{MASK}@{after}" if at and before else text)
    return repr(text if len(text) <= _LONGEST_REPEATED else f"{text[:_LONGEST_REPEATED]}…")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError
    return value.strip()


def _one_of(*words: str) -> Accepts:
    def read(value: object) -> str:
        word = str(value).strip().lower()
        if word not in words:
            raise ValueError
        return word

    return Accepts(read, ", ".join(words))


def _number(build: type[int | float], words: str, least: float, most: float) -> Accepts:
    def read(value: object) -> float:
        if isinstance(value, str):
            value = build(value)
        if isinstance(value, bool) or not isinstance(value, int | build) or not least <= value <= most:
            raise ValueError
        return build(value)

    return Accepts(read, f"{words} from {least:g} to {most:g}")


def _auto_or(accepts: Accepts, meaning: str) -> Accepts:
    def read(value: object) -> object:
        return None if value is None or str(value).strip().lower() == "auto" else accepts.read(value)

    return Accepts(read, f"auto ({meaning}), or {accepts.allowed}")


def _read_url(value: object) -> str:
    text = _text(value)
    if "@" in text:
        raise _RefusedError(
            "an address with a user name or password before an @ is not taken",
            "Leave out what stands before the @: the Terminal asks for neither, and it would end up in logs.",
        )
    match = re.fullmatch(r"(https?://[\w.:\[\]-]*[\w\]])(/v[23])?/*", text, re.ASCII)
    if match is None or len(match[1]) > _LONGEST_ADDRESS:
        raise ValueError
    if not urlsplit(match[1]).hostname or urlsplit(match[1]).port == 0:
        raise ValueError
    return match[1]


def _read_path(value: object) -> Path:
    text = _text(str(value) if isinstance(value, Path) else value)
    if len(text) > _LONGEST_PATH:
        raise ValueError
    return Path(text).expanduser()


_URL = _auto_or(
    Accepts(_read_url, "an address such as http://127.0.0.1:25503, with or without /v3"), "both usual ports are tried"
)
_DIALECT = _one_of("auto", "v2", "v3")
_ROOT = Accepts(lambda value: parse_root(_text(value)), "an option root such as SPXW or SPX")
_PATH = Accepts(_read_path, "the path of a folder")
_TIER = _one_of(*TIER_LIMITS["v3"])
_TIMEOUT = _number(float, "seconds", 0.01, 3600)
_DATASET = _one_of(*DATASETS)
_DAYS = _number(int, "a whole number", 0, 3650)
_WORKERS = _auto_or(_number(int, "a whole number", 1, max(TIER_LIMITS["v3"].values())), "the tier's limit less one")
_RETRIES = _number(int, "a whole number", 0, 10)
_WAIT = _number(float, "seconds", 0, 600)
_PATIENCE = _number(float, "seconds", 0, 86400)
_MEGABYTES = _number(int, "a whole number", 1, 65536)
_INTERVAL = _auto_or(_one_of(*_INTERVALS), "each dataset's own")
_FORMAT = _one_of("parquet", "csv")
_NUMBERS = _one_of("float64", "decimal")
_CATALOG = _one_of("sqlite", "json")
_VERSION = _one_of("latest", "1")
_RATE = _one_of("sofr", *(f"treasury_{term}" for term in _RATES))
_LOG_FORMAT = _auto_or(_one_of("text", "json"), "text where a file or level is given, else no log")
_LOG_FILE = _auto_or(Accepts(_read_path, "the path of a file, which is appended to"), "stderr")
_LOG_LEVEL = _auto_or(_one_of(*LEVELS), "info")


@dataclass(frozen=True, slots=True)
class TerminalSettings:
    """How the Terminal is reached, and how long it may be silent."""

    url: Annotated[str | None, Setting("the Terminal's address", _URL, "--terminal", "thetaData.baseUrl")] = None
    dialect: Annotated[str, Setting("the Terminal's generation", _DIALECT, "--dialect")] = "auto"
    tier: Annotated[str, Setting("your ThetaData subscription", _TIER)] = "standard"
    connect_timeout: Annotated[float, Setting("longest wait for a connection", _TIMEOUT)] = 3.0
    list_timeout: Annotated[float, Setting("longest silence when asking for a list", _TIMEOUT)] = 5.0
    first_byte_timeout: Annotated[float, Setting("longest wait for the first byte of data", _TIMEOUT)] = 120.0
    idle_timeout: Annotated[float, Setting("longest silence between bytes of data", _TIMEOUT)] = 60.0
    patience: Annotated[float, Setting("longest wait for a Terminal that is not usable", _PATIENCE)] = 60.0
    pacing: Annotated[float, Setting("least time between the starts of two requests", _WAIT)] = 0.1


@dataclass(frozen=True, slots=True)
class DownloadSettings:
    """What is downloaded, how much of it at once, and how stubbornly."""

    root: Annotated[str, Setting("option root", _ROOT, "--root")] = "SPXW"
    dataset: Annotated[str, Setting("kind of data", _DATASET, "--dataset")] = DEFAULT_DATASET
    interval: Annotated[str | None, Setting("time between two rows of a contract", _INTERVAL, "--interval")] = None
    max_dte: Annotated[int, Setting("most days to expiration", _DAYS, "--max-dte", "download.maxDTE")] = 60
    concurrency: Annotated[
        int | None, Setting("requests at once", _WORKERS, "--concurrency", "download.concurrentExpirations")
    ] = None
    retries: Annotated[int, Setting("tries after the first", _RETRIES, brief="download.retryAttempts")] = 3
    retry_wait: Annotated[float, Setting("wait before the first retry, then doubled", _WAIT)] = 1.0


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where the archive lies, and what writing it may take."""

    data_directory: Annotated[Path, Setting("the archive", _PATH, "--data-dir", "storage.dataDirectory")] = Path("data")
    format: Annotated[
        Literal["parquet", "csv"], Setting("format of new files", _FORMAT, "--format", "storage.fileFormat")
    ] = "parquet"
    numbers: Annotated[
        Literal["float64", "decimal"], Setting("how Parquet stores numbers, exactly either way", _NUMBERS)
    ] = "float64"
    catalog: Annotated[str, Setting("how the archive's record is kept", _CATALOG)] = "sqlite"
    sort_memory_mb: Annotated[int, Setting("megabytes for sorting, over all attempts", _MEGABYTES)] = 256


@dataclass(frozen=True, slots=True)
class GreeksSettings:
    """Which greeks the Terminal computes."""

    version: Annotated[str, Setting("version of the vendor's greeks", _VERSION)] = "latest"
    rate_type: Annotated[str, Setting("interest rate in the vendor's greeks", _RATE)] = "sofr"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged beside the run's own record in the archive: nothing, unless one of these is set."""

    format: Annotated[str | None, Setting("form of the log", _LOG_FORMAT, "--log-format")] = None
    file: Annotated[Path | None, Setting("where the log goes", _LOG_FILE, "--log-file")] = None
    level: Annotated[str | None, Setting("the least urgent events to log", _LOG_LEVEL, "--log-level")] = None

    @property
    def wanted(self) -> bool:
        """Whether there is to be a log."""
        return any(value is not None for value in (self.format, self.file, self.level))

    @property
    def on_stderr(self) -> bool:
        """Whether it takes stderr, which is the log's alone then."""
        return self.wanted and self.file is None


@dataclass(frozen=True, slots=True)
class UpdateSettings:
    """What differs when nobody watches."""

    patience: Annotated[float, Setting("update's longest wait for a Terminal that is not usable", _PATIENCE)] = 1800.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, by section.

    Example:
        >>> Settings().workers()
        3

    Attributes:
        terminal: How the Terminal is reached.
        download: What is downloaded.
        storage: Where the archive lies.
        greeks: Which greeks the Terminal computes.
        log: What is logged.
        update: What differs when nobody watches.
        origins: Where each value came from, by key; empty for settings built in code.
    """

    terminal: TerminalSettings = field(default_factory=TerminalSettings)
    download: DownloadSettings = field(default_factory=DownloadSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    greeks: GreeksSettings = field(default_factory=GreeksSettings)
    log: LogSettings = field(default_factory=LogSettings)
    update: UpdateSettings = field(default_factory=UpdateSettings)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    def workers(self, dialect: str = "v3") -> int:
        """Return how many requests to have at the same time: by default the tier's limit less one."""
        if self.download.concurrency is not None:
            return self.download.concurrency
        return max(1, TIER_LIMITS[dialect][self.terminal.tier] - 1)


#: Every section by its name.
SECTIONS: Final[Mapping[str, type[Any]]] = {
    name: section for name, section in get_type_hints(Settings).items() if name != "origins"
}

#: Every setting by its key.
SETTINGS: Final[Mapping[str, Setting]] = {
    f"{section}.{name}": replace(hint.__metadata__[0], key=f"{section}.{name}", default=getattr(cls(), name))
    for section, cls in SECTIONS.items()
    for name, hint in get_type_hints(cls, include_extras=True).items()
}

#: The command line's option of each setting that has one.
FLAG_NAMES: Final[Mapping[str, str]] = {key: setting.flag for key, setting in SETTINGS.items() if setting.flag}

_Given = dict[str, tuple[object, str]]  # by key: what was given, and where


def load(*, flags: Mapping[str, object] | None = None, environ: Mapping[str, str], directory: Path) -> Settings:
    """Read the settings: flags before environment before .env before spxdata.toml before defaults.

    Args:
        flags: What the command line gave, by key; None stands for "not given".
        environ: The environment.
        directory: Where .env and spxdata.toml are looked for.

    Raises:
        ConfigError: A file is unreadable, a key unknown, or a value not allowed.
    """
    dotenv = _read_dotenv(directory / ".env")
    given: _Given = {key: (setting.default, "default") for key, setting in SETTINGS.items()}
    named = _named_file(environ, dotenv)
    given |= _from_file(directory, named or _FILE, needed=bool(named))
    given |= _from_variables(dotenv, ".env")
    given |= _from_variables(environ, "environment {}")
    given |= _from_flags(flags or {})
    values = {key: _known(key, origin).read(value, origin) for key, (value, origin) in given.items()}
    sections = {
        name: cls(**{f.name: values[f"{name}.{f.name}"] for f in fields(cls)}) for name, cls in SECTIONS.items()
    }
    return Settings(**sections, origins={key: origin for key, (_, origin) in given.items()})


def settings_file(environ: Mapping[str, str], directory: Path) -> Path:
    """Return where the settings file is looked for.

    Raises:
        ConfigError: .env is unreadable.
    """
    return directory / (_named_file(environ, _read_dotenv(directory / ".env")) or _FILE)


def _named_file(environ: Mapping[str, str], dotenv: Mapping[str, str]) -> str | None:
    return {**dotenv, **environ}.get("SPXDATA_CONFIG")


def _from_flags(flags: Mapping[str, object]) -> _Given:
    return {
        key: (value, f"command line {FLAG_NAMES.get(key, '')}".rstrip())
        for key, value in flags.items()
        if value is not None
    }


def _from_variables(variables: Mapping[str, str], origin: str) -> _Given:
    keys = {setting.variable: key for key, setting in SETTINGS.items()}
    return {
        keys.get(name, name): (value, origin.format(name if name in keys else "").rstrip())
        for name, value in variables.items()
        if name.startswith(_PREFIX) and name not in RESERVED
    }


def _from_file(directory: Path, name: str, *, needed: bool) -> _Given:
    try:
        sections = tomllib.loads(_read(directory / name, needed=needed))
    except ValueError as error:  # ends in "(at line 3, column 7)"
        raise ConfigError(f"{name} is not TOML: {error}.", hint="Mend or remove that line.") from None
    given: _Given = {}
    for section, content in sections.items():
        if isinstance(content, dict) and (content or section in SECTIONS):
            given |= {f"{section}.{key}": (value, name) for key, value in content.items()}
        else:
            given[section] = content, name  # a lone key or an empty section: not a setting, see `_known`
    return given


def _read_dotenv(path: Path) -> dict[str, str]:
    from dotenv.parser import parse_stream  # what dotenv_values uses, which passes over lines it cannot read

    variables: dict[str, str] = {}
    for line in parse_stream(io.StringIO(_read(path, needed=False))):
        if line.error:
            raise ConfigError(f".env: line {line.original.line} is unreadable.", hint="Write it as NAME=value.")
        if line.key is not None:
            variables[line.key] = line.value or ""
    return variables


def _read(path: Path, *, needed: bool) -> str:
    try:
        if not needed and (path.is_dir() or not path.exists()):  # a folder .env is a virtual environment
            return ""
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    raise ConfigError(f"Cannot read settings from {path}: {reason}.", hint="Mend, move or remove that file.")


def _known(name: str, origin: str) -> Setting:
    """Return the setting of a key.

    Raises:
        ConfigError: There is none of that name; the nearest one is suggested.
    """
    if name in SETTINGS:
        return SETTINGS[name]
    guess = name.removeprefix(_PREFIX).replace("__", ".").lower()
    meant = _nearest(guess)
    hint = f"Known are: {', '.join(SETTINGS)}."
    if meant:
        hint = f"Did you mean {meant.variable if name.startswith(_PREFIX) else meant.key}?"
    raise ConfigError(f"{name} (from {origin}) is not a setting.", hint=hint)


def _nearest(guess: str) -> Setting | None:
    """Return the setting whose name is most like a guess: by its last part first, for sections are guessed wrong."""
    brief = {setting.brief.lower(): setting for setting in SETTINGS.values() if setting.brief}
    if guess in brief:
        return brief[guess]
    named: dict[str, list[Setting]] = {name: [setting] for name, setting in brief.items()}
    for key, setting in SETTINGS.items():
        named[key] = [setting]
        named.setdefault(key.partition(".")[2], []).append(setting)
    near = difflib.get_close_matches(guess.rpartition(".")[2], named, 1) or difflib.get_close_matches(guess, named, 1)
    if not near:
        return None
    keys = [setting.key for setting in named[near[0]]]  # of the same last name: the one of the likeliest section
    return SETTINGS[difflib.get_close_matches(guess, keys, 1, cutoff=0.0)[0]]


class Row(NamedTuple):
    """A line of `spxdata config`: a setting, its value as one would write it, its origin, what is allowed, help."""

    key: str
    value: str
    origin: str
    allowed: str
    help: str


def describe(settings: Settings) -> tuple[Row, ...]:
    """Return a row for every setting, in the order of the table."""
    rows = []
    for key, setting in SETTINGS.items():
        section, _, name = key.partition(".")
        text = written(getattr(getattr(settings, section), name))
        rows.append(Row(key, text, settings.origins.get(key, "code"), setting.accepts.allowed, setting.help))
    return tuple(rows)


def written(value: object) -> str:
    """Return a setting's value as one would write it."""
    text = "auto" if value is None else str(value)
    return text.removesuffix(".0") if isinstance(value, float) else text
