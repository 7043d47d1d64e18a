"""How a v3 Terminal meets those who still speak v2: 410, with the new names of what they used."""

from collections.abc import Mapping

#: v2's parameter names, and what the vendor says instead of each.
RENAMED = {
    "annual_div": "annual_dividend",
    "exp": "expiration",
    "ivl": "interval",
    "perf_boost": "*unnecessary*",
    "pretty_time": "*unnecessary*",
    "rate": "rate_type",
    "root": "symbol",
    "rth": "*unnecessary*",
    "sec": "*path parameter*",
    "under_price": "stock_price",
    "use_csv": "format",
}


def upgrade_text(path: str, parameters: Mapping[str, str]) -> str | None:
    """Give the body of the 410, or None for a request that is v3's; `path` is whole, from its first slash."""
    used = [name for name in RENAMED if name in parameters]
    if not used and not path.startswith("/v2/"):
        return None
    listed = "".join(f"\t{name} -> {RENAMED[name]}\n" for name in used)
    # The blank before the first line end is the vendor's.
    return (
        "We have upgraded to API v3. Please use API v3 query parameters instead. \n"
        f"Deprecated query parameters:\n{listed}"
        "Consult API v3 documentation for more information: https://docs.thetadata.us/"
    )
