"""Many units: what is due, workers, retries, cancellation, lease, resume, summary; records outcomes."""

from spxdata.downloader.run import Download
from spxdata.downloader.summary import Summary, exit_code

__all__ = ["Download", "Summary", "exit_code"]
