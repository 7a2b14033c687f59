"""The opening state: all consensus state outside the UTXO set right after a closing block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from struct import Struct

from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.registry import Registry
from timecoin.primitives.codec import NonCanonical, Reader
from timecoin.primitives.hashes import Hash, sha256

_U32 = Struct("<I")
_I64 = Struct("<q")
_TAIL = Struct("<QQB")


@dataclass(frozen=True)
class Opening:
    """What stays the same while ``epoch`` is open; its encoding is what the state hash covers.

    ``current`` is S(epoch), ``following`` S(epoch + 1), ``priorities`` those of ``current`` for the
    epoch's first height. ``supply`` in base units counts the unspent coins, and the fees of the open
    epoch until its closing block; ``last_closing_slot`` is in Unix seconds.
    """

    epoch: int
    registry: Registry
    current: PowerSet
    following: PowerSet
    priorities: tuple[int, ...]
    supply: int
    last_closing_slot: int
    free_mode: bool

    @cached_property
    def encoded(self) -> bytes:
        """Canonical bytes, made once an epoch.

        Epoch u32 ‖ registry ‖ S(e) ‖ S(e+1), each behind its u32 length ‖ priorities, i64 each, behind
        their u32 count ‖ supply u64 ‖ last closing slot u64 ‖ Free mode u8.
        """
        parts = (self.registry.encode(), self.current.encode(), self.following.encode())
        return b"".join(
            [
                _U32.pack(self.epoch),
                *[_U32.pack(len(part)) + part for part in parts],
                encode_priorities(self.priorities),
                _TAIL.pack(self.supply, self.last_closing_slot, self.free_mode),
            ]
        )

    @cached_property
    def state_hash(self) -> Hash:
        """SHA-256 of :attr:`encoded`, which the headers from the closing block on repeat."""
        return sha256(self.encoded)

    @classmethod
    def read(cls, reader: Reader) -> Opening:
        """Take an opening off ``reader``; ``DecodeError`` for any bytes but :attr:`encoded`'s."""
        epoch = reader.u32()
        registry, current, following = [reader.take(reader.u32()) for _ in range(3)]
        priorities = read_priorities(reader)
        supply, slot, free_mode = reader.u64(), reader.u64(), reader.u8()
        if free_mode > 1:
            raise NonCanonical(f"flag {free_mode}")
        sets = PowerSet.decode(current), PowerSet.decode(following)
        return cls(epoch, Registry.decode(registry), *sets, priorities, supply, slot, bool(free_mode))


def encode_priorities(priorities: tuple[int, ...]) -> bytes:
    """Return the u32 count and an i64 each."""
    return _U32.pack(len(priorities)) + b"".join([_I64.pack(priority) for priority in priorities])


def read_priorities(reader: Reader) -> tuple[int, ...]:
    """Take priorities off ``reader``; ``Truncated`` when there are fewer than announced."""
    packed = reader.take(reader.u32() * _I64.size)
    return tuple([priority for (priority,) in _I64.iter_unpack(packed)])
