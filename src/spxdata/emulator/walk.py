"""The emulated index: closes from day to day, minutes within a day, and the level of volatility, all from one seed."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from zlib import crc32

import numpy as np
import numpy.typing as npt

from spxdata.emulator import hours

Floats = npt.NDArray[np.float64]

#: Where the walk is pinned, so that strikes look right in every year; after the last it is free.
ANCHORS = {
    date(2012, 1, 3): 1270.0,
    date(2013, 1, 2): 1450.0,
    date(2014, 1, 2): 1840.0,
    date(2015, 1, 2): 2050.0,
    date(2016, 1, 4): 2020.0,
    date(2017, 1, 3): 2250.0,
    date(2018, 1, 2): 2690.0,
    date(2019, 1, 2): 2510.0,
    date(2020, 1, 2): 3250.0,
    date(2021, 1, 4): 3710.0,
    date(2022, 1, 3): 4790.0,
    date(2023, 1, 3): 3830.0,
    date(2024, 1, 2): 4750.0,
    date(2024, 1, 16): 4760.0,  # the demo's first day: its index must not depend on luck
    date(2025, 1, 2): 5880.0,
    date(2026, 1, 2): 6850.0,
}
_END = date(2032, 1, 2)
_DRIFT = 0.07 / 252
_TYPICAL_VOLATILITY = 0.15
#: How much of a day's variance comes before the opening.
OVERNIGHT = 0.25
MINUTES = hours.CLOSE - hours.OPEN
ALL_MINUTES = hours.LATE_CLOSE - hours.OPEN + 1


def generator(seed: int, *words: str | int) -> np.random.Generator:
    """Give random numbers that depend on the seed and the words only: never on who asked before."""
    keys = [crc32(word.encode()) if isinstance(word, str) else word for word in words]
    return np.random.Generator(np.random.SFC64([seed, *keys]))


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the index, minute by minute from 09:30 to 16:15.

    Attributes:
        spot: The index as published, two decimals; it stands still after 16:00.
        fair: Where options see it: unrounded, and moving on after 16:00.
        volatility: Level of one-month volatility at each minute.
        passed: How much of the session's variance is over at each minute, 0 to 1.
    """

    spot: Floats
    fair: Floats
    volatility: Floats
    passed: Floats


@dataclass(frozen=True, slots=True)
class History:
    """The daily part of the walk.

    Attributes:
        days: Trading days.
        position: Of each day in `days`.
        closes: Closing value of each day.
        volatility: Level of volatility on each day.
    """

    days: tuple[date, ...]
    position: dict[date, int]
    closes: Floats
    volatility: Floats


@lru_cache(maxsize=8)
def history(seed: int) -> History:
    """Walk all days once: clustered volatility that rises when the index falls, pinned at the anchors."""
    days = []
    day = min(ANCHORS)
    while day < _END:
        days.append(day)
        day = hours.next_trading_day(day)
    shocks = generator(seed, "daily").standard_normal((2, len(days)))
    level = np.empty(len(days))
    state = 0.0
    for i, (market, own) in enumerate(zip(*shocks.tolist(), strict=True)):
        level[i] = state
        state = 0.97 * state - 0.05 * market + 0.04 * own
    volatility = _TYPICAL_VOLATILITY * np.exp(level)
    returns = _DRIFT + volatility / np.sqrt(252.0) * shocks[0]
    position = {day: i for i, day in enumerate(days)}
    closes = np.exp(_pinned(np.cumsum(returns), {position[day]: np.log(value) for day, value in ANCHORS.items()}))
    return History(tuple(days), position, closes, volatility)


def _pinned(walk: Floats, pins: dict[int, float]) -> Floats:
    """Bend a walk so that it passes through the pins: a bridge between them, free after the last."""
    places = sorted(pins)
    correction = np.interp(np.arange(len(walk)), places, [pins[i] - walk[i] for i in places])
    return np.asarray(walk + correction, dtype=np.float64)


def close_before(seed: int, day: date) -> float:
    """Give the close of the last trading day before a day."""
    walked = history(seed)
    return float(walked.closes[walked.position[hours.previous_trading_day(day)]])


@lru_cache(maxsize=64)
def minutes(seed: int, day: date) -> Day:
    """Walk one trading day from the close before it to its own close."""
    walked = history(seed)
    i = walked.position[day]
    before, close = np.log(walked.closes[i - 1]), np.log(walked.closes[i])
    daily = walked.volatility[i] / np.sqrt(252.0)
    random = generator(seed, "minutes", day.toordinal())
    length = (hours.EARLY_CLOSE if hours.is_early_close(day) else hours.CLOSE) - hours.OPEN
    passed = _variance_passed(length)
    opening = before + OVERNIGHT * (close - before) + daily * 0.4 * random.standard_normal()
    bridge = _bridge(random, passed[: length + 1])
    path = opening + (close - opening) * passed
    path[: length + 1] += daily * np.sqrt(1 - OVERNIGHT) * bridge
    spot = np.round(np.exp(path), 2)
    fair = path.copy()
    late = ALL_MINUTES - length - 1
    fair[length + 1 :] += daily * 0.008 * np.cumsum(random.standard_normal(late))
    wobble = np.cumsum(random.standard_normal(ALL_MINUTES)) * 0.0012
    volatility = walked.volatility[i] * np.exp(-4.0 * (fair - opening) + wobble)
    return Day(spot, np.exp(fair), volatility, passed)


@lru_cache(maxsize=8)
def seconds(seed: int, day: date) -> Floats:
    """Walk one trading day second by second from 09:30 to the close: at every minute where `minutes` is."""
    state = minutes(seed, day)
    length = int(np.argmax(state.passed >= 1.0))
    random = generator(seed, "seconds", day.toordinal())
    spread = state.spot[:length] * state.volatility[:length] * np.sqrt(np.diff(state.passed[: length + 1]) / 252.0)
    steps = random.standard_normal((length, 60)) * (spread[:, np.newaxis] / np.sqrt(60.0))
    part = np.arange(60) / 60.0
    path = np.cumsum(steps, axis=1) - steps
    path -= steps.sum(axis=1, keepdims=True) * part
    path += state.spot[:length, np.newaxis] + np.diff(state.spot[: length + 1])[:, np.newaxis] * part
    return np.append(np.round(path.ravel(), 2), state.spot[length])


def _variance_passed(length: int) -> Floats:
    """Give the share of the session's variance that is over at each minute: a U, busy at both ends."""
    middle = (np.arange(length) + 0.5) / length
    weight = 1.0 + 2.2 * np.exp(-middle * 9.0) + 0.9 * np.exp(-(1.0 - middle) * 12.0)
    passed = np.ones(ALL_MINUTES)
    passed[0] = 0.0
    passed[1 : length + 1] = np.cumsum(weight) / weight.sum()
    passed[length] = 1.0
    return passed


def _bridge(random: np.random.Generator, clock: Floats) -> Floats:
    """Give a Brownian bridge over a clock that runs from 0 to 1; a few steps are jumps."""
    steps = random.standard_normal(len(clock) - 1) * np.sqrt(np.diff(clock))
    steps *= np.where(random.random(len(steps)) < 0.01, 3.0, 1.0)
    path = np.concatenate(([0.0], np.cumsum(steps)))
    return np.asarray(path - clock * path[-1], dtype=np.float64)
