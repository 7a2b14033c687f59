"""Lies told in votes, acks, seals and votes on blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timecoin.consensus.bundle import MAX_TXIDS
from timecoin.consensus.votes import NIL
from timecoin.p2p import messages as wire
from timecoin.simulation.byzantine import reading
from timecoin.simulation.byzantine.behaviour import Behaviour, behaviour
from timecoin.simulation.byzantine.reading import own_statements
from timecoin.simulation.clock import MILLISECOND

if TYPE_CHECKING:
    from timecoin.simulation.byzantine.node import ByzantineNode
    from timecoin.simulation.link import Link
    from timecoin.simulation.node import Node

REMEMBERED = 512


class Forging(Behaviour):
    """Common to what forges bundles about the payments that the whole network knows."""

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        self._next = 0

    def is_time(self, shortest: int, longest: int) -> bool:
        """Once in a while: intervals in milliseconds."""
        now = self.node.world.clock.now
        if now < self._next or self.node.forge.signer is None:
            return False
        self._next = now + self.chance.between(shortest, longest) * MILLISECOND
        return True

    def pending(self, limit: int) -> list[bytes]:
        """Txids of some payments that are not archived, children among them, in random order."""
        found: dict[bytes, None] = {}
        for node in self.node.world.nodes:
            if node.up:
                found.update(dict.fromkeys([entry.txid for entry in node.participant.finality.pool]))
        return self.chance.some(list(found), limit)

    def some_nodes(self) -> list[Node]:
        """Those to whom something is shown."""
        peers = [link.target for link in self.node.links.values()]
        return self.chance.some(peers, self.chance.between(1, max(1, len(peers))))


@behaviour("double_votes")
class DoubleVotes(Forging):
    """Signs two bundles of one number with different votes, and shows each to another part of the network."""

    def look(self) -> None:
        """A pair of them, from time to time."""
        if not self.is_time(300, 1_500):
            return
        txids = self.pending(4)
        if not txids:
            return
        forge = self.node.forge
        number = forge._next_number(forge.ledger.epoch)
        half = self.some_nodes()
        for node in self.node.world.nodes:
            told = txids[::2] if node in half else txids[1::2]
            if told:
                self.node.tell(node, forge.bundle(told, number=number))


@behaviour("double_acks")
class DoubleAcks(Forging):
    """Acks what is not certified, and acks after its seal; in bundles of one number or of others."""

    def look(self) -> None:
        """To chosen peers."""
        if not self.is_time(300, 1_500):
            return
        txids, forge = self.pending(6), self.node.forge
        number = forge._next_number(forge.ledger.epoch) if self.chance.permille(500) else None
        for node in self.some_nodes():
            told = self.chance.some(txids, 3)
            if told:
                self.node.tell(node, forge.bundle((), told, number=number, seal=self.chance.permille(100)))


@behaviour("vote_everything")
class VoteEverything(Forging):
    """Votes for and acks everything that anybody knows at once: all rivals, what nobody certified, children before
    their parents."""

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        self._said: dict[bytes, None] = {}
        self._epoch = 0

    def look(self) -> None:
        """Whatever is new."""
        forge = self.node.forge
        if not self.is_time(60, 60):
            return
        if self._epoch != forge.ledger.epoch:
            self._epoch = forge.ledger.epoch
            self._said.clear()
        new = [txid for txid in self.pending(200) if txid not in self._said]
        if new:
            self._said.update(dict.fromkeys(new))
            self.node.tell_all(forge.bundle(new, new))


@behaviour("early_seal")
class EarlySeal(Forging):
    """Seals in the middle of the epoch, again and again, with numbers that are no more the last."""

    def look(self) -> None:
        """A seal."""
        if self.is_time(500, 4_000):
            self.node.tell_all(self.node.forge.bundle((), self.pending(1), seal=True))


@behaviour("never_seals")
class NeverSeals(Behaviour):
    """Sends no bundle with a seal, so that every proposer waits for it in vain."""

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """Nothing that holds a seal of its own."""
        if not isinstance(message, wire.Bundles):
            return [message]
        sealed = [raw for raw in own_statements(self.node, message) if _is_seal(raw)]
        kept = tuple(raw for raw in message.bundles if raw not in sealed)
        return [wire.Bundles(kept)] if kept else []


def _is_seal(raw: bytes) -> bool:
    bundle = reading.bundle(raw)
    return bundle is not None and bundle.seal


@behaviour("nil_votes")
class NilVotes(Forging):
    """Prevotes and precommits nothing, in every round, and sends no other votes."""

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """No votes of its own."""
        own = own_statements(self.node, message) if isinstance(message, wire.Votes) else []
        if not own or not isinstance(message, wire.Votes):
            return [message]
        prevotes = tuple(raw for raw in message.prevotes if raw not in own)
        precommits = tuple(raw for raw in message.precommits if raw not in own)
        return [wire.Votes(prevotes, precommits)] if prevotes or precommits else []

    def look(self) -> None:
        """Nil, for the round at hand."""
        if self.is_time(200, 600):
            forge, round_ = self.node.forge, self.node.participant.height.round
            self.node.tell_all(forge.prevote(round_, NIL), forge.precommit(round_, NIL))


@behaviour("double_precommits")
class DoublePrecommits(Forging):
    """Prevotes and precommits every block proposed in the round at hand, and nil besides, each before other peers."""

    def look(self) -> None:
        """For what was proposed at its own height."""
        if not self.is_time(80, 300):
            return
        forge, height = self.node.forge, self.node.participant.height
        hashes = [NIL, *[each.block_hash for each in height.proposals.carried()]]
        for node in self.some_nodes():
            chosen = self.chance.pick(hashes)
            fresh = chosen != NIL and self.chance.permille(500)
            self.node.tell(node, forge.prevote(height.round, chosen, fresh=fresh))
            self.node.tell(node, forge.precommit(height.round, self.chance.pick(hashes)))


@behaviour("stale_epoch")
class StaleEpoch(Forging):
    """Signs bundles of the epochs before and after the open one, and shows everybody's of the last epoch again."""

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        self._heard: dict[int, list[bytes]] = {}

    def incoming(self, link: Link, message: wire.Message) -> wire.Message | None:
        """Remember what others said."""
        if isinstance(message, wire.Bundles):
            for raw in message.bundles:
                heard = self._heard.setdefault(reading.place_of(raw)[0], [])
                if len(heard) < REMEMBERED and raw not in heard:
                    heard.append(raw)
        return message

    def look(self) -> None:
        """Some of it."""
        if not self.is_time(200, 800):
            return
        epoch, txids = self.node.forge.ledger.epoch, self.pending(3)
        for old in [number for number in self._heard if number < epoch - 1]:
            del self._heard[old]
        again = self.chance.some(self._heard.get(epoch - 1, []), 20)
        if again:
            self.node.tell_all(wire.Bundles(tuple(again)))
        if txids:
            other = max(1, epoch + self.chance.pick((-1, 1)))
            self.node.tell_all(self.node.forge.bundle(txids, txids, epoch=other))


@behaviour("other_network")
class OtherNetwork(Forging):
    """Replays what the same key signed on another network: all is as it should be but for the chain id."""

    def look(self) -> None:
        """A bundle of another chain."""
        if self.is_time(400, 2_000):
            txids = self.pending(3)
            if txids:
                other = self.chance.stream("other chain").data(32)
                self.node.tell_all(self.node.forge.bundle(txids, txids, chain_id=other))


@behaviour("huge_bundles")
class HugeBundles(Forging):
    """Sends the largest bundles there may be: thousands of made-up transactions, and one payment thousands of times."""

    def look(self) -> None:
        """Two of them a few times an epoch: everybody has to verify them."""
        if not self.is_time(3_000, 8_000):
            return
        forge, known = self.node.forge, self.pending(1)
        made_up = [self.chance.data(32) for _ in range(self.chance.pick((64, 1_024)))]
        self.node.tell_all(forge.bundle(made_up, made_up[::3]))
        if known:
            self.node.tell_all(forge.bundle(known * (MAX_TXIDS - 8), known * 8))


@behaviour("false_status")
class FalseStatus(Behaviour):
    """Claims to be epochs and heights ahead, or to hold every bundle and vote there is, or nothing at all."""

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """Something else instead of the truth."""
        if not isinstance(message, wire.Status) or self.chance.permille(300):
            return [message]
        chance, ahead = self.chance, self.chance.pick((0, 0, 1, 2, 1_000_000))
        much = 0xFFFF_FFFF if chance.permille(200) else chance.below(2_000)
        sequences = tuple((signer, much) for signer, _ in message.sequences)
        full = b"\xff" * max(1, len(message.prevotes))
        lie = wire.Status(
            epoch=message.epoch + ahead if chance.permille(500) else max(0, message.epoch - 1),
            height=message.height + ahead,
            round=message.round + chance.pick((0, 1, 7, 1_000_000)),
            step=chance.below(256),
            tip_hash=chance.data(32),
            prevotes=chance.pick((b"", full, message.prevotes)),
            precommits=chance.pick((b"", full, message.precommits)),
            sequences=chance.pick((sequences, (), message.sequences)),
            connected=chance.pick((full, b"", message.connected)),
        )
        return [lie]


@behaviour("garbage")
class Garbage(Forging):
    """Sends valid frames with nonsense in them: random bytes for signed messages, numbers at their limits."""

    def look(self) -> None:
        """One piece; whoever gets it may close the connection."""
        if not self.is_time(700, 3_000):
            return
        chance, node = self.chance, self.node
        some = chance.data(chance.pick((0, 1, 70, 134, 179, 211, 2_000)))
        most = 0xFFFF_FFFF
        messages: list[wire.Message] = [
            wire.Bundles((some,)),
            wire.Proposal(some),
            wire.Votes(prevotes=(some[:512],)),
            wire.Pol((some[:512],)),
            wire.Tx((some,)),
            wire.Blocks((wire.BlockWithCommit(some, some),)),
            wire.Evidence(some),
            wire.Inv((chance.data(32),) * 100),
            wire.GetTx((chance.data(32),) * 50, chance.permille(500)),
            wire.GetBundles(most, 0xFFFF, most, 0xFFFF),
            wire.GetBundles(node.forge.ledger.epoch, chance.below(4), 1, 0xFFFF),
            wire.GetBlocks(chance.pick((0, most)), wire.MAX_BLOCKS),
            wire.GetProposal(node.height + 1, round=most),
            wire.GetPol(node.height + 1, most, chance.data(32)),
            wire.Status(most, most, most, 255, chance.data(32), b"\xff" * 512, b"\xff" * 512),
        ]
        for peer in self.chance.some([link.target for link in node.links.values()], 1):
            node.tell(peer, chance.pick(messages))
