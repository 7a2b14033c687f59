"""The ledger after a block: what the next block's validity rests on, besides the coins themselves."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from timecoin.ledger.archived import NOTHING_ARCHIVED, Archived
from timecoin.ledger.opening import Opening, encode_priorities, read_priorities
from timecoin.ledger.payload_record import PayloadRecord
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.registry import Registry
from timecoin.primitives.block import HEADER_SIZE, Header
from timecoin.primitives.codec import NonCanonical, Reader
from timecoin.primitives.hashes import HASH_SIZE, Hash
from timecoin.primitives.muhash import ENCODED_SIZE as MUHASH_SIZE
from timecoin.primitives.muhash import MuHash

_U32 = Struct("<I")
_U64 = Struct("<Q")


@dataclass(frozen=True, slots=True)
class LedgerState:
    """The tip's ``header``, the ``opening`` of the epoch open after it, and what has run up since.

    ``previous_set`` is S(epoch - 1) (S(1) in epoch 1); ``priorities`` are for height + 1; ``muhash`` is
    over the UTXO set; ``epoch_fees`` (base units), ``archived`` (registry payloads) and ``epoch_jailed``
    (masternode ids) are of the interim blocks since the opening. ``closing_signers`` are the ids whose
    precommit for the closing block that opened the epoch is in the last commit of the block after it, in
    set order, or None until that block is applied.
    """

    header: Header
    opening: Opening
    previous_set: PowerSet
    priorities: tuple[int, ...]
    muhash: MuHash
    epoch_fees: int = 0
    archived: Archived = NOTHING_ARCHIVED
    epoch_jailed: tuple[bytes, ...] = ()
    closing_signers: tuple[bytes, ...] | None = None

    @property
    def chain_id(self) -> Hash:
        """The network's genesis hash."""
        return self.header.chain_id

    @property
    def height(self) -> int:
        """The tip's height."""
        return self.header.height

    @property
    def block_hash(self) -> Hash:
        """The tip's hash."""
        return self.header.hash

    @property
    def epoch(self) -> int:
        """The open epoch: the tip's, or the one after it when the tip is a closing block."""
        return self.opening.epoch

    @property
    def registry(self) -> Registry:
        """The registry as of the opening."""
        return self.opening.registry

    @property
    def current(self) -> PowerSet:
        """S(epoch)."""
        return self.opening.current

    @property
    def following(self) -> PowerSet:
        """S(epoch + 1)."""
        return self.opening.following

    @property
    def supply(self) -> int:
        """Base units in unspent coins and in the fees of the open epoch."""
        return self.opening.supply

    @property
    def last_closing_slot(self) -> int:
        """Slot time of the last closing block, Unix seconds."""
        return self.opening.last_closing_slot

    @property
    def free_mode(self) -> bool:
        """Whether the network still runs on the genesis' Free seats."""
        return self.opening.free_mode

    @property
    def state_hash(self) -> Hash:
        """The state hash of the last closing block."""
        return self.opening.state_hash

    @property
    def epoch_payloads(self) -> tuple[PayloadRecord, ...]:
        """Registry payloads since the opening, in chain order."""
        return self.archived.payloads

    @property
    def tip_set(self) -> PowerSet:
        """The set of the tip's own epoch, which signs the tip's commit."""
        return self.previous_set if self.header.closing else self.current

    def encode(self) -> bytes:
        """Return the stored form; the opening's part of it is made once an epoch."""
        previous = self.previous_set.encode()
        return b"".join(
            [
                self.header.encode(),
                self.opening.encoded,
                _U32.pack(len(previous)) + previous,
                self.muhash.encode(),
                encode_priorities(self.priorities),
                _U64.pack(self.epoch_fees),
                self.archived.encode(),
                _encode_ids(self.epoch_jailed),
                b"\0" if self.closing_signers is None else b"\1" + _encode_ids(self.closing_signers),
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> LedgerState:
        """Read :meth:`encode`'s form back; ``DecodeError`` for anything else."""
        reader = Reader(data)
        header = Header.decode(reader.take(HEADER_SIZE))
        opening = Opening.read(reader)
        previous = PowerSet.decode(reader.take(reader.u32()))
        muhash = MuHash.decode(reader.take(MUHASH_SIZE))
        priorities = read_priorities(reader)
        fees = reader.u64()
        archived = Archived.read(reader)
        jailed = _read_ids(reader)
        signers = _read_ids(reader) if _read_flag(reader) else None
        reader.finish()
        return cls(header, opening, previous, priorities, muhash, fees, archived, jailed, signers)

    def is_committed(self) -> bool:
        """Whether the header vouches for every other part, as a joining node asks of a snapshot's state.

        Holds right after a closing block only: an interim header does not cover what has run up since.
        """
        header = self.header
        return (
            header.closing
            and self.state_hash == header.state_hash
            and self.previous_set.set_hash == header.set_hash
            and self.muhash.digest() == header.utxo_commitment
            and self.priorities == self.opening.priorities
            and not (self.epoch_fees or any(self.archived) or self.epoch_jailed)
            and self.closing_signers is None
        )


def _encode_ids(ids: tuple[bytes, ...]) -> bytes:
    return _U32.pack(len(ids)) + b"".join(ids)


def _read_ids(reader: Reader) -> tuple[bytes, ...]:
    packed = reader.take(reader.u32() * HASH_SIZE)
    return tuple([packed[at : at + HASH_SIZE] for at in range(0, len(packed), HASH_SIZE)])


def _read_flag(reader: Reader) -> bool:
    flag = reader.u8()
    if flag > 1:
        raise NonCanonical(f"flag {flag}")
    return flag == 1


def state_hash_of(opening: Opening) -> Hash:
    """Return SHA-256 of the canonical serialisation of all consensus state outside the UTXO set."""
    return opening.state_hash
