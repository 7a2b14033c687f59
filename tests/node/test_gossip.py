"""Who gets told what, with peers that only take notes."""

from __future__ import annotations

from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Network, Node
from tests.consensus.scenarios import payments
from tests.ledger import builders
from timecoin.consensus import effects as fx
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.identity import OperatorIdentity
from timecoin.node import tx_relay
from timecoin.node.gossip import STATUS_IDLE_MS
from timecoin.node.masks import to_wire
from timecoin.node.peer_view import SEND_QUEUE_LIMIT, PeerView
from timecoin.node.tx_relay import RELAY_DELAY_MS
from timecoin.p2p import messages as wire
from timecoin.p2p.framing import HEADER_SIZE

M = TypeVar("M", bound=wire.Message)


class NotedPeer:
    """A peer that keeps what is sent to it."""

    is_established = True

    def __init__(self, number: int, masternode_id: bytes | None = None) -> None:
        self.node_id = b"peer %d" % number
        self.masternode_id = masternode_id
        self.queued_bytes = 0
        self.sent: list[wire.Message] = []

    def send(self, message: wire.Message | bytes) -> bool:
        if isinstance(message, bytes):
            message = wire.decode(message[4], memoryview(message)[HEADER_SIZE:])
        self.sent.append(message)
        return True

    def take(self, kind: type[M]) -> list[M]:
        """What came of one kind, forgotten with all the rest."""
        sent, self.sent = self.sent, []
        return [message for message in sent if isinstance(message, kind)]


class GossipTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = Network(4, accounts=6).start(0)
        self.node: Node = self.network[0]
        self.gossip = self.node.gossip
        self.now = self.network.now
        self.members = self.node.participant.members.members

    def connect(self, number: int, *, masternode: bool = True) -> tuple[NotedPeer, PeerView]:
        member = self.members[number].masternode_id if masternode else None
        peer = NotedPeer(number, member)
        return peer, self.gossip.peer_connected(peer)

    def status(self, **changes: object) -> wire.Status:
        own = self.gossip._status()
        fields = {name: getattr(own, name) for name in own.__struct_fields__} | changes
        return wire.Status(**fields)  # type: ignore[arg-type]

    def bundle(self, signer: int, sequence: int = 1, votes: tuple[bytes, ...] = (), epoch: int = 1) -> Bundle:
        ledger = self.node.participant.ledger
        bundle = Bundle(ledger.chain_id, epoch, ledger.current.set_hash, signer, sequence, False, votes, ())
        public = ledger.current.members[signer].operator_key
        secret = next(builders.operator(n).secret for n in range(4) if builders.operator(n).public == public)
        return bundle.signed(OperatorIdentity(secret, builders.BACKEND).sign(bundle.digest))

    def hear(self, *bundles: Bundle) -> None:
        for bundle in bundles:
            self.node.feed(lambda bundle=bundle: self.node.participant.receive(bundle, self.now))

    # Statuses

    def test_status_on_connecting(self) -> None:
        peer, _ = self.connect(1)
        (status,) = peer.take(wire.Status)
        self.assertEqual((status.epoch, status.height, status.sequences[0]), (1, 1, (0, 0)))

    def test_first_status_is_answered_once(self) -> None:
        peer, view = self.connect(1)
        peer.take(wire.Status)
        self.gossip.on_status(view, self.status(), self.now)
        self.assertEqual(len(peer.take(wire.Status)), 1)
        self.gossip.on_status(view, self.status(), self.now)
        self.assertEqual(peer.sent, [])

    def test_heard_when_everything_was_shown(self) -> None:
        permit = self.node.participant.permit
        views = [self.connect(number)[1] for number in (1, 2)]
        for view in views:
            self.gossip.on_status(view, self.status(), self.now)
        self.assertFalse(permit.exchanged)
        self.gossip.on_status(views[0], self.status(), self.now)
        own = self.node.participant.signer
        # It says that it has bundles of mine that I do not know: they must come first.
        self.gossip.on_status(views[1], self.status(sequences=((own, 3),)), self.now)
        self.assertFalse(permit.exchanged)
        self.gossip.on_status(views[1], self.status(prevotes=to_wire(1 << (own or 0))), self.now)
        self.assertFalse(permit.exchanged)
        self.gossip.on_status(views[1], self.status(height=5), self.now)
        self.assertFalse(permit.exchanged)
        self.gossip.on_status(views[1], self.status(), self.now)
        self.assertTrue(permit.exchanged)

    def test_intervals(self) -> None:
        peer, _ = self.connect(1)
        interval = self.node.participant.params.sync_interval
        self.gossip.tick(self.now)
        peer.take(wire.Status)
        self.gossip.tick(self.now + interval)
        self.assertEqual(peer.take(wire.Status), [])
        self.gossip.tick(self.now + STATUS_IDLE_MS)
        self.assertEqual(len(peer.take(wire.Status)), 1)
        self.node.submit(*payments(self.network, 1))
        peer.take(wire.Status)
        self.gossip.tick(self.now + STATUS_IDLE_MS + interval)
        self.assertEqual(len(peer.take(wire.Status)), 1)

    def test_a_clock_that_is_set_back_silences_nobody(self) -> None:
        peer, _ = self.connect(1)
        interval = self.node.participant.params.sync_interval
        self.gossip.tick(self.now)
        self.gossip.want_transactions(fx.WantTransactions((b"\1" * 32,), False, 1), self.now)
        peer.take(wire.Status)
        hour = 3_600_000
        self.gossip.tick(self.now - hour)
        self.gossip.tick(self.now - hour + interval)
        self.assertEqual(len(peer.take(wire.GetTx)), 1)
        self.gossip.tick(self.now - hour + STATUS_IDLE_MS)
        self.assertEqual(len(peer.take(wire.Status)), 1)

    def test_missing_bundles_are_sent(self) -> None:
        one, two = self.bundle(2, 1), self.bundle(2, 2)
        self.hear(one, two)
        peer, view = self.connect(1)
        self.gossip.on_status(view, self.status(sequences=()), self.now)
        self.assertEqual([m.bundles for m in peer.take(wire.Bundles)], [(one.encode(), two.encode())])
        # On its way perhaps; but not when the next status says the same again.
        self.gossip.on_status(view, self.status(sequences=((2, 1),)), self.now)
        self.assertEqual(peer.take(wire.Bundles), [])
        self.gossip.on_status(view, self.status(sequences=((2, 1),)), self.now)
        self.assertEqual([m.bundles for m in peer.take(wire.Bundles)], [(two.encode(),)])
        self.gossip.on_status(view, self.status(sequences=(), epoch=2), self.now)
        self.assertEqual(peer.take(wire.Bundles), [])

    def test_a_slow_peer_is_not_buried(self) -> None:
        """What is on its way to a peer that does not get on is not sent again with each of its statuses."""
        self.hear(self.bundle(2, 1), self.bundle(2, 2))
        peer, view = self.connect(1)
        sent = []
        for number in range(1, 40):
            self.gossip.on_status(view, self.status(sequences=()), self.now)
            sent += [number for _ in peer.take(wire.Bundles)]
        self.assertEqual(sent, [1, 3, 7, 15, 23, 31, 39])
        self.gossip.on_status(view, self.status(sequences=((2, 1),)), self.now)
        self.gossip.on_status(view, self.status(sequences=((2, 1),)), self.now)
        self.assertEqual([len(m.bundles) for m in peer.take(wire.Bundles)], [1])

    def test_a_full_bundle_is_sent(self) -> None:
        """8,192 txids are more than a batch of bundles; the next ones follow with the next status."""
        txids = tuple(n.to_bytes(32, "little") for n in range(8_192))
        large, small = self.bundle(2, 1, txids), self.bundle(2, 2)
        self.hear(large, small)
        peer, view = self.connect(1)
        self.gossip.on_status(view, self.status(sequences=()), self.now)
        self.assertEqual([m.bundles for m in peer.take(wire.Bundles)], [(large.encode(),)])
        self.gossip.on_status(view, self.status(sequences=((2, 1),)), self.now)
        self.assertEqual([m.bundles for m in peer.take(wire.Bundles)], [(small.encode(),)])

    def test_nothing_bulky_for_a_full_queue(self) -> None:
        self.hear(self.bundle(2))
        peer, view = self.connect(1)
        peer.queued_bytes = SEND_QUEUE_LIMIT + 1
        self.gossip.on_status(view, self.status(sequences=()), self.now)
        self.assertEqual(peer.take(wire.Bundles), [])

    # Relaying

    def test_relayed_to_those_who_do_not_hear_the_signer(self) -> None:
        (signer, _), (near, view), (far, _) = self.connect(1), self.connect(2), self.connect(3)
        own = self.node.participant.signer or 0
        self.gossip.on_status(view, self.status(connected=to_wire(0b0010)), self.now)
        for peer in (signer, near, far):
            peer.take(wire.Bundles)
        self.hear(self.bundle(1))
        self.assertEqual([len(peer.take(wire.Bundles)) for peer in (signer, near, far)], [0, 0, 1])
        self.gossip.announce(self.bundle(own))
        self.assertEqual([len(peer.take(wire.Bundles)) for peer in (signer, near, far)], [1, 1, 1])

    def test_not_sent_back(self) -> None:
        peer, view = self.connect(3)
        bundle = self.bundle(1)
        self.gossip.bundle_from(view, bundle)
        self.hear(bundle)
        self.assertEqual(peer.take(wire.Bundles), [])

    def test_new_epoch(self) -> None:
        _, view = self.connect(3)
        self.hear(self.bundle(1))
        self.assertEqual(view.sequences, {1: 1})
        self.gossip.epoch_opened()
        self.assertEqual(view.sequences, {})
        self.assertEqual((view.signer, view.operator_key), (3, self.members[3].operator_key))

    def test_reachable(self) -> None:
        _, view = self.connect(3)
        self.connect(9, masternode=False) if len(self.members) > 9 else None
        own = self.node.participant.signer or 0
        self.assertEqual(self.gossip.connected_mask(), 1 << 3 | 1 << own)
        self.gossip.peer_lost(view.peer)
        self.assertEqual(self.gossip.connected_mask(), 1 << own)

    def test_lost_view_of_an_older_connection(self) -> None:
        old, _ = self.connect(3)
        new, view = self.connect(3)
        self.gossip.peer_lost(old)
        self.assertIs(self.gossip.view(new), view)
        self.assertIsNone(self.gossip.view(old))

    # Transactions

    def test_local_ones_are_pushed(self) -> None:
        peer, _ = self.connect(1)
        txs = payments(self.network, 2)
        self.node.submit(*txs)
        self.gossip.relay.flush()
        self.assertEqual([m.transactions for m in peer.take(wire.Tx)], [tuple(tx.raw for tx in txs)])

    def test_submitted_while_alone(self) -> None:
        """Pushed to nobody: whoever connects later is told."""
        (tx,) = payments(self.network, 1)
        self.node.submit(tx)
        self.gossip.relay.flush()
        peer, _ = self.connect(1)
        self.gossip.tick(self.now)
        self.assertEqual([m.txids for m in peer.take(wire.Inv)], [(tx.txid,)])

    def test_others_are_announced_where_unknown(self) -> None:
        (sender, view), (voter, _), (other, _) = self.connect(1), self.connect(2), self.connect(3)
        (tx,) = payments(self.network, 1)
        self.network.watch.transactions[tx.txid] = tx
        self.gossip.relay.known_to(view, tx.txid)
        participant = self.node.participant
        self.node.feed(lambda: participant.admit(participant.prepare(tx), self.now, local=False))
        self.hear(self.bundle(2, 1, (tx.txid,)))
        self.gossip.tick(self.now + RELAY_DELAY_MS - 1)
        self.assertEqual([peer.take(wire.Inv) for peer in (sender, voter, other)], [[], [], []])
        self.gossip.tick(self.now + RELAY_DELAY_MS)
        told = [[m.txids for m in peer.take(wire.Inv)] for peer in (sender, voter, other)]
        self.assertEqual(told, [[], [], [(tx.txid,)]])

    def test_sources_are_bounded(self) -> None:
        self.patch(tx_relay, "MAX_RELAYS", 3)
        _, view = self.connect(1)
        for n in range(10):
            self.gossip.relay.known_to(view, bytes([n]) * 32)
        self.assertEqual(list(self.gossip.relay._sources), [bytes([n]) * 32 for n in (7, 8, 9)])

    def test_unknown_announced_ones_are_asked_for_once(self) -> None:
        (one, first), (two, second) = self.connect(1), self.connect(2)
        for view in (first, second):
            self.gossip.on_inv(view, wire.Inv((b"\x01" * 32,)), self.now)
        self.assertEqual([m.ids for m in one.take(wire.GetTx)], [(b"\x01" * 32,)])
        self.assertEqual(two.take(wire.GetTx), [])
        self.gossip.on_inv(second, wire.Inv((b"\x01" * 32,)), self.now + 2_000)
        self.assertEqual(len(two.take(wire.GetTx)), 1)

    def test_asking_whoever_named_it(self) -> None:
        (one, _), (two, _) = self.connect(1), self.connect(2)
        self.gossip.want_transactions(fx.WantTransactions((b"\x01" * 32,), True, 2), self.now)
        self.assertEqual(one.take(wire.GetTx), [])
        self.assertEqual([(m.ids, m.by_wtxid) for m in two.take(wire.GetTx)], [((b"\x01" * 32,), True)])

    def test_one_that_never_answers_takes_nobodys_turn(self) -> None:
        """Turns go on once in a sync interval; asked only every third time, they all fell on one (seed 203986)."""
        (one, first), (two, _) = self.connect(1), self.connect(2)
        txid, interval = b"\x01" * 32, self.gossip._participant.params.sync_interval
        self.gossip.on_inv(first, wire.Inv((txid,)), self.now)
        self.gossip.want_transactions(fx.WantTransactions((txid,), True, 2), self.now + interval)
        self.assertEqual((len(one.take(wire.GetTx)), len(two.take(wire.GetTx))), (1, 1))
        self.gossip.want_transactions(fx.WantTransactions((txid,), True, 2), self.now + 2 * interval)
        self.assertEqual(two.take(wire.GetTx), [])
        self.gossip.want_transactions(fx.WantTransactions((txid,), True, 1), self.now + 2 * interval)
        self.assertEqual(len(one.take(wire.GetTx)), 1)

    def test_asking_others_each_time(self) -> None:
        """One that never answers is not the only one asked."""
        peers = [NotedPeer(n) for n in range(10)]
        for peer in peers:
            self.gossip.peer_connected(peer)
        asked: set[bytes] = set()
        for n in range(4):
            self.gossip.want_transactions(fx.WantTransactions((b"\x01" * 32,), True, None), self.now + 2_000 * n)
            told = [peer for peer in peers if peer.take(wire.GetTx)]
            self.assertEqual(len(told), 3)
            asked.update(peer.node_id for peer in told)
        self.assertEqual(len(asked), 10)

    def test_proposals_are_asked_of_few(self) -> None:
        peers = [NotedPeer(n) for n in range(10)]
        for peer in peers:
            self.gossip.peer_connected(peer)
        self.gossip.carry_out(fx.WantProposal(1, bytes(32)), self.now)
        self.assertEqual(sum(len(peer.take(wire.GetProposal)) for peer in peers), 3)
        self.gossip.carry_out(fx.WantPol(1, 0, bytes(32)), self.now)
        self.assertEqual(sum(len(peer.take(wire.GetPol)) for peer in peers), 3)

    def test_alone_nobody_is_asked(self) -> None:
        self.gossip.carry_out(fx.WantProposal(1, bytes(32)), self.now)
        self.gossip.want_transactions(fx.WantTransactions((bytes(32),), False, None), self.now)
        self.connect(1)
        self.assertEqual(len(self.gossip._requests), 0)

    def test_bodies(self) -> None:
        peer, view = self.connect(1)
        (tx,) = payments(self.network, 1)
        self.node.submit(tx)
        peer.sent.clear()
        self.gossip.answers.on_get_tx(view, wire.GetTx((tx.txid, b"\x05" * 32)))
        self.assertEqual([type(m).__name__ for m in peer.sent], ["Tx", "NotFound"])
        peer.sent.clear()
        self.gossip.answers.on_get_tx(view, wire.GetTx((tx.wtxid,), True))
        self.assertEqual([type(m).__name__ for m in peer.sent], ["NotFound"])

    def test_proposal(self) -> None:
        network = Network(1).start()
        network.run(network[0].participant.slot_ms - network.now - 1)
        network.job_ms = lambda: 5
        self.assertTrue(network.run(500, lambda: bool(network[0].participant.height.proposals.of_round(0))))
        proposal = network[0].participant.height.proposals.of_round(0)
        assert proposal is not None
        gossip, peer = network[0].gossip, NotedPeer(1)
        view = gossip.peer_connected(peer)
        height = proposal.height
        for asked in (
            wire.GetProposal(height, round=0),
            wire.GetProposal(height, block_hash=proposal.block_hash),
        ):
            gossip.answers.on_get_proposal(view, asked)
            self.assertEqual([m.proposal for m in peer.take(wire.Proposal)], [proposal.encode()])
        gossip.answers.on_get_proposal(view, wire.GetProposal(height + 1, round=0))
        gossip.answers.on_get_proposal(view, wire.GetProposal(height, round=4))
        peer.queued_bytes = SEND_QUEUE_LIMIT
        gossip.answers.on_get_proposal(view, wire.GetProposal(height, round=0))
        self.assertEqual(peer.take(wire.Proposal), [])
