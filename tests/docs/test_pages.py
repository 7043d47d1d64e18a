"""Every block of code in the documentation runs, from top to bottom of its page, and writes what the page shows.

`UPDATE_DOCS=1 python -m pytest tests/docs` writes what it shows anew: look at what has changed.
"""

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.pages import CODE, FENCE, FILES, SHOWN, Block, Reader, blocks, pages

TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in pages()}
#: Why blocks are not run, and how many there are of each: what is new in here should have no other way.
NOT_RUN = {
    "changes the system": 3,
    "installs": 2,
    "needs a refused reply": 1,
    "runs until Ctrl-C": 2,
    "takes long": 1,
}
UPDATE = bool(os.environ.get("UPDATE_DOCS"))


def is_code(block: Block) -> bool:
    """Whether a block is to be run."""
    return block.language in CODE or bool(block.file)


@pytest.mark.usefixtures("as_it_was")
@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if any(map(is_code, blocks(text)))])
def test_following_a_page_from_top_to_bottom_gives_what_it_shows(name: str, reader: Reader) -> None:
    if re.search("^curl ", TEXTS[name], re.MULTILINE) and not shutil.which("curl"):
        pytest.skip("there is no curl")
    found = reader.follow(name, TEXTS[name])
    if UPDATE:
        (ROOT / name).write_text(found, encoding="utf-8")
    else:
        assert found == TEXTS[name]


def test_only_so_many_blocks_are_not_run_and_each_says_why() -> None:
    assert Counter(block.not_run for text in TEXTS.values() for block in blocks(text) if block.not_run) == NOT_RUN


@pytest.mark.parametrize("name", TEXTS)
def test_every_block_says_what_it_is(name: str) -> None:
    """A fence without a language, or of one that nobody runs, could hide code."""
    assert {block.language for block in blocks(TEXTS[name])} <= {*CODE, *FILES, *SHOWN}
    assert TEXTS[name].count("\n```") == 2 * len(FENCE.findall(TEXTS[name]))


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith(("docs/guides/", "docs/getting"))])
def test_a_guide_shows_only_output_that_is_compared(name: str) -> None:
    assert all(block.is_output for block in blocks(TEXTS[name]) if block.language == "text")


@pytest.mark.usefixtures("as_it_was")
def test_code_that_fails_fails_the_page(reader: Reader) -> None:
    with pytest.raises(ZeroDivisionError):
        reader.follow("python-fails", "```python\n1 / 0\n```\n")
    with pytest.raises(AssertionError, match="sh-fails:2: exit code 1"):
        reader.follow("sh-fails", "```sh\nfalse\n```\n")


@pytest.mark.usefixtures("as_it_was")
def test_other_output_than_is_shown_is_found(reader: Reader) -> None:
    page = "```python\nprint(6 * 7)\n```\n\n<!-- output -->\n```text\n{}\n```\n"
    assert reader.follow("wrong", page.format(41)) == page.format(42)


@pytest.mark.usefixtures("as_it_was")
def test_a_block_with_a_file_s_name_is_that_file(reader: Reader) -> None:
    reader.follow("file", "```toml\n# some/where.toml\nx = 1\n```\n\n```sh\ntest -f some/where.toml\n```\n")
    assert Path("some/where.toml").read_text(encoding="utf-8") == "# some/where.toml\nx = 1\n"
