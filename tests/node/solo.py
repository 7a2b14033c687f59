"""A network of one on a temporary directory, with a clock in the test's hand and threads that run when told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.ledger import builders
from tests.node.fakes import NotedPeer, Pools, ThreadClock
from timecoin.consensus import effects as fx
from timecoin.consensus.identity import OperatorIdentity
from timecoin.consensus.participant import Participant
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.params import Parameters
from timecoin.node import consensus_service, storage_service
from timecoin.node.consensus_service import ConsensusService
from timecoin.node.reports import Reports
from timecoin.node.storage_service import StorageService
from timecoin.ops.metrics import NodeMetrics
from timecoin.primitives.amounts import COIN
from timecoin.primitives.transaction import Transaction
from timecoin.storage.database import file_uri

EPOCH_SECONDS = 8


class Solo:
    """Storage and consensus of the only masternode of a network; to be started again after :meth:`stop`."""

    def __init__(self, case: Any, path: Path, *, accounts: int = 8) -> None:
        self.case, self.path = case, path
        parameters = Parameters.for_epoch_seconds(EPOCH_SECONDS)
        self.genesis: Genesis = builders.network(1, accounts=accounts, parameters=parameters)
        self.chain = builders.Chain(self.genesis)
        self.clock = ThreadClock()
        self.clock.advance(self.genesis.slot_time + 0.5)
        self.clock_error = 0.0
        self.halts: list[str] = []
        self.proofs: list[tuple[str, Sequence[bytes]]] = []
        self.proof_error: OSError | None = None
        self.rare: list[fx.Effect] = []

    def start(self) -> Solo:
        """Storage, then consensus."""
        self.start_storage()
        self.make()
        self.case.successResultOf(self.consensus.startService())
        self.case.addCleanup(self.stop)
        return self

    def start_storage(self) -> None:
        self.disks = Pools(self.case, storage_service)
        uris = [file_uri(self.path / name) for name in ("blocks.fs", "coins.fs")]
        self.storage = StorageService(
            self.clock, self.genesis, self.path, *uris, merge_keys=300, pack_hours=0
        )
        self.case.successResultOf(self.storage.startService())

    def make(self) -> None:
        self.workers = Pools(self.case, consensus_service)
        self.reports = Reports(self.clock, NodeMetrics())
        self.consensus = ConsensusService(
            self.clock,
            self.genesis.parameters,
            self.storage,
            builders.BACKEND,
            OperatorIdentity(builders.operator(0).secret, builders.BACKEND),
            self.reports,
            self.halts.append,
            max_pool_bytes=100_000_000,
            wall=lambda: self.clock.seconds() + self.clock_error,
            keep_proof=self.keep_proof,
        )
        self.consensus.build()

    def keep_proof(self, reason: str, proofs: Sequence[bytes]) -> None:
        if self.proof_error is not None:
            raise self.proof_error
        self.proofs.append((reason, proofs))

    def stop(self) -> None:
        """In order; threads do what waits."""
        if self.storage.running:
            for pool in (*self.disks.made.values(), *self.workers.made.values()):
                pool.held = False
                pool.run()
            if self.consensus.running:
                self.case.successResultOf(self.consensus.stopService())
            self.case.successResultOf(self.storage.stopService())

    @property
    def participant(self) -> Participant:
        return self.consensus.participant

    def run(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass."""
        self.clock.pump([step] * round(seconds / step))

    def payment(self, number: int = 0) -> Transaction:
        """The payment of an account from its genesis coin: the same each time."""
        return builders.Chain(self.genesis).payment(builders.account(number), builders.key("somebody"), COIN)

    def submit(self, tx: Transaction) -> Transaction:
        """As a user's call, without the signatures."""
        participant = self.participant

        def admit() -> None:
            participant.admit(participant.prepare(tx), self.consensus.now_ms(), local=True)

        self.consensus.feed(admit)
        return tx

    def connect(self, number: int = 1) -> NotedPeer:
        """A peer that is no masternode."""
        peer = NotedPeer(number)
        self.consensus.gossip.peer_connected(peer)
        return peer

    def journal(self) -> list[bytes]:
        """What the journal holds."""
        return list(self.storage.journal.replay())
