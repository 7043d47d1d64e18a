"""What the vendor says with each error status; where only the status is known, the words are ours."""

from collections.abc import Mapping
from types import MappingProxyType

#: By status. Only that of 478 has been seen (v3); the others are ours.
TEXTS: Mapping[int, str] = MappingProxyType(
    {
        404: "Not Found",
        429: "Too many requests",
        470: "General error",
        474: "Disconnected from MDDS",
        475: "The request could not be parsed",
        476: "Wrong IP address",
        477: "No page found: it may have expired.",
        478: "Invalid session ID. This can occur if more than one terminal is running.",
        500: "Internal server error",
        570: "The request is too large",
        571: "The server is starting",
        572: "Uncaught error",
    }
)


def text_of(status: int) -> str:
    """Give the words of a status."""
    return TEXTS.get(status, f"Error {status}")
