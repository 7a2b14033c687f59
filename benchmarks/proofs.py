"""What proofs cost: ``python -m benchmarks.proofs`` prints one JSON object for 4 and for 100 masternodes.

Sizes are bytes of the file, times milliseconds on one core; ``links`` closing blocks lie between genesis and proof.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from tests.ledger.builders import BACKEND, Chain, account, network, operator
from timecoin.consensus.bundle import MAX_TXIDS, Bundle
from timecoin.ledger.closing_chain import Anchor, ClosingLink, genesis_anchor
from timecoin.ledger.tiers import Tier
from timecoin.primitives.amounts import COIN
from timecoin.primitives.block import EMPTY_COMMIT
from timecoin.primitives.hashes import sha256
from timecoin.proofs.making import finality_proof, foundation_of, linked_inclusion, signed_inclusion
from timecoin.proofs.proof_file import decode, encode
from timecoin.proofs.values import Proof
from timecoin.proofs.verifying import verify

_LINKS = 10


def _milliseconds(work: Callable[[], object], repeat: int = 3) -> float:
    took = []
    for _ in range(repeat):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return round(min(took) * 1e3, 2)


def _costs(proof: Proof, anchor: Anchor) -> dict[str, float]:
    data = encode(proof)
    return {
        "bytes": len(data),
        "decode_ms": _milliseconds(lambda: decode(data)),
        "verify_ms": _milliseconds(lambda: verify(decode(data), anchor, BACKEND)),
    }


def _bundles(chain: Chain, txid: bytes, others: int) -> list[Bundle]:
    """The acks of a quorum, each in a bundle with so many others."""
    members = chain.state.current
    keys = {operator(number).public: operator(number) for number in range(len(members))}
    acks = (*[sha256(n.to_bytes(4, "little")) for n in range(others)], txid)
    made = []
    for signer in range(2 * len(members) // 3 + 1):
        bundle = Bundle(chain.genesis.chain_id, chain.state.epoch, members.set_hash, signer, 1, False, (), acks)
        made.append(bundle.signed(keys[members.members[signer].operator_key].sign_compact(bundle.digest)))
    return made


def measure(masternodes: int) -> dict[str, object]:
    """All figures for a set of that size and equal powers."""
    chain = Chain(network(masternodes, tier=Tier.BRONZE, accounts=4))
    links = [ClosingLink(chain.state.header, EMPTY_COMMIT, chain.state.current)]
    paid = chain.payment(account(1), account(2), COIN)
    chain.interim([paid])
    for _ in range(_LINKS):
        chain.close()
        links.append(ClosingLink(chain.state.header, chain.tip_commit, None))
    tx = chain.payment(account(0), account(1), COIN)
    anchor, tip = genesis_anchor(chain.genesis), chain.state.header
    members, bundles = chain.state.current, _bundles(chain, tx.txid, MAX_TXIDS - 1)
    chain_of_links, first = foundation_of(links), foundation_of(links[:1])
    here = foundation_of([links[-1]._replace(members=chain.state.previous_set)])
    txids = [each.txid for each in chain.blocks[1].transactions]
    headers = [chain.blocks[height].header for height in range(tip.height - 1, 0, -1)]
    signed = signed_inclusion(paid.txid, first, chain.blocks[1].header, chain.commits[1], members, txids, paid)
    return {
        "masternodes": masternodes,
        "make_finality_of_full_bundles_ms": _milliseconds(
            lambda: finality_proof(tx.txid, here, members, bundles, tx), 1
        ),
        "finality_0_links": _costs(finality_proof(tx.txid, here, members, bundles, tx), Anchor(tip.height, tip.hash)),
        f"finality_{_LINKS}_links": _costs(finality_proof(tx.txid, chain_of_links, members, bundles, tx), anchor),
        "inclusion_signed_0_links": _costs(signed, anchor),
        f"inclusion_linked_{len(headers)}_headers": _costs(
            linked_inclusion(paid.txid, here, headers, txids, paid), Anchor(tip.height, tip.hash)
        ),
    }


if __name__ == "__main__":
    print(json.dumps([measure(4), measure(100)], indent=1))
