"""Every block of Python in the pages on reading runs, one after the other, on the archive that they speak of."""

import re
from pathlib import Path

import pytest

from spxdata import Emulator, download
from tests.conftest import ROOT

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DATASETS = ("greeks", "quote", "trade", "open_interest", "index_price")


@pytest.mark.parametrize(("page", "least", "words"), [("reading.md", 5, "Archive('data')"), ("export.md", 2, "")])
def test_the_page_s_code_runs(
    page: str,
    least: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As it stands, in the folder of the archive."""
    blocks = _BLOCK.findall((ROOT / "docs" / page).read_text())
    assert len(blocks) >= least
    with Emulator(seed=1, tier="professional", index_tier="value") as terminal:
        quick = {"SPXDATA_TERMINAL__PACING": "0"}
        download(
            "2024-01-16",
            "2024-01-17",
            datasets=DATASETS,
            max_dte=3,
            data_dir=tmp_path / "data",
            terminal=terminal.url,
            environ=quick,
        )
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, f"docs/{page}", "exec"), names)  # noqa: S102 - our own page
    assert words in capsys.readouterr().out
