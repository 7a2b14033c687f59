"""The judge of the crash tests must see what it is there to see: each contradiction, made by hand."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.functional.testimony import BACKEND, ArchivedBlock, Testimony
from timecoin.cli.new_network import Seat, make_network
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proposal import Content, Proposal, ProposalHead
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.first import first_state
from timecoin.ledger.params import Parameters
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.tiers import Tier
from timecoin.primitives.hashes import ZERO
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput, make_outpoint

A, B = b"\x0a" * 32, b"\x0b" * 32


class TestimonyTests(SynchronousTestCase):
    def setUp(self) -> None:
        seats = [Seat(Tier.BRONZE, ServiceAddress.parse(f"127.0.0.1:{20_000 + n}")) for n in range(4)]
        self.made = make_network("devnet", 1_700_000_000, seats, Parameters.for_epoch_seconds(10))
        self.chain_id = self.made.genesis.chain_id
        self.testimony = Testimony(self.made.genesis)
        self.secrets = {BACKEND.public_key(each.operator): each.operator for each in self.made.masternodes}

    def _sign(self, statement: Any, signer: int) -> bytes:
        key = self.testimony.members.members[signer].operator_key
        return BACKEND.sign_compact(self.secrets[key], statement.digest)

    def _prefix(self, signer: int) -> tuple[bytes, int, bytes, int]:
        return self.chain_id, 1, self.testimony.members.set_hash, signer

    def bundle(
        self, sequence: int, *, votes: Any = (), acks: Any = (), seal: bool = False, signer: int = 0
    ) -> None:
        bare = Bundle(*self._prefix(signer), sequence, seal, tuple(votes), tuple(acks))
        self.testimony.take(bare.signed(self._sign(bare, signer)))

    def prevote(self, block: bytes, *, round: int = 0, fresh: bool = False, signer: int = 0) -> None:
        bare = Prevote(*self._prefix(signer), 1, round, block, fresh=fresh)
        self.testimony.take(bare.signed(self._sign(bare, signer)))

    def precommit(self, block: bytes, *, round: int = 0, signer: int = 0) -> None:
        bare = Precommit(*self._prefix(signer), 1, round, block)
        self.testimony.take(bare.signed(self._sign(bare, signer)))

    def found(self, *blocks: ArchivedBlock) -> str:
        return "; ".join(self.testimony.contradictions(blocks))

    def test_an_honest_life(self) -> None:
        self.bundle(1, votes=[A])
        self.bundle(2, acks=[A])
        self.bundle(2, acks=[A])
        self.bundle(3, votes=[B], seal=True)
        self.bundle(4, votes=[A])
        self.prevote(A, fresh=True)
        self.precommit(A)
        self.prevote(ZERO, round=1)
        self.precommit(ZERO, round=1)
        self.prevote(A, round=2)
        self.assertEqual("", self.found())
        self.assertEqual(9, self.testimony.count(0))

    def test_forged(self) -> None:
        self.testimony.take(Prevote(*self._prefix(0), 1, 0, A))
        self.assertEqual((1, 0), (self.testimony.forged, self.testimony.count(0)))

    def test_two_bodies(self) -> None:
        self.bundle(1, votes=[A])
        self.bundle(1, votes=[B])
        self.assertIn("two bundles", self.found())
        self.prevote(A)
        self.prevote(B)
        self.assertIn("two prevotes", self.found())
        self.precommit(A)
        self.precommit(ZERO)
        self.assertIn("two precommits", self.found())

    def test_rivals(self) -> None:
        coin = make_outpoint(A, 0)
        rivals = [Transaction(2, (TxInput(coin),), (TxOutput(n, p2wpkh(bytes(20))),)) for n in (1, 2)]
        for number, tx in enumerate(rivals):
            self.testimony.body(tx)
            self.bundle(number + 1, votes=[tx.txid])
        self.assertIn("voted for rivals", self.found())

    def test_an_ack_after_the_seal(self) -> None:
        self.bundle(1, acks=[A], seal=True)
        self.assertEqual("", self.found())
        self.bundle(2, acks=[B])
        self.assertIn("acked after its seal", self.found())

    def test_leaving_a_lock(self) -> None:
        self.precommit(A)
        self.prevote(B, round=2)
        self.assertIn("left its lock", self.found())
        for signer in (1, 2, 3):
            self.prevote(B, round=1, signer=signer)
        self.assertEqual("", self.found())

    def test_an_ack_left_out(self) -> None:
        block = first_state(self.made.genesis)[0]
        content = Content.of(block)
        bare = ProposalHead(*self._prefix(1), 1, 0, -1, True, content.header.hash)
        signed = ProposalHead(*self._prefix(1), 1, 0, -1, True, content.header.hash, self._sign(bare, 1))
        self.testimony.take(Proposal(signed, content))
        self.bundle(1, acks=[A])
        self.prevote(content.header.hash, fresh=True)
        self.assertIn("without 1 that it acked", self.found())
        self.assertIn("without 1 that it acked", self.found(ArchivedBlock(1, [A])))
        self.assertEqual("", self.found(ArchivedBlock(0, [A])))
