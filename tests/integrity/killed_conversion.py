"""A conversion that kills its own process right before the nth change of catalog or files."""

import sys
from pathlib import Path

from spxdata.pipeline.edges import Encoding
from tests.integrity.archives import converted
from tests.integrity.killed_revision import kill

if __name__ == "__main__":
    folder, file_format, numbers, kind, number = sys.argv[1:]
    encoding = Encoding("csv" if file_format == "csv" else "parquet", "decimal" if numbers == "decimal" else "float64")
    converted(Path(folder), encoding, kind=kind, steps=kill(int(number)))
