"""What results say of blocks and of the chain: Bitcoin Core's members first, then what only TimeCoin has.

There is no proof of work. The members that tools insist on are constants: difficulty 1 with its ``bits`` and
``target``, nonce 0, and a ``chainwork`` that counts the blocks.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from timecoin.rpc.codec import Amount, HashText
from timecoin.rpc.results_tx import BlockTransaction


class ShownHeader(TypedDict):
    """A header. ``time`` is the slot time, ``mediantime`` the median of it and the ten before."""

    hash: HashText
    confirmations: int
    height: int
    version: int
    versionHex: str
    merkleroot: HashText
    time: int
    mediantime: int
    nonce: int
    bits: str
    target: str
    difficulty: int
    chainwork: str
    nTx: int
    epoch: int
    closing: bool
    round: int
    proposer_index: int
    set_hash: HashText
    next_set_hash: HashText
    state_hash: HashText
    utxo_commitment: HashText
    previousblockhash: NotRequired[HashText]
    nextblockhash: NotRequired[HashText]


class ShownEvidence(TypedDict):
    """Evidence in a block: against ``signer`` of the set of ``epoch``; ``size`` in bytes."""

    kind: str
    epoch: int
    signer: int
    size: int


class _BlockFigures(ShownHeader):
    """A block without its transactions."""

    strippedsize: int
    size: int
    weight: int
    chainlock: bool
    evidence: list[ShownEvidence]


class BlockWithIds(_BlockFigures):
    """A block with the txids of its transactions (verbosity 1)."""

    tx: list[HashText]


class BlockWithTransactions(_BlockFigures):
    """A block with its transactions (verbosity 2), their inputs with what they spend (verbosity 3)."""

    tx: list[BlockTransaction]


class SyncProgress(TypedDict):
    """How catching up goes; the figures are null until known."""

    blocks_per_second: float | None
    seconds_left: int | None
    sources: int


class ChainState(TypedDict):
    """State of the chain; ``chain`` is main, test or regtest (devnet and custom networks), ``network`` its own name."""

    chain: str
    blocks: int
    headers: int
    bestblockhash: HashText
    bits: str
    target: str
    difficulty: int
    time: int
    mediantime: int
    verificationprogress: float
    initialblockdownload: bool
    chainwork: str
    size_on_disk: int
    pruned: bool
    pruneheight: NotRequired[int]
    automatic_pruning: NotRequired[bool]
    warnings: list[str]
    network: str
    chain_id: HashText
    epoch: int
    epoch_seconds: int
    last_closing_slot: int
    supply: Amount
    state_hash: HashText
    syncprogress: SyncProgress | None
    snapshots: list[int]


class ChainTip(TypedDict):
    """A tip: there is one, as decided blocks never fork."""

    height: int
    hash: HashText
    branchlen: int
    status: str


class BlockPlace(TypedDict):
    """A block by hash and height."""

    hash: HashText
    height: int


class ChainTxStats(TypedDict):
    """Transactions of the chain up to a block and in a window before it; ``txcount`` is absent where this node joined
    with a snapshot and does not know it."""

    time: int
    txcount: NotRequired[int]
    window_final_block_hash: HashText
    window_final_block_height: int
    window_block_count: int
    window_interval: NotRequired[int]
    window_tx_count: NotRequired[int]
    txrate: NotRequired[float]


class BlockStats(TypedDict, total=False):
    """Figures of a block; all amounts in base units, rates in base units per vbyte, sizes in bytes.

    ``subsidy`` is R(n) of protocol section 7 in a closing block, and 0 in an interim one, which creates nothing.
    """

    avgfee: int
    avgfeerate: int
    avgtxsize: int
    blockhash: HashText
    feerate_percentiles: list[int]
    height: int
    ins: int
    maxfee: int
    maxfeerate: int
    maxtxsize: int
    medianfee: int
    mediantime: int
    mediantxsize: int
    minfee: int
    minfeerate: int
    mintxsize: int
    outs: int
    subsidy: int
    swtotal_size: int
    swtotal_weight: int
    swtxs: int
    time: int
    total_out: int
    total_size: int
    total_weight: int
    totalfee: int
    txs: int
    utxo_increase: int
    utxo_increase_actual: int
    utxo_size_inc: int
    utxo_size_inc_actual: int
