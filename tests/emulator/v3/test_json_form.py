import json

from spxdata.emulator import Emulator
from tests.emulator.terminal_client import DAY, GREEKS, HOURLY, QUOTE, ask


def test_history_is_grouped_by_contract_and_keeps_decimals(terminal: Emulator) -> None:
    answer = ask(terminal, QUOTE, **HOURLY, format="json")
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert '"bid":0.00,' in answer.text
    assert f'"timestamp":"{DAY}T09:30:00",' in answer.text
    groups = json.loads(answer.text)["response"]
    rows = ask(terminal, QUOTE, **HOURLY).rows
    assert sum(len(group["data"]) for group in groups) == len(rows)
    assert len({(group["contract"]["strike"], group["contract"]["right"]) for group in groups}) == len(groups)
    assert [float(tick["ask"]) for group in groups for tick in group["data"]] == [float(row["ask"]) for row in rows]


def test_greeks_and_lists_are_json_too(terminal: Emulator) -> None:
    tick = json.loads(ask(terminal, GREEKS, **HOURLY, format="json").text)["response"][0]["data"][1]
    assert tick["underlying_timestamp"] == f"{DAY}T10:30:00"
    listed = json.loads(ask(terminal, "/option/list/symbols", format="json").text)
    assert listed == {"response": [{"symbol": "SPX"}, {"symbol": "SPXW"}]}
