"""Somebody who reads the documentation beside an emulated Terminal."""

import os
from collections.abc import Iterator

import pytest

from spxdata import Emulator
from tests.docs.pages import Reader


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader of pages, with a Terminal of both generations, of an account that has everything."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / ".curlrc").write_text("fail\n")  # an error status is an error
    with Emulator(seed=1, dialect="both", tier="professional", index_tier="value") as terminal:
        ports = {"http://127.0.0.1:25503": terminal.url, "http://127.0.0.1:25510": terminal.v2_url}
        yield Reader(folder, {usual: url.removesuffix("/v3").removesuffix("/v2") for usual, url in ports.items()})


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """Give back the environment and the current folder, which reading a page changes."""
    environ, folder = dict(os.environ), os.getcwd()  # noqa: PTH109 - as os.chdir wants it
    yield
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
