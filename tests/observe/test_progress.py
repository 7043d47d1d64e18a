"""How far a run is, from scripted events, a clock moved by hand and a console that is a string."""

from datetime import date
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from spxdata.events import (
    AttemptFailed,
    AttemptStarted,
    DayClosed,
    DayFinished,
    DayPlanned,
    Event,
    GateChanged,
    Received,
    RunFinished,
    RunStarted,
    TerminalUnusable,
    TerminalUsable,
    UnitRecorded,
)
from spxdata.model import Day, DayStatus, State, Unit, Verdict
from spxdata.observe.progress import Bar, Lines, Silent, Talk, Tracker
from tests.builders import FakeClock, a_day, a_scope, an_artifact, stored

DATES = (date(2024, 1, 12), date(2024, 1, 15), date(2024, 1, 16), date(2024, 1, 17))


def units(day: Day, count: int) -> tuple[Unit, ...]:
    """Return some units of a day."""
    return tuple(day.unit(date(2024, 2, 1 + number)) for number in range(count))


def start() -> list[Event]:
    """Return how a run over three open days begins: four units on the first, the others unknown."""
    first = a_day(trade_date=DATES[0])
    return [
        RunStarted(DATES),
        DayClosed(DATES[1], "Martin Luther King Jr. Day"),
        DayPlanned(first, units(first, 4), skipped=2),
        AttemptStarted(units(first, 4)[0], 1),
    ]


def recorded(unit: Unit, rows: int = 1000) -> UnitRecorded:
    """Return the event of a stored unit."""
    return UnitRecorded(stored(unit, artifact=an_artifact(unit, rows=rows)))


def finished(day: Day, **changes: Any) -> DayFinished:
    """Return the event of a finished day."""
    return DayFinished(DayStatus(**{"day": day, "status": "success", "verdict": Verdict.COMPLETE, **changes}))


def fed(tracker: Tracker, *events: Event) -> Tracker:
    """Return the tracker after some events."""
    for event in events:
        tracker(event)
    return tracker


def test_units_are_guessed_until_every_day_is_planned() -> None:
    """Days whose turn has not come count as many units as those that are planned, on average."""
    tracker = fed(Tracker(FakeClock().monotonic), *start())
    assert (tracker.units_done, tracker.units, tracker.guessed) == (2, 18, True)
    for trade_date in DATES[2:]:
        day = a_day(trade_date=trade_date)
        tracker(DayPlanned(day, units(day, 1), skipped=0))
    assert (tracker.units, tracker.guessed) == (8, False)


def test_nothing_is_known_at_first() -> None:
    """Before the first event there is nothing to tell, and nothing fails."""
    tracker = Tracker(FakeClock().monotonic)
    assert tracker.words() == ["0/0 units", "0.0 MB/s", "0 rows"]


def test_rate_is_that_of_the_last_seconds() -> None:
    """Bytes of more than ten seconds ago no longer count."""
    clock = FakeClock()
    tracker = fed(Tracker(clock.monotonic), *start())
    unit = units(a_day(trade_date=DATES[0]), 1)[0]
    tracker(Received(unit, 3_000_000))
    clock.advance(2)
    assert tracker.rate() == pytest.approx(1_500_000)
    clock.advance(6)
    tracker(Received(unit, 7_000_000))
    clock.advance(3)
    assert tracker.rate() == pytest.approx(700_000)
    clock.advance(20)
    assert tracker.rate() == 0


def test_time_left_counts_what_is_fetched_not_what_was_there() -> None:
    """Two of 18 units were there; one more took five seconds, so the other 15 take 75."""
    clock = FakeClock()
    tracker = fed(Tracker(clock.monotonic), *start())
    assert tracker.left() is None
    clock.advance(5)
    tracker(recorded(units(a_day(trade_date=DATES[0]), 1)[0]))
    assert tracker.left() == pytest.approx(75)
    assert tracker.words() == ["3/~18 units", "0:01:15 left", "day 1/3", "0.0 MB/s", "1,000 rows"]


def test_fact_about_a_whole_day_is_no_second_unit() -> None:
    """A day without data is planned as one skipped unit and then recorded: one unit, done once."""
    day = a_day(trade_date=DATES[0])
    whole = UnitRecorded(stored(day.unit(None), state=State.EMPTY, artifact=None))
    tracker = fed(Tracker(FakeClock().monotonic), RunStarted(DATES[:1]), DayPlanned(day, (), skipped=1), whole)
    assert (tracker.units_done, tracker.units, tracker.fetched, tracker.rows) == (1, 1, 0, 0)


def test_date_is_done_when_all_its_datasets_are() -> None:
    """With two datasets a date counts after its second one."""
    tracker = fed(Tracker(FakeClock().monotonic, datasets=2), RunStarted(DATES[:1]))
    tracker(finished(a_day(trade_date=DATES[0]), scope=a_scope()))
    assert tracker.dates_done == 0
    tracker(finished(a_day(trade_date=DATES[0], dataset="quote"), scope=a_scope()))
    assert tracker.dates_done == 1


def test_dates_may_have_different_numbers_of_datasets() -> None:
    """One date two, the next date one: what is left and what is done is counted by date."""
    first, second = a_day(trade_date=DATES[0]), a_day(trade_date=DATES[2])
    tracker = Tracker(FakeClock().monotonic, datasets={DATES[0]: 2, DATES[2]: 1})
    fed(tracker, RunStarted((DATES[0], DATES[2])), DayPlanned(first, units(first, 4), skipped=0))
    assert (tracker.units, tracker.guessed) == (12, True)
    fed(tracker, DayPlanned(second, units(second, 2), skipped=0), finished(second, scope=a_scope()))
    assert tracker.dates_done == 1
    fed(tracker, finished(first, scope=a_scope()))
    assert tracker.dates_done == 1
    fed(tracker, finished(first._replace(dataset="quote"), scope=a_scope()))
    assert tracker.dates_done == 2


def test_only_a_wait_is_told() -> None:
    """A try that is followed by another is told; the last one is part of the day's line or of the error."""
    unit, talk = units(a_day(), 1)[0], Talk(FakeClock().monotonic)
    assert talk(AttemptFailed(unit, 2, "SPX-T429", "too many requests", 2.04)) == (
        "Try 2 of 2024-01-16 SPXW greeks 1m exp 2024-02-01 failed, next in 2.0 s: too many requests [SPX-T429]"
    )
    assert talk(AttemptFailed(unit, 4, "SPX-T429", "too many requests", None)) is None
    assert talk(AttemptStarted(unit, 1)) is None


def test_unusable_terminal_is_told_once_not_by_every_request() -> None:
    """The requests that met it say nothing; the same reason is told every ten seconds, another one at once."""
    clock = FakeClock()
    talk = Talk(clock.monotonic)
    assert talk(AttemptFailed(units(a_day(), 1)[0], 1, "SPX-T001", "refused", 0.0)) is None
    told = []
    for reason in ("refused.", "refused.", "refused.", "starting"):
        told.append(talk(TerminalUnusable("SPX-T001", reason, clock.monotonic(), 5.0)))
        clock.advance(5)
    told.append(talk(TerminalUsable(clock.monotonic())))
    told.append(talk(TerminalUnusable("SPX-T001", "starting", 0.0, 5.0)))
    assert told == [
        "Terminal not usable: refused; next look in 5 s [SPX-T001]",
        None,
        "Terminal not usable for 10 s: refused; next look in 5 s [SPX-T001]",
        "Terminal not usable for 15 s: starting; next look in 5 s [SPX-T001]",
        "Terminal usable again after 20 s",
        "Terminal not usable: starting; next look in 5 s [SPX-T001]",
    ]


def test_fewer_and_more_requests_at_once() -> None:
    """A run begins with as many as there may be: the first change is to fewer."""
    talk = Talk(FakeClock().monotonic)
    assert [talk(GateChanged(width)) for width in (2, 1, 2)] == [
        "Fewer requests at once: 2",
        "Fewer requests at once: 1",
        "More requests at once: 2",
    ]


def test_silent_display_only_passes_results_on() -> None:
    """The default shows nothing of its own."""
    said: list[str] = []
    with Silent(said.append) as display:
        for event in start():
            display(event)
        display.say("✓ result")
    assert said == ["✓ result"]


class TestLines:
    """Plain lines, for pipes."""

    def test_a_progress_line_at_most_every_ten_seconds(self) -> None:
        """However many events there are."""
        clock, said, talk = FakeClock(), list[str](), list[str]()
        day = a_day(trade_date=DATES[0])
        with Lines(said.append, talk.append, clock.monotonic) as display:
            for event in start():
                display(event)
            for _ in range(50):
                clock.advance(0.5)
                display(Received(units(day, 1)[0], 500_000))
            display.say("✓ result")
            for unit in units(day, 4):
                display(recorded(unit))
            clock.advance(10)
            display(finished(day, scope=a_scope()))
            display(RunFinished(1, 0, 0, 0, 0, 0, 0.0, 0))
        assert said == ["✓ result"]
        assert talk == [
            "Progress: 0/3 days (2/~18 units, 1.0 MB/s, 0 rows)",
            "Progress: 0/3 days (2/~18 units, 1.1 MB/s, 0 rows)",
            "Progress: 1/3 days (6/~18 units, 0:01:45 left, 0.1 MB/s, 4,000 rows)",
        ]

    def test_waits_are_told_at_once(self) -> None:
        """Whoever reads the log sees why nothing goes on."""
        talk: list[str] = []
        display = Lines(talk.append, talk.append, FakeClock().monotonic)
        display(AttemptFailed(units(a_day(), 1)[0], 1, "SPX-T003", "cut off", 1.0))
        assert len(talk) == 1
        assert talk[0].endswith("failed, next in 1.0 s: cut off [SPX-T003]")


class TestBar:
    """The bar on a terminal."""

    @staticmethod
    def console(width: int = 100) -> Console:
        """Return a terminal that is a string."""
        return Console(file=StringIO(), force_terminal=True, width=width, color_system=None, _environ={"TERM": "xterm"})

    @staticmethod
    def shown(console: Console) -> str:
        """Return what was written to it."""
        assert isinstance(console.file, StringIO)
        return console.file.getvalue()

    def drawn(self, bar: Bar, width: int) -> str:
        """Return the bar as text."""
        console = self.console(width)
        with console.capture() as capture:
            console.print(bar.drawing(width))
        return capture.get().rstrip("\n")

    def bar(self, clock: FakeClock, console: Console, **options: Any) -> Bar:
        """Return a bar that is only drawn when asked to."""
        return Bar(console, options.pop("say", None), clock.monotonic, refresh=False, **options)

    @pytest.mark.parametrize(
        ("width", "words"),
        [
            (120, "3/~18 units · 0:01:15 left · day 1/3 · 0.4 MB/s · 1,000 rows"),
            (80, "3/~18 units · 0:01:15 left · day 1/3 · 0.4 MB/s"),
            (60, "3/~18 units · 0:01:15 left"),
            (20, "3/~18 units"),
        ],
    )
    def test_it_fits_the_terminal(self, width: int, words: str) -> None:
        """The day, the bar, the figures; on narrow terminals the dispensable ones are left out."""
        clock = FakeClock()
        bar = self.bar(clock, self.console(width))
        unit = units(a_day(trade_date=DATES[0]), 1)[0]
        for event in (*start(), Received(unit, 2_000_000)):
            bar(event)
        clock.advance(5)
        bar(recorded(unit))
        line = self.drawn(bar, width)
        assert "\n" not in line
        if width >= 60:
            assert line.startswith("2024-01-12 ━")
            assert line.rstrip().endswith(words)
            assert len(line) <= width - 4, "an echoed ^C must find room on the line"

    def test_lines_go_above_it(self) -> None:
        """Results and waits scroll away above; the bar is wiped when the run ends."""
        console, clock = self.console(), FakeClock()
        with self.bar(clock, console, paint=str.upper) as bar:
            for event in start():
                bar(event)
            bar.say("✓ result")
            bar(AttemptFailed(units(a_day(), 1)[0], 1, "SPX-T003", "cut [off]", 1.0))
            bar(TerminalUnusable("SPX-T571", "starting", 12.0, 5.0))
            bar(TerminalUsable(17.0))
        shown = self.shown(console)
        assert "Terminal not usable for 12 s: starting; next look in 5 s [SPX-T571]\n" in shown
        assert "Terminal usable again after 17 s\n" in shown
        assert shown.index("planning ") < shown.index("✓ RESULT\n") < shown.index("cut [off] [SPX-T003]\n")
        assert shown.endswith("\x1b[?25h\r\x1b[1A\x1b[2K"), "the cursor is back, the line is wiped"

    def test_results_go_elsewhere_if_asked(self) -> None:
        """With stdout in a file, results belong there and not on the terminal."""
        console, said = self.console(), list[str]()
        with self.bar(FakeClock(), console, say=said.append) as bar:
            bar.say("✓ result")
        assert said == ["✓ result"]
        assert "result" not in self.shown(console)

    def test_it_is_drawn_while_events_come(self) -> None:
        """The thread that draws and those that tell of events do not disturb each other."""
        console, clock = self.console(), FakeClock()
        unit = units(a_day(trade_date=DATES[0]), 1)[0]
        with Bar(console, None, clock.monotonic, refresh=True) as bar:
            for event in start():
                bar(event)
            for _ in range(20_000):
                clock.advance(0.01)
                bar(Received(unit, 1000))
        assert "2024-01-12 ━" in self.shown(console)
