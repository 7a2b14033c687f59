"""What results say of transactions and their parts: Bitcoin Core's members, and Dash's two words of finality."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from timecoin.rpc.codec import Amount, HashText, HexText


class ScriptPubKey(TypedDict):
    """An output script; ``address`` is absent of OP_RETURN."""

    asm: str
    desc: str
    hex: HexText
    address: NotRequired[str]
    type: str


class ScriptSig(TypedDict):
    """Always empty here, but of the coinbase, which shows ``coinbase`` instead."""

    asm: str
    hex: HexText


class Prevout(TypedDict):
    """The output that an input spends; ``generated``: a coinbase made it; ``height``: of the block that archived it."""

    generated: bool
    height: int
    value: Amount
    scriptPubKey: ScriptPubKey


class TxInputShown(TypedDict):
    """An input. A coinbase's has ``coinbase`` and ``sequence`` only."""

    coinbase: NotRequired[HexText]
    txid: NotRequired[HashText]
    vout: NotRequired[int]
    scriptSig: NotRequired[ScriptSig]
    txinwitness: NotRequired[list[HexText]]
    prevout: NotRequired[Prevout]
    sequence: int


class TxOutputShown(TypedDict):
    """An output, number ``n``."""

    value: Amount
    n: int
    scriptPubKey: ScriptPubKey


class DecodedTransaction(TypedDict):
    """A transaction as such; ``hash`` is the wtxid, ``weight`` counts four for each byte that is no witness."""

    txid: HashText
    hash: HashText
    version: int
    size: int
    vsize: int
    weight: int
    locktime: int
    vin: list[TxInputShown]
    vout: list[TxOutputShown]


class BlockTransaction(DecodedTransaction):
    """A transaction in a block: archived, so both of Dash's words are true of it. ``fee``: not of a coinbase, nor of
    one whose coins were made below the snapshot that this node joined with."""

    fee: NotRequired[Amount]
    hex: HexText
    instantlock: bool
    chainlock: bool


class ShownTransaction(DecodedTransaction):
    """A transaction with what is known of it: ``instantlock`` says it is final, ``chainlock`` that it is archived.

    The members from ``blockhash`` on are there when it is archived; ``in_active_chain`` when a block was named.
    """

    hex: HexText
    in_active_chain: NotRequired[bool]
    blockhash: NotRequired[HashText]
    height: NotRequired[int]
    confirmations: NotRequired[int]
    time: NotRequired[int]
    blocktime: NotRequired[int]
    fee: NotRequired[Amount]
    instantlock: bool
    instantlock_internal: bool
    chainlock: bool
