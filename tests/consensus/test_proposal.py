"""Proposals: what is signed, and that everything else is bound to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.heights import CHAIN_ID, EPOCH, HEIGHT, digest, make_content, make_proposal, power_set
from timecoin.consensus.proposal import HEAD_SIZE, NO_ROUND, Content, Proposal, ProposalHead
from timecoin.primitives.block import Block, Commit, evidence_hash
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.merkle import merkle_root
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput

MEMBERS = power_set((1, 1, 1, 1))
TXS = tuple(digest("tx", n) for n in range(3))
CONTENT = make_content(MEMBERS, 5, txs=TXS)
FRESH = make_proposal(MEMBERS, 5, CONTENT)
AGAIN = make_proposal(MEMBERS, 9, CONTENT, 6)


class EncodingTests(SynchronousTestCase):
    def test_body(self) -> None:
        """Protocol.md 4 and 6; the valid round is signed, -1 when there is none."""
        prefix = CHAIN_ID + pack("<I", EPOCH) + MEMBERS.set_hash + pack("<H", 1)
        hash_ = CONTENT.header.hash
        self.assertEqual(FRESH.body(), prefix + pack("<IIiB", HEIGHT, 5, -1, 1) + hash_)
        self.assertEqual(AGAIN.body(), prefix + pack("<IIiB", HEIGHT, 9, 6, 1) + hash_)

    def test_round_trip(self) -> None:
        interim = make_proposal(MEMBERS, 2, make_content(MEMBERS, 2, txs=TXS, closing=False))
        for proposal in (FRESH, AGAIN, interim, make_proposal(MEMBERS, 0, make_content(MEMBERS, 0))):
            data = proposal.encode()
            self.assertEqual(Proposal.decode(data), proposal)
            self.assertEqual(ProposalHead.decode(data), proposal.head)
            self.assertEqual(ProposalHead.decode(data[:HEAD_SIZE]).encode(), data[:HEAD_SIZE])

    def test_round_trip_with_last_commit_and_evidence(self) -> None:
        commit = Commit(HEIGHT - 1, 2, digest("before"), ((0, b"a" * 64), (2, b"b" * 64)))
        evidence = (b"one", b"")
        header = replace(
            CONTENT.header, last_commit_hash=commit.hash, evidence_hash=evidence_hash(evidence)
        )
        content = replace(CONTENT, header=header, last_commit=commit, evidence=evidence)
        proposal = make_proposal(MEMBERS, 5, content)
        self.assertEqual(Proposal.decode(proposal.encode()), proposal)

    def test_content_of_a_block(self) -> None:
        coinbase, payment = (
            Transaction(2, (TxInput(digest("in", n) + bytes(4), b"", 0, witness),), (TxOutput(1, b""),), 0)
            for n, witness in ((0, ()), (1, (b"w",)))
        )
        header = replace(
            CONTENT.header,
            tx_count=2,
            tx_root=merkle_root([coinbase.txid, payment.txid]),
            wtx_root=merkle_root([coinbase.wtxid, payment.wtxid]),
        )
        content = Content.of(Block(header, (coinbase, payment), CONTENT.last_commit))
        self.assertEqual((content.coinbase, content.txs), (coinbase.txid, ((payment.txid, payment.wtxid),)))
        content.check_links()


class LinkTests(SynchronousTestCase):
    def refuses(self, proposal: Proposal) -> None:
        self.assertRaises(DecodeError, Proposal.decode, proposal.encode())

    def test_nobody_can_change_the_content_on_the_way(self) -> None:
        commit = Commit(1, 0, digest("other"), ())
        first, *others = CONTENT.txs
        changes: tuple[Callable[[], Content], ...] = (
            lambda: replace(CONTENT, last_commit=commit),
            lambda: replace(CONTENT, evidence=(b"x",)),
            lambda: replace(CONTENT, coinbase=digest("coinbase")),
            lambda: replace(CONTENT, txs=tuple(others)),
            lambda: replace(CONTENT, txs=(*CONTENT.txs, CONTENT.txs[-1])),
            lambda: replace(CONTENT, txs=((first[0], digest("witness")), *others)),
            lambda: replace(CONTENT, txs=((digest("tx"), first[1]), *others)),
            lambda: replace(CONTENT, txs=(*others, first)),
            lambda: replace(CONTENT, header=replace(CONTENT.header, slot_time=1)),
        )
        for change in changes:
            self.refuses(Proposal(FRESH.head, change()))

    def test_head_and_header_agree(self) -> None:
        head = FRESH.head
        for other in (
            replace(head, closing=False),
            replace(head, height=HEIGHT + 1),
            replace(head, epoch=EPOCH + 1),
            replace(head, chain_id=digest("chain")),
            replace(head, set_hash=digest("set")),
            replace(head, block_hash=digest("block")),
            replace(head, round=6),
            replace(head, valid_round=0),
        ):
            self.refuses(Proposal(other, CONTENT))

    def test_rounds_of_a_proposal_again(self) -> None:
        """Made in round 5: the POL is of round 5 or later, and earlier than the round of the proposal."""
        for valid_round, good in ((4, False), (5, True), (8, True), (9, False), (NO_ROUND, False)):
            proposal = Proposal(replace(AGAIN.head, valid_round=valid_round), CONTENT)
            if good:
                Proposal.decode(proposal.encode())
            else:
                self.refuses(proposal)

    def test_malformed_bytes(self) -> None:
        data = FRESH.encode()
        for bad in (b"", data[:-1], data + b"\x00", data[: HEAD_SIZE - 1], data[:HEAD_SIZE]):
            self.assertRaises(DecodeError, Proposal.decode, bad)
        flags = bytearray(data)
        flags[82] |= 2
        self.assertRaises(DecodeError, Proposal.decode, bytes(flags))
        self.assertRaises(DecodeError, Proposal.decode, data[:HEAD_SIZE] + bytes(5 * 1024 * 1024))

    def test_every_cut_is_refused(self) -> None:
        data = FRESH.encode()
        for size in range(len(data)):
            self.assertRaises(DecodeError, Proposal.decode, data[:size])
