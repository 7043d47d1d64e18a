"""How signatures and docstrings become the reference of the Python API."""

import api_reference

DOC = """Do it.

In detail.

Args:
    first: A day,
        such as 2024-01-16.
    second: A number.

Returns:
    What it gave.

Raises:
    ValueError: It went wrong.

Example:
    >>> with thing() as one:  # doctest: +SKIP
    ...     one.do()
    3
"""


def test_a_docstring_s_sections_become_lists_and_code() -> None:
    assert list(api_reference.documentation(DOC)) == [
        "Do it.\n\nIn detail.",
        "**Parameters**\n\n* `first`: A day, such as 2024-01-16.\n* `second`: A number.",
        "**Returns**: What it gave.",
        "**Raises**\n\n* `ValueError`: It went wrong.",
        "```python\nwith thing() as one:\n    one.do()\n```",
    ]


def test_a_docstring_without_sections_is_itself() -> None:
    assert list(api_reference.documentation("Do it.")) == ["Do it."]


def test_a_signature_shows_defaults_and_what_must_be_named() -> None:
    def short(self: object, day: str, *, root: str | None = None, force: bool = False) -> None: ...

    assert api_reference.signature("Thing.short", short) == "short(day, *, root=None, force=False)"


def test_a_long_signature_has_a_line_for_each_parameter() -> None:
    def long(
        *, a_rather_long_name: int = 1000000000, another_rather_long_name: str = "and a default that is long in itself"
    ) -> None: ...

    lines = api_reference.signature("long", long).split("\n")
    assert lines == [
        "long(",
        "    *,",
        "    a_rather_long_name=1000000000,",
        "    another_rather_long_name='and a default that is long in itself',",
        ")",
    ]
