"""What peers send, on its way in: every kind of message, with verification that answers when told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Network
from tests.consensus.scenarios import chain_of, payments, rivals
from tests.ledger import builders
from tests.node.fakes import NotedPeer
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.effects import Announce, SignedMessage
from timecoin.consensus.identity import OperatorIdentity
from timecoin.consensus.participant import Participant
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.witness import Check
from timecoin.node import intake as module
from timecoin.node.intake import Intake
from timecoin.node.peer_view import PeerView
from timecoin.node.shelf import BundleShelf
from timecoin.p2p import messages as wire
from timecoin.p2p.reasons import CloseReason, Code
from timecoin.primitives.hashes import ZERO
from timecoin.primitives.signing import check_all
from timecoin.primitives.transaction import Transaction

S = TypeVar("S", bound=SignedMessage)
BLOCK = b"\x42" * 32


class Host:
    """Drives node 0 of a network; questions wait for :meth:`answer`."""

    def __init__(self, participant: Participant, now: int) -> None:
        self.participant = participant
        self.now = now
        self.questions: deque[tuple[Sequence[Check], Callable[[bool], None]]] = deque()
        self.busy = False
        self.held: list[Callable[[], None]] = []

    def now_ms(self) -> int:
        return self.now

    def feed(self, work: Callable[[], None]) -> None:
        self.held.append(work) if self.busy else work()

    def ask(self, checks: Sequence[Check], answer: Callable[[bool], None]) -> None:
        self.questions.append((checks, answer))

    def answer(self) -> int:
        """Answer what is asked, and what follows from it; how many questions."""
        count = 0
        while self.questions:
            checks, answer = self.questions.popleft()
            answer(check_all(builders.BACKEND, checks))
            count += 1
        return count


class Blocks:
    """Block sync that only takes notes."""

    def __init__(self) -> None:
        self.told: list[tuple[str, PeerView, object]] = []

    def on_status(self, view: PeerView) -> None:
        self.told.append(("status", view, None))

    def on_blocks(self, view: PeerView, message: wire.Blocks) -> None:
        self.told.append(("blocks", view, message))

    def on_get_blocks(self, view: PeerView, message: wire.GetBlocks) -> None:
        self.told.append(("get_blocks", view, message))

    def peer_lost(self, view: PeerView) -> None:
        self.told.append(("lost", view, None))


class IntakeTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = Network(4, accounts=6).start(0)
        node = self.network[0]
        self.participant, self.gossip = node.participant, node.gossip
        self.shelf: BundleShelf = self.gossip._shelf
        self.host, self.blocks = Host(self.participant, self.network.now), Blocks()
        self.intake = Intake(self.host, self.gossip, self.shelf, self.blocks)
        self.received: list[SignedMessage] = []
        self.participant.take_effects()

    def connect(self, number: int = 1) -> NotedPeer:
        """A connected masternode."""
        members = self.participant.members.members
        peer = NotedPeer(number, members[number].masternode_id if number < 4 else None)
        self.intake.peer_connected(peer)
        peer.sent.clear()
        return peer

    def send(self, peer: NotedPeer, message: wire.Message) -> None:
        self.intake.message(peer, message)

    def lose(self, peer: NotedPeer) -> None:
        self.intake.peer_lost(peer, CloseReason(Code.LOST, ""))

    def announce(self) -> None:
        """Answer every question, and announce what was found good."""
        self.host.answer()
        for effect in self.participant.take_effects():
            if isinstance(effect, Announce):
                self.gossip.announce(effect.message)

    def watch(self) -> None:
        """Keep what reaches the participant instead of giving it to it."""
        self.patch(self.participant, "receive", lambda message, now: self.received.append(message))

    def signed(self, message: S, signer: int) -> S:
        public = self.participant.members.members[signer].operator_key
        secret = next(builders.operator(n).secret for n in range(4) if builders.operator(n).public == public)
        return cast(S, message.signed(OperatorIdentity(secret, builders.BACKEND).sign(message.digest)))

    def bundle(self, signer: int = 1, sequence: int = 1, *, epoch: int = 1, votes: Any = (BLOCK,)) -> Bundle:
        ledger = self.participant.ledger
        bundle = Bundle(ledger.chain_id, epoch, ledger.current.set_hash, signer, sequence, False, votes, ())
        return self.signed(bundle, signer)

    def vote(self, kind: Any = Prevote, signer: int = 1, *, height: int = 1, round_: int = 0) -> Any:
        ledger = self.participant.ledger
        vote = kind(ledger.chain_id, 1, ledger.current.set_hash, signer, height, round_, BLOCK)
        return self.signed(vote, signer)

    def forged(self, tx: Transaction) -> Transaction:
        """The same payment with the witness of another key's signature."""
        other = payments(self.network, 2)[1].inputs[0].witness
        signature, key = other[0], tx.inputs[0].witness[1]
        inputs = (tx.inputs[0]._replace(witness=(signature, key)),)
        return Transaction(tx.version, inputs, tx.outputs, tx.lock_time)


class TransactionTest(IntakeTestCase):
    def test_verified_then_admitted(self) -> None:
        peer, tx = self.connect(), payments(self.network, 1)[0]
        self.send(peer, wire.Tx((tx.raw,)))
        self.assertNotIn(tx.txid, self.participant.finality.pool)
        self.assertEqual(self.host.answer(), 1)
        self.assertIn(tx.txid, self.participant.finality.pool)
        self.assertEqual(peer.accused, [])

    def test_malformed(self) -> None:
        one, two = (tx.raw for tx in payments(self.network, 2))
        peer = self.connect()
        self.send(peer, wire.Tx((one, two[:-1], two)))
        self.assertEqual(len(peer.accused), 1)
        self.assertEqual(self.host.answer(), 1)

    def test_a_bad_signature(self) -> None:
        peer, tx = self.connect(), payments(self.network, 1)[0]
        self.send(peer, wire.Tx((self.forged(tx).raw,)))
        self.host.answer()
        self.assertEqual((len(peer.accused), len(self.participant.finality.pool)), (1, 0))
        # The txid is not tainted by a bad witness.
        honest = self.connect(2)
        self.send(honest, wire.Tx((tx.raw,)))
        self.host.answer()
        self.assertIn(tx.txid, self.participant.finality.pool)
        self.assertEqual(honest.accused, [])

    def test_a_duplicate_costs_little(self) -> None:
        peer, tx = self.connect(), payments(self.network, 1)[0]
        prepared: list[bytes] = []
        prepare = self.participant.prepare
        self.patch(self.participant, "prepare", lambda tx: prepared.append(tx.txid) or prepare(tx))
        for other in (peer, self.connect(2), self.connect(3)):
            self.send(other, wire.Tx((tx.raw,)))
        self.assertEqual((self.host.answer(), len(prepared)), (1, 1))
        self.send(peer, wire.Tx((tx.raw,)))
        self.assertEqual((self.host.answer(), peer.accused), (0, []))

    def test_what_no_rule_forbids_for_good_is_no_offence(self) -> None:
        one, two = rivals(self.network, 0)
        spent = builders.Chain(self.network.genesis).coins_of(builders.account(0))[0]
        poor = builders.spend([(*spent, builders.account(0))], [])
        peer = self.connect()
        for tx in (one, two, poor):
            self.send(peer, wire.Tx((tx.raw,)))
            self.host.answer()
        self.assertEqual((peer.accused, len(self.participant.finality.pool)), ([], 2))

    def test_orphans_ask_for_their_parents_and_follow_them(self) -> None:
        parent, child = chain_of(self.network, 2)
        peer = self.connect()
        self.send(peer, wire.Tx((child.raw,)))
        self.assertEqual(self.host.answer(), 0)
        self.assertIn(child.txid, self.participant.finality.orphans)
        self.network.now = self.host.now = self.host.now + 1_000
        self.gossip.tick(self.host.now)
        self.assertEqual([m.ids for m in peer.take(wire.GetTx)], [(parent.txid,)])
        self.send(peer, wire.Tx((parent.raw,)))
        self.host.answer()
        for effect in self.participant.take_effects():
            for tx in getattr(effect, "txs", ()):
                self.intake.offer(tx, None)
        self.host.answer()
        self.assertIn(child.txid, self.participant.finality.pool)

    def test_orphans_of_a_lost_peer_go(self) -> None:
        child = chain_of(self.network, 2)[1]
        peer = self.connect()
        self.send(peer, wire.Tx((child.raw,)))
        self.lose(peer)
        self.assertNotIn(child.txid, self.participant.finality.orphans)

    def test_bodies_that_a_proposal_waits_for(self) -> None:
        """Whatever the pool says to them: known with another witness, orphans, against a rule, badly signed."""
        known, other = payments(self.network, 2)
        orphan = chain_of(self.network, 2)[1]
        spent = builders.Chain(self.network.genesis).coins_of(builders.account(3))[0]
        poor = builders.spend([(*spent, builders.account(3))], [])
        forged = self.forged(payments(self.network, 3)[2])
        peer = self.connect()
        self.send(peer, wire.Tx((known.raw,)))
        self.host.answer()
        wanted = [known, orphan, poor, forged]
        fetched: list[bytes] = []
        self.patch(self.participant, "wants_body", {tx.wtxid for tx in wanted}.__contains__)
        self.patch(self.participant, "body_fetched", lambda tx, now: fetched.append(tx.wtxid))
        for tx in (*wanted, other):
            self.send(peer, wire.Tx((tx.raw,)))
            self.host.answer()
        self.assertEqual(fetched, [tx.wtxid for tx in wanted])
        # Who relays a proposer's bad witness need not have verified it.
        self.assertEqual(peer.accused, [])

    def test_inv_and_requests(self) -> None:
        tx = payments(self.network, 1)[0]
        peer = self.connect()
        self.send(peer, wire.Inv((tx.txid,)))
        self.assertEqual([m.ids for m in peer.take(wire.GetTx)], [(tx.txid,)])
        self.send(peer, wire.Tx((tx.raw,)))
        self.host.answer()
        self.send(peer, wire.Inv((tx.txid,)))
        self.assertEqual(peer.take(wire.GetTx), [])
        self.send(peer, wire.GetTx((tx.txid, BLOCK)))
        self.assertEqual(peer.sent, [wire.Tx((tx.raw,)), wire.NotFound((BLOCK,))])
        self.send(peer, wire.NotFound((BLOCK,)))
        self.assertEqual(peer.accused, [])


class SignedTest(IntakeTestCase):
    def test_delivered_when_verified(self) -> None:
        self.watch()
        peer = self.connect()
        prevote, precommit = self.vote(signer=1), self.vote(Precommit, 2)
        bundle = self.bundle(3)
        self.send(peer, wire.Votes((prevote.encode(),), (precommit.encode(),)))
        self.send(peer, wire.Bundles((bundle.encode(),)))
        self.assertEqual(self.received, [])
        self.assertEqual(self.host.answer(), 3)
        self.assertEqual(self.received, [prevote, precommit, bundle])
        self.assertEqual(peer.accused, [])

    def test_malformed(self) -> None:
        for message in (
            wire.Votes((b"?",)),
            wire.Votes((), (self.vote(Precommit).encode() + b"?",)),
            wire.Bundles((b"?",)),
            wire.Bundles((self.bundle().encode()[:-1],)),
            wire.Proposal(b"?"),
            wire.Pol((b"?",)),
        ):
            peer = self.connect()
            self.send(peer, message)
            self.assertEqual((len(peer.accused), self.host.answer()), (1, 0), message)

    def test_bad_signatures(self) -> None:
        self.watch()
        for message in (
            wire.Votes((self.vote().signed(bytes(64)).encode(),)),
            wire.Bundles((self.bundle().signed(b"\x01" * 64).encode(),)),
            wire.Pol((self.vote().encode(), self.vote(signer=2).signed(bytes(64)).encode())),
        ):
            peer = self.connect()
            self.send(peer, message)
            self.assertEqual(self.host.answer(), 1)
            self.assertEqual((len(peer.accused), self.received), (1, []), message)

    def test_no_members(self) -> None:
        ledger = self.participant.ledger
        for signer, set_hash in ((4, ledger.current.set_hash), (1, ZERO)):
            peer = self.connect()
            bundle = Bundle(ledger.chain_id, 1, set_hash, signer, 1, False, (BLOCK,), ())
            self.send(peer, wire.Bundles((bundle.encode(),)))
            self.assertEqual((len(peer.accused), self.host.answer()), (1, 0))
            # A POL may be late: of a height of another set.
            vote = Prevote(ledger.chain_id, 1, set_hash, signer, 1, 0, BLOCK)
            late = self.connect(2)
            self.send(late, wire.Pol((vote.encode(),)))
            self.assertEqual((late.accused, self.host.answer()), ([], 0))

    def test_old_and_far_ones_are_dropped(self) -> None:
        self.watch()
        peer = self.connect()
        for height in (0, 3, 9):
            self.send(peer, wire.Votes((self.vote(height=height).encode(),)))
        for epoch in (0, 3):
            self.send(peer, wire.Bundles((self.bundle(epoch=epoch).encode(),)))
        self.assertEqual((self.host.answer(), peer.accused, len(self.intake._ahead)), (0, [], 0))

    def test_duplicates_are_not_verified_again(self) -> None:
        peer = self.connect()
        bundle, vote = self.bundle(), self.vote()
        message = wire.Bundles((bundle.encode(),)), wire.Votes((vote.encode(),))
        for each in message:
            self.send(peer, each)
        self.announce()
        self.patch(Bundle, "decode", lambda raw: self.fail("decoded again"))
        for each in message:
            self.send(peer, each)
        self.assertEqual((self.host.answer(), peer.accused), (0, []))

    def test_a_pol_is_one_question(self) -> None:
        pols: list[tuple[int, bytes, list[Prevote]]] = []
        self.patch(self.participant, "pol", lambda *arguments: pols.append(arguments[:3]))
        votes = [self.vote(signer=signer) for signer in range(3)]
        peer = self.connect()
        self.send(peer, wire.Pol(tuple(vote.encode() for vote in votes)))
        self.send(peer, wire.Pol(()))
        self.assertEqual(self.host.answer(), 1)
        self.assertEqual(pols, [(0, BLOCK, votes)])

    def test_late_precommits_of_the_tip(self) -> None:
        self.watch()
        network = self.network
        network.start(1, 2, 3)
        self.assertTrue(network.run_to_epoch(2))
        ledger = self.participant.ledger
        self.assertIs(self.participant, network[0].participant)
        vote = Precommit(ledger.chain_id, 1, ledger.tip_set.set_hash, 1, 1, 0, BLOCK)
        peer = self.connect()
        self.received.clear()
        self.send(peer, wire.Votes((), (self.signed(vote, 1).encode(),)))
        self.assertEqual(self.host.answer(), 1)
        self.assertEqual((len(self.received), peer.accused), (1, []))

    def test_answers_for_a_peer_that_is_gone(self) -> None:
        self.watch()
        peer = self.connect()
        vote = self.vote()
        self.send(peer, wire.Votes((vote.encode(), self.vote(signer=2).signed(bytes(64)).encode())))
        self.send(peer, wire.Status(1, 1, 0, 0, ZERO))
        self.lose(peer)
        self.host.answer()
        # What it sent is as good as from anybody else; what it told of itself is not.
        self.assertEqual(self.received, [vote])
        self.assertEqual([what for what, _, _ in self.blocks.told], ["lost"])
        self.send(peer, wire.Votes((vote.encode(),)))
        self.assertEqual(self.host.answer(), 0)


class AheadTest(IntakeTestCase):
    """Messages of the next height and of the next epoch."""

    def go(self, *, height: int, epoch: int) -> None:
        participant = self.participant
        ledger = participant.ledger

        class Later:
            def __getattr__(self, name: str) -> Any:
                return epoch if name == "epoch" else getattr(ledger, name)

        class Height:
            def __getattr__(self, name: str) -> Any:
                return height if name == "height" else lambda message: True

        self.patch(type(participant), "ledger", property(lambda _: Later()))
        self.patch(type(participant), "height", property(lambda _: Height()))

    def test_kept_and_taken_when_their_time_comes(self) -> None:
        self.watch()
        peer = self.connect()
        vote, bundle = self.vote(height=2), self.bundle(epoch=2)
        self.send(peer, wire.Votes((vote.encode(),)))
        self.send(peer, wire.Bundles((bundle.encode(),)))
        self.assertEqual((self.host.answer(), len(self.intake._ahead)), (0, 2))
        self.go(height=2, epoch=1)
        self.intake.height_opened()
        self.host.answer()
        self.assertEqual(self.received, [vote])
        self.go(height=3, epoch=2)
        self.intake.height_opened()
        self.host.answer()
        self.assertEqual((self.received, peer.accused), ([vote, bundle], []))
        self.assertEqual((len(self.intake._ahead), self.intake._ahead_bytes), (0, 0))

    def test_what_waits_for_the_epoch_is_not_decoded_at_each_height(self) -> None:
        peer = self.connect()
        self.send(peer, wire.Bundles((self.bundle(epoch=2).encode(),)))
        self.patch(Bundle, "decode", lambda raw: self.fail("decoded again"))
        self.go(height=2, epoch=1)
        self.intake.height_opened()
        self.assertEqual(len(self.intake._ahead), 1)

    def test_of_a_peer_that_is_gone(self) -> None:
        self.watch()
        peer, vote = self.connect(), self.vote(height=2)
        self.send(peer, wire.Votes((vote.encode(),)))
        self.lose(peer)
        self.go(height=2, epoch=1)
        self.intake.height_opened()
        self.host.answer()
        self.assertEqual(self.received, [vote])

    def test_bounded(self) -> None:
        self.patch(module, "MAX_AHEAD", 3)
        peer = self.connect()
        votes = [self.vote(height=2, signer=signer, round_=round_) for signer in (1, 2) for round_ in (0, 1, 2)]
        for vote in votes:
            self.send(peer, wire.Votes((vote.encode(),)))
        self.assertEqual([early.raw for early in self.intake._ahead], [vote.encode() for vote in votes[3:]])
        self.patch(module, "MAX_AHEAD_BYTES", 2 * len(votes[0].encode()))
        self.send(peer, wire.Votes((votes[0].encode(),)))
        self.assertEqual(len(self.intake._ahead), 2)
        self.assertEqual(self.intake._ahead_bytes, 2 * len(votes[0].encode()))


class PressureTest(IntakeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(module, "BACKLOG_HIGH", 4)
        self.patch(module, "BACKLOG_LOW", 2)
        self.watch()

    def votes(self, count: int) -> wire.Votes:
        return wire.Votes(tuple(self.vote(round_=round_).encode() for round_ in range(count)))

    def answer_one(self) -> None:
        checks, answer = self.host.questions.popleft()
        answer(check_all(builders.BACKEND, checks))

    def test_nobody_is_read_while_too_much_is_unverified(self) -> None:
        one, two = self.connect(1), self.connect(2)
        self.send(one, wire.Status(1, 1, 0, 0, ZERO))
        for _ in range(3):
            self.send(one, wire.Status(1, 1, 0, 0, ZERO))
        self.assertFalse(one.paused or two.paused)
        self.send(two, wire.Status(1, 1, 0, 0, ZERO))
        self.assertTrue(one.paused and two.paused)
        for _ in range(3):
            self.answer_one()
        self.assertTrue(one.paused and two.paused)
        self.answer_one()
        self.assertFalse(one.paused or two.paused)

    def test_a_peer_that_is_gone_is_not_resumed(self) -> None:
        one, two = self.connect(1), self.connect(2)
        for _ in range(5):
            self.send(one, wire.Status(1, 1, 0, 0, ZERO))
        self.lose(one)
        self.host.answer()
        self.assertTrue(one.paused)
        self.assertFalse(two.paused)

    def test_a_peer_that_comes_meanwhile(self) -> None:
        one = self.connect(1)
        for _ in range(5):
            self.send(one, wire.Status(1, 1, 0, 0, ZERO))
        two = self.connect(2)
        self.send(two, wire.Status(1, 1, 0, 0, ZERO))
        self.assertTrue(two.paused)
        self.host.answer()
        self.assertFalse(one.paused or two.paused)


class PeerTest(IntakeTestCase):
    def test_a_status_waits_for_the_signatures_before_it(self) -> None:
        peer = self.connect()
        self.watch()
        self.send(peer, wire.Votes((self.vote().encode(),)))
        self.send(peer, wire.Status(1, 1, 0, 0, ZERO))
        self.assertEqual(self.blocks.told, [])
        self.host.answer()
        self.assertEqual([what for what, _, _ in self.blocks.told], ["status"])

    def test_block_sync_is_told(self) -> None:
        peer = self.connect()
        view = self.gossip.view(peer)
        asked, answer = wire.GetBlocks(1, 1), wire.Blocks(())
        self.send(peer, asked)
        self.send(peer, answer)
        self.assertEqual(self.blocks.told, [("get_blocks", view, asked), ("blocks", view, answer)])

    def test_requests(self) -> None:
        bundle, peer = self.bundle(), self.connect()
        self.send(peer, wire.Bundles((bundle.encode(),)))
        self.announce()
        peer.sent.clear()
        self.send(peer, wire.GetBundles(1, 1, 1, 10))
        self.assertEqual(peer.take(wire.Bundles), [wire.Bundles((bundle.encode(),))])
        self.send(peer, wire.GetProposal(1, block_hash=BLOCK))
        self.send(peer, wire.GetPol(1, 0, BLOCK))
        self.assertEqual((peer.sent, peer.accused), ([], []))

    def test_strangers_are_not_heard(self) -> None:
        stranger = NotedPeer(9)
        self.send(stranger, wire.Votes((b"?",)))
        self.assertEqual(stranger.accused, [])
        self.lose(stranger)
        self.assertEqual(self.blocks.told, [])

    def test_one_that_closed_before_its_turn(self) -> None:
        self.host.busy = True
        peer = NotedPeer(1)
        self.intake.peer_connected(peer)
        peer.is_established = False
        for work in self.host.held:
            work()
        self.assertIsNone(self.gossip.view(peer))

    def test_the_order_is_kept_while_a_block_is_applied(self) -> None:
        self.watch()
        self.host.busy = True
        peer = NotedPeer(1)
        self.intake.peer_connected(peer)
        self.send(peer, wire.Votes((self.vote().encode(),)))
        self.lose(peer)
        self.assertEqual(self.host.questions, deque())
        self.host.busy = False
        for work in self.host.held:
            work()
        self.host.answer()
        self.assertEqual((len(self.received), self.gossip.view(peer)), (1, None))
