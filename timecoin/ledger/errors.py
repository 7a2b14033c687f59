"""Why a transaction or a block is refused: one typed error, with one stable code, for each rule.

The codes are the reject reasons that wallets and operators see; where Bitcoin Core has one for the rule,
it is Core's.
"""

from __future__ import annotations

from typing import ClassVar


class _Refused(Exception):
    """Something broke a rule; ``.code`` names the rule and ``.detail`` (possibly empty) the case."""

    code: ClassVar[str]

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


class TxInvalid(_Refused):
    """A transaction that no block may contain (protocol.md section 2)."""

    code = "bad-txns"


class BadTxVersion(TxInvalid):
    """The version is neither 1 nor 2."""

    code = "bad-txns-version"


class NoInputs(TxInvalid):
    """There are no inputs."""

    code = "bad-txns-vin-empty"


class NoOutputs(TxInvalid):
    """There are no outputs."""

    code = "bad-txns-vout-empty"


class TxTooLarge(TxInvalid):
    """The serialisation, witness included, is longer than ``max_tx_bytes``."""

    code = "bad-txns-oversize"


class DuplicateInputs(TxInvalid):
    """Two inputs name one outpoint."""

    code = "bad-txns-inputs-duplicate"


class LooseCoinbase(TxInvalid):
    """A coinbase stands outside the first place of a block."""

    code = "coinbase"


class NullInput(TxInvalid):
    """One of several inputs has the null outpoint."""

    code = "bad-txns-prevout-null"


class ScriptSigNotEmpty(TxInvalid):
    """An input carries a scriptSig; every spendable script is a witness program."""

    code = "scriptsig-not-empty"


class OutputNegative(TxInvalid):
    """An output is worth less than nothing."""

    code = "bad-txns-vout-negative"


class OutputTooLarge(TxInvalid):
    """One output is worth more than ``max_money``."""

    code = "bad-txns-vout-toolarge"


class OutputSumTooLarge(TxInvalid):
    """The outputs together are worth more than ``max_money``."""

    code = "bad-txns-txouttotal-toolarge"


class Dust(TxInvalid):
    """A spendable output is worth less than ``dust``."""

    code = "dust"


class BadOutputScript(TxInvalid):
    """An output is neither P2WPKH, P2WSH nor a well-formed OP_RETURN."""

    code = "scriptpubkey"


class MultipleOpReturn(TxInvalid):
    """There is more than one OP_RETURN output."""

    code = "multi-op-return"


class OpReturnValue(TxInvalid):
    """An OP_RETURN output has a value, which nobody could ever spend."""

    code = "op-return-value"


class MissingInputs(TxInvalid):
    """An input is not in the UTXO set: unknown, or spent already."""

    code = "bad-txns-inputs-missingorspent"


class InputsOutOfRange(TxInvalid):
    """The inputs together are worth more than ``max_money``."""

    code = "bad-txns-inputvalues-outofrange"


class OutputsExceedInputs(TxInvalid):
    """The outputs are worth more than the inputs."""

    code = "bad-txns-in-belowout"


class FeeTooLow(TxInvalid):
    """The fee is below ``min_fee_rate`` for each virtual byte."""

    code = "min-fee-not-met"


class CollateralLocked(TxInvalid):
    """An input is a masternode's collateral and still locked in the open epoch."""

    code = "collateral-locked"


class UnspendableCoin(TxInvalid):
    """A coin's script is no witness program, so nothing can spend it."""

    code = "bad-txns-nonstandard-inputs"


class WitnessMalformed(TxInvalid):
    """The witness has the wrong number of items for its coin's script."""

    code = "bad-witness-nonstandard"


class WitnessKeyMismatch(TxInvalid):
    """The key or script in the witness is not the one that the coin commits to."""

    code = "witness-program-mismatch"


class WitnessKeyType(TxInvalid):
    """A public key in a witness is not compressed."""

    code = "witness-pubkeytype"


class WitnessScriptInvalid(TxInvalid):
    """The witness script of a P2WSH coin is no m-of-n CHECKMULTISIG with 1 ≤ m ≤ n ≤ 15."""

    code = "witness-script"


class NullDummy(TxInvalid):
    """The first item of a multisig witness is not empty (BIP 147)."""

    code = "nulldummy"


class SignatureHashType(TxInvalid):
    """A signature's hash type is not SIGHASH_ALL."""

    code = "sig-hashtype"


class SignatureEncoding(TxInvalid):
    """A signature is not strict DER (BIP 66)."""

    code = "sig-der"


class SignatureHighS(TxInvalid):
    """A signature's S is in the upper half of the group order (BIP 146)."""

    code = "sig-high-s"


class SignatureInvalid(TxInvalid):
    """A signature does not sign this transaction with the key in question."""

    code = "mandatory-script-verify-flag-failed"


class BlockInvalid(_Refused):
    """A block or proposal that breaks a rule, whoever signed it (protocol.md sections 2, 6 and 7)."""

    code = "bad-block"


class BadBlockVersion(BlockInvalid):
    """The header's version is unknown."""

    code = "bad-version"


class BadChainId(BlockInvalid):
    """The header belongs to another network."""

    code = "bad-chain-id"


class BadHeight(BlockInvalid):
    """The header's height is not the tip's plus one."""

    code = "bad-height"


class BadPrevious(BlockInvalid):
    """The header does not name the tip as its predecessor."""

    code = "bad-prevblk"


class BadEpoch(BlockInvalid):
    """The header's epoch is not the open one."""

    code = "bad-epoch"


class BadSetHash(BlockInvalid):
    """The header does not name the power set of its epoch."""

    code = "bad-set-hash"


class BadNextSetHash(BlockInvalid):
    """The header does not name the power set of the following epoch."""

    code = "bad-next-set-hash"


class BadProposer(BlockInvalid):
    """The proposer index is not the rotation's choice for the header's round."""

    code = "bad-proposer"


class BadSlotTime(BlockInvalid):
    """A closing slot is no later multiple of ``epoch_seconds``, or an interim one is not the last one."""

    code = "bad-slot-time"


class EmptyInterim(BlockInvalid):
    """An interim block holds no transaction besides its coinbase."""

    code = "empty-interim"


class BlockTooLarge(BlockInvalid):
    """The encoded block is longer than ``max_block_bytes``."""

    code = "bad-blk-length"


class TooManyTransactions(BlockInvalid):
    """The block holds more than ``max_block_txs`` transactions, coinbase included."""

    code = "bad-blk-txcount"


class BadTxCount(BlockInvalid):
    """The header's transaction count is not that of the block."""

    code = "bad-txn-count"


class BadTxOrder(BlockInvalid):
    """The transactions after the coinbase are not in strictly ascending txid order."""

    code = "bad-txns-order"


class DuplicateTransaction(BlockInvalid):
    """One transaction stands in the block twice, or one transaction hash is two leaves of a tree."""

    code = "bad-txns-duplicate"


class DoubleSpend(BlockInvalid):
    """Two transactions of the block spend one outpoint."""

    code = "bad-txns-inputs-spent-twice"


class BadTransaction(BlockInvalid):
    """A transaction of the block is invalid by itself; ``.cause`` is its :class:`TxInvalid`."""

    code = "bad-txns-invalid"

    def __init__(self, detail: str, cause: TxInvalid) -> None:
        super().__init__(f"{detail}: {cause}")
        self.cause = cause


class FeesOutOfRange(BlockInvalid):
    """The fees of the epoch together are more than ``max_money``."""

    code = "bad-txns-accumulated-fee-outofrange"


class BadTxRoot(BlockInvalid):
    """The header's txid root is not that of the block's transactions and its due coinbase."""

    code = "bad-txnmrklroot"


class BadWtxRoot(BlockInvalid):
    """The header's wtxid root is not that of the block's transactions."""

    code = "bad-witness-merkle-match"


class BadCoinbase(BlockInvalid):
    """The coinbase is not, byte for byte, the one that the rules demand."""

    code = "bad-cb"


class BadCommitHash(BlockInvalid):
    """The header's last-commit hash is not that of the last commit that came with it."""

    code = "bad-commit-hash"


class BadCommit(BlockInvalid):
    """A commit is for another block, names no quorum of its set, or holds a signature that is not valid."""

    code = "bad-commit"


class BadEvidence(BlockInvalid):
    """The block's evidence breaks a rule of protocol.md section 3."""

    code = "bad-evidence"


class EarlyEvidence(BadEvidence):
    """Evidence of an epoch, or about a height, that this chain has not reached: it cannot be judged yet."""

    code = "bad-evidence-early"


class LateEvidence(BadEvidence):
    """Evidence that is of no use any more: of an old epoch, or against a masternode that is jailed or gone."""

    code = "bad-evidence-late"


class BadEvidenceHash(BlockInvalid):
    """The header's evidence hash is not that of the evidence that came with it."""

    code = "bad-evidence-hash"


class BadStateHash(BlockInvalid):
    """The header's state hash is not that of the state that the block leads to."""

    code = "bad-state-hash"


class BadUtxoCommitment(BlockInvalid):
    """The header's UTXO commitment is not that of the UTXO set after the block."""

    code = "bad-utxo-commitment"
