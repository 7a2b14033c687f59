"""Evidence in blocks: who is convicted, under which rules (protocol.md section 3).

Three questions, cheapest first: does a piece prove an offence by its bytes (``evidence_kinds``), may it be judged in
the block after a state and against whom (:func:`accused`), do signatures and chain bear it out (:func:`is_proven`).
All answers follow from the piece, the state and the decided chain, so they are the same on every node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from timecoin.ledger.errors import BadEvidence, EarlyEvidence, LateEvidence
from timecoin.ledger.evidence_kinds import Evidence, decode
from timecoin.ledger.evidence_parts import NoOffence
from timecoin.ledger.params import Parameters
from timecoin.ledger.powerset import Member, PowerSet
from timecoin.ledger.state import LedgerState
from timecoin.primitives.hashes import Hash, display_order
from timecoin.primitives.signing import SignatureBackend, SignatureCheck, check_all

ArchivedIn = Callable[[Hash, int], int | None]
"""``archived_in(txid, epoch)``: the height of the block of ``epoch`` that holds ``txid``, in the chain up to the tip;
None when no block of that epoch does."""


def accused(state: LedgerState, piece: Evidence) -> Member:
    """Return whom ``piece`` accuses, as a member of the set in which it spoke.

    It is judged as in the block after ``state``'s tip. Raises ``EarlyEvidence`` or ``LateEvidence`` when that cannot
    be done yet or any more, and plain ``BadEvidence`` when it never can: another network, set or signer.
    """
    chain_id, epoch, set_hash, signer = piece.place
    if chain_id != state.chain_id:
        raise BadEvidence("of another network")
    if set_hash != _set_of(state, epoch).set_hash:
        raise BadEvidence("of another set")
    if piece.claim is not None and piece.claim.height > state.height + 1:
        raise EarlyEvidence(f"height {piece.claim.height} is not reached")
    return accusable(state, epoch, signer)


def accusable(state: LedgerState, epoch: int, signer: int) -> Member:
    """Return the member of S(``epoch``) at that index, against whom the block after ``state``'s tip may hold evidence.

    Raises ``EarlyEvidence`` and ``LateEvidence`` as :func:`accused`, ``BadEvidence`` when the set has no such index.
    """
    members = _set_of(state, epoch)
    if signer >= len(members):
        raise BadEvidence(f"signer {signer} of {len(members)}")
    member = members.members[signer]
    _check_free(state, member)
    return member


def _set_of(state: LedgerState, epoch: int) -> PowerSet:
    if epoch > state.epoch:
        raise EarlyEvidence(f"epoch {epoch} is not open")
    if epoch < max(1, state.epoch - 1):
        raise LateEvidence(f"epoch {epoch} is too long ago")
    return state.current if epoch == state.epoch else state.previous_set


def _check_free(state: LedgerState, member: Member) -> None:
    entry = state.registry.get(member.masternode_id)
    if entry is None:
        raise LateEvidence("the masternode is gone")
    if entry.jailed is not None or member.masternode_id in state.epoch_jailed:
        raise LateEvidence("the masternode is jailed")


def signature_checks(piece: Evidence, member: Member) -> list[SignatureCheck]:
    """Return the checks of the statements of ``piece`` under the key that ``member`` had in that set."""
    pairs = zip(piece.tags, piece.statements, strict=True)
    return [statement.check(tag, member.operator_key) for tag, statement in pairs]


def is_refuted(piece: Evidence, archived_in: ArchivedIn) -> bool:
    """Whether the chain shows that the accused left nothing out; asked once all blocks below the height are here."""
    claim = piece.claim
    if claim is None:
        return False
    height = archived_in(claim.txid, claim.epoch)
    return height is not None and height < claim.height


def convicted(params: Parameters, state: LedgerState, evidence: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the ids of the masternodes that ``evidence``, in the block after ``state``'s tip, jails, in its order.

    Raises ``BadEvidence`` when it breaks a rule about form, number, size, order or time, when a masternode is accused
    twice, or was jailed before. What :func:`check_evidence` asks is not asked.
    """
    return tuple([member.masternode_id for _, member in _judged(params, state, evidence)])


def check_evidence(
    params: Parameters,
    state: LedgerState,
    evidence: Sequence[bytes],
    archived_in: ArchivedIn,
    backend: SignatureBackend,
) -> None:
    """Verify all evidence of the block after ``state``'s tip; raises ``BadEvidence``. Pure, and made for a thread."""
    judged = _judged(params, state, evidence)
    if any(is_refuted(piece, archived_in) for piece, _ in judged):
        raise BadEvidence("what was acked is archived")
    checks = [check for piece, member in judged for check in signature_checks(piece, member)]
    if not check_all(backend, checks):
        raise BadEvidence("a signature is not valid")


def _judged(params: Parameters, state: LedgerState, evidence: Sequence[bytes]) -> list[tuple[Evidence, Member]]:
    _check_limits(params, evidence)
    try:
        pieces = [decode(piece) for piece in evidence]
    except NoOffence as error:
        raise BadEvidence(str(error)) from error
    judged = [(piece, accused(state, piece)) for piece in pieces]
    order = [display_order(member.masternode_id) for _, member in judged]
    # Once per masternode: so the kind, second in the order, never decides it.
    if any(left >= right for left, right in pairwise(order)):
        raise BadEvidence("not in ascending order of masternodes, or one is accused twice")
    return judged


def _check_limits(params: Parameters, evidence: Sequence[bytes]) -> None:
    if len(evidence) > params.max_evidence:
        raise BadEvidence(f"{len(evidence)} pieces, at most {params.max_evidence}")
    size = sum([len(piece) for piece in evidence])
    if size > params.max_evidence_bytes:
        raise BadEvidence(f"{size} bytes, at most {params.max_evidence_bytes}")


def choose(params: Parameters, state: LedgerState, pieces: Iterable[Evidence]) -> tuple[bytes, ...]:
    """Return what of verified ``pieces`` the block after ``state``'s tip may hold, encoded and in order.

    Pieces come in the order of preference: a later one stays out when an earlier one accuses the same masternode or
    took the room.
    """
    chosen: dict[bytes, bytes] = {}
    room = params.max_evidence_bytes
    for piece in pieces:
        try:
            key = display_order(accused(state, piece).masternode_id)
        except BadEvidence:
            continue
        encoded = piece.encode()
        if key not in chosen and len(chosen) < params.max_evidence and len(encoded) <= room:
            chosen[key] = encoded
            room -= len(encoded)
    return tuple([encoded for _, encoded in sorted(chosen.items())])
