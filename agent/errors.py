"""What the product refuses or cannot do, each with the exit code the command ends with."""

from __future__ import annotations


class EvidencedError(Exception):
    """Something foreseen went wrong: the message says what, the hint what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Message and hint, one line each; neither ever holds a secret."""
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(EvidencedError):
    """Wrong arguments or a wrong configuration."""

    exit_code = 2


class RuleFailed(EvidencedError):
    """A rule at or above the asked severity does not hold."""

    exit_code = 3


class MissingCredential(EvidencedError):
    """Every shortfall is a missing credential or permission."""

    exit_code = 4


class Incomplete(EvidencedError):
    """Not all could be had; what could is stored."""

    exit_code = 5


class IntegrityError(EvidencedError):
    """A hash, a signature or the ledger's own record differs from what it must be."""

    exit_code = 6


class StoreError(EvidencedError):
    """The store is unreachable, locked, without its key, or needs a migration."""

    exit_code = 7
