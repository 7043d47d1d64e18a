"""No reference to another address is followed: what the Terminal is asked stays with the address that was given."""

import socket
from pathlib import Path

import pytest

from spxdata import download
from spxdata.errors import BadRequest
from spxdata.terminal.asking import Line
from spxdata.terminal.v2 import V2Terminal
from spxdata.terminal.v3 import V3Terminal
from tests.builders import EXPIRATION, TRADE_DATE, FakeClock, a_unit
from tests.terminal.rawserver import RawServer, head, sending, serving, whole

STATUSES = ("301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect")
HEADER = b"root,expiration,strike,right\r\n"


def asked(server: RawServer) -> int:
    """Return how many requests a server got."""
    return len(server.requests)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("dialect", ["v2", "v3"])
def test_a_redirect_is_an_error_and_the_other_host_hears_nothing(status: str, dialect: str) -> None:
    """Whatever is asked, in both dialects."""
    kind = {"v2": V2Terminal, "v3": V3Terminal}[dialect]
    with serving(sending(whole(b"CONNECTED"))) as other:
        moved = whole(b"elsewhere", f"Location: {other.url}/{dialect}/anything", status=status)
        with serving(sending(moved)) as server:
            terminal = kind(Line(f"{server.url}/{dialect}", dialect), FakeClock())
            questions = (
                terminal.status,
                lambda: terminal.expirations("SPXW"),
                lambda: terminal.strikes("SPXW", EXPIRATION),
                lambda: terminal.contracts("SPXW", TRADE_DATE, "quote"),
                terminal.fetch(a_unit()).__enter__,
            )
            for question in questions:
                with pytest.raises(BadRequest, match=status[:3]):
                    question()
            assert asked(server) == len(questions)
        assert asked(other) == 0


def test_a_download_from_a_server_that_redirects_ends_in_an_error(tmp_path: Path) -> None:
    """Nothing is stored, and the other host has not been asked."""
    with serving(sending(whole(b"CONNECTED"))) as other:
        with serving(sending(whole(b"", f"Location: {other.url}/v3/", status="302 Found"))) as server:
            summary = download(
                "2024-01-16",
                terminal=server.url,
                data_dir=tmp_path,
                environ={"SPXDATA_TERMINAL__PATIENCE": "0", "SPXDATA_DOWNLOAD__RETRIES": "0"},
            )
        assert asked(other) == 0
    assert (summary.finished.exit_code, summary.finished.failed) == (BadRequest.exit_code, 1)
    assert "302" in (summary.days[0].error or "")
    assert not list(tmp_path.rglob("*.parquet"))


def test_the_next_page_is_asked_of_the_same_host() -> None:
    """A v2 reply names it by a whole address; the path alone is used."""
    row = b"SPXW,20240119,4750000,C\r\n"
    with serving(sending(whole(HEADER + row))) as other:

        def answer(connection: socket.socket, line: str) -> None:
            page = "/v2/page/2" in line
            following = "null" if page else f"{other.url}/v2/page/2"
            body = HEADER + (b"SPXW,20240119,4800000,C\r\n" if page else row)
            connection.sendall(head(f"Content-Length: {len(body)}", f"Next-Page: {following}") + body)

        with serving(answer) as server:
            terminal = V2Terminal(Line(f"{server.url}/v2", "v2"), FakeClock())
            found = terminal.contracts("SPXW", TRADE_DATE, "quote")
            assert [contract.strike for contract in found.contracts] == [4750.0, 4800.0]
            assert asked(server) == 2
        assert asked(other) == 0
