"""Real wallets over a fake chain, for cases of RPC methods: files in memory, one clock, everything at once."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from tests.node.memory_file import MemoryFile
from tests.node.wallet_world import COIN, FakeChain, World
from tests.rpc.fake_node import FakeNode
from timecoin.consensus.status import Status
from timecoin.primitives import address
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.rpc.face_wallet import Funding, NewWallet
from timecoin.rpc.table import Context

OTHER = p2wpkh(b"\x42" * 20)
OTHER_ADDRESS = address.encode(OTHER, "timed")
_numbers = count()
_held: list[Path] = []


def _directory() -> Path:
    if not _held:
        _held.append(Path(mkdtemp()))
        atexit.register(rmtree, _held[0])
    return _held[0] / str(next(_numbers))


class Purse:
    """A node's wallets, the first of them called purse; ``node.purse`` in cases."""

    def __init__(self, context: Context) -> None:
        node: Any = context.node
        assert isinstance(node, FakeNode)
        self.node = node
        self.chain = FakeChain(node.clock)
        self.directory = _directory()
        self.world = World(self.directory, self.chain, files=MemoryFile)
        self.service = self.world.service
        self.service.startService()
        context.wallets = self.service
        node.purse = self  # type: ignore[attr-defined]
        self.backup_path = self.directory / "x.backup"
        self.wallet: Any = None

    def make(self, name: str, **wanted: Any) -> Any:
        made: list[Any] = []
        self.service.create(NewWallet(name, **wanted)).addCallback(made.append)
        self.turn()
        return made[0].wallet

    def turn(self) -> None:
        """Let what waits for the reactor's next turns happen; no seconds pass in which a wallet would lock."""
        for _ in range(10):
            self.node.clock.advance(0.003)

    def now(self, waiting: Any) -> Any:
        """What a Deferred fires with."""
        results: list[Any] = []
        waiting.addCallback(results.append)
        self.turn()
        return results[0]

    def show(self) -> None:
        """RPC sees the blocks of the chain."""
        self.node.blocks = self.chain.blocks

    def script(self, chain: int = 0, label: str = "") -> bytes:
        script: bytes = self.now(self.wallet.new_script(chain, label))
        return script

    def address(self, chain: int = 0, label: str = "") -> str:
        return address.encode(self.script(chain, label), "timed")

    def give(self, value: int = COIN, label: str = "") -> Transaction:
        """An archived coin."""
        tx = self.chain.gift(self.script(0, label), value)
        self.chain.block(tx)
        self.turn()
        return tx

    def draft(self, value: int = COIN // 4) -> Transaction:
        """An unsigned payment; its coins are free."""
        draft = self.now(self.wallet.fund([TxOutput(value, OTHER)], Funding()))
        self.wallet.release(draft)
        tx: Transaction = draft.tx
        return tx

    def pay(self, value: int = COIN // 4) -> Transaction:
        """A payment to another, pending."""
        signed = self.now(self.wallet.sign(self.draft(value)))
        self.now(self.wallet.send(signed.tx, {"comment": "a note", "to": "somebody"}))
        tx: Transaction = signed.tx
        return tx

    def reach(self, tx: Transaction, status: str) -> None:
        self.chain.reach(tx.txid, Status(status))


Step = Callable[[Purse], object]


def purse(*steps: Step, **wanted: Any) -> Callable[[Context], object]:
    """Arranges a node with a wallet called purse and what the steps do."""

    def arrange(context: Context) -> None:
        made = Purse(context)
        made.wallet = made.make("purse", **wanted)
        for step in steps:
            step(made)
        made.show()

    return arrange


def coins(number: int = 1, value: int = COIN) -> Step:
    """Archived coins."""

    def step(made: Purse) -> None:
        for _ in range(number):
            made.give(value)

    return step


def locked(made: Purse) -> None:
    """The wallet is encrypted with ``pass``, and locked."""
    made.now(made.wallet.encrypt("pass"))


def unlocked(made: Purse) -> None:
    """The wallet is encrypted with ``pass``, and unlocked."""
    locked(made)
    made.now(made.wallet.unlock("pass", 600))


def lagging(made: Purse) -> None:
    """The network is ahead."""
    made.chain.syncing = True


def nothing(context: Context) -> None:
    """A node without wallets."""
    context.wallets = None


def two(context: Context) -> None:
    """Two wallets are loaded."""
    made = Purse(context)
    made.make("one")
    made.make("two")
    made.show()
