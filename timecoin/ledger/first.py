"""Block 0 and the ledger after it, both of which follow from the genesis alone (protocol.md section 2)."""

from __future__ import annotations

from timecoin.ledger.assembly import BLOCK_VERSION, Assembled, merkle_roots
from timecoin.ledger.blocktx import changes
from timecoin.ledger.coinbase import genesis_coinbase
from timecoin.ledger.coins import CoinDelta, elements
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.genesis_registry import first_registry, first_set
from timecoin.ledger.opening import Opening
from timecoin.ledger.rotation import initial
from timecoin.ledger.state import LedgerState
from timecoin.primitives.block import EMPTY_COMMIT, Block, Header, evidence_hash
from timecoin.primitives.hashes import ZERO
from timecoin.primitives.muhash import MuHash
from timecoin.primitives.transaction import Transaction

_NO_HEIGHT = 0


def first_state(genesis: Genesis) -> tuple[Block, LedgerState, CoinDelta]:
    """Return block 0 of a valid ``genesis``, the state after it (epoch 1 open), and its coins."""
    first = first_block(genesis)
    return first.block, first.state, first.delta


def first_block(genesis: Genesis) -> Assembled:
    """The same as :func:`first_state`, in the form in which every other block comes.

    Epoch 0 has no set of its own: block 0 names S(1) both times.
    """
    coinbase = genesis_coinbase(genesis.chain_id, genesis.allocations)
    opening = _first_opening(genesis, coinbase)
    changed = changes(_NO_HEIGHT, coinbase, ())
    muhash = MuHash.empty().update(elements(changed.made.items()))
    header = _first_header(genesis, coinbase, opening, muhash)
    state = LedgerState(header, opening, opening.current, opening.priorities, muhash)
    return Assembled(Block(header, (coinbase,), EMPTY_COMMIT, ()), state, changed.delta)


def _first_opening(genesis: Genesis, coinbase: Transaction) -> Opening:
    registry = first_registry(genesis, coinbase.txid)
    members, free_mode = first_set(genesis, registry)
    return Opening(
        epoch=1,
        registry=registry,
        current=members,
        following=members,
        priorities=initial(members),
        supply=genesis.supply,
        last_closing_slot=genesis.slot_time,
        free_mode=free_mode,
    )


def _first_header(genesis: Genesis, coinbase: Transaction, opening: Opening, muhash: MuHash) -> Header:
    tx_root, wtx_root = merkle_roots((coinbase,))
    return Header(
        version=BLOCK_VERSION,
        previous=ZERO,
        tx_root=tx_root,
        slot_time=genesis.slot_time,
        tx_count=1,
        chain_id=genesis.chain_id,
        height=_NO_HEIGHT,
        epoch=0,
        closing=True,
        wtx_root=wtx_root,
        last_commit_hash=EMPTY_COMMIT.hash,
        evidence_hash=evidence_hash(()),
        set_hash=opening.current.set_hash,
        next_set_hash=opening.current.set_hash,
        state_hash=opening.state_hash,
        utxo_commitment=muhash.digest(),
        proposer_index=0,
        round=0,
    )
