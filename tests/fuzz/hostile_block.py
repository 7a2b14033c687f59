"""Blocks that decode and that nobody honest would build: valid ones with parts of them bent, their links mended.

Whoever judges such a block refuses it with ``BlockInvalid``, or takes it; nothing else may come out of a job,
because the node stops when it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from tests.fuzz.choices import EDGES, Choices
from tests.ledger import builders
from tests.ledger.accusations import Culprit, every_kind
from tests.ledger.builders import COIN, FEE, Chain
from timecoin.consensus.jobs import JudgeDecided, JudgeProposal
from timecoin.consensus.proposal import Content, MalformedProposal
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.coins import Coin
from timecoin.ledger.errors import BlockInvalid
from timecoin.ledger.payload import FREE, Payload, Register, Return, Unregister, Update
from timecoin.ledger.payload import encode as encode_payload
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.tiers import Tier
from timecoin.primitives.block import EMPTY_COMMIT, Block, Commit, evidence_hash
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import sha256
from timecoin.primitives.merkle import merkle_root
from timecoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxInput, TxOutput

_VALUES = (0, -1, 1, 9_999, 10_000, 10**18 - 1, 10**18, 2**63 - 1, -(2**63), 5 * COIN)
_ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:1"

Bend = Callable[[Chain, Block, Choices], Block]


class Lookup:
    """The coins of a chain in memory, as a job reads them."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.is_open = True

    def __call__(self, outpoint: bytes) -> Coin | None:
        assert self.is_open
        return self._chain.coins.get(outpoint)

    def archived_in(self, txid: bytes, epoch: int) -> int | None:
        """Where a transaction stands."""
        for block in self._chain.blocks:
            if block.header.epoch == epoch and txid in [tx.txid for tx in block.transactions]:
                return block.header.height
        return None

    def close(self) -> None:
        self.is_open = False


@cache
def chain_at(stage: int) -> Chain:
    """A chain after genesis, after an interim block with a registration, after the first closing block, and later."""
    chain = Chain(builders.network(4, accounts=10))
    if stage > 0:
        chain.interim(
            [
                chain.payment(chain.account(0), chain.account(1), 5 * COIN),
                chain.registration(chain.account(8), 9, Tier.FREE),
            ]
        )
    if stage > 1:
        chain.close([chain.registration(chain.account(9), 10, Tier.FREE)])
    if stage > 2:
        chain.interim([chain.payment(chain.account(0), chain.account(1), 5 * COIN)], signers=(0, 1, 2))
        chain.close(signers=(1, 2, 3))
    return chain


def payments(chain: Chain) -> list[Transaction]:
    """Some valid payments, the last a child of the first, one with a note."""
    chain.reserved.clear()
    first = chain.payment(chain.account(2), chain.account(3), 5 * COIN)
    noted = chain.payment(chain.account(4), chain.account(5), COIN, extra=[builders.data_output(b"a note")])
    coin = Coin(2 * chain.state.height + 2, 5 * COIN, chain.account(3).script)
    spent = (first.outpoint(0), coin, chain.account(3))
    child = builders.spend([spent], [TxOutput(4 * COIN, chain.account(6).script)])
    return [first, noted, child]


def bent_block(chain: Chain, choices: Choices) -> Block:
    """A block for the height after the chain's tip, from what the choices make of a valid one."""
    txs = payments(chain)[: choices.number(4)]
    if choices.number(3) == 0:
        txs.append(_carrier(chain, choices))
    closing = choices.number(2) == 1 or not txs
    try:
        block = chain.assemble(txs, closing=closing, round_=choices.pick((0, 0, 1, 3))).block
    except BlockInvalid:
        block = chain.assemble((), closing=True).block
    for _ in range(choices.number(4)):
        block = choices.pick((_bend_header, _bend_tx, _bend_tx, _bend_order, _bend_rest))(chain, block, choices)
    return linked(block) if choices.often() else block


def linked(block: Block) -> Block:
    """The block under a header that names what it holds (``DuplicateLeaves``)."""
    header = replace(
        block.header,
        tx_count=len(block.transactions),
        tx_root=merkle_root([tx.txid for tx in block.transactions]),
        wtx_root=merkle_root([tx.wtxid for tx in block.transactions]),
        last_commit_hash=block.last_commit.hash,
        evidence_hash=evidence_hash(block.evidence),
    )
    return replace(block, header=header)


def judge(data: bytes) -> None:
    """Give both jobs a block that the bytes choose; raises ``BlockInvalid`` or whatever else a job does."""
    choices = Choices(data)
    chain = chain_at(choices.number(4))
    try:
        block = Block.decode(bent_block(chain, choices).encode())
    except ValueError:
        return  # it cannot be encoded, or does not decode
    refused = [
        outcome
        for outcome in (judge_decided(chain, block), judge_proposal(chain, block, choices))
        if isinstance(outcome, BlockInvalid)
    ]
    if refused:
        raise refused[0]


def judge_decided(chain: Chain, block: Block) -> Assembled | BlockInvalid | None:
    """The block as one that all members decided."""
    lookup = Lookup(chain)
    commit = builders.commit_by(block.header, chain.state.current)
    try:
        return JudgeDecided(chain.params, chain.state, block, commit, lookup).run(builders.BACKEND)
    except BlockInvalid as error:
        return error
    finally:
        assert not lookup.is_open


def judge_proposal(chain: Chain, block: Block, choices: Choices) -> Assembled | BlockInvalid | None:
    """The block as a proposal: some of its bodies were in the pool, others came for it alone. None: no proposal."""
    if not block.transactions:
        return None
    try:
        content = Content.decode(Content.of(block).encode())
    except (DecodeError, MalformedProposal):
        return None
    if content.header.round > 10:
        return None  # bounded by the machine, before a block is judged
    lookup = Lookup(chain)
    valid = {tx.txid for tx in payments(chain)}
    known = [tx for tx in block.transactions[1:] if tx.txid in valid and choices.number(2)]
    names = {tx.txid for tx in known}
    if any(txin.outpoint[:32] in valid - names for tx in known for txin in tx.inputs):
        known = []
    foreign = tuple(tx for tx in block.transactions[1:] if tx not in known)
    resolved = tuple(chain.resolve(known))
    try:
        return JudgeProposal(chain.params, chain.state, content, resolved, foreign, lookup).run(builders.BACKEND)
    except BlockInvalid as error:
        return error
    finally:
        assert not lookup.is_open


def _bend_header(chain: Chain, block: Block, choices: Choices) -> Block:
    header = block.header
    name = choices.pick((
        "version", "previous", "slot_time", "chain_id", "height", "epoch", "closing", "set_hash", "next_set_hash",
        "state_hash", "utxo_commitment", "proposer_index", "round", "tx_count",
    ))  # fmt: skip
    old: object = getattr(header, name)
    new: object = sha256(old) if isinstance(old, bytes) else choices.u32(int(header.height), 1)
    if name == "closing":
        new = not old
    elif name == "proposer_index":
        new = choices.number(6)
    elif name == "round":
        new = choices.number(4)
    elif name == "slot_time":
        step = chain.params.epoch_seconds
        new = choices.pick((0, 2**64 - 1, header.slot_time + step, header.slot_time + 1, header.slot_time - step))
    return replace(block, header=replace(header, **{name: new}))


def _bend_tx(chain: Chain, block: Block, choices: Choices) -> Block:
    """One transaction, the coinbase too, with other parts; signed again where its coins are known."""
    if not block.transactions:
        return block
    index = choices.number(len(block.transactions))
    tx = block.transactions[index]
    inputs, outputs, version, lock_time = list(tx.inputs), list(tx.outputs), tx.version, tx.lock_time
    change = choices.number(10)
    if change == 0:
        version = choices.u32(1, 2, 3)
    elif change == 1:
        lock_time = choices.u32(0, 1)
    elif change == 2 and outputs:
        outputs[0] = outputs[0]._replace(value=choices.pick(_VALUES))
    elif change == 3 and outputs:
        outputs[-1] = outputs[-1]._replace(script=_script(choices))
    elif change == 4:
        outputs = choices.pick(([], outputs * 2, [*outputs, builders.data_output(choices.bytes(3))]))
    elif change == 5:
        inputs = choices.pick((inputs * 2, [*inputs, TxInput(NULL_OUTPOINT)], [*inputs, *_others(block)], []))
    elif change == 6 and inputs:
        inputs[0] = inputs[0]._replace(outpoint=_outpoint(chain, block, choices))
    elif change == 7 and inputs:
        inputs[0] = inputs[0]._replace(script_sig=choices.pick((b"", b"\1", choices.bytes(40))))
    elif change == 8 and inputs:
        inputs[0] = inputs[0]._replace(witness=_witness(inputs[0].witness, choices))
    elif inputs:
        inputs[0] = inputs[0]._replace(sequence=choices.pick(EDGES))
    if not inputs:
        return block
    bent = Transaction(version, tuple(inputs), tuple(outputs), lock_time)
    if change != 8 and choices.often():
        bent = _signed_again(chain, bent)
    return replace(block, transactions=(*block.transactions[:index], bent, *block.transactions[index + 1 :]))


def _others(block: Block) -> list[TxInput]:
    return [txin for tx in block.transactions[1:2] for txin in tx.inputs]


def _outpoint(chain: Chain, block: Block, choices: Choices) -> bytes:
    coins = sorted(chain.coins)
    made = [tx.outpoint(n) for tx in block.transactions for n in (0, 1, 7)]
    return choices.pick([NULL_OUTPOINT, sha256(b"?") + bytes(4), *made, *coins])


def _script(choices: Choices) -> bytes:
    return choices.pick((
        b"", b"\x6a", b"\x6a\x4e", b"\x00\x14", builders.account(1).script, b"\x00\x20" + bytes(32), b"\x51",
        builders.data_output(choices.bytes(520)).script, b"\x6a\x4d\xff\xff", choices.bytes(22), bytes(10_001),
        builders.data_output(b"TCMN\x01" + choices.bytes(90)).script,
    ))  # fmt: skip


def _witness(witness: tuple[bytes, ...], choices: Choices) -> tuple[bytes, ...]:
    items = list(witness) or [b""]
    change, index = choices.number(5), choices.number(len(items))
    if change == 0:
        items.pop(index)
    elif change == 1:
        items.insert(index, choices.bytes(choices.number(40)))
    elif change == 2:
        items[index] = choices.bytes(choices.pick((0, 1, 33, 72, 105, 520)))
    elif change == 3 and items[index]:
        place = choices.number(len(items[index]))
        items[index] = items[index][:place] + choices.bytes(1) + items[index][place + 1 :]
    else:
        items = items * choices.number(4)
    return tuple(items)


def _signed_again(chain: Chain, tx: Transaction) -> Transaction:
    keys = {builders.account(n).script: builders.account(n) for n in range(10)}
    coins = [chain.coins.get(txin.outpoint) for txin in tx.inputs]
    if not all(coin is not None and coin.script in keys for coin in coins):
        return tx
    found = [coin for coin in coins if coin is not None]
    return builders.sign(tx, found, [keys[coin.script] for coin in found])


def _bend_order(chain: Chain, block: Block, choices: Choices) -> Block:
    txs = list(block.transactions)
    change = choices.number(5)
    if change == 0:
        txs = txs[1:]
    elif change == 1:
        txs.reverse()
    elif change == 2 and txs:
        txs.append(choices.pick(txs))
    elif change == 3:
        txs.append(choices.pick([tx for other in chain.blocks for tx in other.transactions]))
    else:
        txs = txs[:1] * choices.number(2)
    return replace(block, transactions=tuple(txs))


def _bend_rest(chain: Chain, block: Block, choices: Choices) -> Block:
    commit = block.last_commit
    change = choices.number(6)
    if change == 0:
        return replace(block, evidence=_evidence(chain, choices))
    if change == 1:
        return replace(block, last_commit=choices.pick((EMPTY_COMMIT, *chain.commits)))
    if change == 2:
        signatures = tuple((signer, choices.bytes(64)) for signer, _ in commit.signatures)
        return replace(block, last_commit=replace(commit, signatures=signatures))
    if change == 3:
        signer = choices.pick((4, 5, 100, 65_535))
        return replace(block, last_commit=replace(commit, signatures=(*commit.signatures, (signer, bytes(64)))))
    if change == 4:
        return replace(block, last_commit=_fewer(commit, choices.number(4)))
    return replace(block, last_commit=replace(commit, round=choices.u32(0, 1), height=choices.u32(commit.height)))


@cache
def _pieces(stage: int) -> tuple[bytes, ...]:
    """Evidence of every kind that holds, about the epoch that is open."""
    chain = chain_at(stage)
    chain.reserved.clear()
    culprit = Culprit(chain.state, 1)
    found = [piece.encode() for piece in every_kind(chain, culprit).values()]
    chain.reserved.clear()
    return tuple(found)


def _evidence(chain: Chain, choices: Choices) -> tuple[bytes, ...]:
    """Some pieces, in any order and number, whole or with a byte changed; or nonsense."""
    stage = next(stage for stage in range(4) if chain_at(stage) is chain)
    pieces = [choices.pick(_pieces(stage)) for _ in range(choices.pick((1, 1, 2, 3)))]
    change = choices.number(4)
    if change == 0:
        at = choices.number(len(pieces[0]))
        pieces[0] = pieces[0][:at] + choices.bytes(1) + pieces[0][at + 1 :]
    elif change == 1:
        pieces = [choices.bytes(choices.pick((0, 1, 8, 300)))] * choices.pick((1, 2, 17, 100))
    return tuple(pieces)


def _fewer(commit: Commit, count: int) -> Commit:
    return replace(commit, signatures=commit.signatures[:count])


def _carrier(chain: Chain, choices: Choices) -> Transaction:
    """A transaction with a registry payload of any kind and any values, well signed as a rule."""
    known = [entry.masternode_id for entry in chain.state.registry.entries]
    payload = _payload(known, choices)
    number = choices.number(4)
    owner, operator = builders.owner(number), builders.operator(choices.pick((number, 20, 21)))
    extra = [TxOutput(choices.pick((COIN, 1_000 * COIN - 2 * FEE)), builders.owner(20).script)] * choices.number(2)
    try:
        return chain.carrier(chain.account(7), payload, owner=owner, operator=operator, outputs=extra)
    except ValueError:
        return payments(chain)[0]


def _payload(known: list[bytes], choices: Choices) -> Payload:
    target = choices.pick([*known, sha256(b"?")])
    keys = [builders.operator(n).public for n in (0, 1, 20)] + [b"\2" + b"\xff" * 32, b"\3" + bytes(32)]
    texts = ("10.0.0.1:0", "[2001:db8::1]:65535", _ONION, "127.0.0.1:1")
    service = ServiceAddress.parse(choices.pick(texts))
    payout = choices.pick((builders.payout(0).script, b"\x00\x20" + bytes(32)))
    kind = choices.number(4)
    if kind == 0:
        index = choices.pick((0, 1, 2, 3, FREE, FREE - 1))
        return Register(index, choices.pick(keys), choices.pick(keys), payout, service)
    if kind == 1:
        new = [choices.pick([None, *keys]) for _ in range(2)]
        return Update(target, new[0], new[1], payout if choices.number(2) else None, service)
    return Unregister(target) if kind == 2 else Return(target)


__all__ = ["bent_block", "chain_at", "encode_payload", "judge", "judge_decided", "judge_proposal", "linked"]
