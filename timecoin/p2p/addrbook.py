"""Known addresses of nodes in new and tried buckets, after Bitcoin Core's addrman. Pure; times in Unix
seconds.

*New* addresses were heard of, *tried* ones once answered. Where an address may stand is a keyed hash of its
network group and, for new ones, of the group of who told us, so that somebody with few networks can only ever
fill few places.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from random import Random

from msgspec import Struct

from timecoin.p2p.netaddress import NetAddress

#: Table sizes: a quarter of Core's in each dimension that counts, 20,480 places in all.
NEW_BUCKETS, TRIED_BUCKETS, BUCKET_SIZE = 256, 64, 64
#: Buckets that one source group, one address group (tried) and one address (new) can reach. As in Core.
NEW_PER_SOURCE, TRIED_PER_GROUP, NEW_PER_ADDRESS = 64, 8, 8

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
#: Core's horizons: heard of, failed attempts, and how long a tried place is safe from a newcomer.
_HORIZON, _RETRIES, _MAX_FAILURES, _MIN_FAIL = 30 * _DAY, 3, 10, 7 * _DAY
_SAFE = 4 * _HOUR


class Entry(Struct, gc=False):
    """What is known of one address: seconds of last word, try and success; failed ``attempts`` since the last
    success; ``places`` in the new table; whether it is in the tried one.
    """

    address: NetAddress
    source: NetAddress
    services: int
    last_seen: int
    last_try: int = 0
    last_success: int = 0
    attempts: int = 0
    places: int = 0
    tried: bool = False

    def is_terrible(self, now: int) -> bool:
        """Tell whether the address is not worth its place (Core's IsTerrible)."""
        if now - self.last_try < _MINUTE:
            return False
        if self.last_seen > now + 10 * _MINUTE or now - self.last_seen > _HORIZON:
            return True
        if not self.last_success and self.attempts >= _RETRIES:
            return True
        return now - self.last_success > _MIN_FAIL and self.attempts >= _MAX_FAILURES

    def chance(self, now: int) -> float:
        """Return the relative chance of being picked (Core's GetChance)."""
        chance = 0.01 if now - self.last_try < 10 * _MINUTE else 1.0
        return chance * 0.66 ** min(self.attempts, 8)


class AddressBook:
    """The two tables. All choices are drawn from the ``random`` given; nothing grows beyond the tables."""

    def __init__(self, key: bytes, random: Random, allow_private: bool = False) -> None:
        """``key``: 32 secret bytes, kept with the book; ``allow_private``: take unroutable addresses too."""
        self.key = key
        self._random = random
        self._allow_private = allow_private
        self._entries: dict[NetAddress, Entry] = {}
        self._new: dict[tuple[int, int], NetAddress] = {}
        self._tried: dict[tuple[int, int], NetAddress] = {}
        self._excluded: set[NetAddress] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, address: object) -> bool:
        return address in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def accepts(self, address: NetAddress) -> bool:
        """Tell whether the book takes such an address on this network."""
        if address in self._excluded:
            return False
        return address.is_dialable() if self._allow_private else address.is_routable()

    def entry(self, address: NetAddress) -> Entry | None:
        """Return what is known of an address."""
        return self._entries.get(address)

    # Learning

    def add(
        self,
        address: NetAddress,
        source: NetAddress,
        services: int,
        last_seen: int,
        now: int,
        penalty: int = 0,
    ) -> bool:
        """Learn an address from ``source``; return whether it was unknown and found a place.

        ``penalty`` seconds are taken off ``last_seen`` when it is hearsay.
        """
        if not self.accepts(address):
            return False
        seen = max(0, min(last_seen, now) - (0 if address == source else penalty))
        entry = self._entries.get(address)
        if entry is not None:
            if not self._refresh(entry, services, seen, now):
                return False
            known = True
        else:
            entry, known = Entry(address, source, services, seen), False
        return self._place_new(entry, source, now) and not known

    def _refresh(self, entry: Entry, services: int, seen: int, now: int) -> bool:
        """Update a known entry; tell whether it should get one more place in the new table."""
        interval = _HOUR if now - entry.last_seen < _DAY else _DAY
        fresher = seen > entry.last_seen
        if seen > entry.last_seen + interval or not entry.last_seen:
            entry.last_seen = seen
        entry.services |= services
        if not fresher or entry.tried or entry.places >= NEW_PER_ADDRESS:
            return False
        # Each further place is half as likely as the one before.
        return self._random.getrandbits(entry.places) == 0 if entry.places else True

    def _place_new(self, entry: Entry, source: NetAddress, now: int) -> bool:
        place = self._new_place(entry.address, source)
        holder = self._new.get(place)
        if holder == entry.address:
            return False
        if holder is not None:
            other = self._entries[holder]
            if not (other.is_terrible(now) or (other.places > 1 and entry.places == 0)):
                return False
            self._clear_new(place)
        self._new[place] = entry.address
        entry.places += 1
        self._entries[entry.address] = entry
        return True

    # Outcomes of dialling

    def attempt(self, address: NetAddress, now: int) -> None:
        """Note that a connection is being tried."""
        entry = self._entries.get(address)
        if entry is not None:
            entry.last_try = now
            entry.attempts += 1

    def good(self, address: NetAddress, now: int) -> None:
        """Note that a node of this network answered at the address: it moves to the tried table.

        A tried entry in its place that answered within four hours stays; another one goes back to new.
        """
        entry = self._entries.get(address)
        if entry is None:
            return
        entry.last_success = entry.last_try = entry.last_seen = now
        entry.attempts = 0
        if entry.tried:
            return
        place = self._tried_place(address)
        holder = self._tried.get(place)
        if holder is not None and now - self._entries[holder].last_success < _SAFE:
            return
        # Before the demotion, which may want one of this entry's new places.
        self._forget_places(entry)
        entry.tried = True
        if holder is not None:
            self._demote(place)
        self._tried[place] = address

    def exclude(self, address: NetAddress) -> None:
        """Drop an address and never take it again in this run: it is our own."""
        self._excluded.add(address)
        entry = self._entries.get(address)
        if entry is None:
            return
        self._forget_places(entry)
        if entry.tried:
            del self._tried[self._tried_place(address)]
        self._entries.pop(address, None)

    def _demote(self, place: tuple[int, int]) -> None:
        entry = self._entries[self._tried.pop(place)]
        entry.tried = False
        new_place = self._new_place(entry.address, entry.source)
        if new_place in self._new:
            self._clear_new(new_place)
        self._new[new_place] = entry.address
        entry.places = 1

    def _forget_places(self, entry: Entry) -> None:
        if not entry.places:
            return
        for place in [place for place, address in self._new.items() if address == entry.address]:
            del self._new[place]
        entry.places = 0

    def _clear_new(self, place: tuple[int, int]) -> None:
        entry = self._entries[self._new.pop(place)]
        entry.places -= 1
        if not entry.places and not entry.tried:
            del self._entries[entry.address]

    def tally(self) -> dict[int, tuple[int, int]]:
        """Return how many addresses are (new, tried) by network id."""
        found: dict[int, tuple[int, int]] = {}
        for entry in self._entries.values():
            new, tried = found.get(entry.address.network, (0, 0))
            found[entry.address.network] = (new + (not entry.tried), tried + entry.tried)
        return found

    # Choosing

    def select(self, now: int, tries: int = 200) -> NetAddress | None:
        """Pick an address to dial: new or tried with even odds, then by chance; None: the book is empty."""
        tables = [list(table.values()) for table in (self._new, self._tried) if table]
        if not tables:
            return None
        table = self._random.choice(tables)
        factor, address = 1.0, table[0]
        for _ in range(tries):
            address = self._random.choice(table)
            if self._random.random() < factor * self._entries[address].chance(now):
                break
            factor *= 1.2
        return address

    def sample(self, count: int, now: int) -> list[Entry]:
        """Return up to ``count`` random entries worth telling others about, each once."""
        good = [entry for entry in self._entries.values() if not entry.is_terrible(now)]
        return self._random.sample(good, min(count, len(good)))

    # Places

    def _hash(self, *parts: bytes) -> int:
        digest = hashlib.sha256(self.key)
        for part in parts:
            digest.update(len(part).to_bytes(1, "big") + part)
        return int.from_bytes(digest.digest()[:8], "big")

    def _new_place(self, address: NetAddress, source: NetAddress) -> tuple[int, int]:
        source_group = source.group()
        spread = self._hash(b"N1", address.group(), source_group) % NEW_PER_SOURCE
        bucket = self._hash(b"N2", source_group, bytes([spread])) % NEW_BUCKETS
        return bucket, self._hash(b"N3", bytes([bucket]), address.key()) % BUCKET_SIZE

    def _tried_place(self, address: NetAddress) -> tuple[int, int]:
        spread = self._hash(b"T1", address.key()) % TRIED_PER_GROUP
        bucket = self._hash(b"T2", address.group(), bytes([spread])) % TRIED_BUCKETS
        return bucket, self._hash(b"T3", bytes([bucket]), address.key()) % BUCKET_SIZE

    # Keeping

    def restore(self, entries: Iterable[Entry], now: int) -> None:
        """Take entries of an earlier run into their places; what does not fit any more is left out."""
        for saved in entries:
            if saved.address in self._entries or not self.accepts(saved.address):
                continue
            saved.places, was_tried, saved.tried = 0, saved.tried, False
            place = self._tried_place(saved.address)
            if was_tried and place not in self._tried:
                saved.tried = True
                self._tried[place] = saved.address
                self._entries[saved.address] = saved
            else:
                self._place_new(saved, saved.source, now)
