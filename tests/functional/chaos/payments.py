"""Steady payments with rivals and chains, and what became of each of them.

A payment is *acknowledged* when a node has answered ``sendrawtransaction``; until then the wallet offers the same
transaction to one node after the other. Its change is spent again at once, so there are chains across nodes.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.task import deferLater

from tests.functional.chaos.network import ChaosNet, ChaosNode
from tests.functional.load import Wallet, change_of, pay
from timecoin.cli.payment import OwnedCoin
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import Transaction
from timecoin.rpc.client import RpcFailure, RpcUnreachable

reactor: Any = _reactor
_ANSWER_SECONDS = 3.0
_PAUSE = 0.25
_VERIFY_ERROR, _IN_CHAIN = -25, -27
RIVALS_EVERY = 20
#: Coins that are spent in turn; the others are for rivals and for payments without unarchived parents.
COINS = 200


def funds_for(rate: float, minutes: float) -> int:
    """Coins that a run needs."""
    return COINS + 100 + int(60 * minutes * rate / RIVALS_EVERY)


@dataclass
class Payment:
    """One transaction; times are of the runner's clock in seconds. ``node`` acknowledged it."""

    tx: Transaction
    sent: float
    acknowledged: float | None = None
    node: str = ""
    final: float | None = None

    @property
    def txid(self) -> str:
        """As displayed."""
        return display(self.tx.txid)


@dataclass
class RivalPair:
    """Two spends of one coin, signed by its owner, given to different nodes at once."""

    first: Payment
    second: Payment

    @property
    def payments(self) -> tuple[Payment, Payment]:
        """Both."""
        return self.first, self.second


@dataclass
class Book:
    """All payments of a run."""

    single: list[Payment] = field(default_factory=list)
    pairs: list[RivalPair] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def acknowledged(self) -> list[Payment]:
        """Those without rivals that a node took."""
        return [each for each in self.single if each.acknowledged is not None]

    def every(self) -> list[Payment]:
        """All, rivals too."""
        return [*self.single, *(each for pair in self.pairs for each in pair.payments)]


class Payments:
    """Sends about ``rate`` payments a second, one in twenty of them with a rival."""

    def __init__(self, net: ChaosNet, rate: float, seed: int) -> None:
        self.book = Book()
        self._net = net
        self._wallet = Wallet(net)
        self._spare = deque(self._wallet.take() for _ in range(len(self._wallet) - COINS))
        self._pause = 1 / rate
        self._dice = random.Random(seed)
        self._running = self._abandoned = False
        self._change: dict[str, OwnedCoin] = {}
        self._works: set[Deferred[None]] = set()
        self._loop: Deferred[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self._running = True
        self._loop = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Send nothing new, and wait until everything is acknowledged."""
        self._running = False
        if self._loop is not None:
            await self._loop
        for work in tuple(self._works):
            await work

    async def abandon(self) -> None:
        """Give up what is under way."""
        self._abandoned = True
        await self.stop()

    async def one(self, nodes: Sequence[ChaosNode]) -> Payment:
        """One more payment, of a coin of block 0, acknowledged by one of ``nodes``."""
        payment = self._next(self._spare.popleft() if self._spare else None)
        await self._send(payment, nodes)
        return payment

    async def _run(self) -> None:
        count = 0
        while self._running:
            if len(self._wallet):
                count += 1
                rivals = count % RIVALS_EVERY == 0 and bool(self._spare)
                self._begin(self._send_pair(*self._rivals()) if rivals else self._send(self._next()))
            await deferLater(reactor, self._pause * self._dice.uniform(0.5, 1.5))

    def _begin(self, sending: Any) -> None:
        work: Deferred[None] = Deferred.fromCoroutine(sending)
        self._works.add(work)

        def done(result: Any) -> Any:
            self._works.discard(work)
            return result

        work.addBoth(done)

    def _next(self, given: OwnedCoin | None = None) -> Payment:
        coin = given or self._wallet.take()
        payment = Payment(pay(coin, coin.secret[::-1]), reactor.seconds())
        self._change[payment.txid] = change_of(payment.tx, coin)
        self.book.single.append(payment)
        return payment

    def _rivals(self) -> tuple[RivalPair, list[ChaosNode]]:
        coin = self._spare.popleft()
        now = reactor.seconds()
        pair = RivalPair(*(Payment(pay(coin, self._dice.randbytes(32)), now) for _ in range(2)))
        self.book.pairs.append(pair)
        return pair, self._dice.sample(self._net.nodes, 2)

    async def _send_pair(self, pair: RivalPair, nodes: list[ChaosNode]) -> None:
        works = [
            Deferred.fromCoroutine(self._offer(payment, node))
            for payment, node in zip(pair.payments, nodes, strict=True)
        ]
        for work in works:
            await work

    async def _send(self, payment: Payment, nodes: Sequence[ChaosNode] | None = None) -> None:
        among = self._net.nodes if nodes is None else nodes
        while not self._abandoned and payment.acknowledged is None:
            for node in self._dice.sample(among, len(among)):
                problem = await self._offer(payment, node)
                if payment.acknowledged is not None:
                    self._wallet.give_back(self._change.pop(payment.txid))
                    return
                if problem:
                    self.book.refused.append(f"{node.name}: {problem} {payment.txid}")
                    return
                await deferLater(reactor, _PAUSE)

    async def _offer(self, payment: Payment, node: ChaosNode) -> str:
        """Give a payment to a node; what it has against it, or nothing."""
        if not node.runs:
            return ""
        try:
            await node.tell(payment.tx.raw.hex(), _ANSWER_SECONDS)
        except (RpcUnreachable, TimeoutError):
            return ""
        except RpcFailure as failure:
            if failure.code != _IN_CHAIN:
                # A node that was cut off may not have heard of its parent yet, and one that starts answers nothing.
                return "" if failure.code in (_VERIFY_ERROR, -28) else str(failure)
        payment.acknowledged, payment.node = reactor.seconds(), node.name
        return ""
