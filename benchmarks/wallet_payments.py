"""How often a wallet with one coin pays before a block; ``python -m benchmarks.wallet_payments`` prints one object.

For each value of ``payments_ahead``: payments of 1 TIME from one coin of 10,000 until none is possible (1,000 at most),
against the node's pool and the masternodes' rule for long lines; how many of them split their change, into how many
coins more, and what that cost in thousandths of all fees.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.node.memory_file import MemoryFile
from tests.node.test_wallet_limits import PoolChain
from tests.node.wallet_world import COIN, FakeChain, World
from timecoin.mempool.pool import Pool
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.rpc.errors import RpcError
from timecoin.rpc.face_wallet import Funding, NewWallet

OTHER = p2wpkh(b"\x42" * 20)
MOST = 1_000
VALUES = (0, 25, 100, 1_000)


async def payments(directory: Path, clock: Clock, ahead: int) -> list[Transaction]:
    """As many as there can be."""
    world = World(directory, FakeChain(clock), files=MemoryFile, payments_ahead=ahead, random=random.Random(1))
    chain: Any = world.chain
    chain.__class__, chain.real = PoolChain, Pool(256 << 20)
    await world.service.startService()
    wallet: Any = (await world.service.create(NewWallet("one"))).wallet
    chain.block(chain.gift(await wallet.new_script(0, ""), 10_000 * COIN))
    made: list[Transaction] = []
    while len(made) < MOST:
        try:
            draft = await wallet.fund([TxOutput(COIN, OTHER)], Funding(split_change=True))
        except RpcError:
            break
        signed = await wallet.sign(draft.tx)
        await wallet.send(signed.tx, {})
        made.append(signed.tx)
    return made


def measured(ahead: int) -> dict[str, int]:
    """The figures of one value."""
    directory = Path(tempfile.mkdtemp())
    try:
        txs = finished(directory / "wallets", ahead)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    more = sum(len(tx.outputs) - 2 for tx in txs)
    vsize = sum(tx.vsize for tx in txs)
    return {
        "payments": len(txs),
        "splits": sum(len(tx.outputs) > 2 for tx in txs),
        "coins_more": more,
        "cost_permille": 31_000 * more // vsize,
    }


def finished(directory: Path, ahead: int) -> list[Transaction]:
    """What :func:`payments` comes to, its clock moved on where it waits for that."""
    found: list[Any] = []
    clock = Clock()
    Deferred.fromCoroutine(payments(directory, clock, ahead)).addBoth(found.append)
    while not found:
        clock.advance(0.01)
    assert isinstance(found[0], list), found
    return found[0]


if __name__ == "__main__":
    print(json.dumps({f"payments_ahead {ahead}": measured(ahead) for ahead in VALUES}, indent=1))
