"""What a run would take, in words."""

from collections.abc import Iterator

from spxdata.cli.text import counted, duration, size
from spxdata.downloader.forecast import Basis, Forecast, Share


def lines(forecast: Forecast) -> Iterator[str]:
    """Yield what a run would take, and of each kind of data from what that is told."""
    if not forecast.requests:
        return
    requests = f"{counted(forecast.requests, 'request')} ({forecast.at_once} at once)"
    if forecast.received is None or forecast.stored is None or forecast.seconds is None:
        yield f"Would take {requests}; bytes and time are unknown"
    else:
        yield f"Would take {requests}, {_bytes(forecast.received, forecast.stored)}, in {duration(forecast.seconds)}"
    yield from (f"  {_share(share)}" for share in forecast.shares)


def _share(share: Share) -> str:
    begin = f"{share.root} {share.dataset} {share.interval}: {counted(share.requests, 'request')}"
    if share.basis is None or share.received is None or share.stored is None:
        return f"{begin}; bytes and time are unknown, as this archive has measured none yet"
    return f"{begin}, {_bytes(share.received, share.stored)}; {_basis(share.basis)}"


def _bytes(received: int, stored: int) -> str:
    return f"{size(received)} received, {size(stored)} stored"


def _basis(basis: Basis) -> str:
    days = f"{basis.trade_dates[0]}" if len(basis.trade_dates) == 1 else f"{counted(len(basis.trade_dates), 'day')}"
    per_second = f", then {basis.bytes_per_second / 1e6:.1f} MB/s" if basis.bytes_per_second else ""
    measured = f"from {counted(basis.requests, 'request')} of {days}"
    return f"{measured} ({basis.dialect}: the first byte in {duration(basis.wait)}{per_second})"
