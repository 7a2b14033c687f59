"""Evidence in ``getblock``."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.accusations import Culprit, every_kind
from tests.ledger.builders import Chain, network
from timecoin.primitives.block import Block
from timecoin.rpc.render import block_ids_json, block_json, header_json


def shown_of(block: Block) -> list[Any]:
    """The block with txids and with transactions."""
    header = header_json(block.header, 1, None, block.header.slot_time)
    return [block_ids_json(block, header), block_json(block, header, "timed", {}, 2)]


class EvidenceShownTest(SynchronousTestCase):
    def test_kind_epoch_and_signer(self) -> None:
        chain = Chain(network(4))
        culprit = Culprit(chain.state, 2)
        for name, piece in every_kind(chain, culprit).items():
            block = chain.assemble(evidence=[piece.encode()]).block
            for shown in (each["evidence"] for each in shown_of(block)):
                kind, size = name.lower().replace("_", "-"), len(piece.encode())
                self.assertEqual(shown, [{"kind": kind, "epoch": 1, "signer": culprit.signer, "size": size}])

    def test_none(self) -> None:
        block = Chain(network(4)).assemble().block
        self.assertEqual([each["evidence"] for each in shown_of(block)], [[], []])
