"""The faults: what each does to its victims, how it ends, and what the victims must show meanwhile.

``strike`` begins a fault, ``heal`` ends it and returns once the victims' processes answer. What a victim does
that it should not is told in ``complaints``, what it did as it should in ``remarks``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, ClassVar

from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater

from tests.functional.chaos.network import ChaosNet, ChaosNode
from tests.functional.support import together, until

reactor: Any = _reactor
_UP_SECONDS = 60.0
_DISK_WORD = "the disk does not take what has to be durable"


class Fault:
    """One fault that befalls ``victims`` for ``seconds``. ``dice`` decides its details."""

    kind: ClassVar[str]
    #: Whether the victims are lost to the network while it lasts.
    counts: ClassVar[bool] = True

    def __init__(self, net: ChaosNet, victims: Sequence[ChaosNode], seconds: float, dice: random.Random) -> None:
        self.net = net
        self.victims = list(victims)
        self.seconds = seconds
        self.dice = dice
        self.complaints: list[str] = []
        self.remarks: list[str] = []

    async def strike(self) -> None:
        """Begin."""
        raise NotImplementedError

    async def last(self) -> None:
        """Let it last."""
        await deferLater(reactor, self.seconds)

    async def heal(self) -> None:
        """End it."""
        raise NotImplementedError

    def names(self) -> str:
        """Who is hit."""
        return "+".join(node.name for node in self.victims)


async def start_again(nodes: Sequence[ChaosNode]) -> None:
    """Start nodes whose processes have ended; returns when they answer."""
    for node in nodes:
        node.start()
    await together(node.answers(_UP_SECONDS) for node in nodes)


class Kill(Fault):
    """kill -9, at times again while it starts."""

    kind = "kill"

    async def strike(self) -> None:
        for node in self.victims:
            node.kill()

    async def heal(self) -> None:
        if self.dice.random() < 0.3:
            for node in self.victims:
                node.start()
            await deferLater(reactor, self.dice.uniform(0.1, 2.0))
            await self.strike()
        await start_again(self.victims)


class Term(Fault):
    """A stop by SIGTERM, which must be clean, and a start."""

    kind = "term"

    async def strike(self) -> None:
        await together(node.stop(20.0) for node in self.victims)

    async def heal(self) -> None:
        await start_again(self.victims)


class Stop(Fault):
    """SIGSTOP, shorter than peers wait before they drop a silent one."""

    kind = "stop"

    async def strike(self) -> None:
        for node in self.victims:
            node.pause()

    async def heal(self) -> None:
        for node in self.victims:
            node.resume()
        await together(node.answers(_UP_SECONDS) for node in self.victims)


class LongStop(Stop):
    """SIGSTOP for longer than ``idle_timeout``: peers drop it, and it connects again."""

    kind = "stop-long"

    async def last(self) -> None:
        idle = self.net.genesis.parameters.idle_timeout / 1000
        await deferLater(reactor, idle * 1.3 + 1)
        watcher = self.net.others(self.victims)[0]
        peers = await watcher.ask("getpeerinfo")
        held = {peer["node_id"] for peer in peers or ()}
        for node in self.victims:
            if peers is not None and node.files.node_id in held:
                self.complaints.append(f"{watcher.name} still holds {node.name}, silent for over {idle:g} s")
            elif peers is not None:
                self.remarks.append(f"{watcher.name} dropped {node.name}")


class Isolate(Fault):
    """Everything to and from the victims is lost."""

    kind = "cut"
    weather: ClassVar[dict[str, Any]] = {"silent": True}

    def ways(self) -> list[tuple[int, int]]:
        """The ways that it changes."""
        inside = [node.number for node in self.victims]
        outside = [node.number for node in self.net.others(self.victims)]
        links = self.net.links
        return [*links.between(inside, outside), *links.between(outside, inside)]

    async def strike(self) -> None:
        self._struck = self.ways()
        self.net.links.set(self._struck, **self.weather)

    async def heal(self) -> None:
        self.net.links.clear(self._struck)
        await together(node.answers(_UP_SECONDS) for node in self.victims)


class Reset(Isolate):
    """Connections of the victims are reset, and dials refused."""

    kind = "reset"
    weather: ClassVar[dict[str, Any]] = {"refused": True}


class LongCut(Isolate):
    """A silent cut for longer than peers wait for each other, and for some failed dials."""

    kind = "cut-long"

    async def last(self) -> None:
        await deferLater(reactor, 1.5 * self.net.genesis.parameters.idle_timeout / 1000 + 2 * self.seconds)


class OneWay(Isolate):
    """The victims hear and are not heard, or the reverse."""

    kind = "one-way"

    def ways(self) -> list[tuple[int, int]]:
        inside = [node.number for node in self.victims]
        outside = [node.number for node in self.net.others(self.victims)]
        mute = self.dice.random() < 0.5
        self.remarks.append("mute" if mute else "deaf")
        links = self.net.links
        return links.between(inside, outside) if mute else links.between(outside, inside)


class Partial(Isolate):
    """Links between single nodes are cut while both ends reach the others."""

    kind = "partial"
    counts = False

    def ways(self) -> list[tuple[int, int]]:
        found = []
        for node in self.victims:
            other = self.dice.choice(self.net.others([node])).number
            found += [(node.number, other), (other, node.number)]
        return found


class Slow(Isolate):
    """Everything to and from the victims takes longer than a prevote's time-out is scaled for."""

    kind = "slow"
    counts = False

    @property
    def weather(self) -> dict[str, Any]:  # type: ignore[override]
        return {"delay": self.dice.uniform(0.1, 0.3)}


class Lossy(Isolate):
    """All links lose packets, which TCP sends again."""

    kind = "loss"
    counts = False
    weather: ClassVar[dict[str, Any]] = {"stalls": 0.05}

    def ways(self) -> list[tuple[int, int]]:
        everybody = range(len(self.net.nodes))
        return self.net.links.between(everybody, everybody)


class FullDisk(Fault):
    """No room in the data directory: the node stops with status 1 and says why; with room again it starts intact."""

    kind = "disk"

    async def strike(self) -> None:
        for node in self.victims:
            assert node.child is not None
            node.disk.fill(node.child.pid)
        self.remarks.append(self.victims[0].disk.means)

    async def last(self) -> None:
        end = reactor.seconds() + max(self.seconds, 10.0)
        while reactor.seconds() < end and any(node.runs for node in self.victims):
            for node in self.victims:
                node.disk.top_up()
            await deferLater(reactor, 0.1)
        for node in self.victims:
            self._judge(node)

    def _judge(self, node: ChaosNode) -> None:
        assert node.child is not None
        if node.child.status is None:
            self.complaints.append(f"{node.name} runs on with a full disk")
            node.kill()
        elif node.child.status != 1:
            self.complaints.append(f"{node.name} ended with {node.child.status} on a full disk")
        elif _DISK_WORD not in _text(node):
            self.complaints.append(f"{node.name} did not say that its disk is full")

    async def heal(self) -> None:
        for node in self.victims:
            node.disk.free(None)
        await start_again(self.victims)
        for node in self.victims:
            info = await until(lambda node=node: node.ask("getconsensusinfo"), f"{node.name} tells")  # type: ignore[misc]
            if "journal is not complete" in (info["abstains"] or ""):
                self.complaints.append(f"{node.name} is not intact after a full disk: {info['abstains']}")


def _text(node: ChaosNode) -> str:
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in (node.files.log, node.files.console)]
    return "".join(texts)


class Skew(Fault):
    """Clocks are wrong by more than ``clock_tolerance``, then set right: their nodes vote, and do not propose."""

    kind = "clock-ahead"
    sign: ClassVar[int] = 1

    async def strike(self) -> None:
        tolerance = self.net.genesis.parameters.clock_tolerance / 1000
        skew = self.sign * int(tolerance + self.dice.randint(2, 6))
        for node in self.victims:
            node.clock.set(skew)
        self.remarks.append(f"{skew:+d} s")

    async def last(self) -> None:
        abstained = {node.name: False for node in self.victims}
        end = reactor.seconds() + self.seconds
        while reactor.seconds() < end:
            for node in self.victims:
                info = await node.ask("getconsensusinfo")
                abstained[node.name] |= info is not None and not info["proposing"] and info["abstains"] is None
            await deferLater(reactor, 0.3)
        for node in self.victims:
            outbound = [peer for peer in await node.ask("getpeerinfo") or () if not peer["inbound"]]
            word = "abstained" if abstained[node.name] else "did not abstain"
            self.remarks.append(f"{node.name} {word} with {len(outbound)} outbound peers")

    async def heal(self) -> None:
        for node in self.victims:
            node.clock.set(0)
        await deferLater(reactor, 1.0)  # libfaketime looks into its file once a second
        await together(node.answers(_UP_SECONDS) for node in self.victims)


class SkewBehind(Skew):
    """As :class:`Skew`, behind."""

    kind = "clock-behind"
    sign = -1


class _Quorumless(Fault):
    """So many are away that the rest is no quorum: nothing becomes final until they return, and nothing forks."""

    async def last(self) -> None:
        """At least into the next epoch, so that a block is due that cannot be decided."""
        rest = self.net.others(self.victims)
        await deferLater(reactor, 1.5)  # what was under way
        before = await together(node.ask("getblockcount") for node in rest)
        epoch = self.net.genesis.parameters.epoch_seconds
        await deferLater(reactor, max(self.seconds, 1.2 * epoch))
        after = await together(node.ask("getblockcount") for node in rest)
        for node, low, high in zip(rest, before, after, strict=True):
            if None not in (low, high) and high > low + 1:
                self.complaints.append(f"{node.name} went from height {low} to {high} without a quorum")


class QuorumKilled(_Quorumless, Kill):
    """More than tolerated are killed at once."""

    kind = "no-quorum-kill"


class QuorumStopped(_Quorumless, Stop):
    """More than tolerated are stopped by SIGSTOP."""

    kind = "no-quorum-stop"


class QuorumCut(_Quorumless, Isolate):
    """Two sides of a split, neither of which is a quorum."""

    kind = "no-quorum-cut"


class Blackout(Kill):
    """All nodes are killed at once and start again."""

    kind = "blackout"


ONE_OR_MORE: tuple[type[Fault], ...] = (
    Kill,
    Term,
    Stop,
    LongStop,
    Isolate,
    LongCut,
    Reset,
    OneWay,
    Partial,
    Slow,
    Lossy,
    FullDisk,
    Skew,
    SkewBehind,
)
QUORUMLESS: tuple[type[Fault], ...] = (QuorumKilled, QuorumStopped, QuorumCut)
EVERYBODY: tuple[type[Fault], ...] = (Blackout,)
KINDS = {each.kind: each for each in (*ONE_OR_MORE, *QUORUMLESS, *EVERYBODY)}
