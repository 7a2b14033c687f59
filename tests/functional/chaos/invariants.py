"""What must hold however the network was treated; identifiers are those of the simulator's checkers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.functional.chaos.network import ChaosNet, ChaosNode
from tests.functional.chaos.payments import Book, Payment
from tests.functional.chaos.watching import Watcher
from tests.functional.support import together
from tests.functional.test_agreement import unspent
from tests.functional.testimony import ArchivedBlock, Testimony
from timecoin.ledger.rewards import reward
from timecoin.primitives.amounts import COIN
from timecoin.primitives.block import Block
from timecoin.primitives.hashes import display
from timecoin.storage.chain import ChainStore


@dataclass(frozen=True)
class Violation:
    """Something that must not be: ``what`` names the invariant."""

    what: str
    text: str


def rivals_final(book: Book, watcher: Watcher) -> Iterator[Violation]:
    """Two spends of one coin were told as final, by whichever nodes."""
    for pair in book.pairs:
        final = [each.txid for each in pair.payments if watcher.told["final"].get(each.txid)]
        if len(final) == 2:
            yield Violation("rivals_final", f"{final[0]} and {final[1]}")


def rival_archived(book: Book, watcher: Watcher, archived: set[str]) -> Iterator[Violation]:
    """A payment was told as final, and its rival is in the chain; or both are."""
    for pair in book.pairs:
        for one, other in (pair.payments, pair.payments[::-1]):
            if other.txid in archived and (watcher.told["final"].get(one.txid) or one.txid in archived):
                yield Violation("rival_archived", f"{one.txid}, and {other.txid} is archived")


def final_archived(watcher: Watcher, archived: set[str]) -> Iterator[Violation]:
    """A payment was told as final or archived and is not in the chain."""
    for word in ("final", "archived"):
        for txid, nodes in watcher.told[word].items():
            if txid not in archived:
                yield Violation("final_archived", f"{txid} was {word} at {', '.join(sorted(nodes))}")


def rejected_after_final(watcher: Watcher) -> Iterator[Violation]:
    """A payment was final at one node and rejected at some."""
    for txid, nodes in watcher.told["rejected"].items():
        if watcher.told["final"].get(txid):
            yield Violation("final_rejected", f"{txid} is rejected at {', '.join(sorted(nodes))}")


async def lost(net: ChaosNet, book: Book, archived: set[str]) -> list[Violation]:
    """An acknowledged payment is neither archived nor rejected for a reason."""
    found = [
        Violation("lost", f"{each.txid}, acknowledged by {each.node}")
        for each in book.acknowledged()
        if each.txid not in archived
    ]
    for pair in book.pairs:
        if not {each.txid for each in pair.payments} & archived:
            for each in pair.payments:
                if each.acknowledged is not None and not await _has_reason(net, each):
                    found.append(Violation("lost", f"{each.txid}, one of two rivals, by {each.node}"))
    return found


async def _has_reason(net: ChaosNet, payment: Payment) -> bool:
    node = next(node for node in net.nodes if node.name == payment.node)
    shown = await node.ask("gettxstatus", payment.txid)
    return bool(shown is not None and shown["status"] == "rejected" and shown["reason"])


def refused(book: Book) -> Iterator[Violation]:
    """A node refused a payment that nothing speaks against."""
    return (Violation("refused", text) for text in book.refused)


async def chain_of(node: ChaosNode, top: int) -> list[bytes]:
    """The blocks of a node, as they lie in its store."""
    raw = []
    for height in range(top + 1):
        shown = await node.call("getblock", await node.call("getblockhash", height), 0)
        raw.append(bytes.fromhex(shown))
    return raw


async def one_block_per_height(net: ChaosNet) -> tuple[list[bytes], list[Violation]]:
    """The chain, and where nodes differ."""
    top = min(await together(node.height() for node in net.nodes))
    chains = await together(chain_of(node, top) for node in net.nodes)
    return chains[0], list(_differences([node.name for node in net.nodes], chains))


def _differences(names: Sequence[str], chains: Sequence[list[bytes]]) -> Iterator[Violation]:
    for name, chain in zip(names[1:], chains[1:], strict=True):
        for height, (ours, theirs) in enumerate(zip(chains[0], chain, strict=False)):
            if Block.decode(ours).header.hash != Block.decode(theirs).header.hash or ours != theirs:
                yield Violation("one_block_per_height", f"{names[0]} and {name} differ at {height}")


def stored_blocks(net: ChaosNet) -> Iterator[Violation]:
    """The same of what lies in the stores of stopped nodes."""
    chains = []
    for node in net.nodes:
        blocks, coins = (f"file://{node.files.data_dir / name}" for name in ("blocks.fs", "coins.fs"))
        store = ChainStore.open(blocks, coins, net.genesis.chain_id)
        try:
            chains.append([store.archive.block(height) for height in range(store.tip.height + 1)])
        finally:
            store.close()
    return _differences([f"the store of {node.name}" for node in net.nodes], chains)


async def supply(net: ChaosNet) -> list[Violation]:
    """Coins from nothing: allocations and what closing blocks may create, by the coin set and by the chain."""
    node = net.nodes[0]
    coins = await node.call("gettxoutsetinfo")
    chain = [
        await node.call("getblock", await node.call("getblockhash", height), 2) for height in range(coins["height"] + 1)
    ]
    left = sum(unspent(chain).values())
    started = sum(output.value for output in net.genesis.allocations)
    limit = reward(len(net.nodes), net.genesis.parameters.base_reward) * sum(block["closing"] for block in chain[1:])
    if int(coins["total_amount"] * COIN) != left:
        return [Violation("supply", f"the chain leaves {left} units, {node.name} has {coins['total_amount']}")]
    if left - started > limit:
        return [Violation("supply", f"{left - started} units were created, at most {limit} may be")]
    return []


def contradictions(net: ChaosNet, testimony: Testimony, chain: Iterable[Block]) -> list[Violation]:
    """Masternodes that contradict what they signed: by what was heard, and by their journals."""
    for node in net.nodes:
        testimony.read_journal(node.files.data_dir, net.genesis.chain_id)
    blocks = [ArchivedBlock(each.header.height, [tx.txid for tx in each.transactions]) for each in chain]
    found = [Violation("contradiction", text) for text in testimony.contradictions(blocks)]
    if testimony.forged:
        found.append(Violation("contradiction", f"{testimony.forged} forged messages were passed on"))
    return found


#: Lines that no honest network has in its logs, and what they break.
_BAD_WORDS = {
    "misbehaved": "punished",
    "discouraged": "punished",
    "broke the protocol": "contradiction",
    "a false block": "punished",
    "a block job failed": "died",
    "Unhandled error": "died",
}


def log_lines(net: ChaosNet) -> Iterator[Violation]:
    """What logs tell that must not be: honest nodes that were punished, proofs of misbehaviour, unexpected ends."""
    for node in net.nodes:
        for line in node.files.log.read_text(encoding="utf-8", errors="replace").splitlines():
            for words, what in _BAD_WORDS.items():
                if words in line:
                    yield Violation(what, f"{node.name}: {line[:300]}")


def archived_of(blocks: Iterable[Block]) -> set[str]:
    """The txids of the payments in a chain, as displayed."""
    return {display(tx.txid) for block in blocks for tx in block.transactions[1:]}
