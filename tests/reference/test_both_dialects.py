"""What is stored does not show which generation of Terminal it came from: recorded quotes, and one made-up market."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from spxdata import Emulator
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.clock import SystemClock
from spxdata.layout import CATALOG
from spxdata.model import Unit
from tests.faults.harness import Ran, run
from tests.reference.test_recorded_quotes import WEEK, archived_rows, differences, download, source_rows


def hashes(folder: Path) -> dict[Unit, str]:
    """Return the content hashes of an archive."""
    catalog = SqliteCatalog(folder / CATALOG, read_only=True)
    try:
        outcomes = [outcome for status in catalog.days() for outcome in catalog.outcomes(status.day)]
    finally:
        catalog.close()
    return {outcome.unit: outcome.artifact.content_hash for outcome in outcomes if outcome.artifact}


@pytest.fixture(scope="module")
def by_v3(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Unit, str]:
    """Return the content hashes of the recorded week, downloaded through v3."""
    folder = tmp_path_factory.mktemp("v3")
    with Emulator(replay=reference / "realdata" / "theta_v2_quote") as terminal:
        result = download(terminal.url, folder, *WEEK)
    assert result.returncode == 0, result.stdout + result.stderr
    return hashes(folder)


@pytest.mark.parametrize("page_header", [True, False], ids=["header on every page", "header on the first page"])
def test_the_recorded_week_through_v2_in_pages_is_the_source_and_what_v3_gives(
    page_header: bool,
    reference: Path,
    by_v3: dict[Unit, str],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Row for row, value for value, and by content hash."""
    with Emulator(
        dialect="v2", replay=reference / "realdata" / "theta_v2_quote", page_rows=500, page_header=page_header
    ) as terminal:
        result = download(terminal.url, tmp_path, *WEEK)
        pages = [path for path, _ in terminal.requests if "/page/" in path]
    assert result.returncode == 0, result.stdout + result.stderr
    source = source_rows(reference, "SPXW", *WEEK)
    found = differences(source, archived_rows(tmp_path))
    record_property(
        "figure",
        f"recorded SPXW week through v2 in pages of 500, page_header={page_header}: {source.height:,} rows, "
        f"{len(pages)} later pages, {found} differences, {len(by_v3)} content hashes as through v3",
    )
    assert source.height == 14_111
    assert found == 0
    assert pages
    assert hashes(tmp_path) == by_v3


def greeks(terminal: Emulator, dialect: str, folder: Path) -> Ran:
    """Download a day of greeks of version 1."""
    ran = run(terminal, dialect, folder, SystemClock(), dataset="greeks", greeks_version="1")
    assert ran.finished.exit_code == 0
    return ran


@pytest.fixture(scope="module")
def greeks_by_v3(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """Return a made-up day of greeks of version 1, downloaded through v3."""
    folder = tmp_path_factory.mktemp("greeks")
    with Emulator() as terminal:
        return folder, greeks(terminal, "v3", folder)


def test_one_market_through_v2_with_391_rows_and_v3_gives_equal_content(
    greeks_by_v3: tuple[Path, Ran], tmp_path: Path
) -> None:
    """Greeks of version 1: v2 knows no other."""
    with Emulator(dialect="v2", v2_greeks_rows=391, page_rows=5_000) as terminal:
        ran = greeks(terminal, "v2", tmp_path)
    assert ran.hashes == greeks_by_v3[1].hashes
    assert len(ran.hashes) > 1


def test_one_market_through_v2_with_390_rows_lacks_only_half_past_nine(
    greeks_by_v3: tuple[Path, Ran], tmp_path: Path
) -> None:
    """Everything else is equal, to the last digit."""
    folder, by_v3 = greeks_by_v3
    with Emulator(dialect="v2", v2_greeks_rows=390, page_rows=5_000) as terminal:
        by_v2 = greeks(terminal, "v2", tmp_path)
    assert set(by_v2.hashes) == set(by_v3.hashes)
    for unit, outcome in by_v2.outcomes.items():
        other = by_v3.outcomes[unit].artifact
        assert outcome.artifact is not None
        assert other is not None
        mine, theirs = pl.read_parquet(tmp_path / outcome.artifact.path), pl.read_parquet(folder / other.path)
        opening = (pl.col("timestamp").dt.hour() == 9) & (pl.col("timestamp").dt.minute() == 30)
        assert mine.filter(opening).is_empty()
        assert theirs.filter(opening).height == theirs.select("strike", "right").n_unique()
        assert mine.equals(theirs.filter(opening.not_()))
