"""What looks like a credential is taken out, and nothing else."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata import masking
from spxdata.masking import MASK, masked, masked_words

#: Words that can stand in an address or an assignment without ending it.
secrets = st.from_regex(r"[A-Za-z0-9_.~!$*+%#?/-]{6,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:mine@127.0.0.1:25503/v3", "http://***@127.0.0.1:25503/v3"),
        ("https://mine@host and more", "https://***@host and more"),
        ("me:mine@host:1", "***@host:1"),
        ("--terminal=http://me:mine@host", "--terminal=http://***@host"),
        ("api_key=1234&date=20240116", "api_key=***&date=20240116"),
        ("THETADATA_API_KEY=1234", "THETADATA_API_KEY=***"),
        ("Password: hunter2", "Password: ***"),
        ('{"token": "1234"}', '{"token": "***"}'),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
    ],
)
def test_credentials_are_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:25503/v3",
        "Not usable for 5 s: The Terminal at http://127.0.0.1:1 refuses connections.",
        "/v3/option/history/quote?symbol=SPXW&expiration=20240119",
        "2024-01-16 12:30 author: somebody",
        "No columns: missing ['bid'], found ['ask']",
        "D:/data/20240116/spxw_exp_20240119.parquet",
    ],
)
def test_all_else_stays(text: str) -> None:
    assert masked(text) == text


@given(secrets)
def test_no_password_of_an_address_survives(secret: str) -> None:
    for text in (f"http://me:{secret}@host", f"http://{secret}@host", f"me:{secret}@host"):
        assert secret not in masked(f"said {text} twice")


@given(secrets)
def test_the_word_after_the_name_of_a_credential_is_masked(secret: str) -> None:
    words = masked_words(["x", "--api-key", secret, f"--password={secret}", "--token", "--force", "-auth", secret])
    assert words == ("x", "--api-key", MASK, f"--password={MASK}", "--token", "--force", "-auth", MASK) or (
        secret.startswith("--")
    )


@given(st.text())
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize("piece", ["x", "token", "a:", "://", "secret=", "-", "http://x", "auth", "pwd ", "me:x@"])
def test_a_long_text_comes_to_an_end(piece: str) -> None:
    """A pattern that goes back and forth would take hours, and meet the time limit of all tests."""
    text = piece * (100_000 // len(piece))
    assert len(masked(text)) <= len(text)


def test_examples_in_docstrings_are_true() -> None:
    result = doctest.testmod(masking)
    assert result.attempted > 0
    assert result.failed == 0
