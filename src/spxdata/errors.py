"""Every error of the product, sorted by what the user can do about it.

    SpxDataError                                                        exit
    ├─ ConfigError            a setting or option the user can fix          2
    ├─ ArchiveBusy            another process holds the archive's lease     6
    ├─ TerminalError
    │  ├─ TransientError      the attempt may be tried again               75
    │  │  ├─ Unreachable      connection refused, no route                 SPX-T001
    │  │  ├─ TimedOut         no byte for too long                         SPX-T002
    │  │  ├─ CutOff           the reply ended before its framing said      SPX-T003
    │  │  ├─ RateLimited      429                                          SPX-T429
    │  │  ├─ GeneralFault     470                                          SPX-T470
    │  │  ├─ Disconnected     474                                          SPX-T474
    │  │  ├─ PageExpired      477                                          SPX-T477
    │  │  ├─ ServerStarting   571                                          SPX-T571
    │  │  ├─ UncaughtFault    572                                          SPX-T572
    │  │  └─ ServerFault      any other 5xx                                SPX-T500
    │  ├─ RefusedError        asking again is useless                       3
    │  │  ├─ BadRequest       400, 473, 475                                SPX-R400
    │  │  ├─ NotSubscribed    403, 471                                     SPX-R403
    │  │  ├─ NoSuchPath       404                                          SPX-R404
    │  │  ├─ NotInDialect     a dataset that this generation lacks         SPX-R405
    │  │  ├─ WrongDialect     410                                          SPX-R410
    │  │  ├─ WrongAddress     476                                          SPX-R476
    │  │  ├─ OtherTerminal    478                                          SPX-R478
    │  │  └─ TooLarge         570                                          SPX-R570
    │  └─ Declined            not an error: an answer that becomes an outcome
    │     ├─ NoData           472, or a no-data text                       SPX-O472
    │     └─ TooEarly         not published yet                            SPX-O400
    ├─ DataError              the reply is wrong                            4
    │  ├─ SchemaDrift         columns missing, extra or renamed            SPX-D001
    │  ├─ MalformedReply      a row that is cut, unreadable or too long    SPX-D002
    │  ├─ BrokenRule          a structural rule of pipeline/rules.py       SPX-D003
    │  ├─ ShortReply          ended cleanly, but lacks what was listed     SPX-D004
    │  └─ ShortList           has what was not listed                      SPX-D005
    └─ StorageError           the disk or the catalog                       5  SPX-S000
       ├─ DiskFull                                                         SPX-S001
       ├─ NotWritable                                                      SPX-S002
       ├─ CatalogCorrupt                                                   SPX-S003
       ├─ ChecksumMismatch                                                 SPX-S004
       └─ NewerVersion     a file or catalog of a spxdata to come           SPX-S005

The class decides the exit code, whether an attempt is repeated, and the hint; the instance says what happened.
"""

from dataclasses import dataclass
from typing import ClassVar


class SpxDataError(Exception):
    """Base of everything this product raises on purpose.

    Args:
        message: What happened, naming the thing.
        hint: What to do about it; the class's own hint when left out.
    """

    code: ClassVar[str] = "SPX-0000"
    exit_code: ClassVar[int] = 1
    advice: ClassVar[str] = ""
    #: How often the attempt is repeated: None means "as often as the settings allow".
    retries: ClassVar[int | None] = 0

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.advice if hint is None else hint


class ConfigError(SpxDataError):
    """A setting or option is wrong; names the key, the value, where it came from and what is allowed."""

    code = "SPX-C001"
    exit_code = 2


class ArchiveBusy(SpxDataError):
    """Another process writes this archive."""

    code = "SPX-A001"
    exit_code = 6
    advice = "Wait for it to finish, or stop it; a dead holder's lease is taken over by itself."


class TerminalError(SpxDataError):
    """The Terminal could not or would not answer."""


class TransientError(TerminalError):
    """The attempt failed for a reason that may pass.

    Args:
        message: What happened.
        hint: What to do about it.
        retry_after: Seconds the Terminal asked us to wait, if it did.
    """

    exit_code = 75
    retries: ClassVar[int | None] = None

    def __init__(self, message: str, *, hint: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Unreachable(TransientError):
    """Nothing accepts connections at the Terminal's address."""

    code = "SPX-T001"
    advice = "Start Theta Terminal and wait until it is connected, or name its address with --terminal URL."


class TimedOut(TransientError):
    """The Terminal sent no byte for longer than the settings allow."""

    code = "SPX-T002"
    advice = "The Terminal may be overloaded: lower --concurrency, or restart it."


class CutOff(TransientError):
    """The reply ended before its own framing said it would."""

    code = "SPX-T003"
    advice = "Nothing of the reply was kept. If this goes on, restart the Terminal."


class RateLimited(TransientError):
    """Status 429: more requests at once than the account may have."""

    code = "SPX-T429"
    advice = "Lower --concurrency, or set terminal.tier to the tier of your subscription."


class GeneralFault(TransientError):
    """Status 470: the Terminal's general error, worth one more try."""

    code = "SPX-T470"
    advice = "See the Terminal's own log."
    retries = 1


class Disconnected(TransientError):
    """Status 474: the Terminal lost its connection to ThetaData."""

    code = "SPX-T474"
    advice = "Wait until the Terminal is connected again, or restart it."


class PageExpired(TransientError):
    """Status 477: a page was asked for too late; the attempt starts at page 1 again."""

    code = "SPX-T477"
    advice = "The Terminal drops pages that wait too long: lower --concurrency."


class ServerStarting(TransientError):
    """Status 571: the Terminal is still starting."""

    code = "SPX-T571"
    advice = "Wait until the Terminal is connected."


class UncaughtFault(TransientError):
    """Status 572: an uncaught error inside the Terminal, worth one more try."""

    code = "SPX-T572"
    advice = "See the Terminal's own log."
    retries = 1


class ServerFault(TransientError):
    """Any other status of 500 and above."""

    code = "SPX-T500"
    advice = "See the Terminal's own log. Some old dates fail for good at the vendor's."


class RefusedError(TerminalError):
    """The Terminal refused, and would refuse again."""

    exit_code = 3


class BadRequest(RefusedError):
    """Status 400, 473 or 475: the Terminal does not accept the request as it stands."""

    code = "SPX-R400"
    advice = "Check root, date and expiration. If they are right, please report this as a bug of spxdata."


class NotSubscribed(RefusedError):
    """Status 403 or 471: the account's subscription does not cover the request."""

    code = "SPX-R403"
    advice = "Choose a dataset your subscription has with --dataset, or change the subscription."


class NoSuchPath(RefusedError):
    """Status 404: the Terminal does not know the path."""

    code = "SPX-R404"
    advice = "Check --terminal URL; an outdated Terminal lacks newer paths: update it."


class NotInDialect(RefusedError):
    """This generation of the Terminal does not have the dataset at all; it was not asked."""

    code = "SPX-R405"
    advice = "Only a v3 Terminal has it: download it from one, or leave it out."


class WrongDialect(RefusedError):
    """Status 410: the Terminal is of another generation than the request."""

    code = "SPX-R410"
    advice = "This is a v3 Terminal: use its v3 address, usually http://127.0.0.1:25503/v3."


class WrongAddress(RefusedError):
    """Status 476: the Terminal was asked from another address than before."""

    code = "SPX-R476"
    advice = "Use one spelling of the address everywhere: 127.0.0.1, not localhost."


class OtherTerminal(RefusedError):
    """Status 478: another Terminal uses the same account."""

    code = "SPX-R478"
    advice = "Another Terminal uses this account. Stop it, then restart this one."


class TooLarge(RefusedError):
    """Status 570: the Terminal finds the request too large."""

    code = "SPX-R570"
    advice = "Ask for one expiration at a time with --expiration."


class Declined(TerminalError):
    """An answer without rows that is no error: the downloader records it as an outcome."""


class NoData(Declined):
    """The Terminal says it has no data for the request."""

    code = "SPX-O472"


class TooEarly(Declined):
    """The Terminal says the data is not published yet."""

    code = "SPX-O400"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What quarantine keeps of a reply that was refused: its header line and the offending batch, as received.

    Attributes:
        header: The reply's header line, raw.
        batch: The raw bytes of the batch in which the fault was found.
        first_row: Number of the batch's first row within the reply, counted from 0.
    """

    header: bytes
    batch: bytes
    first_row: int


class DataError(SpxDataError):
    """The reply is wrong; nothing of it is kept but what quarantine shows.

    Args:
        message: What is wrong, naming rule, column or row.
        hint: What to do about it.
        evidence: The raw bytes to keep for inspection.
    """

    exit_code = 4
    advice = "The refused reply lies in the archive's .spxdata/quarantine. Ask again later, or report it to ThetaData."
    retries = 1

    def __init__(self, message: str, *, hint: str | None = None, evidence: Evidence | None = None) -> None:
        super().__init__(message, hint=hint)
        self.evidence = evidence


class SchemaDrift(DataError):
    """The reply's columns are not the pinned ones.

    Args:
        expected: The pinned columns.
        found: The columns of the reply.
        evidence: The raw bytes to keep for inspection.
    """

    code = "SPX-D001"
    advice = "The Terminal's format changed: update spxdata, or report this. Nothing was stored."
    retries = 0

    def __init__(self, expected: tuple[str, ...], found: tuple[str, ...], *, evidence: Evidence | None = None) -> None:
        missing = [name for name in expected if name not in found]
        extra = [name for name in found if name not in expected]
        super().__init__(
            f"columns differ from the pinned ones: missing {missing}, unexpected {extra}; "
            f"expected {list(expected)}, found {list(found)}",
            evidence=evidence,
        )
        self.expected = expected
        self.found = found


class MalformedReply(DataError):
    """A row is cut, unreadable or endless, or the reply has no header."""

    code = "SPX-D002"


class BrokenRule(DataError):
    """A structural rule does not hold.

    Args:
        rule: The rule's name in the table of rules.
        message: What was found.
        evidence: The raw bytes to keep for inspection.
    """

    code = "SPX-D003"

    def __init__(self, rule: str, message: str, *, evidence: Evidence | None = None) -> None:
        super().__init__(f"{rule}: {message}", evidence=evidence)
        self.rule = rule


class ShortReply(DataError):
    """The reply ended cleanly but lacks listed contracts or required minutes; the second try accepts that."""

    code = "SPX-D004"
    advice = "It is asked for once more; what is missing then is stored as a hole."


class ShortList(DataError):
    """The reply has quotes of contracts that the day's contract list lacks: the list cannot tell what is complete."""

    code = "SPX-D005"
    advice = "The list is asked for once more; rows of contracts that it lacks then too leave the day unverified."


class StorageError(SpxDataError):
    """The disk or the catalog failed."""

    code = "SPX-S000"
    exit_code = 5
    advice = "See the message; what was committed before is safe."


class DiskFull(StorageError):
    """No space left where the archive lies."""

    code = "SPX-S001"
    advice = "Free some space and run the same command again: it goes on where it stopped."


class NotWritable(StorageError):
    """The archive's directory cannot be read or written."""

    code = "SPX-S002"
    advice = "Check its permissions, or choose another directory with --data-dir."


class CatalogCorrupt(StorageError):
    """The catalog cannot be read."""

    code = "SPX-S003"
    advice = "Run spxdata repair: it keeps the damaged catalog aside and records the intact files anew."


class ChecksumMismatch(StorageError):
    """A stored file is not what the catalog recorded."""

    code = "SPX-S004"
    advice = "Run spxdata repair: it sets the damaged file aside and fetches its unit again."


class NewerVersion(StorageError):
    """A file or the catalog has a version that this program does not know; it is no damage, and is left alone."""

    code = "SPX-S005"
    advice = "A newer spxdata wrote it: update spxdata."
