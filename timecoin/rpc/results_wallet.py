"""Results of methods of wallets that several share."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from timecoin.rpc.codec import Amount, HashText, HexText

StatusText = Literal["pending", "certified", "final", "archived", "rejected"]


class LastBlock(TypedDict):
    """The newest block that the wallet knows of."""

    hash: HashText
    height: int


_WalletTransaction = TypedDict(
    "_WalletTransaction",
    {
        "confirmations": int,
        "status": StatusText,
        "instantlock": bool,
        "chainlock": bool,
        "txid": HashText,
        "wtxid": HashText,
        "walletconflicts": list[HashText],
        "time": int,
        "timereceived": int,
        "bip125-replaceable": Literal["no"],
    },
)


class WalletTransaction(_WalletTransaction, total=False):
    """What is known of a transaction: ``instantlock``: it is final; ``chainlock``: it is archived in a decided block.

    ``status`` as in gettxstatus, ``reason`` with rejected; ``confirmations``: blocks since it was archived, that one
    included, and negative of one that lost against an archived rival. Members of blocks are there when it is archived.
    ``bip125-replaceable``: no transaction is ever replaced by another one.
    """

    reason: str
    generated: bool
    trusted: bool
    blockhash: HashText
    blockheight: int
    blockindex: int
    blocktime: int
    comment: str
    to: str
    abandoned: bool


class _Line(WalletTransaction):
    category: Literal["send", "receive", "generate"]
    amount: Amount
    vout: int


class HistoryLine(_Line, total=False):
    """One output of a transaction that the wallet sent or received; ``fee`` (negative) of what it sent."""

    involvesWatchonly: bool
    address: str
    label: str
    fee: Amount
    parent_descs: list[str]


class _Detail(TypedDict):
    category: Literal["send", "receive", "generate"]
    amount: Amount
    vout: int
    abandoned: bool


class Detail(_Detail, total=False):
    """One output as gettransaction shows it."""

    involvesWatchonly: bool
    address: str
    label: str
    fee: Amount
    parent_descs: list[str]


class _Unspent(TypedDict):
    txid: HashText
    vout: int
    scriptPubKey: HexText
    amount: Amount
    confirmations: int
    status: StatusText
    spendable: bool
    solvable: bool
    safe: bool
    parent_descs: list[str]


class Unspent(_Unspent, total=False):
    """An unspent coin. ``spendable``: the keys are here; ``solvable``: how it is spent is known; ``safe``: it may pay
    without further ado (it is final, or own change)."""

    address: str
    label: str
    witnessScript: HexText
    desc: str


class NamedWallet(TypedDict, total=False):
    """A wallet that was made or loaded. ``words``: its recovery words, shown this once."""

    name: str
    warnings: list[str]
    words: NotRequired[str]


class Sent(TypedDict):
    """A transaction that was sent, and why its fee is what it is."""

    txid: HashText
    fee_reason: str
