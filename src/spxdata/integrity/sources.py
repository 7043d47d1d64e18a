"""The Terminals to ask stored units of again: each in the dialect, greeks version and rate type of its file."""

from spxdata.model import Provenance
from spxdata.protocols import Terminal
from spxdata.terminal.probe import FoundTerminal


class FoundSources:
    """Terminals at the address that a found one has, or at the default ones.

    Args:
        found: The Terminal that the settings speak of.
    """

    def __init__(self, found: FoundTerminal) -> None:
        self._found = found
        self._dialects: frozenset[str] | None = None
        self._terminals: dict[tuple[str, str | None, str | None], Terminal] = {}

    def status(self) -> str:
        """Return the Terminal's word on its own connection."""
        return self._found.status()

    def of(self, provenance: Provenance) -> Terminal | None:
        """Return the Terminal to ask for rows as they once were asked for; None if all there speak another dialect.

        Raises:
            Unreachable: There is no Terminal at all.
        """
        if provenance.dialect not in self._speaks():
            return None
        manner = provenance.dialect, provenance.greeks_version, provenance.rate_type
        if manner not in self._terminals:
            found = self._found
            self._terminals[manner] = FoundTerminal(
                found.clock,
                provenance.dialect,
                found.url,
                provenance.greeks_version or found.greeks_version,
                provenance.rate_type or found.rate_type,
                found.patience,
                found.channels,
            )
        return self._terminals[manner]

    def _speaks(self) -> frozenset[str]:
        """Return the dialects that are there; one that is named is not probed for."""
        if self._dialects is None:
            found = self._found
            if found.wanted != "auto":
                self._dialects = frozenset({found.wanted})
            else:
                found.found()  # raises if there is none
                self._dialects = frozenset(probe.dialect for probe in found.probes() if probe.is_terminal)
        return self._dialects
