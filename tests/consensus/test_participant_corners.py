"""Corners of the joined participant: what comes late, twice, or never; what is kept, asked and counted."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Link, Network, Node
from tests.consensus.scenarios import archived_everywhere, chain_of, final_everywhere, payments
from timecoin.consensus import effects as fx
from timecoin.consensus.asking import MAX_ASKED_AGAIN
from timecoin.consensus.effects import Change
from timecoin.consensus.records import RecordKind, decode_record
from timecoin.consensus.standing import Standing, messages_for
from timecoin.consensus.votes import Prevote
from timecoin.ledger.params import Parameters
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Block, Commit
from timecoin.primitives.transaction import Transaction

DELAY = (10,)


class TwiceTest(SynchronousTestCase):
    def _decided_elsewhere(self) -> tuple[Network, Node, Block, Commit]:
        """One node hears no precommits of a block that the others have decided."""
        network = Network(4).start()
        network.run_to_epoch(2)
        last = network[3]

        def route(link: Link, message: wire.Message) -> tuple[int, ...]:
            precommits = isinstance(message, wire.Votes) and message.precommits
            return () if link.target is last and (precommits or isinstance(message, wire.Status)) else DELAY

        network.route = route
        self.assertTrue(network.run_to_height(2, 12_000, network.nodes[:3]))
        network.run(20)
        self.assertEqual(last.height, 1)
        return network, last, network[0].disk.blocks[2], network[0].disk.commits[2]

    def _precommits(self, network: Network) -> list[fx.SignedMessage]:
        previous = network[0].participant._deciding.previous
        assert previous is not None
        return list(previous.ballots.precommits(0).missing_from(0))

    def test_adopted_while_tendermint_decides(self) -> None:
        """The block is judged as decided elsewhere, and decided here meanwhile: it is stored once."""
        network, last, block, commit = self._decided_elsewhere()
        network.route = lambda link, message: () if link.target is last else DELAY
        network.job_ms = lambda: 300
        last.feed(lambda: self.assertTrue(last.participant.adopt(block, commit, last.now_ms())))
        for precommit in self._precommits(network):
            last.feed(lambda precommit=precommit: last.participant.receive(precommit, last.now_ms()))
        network.run(100)
        self.assertEqual(last.height, 2)
        self.assertTrue(last.participant.syncing)
        network.run(400)
        self.assertEqual([stored.header.height for stored in last.disk.blocks], [0, 1, 2])
        self.assertFalse(last.participant.syncing)
        network.route = lambda link, message: DELAY
        self.assertTrue(network.run_to_epoch(5))
        network.close()

    def test_tendermint_decides_while_adopting(self) -> None:
        network, last, block, commit = self._decided_elsewhere()
        network.job_ms = lambda: 5
        network.disk_ms = lambda: 100
        network.route = lambda link, message: () if link.target is last else DELAY
        last.feed(lambda: self.assertTrue(last.participant.adopt(block, commit, last.now_ms())))
        network.run(50)
        self.assertFalse(last.participant.adopt(block, commit, last.now_ms()))
        for precommit in self._precommits(network):
            last.feed(lambda precommit=precommit: last.participant.receive(precommit, last.now_ms()))
        network.run(500)
        self.assertEqual(last.height, 2)
        network.route = lambda link, message: DELAY
        self.assertTrue(network.run_to_epoch(5))
        network.close()

    def test_own_precommit_durable_after_the_decision(self) -> None:
        """A slow disk: the others decide first; the node's own next block still names it."""
        network = Network(4)
        slow = network[0]
        slow.disk_lag = 100
        network.start()
        self.assertTrue(network.run_to_epoch(9, 90_000))
        blocks = network[1].disk.blocks
        own = [block for block in blocks[2:] if block.header.proposer_index == slow.participant.signer]
        self.assertTrue(own)
        for block in own:
            self.assertEqual(len(block.last_commit.signatures), 4)
        network.close()

    def test_not_the_next(self) -> None:
        network, _, block, commit = self._decided_elsewhere()
        self.assertFalse(network[0].participant.adopt(block, commit, network.now))

    def test_false_block(self) -> None:
        """A commit that is not a quorum's: its sender is named, nothing stays open, the right one is
        taken.
        """
        network, last, block, commit = self._decided_elsewhere()
        few = Commit(commit.height, commit.round, commit.block_hash, commit.signatures[:2])
        for bad in (few, network[0].disk.commits[1]):
            last.feed(lambda bad=bad: self.assertTrue(last.participant.adopt(block, bad, last.now_ms())))
            network.run(50)
        self.assertEqual([type(alarm) for alarm in last.alarms], [fx.BadBlock, fx.BadBlock])
        self.assertFalse([reader for reader in last.readers if reader.open])
        last.feed(lambda: self.assertTrue(last.participant.adopt(block, commit, last.now_ms())))
        network.run(100)
        self.assertEqual(last.height, 2)


class BorderTest(SynchronousTestCase):
    def test_new_epoch_is_not_sealed_by_the_old_height(self) -> None:
        """What is certified while the closing block is applied does not reach the checks of its height."""
        network = Network(4).start()
        network.run_to_epoch(2)
        network.run(500)
        calls: list[bool] = []
        node = network[0]
        changed = node.participant._current.certificates_changed
        node.participant._current.certificates_changed = lambda txids: (  # type: ignore[method-assign]
            calls.append(node.participant.busy),
            changed(txids),
        )[1]
        txs = payments(network, 3)
        node.submit(*txs)
        self.assertTrue(network.run_to_epoch(3))
        self.assertTrue(calls)
        self.assertFalse(any(calls))
        self.assertFalse(any(each.participant.finality.sealed for each in network.nodes))

    def test_own_bundle_durable_after_the_border(self) -> None:
        """It must not take the place of the new epoch's bundle of that number: nobody would get that one."""
        network = Network(4).start()
        (tx,) = payments(network, 1)
        network[0].submit(tx)
        network.run(500)
        node = network[0]
        signer = node.participant.signer
        assert signer is not None
        (old,) = {bundle for bundle in node.participant.finality.certificate(tx.txid) if bundle.signer == signer}
        self.assertTrue(network.run_to_epoch(2))
        node.gossip.announce(old)
        self.assertIsNone(node.gossip._shelf.get(signer, old.sequence))
        self.assertNotIn(signer, node.gossip._shelf.highest)

    def test_new_epoch_is_not_sealed_by_late_precommits(self) -> None:
        """A node waits for a certificate, gets the decided closing block, and then the votes that decided it."""
        network = Network(4).start()
        network.run_to_epoch(2)
        network.run(500)
        last = network[3]
        network.route = lambda link, message: (
            ()
            if link.target is last
            and (
                isinstance(message, wire.Bundles | wire.Votes)
                # It learns from one node alone that the epoch is over.
                or (link.source is not network[0] and isinstance(message, wire.Status))
            )
            else DELAY
        )
        network[0].submit(*payments(network, 1))
        self.assertTrue(network.run_to_epoch(3))
        network.run(50)
        previous = network[0].participant._deciding.previous
        assert previous is not None
        for precommit in previous.ballots.precommits(0).missing_from(0):
            last.feed(lambda precommit=precommit: last.participant.receive(precommit, last.now_ms()))
        self.assertEqual(last.participant.ledger.epoch, 3)
        self.assertFalse(last.participant.finality.sealed)
        # It knows who decided: its own blocks name them all.
        self.assertEqual(len(last.participant._current.last_commit.signatures), 4 - 1)

    def test_pending_expires(self) -> None:
        """Nobody ever votes for it: after six openings it is rejected, and carried no more."""
        network = Network(4, parameters=Parameters.for_epoch_seconds(4)).start()
        network.run(200)
        network.route = lambda link, message: (
            () if isinstance(message, wire.Tx | wire.Inv | wire.Bundles | wire.NotFound) else DELAY
        )
        (tx,) = payments(network, 1)
        network[0].submit(tx)
        self.assertTrue(network.run_to_epoch(8, 60_000))
        network.run(100)
        rejected = [report for report in network[0].reports if report.change is Change.REJECTED]
        self.assertEqual([(r.txid, r.reason) for r in rejected], [(tx.txid, "expired")])
        self.assertEqual(list(network[0].participant.pending()), [])
        kinds = [decode_record(record).kind for record in network[0].disk.journal]
        self.assertNotIn(RecordKind.PENDING, kinds)

    def test_openings_survive_restarts(self) -> None:
        network = Network(4, parameters=Parameters.for_epoch_seconds(4)).start()
        network.run(200)
        network.route = lambda link, message: (
            () if isinstance(message, wire.Tx | wire.Inv | wire.Bundles | wire.NotFound) else DELAY
        )
        (tx,) = payments(network, 1)
        node = network[0]
        node.submit(tx)
        for epoch in range(2, 9):
            self.assertTrue(network.run_to_epoch(epoch, 60_000))
            network.run(100)
            node.crash()
            node.boot()
        network.run(100)
        self.assertIn(tx.txid, network.watch.rejected)


class LostTest(SynchronousTestCase):
    def test_body_is_asked_for_until_it_comes(self) -> None:
        """A bundle names it; its signer answers nobody; others do, when they are asked again."""
        network = Network(4).start()
        network.run_to_epoch(2)
        deaf = network[3]
        shut = {0, 1, 2}

        def route(link: Link, message: wire.Message) -> tuple[int, ...]:
            hit = link.target is deaf and isinstance(message, wire.Tx | wire.Inv) and link.source.index in shut
            return () if hit else DELAY

        network.route = route
        (tx,) = payments(network, 1)
        network[0].submit(tx)
        network.run(1_500)
        self.assertNotIn(tx.txid, deaf.participant.finality.pool)
        self.assertIn(tx.txid, network[0].told(Change.FINAL))
        shut.remove(1)
        self.assertTrue(network.run(4_500, lambda: tx.txid in deaf.told(Change.FINAL)))

    def test_body_of_a_block_comes_from_anybody(self) -> None:
        """The proposer does not give the bodies of its block; another node has them."""
        network = Network(4, parameters=Parameters.for_epoch_seconds(60)).start(0, 1, 2)
        trio = network.nodes[:3]
        network.run(1_000)
        (tx,) = payments(network, 1)
        proposer = next(n for n in trio if n.participant.height.proposer(0) == n.participant.signer)
        network[0].submit(tx)
        self.assertTrue(network.run(1_000, lambda: final_everywhere(network, tx)))
        network.start(3)
        late = network[3]
        network.route = lambda link, message: (
            () if link.target is late and link.source is proposer and isinstance(message, wire.Tx) else DELAY
        )
        # It needs the body only when a proposal names it: what bundles tell is kept from it.
        late.participant._ask_again = late.participant._current.ask_again  # type: ignore[method-assign]
        self.assertTrue(network.run_to_height(1, 70_000))
        self.assertIn(tx.txid, late.disk.places)
        network.watch.finish(network.nodes)

    def test_asking_again_is_no_storm(self) -> None:
        """A block that nobody has is asked for every sync interval, not at every look at the clock."""
        network = Network(4).start()
        asked = 0

        def route(link: Link, message: wire.Message) -> tuple[int, ...]:
            nonlocal asked
            if isinstance(message, wire.GetProposal):
                asked += 1
            lost = isinstance(message, wire.Proposal) and link.target.index == 3
            return () if lost or isinstance(message, wire.GetBlocks) else DELAY

        network.route = route
        self.assertTrue(network.run_to_epoch(2, nodes=network.nodes[:3]))
        asked = 0
        network.run(4_000)
        interval = network.genesis.parameters.sync_interval
        self.assertGreater(asked, 0)
        self.assertLessEqual(asked, 3 * (4_000 // interval + 2))

    def test_asking_for_invented_bodies_is_bounded(self) -> None:
        network = Network(4).start(0, 1, 2)
        network.run(500)
        node = network[0]
        for txid in range(3 * MAX_ASKED_AGAIN):
            tally = node.participant.finality.counter.tallies.open(txid.to_bytes(32, "little"))
            tally.votes = 1 << (txid % 2)
        node.participant.take_effects()
        node.participant._ask_again()
        wanted = [each for each in node.participant.take_effects() if isinstance(each, fx.WantTransactions)]
        self.assertEqual([len(each.ids) for each in wanted], [MAX_ASKED_AGAIN] * 2)

    def test_few_timers(self) -> None:
        network = Network(4).start()
        network.run_to_epoch(2)
        before = [node.wakes for node in network.nodes]
        self.assertTrue(network.run_to_epoch(7))
        for node, earlier in zip(network.nodes, before, strict=True):
            self.assertLess(node.wakes - earlier, 5 * 8)


class MemoryTest(SynchronousTestCase):
    def test_rounds_without_end(self) -> None:
        """No quorum for long: the blocks of rounds long past are forgotten."""
        network = Network(4).start()
        (tx,) = payments(network, 1)
        network[0].submit(tx)
        network.run(1_000)
        network.route = lambda link, message: (
            () if isinstance(message, wire.Proposal) and link.target.index > 0 else DELAY
        )
        network.run(120_000)
        for node in network.nodes:
            current = node.participant._current
            self.assertEqual(node.height, 0)
            self.assertGreater(current.machine.round, 8)
            self.assertLessEqual(len(current._candidates), 4)
            contents = [m for m in current._heard if hasattr(m, "content")]
            self.assertLessEqual(len({m.block_hash for m in contents}), 4)
        network.route = lambda link, message: DELAY
        self.assertTrue(network.run_to_epoch(2, 60_000))
        self.assertTrue(archived_everywhere(network, tx))
        network.close()

    def test_nothing_stays_after_archiving(self) -> None:
        network = Network(4).start()
        txs = payments(network, 4)
        network[0].submit(*txs)
        self.assertTrue(network.run_to_epoch(3))
        participant = network[0].participant
        self.assertEqual((list(participant.pending()), participant._final_ms), ([], {}))
        self.assertFalse(participant.finality.has_unarchived())
        self.assertFalse(participant._context.outbox._bodies)

    def test_nothing_stays_after_a_restart(self) -> None:
        """Times to finality that the journal tells of archived transactions are not taken up again."""
        network = Network(4, parameters=Parameters.for_epoch_seconds(8, interim_txs=2)).start()
        network[0].submit(*payments(network, 2))
        self.assertTrue(network.run_to_height(1, 4_000))
        network.run(500)
        kinds = [decode_record(record).kind for record in network[0].disk.journal]
        self.assertIn(RecordKind.FINAL, kinds)
        network[0].crash()
        network[0].boot()
        self.assertEqual(network[0].participant._final_ms, {})
        self.assertEqual(list(network[0].participant.pending()), [])


class JournalTest(SynchronousTestCase):
    def bodies(self, node: Node) -> list[bytes]:
        records = [decode_record(record) for record in node.disk.journal]
        return [Transaction.decode(r.payload).txid for r in records if r.kind is RecordKind.BODY]

    def test_parents_before_children(self) -> None:
        """Each body once, whatever was voted for or acked first."""
        network = Network(4, seed=4).start()
        network.run(300)
        txs = chain_of(network, 6)
        for n, tx in enumerate(txs):
            network.after(20 * n, lambda tx=tx, n=n: network[n % 4].submit(tx))
        network.run(1_500)
        for node in network.nodes:
            self.assertEqual(self.bodies(node), [tx.txid for tx in txs])

    def test_everything_is_restored_from_one_disk(self) -> None:
        """All forget at once; nobody has anything but its journal: final stays final."""
        network = Network(4, seed=4).start()
        txs = chain_of(network, 6)
        for n, tx in enumerate(txs):
            network.after(300 + 30 * n, lambda tx=tx, n=n: network[n % 4].submit(tx))
        self.assertTrue(network.run(2_000, lambda: final_everywhere(network, *txs)))
        network.run(100)
        for node in network.nodes:
            node.crash()
        for node in network.nodes:
            node.boot()
            finality = node.participant.finality
            self.assertEqual(finality.certified_count, 6)
            self.assertEqual(set(finality.acked_unarchived()), {tx.txid for tx in txs})
        self.assertTrue(network.run_to_epoch(2))
        self.assertTrue(archived_everywhere(network, *txs))
        network.close()

    def test_locked_block_survives_with_its_witnesses(self) -> None:
        """All that a lock rests on is on disk: block, bodies, POL. All crash after their precommits."""
        network = Network(4).start()
        (tx,) = payments(network, 1)
        network[0].submit(tx)
        network.run(1_000)
        network.route = lambda link, message: () if isinstance(message, wire.Votes) and message.precommits else DELAY
        locked = lambda node: node.participant.height.locked_hash is not None  # noqa: E731
        self.assertTrue(network.run(10_000, lambda: all(map(locked, network.nodes))))
        network.run(50)
        block_hash = network[0].participant.height.locked_hash
        for node in network.nodes:
            node.crash()
        for node in network.nodes:
            node.boot()
        network.run(200)
        self.assertEqual([node.participant.height.locked_hash for node in network.nodes], [block_hash] * 4)
        network.route = lambda link, message: DELAY
        self.assertTrue(network.run_to_height(1))
        self.assertEqual(network[0].disk.blocks[1].header.hash, block_hash)
        network.close()

    def test_permission_found_again_in_a_later_round(self) -> None:
        """A round in which I may have proposed does not come again, even if that proposal is forgotten."""
        network = Network(4).start()
        network.route = lambda link, message: () if isinstance(message, wire.Proposal) else DELAY
        node = network[1]
        self.assertTrue(network.run(60_000, lambda: node.participant.height.round > 3))
        node.participant._current._heard.clear()
        for silent_until in (1, 0):
            node.participant.permit.silent_until = silent_until
            node.feed(lambda: node.participant.tick(node.now_ms()))
            self.assertGreater(node.participant.height.round, 3)

    def test_permission_lost_and_found_in_one_height(self) -> None:
        """What was drafted before is never drafted a second time, durable or not."""
        network = Network(4).start()
        network.run_to_epoch(2)
        node = network[1]
        network.run(node.participant.slot_ms - network.now - 1)
        network.disk_ms = lambda: 40
        self.assertTrue(network.run(2_000, lambda: bool(node.participant._context.outbox._messages)))
        permit = node.participant.permit
        for _ in range(3):
            permit.silent_until = 2
            node.feed(lambda: node.participant.tick(node.now_ms()))
            self.assertFalse(node.participant.may_sign)
            permit.silent_until = 0
            node.feed(lambda: node.participant.tick(node.now_ms()))
            self.assertTrue(node.participant.may_sign)
            network.run(20)
        self.assertTrue(network.run_to_epoch(4))
        self.assertEqual(node.disk.barred, 0)
        self.assertTrue([vote for vote in network.watch.fresh if vote.signer == node.participant.signer])
        self.assertIsInstance(network.watch.fresh[0], Prevote)
        network.close()

    def test_what_is_not_durable_is_shown_to_nobody(self) -> None:
        """Losing the permission to sign between signature and disk does not make a prevote one that was said.

        Found by the simulator (seed 3045): peers that lack it would have been sent it.
        """
        network = Network(4).start()
        network.run_to_epoch(2)
        node = network[1]
        participant = node.participant
        network.run(participant.slot_ms - network.now - 1)
        network.disk_ms = lambda: 40
        outbox = participant._context.outbox
        self.assertTrue(network.run(2_000, lambda: any(isinstance(message, Prevote) for message in outbox._messages)))
        for silent_until in (2, 0):
            participant.permit.silent_until = silent_until
            node.feed(lambda: participant.tick(node.now_ms()))
            height = participant.height
            lacking = Standing(height.round, height.step, False, 0, 0)
            shown = [message for message in messages_for(height, lacking) if isinstance(message, Prevote)]
            self.assertNotIn(participant.signer, [message.signer for message in shown])
            self.assertFalse(height.ballots.prevotes(height.round).mask >> (participant.signer or 0) & 1)
        self.assertTrue(network.run_to_epoch(4))
        network.close()
