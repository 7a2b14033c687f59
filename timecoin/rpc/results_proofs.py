"""What a verified proof is shown as, over RPC and by ``timecoin verify-proof`` (protocol.md section 11)."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypeAlias, TypedDict

import msgspec

from timecoin.primitives import address
from timecoin.primitives.hashes import display
from timecoin.primitives.script import Kind, classify
from timecoin.primitives.transaction import TxOutput
from timecoin.proofs.ages import Age
from timecoin.proofs.errors import BadProof
from timecoin.proofs.verifying import Proved
from timecoin.rpc.codec import Amount, HashText, HexText, amount

#: Bytes in a proof file.
Base64Text: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9+/]*={0,2}$")]
ANCHOR_IS_OLD = (
    "the anchor is older than the time for which collateral stays bound: masternodes that have left since could have "
    "signed another past; a later trusted closing block proves more"
)
EPOCH_IS_OVER = "by the clock the epoch of the acks is over: an inclusion proof should be available by now"


class AnchorJson(TypedDict):
    """The block that a proof begins with, its header and the set of its epoch."""

    height: int
    hash: HashText
    header: Base64Text
    set: Base64Text


class LinkJson(TypedDict):
    """A block's header and commit, and the set of its epoch unless it is that of the epoch before."""

    header: Base64Text
    commit: Base64Text
    set: NotRequired[Base64Text]


class _ProofJson(TypedDict):
    format: str
    version: int
    chain_id: HashText
    txid: HashText
    anchor: AnchorJson
    links: list[LinkJson]
    transaction: NotRequired[HexText]


class FinalityProofJson(_ProofJson):
    """A finality proof as a file (docs/decisions/proofs.rst)."""

    kind: Literal["finality"]
    acks: list[Base64Text]
    set: NotRequired[Base64Text]


class InclusionProofJson(_ProofJson):
    """An inclusion proof as a file (docs/decisions/proofs.rst)."""

    kind: Literal["inclusion"]
    position: int
    branch: list[HashText]
    block: NotRequired[LinkJson]
    headers: NotRequired[list[Base64Text]]


class ProofAnchor(TypedDict):
    """What the proof relies on: a closing block, or block 0, with its slot time in Unix seconds, and how many closing
    blocks lead on from it."""

    height: int
    hash: HashText
    epoch: int
    time: int
    links: int


class ProvedOutput(TypedDict):
    """An output of the transaction that came with the proof."""

    n: int
    value: Amount
    script: HexText
    address: NotRequired[str]


class Verification(TypedDict):
    """The outcome. Without ``valid`` only ``code`` and ``reason`` are there.

    ``final``: a quorum acked it in ``epoch``; else it is archived in block ``height``. ``power`` of ``total_power``,
    by ``signers``, stand behind the acks or the block's commit; none for a block that hashes alone lead to.
    """

    valid: bool
    code: NotRequired[str]
    reason: NotRequired[str]
    txid: NotRequired[HashText]
    chain_id: NotRequired[HashText]
    kind: NotRequired[str]
    status: NotRequired[str]
    epoch: NotRequired[int]
    time: NotRequired[int]
    height: NotRequired[int]
    blockhash: NotRequired[HashText]
    position: NotRequired[int]
    power: NotRequired[int]
    total_power: NotRequired[int]
    signers: NotRequired[list[HashText]]
    anchor: NotRequired[ProofAnchor]
    outputs: NotRequired[list[ProvedOutput]]
    warnings: NotRequired[list[str]]


def refused(problem: BadProof) -> Verification:
    """The outcome for a proof that does not hold."""
    return {"valid": False, "code": problem.code, "reason": problem.detail}


def accepted(proved: Proved, age: Age | None, hrp: str | None) -> Verification:
    """The outcome for one that holds; addresses are shown with ``hrp``, ages judged when there is one."""
    shown: Verification = {
        "valid": True,
        "txid": display(proved.txid),
        "chain_id": display(proved.chain_id),
        "kind": "finality" if proved.final else "inclusion",
        "status": "final" if proved.final else "archived",
        "epoch": proved.epoch,
        "time": proved.since,
        "power": proved.power,
        "total_power": proved.total,
        "signers": [display(each) for each in proved.signers],
        "anchor": _anchor(proved),
        "warnings": [] if age is None else _warnings(age),
    }
    if proved.height is not None and proved.block_hash is not None and proved.position is not None:
        shown["height"] = proved.height
        shown["blockhash"] = display(proved.block_hash)
        shown["position"] = proved.position
    if proved.outputs is not None:
        shown["outputs"] = [_output(n, each, hrp) for n, each in enumerate(proved.outputs)]
    return shown


def _anchor(proved: Proved) -> ProofAnchor:
    return {
        "height": proved.anchor.height,
        "hash": display(proved.anchor.block_hash),
        "epoch": proved.anchor_epoch,
        "time": proved.anchor_time,
        "links": proved.links,
    }


def _warnings(age: Age) -> list[str]:
    return [text for text, holds in ((ANCHOR_IS_OLD, age.anchor_is_old), (EPOCH_IS_OVER, age.epoch_is_over)) if holds]


def _output(n: int, output: TxOutput, hrp: str | None) -> ProvedOutput:
    shown: ProvedOutput = {"n": n, "value": amount(output.value), "script": output.script.hex()}
    if hrp is not None and classify(output.script) in (Kind.P2WPKH, Kind.P2WSH):
        shown["address"] = address.encode(output.script, hrp)
    return shown
