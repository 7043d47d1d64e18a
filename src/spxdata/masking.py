"""What looks like a credential, taken out of texts before they are written anywhere."""

import re
from collections.abc import Sequence
from typing import Final

#: What stands in place of it.
MASK: Final = "***"

_NAME = (
    r"(?:api[-_ ]?key|access[-_ ]?key|token|secret|passw(?:or)?d|passphrase|credential|pwd"
    r"|(?<![a-z])auth(?:orization)?(?![a-z]))"
)
_OPTION = re.compile(rf"-[\w-]*{_NAME}[\w-]*", re.IGNORECASE)
# What can be repeated has a most: a text that is made for it would else cost the square of its length.
_PATTERNS: Final = (
    # before the @ of an address, with or without its scheme
    (re.compile(r"(://)\S{0,2000}@"), rf"\1{MASK}@"),
    (re.compile(r"(?<!\S)[^\s:@]+:(?!//)\S*@"), f"{MASK}@"),
    # what is assigned to the name of a credential, as in a query, a header or JSON
    (
        re.compile(
            rf"({_NAME}[\w-]{{0,40}}[\"']?\s{{0,3}}[=:]\s{{0,3}}[\"']?)(?:(?:bearer|basic)\s{{1,3}})?[^\s&\"']+",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)


def masked(text: str) -> str:
    """Return a text without what looks like a credential in it.

    Example:
        >>> masked("http://me:mine@127.0.0.1 api_key=1234")
        'http://***@127.0.0.1 api_key=***'
    """
    for pattern, stand_in in _PATTERNS:
        text = pattern.sub(stand_in, text)
    return text


def masked_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return a command line without what looks like a credential in it; the word after --password is one.

    Example:
        >>> masked_words(["fetch", "--api-key", "1234", "--force"])
        ('fetch', '--api-key', '***', '--force')
    """
    before = ["", *words]
    return tuple(
        MASK if _OPTION.fullmatch(name) and not word.startswith("--") else masked(word)
        for name, word in zip(before, words, strict=False)
    )
