"""One chaos run: a network under load, faults one after the other, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tests.functional.chaos import invariants as inv
from tests.functional.chaos.clock import library
from tests.functional.chaos.faults import Fault
from tests.functional.chaos.network import ChaosNet
from tests.functional.chaos.payments import Payments, funds_for
from tests.functional.chaos.recovery import Recovery, recover, two_rounds
from tests.functional.chaos.schedule import Planned
from tests.functional.chaos.watching import Watcher
from tests.functional.observer import Observer
from tests.functional.support import together, until
from timecoin.primitives.block import Block

reactor: Any = _reactor
EPOCH_SECONDS = 6
#: Milliseconds; short, so that a run meets peers that are dropped.
IDLE_TIMEOUT = 8_000
_SETTLE_EPOCHS = 6
_MEGABYTES = 64
_MEGABYTES_A_MINUTE = 24


@dataclass(frozen=True)
class Befallen:
    """A fault that was, ``at`` seconds from the start, and what came after it."""

    fault: Fault
    at: float
    lasted: float
    recovery: Recovery


@dataclass
class Outcome:
    """What a run found. ``limit``: two rounds in seconds."""

    limit: float
    faults: list[Befallen] = field(default_factory=list)
    violations: list[inv.Violation] = field(default_factory=list)
    sent: int = 0
    acknowledged: int = 0
    pairs: int = 0
    final: int = 0
    rejected: int = 0
    epochs: int = 0
    heights: int = 0
    seconds: float = 0.0
    finality: list[float] = field(default_factory=list)
    carried: int = 0


class ChaosRun:
    """``say`` gets a line for everything that happens."""

    def __init__(
        self,
        directory: Path,
        nodes: int,
        seed: int,
        rate: float,
        minutes: float,
        say: Callable[[str], object],
        epoch_seconds: int = EPOCH_SECONDS,
    ) -> None:
        library()
        megabytes = int(_MEGABYTES + _MEGABYTES_A_MINUTE * minutes)
        self.net = ChaosNet.build(
            directory,
            nodes,
            epoch_seconds,
            seed,
            megabytes=megabytes,
            funds=funds_for(rate, minutes),
            idle_timeout=IDLE_TIMEOUT,
        )
        self._epoch_seconds = epoch_seconds
        self.outcome = Outcome(two_rounds(self.net.genesis.parameters))
        self.payments = Payments(self.net, rate, seed)
        self.watcher = Watcher(self.net)
        self.observer = Observer(self.net)
        self._say = say
        self._began = 0.0

    async def go(self, plan: Iterable[Planned], seconds: float) -> Outcome:
        """Run through ``plan`` until it ends or ``seconds`` are over, then judge."""
        await self.net.up(90.0)
        self._began = reactor.seconds()
        self.watcher.start()
        self.observer.start()
        self.payments.start()
        await deferLater(reactor, 2.0)
        for planned in plan:
            if reactor.seconds() - self._began > seconds:
                break
            await deferLater(reactor, planned.pause)
            await self._befall(planned.on(self.net))
        self.outcome.seconds = reactor.seconds() - self._began
        await self._judge()
        return self.outcome

    async def end(self) -> None:
        """Leave nothing behind but the files, whatever has happened."""
        await self.payments.abandon()
        await self.watcher.stop()
        stopping = self.observer.stop()
        if stopping is not None:
            await stopping
        self.net.kill()
        await self.net.links.close()

    # Faults

    async def _befall(self, fault: Fault) -> None:
        at = reactor.seconds() - self._began
        self._say(f"{at:6.1f} s  {fault.kind} of {fault.names()}")
        began = reactor.seconds()
        await fault.strike()
        await fault.last()
        lasted = reactor.seconds() - began
        await fault.heal()
        recovery = await recover(self.net, self.payments, self.net.others(fault.victims))
        self.outcome.faults.append(Befallen(fault, at, lasted, recovery))
        self._say(
            f"{reactor.seconds() - self._began:6.1f} s  over after {lasted:.1f} s; {shown(recovery)}; "
            f"{', '.join(fault.remarks)}"
        )
        for text in fault.complaints:
            self._found("misconduct", f"{fault.kind}: {text}")
        limit = self.outcome.limit
        if recovery.at_work is None or recovery.at_work > limit:
            self._found("recovery", f"{fault.kind} of {fault.names()}: {shown(recovery)}; two rounds are {limit:.1f} s")
        for node in self.net.nodes:
            if not node.runs:
                self._found("died", f"{node.name}: {node.tail()}")
                node.start()
                await node.answers()

    def _found(self, what: str, text: str) -> None:
        self._say(f"VIOLATION {what}: {text}")
        self.outcome.violations.append(inv.Violation(what, text))

    # Verdict

    async def _judge(self) -> None:
        giving_up = reactor.callLater(30.0, lambda: Deferred.fromCoroutine(self.payments.abandon()))
        await self.payments.stop()
        if giving_up.active():
            giving_up.cancel()
        chain = await self._settled()
        archived = inv.archived_of(chain)
        await self.watcher.stop()
        for violation in [
            *(await inv.one_block_per_height(self.net))[1],
            *inv.rivals_final(self.payments.book, self.watcher),
            *inv.rival_archived(self.payments.book, self.watcher, archived),
            *inv.final_archived(self.watcher, archived),
            *inv.rejected_after_final(self.watcher),
            *inv.refused(self.payments.book),
            *await inv.lost(self.net, self.payments.book, archived),
            *await inv.supply(self.net),
        ]:
            self._found(violation.what, violation.text)
        self._count(chain, archived)
        await self._stop()
        for violation in self._of_files(chain):
            self._found(violation.what, violation.text)

    async def _settled(self) -> list[Block]:
        """The chain once everything acknowledged is in it, or once that has taken too long."""
        book = self.payments.book
        open_ones = {each.txid for each in book.acknowledged()}
        chain: list[Block] = []
        node = self.net.nodes[0]

        async def done() -> bool:
            while len(chain) <= await node.height():
                raw = await node.call("getblock", await node.call("getblockhash", len(chain)), 0)
                chain.append(Block.decode(bytes.fromhex(raw)))
                open_ones.difference_update(inv.archived_of(chain[-1:]))
            return not open_ones

        try:
            await until(done, "all are archived", _SETTLE_EPOCHS * self._epoch_seconds)
            # Rivals have an epoch more.
            top = len(chain)
            await node.reaches(top + 1, 3 * self._epoch_seconds)
            await done()
        except AssertionError as problem:
            self._say(f"not settled: {problem}")
        return chain

    def _count(self, chain: list[Block], archived: set[str]) -> None:
        book, outcome = self.payments.book, self.outcome
        outcome.sent, outcome.pairs = len(book.single), len(book.pairs)
        outcome.acknowledged = len(book.acknowledged())
        outcome.final = len({each.txid for each in book.every()} & archived)
        outcome.rejected = len(self.watcher.told["rejected"])
        outcome.heights, outcome.epochs = len(chain) - 1, chain[-1].header.epoch
        outcome.carried = self.net.links.carried
        outcome.finality = sorted(
            self.watcher.first_final[each.txid] - each.acknowledged
            for each in book.acknowledged()
            if each.acknowledged is not None and each.txid in self.watcher.first_final
        )

    async def _stop(self) -> None:
        stopping = self.observer.stop()
        if stopping is not None:
            await stopping
        await together(node.stop(30.0) for node in self.net.nodes)

    def _of_files(self, chain: list[Block]) -> Iterator[inv.Violation]:
        yield from inv.stored_blocks(self.net)
        yield from inv.contradictions(self.net, self.observer.testimony, chain)
        yield from inv.log_lines(self.net)


def shown(recovery: Recovery) -> str:
    """A recovery in words."""
    return (
        f"final after {_seconds(recovery.final)}, epoch closed after {_seconds(recovery.closed)}, "
        f"everywhere after {_seconds(recovery.everywhere)}, {_seconds(recovery.at_work)} of them with a processor"
    )


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"
