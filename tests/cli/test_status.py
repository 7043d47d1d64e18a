"""`spxdata status` of a long time: still a page to read, and nothing read that it does not need."""

import json
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.cli.group import cli
from spxdata.layout import CATALOG
from spxdata.model import Verdict
from spxdata.sessions import trading_days
from tests.builders import NOW, a_gap, a_scope, a_unit, an_artifact, failed, stored

DAYS = trading_days(date(2024, 1, 2), date(2024, 6, 28))
PARTIAL, FAILED = date(2024, 3, 14), date(2024, 3, 20)


def fill(folder: Path, days: list[date]) -> None:
    """Enter greeks of some days without a file of theirs: one partial, one failed, the others complete."""
    with closing(SqliteCatalog(folder / CATALOG)) as catalog:
        for trade_date in days:
            unit = a_unit(trade_date=trade_date, expiration=trade_date)
            catalog.begin_day(unit.day, a_scope(), NOW)
            artifact = an_artifact(unit, rows=1_000, bytes=2_000_000)
            holes = (a_gap(),) if trade_date == PARTIAL else ()
            catalog.record(failed(unit) if trade_date == FAILED else stored(unit, artifact=artifact, holes=holes), NOW)
            verdict = {PARTIAL: Verdict.PARTIAL, FAILED: None}.get(trade_date, Verdict.COMPLETE)
            catalog.end_day(unit.day, verdict, "it broke" if trade_date == FAILED else None, NOW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an archive of half a year."""
    fill(tmp_path, DAYS)
    return tmp_path


def test_of_many_days_those_that_are_complete_are_told_by_month(folder: Path) -> None:
    """What is to be done about the others is seen at once."""
    done = CliRunner().invoke(cli, ["status", "--data-dir", str(folder)])
    assert done.exit_code == 0
    lines = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert lines[2:12] == [
        "2024-01 SPXW greeks, 21 days",
        "2024-02 SPXW greeks, 20 days",
        "2024-03 SPXW greeks, 18 days",
        "2024-03-14 SPXW greeks",
        "",
        "",
        "2024-03-20 SPXW greeks",
        "2024-04 SPXW greeks, 22 days",
        "2024-05 SPXW greeks, 22 days",
        "2024-06 SPXW greeks, 19 days",
    ]
    assert "21 files  21,000 records  42.0 MB" in done.stdout
    assert "(it broke)" in done.stdout
    assert f"Total: {len(DAYS) - 2}/{len(DAYS)} days complete (1 partial)" in done.stdout


def test_of_a_few_days_each_has_its_line(folder: Path) -> None:
    done = CliRunner().invoke(cli, ["status", "--start-date", "2024-06-01", "--data-dir", str(folder)])
    lines = [line for line in done.stdout.splitlines() if "SPXW greeks" in line]
    assert [line[:10] for line in lines] == [str(day) for day in DAYS if day >= date(2024, 6, 1)]


def test_in_json_every_day_has_its_record(folder: Path) -> None:
    """However many; what a day lacks stands in it."""
    done = CliRunner().invoke(cli, ["status", "--json", "--data-dir", str(folder)])
    *days, summary = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["day"]["trade_date"] for one in days] == [str(day) for day in DAYS]
    by_date = {one["day"]["trade_date"]: one for one in days}
    assert (len(by_date[str(PARTIAL)]["holes"]), by_date[str(PARTIAL)]["not_stored"]) == (1, [])
    assert by_date[str(FAILED)]["not_stored"] == [str(FAILED)]
    assert by_date[str(DAYS[0])]["holes"] == by_date[str(DAYS[0])]["not_stored"] == []
    assert (summary["greeks_versions"], summary["dialects"]) == ({"latest": len(DAYS) - 1}, {"v3": len(DAYS) - 1})
