"""RPC methods about several transactions at once, parents before children."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NotRequired, TypedDict

from twisted.internet.defer import Deferred

from timecoin.primitives.hashes import Hash, display
from timecoin.primitives.transaction import Transaction, split_outpoint
from timecoin.rpc.arguments import AmountArg, HexList
from timecoin.rpc.codec import Amount, HashText, amount
from timecoin.rpc.errors import INVALID_PARAMETER, VERIFY_ERROR, RpcError, from_exception
from timecoin.rpc.facade import Preview
from timecoin.rpc.methods_rawtx import DEFAULT_MAX_RATE, check_burn, check_max_rate, decode
from timecoin.rpc.table import Context, method

_MAX_PACKAGE: Final = 25
_PACKAGE_COST: Final = 2

_EffectiveFees = TypedDict(
    "_EffectiveFees", {"base": Amount, "effective-feerate": Amount, "effective-includes": list[HashText]}
)


class PackageFees(_EffectiveFees):
    """The fee, and its rate in TIME per 1,000 vbytes: each transaction pays for itself alone."""


_Judged = TypedDict(
    "_Judged",
    {
        "txid": HashText,
        "wtxid": HashText,
        "package-error": NotRequired[str],
        "allowed": NotRequired[bool],
        "vsize": NotRequired[int],
        "fees": NotRequired[PackageFees],
        "reject-reason": NotRequired[str],
        "reject-details": NotRequired[str],
    },
)


class Judgement(_Judged):
    """What submitting would come to; without ``allowed`` it was not looked at, see ``package-error``."""


class PackageMember(TypedDict):
    """What became of one transaction of a package."""

    txid: HashText
    vsize: NotRequired[int]
    fees: NotRequired[PackageFees]
    error: NotRequired[str]


_Submitted = TypedDict(
    "_Submitted",
    {"package_msg": str, "tx-results": dict[str, PackageMember], "replaced-transactions": list[HashText]},
)


class PackageResult(_Submitted):
    """What became of a package, by wtxid; nothing is ever replaced here."""


def _fees(tx: Transaction, fee: int) -> PackageFees:
    rate = fee * 1000 // tx.vsize
    return {"base": amount(fee), "effective-feerate": amount(rate), "effective-includes": [display(tx.wtxid)]}


def _decode_all(texts: Sequence[str]) -> list[Transaction]:
    if not 1 <= len(texts) <= _MAX_PACKAGE:
        raise RpcError(INVALID_PARAMETER, f"Array must contain between 1 and {_MAX_PACKAGE} transactions.")
    complaint = "TX decode failed: {} Make sure the tx has at least one input."
    return [decode(each, complaint.format(each[:80])) for each in texts]


def package_problem(txs: Sequence[Transaction]) -> str | None:
    """Why transactions are no package, in Core's words; None when they are."""
    txids = [tx.txid for tx in txs]
    if len(set(txids)) < len(txids):
        return "package-contains-duplicates"
    later = set(txids)
    for tx in txs:
        if any(split_outpoint(outpoint)[0] in later for outpoint in tx.outpoints()):
            return "package-not-sorted"
        later.discard(tx.txid)
    spent = [outpoint for tx in txs for outpoint in tx.outpoints()]
    return "conflict-in-package" if len(set(spent)) < len(spent) else None


async def testmempoolaccept(
    context: Context, rawtxs: HexList, maxfeerate: AmountArg = DEFAULT_MAX_RATE
) -> list[Judgement]:
    """What submitting transactions would come to, without doing it; children after their parents in the list.

    A transaction that spends a coin of another unarchived one is refused here (txn-mempool-conflict), although
    sendrawtransaction may take it: as long as the other one may become final, it cannot.

    :param rawtxs: the transactions in hex, at most 25, parents before children
    :param maxfeerate: refuse a higher fee rate, in TIME per 1,000 vbytes; 0: no limit
    :returns: a judgement of each
    :error -8: too many or none, or maxfeerate is 1 or more
    :error -22: one cannot be decoded
    """
    limit = check_max_rate(maxfeerate)
    txs = _decode_all(rawtxs)
    problem = package_problem(txs)
    if problem is not None:
        return [{"txid": display(tx.txid), "wtxid": display(tx.wtxid), "package-error": problem} for tx in txs]
    previews = await context.node.preview(txs)
    return [_judgement(tx, each, limit) for tx, each in zip(txs, previews, strict=True)]


def _judgement(tx: Transaction, preview: Preview, max_rate: int) -> Judgement:
    shown: Judgement = {"txid": display(tx.txid), "wtxid": display(tx.wtxid)}
    reason, details = preview.reason, preview.details
    if reason is None and max_rate and preview.fee * 1000 > max_rate * tx.vsize:
        reason = details = "max-fee-exceeded"
    if reason is not None:
        return shown | {"allowed": False, "reject-reason": reason, "reject-details": details or reason}
    return shown | {"allowed": True, "vsize": tx.vsize, "fees": _fees(tx, preview.fee)}


async def submitpackage(
    context: Context,
    package: HexList,
    maxfeerate: AmountArg = DEFAULT_MAX_RATE,
    maxburnamount: AmountArg = 0,
) -> PackageResult:
    """Submit transactions that belong together, parents before children, as sendrawtransaction does one after the
    other: each pays its own fee, and those that are good are taken even when others are not.

    :param package: the transactions in hex, at most 25
    :param maxfeerate: refuse a higher fee rate, in TIME per 1,000 vbytes; 0: no limit
    :param maxburnamount: refuse OP_RETURN outputs of more TIME
    :returns: what became of each
    :error -8: too many or none, or maxfeerate is 1 or more
    :error -22: one cannot be decoded
    :error -25: they are in no order in which they could be valid, or maxburnamount is exceeded
    """
    limit, txs = check_max_rate(maxfeerate), _decode_all(package)
    for tx in txs:
        check_burn(tx, maxburnamount)
    problem = package_problem(txs)
    if problem is not None:
        raise RpcError(VERIFY_ERROR, f"package topology disallowed: {problem}")
    # All are handed over before the first answer is waited for, so that they share one write to the disk.
    calls = [context.node.submit(tx, limit) for tx in txs]
    results = {display(tx.wtxid): await _member(context, tx, call) for tx, call in zip(txs, calls, strict=True)}
    good = all("error" not in each for each in results.values())
    return {
        "package_msg": "success" if good else "transaction failed",
        "tx-results": results,
        "replaced-transactions": [],
    }


async def _member(context: Context, tx: Transaction, call: Deferred[Hash]) -> PackageMember:
    shown: PackageMember = {"txid": display(tx.txid)}
    try:
        await call
    except Exception as problem:
        refusal = from_exception(problem)
        if refusal is None:
            raise
        return shown | {"error": refusal.message}
    entry = context.node.pool_entry(tx.txid)
    shown["vsize"] = tx.vsize
    if entry is not None:
        shown["fees"] = _fees(tx, entry.fee)
    return shown


METHODS = (
    method("Rawtransactions", submitpackage, cost=_PACKAGE_COST),
    method("Rawtransactions", testmempoolaccept, cost=_PACKAGE_COST),
)
