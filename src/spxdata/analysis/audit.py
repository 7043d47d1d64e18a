"""Stored volatilities and greeks against our own: how many agree, which are worst, which cannot be right.

Volatility and delta are computed anew from the price, the mid cut to cents. Every other greek is computed at the
volatility of its own row, so that a wrong volatility is not found again in each of them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from spxdata.analysis.black_scholes import DERIVATIVES
from spxdata.analysis.expiry import Version, years_to_expiration
from spxdata.analysis.files import Shelf
from spxdata.analysis.greeks import Conventions, cut_mid, greeks
from spxdata.analysis.normal import Floats
from spxdata.analysis.wanted import UNDERLYING, Chosen, Wanted, wanted
from spxdata.errors import ConfigError
from spxdata.model import Stored
from spxdata.schema import DATASETS, Dataset

Bools = npt.NDArray[np.bool_]

#: Datasets that have volatilities.
AUDITED: Final = tuple(name for name, dataset in DATASETS.items() if "implied_vol" in dataset.names)
#: Share of the solvable rows that must agree, of every greek that is judged.
THRESHOLD: Final = 0.999

#: A volatility from here on says nothing.
_MOST_VOLATILITY: Final = 5.0
#: By what part the vendor's search may have missed the price.
_MOST_ERROR: Final = 0.005
#: How far numbers computed from the price may lie apart.
BOUNDS: Final[Mapping[str, float]] = {
    "implied_vol": 2e-3,
    "delta": 1e-3,
    "bid_implied_vol": 2e-3,
    "ask_implied_vol": 2e-3,
}
# How far greeks at a row's own volatility may: what its last digit changes, and beside it a part of the number and more
# than the last digit printed.
_DIGIT: Final = 1e-4
_PART: Final = 1e-3
_LEAST: Final = 1.5e-4

#: Greeks that the vendor's two generations have differently, so that nothing can be said of one row.
UNCERTAIN: Final = ("veta", "vera", "speed", "zomma", "color", "ultima", "dual_gamma")
#: What is compared and counted, and never held against a row: these, and volatilities that come without an iv_error.
UNJUDGED: Final = frozenset({*UNCERTAIN, "bid_implied_vol", "ask_implied_vol"})
_GENERATIONS: Final[Mapping[str, Conventions]] = {"documented": "vendor", "recorded": "vendor_recorded"}

#: Rows that are worked on at once.
_PIECE: Final = 131_072
#: How old the archive's newest interest rate may be.
_OF_LATE: Final = timedelta(days=14)
#: Newton steps to the rate that fits.
_STEPS: Final = 4

#: What becomes of a row, and why; each is one of them.
KINDS: Final[Mapping[str, str]] = {
    "solvable": "compared",
    "no_volatility": "implied_vol is 0, as it should be or without a bid",
    "overlooked": "implied_vol is 0, though bid and price have one",
    "too_high": "implied_vol is 5 or more",
    "no_bid": "nobody bids",
    "missed": "iv_error is 0.005 or more: the vendor's search stopped early",
}
#: Why a row that has a volatility cannot be right.
REASONS: Final[Mapping[str, str]] = {
    "arbitrage": "the price is outside of what it may be without arbitrage, so that no volatility gives it",
    "price": "the volatility gives another price than iv_error admits",
}

AGREEMENT: Final[dict[str, pl.DataType]] = {
    "dataset": pl.String(),
    "expiration": pl.Date(),
    "greek": pl.String(),
    "generation": pl.String(),
    "judged": pl.Boolean(),
    "rows": pl.Int64(),
    "agreeing": pl.Int64(),
    "share": pl.Float64(),
    "median": pl.Float64(),
    "maximum": pl.Float64(),
    "bound": pl.Float64(),
}
_ROW: Final[dict[str, pl.DataType]] = {
    "dataset": pl.String(),
    "symbol": pl.String(),
    "expiration": pl.Date(),
    "strike": pl.Float64(),
    "right": pl.String(),
    "timestamp": pl.Datetime("us", "America/New_York"),
    "bid": pl.Float64(),
    "ask": pl.Float64(),
    UNDERLYING: pl.Float64(),
}
WORST: Final[dict[str, pl.DataType]] = {
    **_ROW,
    "greek": pl.String(),
    "vendor": pl.Float64(),
    "ours": pl.Float64(),
    "difference": pl.Float64(),
    "allowed": pl.Float64(),
    "times": pl.Float64(),
}
UNSOUND: Final[dict[str, pl.DataType]] = {
    **_ROW,
    "reason": pl.String(),
    "implied_vol": pl.Float64(),
    "ours": pl.Float64(),
    "iv_error": pl.Float64(),
    "error_found": pl.Float64(),
    "dollars": pl.Float64(),
}
ROWS: Final[dict[str, pl.DataType]] = {"dataset": pl.String(), "kind": pl.String(), "rows": pl.Int64()}
RATES: Final[dict[str, pl.DataType]] = {
    "dataset": pl.String(),
    "root": pl.String(),
    "trade_date": pl.Date(),
    "rate": pl.Float64(),
    "source": pl.String(),
}


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Attributes:
        agreement: A row for each greek of each dataset: dataset, expiration (null where all are together), greek,
            generation (documented or recorded, of greeks that the vendor's generations have differently), judged
            (whether `is_sound` depends on it), rows (that are solvable), agreeing, share, median and maximum (of the
            differences, in the greek's units; the median is right to 5 %), bound (null where each row has its own).
        rows: How many rows are of which kind: dataset, kind (see `KINDS`, or unsound_ and one of `REASONS`), rows.
        worst: The rows that are farthest off by what is allowed, the worst first: which row, greek, vendor, ours,
            difference, allowed, times (more than 1 disagrees). Only greeks that are judged.
        unsound: Rows whose volatility cannot be right, the most dollars first: which row, reason (see `REASONS`),
            implied_vol, ours (null for none), iv_error, error_found (what it should be), dollars (between the price and
            what the volatility gives).
        rates: Which interest rate each day was computed with: dataset, root, trade_date, rate (a fraction), source
            (given, archive, fitted to the rows, or none: no row tells it).
    """

    agreement: pl.DataFrame
    rows: pl.DataFrame
    worst: pl.DataFrame
    unsound: pl.DataFrame
    rates: pl.DataFrame

    @property
    def judged(self) -> pl.DataFrame:
        """The greeks that are judged and have solvable rows: dataset, greek, rows, agreeing, share."""
        sums = self.agreement.filter("judged").group_by("dataset", "greek", maintain_order=True)
        found = sums.agg(pl.col("rows", "agreeing").sum()).filter(pl.col("rows") > 0)
        return found.with_columns((pl.col("agreeing") / pl.col("rows")).alias("share"))

    @property
    def is_sound(self) -> bool:
        """Whether there are solvable rows, and of every greek that is judged 99.9 % of them agree."""
        judged = self.judged
        return judged.height > 0 and bool((judged["share"] >= THRESHOLD).all())


def audit(
    shelf: Shelf,
    datasets: Sequence[str],
    choice: Mapping[str, Any],
    *,
    interval: str | None = None,
    rate: float | None = None,
    worst: int = 10,
    by_expiration: bool = False,
) -> Audit:
    """Compare stored rows with our own; see `spxdata.analysis.archive.Archive.audit_greeks`.

    Args:
        shelf: The archive's files.
        datasets: Names of `AUDITED`; none for all that the archive has.
        choice: Further arguments of `wanted.wanted`.
        interval: At which interval; all that the archive has when left out.
        rate: Continuous interest rate a year as a fraction.
        worst: How many rows to name.
        by_expiration: Whether agreement is told by expiration.

    Raises:
        ConfigError: The archive has none of it, or a dataset has no volatilities.
    """
    for name in datasets:
        if name not in AUDITED:
            raise ConfigError(f"{name} has no greeks to audit.", hint=f"These have: {', '.join(AUDITED)}.")
    asked = [
        wanted(name, interval=one, **choice)
        for name in datasets or AUDITED
        for one in ([interval] if interval else shelf.intervals(name))
    ]
    found = Findings(worst, by_expiration=by_expiration)
    for one in asked:
        _series(shelf, one, rate, found)
    if not found.rates:
        raise ConfigError(
            "The archive has no greeks of what is asked for.", hint=f"Download one of: {', '.join(AUDITED)}."
        )
    return found.audit()


def _series(shelf: Shelf, asked: Wanted, rate: float | None, found: "Findings") -> None:
    """Audit the files of one dataset at one interval, day by day."""
    days: dict[tuple[date, str], list[Stored]] = {}
    for file in shelf.holding(asked):
        days.setdefault((file.unit.trade_date, file.unit.root), []).append(file)
    for (day, root), files in days.items():
        used, source = _rate(shelf, asked, files, rate)
        found.rates.append((asked.dataset.name, root, day, used, source))
        for file in files:
            for rows in _pieces(shelf, asked, file):
                found.add(asked.dataset, rows, used, _version(file))


def _pieces(shelf: Shelf, asked: Wanted, file: Stored) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file that are wanted, piece by piece."""
    unit = file.unit
    expiration = asked.expiration if unit.expiration is None else Chosen(among=frozenset({unit.expiration}))
    only = replace(asked, root=unit.root, start=unit.trade_date, end=unit.trade_date, expiration=expiration)
    for part in shelf.parts(only):
        rows = shelf.rows(part, asked.dataset)
        for first in range(0, file.artifact.rows, _PIECE):
            yield rows.slice(first, _PIECE).filter(asked.rows()).collect()


def _version(file: Stored) -> Version:
    return "1" if file.artifact.provenance.greeks_version == "1" else "latest"


def _rate(shelf: Shelf, asked: Wanted, files: Sequence[Stored], given: float | None) -> tuple[float, str]:
    """Return the interest rate of a day's rows and where it comes from.

    It is the one given, or the newest of the archive's up to the day, or else the one that fits the rows of the
    farthest expiration, which tell it best.
    """
    if given is not None:
        return given, "given"
    day = files[0].unit.trade_date
    if files[0].artifact.provenance.rate_type in (None, "sofr"):
        rates = wanted("interest_rate", start=day - _OF_LATE, end=day)
        stored = shelf.scan(rates).sort("trade_date").select("rate").collect()["rate"].drop_nulls()
        if len(stored):
            return float(stored[-1]) / 100, "archive"
    farthest = files[-1]
    fits = [fitted_rate(asked.dataset, rows, _version(farthest)) for rows in _pieces(shelf, asked, farthest)]
    known = [fit for fit in fits if fit is not None]
    return (float(np.median(known)), "fitted") if known else (0.0, "none")


def fitted_rate(dataset: Dataset, rows: pl.DataFrame, version: Version = "latest") -> float | None:
    """Return the interest rate at which the vendor's volatilities give the prices, None if no row tells.

    Args:
        dataset: Whose rows they are.
        rows: As `Archive.scan` has them.
        version: Of the vendor's greeks.
    """
    taken = Taken.of(dataset, rows, 0.0, version)
    taken = taken.pick(taken.is_solvable())
    price = taken.price * (1.0 + taken.error)
    rate = 0.0
    for _ in range(_STEPS):
        at = greeks(**{**taken.terms, "rate": rate}, volatility=taken.sigma, columns=["price", "rho"])
        with np.errstate(all="ignore"):
            steps = (price - at["price"]) / at["rho"]
        steps = steps[np.isfinite(steps)]
        if not len(steps):
            return None
        rate += float(np.median(steps))
    return rate


class Taken(NamedTuple):
    """Rows as arrays: what they are computed from, and what the vendor says.

    Attributes:
        terms: Strike, right, years, rate and spot, as `greeks` takes them.
        price: The mid cut to cents, in dollars.
        bid: In dollars.
        sigma: The vendor's volatility.
        error: The vendor's iv_error.
        columns: The vendor's numbers by column.
    """

    terms: dict[str, Any]
    price: Floats
    bid: Floats
    sigma: Floats
    error: Floats
    columns: Mapping[str, Floats]

    @classmethod
    def of(cls, dataset: Dataset, rows: pl.DataFrame, rate: float, version: Version) -> "Taken":
        """Take rows as `Archive.scan` has them."""
        numbers = {
            name: rows[name].cast(pl.Float64).fill_null(math.nan).to_numpy()
            for name in dict.fromkeys((*_numbers(dataset), "bid", "ask", "strike", UNDERLYING))
        }
        terms = {
            "strike": numbers["strike"],
            "right": (rows["right"].cast(pl.String) == "CALL").to_numpy(),
            # A report's own time is that of the last trade, if any; it was computed with the time it was made.
            "years": years_to_expiration(
                rows[dataset.time[0]],
                rows["expiration"].to_numpy(),
                root=rows["symbol"].cast(pl.String),
                version=version,
            ),
            "rate": rate,
            "spot": numbers[UNDERLYING],
        }
        price = cut_mid(numbers["bid"], numbers["ask"])
        return cls(terms, price, numbers["bid"], numbers["implied_vol"], numbers["iv_error"], numbers)

    def pick(self, keep: Bools) -> "Taken":
        """Return some of the rows."""
        terms = {name: given[keep] if isinstance(given, np.ndarray) else given for name, given in self.terms.items()}
        columns = {name: values[keep] for name, values in self.columns.items()}
        return Taken(terms, self.price[keep], self.bid[keep], self.sigma[keep], self.error[keep], columns)

    def is_solvable(self) -> Bools:
        """Tell which rows have a volatility that can be compared."""
        return np.asarray(
            (self.sigma > 0.0)
            & (self.sigma < _MOST_VOLATILITY)
            & (np.abs(self.error) < _MOST_ERROR)
            & (self.bid > 0.0)
            & (self.columns[UNDERLYING] > 0.0)
        )


class Compared(NamedTuple):
    """A greek of some rows, the vendor's and ours.

    Attributes:
        greek: Its column.
        generation: Documented or recorded, where these differ.
        theirs: The vendor's numbers.
        ours: NaN where there is none.
        allowed: How far they may lie apart.
    """

    greek: str
    generation: str | None
    theirs: Floats
    ours: Floats
    allowed: Floats

    @property
    def judged(self) -> bool:
        """Whether a difference counts."""
        return self.greek not in UNJUDGED

    @property
    def differences(self) -> Floats:
        """How far they lie apart; infinite where one has no number."""
        return np.nan_to_num(np.abs(self.ours - self.theirs), nan=np.inf)

    @property
    def times(self) -> Floats:
        """How far they lie apart by what is allowed."""
        return np.asarray(self.differences / self.allowed)


def compared(dataset: Dataset, taken: Taken) -> Iterator[Compared]:
    """Yield every greek of solvable rows beside our own.

    Args:
        dataset: Whose rows they are.
        taken: The rows.
    """
    ones = np.ones(len(taken.price))
    own = greeks(**taken.terms, price=taken.price, columns=["implied_vol", "delta", "vega"])
    with np.errstate(all="ignore"):  # what the vendor's search has left of the price, it says itself
        left = np.nan_to_num(np.abs(taken.error) * taken.price / own["vega"], posinf=0.0)
    for name, slack in (("implied_vol", left), ("delta", 0.0)):
        if name in dataset.names:
            yield Compared(name, None, taken.columns[name], own[name], BOUNDS[name] * ones + slack)
    for side in ("bid", "ask"):
        name = f"{side}_implied_vol"
        if name in dataset.names:
            ours = greeks(**taken.terms, price=taken.columns[side], columns=["implied_vol"])["implied_vol"]
            yield Compared(name, None, taken.columns[name], np.nan_to_num(ours), BOUNDS[name] * ones)
    others = [name for name in DERIVATIVES if name in dataset.names and name != "delta"]
    for generation, conventions in _GENERATIONS.items():
        names = [name for name in others if name in UNCERTAIN or generation == "recorded"]
        now, then = (
            greeks(**taken.terms, volatility=sigma, conventions=conventions, columns=names)
            for sigma in (taken.sigma, taken.sigma + _DIGIT)
        )
        for name in names:
            allowed = np.abs(then[name] - now[name]) + _PART * np.abs(now[name]) + _LEAST
            which = generation if name in UNCERTAIN else None
            yield Compared(name, which, taken.columns[name], now[name], allowed)


def kinds(taken: Taken, own: Floats) -> dict[str, Bools]:
    """Tell of which kind every row is, by the names of `KINDS`.

    Args:
        taken: The rows.
        own: Our own volatilities, NaN for none.
    """
    without = ~(taken.sigma > 0.0)
    overlooked = without & (own > 0.0) & (own < _MOST_VOLATILITY) & (taken.bid > 0.0)
    found = {
        "solvable": taken.is_solvable(),
        "overlooked": overlooked,
        "no_volatility": without & ~overlooked,
        "too_high": taken.sigma >= _MOST_VOLATILITY,
        "no_bid": (taken.sigma < _MOST_VOLATILITY) & ~without & ~(taken.bid > 0.0),
    }
    return {**found, "missed": ~np.logical_or.reduce(list(found.values()))}


class Impossible(NamedTuple):
    """Which rows' volatility cannot be right.

    Attributes:
        where: By the names of `REASONS`.
        error: What iv_error should be.
        dollars: Between the price and what the volatility gives.
    """

    where: dict[str, Bools]
    error: Floats
    dollars: Floats


def impossible(taken: Taken, own: Floats) -> Impossible:
    """Tell which rows' volatility cannot be right.

    Args:
        taken: The rows.
        own: Our own volatilities, NaN for none.
    """
    at = greeks(**taken.terms, volatility=taken.sigma, columns=["price", "vega"])
    with np.errstate(all="ignore"):
        error = at["price"] / taken.price - 1.0
        admitted = _MOST_ERROR + at["vega"] * _DIGIT / taken.price
        misses = ~(np.abs(error - taken.error) <= admitted)
    solved, none = taken.sigma > 0.0, ~(own > 0.0)
    return Impossible({"arbitrage": solved & none, "price": solved & ~none & misses}, error, at["price"] - taken.price)


class Tally:
    """Differences of one greek, counted, and their median out of a histogram: 25 bins a decade."""

    _BINS: Final = np.concatenate([[0.0], np.logspace(-9, 9, 18 * 25 + 1)])

    _MIDDLES: Final = np.append(np.sqrt(_BINS[:-1] * _BINS[1:]), np.inf)

    def __init__(self) -> None:
        self.rows = self.agreeing = 0
        self.maximum = 0.0
        self._counts = np.zeros(len(self._BINS), dtype=np.int64)

    def add(self, differences: Floats, times: Floats) -> None:
        """Count some."""
        self.rows += len(differences)
        self.agreeing += int((times <= 1.0).sum())
        self.maximum = max(self.maximum, float(differences.max(initial=0.0)))
        places = np.searchsorted(self._BINS, differences, side="right") - 1
        self._counts += np.bincount(places, minlength=len(self._BINS))

    @property
    def median(self) -> float | None:
        """The middle of the differences, right to 5 % below a billion."""
        if not self.rows:
            return None
        place = int(np.searchsorted(np.cumsum(self._counts), (self.rows + 1) // 2))
        return min(float(self._MIDDLES[place]), self.maximum)


@dataclass
class Findings:
    """What was found so far, in memory that does not grow with the rows.

    Attributes:
        worst: How many rows to name.
        by_expiration: Whether agreement is told by expiration.
        rates: What each day was computed with.
    """

    worst: int
    by_expiration: bool = False
    rates: list[tuple[str, str, date, float, str]] = field(default_factory=list)
    _tallies: dict[tuple[str, date | None, str, str | None, bool], Tally] = field(default_factory=dict)
    _rows: dict[tuple[str, str], int] = field(default_factory=dict)
    _worst: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=WORST))
    _unsound: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=UNSOUND))

    def add(self, dataset: Dataset, rows: pl.DataFrame, rate: float, version: Version = "latest") -> None:
        """Compare rows with our own.

        Args:
            dataset: Whose they are.
            rows: As `Archive.scan` has them.
            rate: Continuous interest rate a year as a fraction.
            version: Of the vendor's greeks.
        """
        taken = Taken.of(dataset, rows, rate, version)
        own = greeks(**taken.terms, price=taken.price, columns=["implied_vol"])["implied_vol"]
        sorts = kinds(taken, own)
        wrong = impossible(taken, own)
        counts = {**sorts, **{f"unsound_{reason}": where for reason, where in wrong.where.items()}}
        for kind, where in counts.items():
            self._rows[dataset.name, kind] = self._rows.get((dataset.name, kind), 0) + int(where.sum())
        solvable = sorts["solvable"]
        found = list(compared(dataset, taken.pick(solvable)))
        asked = rows.filter(pl.Series(solvable))
        self._count(dataset, asked["expiration"], found)
        self._keep_worst(dataset, asked, [one for one in found if one.judged])
        self._keep_unsound(dataset, rows, taken, own, wrong)

    def _count(self, dataset: Dataset, expirations: pl.Series, found: Sequence[Compared]) -> None:
        which: list[tuple[date | None, Bools | slice]] = [(None, slice(None))]
        if self.by_expiration:
            days = expirations.to_numpy()
            which = [(cast("date", day), days == np.datetime64(day)) for day in expirations.unique().sort().to_list()]
        for one in found:
            differences, times = one.differences, one.times
            for expiration, where in which:
                key = dataset.name, expiration, one.greek, one.generation, one.judged
                self._tallies.setdefault(key, Tally()).add(differences[where], times[where])

    def _keep_worst(self, dataset: Dataset, rows: pl.DataFrame, found: Sequence[Compared]) -> None:
        times = np.stack([one.times for one in found])
        which = times.argmax(axis=0)
        top = times.max(axis=0)
        chosen = np.argsort(-top, kind="stable")[: self.worst]
        told = [
            (one.greek, one.theirs[at], one.ours[at], one.differences[at], one.allowed[at], top[at])
            for at in chosen
            for one in (found[which[at]],)
        ]
        values = pl.DataFrame(told, schema=list(WORST)[len(_ROW) :], orient="row")
        self._worst = self._top(self._worst, dataset, rows, chosen, values, WORST, pl.col("times"))

    def _keep_unsound(self, dataset: Dataset, rows: pl.DataFrame, taken: Taken, own: Floats, wrong: Impossible) -> None:
        where = np.flatnonzero(np.logical_or.reduce(list(wrong.where.values())))
        chosen = where[np.argsort(-np.abs(wrong.dollars[where]), kind="stable")[: self.worst]]
        values = pl.DataFrame(
            {
                "reason": ["arbitrage" if wrong.where["arbitrage"][at] else "price" for at in chosen],
                "implied_vol": taken.sigma[chosen],
                "ours": own[chosen],
                "iv_error": taken.error[chosen],
                "error_found": wrong.error[chosen],
                "dollars": wrong.dollars[chosen],
            },
        )
        self._unsound = self._top(self._unsound, dataset, rows, chosen, values, UNSOUND, pl.col("dollars").abs())

    def _top(
        self,
        known: pl.DataFrame,
        dataset: Dataset,
        rows: pl.DataFrame,
        chosen: npt.NDArray[np.intp],
        values: pl.DataFrame,
        schema: Mapping[str, pl.DataType],
        by: pl.Expr,
    ) -> pl.DataFrame:
        """Return the first of the rows known and those chosen."""
        named = rows[chosen].select(
            pl.lit(dataset.name).alias("dataset"),
            *(pl.col(name) for name in _ROW if name not in ("dataset", "timestamp")),
            pl.col(dataset.time[0]).alias("timestamp"),
        )
        both = pl.concat([named, values], how="horizontal").select(pl.col(n).cast(kind) for n, kind in schema.items())
        numbers = [name for name, kind in schema.items() if kind == pl.Float64()]
        both = both.with_columns(pl.col(numbers).fill_nan(None))
        return pl.concat([known, both]).sort(by, descending=True, nulls_last=True, maintain_order=True).head(self.worst)

    def audit(self) -> Audit:
        """Return what was found."""
        agreement = [
            (
                dataset,
                expiration,
                greek,
                generation,
                judged,
                tally.rows,
                tally.agreeing,
                tally.agreeing / tally.rows if tally.rows else None,
                tally.median,
                tally.maximum if tally.rows else None,
                BOUNDS.get(greek),
            )
            for (dataset, expiration, greek, generation, judged), tally in sorted(self._tallies.items(), key=_place)
        ]
        return Audit(
            pl.DataFrame(agreement, schema=AGREEMENT, orient="row"),
            pl.DataFrame([(*key, count) for key, count in self._rows.items()], schema=ROWS, orient="row"),
            self._worst,
            self._unsound,
            pl.DataFrame(self.rates, schema=RATES, orient="row"),
        )


def _numbers(dataset: Dataset) -> tuple[str, ...]:
    """Return the columns of a dataset that are compared."""
    return tuple(name for name in dataset.names if name in {*DERIVATIVES, *BOUNDS, "implied_vol", "iv_error"})


def _place(tally: tuple[tuple[str, date | None, str, str | None, bool], Tally]) -> tuple[int, date, int, str]:
    """Return where a greek stands: in the order of datasets, expirations and columns."""
    name, expiration, greek, generation, _ = tally[0]
    return AUDITED.index(name), expiration or date.min, DATASETS[name].names.index(greek), generation or ""
