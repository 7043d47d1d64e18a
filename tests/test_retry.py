import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata import errors
from spxdata.errors import (
    BadRequest,
    ConfigError,
    CutOff,
    DataError,
    Disconnected,
    DiskFull,
    GeneralFault,
    MalformedReply,
    NoData,
    NotSubscribed,
    PageExpired,
    RateLimited,
    SchemaDrift,
    ServerFault,
    SpxDataError,
    TimedOut,
    TransientError,
    UncaughtFault,
)
from spxdata.retry import Patience

#: Seconds to wait after the first, second, … failed attempt, without jitter.
WAITS: list[tuple[SpxDataError, list[float | None]]] = [
    *((kind("x"), [1.0, 2.0, 4.0, None, None]) for kind in (TimedOut, CutOff, RateLimited, Disconnected, ServerFault)),
    (PageExpired("x"), [1.0, 2.0, 4.0, None]),
    (GeneralFault("x"), [1.0, None, None]),
    (UncaughtFault("x"), [1.0, None]),
    (MalformedReply("x"), [1.0, None]),
    (DataError("x"), [1.0, None]),
    (SchemaDrift(("a",), ("b",)), [None, None]),
    (NotSubscribed("x"), [None]),
    (BadRequest("x"), [None]),
    (NoData("x"), [None]),
    (DiskFull("x"), [None]),
    (ConfigError("x"), [None]),
]

transient = st.sampled_from([TimedOut, CutOff, RateLimited, ServerFault, GeneralFault])


@pytest.mark.parametrize(("error", "waits"), WAITS, ids=lambda value: type(value).__name__)
def test_the_class_of_an_error_decides_how_often_and_how_long(error: SpxDataError, waits: list[float | None]) -> None:
    """1, 2, 4 seconds for what may pass; fewer tries for classes that say so; none for what is useless."""
    assert [Patience().wait(error, attempt, 0.0) for attempt in range(1, len(waits) + 1)] == waits


@given(transient, st.integers(1, 3), st.floats(0, 1, exclude_max=True), st.floats(0, 2), st.floats(0.01, 10))
def test_jitter_only_adds_and_only_its_share(
    kind: type[TransientError], attempt: int, chance: float, jitter: float, first: float
) -> None:
    """Between the plain wait and the wait with the whole jitter."""
    pause = Patience(3, first, jitter).wait(kind("x"), attempt, chance)
    if pause is not None:
        plain = first * 2 ** (attempt - 1)
        assert plain <= pause <= plain * (1 + jitter) * (1 + 1e-12)


@given(st.integers(1, 3), st.floats(0, 600), st.floats(0, 1, exclude_max=True))
def test_what_the_terminal_asks_for_is_waited_at_least(attempt: int, asked: float, chance: float) -> None:
    """Retry-After lengthens a wait and never shortens it; an absurd one is cut down."""
    patient = Patience()
    pause = patient.wait(RateLimited("busy", retry_after=asked), attempt, chance)
    own = patient.wait(RateLimited("busy"), attempt, chance) or 0
    assert pause == max(min(asked, patient.longest_asked), own)


def test_retry_after_gives_no_further_try() -> None:
    """It says when, not how often."""
    assert Patience().wait(RateLimited("busy", retry_after=5), 4, 0.0) is None


@given(st.integers(0, 6))
def test_the_setting_limits_every_class(retries: int) -> None:
    """With 0 nothing is repeated; a class of its own never gets more than the setting."""
    patient = Patience(retries)
    assert sum(patient.wait(TimedOut("x"), n, 0.0) is not None for n in range(1, 10)) == retries
    assert sum(patient.wait(GeneralFault("x"), n, 0.0) is not None for n in range(1, 10)) == min(retries, 1)


def test_every_transient_error_is_repeated_and_no_refusal() -> None:
    """For all classes there are: a new one has to choose its side."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SpxDataError)]
    for kind in kinds:
        error = kind.__new__(kind)
        if isinstance(error, TransientError):
            error.retry_after = None
        again = Patience().wait(error, 1, 0.0) is not None
        assert again == (isinstance(error, TransientError | DataError) and not isinstance(error, SchemaDrift)), kind
