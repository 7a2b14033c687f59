"""What can be wrong with a partially signed transaction, one class a reason that a caller may want to tell apart."""

from __future__ import annotations

from timecoin.primitives.codec import DecodeError
from timecoin.wallet.errors import WalletError


class PsbtError(WalletError, ValueError):
    """Any trouble with a PSBT; the text is fit for the user and never holds a secret."""


class MalformedPsbt(PsbtError, DecodeError):
    """The bytes or the base64 are no PSBT of version 0 as BIP 174 has it."""


class PsbtMismatch(PsbtError):
    """PSBTs of different transactions, or with contradicting contents, cannot become one."""


class PsbtRefused(PsbtError):
    """Signing, finalising or updating would rest on something that is missing, false or not of this ledger.

    ``index`` is the input's.
    """

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"input {index}: {reason}")
        self.index = index
        self.reason = reason


class MissingCoin(PsbtRefused):
    """The transaction that made the input's coin is not in the PSBT."""


class NotComplete(PsbtRefused):
    """The input lacks signatures."""
