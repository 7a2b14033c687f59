"""The table of all that takes bytes from others: name, function, the exceptions that are its contract.

Whatever else a target raises, takes more than a second for, or encodes to other bytes than it decoded, is a
finding (:mod:`tests.fuzz.checking`). A new decoder belongs here, and its seeds into :mod:`tests.fuzz.seeds`.
"""

from __future__ import annotations

from tests.fuzz.checking import Target
from tests.fuzz.core_targets import CONSENSUS, LEDGER, PRIMITIVES, SNAPSHOTS
from tests.fuzz.edge_targets import FILES, P2P, WIRE
from tests.fuzz.hostile_block import judge
from tests.fuzz.proof_targets import PROOFS
from tests.fuzz.rpc_targets import RPC
from tests.fuzz.wallet_targets import WALLET
from timecoin.ledger.errors import BlockInvalid

JUDGING = (Target("judging", judge, (BlockInvalid,), 128, slow=True),)

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (*PRIMITIVES, *LEDGER, *SNAPSHOTS, *CONSENSUS, *WIRE, *P2P, *FILES, *PROOFS, *RPC, *WALLET, *JUDGING)
}
