"""One small network with three closed epochs and a payment in each way of being proved."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from tests.ledger.builders import BACKEND, Chain, network, operator
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proof import StatementProof, prove
from timecoin.ledger.closing_chain import Anchor, ClosingLink
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.tiers import Tier
from timecoin.primitives.block import EMPTY_COMMIT
from timecoin.primitives.transaction import Transaction
from timecoin.proofs.making import finality_proof, foundation_of, linked_inclusion, signed_inclusion
from timecoin.proofs.values import FinalityProof, InclusionProof

COIN = 10**8
OTHERS = tuple(bytes([n]) * 32 for n in range(1, 20))


class Story:
    """Four silver masternodes, a bronze one from epoch 3 on; ``paid[e]`` is archived in epoch e, ``open`` final in 4.

    Epochs 1 and 3 have interim blocks.
    """

    def __init__(self) -> None:
        self.chain = chain = Chain(network(4, tiers=[Tier.SILVER] * 4, accounts=9, funds=20_000 * COIN))
        self.links = [ClosingLink(chain.state.header, EMPTY_COMMIT, chain.state.current)]
        self.paid: dict[int, list[Transaction]] = {}
        for epoch in (1, 2, 3):
            first = chain.payment(chain.account(1), chain.account(2), COIN)
            if epoch % 2:
                joining = [chain.registration(chain.account(0), 9)] if epoch == 1 else []
                chain.interim([first, *joining])
            second = chain.payment(chain.account(2 + epoch), chain.account(1), 2 * COIN)
            chain.close([second] if epoch % 2 else [first, second])
            self.paid[epoch] = [first, second]
            self.links.append(ClosingLink(chain.state.header, chain.tip_commit, chain.state.previous_set))
        self.open = chain.payment(chain.account(7), chain.account(8), 3 * COIN)
        self.members = chain.state.current

    @property
    def anchor(self) -> Anchor:
        """Block 0."""
        return self.anchor_of(0)

    def anchor_of(self, epoch: int) -> Anchor:
        """The closing block of an epoch."""
        header = self.links[epoch].header
        return Anchor(header.height, header.hash)

    def bundle(
        self,
        signer: int,
        txid: bytes,
        *,
        epoch: int = 4,
        acks: bool = True,
        others: int = 19,
        sequence: int = 1,
        members: PowerSet | None = None,
        chain_id: bytes | None = None,
    ) -> Bundle:
        """A signed bundle with acks (or votes) of others and of ``txid``, which comes third."""
        members = members or self.members
        said = (*OTHERS[: min(2, others)], txid, *OTHERS[2:others])
        lists = (OTHERS[:1], said) if acks else (said, OTHERS[:1])
        chain_id = chain_id or self.chain.genesis.chain_id
        bundle = Bundle(chain_id, epoch, members.set_hash, signer, sequence, False, *lists)
        return bundle.signed(self.key(members, signer).sign_compact(bundle.digest))

    @staticmethod
    def key(members: PowerSet, signer: int):  # type: ignore[no-untyped-def]
        """The operator's key of a member."""
        keys = {operator(number).public: operator(number) for number in range(10)}
        return keys[members.members[signer].operator_key]

    def acks(self, *signers: int, **how: object) -> tuple[StatementProof, ...]:
        """Acks of the open payment."""
        txid = self.open.txid
        return tuple(prove(self.bundle(signer, txid, **how), txid, ack=True) for signer in signers)  # type: ignore[arg-type]

    def finality(self, since: int = 0) -> FinalityProof:
        """The open payment is final, from the closing block of epoch ``since`` on."""
        bundles = [self.bundle(signer, self.open.txid) for signer in range(5)]
        foundation = foundation_of(self._links(since, 3))
        return finality_proof(self.open.txid, foundation, self.members, bundles, self.open)

    def signed(self, epoch: int, number: int, since: int = 0) -> InclusionProof:
        """A payment of an epoch is in its block, by the commit."""
        height, txids = self._place(epoch, number)
        block, commit = self.chain.blocks[height], self.chain.commits[height]
        members = self.links[epoch].members
        assert members is not None
        foundation = foundation_of(self._links(since, epoch - 1))
        tx = self.paid[epoch][number]
        return signed_inclusion(tx.txid, foundation, block.header, commit, members, txids, tx)

    def linked(self, epoch: int, number: int, since: int) -> InclusionProof:
        """The same by the parents of the closing block of a later epoch, or its own."""
        height, txids = self._place(epoch, number)
        top = self.links[since].header.height
        headers = [self.chain.blocks[each].header for each in range(top - 1, height - 1, -1)]
        tx = self.paid[epoch][number]
        return linked_inclusion(tx.txid, foundation_of(self._links(since, since)), headers, txids, tx)

    def _links(self, first: int, last: int) -> list[ClosingLink]:
        """Sets are left out where they are those of the link before, as the storage does it."""
        links = self.links[first : last + 1]
        kept = [links[0]]
        for before, link in pairwise(links):
            same = before.header.set_hash == link.header.set_hash
            kept.append(link._replace(members=None) if same else link)
        return kept

    def _place(self, epoch: int, number: int) -> tuple[int, list[bytes]]:
        txid = self.paid[epoch][number].txid
        for height, block in enumerate(self.chain.blocks):
            txids = [tx.txid for tx in block.transactions]
            if txid in txids:
                return height, txids
        raise AssertionError


STORY = Story()
__all__ = ["BACKEND", "COIN", "OTHERS", "STORY", "Story", "replace"]
