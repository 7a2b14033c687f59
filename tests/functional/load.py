"""Real signed payments at a steady rate, spread over coins and nodes, and what became of each."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.functional.support import Devnet, Node, together, until
from timecoin.cli.payment import OwnedCoin, make_payment
from timecoin.primitives.amounts import COIN
from timecoin.primitives.hashes import display, hash160, parse_display
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import Transaction, make_outpoint
from timecoin.rpc.client import RpcFailure, RpcUnreachable

reactor: Any = _reactor
BACKEND = get_backend()
FEE_RATE = 150
SETTLED = ("final", "archived")


def script_of(secret: bytes) -> bytes:
    """The P2WPKH script of a secret."""
    return p2wpkh(hash160(BACKEND.public_key(secret)))


class Wallet:
    """The funds of a devnet: coins are spent in turn, the change of each payment comes back at the end."""

    def __init__(self, net: Devnet) -> None:
        self._coins: deque[OwnedCoin] = deque(
            OwnedCoin(
                make_outpoint(parse_display(fund["txid"]), fund["vout"]),
                fund["amount"],
                bytes.fromhex(fund["secret"]),
            )
            for fund in net.files.funds
        )
        self.fees = 0

    def take(self) -> OwnedCoin:
        """A coin to be spent by hand."""
        return self._coins.popleft()

    def put(self, coin: OwnedCoin) -> None:
        """A coin to be spent by the next payment."""
        self._coins.appendleft(coin)

    def give_back(self, coin: OwnedCoin) -> None:
        """A coin to be spent after all others."""
        self._coins.append(coin)

    def __len__(self) -> int:
        """Coins at hand."""
        return len(self._coins)

    def payment(self) -> Transaction:
        """A payment of 1 TIME to a key of its own."""
        coin = self.take()
        tx = pay(coin, coin.secret[::-1])
        self._coins.append(change_of(tx, coin))
        self.fees += coin.value - sum(output.value for output in tx.outputs)
        return tx


def pay(coin: OwnedCoin, to: bytes, amount: int = COIN) -> Transaction:
    """A signed payment from ``coin`` to the key of secret ``to``."""
    secret = to if BACKEND.is_secret(to) else coin.secret
    return make_payment(coin, script_of(secret), amount, FEE_RATE, BACKEND)


def change_of(tx: Transaction, coin: OwnedCoin) -> OwnedCoin:
    """The change of :func:`pay`."""
    return OwnedCoin(tx.outpoint(1), tx.outputs[1].value, coin.secret)


@dataclass
class Sent:
    """A payment and the node that took it."""

    tx: Transaction
    node: Node

    @property
    def txid(self) -> str:
        """As displayed."""
        return display(self.tx.txid)


class Load:
    """Sends ``rate`` payments a second to the nodes in turn, from :meth:`start` to :meth:`stop`.

    A node that is down is left out; what it did not acknowledge is sent to another one, as a wallet would do.
    ``sent`` holds the acknowledged payments, ``refused`` what nodes said against others.
    """

    def __init__(self, net: Devnet, rate: float, nodes: Sequence[Node] | None = None, seed: int = 1) -> None:
        self.wallet = Wallet(net)
        self.sent: list[Sent] = []
        self.refused: list[str] = []
        self._nodes = tuple(net.nodes if nodes is None else nodes)
        self._pause = 1 / rate
        self._random = random.Random(seed)
        self._running = self._abandoned = False
        self._done: Deferred[None] | None = None

    def start(self, case: TestCase) -> None:
        """Begin to send; ends with the test at the latest."""
        case.addCleanup(self._abandon)
        self._running = True
        self._done = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Send nothing more; ends when every payment under way is acknowledged."""
        self._running = False
        if self._done is not None:
            await self._done
            self._done = None

    async def send_one(self) -> None:
        """Send a payment, and wait until it is acknowledged."""
        await self._send(self.wallet.payment())

    async def _abandon(self) -> None:
        self._abandoned = True
        await self.stop()

    async def _run(self) -> None:
        works: list[Deferred[None]] = []
        while self._running:
            works.append(Deferred.fromCoroutine(self._send(self.wallet.payment())))
            await deferLater(reactor, self._pause * self._random.uniform(0.5, 1.5))
        for work in works:
            await work

    async def _send(self, tx: Transaction) -> None:
        for node in self._random.sample(self._nodes, len(self._nodes)) * 20:
            if self._abandoned:
                return
            if not node.runs:
                continue
            try:
                await node.call("sendrawtransaction", tx.raw.hex())
            except RpcFailure as failure:
                # The one that broke off may have taken it and seen it archived.
                if failure.code != -27:
                    self.refused.append(f"{node.name}: {failure} {display(tx.txid)}")
                    return
            except RpcUnreachable:
                await deferLater(reactor, 0.05)
                continue
            self.sent.append(Sent(tx, node))
            return
        self.refused.append(f"nobody took {display(tx.txid)}")

    async def all_in(self, node: Node, words: Sequence[str], seconds: float = 60.0) -> None:
        """Wait until every acknowledged payment has one of these statuses at ``node``."""
        left = [each.txid for each in self.sent]

        async def none_left() -> bool:
            statuses = await together(node.status(txid) for txid in left)
            left[:] = [txid for txid, word in zip(left, statuses, strict=True) if word not in words]
            return not left

        try:
            await until(none_left, f"all are {' or '.join(words)} at {node.name}", seconds)
        except AssertionError as problem:
            shown = [(txid, await node.status(txid)) for txid in left[:5]]
            raise AssertionError(
                f"{problem}; {len(left)} of {len(self.sent)} left, such as {shown}"
            ) from None
