"""What the closing block of an epoch does to the registry (protocol.md section 3).

Payloads of all blocks of the epoch in chain order, then jail terms, then attendance. Signatures are checked
against the keys of the opening registry, so an owner key that was replaced in this epoch still counts until
it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace

from timecoin.primitives.signing import SignatureBackend, check_all
from timecoin.primitives.transaction import make_outpoint

from .params import Parameters
from .payload import (
    FREE,
    Payload,
    Register,
    Return,
    Unregister,
    Update,
    parse,
    signature_checks,
    signing_digest,
)
from .payload_record import PayloadRecord
from .powerset import PowerSet
from .registry_entry import Entry
from .tiers import Tier

#: Epochs between a change in the registry and the first set that shows it.
SET_DELAY = 2


class RegistryDraft:
    """The registry while one closing block is applied; ``entries`` is the result, in registration order."""

    def __init__(self, params: Parameters, epoch: int, opening: Mapping[bytes, Entry]) -> None:
        self.entries = dict(opening)
        self._params = params
        self._epoch = epoch
        self._free = sum(1 for entry in opening.values() if not entry.is_paid)
        # A key stays taken by whoever had it at the opening: S(e+1) may still know it under that id.
        self._key_users = {entry.operator_key: id_ for id_, entry in opening.items()}

    def apply(self, record: PayloadRecord, coin_exists: Callable[[bytes], bool]) -> None:
        """Apply one payload that `is_signed`; colliding or pointless ones change nothing."""
        payload = parse(record.data)
        if payload is None:
            return
        if isinstance(payload, Register):
            entry = self._registered(record, payload, coin_exists)
        else:
            entry = self._changed(payload)
        if entry is None or self._collides(entry):
            return
        self._free += isinstance(payload, Register) and not entry.is_paid
        self._key_users[entry.operator_key] = entry.masternode_id
        self.entries[entry.masternode_id] = entry

    def _collides(self, entry: Entry) -> bool:
        return self._key_users.get(entry.operator_key, entry.masternode_id) != entry.masternode_id

    def _registered(
        self, record: PayloadRecord, payload: Register, coin_exists: Callable[[bytes], bool]
    ) -> Entry | None:
        tier, collateral = self._tier(record, payload.collateral_index)
        if tier is None or (collateral is not None and not coin_exists(collateral)):
            return None
        return Entry(
            record.txid,
            payload.operator_key,
            payload.owner_key,
            payload.payout,
            payload.service,
            tier,
            self._params.power(tier),
            collateral,
            record.height,
            record.position,
        )

    def _tier(self, record: PayloadRecord, index: int) -> tuple[Tier | None, bytes | None]:
        if index == FREE:
            return (Tier.FREE if self._free < self._params.max_free else None), None
        if index >= len(record.outputs):
            return None, None
        return self._params.paid_tier(record.outputs[index].value), make_outpoint(record.txid, index)

    def _changed(self, payload: Update | Unregister | Return) -> Entry | None:
        entry = self.entries.get(payload.masternode_id)
        if entry is None or entry.is_leaving:
            return None
        if isinstance(payload, Update):
            return _updated(entry, payload)
        if isinstance(payload, Return):
            return replace(entry, suspended=False, absent=0) if entry.suspended else None
        release = self._epoch + SET_DELAY + self._params.unbonding_epochs
        return replace(entry, unregistered=self._epoch, release=release)

    def jail(self, masternode_id: bytes) -> None:
        """Put a masternode out for good for this registration; unknown and jailed ids change nothing."""
        entry = self.entries.get(masternode_id)
        if entry is None or entry.jailed is not None:
            return
        release = max(entry.release or 0, self._epoch + SET_DELAY + self._params.jail_epochs)
        self.entries[masternode_id] = replace(entry, jailed=self._epoch, release=release)

    def count_attendance(self, expected: PowerSet, present: Container[bytes]) -> None:
        """Count who of ``expected``, the set that decided the previous closing block, is in its commit."""
        for member in expected.members:
            entry = self.entries.get(member.masternode_id)
            if entry is None or not entry.is_eligible:
                continue
            if member.masternode_id in present:
                if entry.absent:
                    self.entries[member.masternode_id] = replace(entry, absent=0)
            else:
                self.entries[member.masternode_id] = self._absent_once_more(entry)

    def _absent_once_more(self, entry: Entry) -> Entry:
        absent = entry.absent + 1
        if absent >= self._params.absent_epochs:
            return replace(entry, suspended=True, absent=0)
        return replace(entry, absent=absent)

    def release(self) -> None:
        """Drop the entries whose collateral is free from the opening of the next epoch."""
        gone = [
            id_
            for id_, entry in self.entries.items()
            if entry.release is not None and entry.release <= self._epoch + 1
        ]
        for id_ in gone:
            del self.entries[id_]


def _updated(entry: Entry, update: Update) -> Entry:
    return replace(
        entry,
        operator_key=update.operator_key or entry.operator_key,
        owner_key=update.owner_key or entry.owner_key,
        payout=update.payout or entry.payout,
        service=update.service or entry.service,
    )


def is_signed(
    opening: Mapping[bytes, Entry], record: PayloadRecord, chain_id: bytes, backend: SignatureBackend
) -> bool:
    """Whether the payload is well-formed, its keys are points and it is signed under the opening's keys."""
    payload = parse(record.data)
    if payload is None or not _keys_are_points(backend, payload):
        return False
    owner_key = _owner_key(opening, payload)
    if owner_key is None:
        return False
    digest = signing_digest(chain_id, record.hash_prevouts, payload)
    return check_all(backend, signature_checks(payload, digest, owner_key))


def _owner_key(opening: Mapping[bytes, Entry], payload: Payload) -> bytes | None:
    if isinstance(payload, Register):
        return payload.owner_key
    entry = opening.get(payload.masternode_id)
    return None if entry is None else entry.owner_key


def _keys_are_points(backend: SignatureBackend, payload: Payload) -> bool:
    if not isinstance(payload, Register | Update):
        return True
    named: Iterable[bytes | None] = (payload.operator_key, payload.owner_key)
    return all(key is None or backend.is_public_key(key) for key in named)
