"""A masternode that signs whatever comes to mind: any decodable message, with any values in its fields."""

from __future__ import annotations

from dataclasses import replace

from tests.consensus.virtual_node import Node
from tests.fuzz.choices import Choices
from tests.fuzz.core_targets import relinked
from tests.ledger import builders
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.effects import SignedMessage
from timecoin.consensus.identity import OperatorIdentity
from timecoin.consensus.proposal import NO_ROUND, Content, Proposal, ProposalHead
from timecoin.consensus.votes import NIL, Precommit, Prevote
from timecoin.ledger.assembly import assemble
from timecoin.ledger.errors import BlockInvalid
from timecoin.primitives.block import EMPTY_COMMIT, Header
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import sha256
from timecoin.primitives.merkle import DuplicateLeaves

Place = tuple[bytes, int, bytes, int]


class Liar:
    """Speaks with a member's key, until evidence has put it out of the set; knows all that an honest ``node`` knows."""

    def __init__(self, identity: OperatorIdentity) -> None:
        self._identity, self._signer = identity, 0
        self._contents: list[Content] = []

    def is_member(self, node: Node) -> bool:
        """Is it in the set that the node believes in?"""
        signer = node.participant.members.index_of_key(self._identity.operator_key)
        self._signer = signer or 0
        return signer is not None

    def message(self, node: Node, choices: Choices) -> SignedMessage | None:
        """A message that decodes and whose signature holds, or None when the choices make none."""
        self._watch(node)
        make = choices.pick((self._bundle, self._vote, self._vote, self._proposal))
        try:
            draft = make(node, choices)
            if draft is None:
                return None
            signed: SignedMessage = draft.signed(self._identity.sign(draft.digest))
            return type(signed).decode(signed.encode())
        except (DecodeError, DuplicateLeaves, BlockInvalid):
            return None

    def pol(self, node: Node, choices: Choices) -> list[Prevote]:
        """Prevotes that a peer may show as a POL: the liar's and honest ones in any mixture."""
        height = node.participant.height
        honest = [vote for round_ in range(3) for vote in height.ballots.prevotes(round_).missing_from(0)]
        votes = [choices.pick(honest) for _ in range(choices.number(5))] if honest else []
        for _ in range(choices.number(3)):
            vote = self._vote(node, choices)
            if isinstance(vote, Prevote) and not (vote.fresh and vote.is_nil):
                votes.append(vote.signed(self._identity.sign(vote.digest)))
        return votes

    def _watch(self, node: Node) -> None:
        for proposal in node.participant.height.proposals.carried():
            if proposal.content not in self._contents[-8:]:
                self._contents.append(proposal.content)

    def _place(self, node: Node, choices: Choices) -> Place:
        ledger = node.participant.ledger
        epoch = choices.u32(ledger.epoch, ledger.epoch, ledger.epoch + 1, ledger.epoch - 1)
        chain_id = ledger.chain_id if choices.often() else bytes(32)
        return chain_id, epoch, ledger.current.set_hash if choices.often() else bytes(32), self._signer

    def _rounds(self, node: Node, choices: Choices) -> tuple[int, int]:
        height = node.participant.height
        number = choices.u32(height.height, height.height, height.height, height.height - 1, height.height + 1)
        return number, choices.u32(0, height.round, height.round + 1, height.round + 2, height.round - 1)

    def _block(self, node: Node, choices: Choices) -> bytes:
        known = [content.header.hash for content in self._contents[-4:]]
        return choices.pick([NIL, node.participant.ledger.block_hash, sha256(choices.bytes(1)), *known])

    def _vote(self, node: Node, choices: Choices) -> Prevote | Precommit:
        fields = (*self._place(node, choices), *self._rounds(node, choices), self._block(node, choices))
        if choices.number(2):
            return Precommit(*fields)
        return Prevote(*fields, fresh=choices.number(2) == 1)

    def _bundle(self, node: Node, choices: Choices) -> Bundle:
        highest = node.participant.finality.highest_sequences[self._signer]
        sequence = choices.u32(highest + 1, highest + 1, highest, highest + 2, highest + 1_025)
        known = [entry.txid for entry in node.participant.finality.pool]
        known += [tx.txid for block in node.disk.blocks[-2:] for tx in block.transactions]
        votes, acks = (tuple([self._txid(known, choices) for _ in range(choices.number(count))]) for count in (6, 4))
        return Bundle(*self._place(node, choices), sequence, choices.rarely(), votes, acks)

    @staticmethod
    def _txid(known: list[bytes], choices: Choices) -> bytes:
        return choices.pick(known) if known and choices.often() else sha256(choices.bytes(1))

    # Proposals

    def _proposal(self, node: Node, choices: Choices) -> Proposal | None:
        content = (
            choices.pick(self._contents[-4:]) if self._contents and choices.number(2) else self._made(node, choices)
        )
        content = relinked(self._bent(node, content, choices))
        _, round_ = self._rounds(node, choices)
        valid_round = choices.pick((NO_ROUND, content.header.round, round_ - 1, 0, 2**31 - 1))
        if valid_round == NO_ROUND and choices.often():
            round_ = content.header.round
        header = content.header
        place = (header.chain_id, header.epoch, header.set_hash, self._signer)
        if not NO_ROUND <= valid_round < 2**31:
            return None
        head = ProposalHead(*place, header.height, round_, valid_round, header.closing, header.hash)
        return Proposal(head, content)

    def _made(self, node: Node, choices: Choices) -> Content:
        """A block of the liar's own making, perhaps a valid one."""
        participant = node.participant
        ledger, params = participant.ledger, participant.params
        closing = choices.number(2) == 1
        slot = ledger.last_closing_slot + (params.epoch_seconds * choices.pick((1, 1, 2, 3)) if closing else 0)
        return Content.of(
            assemble(
                params,
                ledger,
                closing=closing or not len(participant.finality.pool),
                slot_time=max(
                    slot, ledger.last_closing_slot + params.epoch_seconds * (not len(participant.finality.pool))
                ),
                proposer_index=self._signer,
                round=choices.pick((0, participant.height.round, participant.height.round + 1)),
                txs=[builders.BlockTx(entry.tx, entry.coins, entry.fee) for entry in participant.finality.pool],
                last_commit=node.disk.commits[-1],
            ).block
        )

    def _bent(self, node: Node, content: Content, choices: Choices) -> Content:
        """The content with some of its fields changed."""
        for _ in range(choices.number(3)):
            content = choices.pick((self._other_header, self._other_txs, self._other_rest))(node, content, choices)
        return content

    @staticmethod
    def _other_header(node: Node, content: Content, choices: Choices) -> Content:
        header: Header = content.header
        name = choices.pick((
            "slot_time", "round", "height", "epoch", "closing", "proposer_index", "version", "previous", "chain_id",
            "set_hash", "next_set_hash", "state_hash", "utxo_commitment",
        ))  # fmt: skip
        old = getattr(header, name)
        new: object = choices.u32(old, old + 1) if isinstance(old, int) else sha256(old)
        if isinstance(old, bool):
            new = not old
        elif name == "slot_time" and choices.rarely():
            new = 2**64 - 1
        elif name == "proposer_index":
            new = choices.u32(0, 1, 2, 3) & 0xFFFF
        return replace(content, header=replace(header, **{name: new}))

    def _other_txs(self, node: Node, content: Content, choices: Choices) -> Content:
        txs = list(content.txs)
        known = [(entry.txid, entry.tx.wtxid) for entry in node.participant.finality.pool]
        known += [(tx.txid, tx.wtxid) for tx in node.disk.blocks[-1].transactions]
        change = choices.number(5)
        if txs and change == 0:
            txs.pop(choices.number(len(txs)))
        elif change == 1:
            txs.append((sha256(choices.bytes(1)), sha256(choices.bytes(1))))
        elif change == 2:
            txs.append(choices.pick(known))
        elif txs and change == 3:
            txs[0] = (txs[0][0], choices.pick(known)[1])
        elif txs:
            txs.append((choices.pick(known)[0], txs[0][1]))
        return replace(content, txs=tuple(txs))

    @staticmethod
    def _other_rest(node: Node, content: Content, choices: Choices) -> Content:
        commit = content.last_commit
        change = choices.number(4)
        if change == 0:
            return replace(content, evidence=(choices.bytes(choices.number(40)),) * (1 + choices.number(20)))
        if change == 1:
            return replace(content, last_commit=choices.pick((EMPTY_COMMIT, node.disk.commits[0])))
        if change == 2:
            return replace(content, last_commit=replace(commit, round=choices.u32(0, 1)))
        return replace(content, coinbase=sha256(choices.bytes(1)))
