"""Why a proof proves nothing; ``.code`` names the rule."""

from __future__ import annotations

from typing import ClassVar


class BadProof(Exception):
    """The proof does not hold."""

    code: ClassVar[str] = "bad-proof"

    def __init__(self, detail: str) -> None:
        super().__init__(f"{self.code}: {detail}")
        self.detail = detail


class MalformedProof(BadProof):
    """It is no proof in a form that is known here."""

    code = "proof-malformed"


class UnknownVersion(MalformedProof):
    """It is in a later form than is known here."""

    code = "proof-version"


class WrongNetwork(BadProof):
    """It is of another network."""

    code = "proof-network"


class NotAnchored(BadProof):
    """It begins with another closing block than the one that is trusted."""

    code = "proof-anchor"


class BrokenChain(BadProof):
    """What leads from the anchor to the block or to the acks does not hold."""

    code = "proof-chain"


class BadStatement(BadProof):
    """An ack is not what it has to be: of this transaction, in this epoch, by one member once, signed."""

    code = "proof-ack"


class TooLittlePower(BadProof):
    """Those who say so are no quorum."""

    code = "proof-power"


class NotInBlock(BadProof):
    """The path does not lead from the transaction to the block's header."""

    code = "proof-path"


class WrongTransaction(BadProof):
    """The transaction that comes with the proof has another txid, or brings a witness, which no txid covers."""

    code = "proof-transaction"


class EpochClosed(BadProof):
    """The acks are of an epoch that the trusted block closed, or an earlier one: they prove nothing any more."""

    code = "proof-epoch-closed"


class SetHasLeft(BadProof):
    """The acks are older than the time after which their signers may have left with their collateral."""

    code = "proof-set-left"
