"""How long messages take between nodes, which are lost, doubled or held back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from timecoin.ledger.statement import BUNDLE_TAIL, PREFIX, SEAL
from timecoin.p2p import messages as wire
from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import MILLISECOND, SECOND
from timecoin.simulation.wide_area import one_way

if TYPE_CHECKING:
    from timecoin.simulation.link import Link
    from timecoin.simulation.world import World

STATEMENTS = ("votes", "acks", "seal", "proposal", "prevote", "precommit", "pol")
"""What a rule may be about, as :func:`parts` tells."""
OTHERS = ("tx", "inv", "status", "blocks")


@dataclass(frozen=True)
class Rule:
    """From ``begin`` to ``end`` (microseconds of the clock) statements of these ``kinds`` do not reach the nodes of
    mask ``hidden_from``: they arrive after ``end`` when ``held``, else never.

    ``maker`` is the number of the node whose statements are meant, whoever passes them on; None: anybody's.
    """

    kinds: frozenset[str]
    maker: int | None
    hidden_from: int
    begin: int
    end: int
    held: bool


@dataclass
class Weather:
    """What goes wrong everywhere: in permille ``loss``, ``doubling``, ``reordering``; ``jitter`` in microseconds."""

    loss: int = 0
    doubling: int = 0
    reordering: int = 0
    jitter: int = 3 * MILLISECOND


class Wires:
    """Gives the delays of the copies of a message, in microseconds; none: it is lost.

    Messages of one connection stay in order, as TCP keeps them, but for those that a fault takes out of it.
    ``regions`` says in which region of :mod:`~timecoin.simulation.wide_area` each node is. ``cuts`` are pairs (source,
    target), ``slow`` adds microseconds to what a node sends or gets, ``bandwidth`` is in bytes a second.
    """

    def __init__(self, chance: Chance, world: World) -> None:
        self._chance = chance
        self._world = world
        self.regions: Sequence[int] = ()
        self.weather = Weather()
        self.cuts: set[tuple[int, int]] = set()
        self.slow: dict[int, int] = {}
        self.bandwidth: dict[int, int] = {}
        self._free_at: dict[int, int] = {}
        self.rules: list[Rule] = []

    def calm(self) -> None:
        """Everything works again."""
        self.weather = Weather()
        self.cuts.clear()
        self.slow.clear()
        self.bandwidth.clear()
        self.rules.clear()

    def forget(self, rule: Rule) -> None:
        """A rule is over."""
        if rule in self.rules:
            self.rules.remove(rule)

    def copies(self, link: Link, message: wire.Message, size: int) -> list[int]:
        """The delays after which copies of a message arrive."""
        weather, chance = self.weather, self._chance
        now = self._world.clock.now
        if (link.source.index, link.target.index) in self.cuts or chance.permille(weather.loss):
            return []
        leaves = self._leaves(link, size, now)
        for rule in self.rules:
            if rule.begin <= now < rule.end and self._is_meant(rule, link, message):
                return [rule.end - now + chance.below(20 * MILLISECOND)] if rule.held else []
        delays = [self._in_order(link, leaves, now)]
        if chance.permille(weather.doubling):
            delays.append(leaves - now + self._travel(link))
        return delays

    def _in_order(self, link: Link, leaves: int, now: int) -> int:
        arrives = leaves + self._travel(link)
        if self._chance.permille(self.weather.reordering):
            return arrives - now + self._chance.below(200 * MILLISECOND)
        link.last_arrival = arrives = max(arrives, link.last_arrival)
        return arrives - now

    def _travel(self, link: Link) -> int:
        source, target = link.source.index, link.target.index
        far = one_way(self.regions[source], self.regions[target]) if self.regions else MILLISECOND
        slow = self.slow.get(source, 0) + self.slow.get(target, 0) if self.slow else 0
        return far + slow + self._chance.below(self.weather.jitter + 1)

    def _leaves(self, link: Link, size: int, now: int) -> int:
        """When the last byte is on the wire; what waits behind a narrow one counts as queued."""
        width = self.bandwidth.get(link.source.index)
        if width is None:
            return now
        begins = max(now, self._free_at.get(link.source.index, 0))
        leaves = begins + size * SECOND // width
        self._free_at[link.source.index] = leaves
        link.queued_bytes += size
        self._world.clock.after(leaves - now, lambda: link.sent_off(size))
        return leaves

    def _is_meant(self, rule: Rule, link: Link, message: wire.Message) -> bool:
        if not rule.hidden_from >> link.target.index & 1:
            return False
        for kind, set_hash, signer in parts(message):
            if kind in rule.kinds and (
                rule.maker is None or rule.maker == self._world.maker_of(link.source, set_hash, signer)
            ):
                return True
        return False


def parts(message: wire.Message) -> Iterator[tuple[str, bytes, int]]:
    """What a message says: kind, and whose statement it is by set hash and signer index (b"" and 0: its sender's)."""
    match message:
        case wire.Bundles(bundles):
            for raw in bundles:
                yield from _of_bundle(raw)
        case wire.Proposal(proposal):
            yield ("proposal", *_signer(proposal))
        case wire.Votes(prevotes, precommits):
            for raw in prevotes:
                yield ("prevote", *_signer(raw))
            for raw in precommits:
                yield ("precommit", *_signer(raw))
        case wire.Pol():
            yield "pol", b"", 0
        case wire.Tx():
            yield "tx", b"", 0
        case wire.Inv():
            yield "inv", b"", 0
        case wire.Status():
            yield "status", b"", 0
        case wire.Blocks():
            yield "blocks", b"", 0


def _signer(raw: bytes) -> tuple[bytes, int]:
    if len(raw) < PREFIX.size:
        return b"", 0
    _, _, set_hash, signer = PREFIX.unpack_from(raw)
    return set_hash, signer


def _of_bundle(raw: bytes) -> Iterator[tuple[str, bytes, int]]:
    if len(raw) < PREFIX.size + BUNDLE_TAIL.size:
        return
    set_hash, signer = _signer(raw)
    _, flags, votes, acks = BUNDLE_TAIL.unpack_from(raw, PREFIX.size)
    for kind, there in (("votes", votes), ("acks", acks), ("seal", flags & SEAL)):
        if there:
            yield kind, set_hash, signer
