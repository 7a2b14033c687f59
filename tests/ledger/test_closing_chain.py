"""From a trusted closing block to later ones: what follows, and every link that does not."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import BACKEND, Chain, commit_by, network
from timecoin.ledger import closing_chain as cc
from timecoin.ledger.closing_chain import Anchor, ClosingLink, Trusted, follow, follow_all, genesis_anchor, start
from timecoin.ledger.first import first_block
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.tiers import Tier
from timecoin.primitives.block import EMPTY_COMMIT, Commit
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.signing import check_all


class Epochs:
    """A network that a masternode joins in epoch 1, and the links of its closing blocks."""

    def __init__(self) -> None:
        chain = Chain(network(4, tiers=[Tier.SILVER] * 4, accounts=6, funds=20_000 * 10**8))
        self.genesis = chain.genesis
        self.links = [ClosingLink(chain.state.header, EMPTY_COMMIT, chain.state.current)]
        for epoch in range(1, 6):
            txs = [chain.registration(chain.account(0), 9)] if epoch == 1 else []
            if epoch % 2:
                chain.interim(txs or [chain.payment(chain.account(1), chain.account(2), 10**8)])
            chain.close()
            self.links.append(ClosingLink(chain.state.header, chain.tip_commit, chain.state.previous_set))


EPOCHS = Epochs()


class ClosingTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.links = EPOCHS.links
        self.chain_id = EPOCHS.genesis.chain_id

    def trusted(self, epoch: int = 0) -> Trusted:
        link = self.links[epoch]
        return start(self.chain_id, Anchor(link.header.height, link.header.hash), link)

    def resigned(self, epoch: int, **changes: object) -> ClosingLink:
        """The link of an epoch with another header that its whole set signed."""
        link = self.links[epoch]
        header = replace(link.header, **changes)
        assert link.members is not None
        return ClosingLink(header, commit_by(header, link.members), link.members)

    def refused(self, error: type[cc.BadClosingLink], link: ClosingLink, after: int = 1) -> None:
        caught = self.assertRaises(error, follow, self.trusted(after), link)
        self.assertTrue(str(caught).startswith(error.code))


class FollowTest(ClosingTestCase):
    def test_from_genesis(self) -> None:
        self.assertEqual(genesis_anchor(EPOCHS.genesis), (0, first_block(EPOCHS.genesis).block.header.hash))
        first = start(self.chain_id, genesis_anchor(EPOCHS.genesis), self.links[0])
        reached, checks = follow_all(first, self.links[1:])
        self.assertEqual([each.header for each in reached], [link.header for link in self.links[1:]])
        self.assertEqual([each.members for each in reached], [link.members for link in self.links[1:]])
        self.assertEqual(reached[-1].header.next_set_hash, self.links[-1].header.next_set_hash)
        self.assertEqual(len(checks), sum(len(link.commit.signatures) for link in self.links[1:]))
        self.assertTrue(check_all(BACKEND, checks))

    def test_the_sets_changed_on_the_way(self) -> None:
        self.assertEqual([len(link.members or ()) for link in self.links], [4, 4, 4, 5, 5, 5])

    def test_from_any_epoch(self) -> None:
        for epoch in range(1, 5):
            _, checks = follow_all(self.trusted(epoch), self.links[epoch + 1 :])
            self.assertTrue(check_all(BACKEND, checks))

    def test_equal_sets_are_left_out(self) -> None:
        bare = [
            link._replace(members=None) if link.header.set_hash == before.header.set_hash else link
            for before, link in zip(self.links, self.links[1:], strict=False)
        ]
        self.assertEqual([link.members is None for link in bare], [True, True, False, True, True])
        reached, checks = follow_all(self.trusted(), bare)
        self.assertEqual(reached, follow_all(self.trusted(), self.links[1:])[0])
        self.assertTrue(check_all(BACKEND, checks))

    def test_encoding(self) -> None:
        for link in (*self.links, self.links[2]._replace(members=None)):
            self.assertEqual(ClosingLink.decode(*link.encode()), link)
        header, commit, members = self.links[2].encode()
        for bad in ((header[1:], commit, members), (header, b"", members), (header, commit, members[1:])):
            self.assertRaises(DecodeError, ClosingLink.decode, *bad)


class AnchorTest(ClosingTestCase):
    def anchored(self, link: ClosingLink, anchor: Anchor | None = None, chain_id: bytes | None = None) -> Trusted:
        return start(chain_id or self.chain_id, anchor or Anchor(link.header.height, link.header.hash), link)

    def test_another_block(self) -> None:
        right = Anchor(self.links[2].header.height, self.links[2].header.hash)
        for wrong in (self.links[1], self.resigned(2, slot_time=5)):
            self.assertRaises(cc.NotTheAnchor, self.anchored, wrong, right)
        for anchor in (right._replace(height=right.height + 1), right._replace(block_hash=bytes(32))):
            self.assertRaises(cc.NotTheAnchor, self.anchored, self.links[2], anchor)

    def test_another_network(self) -> None:
        self.assertRaises(cc.WrongNetwork, self.anchored, self.links[2], None, bytes(32))

    def test_an_interim_block(self) -> None:
        self.assertRaises(cc.NotClosing, self.anchored, self.resigned(2, closing=False))

    def test_its_set(self) -> None:
        for members in (None, self.links[4].members):
            self.assertRaises(cc.WrongSet, self.anchored, self.links[2]._replace(members=members))

    def test_its_commit_does_not_matter(self) -> None:
        self.assertEqual(self.anchored(self.links[2]._replace(commit=EMPTY_COMMIT)), self.trusted(2))


class RefusedTest(ClosingTestCase):
    def test_a_gap(self) -> None:
        for epoch in (0, 1, 3, 4):
            self.refused(cc.EpochGap, self.links[epoch])

    def test_another_network(self) -> None:
        self.refused(cc.WrongNetwork, self.resigned(2, chain_id=bytes(32)))

    def test_an_interim_block(self) -> None:
        self.refused(cc.NotClosing, self.resigned(2, closing=False))

    def test_heights_and_slots_ascend(self) -> None:
        before = self.links[1].header
        self.refused(cc.NotLater, self.resigned(2, height=before.height))
        self.refused(cc.NotLater, self.resigned(2, height=before.height - 1))
        self.refused(cc.NotLater, self.resigned(2, slot_time=before.slot_time))

    def test_the_next_block_names_its_parent(self) -> None:
        self.assertEqual(self.links[2].header.height, self.links[1].header.height + 1)
        self.refused(cc.NotLater, self.resigned(2, previous=bytes(32)))

    def test_a_set_that_was_not_promised(self) -> None:
        self.refused(cc.WrongSet, self.links[2]._replace(members=self.links[4].members))
        link = self.links[2]
        assert link.members is not None
        richer = PowerSet([member._replace(power=member.power + 1) for member in link.members.members])
        header = replace(link.header, set_hash=richer.set_hash)
        self.refused(cc.WrongSet, ClosingLink(header, commit_by(header, richer), richer))
        self.refused(cc.WrongSet, self.resigned(2, set_hash=richer.set_hash))

    def test_a_set_left_out_that_changed(self) -> None:
        self.refused(cc.WrongSet, self.links[3]._replace(members=None), after=2)

    def test_a_commit_for_another_block(self) -> None:
        link = self.links[2]
        self.refused(cc.UnprovenClosing, link._replace(commit=self.links[1].commit))
        self.refused(cc.UnprovenClosing, link._replace(commit=replace(link.commit, height=9)))
        self.refused(cc.UnprovenClosing, link._replace(header=replace(link.header, state_hash=bytes(32))))

    def test_no_quorum(self) -> None:
        link = self.links[2]
        assert link.members is not None
        self.refused(cc.UnprovenClosing, link._replace(commit=commit_by(link.header, link.members, 0, [0, 1])))
        self.refused(cc.UnprovenClosing, link._replace(commit=replace(link.commit, signatures=())))

    def test_forged_signatures_fail_the_checks(self) -> None:
        link = self.links[2]
        (signer, signature), *others = link.commit.signatures
        for false in (bytes(64), signature[:-1] + bytes([signature[-1] ^ 1]), others[0][1]):
            forged = replace(link.commit, signatures=((signer, false), *others))
            self.fails(link._replace(commit=forged))

    def test_a_commit_of_another_round_or_epoch_fails_the_checks(self) -> None:
        link = self.links[2]
        self.fails(link._replace(commit=replace(link.commit, round=link.commit.round + 1)))
        assert link.members is not None
        other = commit_by(replace(link.header, epoch=7), link.members)
        self.fails(link._replace(commit=Commit(link.header.height, 0, link.header.hash, other.signatures)))

    def fails(self, link: ClosingLink) -> None:
        _, checks = follow(self.trusted(1), link)
        self.assertFalse(check_all(BACKEND, checks))
