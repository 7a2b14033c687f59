"""How long a wallet of many coins keeps the reactor; ``python -m benchmarks.wallet_coins [COINS]`` prints one object.

50,000 archived coins unless told otherwise, in memory, behind the dispatcher of RPC and a real reactor. Of each call:
``ms`` until it is answered, and ``stall_ms``, the longest time in it that the reactor could do nothing else (a timer of
one millisecond tells). ``fund`` chooses coins for a payment and makes change; ``after``: once more when one coin has
come.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock, LoopingCall, react

from tests.node.memory_file import MemoryFile
from tests.node.wallet_world import BACKEND, COIN, FakeChain
from tests.rpc.fake_node import FakeNode
from timecoin.node.wallet_service import WalletService
from timecoin.node.wiring import tune_interpreter
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput
from timecoin.rpc.dispatch import Bounds, Dispatcher
from timecoin.rpc.face_wallet import Funding, Import, NewWallet
from timecoin.rpc.methods import all_methods
from timecoin.rpc.slices import Slices
from timecoin.rpc.table import Context
from timecoin.wallet.descriptors import parse_all
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.history import Archived
from timecoin.wallet.keys import Account

OTHER = p2wpkh(b"\x42" * 20)
PLACE = Archived(0, b"\x07" * 32, 1_800_000_000)
PER_TX = 10


class Stalls:
    """The longest gap between two ticks of a millisecond."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._longest = 0.0
        LoopingCall(self._tick).start(0.001, now=False)

    def _tick(self) -> None:
        now = time.perf_counter()
        self._longest = max(self._longest, now - self._last)
        self._last = now

    async def measure(self, work: Callable[[], Deferred[Any]]) -> dict[str, float]:
        """Milliseconds of one piece of work."""
        await pause(0.02)
        self._last, self._longest = time.perf_counter(), 0.0
        began = time.perf_counter()
        result = work()
        await result
        took = time.perf_counter() - began
        await pause(0.02)
        return {"ms": round(took * 1e3, 1), "stall_ms": round(self._longest * 1e3, 1)}


def pause(seconds: float) -> Deferred[None]:
    """Some turns of the reactor."""
    waiting: Deferred[None] = Deferred()
    reactor.callLater(seconds, waiting.callback, None)  # type: ignore[attr-defined]
    return waiting


def payments(scripts: list[bytes], count: int) -> Iterator[Transaction]:
    """Payments of others to the wallet, ``PER_TX`` coins each, of 0.01 to 1 TIME."""
    for n in range(0, count, PER_TX):
        values = [COIN // 100 * (1 + (n + k) * 7919 % 100) for k in range(PER_TX)]
        outputs = tuple([TxOutput(value, scripts[(n + k) % len(scripts)]) for k, value in enumerate(values)])
        yield Transaction(2, (TxInput((n + 1).to_bytes(36, "big")),), outputs)


async def measured(count: int, directory: Path) -> dict[str, Any]:
    """All figures."""
    chain = FakeChain(Clock())
    service = WalletService(reactor, chain, chain.feed, directory, BACKEND, files=MemoryFile)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)  # type: ignore[attr-defined]
    await service.startService()
    wallet: Any = (await service.create(NewWallet("many"))).wallet
    scripts = [wallet.state.book.new_script(0) for _ in range(500)]
    began = time.perf_counter()
    for tx in payments(scripts, count):
        wallet.state.absorb(tx, "archived", 1, place=PLACE)
    figures: dict[str, Any] = {"coins": len(wallet.state.history.unspent())}
    figures["absorb_us_per_coin"] = round((time.perf_counter() - began) / count * 1e6, 1)
    wallet.state.take_changes()
    node: Any = FakeNode(Clock())
    context = Context(node, all_methods(), slices=Slices(reactor).collect, wallets=service)  # type: ignore[arg-type]
    dispatcher = Dispatcher(reactor, context, Bounds(seconds=300))  # type: ignore[arg-type]

    def call(method: str, *params: object) -> Callable[[], Deferred[Any]]:
        body = json.dumps({"id": 1, "method": method, "params": params}).encode()
        return lambda: maybeDeferred(dispatcher.answer, body)

    async def fund(amount: int) -> None:
        wallet.release(await wallet.fund([TxOutput(amount, OTHER)], Funding()))

    tune_interpreter()
    stalls = Stalls()
    figures["getbalances"] = await stalls.measure(call("getbalances"))
    wallet.state.absorb(next(payments([scripts[0]], 1)), "archived", 1, place=PLACE)
    more = Transaction(2, (TxInput(b"\xfe" * 36),), (TxOutput(COIN, scripts[0]),))
    wallet.state.absorb(more, "pending", 1)
    figures["getbalances_after"] = await stalls.measure(call("getbalances"))
    figures["getbalance_minconf_1"] = await stalls.measure(call("getbalance", "*", 1))
    figures["listunspent"] = await stalls.measure(call("listunspent"))
    figures["listunspent_10"] = await stalls.measure(call("listunspent", 1, 9_999_999, [], True, {"maximumCount": 10}))
    for name, amount in (("fund_half_a_coin", COIN // 2), ("fund_100", 100 * COIN)):
        figures[name] = await stalls.measure(lambda amount=amount: Deferred.fromCoroutine(fund(amount)))  # type: ignore[misc]
    account = Account.cosigner(ExtendedSecretKey.from_seed(bytes([9]) * 32), chain.network, 0)
    (other,) = parse_all(f"wpkh({account.reveal_expression()}/0/*)", chain.network)
    imports = [Import(other, 0, False, None, 0, None, 0, "")]
    figures["import"] = await stalls.measure(lambda: wallet.import_descriptors(imports))
    return figures


async def main(_: Any) -> None:
    """Measure and print."""
    directory = Path(tempfile.mkdtemp())
    try:
        figures = await measured(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    react(lambda each: Deferred.fromCoroutine(main(each)))
