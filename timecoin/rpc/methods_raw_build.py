"""RPC methods that make, sign and merge raw transactions, without any wallet."""

from __future__ import annotations

from typing import TypedDict

from timecoin.primitives.hashes import display
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import Transaction, split_outpoint
from timecoin.rpc.arguments import HexArg, HexList, OutputsArg
from timecoin.rpc.building import InputsArg, build, check_sighash, decoded, secrets_of
from timecoin.rpc.codec import HashText, HexText
from timecoin.rpc.coin_sources import coins_of
from timecoin.rpc.errors import DESERIALIZATION_ERROR, INVALID_PARAMETER, VERIFY_ERROR, RpcError
from timecoin.rpc.prevtxs import PrevTxsArg, merge
from timecoin.rpc.table import Context, method
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.raw_signing import NO_COIN, Problem, Signed, merge_raw, sign_raw

_NO_INPUTS = "TX decode failed. Make sure the tx has at least one input."
_MAX_MERGED = 100
_MAX_KEYS = 1_000


async def createrawtransaction(
    context: Context,
    inputs: InputsArg,
    outputs: OutputsArg,
    locktime: int = 0,
    replaceable: bool | None = None,
    version: int = 2,
) -> HexText:
    """Make an unsigned transaction; it is neither stored nor sent, and its fee is whatever the outputs leave.

    :param inputs: the coins: txid and vout, and optionally sequence
    :param outputs: addresses with amounts in TIME, and data with hex for one OP_RETURN output (at most 520 bytes); an
        object, or an array of objects with one member each, when the order matters
    :param locktime: 0, or the height (below 500,000,000) or Unix time from which on it is voted for; other than 0 the
        sequences are one below final, so that it counts
    :param replaceable: may not be true: no transaction is ever replaced here
    :param version: 1 or 2
    :returns: the transaction in hex
    :error -3: an amount is none
    :error -5: an address is none of this network
    :error -8: an input, the lock time, the version or the data is out of its range, or an output is named twice
    """
    made = await context.aside(build, context, inputs, outputs, locktime, replaceable, version)
    return made.raw.hex()


class SigningError(TypedDict):
    """An input that is not completely signed: what it spends, what it has, and why not."""

    txid: HashText
    vout: int
    witness: list[HexText]
    scriptSig: HexText
    sequence: int
    error: str


class _SignedTransaction(TypedDict):
    hex: HexText
    complete: bool


class SignedTransaction(_SignedTransaction, total=False):
    """A transaction, complete when every input is signed; ``errors`` tell of those that are not."""

    errors: list[SigningError]


async def signrawtransactionwithkey(
    context: Context,
    hexstring: HexArg,
    privkeys: list[str],
    prevtxs: PrevTxsArg | None = None,
    sighashtype: str = "DEFAULT",
) -> SignedTransaction:
    """Sign the inputs of a transaction with private keys; signatures that it has already stay.

    No wallet is asked, and nothing keeps two transactions that spend one coin from being signed: whoever sends both
    within an epoch blocks that coin until the epoch closes.

    :param hexstring: the transaction
    :param privkeys: private keys in wallet import format, at most 1,000
    :param prevtxs: coins that the node does not know, or whose witness script it cannot know: txid, vout, scriptPubKey,
        amount in TIME, witnessScript
    :param sighashtype: ALL, or DEFAULT which is the same
    :returns: the transaction with what could be signed
    :error -3: an unknown coin is told of without its amount
    :error -5: a private key is none of this network
    :error -8: a hash type that is not used here, a script that is not the coin's, or too many keys
    :error -22: the transaction cannot be decoded, or a coin is told of otherwise than it is
    """
    tx = decoded(hexstring, _NO_INPUTS)
    if len(privkeys) > _MAX_KEYS:
        raise RpcError(INVALID_PARAMETER, f"at most {_MAX_KEYS} private keys are taken at a time")
    secrets = await context.aside(secrets_of, context, privkeys)
    told = prevtxs or []
    coins = merge(told, await coins_of(context, tx))
    check_sighash(sighashtype)
    scripts = {each.script: each.witness_script for each in told if each.witness_script is not None}
    return signed_json(await context.aside(sign_raw, tx, coins, scripts, secrets, get_backend()))


def signed_json(signed: Signed) -> SignedTransaction:
    """The answer of methods that sign raw transactions."""
    shown: SignedTransaction = {"hex": signed.tx.raw.hex(), "complete": not signed.problems}
    if signed.problems:
        shown["errors"] = [_error_json(signed.tx, each) for each in signed.problems]
    return shown


def _error_json(tx: Transaction, problem: Problem) -> SigningError:
    spent = tx.inputs[problem.place]
    txid, n = split_outpoint(spent.outpoint)
    return {
        "txid": display(txid),
        "vout": n,
        "witness": [item.hex() for item in spent.witness],
        "scriptSig": spent.script_sig.hex(),
        "sequence": spent.sequence,
        "error": problem.text,
    }


async def combinerawtransaction(context: Context, txs: HexList) -> HexText:
    """Merge the signatures of several copies of one transaction.

    :param txs: the copies, at most 100, which differ in their witnesses only
    :returns: the transaction with every signature that holds
    :error -8: they are not copies of one transaction, or too many
    :error -22: none is given, or one cannot be decoded
    :error -25: a coin that they spend is unknown or spent
    """
    if not txs:
        raise RpcError(DESERIALIZATION_ERROR, "Missing transactions")
    if len(txs) > _MAX_MERGED:
        raise RpcError(INVALID_PARAMETER, f"at most {_MAX_MERGED} transactions are merged at a time")
    complaint = "TX decode failed for tx {}. Make sure the tx has at least one input."
    versions = [decoded(text, complaint.format(n)) for n, text in enumerate(txs)]
    if any(each.stripped != versions[0].stripped for each in versions):
        raise RpcError(INVALID_PARAMETER, "the transactions differ in more than their signatures")
    coins = await coins_of(context, versions[0])
    if len(coins) < len(versions[0].inputs):
        raise RpcError(VERIFY_ERROR, NO_COIN)
    merged = await context.aside(merge_raw, versions, coins, {}, {}, get_backend())
    return merged.tx.raw.hex()


def converttopsbt(
    context: Context, hexstring: HexArg, permitsigdata: bool = False, iswitness: bool | None = None
) -> str:
    """Make a PSBT of a raw transaction, with nothing in it that a signer needs (see utxoupdatepsbt).

    :param hexstring: the transaction
    :param permitsigdata: drop signatures that are in it, instead of refusing it
    :param iswitness: there for Core's clients; the form is seen
    :returns: the PSBT in base64
    :error -22: the transaction cannot be decoded, or has signatures
    """
    tx = decoded(hexstring, "TX decode failed")
    if not permitsigdata and (tx.has_witness or any(each.script_sig for each in tx.inputs)):
        raise RpcError(DESERIALIZATION_ERROR, "Inputs must not have scriptSigs and scriptWitnesses")
    return Psbt.create(tx).text


METHODS = (
    method("Rawtransactions", combinerawtransaction, cost=5),
    method("Rawtransactions", converttopsbt),
    method("Rawtransactions", createrawtransaction),
    method("Rawtransactions", signrawtransactionwithkey, cost=5),
)
