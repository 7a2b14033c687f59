"""RPC methods that prove things to those who trust no node (protocol.md section 11)."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

from timecoin.ledger.closing_chain import Anchor
from timecoin.primitives.signing import get_backend
from timecoin.proofs.ages import Age, check_age
from timecoin.proofs.errors import BadProof, EpochClosed, NotAnchored
from timecoin.proofs.proof_file import decode, to_json
from timecoin.proofs.values import Proof
from timecoin.proofs.verifying import Proved, verify
from timecoin.rpc import codec
from timecoin.rpc.arguments import HashArg
from timecoin.rpc.errors import INVALID_PARAMETER, METHOD_NOT_FOUND, RpcError
from timecoin.rpc.facade import BlockPruned
from timecoin.rpc.kinds import Kind, expect
from timecoin.rpc.results_proofs import FinalityProofJson, InclusionProofJson, Verification, accepted, refused
from timecoin.rpc.table import Context, method


def _proof(value: Any, name: str) -> bytes:
    expect(value, "object", "string")
    return value.encode("utf-8", "replace") if isinstance(value, str) else codec.encode(value)


#: A proof: the JSON object itself or its text. The method gets JSON text.
ProofArg = Annotated[
    bytes,
    Kind(
        "json object or string",
        frozenset({"object", "string"}),
        _proof,
        {"anyOf": [{"type": "object"}, {"type": "string"}]},
    ),
]
_COST: Final = 20


async def getfinalityproof(
    context: Context, txid: HashArg, anchor: int = 0, transaction: bool = True
) -> FinalityProofJson | InclusionProofJson:
    """Prove to somebody else that a transaction is final, or archived.

    While its epoch is open the proof of a final transaction is acks of a quorum; they prove nothing any more when the
    epoch is closed. From then on the transaction is in the chain, and its proof is a path to the block's header. Keep
    the answer in a file: ``timecoin verify-proof`` checks it with neither node nor network.

    :param txid: a final or archived transaction
    :param anchor: height of the closing block that the verifier trusts, 0 for the genesis; the proof holds all closing
        blocks from there on, so that on an old chain it must be a later one
    :param transaction: whether the proof brings the transaction, so that its outputs are shown
    :returns: the proof
    :error -1: the transaction is not final yet, or what is needed is not here
    :error -5: the transaction is not known here
    :error -8: the anchor is no closing block, or too far from the transaction
    """
    if context.proofs is None:
        raise RpcError(METHOD_NOT_FOUND, "This node makes no proofs")
    proof = await context.proofs.prove(txid, anchor, with_transaction=transaction)
    return cast("FinalityProofJson | InclusionProofJson", to_json(proof))


async def verifyfinalityproof(context: Context, proof: ProofArg) -> Verification:
    """Check a proof of finality or inclusion against this node's own chain.

    The block that the proof begins with must be in this node's chain. Who trusts no node uses ``timecoin
    verify-proof``.

    :param proof: what getfinalityproof answered, as the object or as its text
    :returns: whether it holds, and what it proves; else why not
    :error -8: the block that the proof begins with is not kept here
    """
    try:
        read = await context.aside(decode, proof)
        proved, age = await _verified(context, read)
    except BadProof as problem:
        return refused(problem)
    return accepted(proved, age, context.node.hrp)


async def _verified(context: Context, proof: Proof) -> tuple[Proved, Age]:
    anchor = await _own_anchor(context, proof)
    proved = await context.aside(verify, proof, anchor, get_backend(), chain_id=context.node.tip().chain_id)
    open_epoch = context.node.tip().epoch
    if proved.final and proved.epoch < open_epoch:
        raise EpochClosed(f"epoch {open_epoch} is open here: an inclusion proof is what to ask for")
    return proved, check_age(proved, context.node.parameters, context.node.now_ms() // 1000)


async def _own_anchor(context: Context, proof: Proof) -> Anchor:
    height = proof.foundation.header.height
    if height > context.node.tip().height:
        raise NotAnchored(f"block {height} is not in this node's chain")
    try:
        return Anchor(height, (await context.node.header_at(height)).hash)
    except BlockPruned:
        raise RpcError(INVALID_PARAMETER, f"Block {height} is not kept here: the proof must begin later") from None


METHODS = (
    method("Finality", getfinalityproof, cost=_COST),
    method("Finality", verifyfinalityproof, cost=_COST),
)
