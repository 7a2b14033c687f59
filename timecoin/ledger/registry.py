"""The masternode registry: an immutable value, the same on every node (protocol.md section 3).

The registry of a ledger state is that of the *opening* of its open epoch: `Registry.close_epoch` makes the
next one, and sets follow two epochs behind (`Registry.choose_set`). Unchanged entries are shared.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from itertools import pairwise
from typing import Final

from timecoin.primitives.codec import DecodeError, Reader, compact_size
from timecoin.primitives.signing import SignatureBackend

from . import registry_effects, set_choice
from .params import Parameters
from .payload_record import PayloadRecord
from .powerset import PowerSet
from .registry_effects import RegistryDraft
from .registry_entry import LEAST_ENTRY_BYTES, Entry, read_entry

_NEVER: Final = 2**64


class Registry:
    """Entries by masternode id, in the order of their registration.

    Raises ValueError when entries are out of order or share an id, an operator key or a collateral.
    """

    __slots__ = ("_by_key", "_entries", "_locks")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        listed = tuple(entries)
        self._entries = {entry.masternode_id: entry for entry in listed}
        self._by_key = {entry.operator_key: entry for entry in listed}
        self._locks = {
            entry.collateral: _NEVER if entry.release is None else entry.release
            for entry in listed
            if entry.collateral is not None
        }
        paid = sum(1 for entry in listed if entry.collateral is not None)
        if not len(self._entries) == len(self._by_key) == len(listed) or len(self._locks) != paid:
            raise ValueError("two registry entries share an id, an operator key or a collateral")
        if any(a.order >= b.order for a, b in pairwise(listed)):
            raise ValueError("registry entries are out of order")

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Registry) and self._entries == other._entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def __repr__(self) -> str:
        return f"<Registry of {len(self._entries)} masternodes>"

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries by (height, position) of registration, leaving ones included."""
        return tuple(self._entries.values())

    def get(self, masternode_id: bytes) -> Entry | None:
        """Return the entry with this id, or None."""
        return self._entries.get(masternode_id)

    def by_operator_key(self, operator_key: bytes) -> Entry | None:
        """Return the entry with this operator key, or None."""
        return self._by_key.get(operator_key)

    def locked(self, outpoint: bytes, epoch: int) -> bool:
        """Whether ``outpoint`` is collateral that nobody may spend while ``epoch`` is open. One look-up."""
        release = self._locks.get(outpoint)
        return release is not None and epoch < release

    def is_signed(self, record: PayloadRecord, chain_id: bytes, backend: SignatureBackend) -> bool:
        """Whether a payload of the open epoch is well-formed and signed under the keys of this opening."""
        return registry_effects.is_signed(self._entries, record, chain_id, backend)

    def close_epoch(
        self,
        params: Parameters,
        epoch: int,
        payloads: Sequence[PayloadRecord],
        coin_exists: Callable[[bytes], bool],
        closing_set: PowerSet | None,
        present: Container[bytes] | None,
        jailed: Sequence[bytes],
        backend: SignatureBackend | None,
        chain_id: bytes,
    ) -> Registry:
        """Return the registry of the opening of ``epoch + 1``.

        ``payloads``: of all blocks of ``epoch``, in chain order; ``coin_exists``: whether an outpoint is in
        the UTXO set after the closing block. ``closing_set`` = S(epoch - 1) decided the previous closing
        block and ``present`` are the ids in its commit, as the first block of ``epoch`` carries it; None
        in the first epoch. ``jailed``: ids convicted by evidence in blocks of ``epoch``, in any order.
        ``backend`` None: all payloads passed `is_signed` before. Returns itself when nothing changes.
        """
        draft = RegistryDraft(params, epoch, self._entries)
        for record in payloads:
            if backend is None or self.is_signed(record, chain_id, backend):
                draft.apply(record, coin_exists)
        for masternode_id in jailed:
            draft.jail(masternode_id)
        if closing_set is not None and present is not None:
            draft.count_attendance(closing_set, present)
        draft.release()
        return self if draft.entries == self._entries else Registry(draft.entries.values())

    def choose_set(self, params: Parameters, previous: PowerSet, free_mode: bool) -> tuple[PowerSet, bool]:
        """Return (S(e+2), free mode from now on) for the registry after the closing block of e.

        ``previous`` is S(e+1): it stays when nobody may sit. ``free_mode`` is what the last call returned.
        """
        return set_choice.choose_set(params, self._entries.values(), previous, free_mode)

    def encode(self) -> bytes:
        """Return the canonical serialisation, part of the state hash."""
        return compact_size(len(self._entries)) + b"".join(e.encode() for e in self._entries.values())

    @classmethod
    def read(cls, reader: Reader) -> Registry:
        """Read one registry from ``reader``; DecodeError on what `encode` does not write."""
        entries = [read_entry(reader) for _ in range(reader.count(LEAST_ENTRY_BYTES))]
        try:
            return cls(entries)
        except ValueError as error:
            raise DecodeError(str(error)) from error

    @classmethod
    def decode(cls, data: bytes) -> Registry:
        """Inverse of `encode`; DecodeError on anything else."""
        reader = Reader(data)
        registry = cls.read(reader)
        reader.finish()
        return registry
