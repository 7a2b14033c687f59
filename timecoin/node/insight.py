"""What this node can tell of consensus, coins and the epoch (``rpc.face_insight.Insight``)."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from timecoin.consensus.participant import Participant
from timecoin.consensus.proposal import NO_ROUND
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.expected import expected_sets
from timecoin.ledger.params import Parameters
from timecoin.ledger.state import LedgerState
from timecoin.node.consensus_service import ConsensusService
from timecoin.node.storage_service import StorageService
from timecoin.primitives.block import Header
from timecoin.primitives.transaction import OutPoint
from timecoin.rpc.face_insight import CoinView, ConsensusView, EpochFigures, MemberView, RoundView, Vote

_PAGE = 1_000


class NodeInsight:
    """Reads the participant on the reactor's thread, and the disk in another."""

    def __init__(self, consensus: ConsensusService, storage: StorageService) -> None:
        self._consensus = consensus
        self._storage = storage

    @property
    def _participant(self) -> Participant:
        return self._consensus.participant

    def consensus_view(self) -> ConsensusView:
        """Who has said what in the open epoch, and at the height and in the round at hand."""
        connected = self._consensus.gossip.connected_mask()
        members = tuple([self._member(signer, connected) for signer in range(len(self._participant.members))])
        return ConsensusView(members, self._round())

    def _member(self, signer: int, connected: int) -> MemberView:
        participant = self._participant
        member, height = participant.members.members[signer], participant.height
        prevote = height.ballots.prevotes(height.round).first(signer)
        precommit = height.ballots.precommits(height.round).first(signer)
        return MemberView(
            masternode_id=member.masternode_id,
            power=member.power,
            connected=bool(connected >> signer & 1),
            bundles=participant.finality.highest_sequences[signer],
            sealed=bool(participant.finality.seals_mask >> signer & 1),
            round=height.ballots.round_of(signer),
            prevote=None if prevote is None else _vote(prevote),
            precommit=None if precommit is None else _vote(precommit),
        )

    def _round(self) -> RoundView:
        height = self._participant.height
        proposal = height.proposals.of_round(height.round)
        return RoundView(
            started_ms=height.round_started if height.started else None,
            proposer=height.proposer(height.round),
            proposal=None if proposal is None else proposal.block_hash,
            locked=_value(height.locked_round, height.locked_hash),
            valid=_value(height.valid_round, height.valid_hash),
            timers=tuple([(kind.value, delay) for kind, delay in height.timers]),
        )

    def coin_view(self, outpoint: OutPoint) -> CoinView:
        """Where a coin stands."""
        finality = self._participant.finality
        state = finality.outpoint_state(outpoint)
        entry = None if state.spender is None else finality.pool.get(state.spender)
        return CoinView(state.status.value, state.spender, None if entry is None else entry.first_seen)

    def epoch_figures(self) -> Deferred[EpochFigures]:
        """The open epoch so far: the headers of its blocks are read."""
        return self._storage.in_reading_thread(self._figures, self._participant.params, self._participant.ledger)

    def _figures(self, params: Parameters, ledger: LedgerState) -> EpochFigures:
        archive = self._storage.chain.archive
        ((closing, _, _),) = archive.closings(ledger.epoch - 1, 1, 1)
        first = Header.decode(closing).height + 1
        counts = [
            Header.decode(header).tx_count - 1
            for start in range(first, ledger.height + 1, _PAGE)
            for header in archive.headers(start, min(_PAGE, ledger.height + 1 - start))
        ]
        return EpochFigures(len(counts), sum(counts), expected_sets(params, ledger))


def _vote(vote: Prevote | Precommit) -> Vote:
    return Vote(None if vote.is_nil else vote.block_hash, vote.fresh if isinstance(vote, Prevote) else None)


def _value(round_: int, block_hash: bytes | None) -> tuple[int, bytes] | None:
    return None if round_ == NO_ROUND or block_hash is None else (round_, block_hash)
