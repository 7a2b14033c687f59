"""Evidence in ``getblock``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.accusations import Culprit, every_kind
from tests.ledger.builders import Chain, network
from timecoin.rpc.render import block_json


class EvidenceShownTest(SynchronousTestCase):
    def test_kind_epoch_and_signer(self) -> None:
        chain = Chain(network(4))
        culprit = Culprit(chain.state, 2)
        for name, piece in every_kind(chain, culprit).items():
            block = chain.assemble(evidence=[piece.encode()]).block
            for verbosity in (1, 2):
                shown = block_json(block, 1, None, "timed", verbosity)["evidence"]
                kind, size = name.lower().replace("_", "-"), len(piece.encode())
                self.assertEqual(shown, [{"kind": kind, "epoch": 1, "signer": culprit.signer, "size": size}])

    def test_none(self) -> None:
        block = Chain(network(4)).assemble().block
        self.assertEqual(block_json(block, 1, None, "timed", 1)["evidence"], [])
