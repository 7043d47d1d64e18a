"""No false alarm on any recorded day: what is whole is complete, and an excerpt lacks what was left out of it."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from spxdata import Emulator
from spxdata.cli.group import cli
from spxdata.integrity.certificate import Lack
from spxdata.model import Contract, Hole, HoleKind, Right, Unit, Verdict
from spxdata.schema import DATASETS
from spxdata.sessions import session
from tests.integrity.stock import Stock
from tests.reference.test_recorded_datasets import CALL, DAY, RECORDED, names_of, source_rows, v2_contract

#: The recorded days, the first of them with an index beside the quotes.
WEEK = ("--start-date", "2021-01-04", "--end-date", "2021-01-08")
MONDAY = ("--date", "2021-01-04")
THURSDAY = ("--date", "2021-01-14")
#: When all is looked at.
NOW = "2021-02-01T12:00"


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive in a folder, and the Terminal that it comes from."""

    folder: Path
    url: str

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Run the command; return its exit code and what it says."""
        environment = {
            "SPXDATA_NOW": NOW,
            "SPXDATA_TERMINAL__URL": self.url,
            "SPXDATA_TERMINAL__PACING": "0",
            "SPXDATA_DOWNLOAD__RETRY_WAIT": "0.01",
            "SPXDATA_STORAGE__DATA_DIRECTORY": str(self.folder),
        }
        result = CliRunner().invoke(cli, arguments, prog_name="spxdata", env=environment)
        return result.exit_code, result.stdout

    def certificates(self) -> dict[str, dict[str, Any]]:
        """Return what `coverage --json` says, by day and dataset."""
        told = [json.loads(line) for line in self("coverage", "--json")[1].splitlines()]
        certificates = [line for line in told if line["event"] == "certificate"]
        return {f"{one['day']['trade_date']} {one['day']['dataset']}": one for one in certificates}


@pytest.fixture(scope="module")
def replay(reference: Path) -> Iterator[Emulator]:
    """Return a Terminal that serves the recorded quotes."""
    with Emulator(replay=reference / "realdata" / "theta_v2_quote") as terminal:
        yield terminal


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    """Return an empty archive."""
    return Stock(tmp_path)


@pytest.mark.parametrize(
    ("root", "dates", "datasets", "complete", "absent"),
    [
        ("SPXW", WEEK, ("quote",), {"2021-01-04", "2021-01-05", "2021-01-08"}, {"2021-01-06", "2021-01-07"}),
        ("SPXW", MONDAY, ("quote", "greeks", "implied_volatility"), {"2021-01-04"}, set()),
        ("SPX", MONDAY, ("quote", "greeks"), {"2021-01-04"}, set()),
        ("SPX", THURSDAY, ("quote", "greeks"), {"2021-01-14"}, set()),
    ],
    ids=["SPXW week", "SPXW Monday", "SPX Monday", "SPX Thursday"],
)
def test_recorded_days_are_complete_and_those_without_files_absent(
    root: str,
    dates: tuple[str, ...],
    datasets: tuple[str, ...],
    complete: set[str],
    absent: set[str],
    replay: Emulator,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """In the table, in JSON and in the exit code; greeks are computed from the quotes and the recorded index."""
    archive = Archive(tmp_path, replay.url)
    names = [word for name in datasets for word in ("--dataset", name)]
    assert archive("download", *dates, "--root", root, *names, "--quiet") == (0, "")
    code, table = archive("coverage")
    assert code == 0
    assert not {"!", "✗", "?"} & set(table)
    assert f"Total: {len(complete) * len(datasets)}/{len(complete | absent) * len(datasets)} days complete" in table
    assert archive("coverage", "--quiet") == (0, "")
    found = archive.certificates()
    verdicts = {f"{day} {name}": "complete" for day in complete for name in datasets}
    assert {key: one["verdict"] for key, one in found.items()} == {
        **verdicts,
        **{f"{day} {name}": "absent" for day in absent for name in datasets},
    }
    assert not [one for one in found.values() if one["lacks"] or one["missing"] or one["empty"]]
    figures = {figure["name"]: figure for one in found.values() for figure in one["figures"]}
    expected = {"bid_ask_as_quoted", "parity_forward"} if "greeks" in datasets else set()
    if dates is THURSDAY:  # its only call and put of one strike have no bid both
        expected.remove("parity_forward")
    assert set(figures) == expected
    assert not [figure for figure in figures.values() if figure["unusual"]]
    notes = sum(one["notes"] for one in found.values())
    shown = ", ".join(f"{name} {figure['value']:.4f}" for name, figure in figures.items())
    record_property(
        "figure", f"coverage of recorded {root} {dates[1]} {'+'.join(datasets)}: 0 alarms, {notes} notes. {shown}"
    )


@pytest.mark.parametrize(
    ("drop", "where", "lack"),
    [
        (
            "date=2021-01-05,expiration=2021-01-08,strike=3700,right=C",
            "2021-01-05 quote",
            {"expiration": "2021-01-08", "kind": "gap", "contract": "2021-01-08 3700 CALL", "first": None},
        ),
        (
            "date=2021-01-04,expiration=2021-01-06,from=10:30,to=11:39",
            "2021-01-04 quote",
            {"expiration": "2021-01-06", "kind": "outage", "contract": None, "first": 630, "last": 699},
        ),
        (
            "date=2021-01-08,expiration=2021-01-15,strike=3800,right=C,from=15:30",
            "2021-01-08 quote",
            {"expiration": "2021-01-15", "kind": "gap", "contract": "2021-01-15 3800 CALL", "first": 930, "last": 975},
        ),
    ],
    ids=["a contract", "70 minutes of all contracts", "the tail of a contract with worth"],
)
def test_a_hole_in_a_recorded_day_is_found_exactly_and_mended(
    drop: str, where: str, lack: dict[str, Any], replay: Emulator, reference: Path, tmp_path: Path
) -> None:
    """Among all that is really missing of real contracts."""
    with Emulator(replay=reference / "realdata" / "theta_v2_quote", drop=(drop,)) as terminal:
        archive = Archive(tmp_path, terminal.url)
        assert archive("download", *WEEK, "--dataset", "quote", "--quiet")[0] == 1
    found = archive.certificates()
    assert {key for key, one in found.items() if not one["sound"]} == {where}
    (told,) = found[where]["lacks"]
    contract = told["contract"]
    named = contract and f"{contract['expiration']} {contract['strike']:g} {contract['right']}"
    assert {**told, "contract": named} == {**lack, "last": lack.get("last"), "ask_again": "2021-03-03"}
    archive = Archive(tmp_path, replay.url)
    seen = len(replay.requests)
    code, said = archive("coverage", "--fix", "--force")
    assert (code, "Total: 3/5 days complete (2 absent)" in said) == (0, True)
    asked = [(query["date"], query["expiration"]) for path, query in replay.requests[seen:] if "/history/" in path]
    assert asked == [(where[:10], lack["expiration"])]


def test_a_recorded_chain_at_one_moment_lacks_the_rest_of_the_day(
    reference: Path, stock: Stock, record_property: Callable[[str, object], None]
) -> None:
    """Of each expiration two outages and no gap: every contract is there, for one minute."""
    day, minute = date(2019, 6, 26), 15 * 60 + 45
    with (reference / "realdata" / "chains" / "spxw20190626.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    right = {"C": Right.CALL, "P": Right.PUT}
    chain = {
        Contract(date.fromisoformat(row["expiration"]), float(row["strike"]), right[row["option_type"]]): row
        for row in rows
    }
    lacks = []
    for expiration in sorted({contract.expiration for contract in chain}):
        mine = {contract: row for contract, row in chain.items() if contract.expiration == expiration}
        unit = Unit(day, "SPXW", "quote", "1m", expiration)
        stock.store(unit, _quotes(mine, f"{day}T15:45:00.000"), chain)
        hours = session("SPXW", day, expiration)
        assert hours
        lacks += [
            Lack(expiration, Hole(HoleKind.OUTAGE, None, first, last))
            for first, last in ((hours.open + 1, minute - 1), (minute + 1, hours.close))
        ]
    stock.known(unit, replace(stock.catalog.days()[0].scope, max_dte=400))
    (certificate,) = stock.certificates().values()
    assert (certificate.verdict, certificate.units, certificate.stored) == (Verdict.PARTIAL, 30, 30)
    assert (certificate.rows, certificate.missing) == (len(rows), ())
    assert list(certificate.lacks) == lacks
    record_property("figure", f"a recorded chain at one moment: {len(rows):,} contracts, {len(lacks)} outages, 0 gaps")


def _quotes(chain: dict[Contract, dict[str, str]], moment: str) -> bytes:
    """Return a chain at a moment as v3 sends quotes."""
    lines = [",".join(DATASETS["quote"].names)]
    for (expiration, strike, right), row in chain.items():
        bid, ask = (f"{row[f'{side}_size_1545']},5,{row[f'{side}_1545']},50" for side in ("bid", "ask"))
        lines.append(f"SPXW,{expiration},{strike:.3f},{right},{moment},{bid},{ask}")
    return "\n".join([*lines, ""]).encode()


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_contract_is_complete_where_it_is_all_and_an_excerpt_of_a_longer_list(
    name: str, reference: Path, stock: Stock
) -> None:
    """Of two listed contracts the other one is missing."""
    interval, _ = RECORDED[name]
    expiration = CALL.expiration if DATASETS[name].unit_of == "expiration" else None
    unit = Unit(DAY, "SPY", name, interval, expiration)
    body = (reference / "realdata" / "recorded" / f"option_history_{name}.csv").read_bytes()
    stock.store(unit, body, {CALL})
    assert stock.certificate(unit).verdict is Verdict.COMPLETE
    put = CALL._replace(right=Right.PUT)
    stock.store(unit, body, {CALL, put})
    certificate = stock.certificate(unit)
    assert certificate.verdict is Verdict.PARTIAL
    assert certificate.lacks == (Lack(expiration, Hole(HoleKind.GAP, put, None, None)),)


@pytest.mark.parametrize("name", names_of("theta_v2_index_price"))
def test_a_recorded_index_is_complete_and_its_morning_is_not(name: str, reference: Path, stock: Stock) -> None:
    """To the close of its day: 2023-07-03 was a short one."""
    root, trade_date = name.removesuffix(".csv").split("_")
    unit = Unit(date.fromisoformat(trade_date), root, "index_price", "1m", None)
    body = (reference / "realdata" / "theta_v2_index_price" / name).read_bytes()
    stock.store(unit, body, None, "v2")
    certificate = stock.certificate(unit)
    assert (certificate.verdict, certificate.lacks) == (Verdict.COMPLETE, ())
    head, *rows = body.splitlines(keepends=True)
    stock.store(unit, b"".join([head, *(row for row in rows if int(row.split(b",")[0]) < 12 * 3_600_000)]), None, "v2")
    hours = session(root, unit.trade_date, None)
    assert hours
    lack = Lack(None, Hole(HoleKind.GAP, None, 12 * 60, hours.core_close))
    assert (stock.certificate(unit).verdict, stock.certificate(unit).lacks) == (Verdict.PARTIAL, (lack,))


@pytest.mark.parametrize("name", names_of("theta_v2_open_interest"))
def test_recorded_quotes_against_the_contracts_that_have_open_interest(
    name: str, reference: Path, stock: Stock
) -> None:
    """An independent list: SPX has all of them, the excerpt of SPXW lacks one put and has another one instead."""
    root, trade_date, expires = name.removesuffix(".csv").split("_")
    day, expiration = date.fromisoformat(trade_date), date.fromisoformat(expires)
    interest, quotes = (
        (reference / "realdata" / f"theta_v2_{kind}" / name).read_bytes() for kind in ("open_interest", "quote")
    )
    listed = {v2_contract(row) for row in source_rows(interest)}
    unit = Unit(day, root, "open_interest", "1d", None)
    stock.store(unit, interest, listed, "v2")
    assert stock.certificate(unit).verdict is Verdict.COMPLETE
    unit = Unit(day, root, "quote", "1m", expiration)
    stock.store(unit, quotes, listed, "v2")
    certificate = stock.certificate(unit)
    if root == "SPX":
        assert (certificate.verdict, certificate.lacks) == (Verdict.COMPLETE, ())
    else:
        lack = Lack(expiration, Hole(HoleKind.GAP, Contract(expiration, 3820.0, Right.PUT), None, None))
        assert (certificate.verdict, certificate.lacks) == (Verdict.PARTIAL, (lack,))
