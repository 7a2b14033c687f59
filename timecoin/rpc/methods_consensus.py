"""RPC methods about consensus: what an operator needs in a halt, and the epoch (protocol.md sections 3, 5 to 7)."""

from __future__ import annotations

from timecoin.ledger.expected import expected_reward
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.state import LedgerState
from timecoin.primitives import address
from timecoin.primitives.hashes import Hash, display
from timecoin.rpc.codec import amount
from timecoin.rpc.face_insight import ConsensusView, MemberView, Vote
from timecoin.rpc.methods_finality import insight_of
from timecoin.rpc.results_consensus import (
    BlockVotes,
    ConsensusShown,
    EpochShown,
    MemberShown,
    RewardShown,
    RoundValue,
    SetMember,
    SetShown,
    VoteShown,
    VotesShown,
)
from timecoin.rpc.table import Context, method

_COST = 5


def quorum_power(total: int) -> int:
    """The least power that is a quorum of ``total``: strictly more than two thirds."""
    return 2 * total // 3 + 1


def getconsensusinfo(context: Context) -> ConsensusShown:
    """Consensus as this node sees it: what is decided now, who has said what, who is missing.

    In a halt look at connected_power and missing_power first: with missing_power above 0 the network waits for the
    members listed in disconnected. Otherwise prevotes and precommits tell who is silent in the current round, and
    abstains why this node is. step is new while no block is due; before that sealed means that this masternode sends
    no more acks until the epoch's closing block is decided.

    :returns: height, round and step; this node's part, its lock and valid value, the waits of the round; power to a
        quorum; each member of the set with its connection, highest bundle, seal, prevote and precommit of the round
    """
    info, tip = context.node.consensus(), context.node.tip()
    view = insight_of(context).consensus_view()
    total, now = tip.current.total, view.round
    quorum = quorum_power(total)
    return {
        "height": info.height,
        "round": info.round,
        "step": info.step,
        "round_started_ms": now.started_ms,
        "epoch": info.epoch,
        "sealed": info.sealed,
        "seals": info.seals,
        "next_slot": info.next_slot,
        "set_size": len(tip.current),
        "set_hash": display(tip.current.set_hash),
        "total_power": total,
        "quorum_power": quorum,
        "connected_power": info.connected_power,
        "missing_power": max(0, quorum - info.connected_power),
        "masternode_id": _hash(info.masternode_id),
        "signer": info.signer,
        "power": info.power,
        "voting": info.voting,
        "proposing": info.proposing,
        "abstains": info.abstains,
        "pending": info.pending,
        "certified": info.certified,
        "final": info.final,
        "proposer": now.proposer,
        "proposal": _hash(now.proposal),
        "locked": _value(now.locked),
        "valid": _value(now.valid),
        "timers": [{"step": kind, "milliseconds": delay} for kind, delay in now.timers],
        "prevotes": _votes(view, [each.prevote for each in view.members], quorum),
        "precommits": _votes(view, [each.precommit for each in view.members], quorum),
        "members": [_member(n, each, n == info.signer) for n, each in enumerate(view.members)],
        "disconnected": [n for n, each in enumerate(view.members) if not each.connected],
        "unsealed": [n for n, each in enumerate(view.members) if not each.sealed],
    }


def _hash(value: Hash | None) -> str | None:
    return None if value is None else display(value)


def _value(value: tuple[int, Hash] | None) -> RoundValue | None:
    return None if value is None else {"round": value[0], "blockhash": display(value[1])}


def _vote(vote: Vote | None) -> VoteShown | None:
    return None if vote is None else {"blockhash": _hash(vote.block_hash), "fresh": vote.fresh}


def _votes(view: ConsensusView, votes: list[Vote | None], quorum: int) -> VotesShown:
    powers: dict[Hash | None, int] = {}
    for member, vote in zip(view.members, votes, strict=True):
        if vote is not None:
            powers[vote.block_hash] = powers.get(vote.block_hash, 0) + member.power
    ranked = sorted(powers.items(), key=lambda item: (-item[1], item[0] or b""))
    blocks: list[BlockVotes] = [{"blockhash": _hash(block_hash), "power": power} for block_hash, power in ranked]
    return {
        "power": sum(powers.values()),
        "missing_power": max(0, quorum - max(powers.values(), default=0)),
        "blocks": blocks,
        "missing": [n for n, vote in enumerate(votes) if vote is None],
    }


def _member(signer: int, member: MemberView, me: bool) -> MemberShown:
    return {
        "signer": signer,
        "masternode_id": display(member.masternode_id),
        "power": member.power,
        "me": me,
        "connected": member.connected,
        "last_bundle": member.bundles,
        "sealed": member.sealed,
        "round": member.round,
        "heard": member.prevote is not None or member.precommit is not None,
        "prevote": _vote(member.prevote),
        "precommit": _vote(member.precommit),
    }


async def getepochinfo(context: Context) -> EpochShown:
    """The open epoch: when it ends, what it holds so far, who votes in it and after it, what it will pay.

    The next epoch's set is certain; the one after that follows from the registry as the closing block leaves it, so
    that it is shown as it would be if that came now.

    :returns: number, slots in Unix seconds, blocks and transactions (without coinbases) so far, fees, expected reward,
        and the sets of this epoch and the two after it; state is due once the end has passed by this node's clock
    """
    figures = await insight_of(context).epoch_figures()
    tip, params = context.node.tip(), context.node.parameters
    next_slot = (tip.last_closing_slot // params.epoch_seconds + 1) * params.epoch_seconds
    left = next_slot - context.node.now_ms() // 1000
    hrp = context.node.hrp
    return {
        "epoch": tip.epoch,
        "state": "open" if left > 0 else "due",
        "start_slot": tip.last_closing_slot,
        "next_slot": next_slot,
        "seconds_left": max(0, left),
        "epoch_seconds": params.epoch_seconds,
        "height": tip.height,
        "blocks": figures.blocks,
        "transactions": figures.transactions,
        "fees": amount(tip.epoch_fees),
        "free_mode": tip.free_mode,
        "registry_changes": len(tip.epoch_payloads),
        "reward": _reward(context, tip),
        "sets": [
            _set(tip.epoch, tip.current, True, hrp),
            _set(tip.epoch + 1, tip.following, True, hrp),
            _set(tip.epoch + 2, figures.expected.members, False, hrp),
        ],
    }


def _reward(context: Context, tip: LedgerState) -> RewardShown:
    expected = expected_reward(context.node.parameters, tip)
    own = context.node.consensus().masternode_id
    shares = [tip.registry.get(own)] if own is not None else []
    payouts = {each.payout for each in shares if each is not None}
    mine = sum(output.value for output in expected.outputs if output.script in payouts)
    return {
        "created": amount(expected.created),
        "fees": amount(expected.fees),
        "paid": amount(sum(output.value for output in expected.outputs)),
        "present": expected.present,
        "certain": expected.certain,
        "mine": None if own is None else amount(mine),
    }


def _set(epoch: int, members: PowerSet, certain: bool, hrp: str) -> SetShown:
    shown: list[SetMember] = [
        {
            "masternode_id": display(each.masternode_id),
            "operator_key": each.operator_key.hex(),
            "power": each.power,
            "payout": address.encode(each.payout, hrp),
        }
        for each in members.members
    ]
    return {
        "epoch": epoch,
        "certain": certain,
        "size": len(members),
        "total_power": members.total,
        "set_hash": display(members.set_hash),
        "members": shown,
    }


METHODS = (
    method("Masternodes", getconsensusinfo, cost=_COST),
    method("Masternodes", getepochinfo, cost=_COST),
)
