"""What the parts of one participant share: the tip, the signer, the outbox and the effects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from timecoin.consensus import schedule
from timecoin.consensus.accusing import Offence, evidence_of
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.docket import Docket
from timecoin.consensus.effects import Announce, Effect, Misbehaviour
from timecoin.consensus.events import RivalVotes
from timecoin.consensus.finality import Finality
from timecoin.consensus.identity import OperatorIdentity
from timecoin.consensus.jobs import CoinLookup
from timecoin.consensus.left_out import LeftOut
from timecoin.consensus.outbox import Outbox
from timecoin.consensus.permit import SigningPermit
from timecoin.consensus.records import RecordKind
from timecoin.ledger.coins import Coin
from timecoin.ledger.evidence_kinds import Evidence
from timecoin.ledger.params import Parameters
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.registry import Registry
from timecoin.ledger.state import LedgerState
from timecoin.mempool.entry import Entry, all_ancestors


class ChainSource(Protocol):
    """The decided chain as the participant reads it; it changes only between ``CommitBlock`` and
    ``committed``.
    """

    def coin(self, outpoint: bytes) -> Coin | None:
        """The coin in the UTXO set at the tip."""
        ...

    def archived(self, txid: bytes) -> tuple[int, int] | None:
        """Height and position of an archived transaction."""
        ...

    def coin_reader(self) -> CoinLookup:
        """The UTXO set and the archived transactions at the tip, readable from one other thread."""
        ...


class ChainWindow:
    """What finality sees of the decided chain: coins and archived transactions, and the tip's registry and
    clocks.
    """

    def __init__(self, source: ChainSource, ledger: LedgerState) -> None:
        self.ledger = ledger
        self.coin = source.coin
        self.archived = source.archived

    @property
    def registry(self) -> Registry:
        """The masternode registry as of the opening of the epoch."""
        return self.ledger.registry

    @property
    def epoch(self) -> int:
        """The open epoch."""
        return self.ledger.epoch

    @property
    def height(self) -> int:
        """The decided tip's height."""
        return self.ledger.height

    @property
    def last_closing_slot(self) -> int:
        """Slot time of the last closing block, in seconds."""
        return self.ledger.last_closing_slot


class Context:
    """The shared state. ``now`` is the clock of the input at hand, in milliseconds; ``alive`` masks reachable
    masternodes; ``clock_offset`` is the others' clocks minus mine, in milliseconds (None: not known).
    """

    def __init__(
        self,
        *,
        params: Parameters,
        source: ChainSource,
        ledger: LedgerState,
        identity: OperatorIdentity | None,
        permit: SigningPermit,
        max_pool_bytes: int,
    ) -> None:
        self.params = params
        self.chain_id = ledger.chain_id
        self.source = source
        self.window = ChainWindow(source, ledger)
        self.identity = identity
        self.permit = permit
        self.outbox = Outbox()
        self.docket = Docket(params)
        self.left_out = LeftOut(source.archived, self._lacks_evidence)
        self.effects: list[Effect] = []
        self.now = 0
        self.alive = 0
        self.clock_offset: int | None = None
        self.started = False
        self.halted = False
        self.finality = Finality(
            params,
            self.window,
            ledger.current,
            self.signer,
            chain_id=ledger.chain_id,
            max_bytes=max_pool_bytes,
        )

    @property
    def ledger(self) -> LedgerState:
        """The state after the decided tip."""
        return self.window.ledger

    @property
    def members(self) -> PowerSet:
        """S(e) of the open epoch."""
        return self.window.ledger.current

    @property
    def signer(self) -> int | None:
        """My signer index in the open epoch; None for a follower."""
        return None if self.identity is None else self.members.index_of_key(self.identity.operator_key)

    @property
    def may_sign(self) -> bool:
        """Am I a member whose journal and exchange allow it to sign?"""
        return self.finality.may_sign and self.signer is not None

    def emit(self, effect: Effect) -> None:
        """Ask the surroundings for something."""
        self.effects.append(effect)

    def accuse(self, piece: Evidence | None) -> bool:
        """Keep verified evidence, durably, and pass it on; False when it is of no use (any more) or none."""
        if piece is None or not self.docket.add(self.ledger, piece):
            return False
        self.outbox.record(RecordKind.EVIDENCE, piece.encode())
        self.emit(Announce(piece))
        self.emit(Misbehaviour(piece))
        return True

    def offence(self, offence: Offence) -> None:
        """Somebody was seen to break the protocol: make evidence of it."""
        if isinstance(offence, RivalVotes) and not self._lacks_evidence(offence.bundles[0].epoch, offence.signer):
            return
        if not self.accuse(evidence_of(offence)):
            self.emit(Misbehaviour(offence))

    def _lacks_evidence(self, epoch: int, signer: int) -> bool:
        """What is costly to prove is proved once: a bundle can hold votes for thousands of rivals, 16 ms each."""
        return self.docket.lacks(self.ledger, epoch, signer)

    def take_effects(self) -> list[Effect]:
        """Everything asked for since the last call, in order."""
        effects, self.effects = self.effects, []
        return effects

    @property
    def slot_ms(self) -> int:
        """When the open epoch ends, in milliseconds (R7)."""
        return schedule.next_slot(self.ledger.last_closing_slot, self.params.epoch_seconds) * 1000

    @property
    def clock_is_wrong(self) -> bool:
        """Is my clock too far from the others' to propose by it (protocol.md 9)?"""
        return self.clock_offset is not None and abs(self.clock_offset) > self.params.clock_tolerance

    def seal(self) -> None:
        """Send no more acks in this epoch (R9). Signed at once, the seal is on disk before what rests on it."""
        if not self.finality.sealed:
            self.finality.seal(self.now)
            self.sign_bundles()

    def sign_bundles(self) -> None:
        """Sign what there is to say, and let it be written with the bodies that it names (protocol.md 4)."""
        identity, signer = self.identity, self.signer
        if not self.may_sign or identity is None or signer is None:
            return
        while (draft := self.finality.draft()) is not None:
            self._journal_bodies(self.entries((*draft.acks, *draft.votes)))
            bundle = Bundle(
                self.chain_id,
                self.ledger.epoch,
                self.members.set_hash,
                signer,
                draft.sequence,
                draft.seal,
                draft.votes,
                draft.acks,
            )
            self.outbox.message(RecordKind.BUNDLE, bundle.signed(identity.sign(bundle.digest)))

    def _journal_bodies(self, entries: Iterable[Entry]) -> None:
        # With its parents, voted for or not: a body that comes back without them would not be valid by itself.
        for entry in entries:
            for ancestor in sorted(all_ancestors(entry), key=lambda each: each.order):
                self.outbox.body(ancestor.tx)
            self.outbox.body(entry.tx)

    def entries(self, txids: Iterable[bytes]) -> list[Entry]:
        """Those of the transactions that are in the pool."""
        found = (self.finality.pool.get(txid) for txid in txids)
        return [entry for entry in found if entry is not None]
