"""Evidence in blocks: its limits (protocol.md section 3). No kind of evidence is known to the ledger yet."""

from __future__ import annotations

from collections.abc import Sequence

from timecoin.ledger.errors import BadEvidence
from timecoin.ledger.params import Parameters


def convicted(params: Parameters, evidence: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the ids of the masternodes that ``evidence`` jails, in its order.

    Raises ``BadEvidence`` when there are more than ``max_evidence`` pieces or ``max_evidence_bytes``
    bytes, or a piece is of no known kind.
    """
    if len(evidence) > params.max_evidence:
        raise BadEvidence(f"{len(evidence)} pieces, at most {params.max_evidence}")
    size = sum([len(piece) for piece in evidence])
    if size > params.max_evidence_bytes:
        raise BadEvidence(f"{size} bytes, at most {params.max_evidence_bytes}")
    if evidence:
        raise BadEvidence("of no known kind")
    return ()
