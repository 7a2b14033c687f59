"""The blocks that nodes store: one chain, its coins counted anew by the plainest means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from timecoin.ledger.assembly import Assembled
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.rewards import reward
from timecoin.primitives.block import Block, Commit
from timecoin.primitives.script import Kind, classify
from timecoin.primitives.transaction import Transaction
from timecoin.simulation.checkers.sets import Sets
from timecoin.simulation.checkers.statements import Statements
from timecoin.simulation.violation import Violation

if TYPE_CHECKING:
    from timecoin.simulation.node import Node


class Chain:
    """What is decided. ``archived`` gives the height of a transaction, ``epochs`` the epoch of a height, ``spent`` who
    spent a coin."""

    def __init__(self, genesis: Genesis, first: Block, sets: Sets, statements: Statements) -> None:
        self._parameters = genesis.parameters
        self._sets = sets
        self._statements = statements
        self._raws: list[bytes] = [first.encode()]
        self.unspent: dict[bytes, int] = {}
        self.spent: dict[bytes, bytes] = {}
        self.archived: dict[bytes, int] = {}
        self.epochs: list[int] = [0]
        self.closed = 0
        self._fees = 0
        self._add(first.transactions[0])
        self.archived[first.transactions[0].txid] = 0

    @property
    def height(self) -> int:
        """The highest decided block seen."""
        return len(self._raws) - 1

    def stored(self, node: Node, assembled: Assembled, commit: Commit) -> bool:
        """A node made a block durable; whether it is the first to do so."""
        block = assembled.block
        header, raw = block.header, block.encode()
        if header.height <= self.height:
            if self._raws[header.height] != raw:
                raise Violation("one_block_per_height", f"node {node.index} has another block {header.height}")
            return False
        if header.height != self.height + 1:
            raise Violation(
                "one_block_per_height", f"node {node.index} has block {header.height}, nobody the one before"
            )
        self._decided(header.epoch, commit, header.hash)
        self._raws.append(raw)
        self.epochs.append(header.epoch)
        for tx in block.transactions[1:]:
            self._archive(tx, header.epoch, header.height)
        self._settle(block)
        self._add_up(assembled)
        if header.closing:
            self.closed = header.epoch
        return True

    def _decided(self, epoch: int, commit: Commit, block_hash: bytes) -> None:
        if commit.block_hash != block_hash or not self._sets.is_quorum(
            epoch, [signer for signer, _ in commit.signatures]
        ):
            raise Violation("one_block_per_height", f"block {self.height + 1} was decided by less than a quorum")

    def _archive(self, tx: Transaction, epoch: int, height: int) -> None:
        self._statements.learn(tx)
        if not self._sets.is_quorum(epoch, self._statements.voters(epoch, tx.txid)):
            raise Violation(
                "certified", f"{tx.txid[::-1].hex()[:16]} in block {height} has no certificate of epoch {epoch}"
            )
        self.archived[tx.txid] = height

    def _settle(self, block: Block) -> None:
        """Add all outputs, then remove all inputs (protocol.md 2)."""
        before = sum([output.value for tx in block.transactions[1:] for output in tx.outputs])
        taken = 0
        for tx in block.transactions:
            self._add(tx)
        for tx in block.transactions[1:]:
            for outpoint in tx.outpoints():
                if outpoint not in self.unspent:
                    raise Violation("rival_archived", f"block {block.header.height} spends a coin that is not there")
                taken += self.unspent.pop(outpoint)
                self.spent[outpoint] = tx.txid
        self._fees += taken - before
        self._pay(block)

    def _pay(self, block: Block) -> None:
        header = block.header
        paid = sum([output.value for output in block.transactions[0].outputs])
        most = 0
        if header.closing:
            members = self._sets.of(header.epoch)
            assert members is not None
            most = reward(len(members), self._parameters.base_reward) + self._fees
            self._fees = 0
        if paid > most:
            raise Violation("supply", f"block {header.height} pays {paid}, at most {most} are due")

    def _add(self, tx: Transaction) -> None:
        for index, output in enumerate(tx.outputs):
            if classify(output.script) is not Kind.OP_RETURN:
                self.unspent[tx.outpoint(index)] = output.value

    def _add_up(self, assembled: Assembled) -> None:
        coins = sum(self.unspent.values())
        if coins + self._fees != assembled.state.supply:
            raise Violation("supply", f"{coins} in coins, {self._fees} in fees, supply {assembled.state.supply}")

    def finish(self, nodes: Iterable[Node]) -> None:
        """Every honest node's coins are those of the chain up to its tip."""
        for node in nodes:
            disk = node.disk
            held = {outpoint: coin.value for outpoint, coin in disk.coins.items()}
            if disk.ledger.height == self.height and held != self.unspent:
                raise Violation("supply", f"the coins of node {node.index} are not those of its chain")
            if [block.encode() for block in disk.blocks] != self._raws[: disk.ledger.height + 1]:
                raise Violation("one_block_per_height", f"the blocks of node {node.index} are not those it stored")
