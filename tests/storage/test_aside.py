"""Units' files lie in a folder of their own; what is private stays where it is."""

from pathlib import Path

from spxdata.storage.aside import Aside
from spxdata.storage.local import LocalStorage

PATH = "20240116/spxw_exp_20240119.parquet"


def test_a_file_written_aside_is_not_in_its_place(tmp_path: Path) -> None:
    inner = LocalStorage(tmp_path)
    aside = Aside(inner, ".spxdata/converted")
    with aside.create(PATH) as pending:
        pending.write(b"rows")
        pending.commit()
    assert inner.size(PATH) is None
    assert inner.names() == (aside.place(PATH),) == (f".spxdata/converted/{PATH}",)
    with aside.open(PATH) as file:
        assert file.read() == b"rows"
    inner.move(aside.place(PATH), PATH)
    assert (inner.size(PATH), aside.size(PATH)) == (4, None)


def test_private_files_are_the_archives_own(tmp_path: Path) -> None:
    aside = Aside(LocalStorage(tmp_path), ".spxdata/converted")
    with aside.create(".spxdata/quarantine/x") as pending:
        pending.commit()
    assert (tmp_path / ".spxdata" / "quarantine" / "x").exists()
