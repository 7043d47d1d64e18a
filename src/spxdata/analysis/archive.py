"""An archive to read from: rows of any dataset, chains, smiles, surfaces, contracts, SQL."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import polars as pl

from spxdata.analysis import audit, chain, contract, smile
from spxdata.analysis.asof import Moment
from spxdata.analysis.audit import Audit
from spxdata.analysis.export import (
    FORMATS,
    Asked,
    Export,
    Exported,
    Target,
    asked,
    choice_of,
    export,
    require_outside,
)
from spxdata.analysis.files import Shelf
from spxdata.analysis.smile import Surface
from spxdata.analysis.wanted import as_moment, wanted
from spxdata.certificate import KIND
from spxdata.certificate import read as read_certificate
from spxdata.config import Settings, StorageSettings
from spxdata.errors import ConfigError
from spxdata.flags import Flag
from spxdata.opening import kept_as, make_catalog, make_storage
from spxdata.pipeline.difference import Checked

if TYPE_CHECKING:
    import duckdb

#: Log-moneyness of a surface when nothing else is said: from 78 % to 111 % of the forward.
GRID: Final = tuple(round(-0.25 + 0.0125 * step, 4) for step in range(29))

Flags = str | Flag | Iterable[str]


def open_archive(
    data_dir: str | Path = "data", *, verify_on_read: bool = False, as_of: datetime | str | None = None
) -> "Archive":
    """Open an archive for reading, beside whoever writes it.

    Args:
        data_dir: The archive's folder.
        verify_on_read: Whether every byte of a file must be as recorded before it is read; size and footer always must.
        as_of: A moment (New York where it has no offset): rows are those that the archive had then, where the vendor
            has revised them and both were kept.

    Returns:
        The archive; a context manager that closes it.

    Raises:
        ConfigError: There is no archive.
        StorageError: It cannot be read.

    Example:
        >>> with spxdata.open("data") as opened:  # doctest: +SKIP
        ...     opened.chain("2024-01-16 10:30", expiration="2024-01-19")
    """
    settings = Settings(storage=StorageSettings(data_directory=Path(data_dir)))
    if kept_as(settings) is None:
        raise ConfigError(
            f"There is no archive in {Path(data_dir)}.",
            hint="Begin one with `spxdata download --date 2024-01-16`, or name another folder.",
        )
    return Archive(settings, verify_on_read=verify_on_read, as_of=None if as_of is None else as_moment("as_of", as_of))


class Archive:
    """An archive, open for reading; see `spxdata.open`. Any thread may use it, also under a running event loop."""

    def __init__(self, settings: Settings, *, verify_on_read: bool = False, as_of: datetime | None = None) -> None:
        self._directory = settings.storage.data_directory
        self._catalog = make_catalog(settings, read_only=True)
        self._shelf = Shelf(self._catalog, make_storage(settings), verify_on_read=verify_on_read, as_of=as_of)

    def scan(
        self,
        dataset: str,
        *,
        start: date | str | None = None,
        end: date | str | None = None,
        root: str | None = None,
        interval: str | None = None,
        expiration: Any = None,  # noqa: ANN401 - a day, a range, or a list of days
        dte: Any = None,  # noqa: ANN401 - a number, a range, or a list
        right: str | None = None,
        strike: Any = None,  # noqa: ANN401 - a number, a range, or a list
        delta: Any = None,  # noqa: ANN401 - a number, a range, or a list
        moneyness: Any = None,  # noqa: ANN401 - a number, a range, or a list
        times: Any = None,  # noqa: ANN401 - a time, a range, or a list
        flags: Flags = "clean",
        complete_only: bool = False,
    ) -> pl.LazyFrame:
        """Return the rows of a dataset that are wanted, as a Polars LazyFrame that reads nothing yet.

        Only files that can hold some of them are opened, and each must be the one that the catalog recorded. Where a
        range is asked for, a tuple (low, high) has both ends included, and None for an open one; a list has the values.

        Args:
            dataset: Its name, such as greeks; see `spxdata datasets`.
            start: First trade date (New York).
            end: Last trade date, included.
            root: SPXW or SPX; all that the archive has when left out.
            interval: At which interval; the dataset's usual one when left out.
            expiration: Expirations.
            dte: Calendar days to expiration.
            right: CALL or PUT.
            strike: Strikes in dollars.
            delta: Deltas, as the vendor has them.
            moneyness: Strike divided by the underlying's price in the same row.
            times: Times of the day in New York: "10:00", ("10:00", "15:45") for all between, or a list of times.
            flags: "clean" leaves out sentinels, repeats, superseded reports and rows outside of the session; "all"
                leaves out nothing; names of flags leave out these.
            complete_only: Whether to leave out days whose verdict is not complete.

        Returns:
            trade_date, the dataset's columns (docs/data.md has them with their units; times are New York's), flags;
            numbers as float64 whatever the files hold. Sorted by trade date, expiration, strike, right and time.

        Raises:
            ConfigError: Something of it is wrong.
            ChecksumMismatch: A file is not the one that the catalog recorded; of many files it is
                raised when they are read.

        Example:
            >>> archive.scan("greeks", start="2024-01-16", dte=(0, 7), right="PUT").collect()  # doctest: +SKIP
        """
        return self._shelf.scan(
            wanted(
                dataset,
                interval=interval,
                root=root,
                start=start,
                end=end,
                expiration=expiration,
                dte=dte,
                right=right,
                strike=strike,
                delta=delta,
                moneyness=moneyness,
                times=times,
                flags=flags,
                complete_only=complete_only,
            )
        )

    def chain(
        self,
        moment: datetime | str,
        *,
        root: str = "SPXW",
        expiration: Any = None,  # noqa: ANN401 - as in scan
        dte: Any = None,  # noqa: ANN401 - as in scan
        right: str | None = None,
        strike: Any = None,  # noqa: ANN401 - as in scan
        moneyness: Any = None,  # noqa: ANN401 - as in scan
        rate: float | None = None,
        flags: Flags = "clean",
    ) -> pl.DataFrame:
        """Return the option chain as it was known at a moment: one row per contract.

        Every number is of the last row at or before the moment, never of a later one: a bar counts once it is over,
        volume is what was traded that day so far, open interest is the evening before's and known from 06:45.

        Args:
            moment: When; New York's wall clock where it has no offset.
            root: SPXW or SPX.
            expiration: Expirations; all when left out.
            dte: Calendar days to expiration.
            right: CALL or PUT.
            strike: Strikes in dollars.
            moneyness: Strike divided by the underlying's price.
            rate: Continuous interest rate as a fraction, for parity and our own greeks; when left out the archive's
                newest that was out, 0 where it has none.
            flags: As in `scan`.

        Returns:
            symbol, expiration, strike (dollars), right, dte (days), timestamp (of the quote), bid, ask, mid, last
            (dollars), volume, open_interest (contracts), implied_vol, delta, gamma, theta (a calendar day), vega (per
            1.00), rho (per 1.00), underlying (index points), moneyness, flags (of the quote); and where each comes
            from: quote_source, last_source, implied_vol_source, greeks_source, gamma_source (the dataset, or "ours"),
            underlying_source (index, greeks or parity). What nothing tells is null. Sorted by contract.

        Raises:
            ConfigError: The archive has neither quotes nor greeks of the day.
            ChecksumMismatch: A file is not the one that the catalog recorded.

        Example:
            >>> archive.chain("2024-01-16 10:30", expiration="2024-01-19")  # doctest: +SKIP
        """
        choice = {"expiration": expiration, "dte": dte, "right": right, "strike": strike}
        at = Moment(as_moment("moment", moment), root.upper(), choice)
        return chain.chain(self._shelf, at, rate=rate, flags=flags, moneyness=moneyness)

    def forward(
        self,
        moment: datetime | str,
        *,
        root: str = "SPXW",
        expiration: Any = None,  # noqa: ANN401 - as in scan
        dte: Any = None,  # noqa: ANN401 - as in scan
        rate: float | None = None,
    ) -> pl.DataFrame:
        """Return each expiration's forward price by put-call parity.

        Args:
            moment: When; New York's wall clock where it has no offset.
            root: SPXW or SPX.
            expiration: Expirations; all when left out.
            dte: Calendar days to expiration.
            rate: As in `chain`.

        Returns:
            expiration, years, forward (index points), spot (what it is worth today), strikes (how many were asked),
            spread (index points between what they say).

        Example:
            >>> archive.forward("2024-01-16 10:30", dte=(0, 30))  # doctest: +SKIP
        """
        at = Moment(as_moment("moment", moment), root.upper(), {"expiration": expiration, "dte": dte})
        return chain.forwards(self._shelf, at, rate=rate)

    def smile(
        self,
        moment: datetime | str,
        *,
        root: str = "SPXW",
        expiration: Any = None,  # noqa: ANN401 - as in scan
        dte: Any = None,  # noqa: ANN401 - as in scan
        axis: str = "strike",
        rate: float | None = None,
    ) -> pl.DataFrame:
        """Return implied volatility across strikes, of options out of the money: puts below the forward, else calls.

        Args:
            moment: When; New York's wall clock where it has no offset.
            root: SPXW or SPX.
            expiration: Expirations; all when left out.
            dte: Calendar days to expiration.
            axis: What rows are sorted by within an expiration: strike, log_moneyness (of the forward) or delta.
            rate: As in `chain`.

        Returns:
            expiration, years, forward, strike, right, log_moneyness, delta, bid, ask, mid, implied_vol, total_variance,
            implied_vol_source.

        Raises:
            ConfigError: There is no such axis, or the archive has nothing of the day.

        Example:
            >>> archive.smile("2024-01-16 10:30", expiration="2024-01-19", axis="delta")  # doctest: +SKIP
        """
        return self._smiles(moment, root, expiration, dte, rate, axis)[0]

    def term_structure(
        self,
        moment: datetime | str,
        *,
        root: str = "SPXW",
        expiration: Any = None,  # noqa: ANN401 - as in scan
        dte: Any = None,  # noqa: ANN401 - as in scan
        rate: float | None = None,
    ) -> pl.DataFrame:
        """Return the implied volatility at the forward, by expiration.

        Args:
            moment: When; New York's wall clock where it has no offset.
            root: SPXW or SPX.
            expiration: Expirations; all when left out.
            dte: Calendar days to expiration.
            rate: As in `chain`.

        Returns:
            expiration, years, forward, implied_vol: interpolated in total variance between the strikes around it.

        Example:
            >>> archive.term_structure("2024-01-16 10:30")  # doctest: +SKIP
        """
        return smile.term_structure(self._smiles(moment, root, expiration, dte, rate, "strike")[0])

    def surface(
        self,
        moment: datetime | str,
        *,
        root: str = "SPXW",
        log_moneyness: Sequence[float] = GRID,
        dte: Sequence[int] = (),
        rate: float | None = None,
    ) -> Surface:
        """Return implied volatility on a regular grid, and where the quotes allow arbitrage.

        Total variance is interpolated linearly in log-moneyness within an expiration, and in time between expirations;
        outside of what is quoted the grid is null.

        Args:
            moment: When; New York's wall clock where it has no offset.
            root: SPXW or SPX.
            log_moneyness: The grid's points, ascending: logarithms of strike over forward.
            dte: The grid's calendar days to expiration, ascending; those of the expirations when left out.
            rate: As in `chain`.

        Returns:
            The surface: `grid`, `calendar`, `butterfly`, `is_free_of_arbitrage`; see `spxdata.analysis.smile.Surface`.

        Example:
            >>> archive.surface("2024-01-16 10:30", dte=range(1, 31)).grid  # doctest: +SKIP
        """
        found, quotes = self._smiles(moment, root, None, None, rate, "strike")
        return smile.surface(found, quotes, as_moment("moment", moment).date(), log_moneyness, dte)

    def contract(
        self, name: str, *, start: date | str | None = None, end: date | str | None = None, flags: Flags = "clean"
    ) -> pl.DataFrame:
        """Return a contract's history: all that the archive has of it, joined in time.

        Args:
            name: Root, expiration, strike and right, such as "SPXW 2024-01-19 4750 C".
            start: First trade date.
            end: Last trade date, included.
            flags: As in `scan`.

        Returns:
            trade_date and timestamp (New York), a row for each time that quotes or greeks have; their columns, of a
            number that several datasets have that of the first of quote, greeks_all, greeks, greeks_second_order,
            greeks_third_order, implied_volatility; the flags of each; last and volume (of the day so far),
            open_interest (of the evening before) and index_price as they were known then.

        Raises:
            ConfigError: That is no contract, or the archive has nothing of it.

        Example:
            >>> archive.contract("SPXW 2024-01-19 4750 C", start="2024-01-16")  # doctest: +SKIP
        """
        return contract.history(self._shelf, contract.named(name), start=start, end=end, flags=flags)

    def audit_greeks(
        self,
        datasets: str | Iterable[str] = (),
        *,
        start: date | str | None = None,
        end: date | str | None = None,
        root: str | None = None,
        interval: str | None = None,
        expiration: Any = None,  # noqa: ANN401 - as in scan
        rate: float | None = None,
        worst: int = 10,
        by_expiration: bool = False,
        flags: Flags = "clean",
    ) -> Audit:
        """Compare stored volatilities and greeks with our own, file by file.

        Volatility and delta are computed from the mid cut to cents, every other greek at the volatility of its row, of
        rows with 0 < implied_vol < 5, |iv_error| < 0.005 and a bid (docs/greeks.md).

        Args:
            datasets: Names of those with implied_vol; all that the archive has when left out.
            start: First trade date (New York).
            end: Last trade date, included.
            root: SPXW or SPX; all that the archive has when left out.
            interval: At which interval; all that the archive has when left out.
            expiration: Expirations, as in `scan`.
            rate: Continuous interest rate a year as a fraction; when left out the archive's newest up to each day, or
                else the one that fits the rows.
            worst: How many rows to name.
            by_expiration: Whether agreement is told by expiration.
            flags: As in `scan`.

        Returns:
            What was found: `agreement`, `rows`, `worst`, `unsound`, `rates`, `is_sound`; see
            `spxdata.analysis.audit.Audit`.

        Raises:
            ConfigError: The archive has none of it, or a dataset has no volatilities.
            ChecksumMismatch: A file is not the one that the catalog recorded.

        Example:
            >>> archive.audit_greeks("greeks", start="2024-01-16", end="2024-01-16").agreement  # doctest: +SKIP
        """
        choice = {"start": start, "end": end, "root": root, "expiration": expiration, "flags": flags}
        names = [datasets] if isinstance(datasets, str) else list(datasets)
        return audit.audit(
            self._shelf, names, choice, interval=interval, rate=rate, worst=worst, by_expiration=by_expiration
        )

    def sql(self, query: str) -> "duckdb.DuckDBPyRelation":
        """Return what a query gives, by DuckDB: one view per dataset, named like it. Needs the extra `duckdb`.

        The query may only read: SELECT, DESCRIBE, SUMMARIZE, EXPLAIN. Views have the columns of `scan`, all roots and
        intervals (columns root and interval), without the rows that `flags="clean"` leaves out; those of a view
        `<dataset>_raw` are all.

        Args:
            query: In DuckDB's SQL.

        Returns:
            DuckDB's relation: `.pl()`, `.df()`, `.arrow()`, `.fetchall()`.

        Raises:
            ConfigError: DuckDB is not there, or the query is wrong or does more than read.

        Example:
            >>> archive.sql("select expiration, avg(implied_vol) from greeks group by 1").pl()  # doctest: +SKIP
        """
        from spxdata.analysis.sql import ask

        return ask(self._shelf, query)

    def export(
        self,
        destination: str | Path,
        *,
        datasets: Iterable[str] = (),
        format: str | None = None,  # noqa: A002 - the word that users know
        start: date | str | None = None,
        end: date | str | None = None,
        root: str | None = None,
        interval: str | None = None,
        expiration: Any = None,  # noqa: ANN401 - as in scan
        dte: Any = None,  # noqa: ANN401 - as in scan
        right: str | None = None,
        strike: Any = None,  # noqa: ANN401 - as in scan
        delta: Any = None,  # noqa: ANN401 - as in scan
        moneyness: Any = None,  # noqa: ANN401 - as in scan
        times: Any = None,  # noqa: ANN401 - as in scan
        flags: Flags = "clean",
        complete_only: bool = False,
        force: bool = False,
        found: Callable[[Exported], None] = lambda _: None,
        told: Callable[[Checked], None] = lambda _: None,
    ) -> Export:
        """Write the rows that `scan` gives as files for others, day by day; docs/export.md has the layout.

        What is there already and would be the same is skipped: the same call goes on where another was stopped, and
        brings a destination up to date. No file has its name before it is whole. Calls with other dates and datasets
        add to what is there; another choice of rows needs another destination.

        Args:
            destination: A folder, or for duckdb a file; outside of the archive.
            datasets: Their names; all that the archive has of these days when left out.
            format: parquet, csv or arrow (a file a day), hive (Parquet in folders dataset=…/trade_date=…), or duckdb
                (one file with a table per dataset; needs the extra `duckdb`). When left out duckdb for a name that
                ends so, else parquet.
            start: First trade date (New York).
            end: Last trade date, included.
            root: As in `scan`.
            interval: The only interval wanted; all that the archive has of each dataset when left out.
            expiration: As in `scan`.
            dte: As in `scan`.
            right: As in `scan`.
            strike: As in `scan`.
            delta: As in `scan`.
            moneyness: As in `scan`.
            times: As in `scan`.
            flags: As in `scan`.
            complete_only: Whether to leave out days whose verdict is not complete; they are removed if they were there.
            force: Whether to begin anew, whatever is there.
            found: Called with what came of each day.
            told: Called with how far it is, before the first day and after each.

        Returns:
            What came of each day: `days`, of these `partial`, `rows`; and `exit_code`, 0 when all is there. Days with a
            damaged file are named, and the rest goes on.

        Raises:
            ConfigError: Something of it is wrong, the destination has other files or an export of another choice, or
                DuckDB is not there.
            ArchiveBusy: Another process exports there.
            StorageError: It cannot be written.

        Example:
            >>> archive.export("research", datasets=["greeks"], format="hive", dte=(0, 7))  # doctest: +SKIP
        """
        place = Path(destination)
        form = format or ("duckdb" if place.suffix == ".duckdb" else "parquet")
        if form not in FORMATS:
            raise ConfigError(f"format: {form!r} is none.", hint=f"Say one of: {', '.join(FORMATS)}.")
        require_outside(place, self._directory)
        what = asked(
            self._shelf,
            datasets,
            interval,
            start=start,
            end=end,
            root=root,
            expiration=expiration,
            dte=dte,
            right=right,
            strike=strike,
            delta=delta,
            moneyness=moneyness,
            times=times,
            flags=flags,
            complete_only=complete_only,
        )
        days = []
        for one in export(self._shelf, what, _target(place, form, what, force=force), told):
            days.append(one)
            found(one)
        return Export(place, form, tuple(days))

    @property
    def datasets(self) -> pl.DataFrame:
        """What the archive has: dataset, interval, root, first and last trade date, days, files, rows, bytes."""
        return (
            self.days.group_by("dataset", "interval", "root")
            .agg(
                pl.col("trade_date").min().alias("first"),
                pl.col("trade_date").max().alias("last"),
                pl.len().alias("days"),
                pl.col("files").sum(),
                pl.col("rows").sum(),
                pl.col("bytes").sum(),
            )
            .sort("dataset", "interval", "root")
        )

    @property
    def days(self) -> pl.DataFrame:
        """How each day stands: trade_date, root, dataset, interval, verdict, files, rows, bytes, max_dte."""
        return pl.DataFrame(
            [
                (
                    *status.day,
                    status.verdict and str(status.verdict),
                    status.files,
                    status.rows,
                    status.bytes,
                    status.scope.max_dte,
                )
                for status in self._catalog.days()
            ],
            schema={
                "trade_date": pl.Date,
                "root": pl.String,
                "dataset": pl.String,
                "interval": pl.String,
                "verdict": pl.String,
                "files": pl.Int64,
                "rows": pl.Int64,
                "bytes": pl.Int64,
                "max_dte": pl.Int32,
            },
            orient="row",
        )

    @property
    def coverage(self) -> pl.DataFrame:
        """The certificates that `spxdata coverage` has issued; empty until it was run.

        Columns: trade_date, root, dataset, interval, verdict, complete, units, stored, rows, missing (units), lacks
        (holes), issued_at.
        """
        kept = (read_certificate(text) for text in self._catalog.documents(KIND).values())
        return pl.DataFrame(
            [
                (
                    *one.day,
                    one.verdict and str(one.verdict),
                    one.is_sound,
                    one.units,
                    one.stored,
                    one.rows,
                    len(one.missing),
                    len(one.lacks),
                    one.issued_at,
                )
                for one in kept
                if one is not None
            ],
            schema={
                "trade_date": pl.Date,
                "root": pl.String,
                "dataset": pl.String,
                "interval": pl.String,
                "verdict": pl.String,
                "complete": pl.Boolean,
                "units": pl.Int64,
                "stored": pl.Int64,
                "rows": pl.Int64,
                "missing": pl.Int64,
                "lacks": pl.Int64,
                "issued_at": pl.Datetime("us", "UTC"),
            },
            orient="row",
        )

    def close(self) -> None:
        """Close the catalog; twice is no error."""
        self._catalog.close()

    def __enter__(self) -> Self:
        """Return the archive."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Return what the archive has, in a few lines."""
        lines = [f"Archive({str(self._directory)!r})"]
        lines += [
            f"  {one['dataset']} {one['interval']} {one['root']}: {one['first']} to {one['last']}, "
            f"{_counted(one['days'], 'day')}, {_counted(one['rows'], 'row')} in {_counted(one['files'], 'file')}"
            for one in self.datasets.iter_rows(named=True)
        ]
        return "\n".join(lines)

    def _smiles(
        self,
        moment: datetime | str,
        root: str,
        expiration: Any,  # noqa: ANN401 - as in scan
        dte: Any,  # noqa: ANN401 - as in scan
        rate: float | None,
        axis: str,
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        at = Moment(as_moment("moment", moment), root.upper(), {"expiration": expiration, "dte": dte})
        interest = chain.rate_of(self._shelf, at, rate)
        quotes = chain.chain(self._shelf, at, rate=interest)
        return smile.smile(quotes, chain.forwards_of(quotes, at, interest), axis), quotes


def _target(place: Path, form: str, what: Asked, *, force: bool) -> AbstractContextManager[Target]:
    """Return a destination that is to be opened."""
    choice = choice_of(what.series[0], form)
    if form == "duckdb":
        from spxdata.analysis.export_duckdb import database

        return database(place, choice, force=force)
    from spxdata.analysis.export_folder import folder

    return folder(place, form, choice, force=force)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


open = open_archive  # noqa: A001 - it is `spxdata.open` to users
