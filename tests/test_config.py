"""Settings: layers, origins, values, names, and what is said when they are wrong."""

import dataclasses
import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.config import (
    FLAG_NAMES,
    RESERVED,
    SETTINGS,
    TIER_LIMITS,
    LogSettings,
    Settings,
    describe,
    load,
    settings_file,
)
from spxdata.errors import ConfigError

#: Two good texts and a bad one for every setting; `test_every_setting_is_sampled` fails while a new one has none.
SAMPLES: dict[str, tuple[str, str, str]] = {
    "terminal.url": ("http://localhost:1", "https://theta.example", "ftp://127.0.0.1"),
    "terminal.dialect": ("v2", "v3", "v4"),
    "terminal.tier": ("free", "professional", "gold"),
    "terminal.connect_timeout": ("1.5", "9", "0"),
    "terminal.list_timeout": ("1.5", "9", "-1"),
    "terminal.first_byte_timeout": ("1.5", "9", "nan"),
    "terminal.idle_timeout": ("1.5", "9", "soon"),
    "terminal.patience": ("1.5", "1800", "-1"),
    "terminal.pacing": ("0.2", "9", "fast"),
    "update.patience": ("1.5", "60", "-1"),
    "download.root": ("SPX", "NDXP", "sp x"),
    "download.dataset": ("quote", "greeks", "candles"),
    "download.interval": ("tick", "5m", "2m"),
    "download.max_dte": ("0", "3650", "3651"),
    "download.concurrency": ("auto", "8", "9"),
    "download.retries": ("0", "10", "2.5"),
    "download.retry_wait": ("0", "0.25", "inf"),
    "storage.data_directory": ("archive", "/srv/spx data", " "),
    "storage.format": ("csv", "parquet", "xlsx"),
    "storage.numbers": ("decimal", "float64", "float32"),
    "storage.catalog": ("json", "sqlite", "yaml"),
    "storage.sort_memory_mb": ("1", "512", "lots"),
    "greeks.version": ("1", "latest", "2"),
    "greeks.rate_type": ("treasury_m1", "treasury_y30", "libor"),
    "log.format": ("json", "text", "xml"),
    "log.file": ("spxdata.log", "/var/log/spx data.log", " "),
    "log.level": ("trace", "fatal", "loud"),
}

#: From the lowest to the highest.
LAYERS = ("spxdata.toml", ".env", "environment", "command line")


def loaded(
    directory: Path,
    *,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: str | None = None,
    toml: str | None = None,
) -> Settings:
    """Load settings from a directory with these files in it."""
    for name, text in ((".env", dotenv), ("spxdata.toml", toml)):
        if text is not None:
            (directory / name).write_text(text, encoding="utf-8")
    return load(flags=flags, environ=environ or {}, directory=directory)


def refusal(directory: Path, **layers: Any) -> ConfigError:
    """Return the error that these layers must raise."""
    with pytest.raises(ConfigError) as caught:
        loaded(directory, **layers)
    return caught.value


def toml(key: str, literal: str) -> str:
    """Return a settings file with one setting."""
    section, _, name = key.partition(".")
    return f"[{section}]\n{name} = {literal}\n"


def shown(settings: Settings, key: str) -> str:
    """Return a setting's text as `spxdata config` shows it."""
    return {row.key: row.value for row in describe(settings)}[key]


def origin_of(layer: str, key: str) -> str:
    """Return what a layer calls itself as the origin of a setting's value."""
    if layer == "environment":
        return f"environment {SETTINGS[key].variable}"
    return f"{layer} {FLAG_NAMES.get(key, '')}".rstrip() if layer == "command line" else layer


def layers_with(key: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of `loaded` that give a setting these texts in these layers."""
    variable = SETTINGS[key].variable
    arguments: dict[str, Any] = {
        "spxdata.toml": lambda text: {"toml": toml(key, f'"{text}"')},
        ".env": lambda text: {"dotenv": f'{variable}="{text}"\n'},
        "environment": lambda text: {"environ": {variable: text}},
        "command line": lambda text: {"flags": {key: text}},
    }
    return {name: value for layer, text in texts.items() for name, value in arguments[layer](text).items()}


def test_every_setting_is_sampled() -> None:
    """The tables of this test and of the module have the same keys."""
    assert SAMPLES.keys() == SETTINGS.keys()


@given(key=st.sampled_from(sorted(SAMPLES)), present=st.sets(st.sampled_from(LAYERS)), bad_below=st.booleans())
def test_the_highest_layer_wins_and_is_named(key: str, present: set[str], *, bad_below: bool) -> None:
    """Whatever layers give a setting, the highest one decides, even over a bad value below it."""
    low, high, bad = SAMPLES[key]
    given_by = [layer for layer in LAYERS if layer in present]
    texts = dict.fromkeys(given_by, bad if bad_below else low) | dict.fromkeys(given_by[-1:], high)
    with tempfile.TemporaryDirectory() as directory:
        settings = loaded(Path(directory), **layers_with(key, texts))
    assert shown(settings, key) == (high if given_by else shown(Settings(), key))
    assert settings.origins[key] == (origin_of(given_by[-1], key) if given_by else "default")
    assert {origin for other, origin in settings.origins.items() if other != key} == {"default"}


@pytest.mark.parametrize("key", SETTINGS)
def test_a_default_is_a_value_one_could_have_given(key: str, tmp_path: Path) -> None:
    """Every default passes its own parser, typed and as the text that is shown of it."""
    setting = SETTINGS[key]
    assert setting.read(setting.default, "default") == setting.default
    assert loaded(tmp_path, flags={key: shown(Settings(), key)}) == Settings()


@pytest.mark.parametrize("key", SETTINGS)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_bad_value_names_key_value_origin_and_what_is_allowed(key: str, layer: str, tmp_path: Path) -> None:
    """Whoever reads the error knows what to change, where, and to what."""
    bad = SAMPLES[key][2]
    error = refusal(tmp_path, **layers_with(key, {layer: bad}))
    assert error.message == f"{key}: {bad!r} (from {origin_of(layer, key)}) is not allowed."
    assert SETTINGS[key].accepts.allowed
    assert error.hint == f"Allowed: {SETTINGS[key].accepts.allowed}."


@pytest.mark.parametrize("key", SETTINGS)
@pytest.mark.parametrize("text", ["", "\0"])
def test_an_empty_value_is_refused(key: str, text: str, tmp_path: Path) -> None:
    """A variable set to nothing is not taken for an unset one."""
    assert refusal(tmp_path, environ={SETTINGS[key].variable: text}).message.startswith(f"{key}: ")


@pytest.mark.parametrize("key", SETTINGS)
def test_help_is_one_line(key: str) -> None:
    """`spxdata config` has a line for every setting."""
    assert SETTINGS[key].help
    assert "\n" not in SETTINGS[key].help


def test_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    """An empty folder gives the values of the design."""
    rows = {row.key: row.value for row in describe(loaded(tmp_path))}
    assert rows == {
        "terminal.url": "auto",
        "terminal.dialect": "auto",
        "terminal.tier": "standard",
        "terminal.connect_timeout": "3",
        "terminal.list_timeout": "5",
        "terminal.first_byte_timeout": "120",
        "terminal.idle_timeout": "60",
        "terminal.patience": "60",
        "terminal.pacing": "0.1",
        "update.patience": "1800",
        "download.root": "SPXW",
        "download.dataset": "greeks",
        "download.interval": "auto",
        "download.max_dte": "60",
        "download.concurrency": "auto",
        "download.retries": "3",
        "download.retry_wait": "1",
        "storage.data_directory": "data",
        "storage.format": "parquet",
        "storage.numbers": "float64",
        "storage.catalog": "sqlite",
        "storage.sort_memory_mb": "256",
        "greeks.version": "latest",
        "greeks.rate_type": "sofr",
        "log.format": "auto",
        "log.file": "auto",
        "log.level": "auto",
    }


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://127.0.0.1:25503", "http://127.0.0.1:25503"),
        ("http://127.0.0.1:25503/", "http://127.0.0.1:25503"),
        ("http://127.0.0.1:25503/v3", "http://127.0.0.1:25503"),
        ("http://127.0.0.1:25510/v2", "http://127.0.0.1:25510"),
        (" http://127.0.0.1:25503/v3/ ", "http://127.0.0.1:25503"),
        ("http://localhost:25503", "http://localhost:25503"),
        ("https://Theta-1.Example", "https://Theta-1.Example"),
        ("http://[::1]:25503/v3", "http://[::1]:25503"),
        ("http://[::1]", "http://[::1]"),
        ("auto", None),
    ],
)
def test_an_address_loses_its_path_and_keeps_its_host(written: str, meant: str | None, tmp_path: Path) -> None:
    """The dialect says the path, so with or without it is the same address; the host stays as written (476)."""
    assert loaded(tmp_path, flags={"terminal.url": written}).terminal.url == meant


@pytest.mark.parametrize(
    "written",
    [
        "127.0.0.1:25503",
        "localhost",
        "http://",
        "http:///v3",
        "http://:25503",
        "http://127.0.0.1:",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536",
        "http://127.0.0.1:port",
        "http://127.0.0.1:25510/v4",
        "http://127.0.0.1:25503/v3/option/list",
        "http://127.0.0.1:25503/v3?x=1",
        "http://127.0.0.1:25503#v3",
        "http://127.0.0.1 :25503",
        "http://[::1",
        "file:///v3",
    ],
)
def test_what_is_no_address_is_refused(written: str, tmp_path: Path) -> None:
    """Only http and https, a host, a port that can be, and no other path."""
    assert "http://127.0.0.1:25503" in refusal(tmp_path, flags={"terminal.url": written}).hint


@pytest.mark.parametrize(
    ("key", "literal", "value"),
    [
        ("download.max_dte", "7", "7"),
        ("download.max_dte", '"7"', "7"),
        ("download.concurrency", "2", "2"),
        ("download.concurrency", '"auto"', "auto"),
        ("terminal.list_timeout", "4", "4"),
        ("terminal.list_timeout", "0.5", "0.5"),
        ("terminal.tier", '" Value "', "value"),
        ("download.root", '"spx"', "SPX"),
        ("greeks.version", "1", "1"),
    ],
)
def test_toml_values_may_be_typed(key: str, literal: str, value: str, tmp_path: Path) -> None:
    """A number may stand in quotes or not; words and roots in any case."""
    assert shown(loaded(tmp_path, toml=toml(key, literal)), key) == value


@pytest.mark.parametrize(
    ("key", "literal"),
    [
        ("download.max_dte", "true"),
        ("download.max_dte", "7.0"),
        ("download.max_dte", "[7]"),
        ("download.retries", "0x" + "f" * 40),
        ("download.concurrency", "false"),
        ("terminal.list_timeout", "true"),
        ("terminal.list_timeout", "inf"),
        ("terminal.url", "25503"),
        ("terminal.tier", "{ name = 'free' }"),
        ("download.root", "2024-01-16"),
        ("storage.data_directory", "1"),
        ("greeks.version", "true"),
        ("greeks.version", "1.0"),
    ],
)
def test_toml_nonsense_is_refused(key: str, literal: str, tmp_path: Path) -> None:
    """A value of another type is never bent into shape."""
    error = refusal(tmp_path, toml=toml(key, literal))
    assert error.message.startswith(f"{key}: ")
    assert "(from spxdata.toml)" in error.message


@pytest.mark.parametrize(
    ("text", "name", "suggestion"),
    [
        ("[download]\nmax_det = 7", "download.max_det", "Did you mean download.max_dte?"),
        ("[dowload]\nmax_dte = 7", "dowload.max_dte", "Did you mean download.max_dte?"),
        ("[download]\ndata_directory = 'x'", "download.data_directory", "Did you mean storage.data_directory?"),
        ("[download]\nmaxDTE = 7", "download.maxDTE", "Did you mean download.max_dte?"),
        ("[thetaData]\nbaseUrl = 'x'", "thetaData.baseUrl", "Did you mean terminal.url?"),
        ("[storage]\nfileFormat = 'csv'", "storage.fileFormat", "Did you mean storage.format?"),
        ("[storage]\nformt = 'csv'", "storage.formt", "Did you mean storage.format?"),
        ("[log]\nformt = 'json'", "log.formt", "Did you mean log.format?"),
        ("concurrency = 7", "concurrency", "Did you mean download.concurrency?"),
        ("terminal = 'http://127.0.0.1'", "terminal", "Did you mean terminal.url?"),
        ("[terminal]\n[terminal.tier_]\nx = 1", "terminal.tier_", "Did you mean terminal.tier?"),
        ("[qqqq]", "qqqq", f"Known are: {', '.join(SETTINGS)}."),
        ("[qqqq]\nzzzz = 1", "qqqq.zzzz", f"Known are: {', '.join(SETTINGS)}."),
    ],
)
def test_an_unknown_name_in_the_file_is_an_error(text: str, name: str, suggestion: str, tmp_path: Path) -> None:
    """A misspelt setting is named, with the nearest that exists."""
    error = refusal(tmp_path, toml=text)
    assert error.message == f"{name} (from spxdata.toml) is not a setting."
    assert error.hint == suggestion


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("SPXDATA_TERMNAL__TIER", "Did you mean SPXDATA_TERMINAL__TIER?"),
        ("SPXDATA_DOWNLOAD_MAX_DTE", "Did you mean SPXDATA_DOWNLOAD__MAX_DTE?"),
        ("SPXDATA_DATA_DIR", "Did you mean SPXDATA_STORAGE__DATA_DIRECTORY?"),
        ("SPXDATA_QQQQ", f"Known are: {', '.join(SETTINGS)}."),
        ("SPXDATA_", f"Known are: {', '.join(SETTINGS)}."),
    ],
)
def test_an_unknown_variable_is_an_error(name: str, suggestion: str, tmp_path: Path) -> None:
    """A misspelt variable is named, in the environment as in .env, but never its value."""
    from_environment = refusal(tmp_path, environ={name: "a secret"})
    assert from_environment.message == f"{name} (from environment) is not a setting."
    assert from_environment.hint == suggestion
    from_dotenv = refusal(tmp_path, dotenv=f"{name}=a secret")
    assert from_dotenv.message == f"{name} (from .env) is not a setting."


#: Every key of the original architecture document, and what it is called here.
ORIGINAL = {
    "thetaData.baseUrl": "terminal.url",
    "download.maxDTE": "download.max_dte",
    "download.concurrentExpirations": "download.concurrency",
    "download.retryAttempts": "download.retries",
    "storage.dataDirectory": "storage.data_directory",
    "storage.fileFormat": "storage.format",
}


def test_every_original_key_has_a_setting() -> None:
    """And no setting claims another."""
    assert {setting.brief: key for key, setting in SETTINGS.items() if setting.brief} == ORIGINAL


@pytest.mark.parametrize("original", ORIGINAL)
def test_an_original_key_leads_to_its_setting(original: str, tmp_path: Path) -> None:
    """In the file, whose keys have cases, and as a variable, whose names have none."""
    key = ORIGINAL[original]
    assert refusal(tmp_path, toml=toml(original, "1")).hint == f"Did you mean {key}?"
    (tmp_path / "spxdata.toml").unlink()
    variable = f"SPXDATA_{original.upper().replace('.', '__')}"
    assert refusal(tmp_path, environ={variable: "1"}).hint == f"Did you mean {SETTINGS[key].variable}?"


@pytest.mark.parametrize(
    "address",
    [
        "http://me:hunter2@127.0.0.1:25503",
        "http://hunter2@127.0.0.1:25503/v3",
        "https://me:hunt/er2@hunter2@host",
        "http://me:my hunter2@host",
        "me:hunter2@127.0.0.1:25503",
        "ftp://me:hunter2@host",
        "http://me:@127.0.0.1",
        "http://@127.0.0.1",
    ],
)
@pytest.mark.parametrize("layer", LAYERS)
def test_an_address_with_a_password_is_refused_and_not_repeated(address: str, layer: str, tmp_path: Path) -> None:
    """Wherever it comes from, and with words that say why."""
    error = refusal(tmp_path, **layers_with("terminal.url", {layer: address}))
    assert "user name or password" in error.message
    assert "hunter2" not in error.message + error.hint
    assert "er2" not in error.message


@pytest.mark.parametrize("key", SETTINGS)
def test_a_value_that_looks_like_a_credential_is_not_repeated(key: str, tmp_path: Path) -> None:
    """Somebody pasted it into the wrong line; what is no path is refused."""
    for value in ("api_key=hunter2\0", "http://me:hunter2@host\0"):
        error = refusal(tmp_path, environ={SETTINGS[key].variable: value})
        assert "hunter2" not in error.message


def test_an_endless_value_is_not_repeated_to_its_end(tmp_path: Path) -> None:
    """An error stays readable; a path that no system takes is refused at once."""
    for key in ("storage.data_directory", "log.file", "download.root", "terminal.url"):
        error = refusal(tmp_path, flags={key: "x" * 100_000})
        assert len(error.message) < 300


@pytest.mark.parametrize(
    ("settings", "wanted", "on_stderr"),
    [
        (LogSettings(), False, False),
        (LogSettings(format="json"), True, True),
        (LogSettings(level="debug"), True, True),
        (LogSettings(file=Path("x.log")), True, False),
        (LogSettings(format="json", file=Path("x.log")), True, False),
    ],
)
def test_a_log_is_wanted_as_soon_as_anything_is_said_of_it(
    settings: LogSettings, *, wanted: bool, on_stderr: bool
) -> None:
    """Without a file it takes stderr."""
    assert (settings.wanted, settings.on_stderr) == (wanted, on_stderr)


def test_the_settings_file_is_where_it_would_be_read(tmp_path: Path) -> None:
    """SPXDATA_CONFIG names another, in the environment or in .env."""
    assert settings_file({}, tmp_path) == tmp_path / "spxdata.toml"
    assert settings_file({"SPXDATA_CONFIG": "mine.toml"}, tmp_path) == tmp_path / "mine.toml"
    (tmp_path / ".env").write_text("SPXDATA_CONFIG=yours.toml\n")
    assert settings_file({}, tmp_path) == tmp_path / "yours.toml"


def test_an_unknown_flag_is_an_error(tmp_path: Path) -> None:
    """The command line cannot give what is no setting."""
    error = refusal(tmp_path, flags={"download.max-dte": 7})
    assert error.message == "download.max-dte (from command line) is not a setting."
    assert error.hint == "Did you mean download.max_dte?"


def test_other_variables_are_left_alone(tmp_path: Path) -> None:
    """Reserved ones of ours and everybody else's are no settings, wherever they stand."""
    others = dict.fromkeys(RESERVED, "") | {"PATH": "/bin", "spxdata_terminal__tier": "free"}
    text = "".join(f"{name}={value}\n" for name, value in others.items())
    assert loaded(tmp_path, environ=others, dotenv=text) == Settings()


def test_dotenv_is_read_as_people_write_it(tmp_path: Path) -> None:
    """Comments, export, quotes, blanks and a byte-order mark; nothing is interpolated, os.environ is untouched."""
    before = dict(os.environ)
    text = (
        "\ufeff# mine\n\nexport SPXDATA_TERMINAL__TIER='value'  # paid\nOTHER\n"
        'SPXDATA_STORAGE__DATA_DIRECTORY = "${HOME}/a b"\n'
    )
    settings = loaded(tmp_path, dotenv=text)
    assert (settings.terminal.tier, settings.storage.data_directory) == ("value", Path("${HOME}/a b"))
    assert settings.origins["terminal.tier"] == ".env"
    assert dict(os.environ) == before


def test_a_broken_line_of_dotenv_is_named(tmp_path: Path) -> None:
    """A line that cannot be read is no line to pass over."""
    error = refusal(tmp_path, dotenv="A=1\nSPXDATA_TERMINAL__TIER='free\n")
    assert error.message == ".env: line 2 is unreadable."


def test_a_folder_named_dotenv_is_no_settings_file(tmp_path: Path) -> None:
    """Some keep their virtual environment there."""
    (tmp_path / ".env").mkdir()
    assert loaded(tmp_path) == Settings()


@pytest.mark.parametrize("absolute", [True, False])
def test_another_file_may_be_named(absolute: bool, tmp_path: Path) -> None:
    """SPXDATA_CONFIG replaces spxdata.toml, and is the origin as it was written."""
    other = tmp_path / "mine.toml"
    other.write_text(toml("download.max_dte", "7"))
    name = str(other) if absolute else "mine.toml"
    ignored = toml("download.retries", "9")
    ways: list[dict[str, Any]] = [{"environ": {"SPXDATA_CONFIG": name}}, {"dotenv": f"SPXDATA_CONFIG='{name}'\n"}]
    for way in ways:
        settings = loaded(tmp_path, toml=ignored, **way)
        assert (settings.download.max_dte, settings.download.retries) == (7, 3)
        assert settings.origins["download.max_dte"] == name


@pytest.mark.parametrize("content", [None, "folder", "binary"])
def test_a_named_file_must_be_readable(content: str | None, tmp_path: Path) -> None:
    """A file that was asked for and is missing, a folder or no text is an error that names it."""
    path = tmp_path / "mine.toml"
    if content == "folder":
        path.mkdir()
    elif content == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    error = refusal(tmp_path, environ={"SPXDATA_CONFIG": str(path)})
    assert error.message.startswith(f"Cannot read settings from {path}: ")
    assert error.hint


@pytest.mark.parametrize("text", ["[terminal]\n\ntier = gold\n", "[download]\nretries = 1\nretries = 2\n"])
def test_malformed_toml_names_file_and_line(text: str, tmp_path: Path) -> None:
    """Whoever reads the error finds the line."""
    error = refusal(tmp_path, toml=text)
    assert error.message.startswith("spxdata.toml is not TOML: ")
    assert "line 3" in error.message


def test_a_section_may_be_empty(tmp_path: Path) -> None:
    """As it is when every line below the heading is commented out."""
    assert loaded(tmp_path, toml="[terminal]\n# tier = 'free'\n") == Settings()


def test_flags_that_were_not_given_do_not_count(tmp_path: Path) -> None:
    """None is how the command line says that an option was left out."""
    settings = loaded(tmp_path, flags=dict.fromkeys(SETTINGS), toml=toml("download.retries", "9"))
    assert settings.download.retries == 9
    assert settings.origins["download.retries"] == "spxdata.toml"


def test_origins_as_people_read_them(tmp_path: Path) -> None:
    """Each origin is a place one can go to and change."""
    settings = loaded(
        tmp_path,
        flags={"storage.data_directory": Path("here"), "download.retries": 1},
        environ={"SPXDATA_TERMINAL__TIER": "free"},
        dotenv="SPXDATA_DOWNLOAD__MAX_DTE=7\n",
        toml=toml("greeks.version", "1"),
    )
    assert {key: origin for key, origin in settings.origins.items() if origin != "default"} == {
        "storage.data_directory": "command line --data-dir",
        "download.retries": "command line",
        "terminal.tier": "environment SPXDATA_TERMINAL__TIER",
        "download.max_dte": ".env",
        "greeks.version": "spxdata.toml",
    }
    assert {row.key: row.origin for row in describe(settings)} == settings.origins
    assert {row.origin for row in describe(Settings())} == {"code"}


@pytest.mark.parametrize(
    ("dialect", "tier", "workers"),
    [
        ("v3", "free", 1),
        ("v3", "value", 1),
        ("v3", "standard", 3),
        ("v3", "professional", 7),
        ("v2", "value", 1),
        ("v2", "standard", 1),
        ("v2", "professional", 3),
    ],
)
def test_workers_are_the_tiers_limit_less_one(dialect: str, tier: str, workers: int, tmp_path: Path) -> None:
    """At least one; a number that was given is taken as it is."""
    assert tier in TIER_LIMITS[dialect]
    assert loaded(tmp_path, flags={"terminal.tier": tier}).workers(dialect) == workers
    assert loaded(tmp_path, flags={"terminal.tier": tier, "download.concurrency": 8}).workers(dialect) == 8


def test_a_home_directory_is_found(tmp_path: Path) -> None:
    """No shell has seen a ~ that stands in a file."""
    settings = loaded(tmp_path, toml=toml("storage.data_directory", "'~/spx'"))
    assert settings.storage.data_directory == Path.home() / "spx"


@pytest.mark.parametrize("key", SETTINGS)
def test_settings_are_frozen(key: str) -> None:
    """Nobody changes a setting under another's feet."""
    section, _, name = key.partition(".")
    part = getattr(Settings(), section)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(part, name, None)
    assert not hasattr(part, "__dict__")


def test_settings_can_be_sent_to_another_process(tmp_path: Path) -> None:
    """A worker gets the same settings with the same origins."""
    settings = loaded(tmp_path, flags={"download.max_dte": 7})
    copy = pickle.loads(pickle.dumps(settings))  # noqa: S301 - our own bytes
    assert copy == settings
    assert copy.origins == settings.origins
