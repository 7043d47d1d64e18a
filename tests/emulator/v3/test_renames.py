import pytest

from spxdata.emulator import Emulator
from spxdata.emulator.v3.renames import RENAMED
from tests.emulator.terminal_client import HOURLY, QUOTE, ask, get

SEEN = (
    "We have upgraded to API v3. Please use API v3 query parameters instead. \nDeprecated query parameters:\n"
    "\texp -> expiration\nConsult API v3 documentation for more information: https://docs.thetadata.us/"
)


def test_a_v2_parameter_is_answered_as_seen(terminal: Emulator) -> None:
    answer = ask(terminal, "/option/list/strikes", symbol="AAPL", exp="20250221", format="json")
    assert (answer.status, answer.text, answer.headers["content-type"]) == (410, SEEN, "text/plain")
    assert answer.headers["content-length"] == "198"


@pytest.mark.parametrize("name", RENAMED)
def test_only_the_parameters_that_were_used_are_listed(terminal: Emulator, name: str) -> None:
    answer = ask(terminal, QUOTE, **HOURLY, **{name: "1"})
    assert answer.status == 410
    assert [line for line in answer.text.split("\n") if line.startswith("\t")] == [f"\t{name} -> {RENAMED[name]}"]


@pytest.mark.parametrize("path", ["/v2/system/mdds/status", "/v2/bulk_hist/option/quote", "/v2/nothing"])
def test_every_v2_path_is_gone_with_the_names_it_used(terminal: Emulator, path: str) -> None:
    base = terminal.url.removesuffix("/v3")
    assert get(base + path).status == 410
    used = get(f"{base}{path}?root=SPXW&exp=0&strike=1").text
    assert "\texp -> expiration\n\troot -> symbol\n" in used
    assert "strike" not in used
