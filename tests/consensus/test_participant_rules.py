"""The rules that need several nodes: seals, closing blocks and what was acked, permission to sign, R12."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Link, Network, Node
from tests.consensus.scenarios import archived_everywhere, final_everywhere, payments, rivals
from tests.ledger import builders
from timecoin.consensus import effects as fx
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.effects import Change
from timecoin.consensus.identity import OperatorIdentity
from timecoin.consensus.records import RecordKind, decode_record
from timecoin.consensus.votes import NIL, Prevote
from timecoin.p2p import messages as wire

DELAY = (10,)


def lose(
    *kinds: type[wire.Message], to: set[int] | None = None, by: set[int] | None = None
) -> Callable[..., tuple[int, ...]]:
    """A route that loses messages of some kinds (Votes lose their prevotes and precommits alike)."""

    def route(link: Link, message: wire.Message) -> tuple[int, ...]:
        hit = isinstance(message, kinds) and (to is None or link.target.index in to)
        return () if hit and (by is None or link.source.index in by) else DELAY

    return route


def before_slot(network: Network, milliseconds: int, node: int = 0) -> None:
    """Let time pass until so long before the slot, by the network's clock."""
    network.run(network[node].participant.slot_ms - milliseconds - network.now)


class SealTest(SynchronousTestCase):
    def test_own_clock(self) -> None:
        network = Network(4).start()
        before_slot(network, 1)
        self.assertFalse(any(node.participant.finality.sealed for node in network.nodes))
        network.route = lose(wire.Proposal)
        network.run(2)
        self.assertTrue(all(node.participant.finality.sealed for node in network.nodes))

    def test_nothing_is_acked_after(self) -> None:
        """Sealed nodes still vote: what comes now is certified, not final, and archived by a closing
        block.
        """
        network = Network(4).start()
        network.run_to_epoch(2)
        network.route = lose(wire.Proposal)
        before_slot(network, 0)
        network.run(100)
        (tx,) = payments(network, 1)
        network[1].submit(tx)
        network.run(400)
        self.assertTrue(all(node.told(Change.CERTIFIED) for node in network.nodes))
        self.assertFalse(any(node.told(Change.FINAL) for node in network.nodes))
        self.assertFalse(any(node.participant.finality.ack_power(tx.txid) for node in network.nodes))
        network.route = lambda link, message: DELAY
        # Archived now or, as the block was built before it came, by the next one.
        self.assertTrue(network.run_to_epoch(4))
        self.assertTrue(archived_everywhere(network, tx))
        network.close()

    def test_third_of_seals(self) -> None:
        """More than a third of seals seen, own clock within the lead."""
        network = Network(4)
        lead = network.genesis.parameters.seal_lead
        network[0].clock_error = network[1].clock_error = lead // 2
        network.start()
        before_slot(network, lead // 2 + 1)
        self.assertFalse(network[2].participant.finality.sealed)
        network.route = lose(wire.Proposal)
        network.run(100)
        self.assertTrue(network[2].participant.finality.sealed)
        self.assertTrue(network[3].participant.finality.sealed)

    def test_seals_too_early_do_not_count(self) -> None:
        network = Network(4)
        lead = network.genesis.parameters.seal_lead
        network[0].clock_error = network[1].clock_error = lead + 200
        network.start()
        network.route = lose(wire.Proposal)
        before_slot(network, lead + 150)
        network.run(60)
        self.assertTrue(network[0].participant.finality.sealed)
        self.assertFalse(network[2].participant.finality.sealed)
        network.run(200)
        self.assertTrue(network[2].participant.finality.sealed)

    def test_fresh_closing_proposal_seals(self) -> None:
        """Before it is looked at: a slow clock, too far behind for anything else, within the tolerance."""
        network = Network(4)
        params = network.genesis.parameters
        slow = network[3]
        slow.clock_error = -(params.seal_lead + params.clock_tolerance) // 2
        network.start()
        before_slot(network, 1)
        seen: list[bool] = []
        network.route = self._watch_prevotes(slow, seen)
        self.assertTrue(network.run_to_epoch(2, 10_000))
        self.assertEqual(set(seen), {True})
        self.assertLess(network.now + slow.clock_error, network[0].participant.slot_ms - 8_000)

    def test_the_seal_is_written_before_the_prevote(self) -> None:
        """Even by a tick for votes on blocks alone: after a crash, a prevote without its seal would let acks follow."""
        network = Network(4)
        params = network.genesis.parameters
        slow = network[3]
        slow.clock_error = -(params.seal_lead + params.clock_tolerance) // 2
        network.start()
        before_slot(network, 1)
        seen: list[bool] = []
        network.route = self._watch_prevotes(slow, seen)
        take_tick = slow.participant.take_tick
        slow.participant.take_tick = lambda now: take_tick(now, bundles=False)  # type: ignore[method-assign]
        self.assertTrue(network.run(10_000, lambda: bool(seen)))
        records = [decode_record(record) for record in slow.disk.journal]
        own = [r for r in records if r.kind is RecordKind.PREVOTE]
        seals = [r for r in records if r.kind is RecordKind.BUNDLE and self._is_own_seal(slow, r.payload)]
        self.assertEqual(len(seals), 1)
        self.assertLess(records.index(seals[0]), records.index(own[0]))

    @staticmethod
    def _is_own_seal(node: Node, payload: bytes) -> bool:
        bundle = Bundle.decode(payload)
        return bundle.seal and bundle.signer == node.participant.signer

    def _watch_prevotes(self, node: Node, seen: list[bool]) -> Callable[..., tuple[int, ...]]:
        def route(link: Link, message: wire.Message) -> tuple[int, ...]:
            if link.source is node and isinstance(message, wire.Votes) and message.prevotes:
                mine = [Prevote.decode(raw) for raw in message.prevotes]
                if any(vote.signer == node.participant.signer for vote in mine):
                    seen.append(node.participant.finality.sealed)
            return DELAY

        return route

    def test_proposal_from_the_future_waits(self) -> None:
        network = Network(4)
        slow = network[3]
        slow.clock_error = -network.genesis.parameters.clock_tolerance - 400
        network.start()
        before_slot(network, 0)
        # The slow one proposes later; it neither seals nor prevotes while the slot is out of reach.
        network.run(300)
        self.assertFalse(slow.participant.finality.sealed)
        self.assertTrue(network.run_to_epoch(3))
        network.close()


class ClosingTest(SynchronousTestCase):
    def test_acked_is_contained_or_refused(self) -> None:
        """One node alone saw the certificate and acked: it refuses closing blocks without it, and shows
        why.
        """
        network = Network(4).start(0, 1, 2)
        trio = network.nodes[:3]
        network.run_to_epoch(2, nodes=trio)
        (tx,) = payments(network, 1)
        lonely = next(n for n in trio if n.participant.height.proposer(0) != n.participant.signer)
        others = {node.index for node in trio} - {lonely.index}
        network.route = lose(wire.Bundles, to=others)
        lonely.submit(tx)
        network.run(1_000)
        self.assertEqual(lonely.participant.finality.ack_power(tx.txid), 1_000)
        self.assertFalse(any(network[n].told(Change.CERTIFIED) for n in others))
        before_slot(network, 100)
        height = lonely.height
        self.assertTrue(
            network.run(4_000, lambda: any(vote.block_hash != NIL for vote in self._prevotes(network)))
        )
        network.run(60)
        mine = [v for v in self._prevotes(network, lonely) if v.height == height + 1]
        self.assertEqual([vote.block_hash for vote in mine], [NIL])
        network.route = lambda link, message: DELAY
        self.assertTrue(network.run_to_epoch(3, 20_000, trio))
        self.assertEqual({node.disk.places.get(tx.txid) for node in trio}, {(height + 1, 1)})
        network.watch.finish(trio)

    def _prevotes(self, network: Network, by: Node | None = None) -> list[Prevote]:
        ballots = network[0].participant.height.ballots if by is None else by.participant.height.ballots
        first = ballots.prevotes(0)
        signers = range(4) if by is None else [by.participant.signer or 0]
        return [vote for signer in signers if (vote := first.first(signer)) is not None]

    def test_more_than_fits_goes_first_into_interim_blocks(self) -> None:
        """A closing block holds all that is acked: what does not fit drains through interim blocks before
        it.
        """
        parameters = network_parameters(max_block_txs=4, interim_txs=2)
        network = Network(4, parameters=parameters, accounts=13).start()
        network.route = lose(wire.Proposal)
        txs = payments(network, 13)
        for n, tx in enumerate(txs):
            network[n % 4].submit(tx)
        self.assertTrue(network.run(1_500, lambda: final_everywhere(network, *txs)))
        network.route = lambda link, message: DELAY
        self.assertTrue(network.run_to_epoch(2, 40_000))
        self.assertTrue(archived_everywhere(network, *txs))
        blocks = network[0].disk.blocks[1:]
        self.assertGreaterEqual(len(blocks), 4)
        self.assertTrue(all(len(block.transactions) <= 5 for block in blocks))
        network.close()


def network_parameters(**overrides: int) -> builders.Parameters:
    return builders.Parameters.for_epoch_seconds(8, **overrides)


class PermitTest(SynchronousTestCase):
    def test_quorum_must_be_heard(self) -> None:
        network = Network(4).start(0, 1)
        network.run(1_500)
        self.assertFalse(network[0].participant.may_sign)
        network.start(2)
        network.run(100)
        self.assertTrue(network[0].participant.may_sign)
        self.assertTrue(network[2].participant.may_sign)

    def test_not_intact(self) -> None:
        """Silent through the epoch that anybody had open and the next; nothing of its key is sent; then it signs."""
        network = Network(4).start()
        network.run_to_epoch(2)
        node = network[1]
        node.crash()
        node.disk.intact, node.disk.journal = False, []
        sent: list[wire.Message] = []
        node.boot()
        plain = network.route

        def route(link: Link, message: wire.Message) -> tuple[int, ...]:
            own = isinstance(message, wire.Bundles) and any(
                Bundle.decode(raw).signer == node.participant.signer for raw in message.bundles
            )
            if link.source is node and own and node.participant.ledger.epoch in (2, 3):
                sent.append(message)
            return tuple(plain(link, message))

        network.route = route
        (tx,) = payments(network, 1)
        network[0].submit(tx)
        network.run(500)
        self.assertEqual(node.disk.barred, 3)
        self.assertTrue(final_everywhere(network, tx))
        self.assertTrue(network.run_to_epoch(4))
        self.assertEqual(sent, [])
        network.run(200)
        self.assertTrue(node.participant.may_sign)
        self.assertTrue(network.run_to_epoch(5))
        self.assertTrue(
            any(signer == node.participant.signer for signer, _ in node.disk.commits[-1].signatures)
        )
        network.close()

    def _forget(self, node: Node, *kinds: RecordKind) -> None:
        """An old copy of the journal whose age nobody notices."""
        own = node.participant.signer
        node.crash()
        kept = []
        for raw in node.disk.journal:
            record = decode_record(raw)
            bundle = Bundle.decode(record.payload) if record.kind is RecordKind.BUNDLE else None
            if record.kind not in kinds or (bundle is not None and bundle.signer != own):
                kept.append(raw)
        self.assertLess(len(kept), len(node.disk.journal))
        node.disk.journal = kept
        node.boot()

    def test_shown_a_bundle_that_it_forgot(self) -> None:
        network = Network(4).start()
        (tx,) = payments(network, 1)
        network[0].submit(tx)
        network.run(1_000)
        node = network[1]
        self._forget(node, RecordKind.BUNDLE)
        network.run(1_500)
        self.assertEqual(node.disk.barred, 2)
        self.assertFalse(node.participant.may_sign)
        self.assertTrue(network.run_to_epoch(3))
        network.run(500)
        self.assertTrue(node.participant.may_sign)
        network.close()

    def test_shown_a_prevote_that_it_forgot(self) -> None:
        """Also when it is shown during the exchange, before anything may be signed."""
        network = Network(4).start()
        network.run_to_epoch(2)
        before_slot(network, 10)
        node = network[1]
        self.assertTrue(
            network.run(5_000, lambda: bool(network[0].participant.height.ballots.prevotes(0).first(1)))
        )
        # Nobody gets far enough to decide while the one is away.
        network.route = lambda link, message: (
            () if isinstance(message, wire.Votes) and message.precommits else DELAY
        )
        self._forget(node, RecordKind.PREVOTE, RecordKind.PRECOMMIT, RecordKind.POL)
        network.run(1_000)
        self.assertEqual(node.disk.barred, 3)
        self.assertFalse(node.participant.may_sign)
        network.route = lambda link, message: DELAY
        self.assertTrue(network.run_to_epoch(4))
        self.assertTrue(node.participant.may_sign)
        network.close()


class HaltTest(SynchronousTestCase):
    def _bundle(self, network: Network, signer: int, sequence: int, *votes: bytes) -> Bundle:
        ledger = network[0].participant.ledger
        key = ledger.current.members[signer].operator_key
        secret = next(builders.operator(n).secret for n in range(4) if builders.operator(n).public == key)
        identity = OperatorIdentity(secret, builders.BACKEND)
        bundle = Bundle(
            ledger.chain_id, ledger.epoch, ledger.current.set_hash, signer, sequence, False, votes, ()
        )
        return bundle.signed(identity.sign(bundle.digest))

    def test_rival_certificates(self) -> None:
        network = Network(4).start(0)
        network.watch.dishonest = {1, 2, 3}
        node = network[0]
        one, two = rivals(network, 0)
        for tx in (one, two):
            node.submit(tx)
        for signer in range(1, 4):
            bundle = self._bundle(network, signer, 1, one.txid, two.txid)
            node.feed(lambda bundle=bundle: node.participant.receive(bundle, node.now_ms()))
        halts = [alarm for alarm in node.alarms if isinstance(alarm, fx.Halt)]
        self.assertEqual([halt.reason for halt in halts], ["rival-certificates"])
        self.assertTrue(halts[0].proofs)
        self.assertTrue(node.participant.halted)
        network.start(1, 2, 3)
        network.run(20_000)
        self.assertFalse(node.participant.may_sign)
        self.assertEqual(node.height, 0)
        accused = {alarm.proof.signer for alarm in node.alarms if isinstance(alarm, fx.Misbehaviour)}
        self.assertEqual(accused, {1, 2, 3})
