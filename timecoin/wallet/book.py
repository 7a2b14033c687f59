"""The script book: which output scripts are ours, from which descriptor and index, used or not, and what they are for.

Pure and in memory. What changed is taken with :meth:`ScriptBook.take_changes` and committed by the caller; a book is
built again from the stored tables by :meth:`ScriptBook.load`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from timecoin.ledger.networks import Network

from .book_records import (
    DESCRIPTORS,
    LABELS,
    SCRIPTS,
    BookEntry,
    decode_entry,
    decode_script,
    encode_script,
    script_key,
)
from .descriptors import Descriptor, Expansion
from .errors import BadRecord, NoDescriptor, RangeExhausted, UnsupportedDescriptor
from .paths import HARDENED

__all__ = [
    "CHANGE",
    "GAP_LIMIT",
    "MAX_GAP_LIMIT",
    "RECEIVE",
    "TABLES",
    "Listed",
    "Place",
    "ScriptBook",
    "derive_scripts",
]

GAP_LIMIT: Final = 20
"""Unused scripts watched ahead of the last one used or handed out (BIP 44)."""

MAX_GAP_LIMIT: Final = 10_000
MAX_RANGE: Final = 1_000_000
"""Indexes of one descriptor, at most (Core's limit)."""

RECEIVE, CHANGE = 0, 1
TABLES: Final = (DESCRIPTORS, SCRIPTS, LABELS)
"""The tables of the store that the book reads and writes."""

_LABEL_LIMIT: Final = 1_024
_CREATED_LIMIT: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Place:
    """Where a script of ours comes from: ``chain`` is :data:`RECEIVE` or :data:`CHANGE`."""

    descriptor_id: bytes
    chain: int
    index: int


class Listed(NamedTuple):
    """One descriptor of the book.

    ``descriptor`` is public. Indexes ``first`` ≤ i < ``end`` are watched; ``next_index`` is the next to be handed out,
    ``used`` one more than the highest seen in a transaction (0: none). ``active``: new scripts of its chain come from
    it. ``created``: Unix seconds before which nothing paid to it.
    """

    descriptor: Descriptor
    chain: int
    active: bool
    created: int
    first: int
    end: int
    next_index: int
    used: int
    label: str


def derive_scripts(descriptor: Descriptor, first: int, end: int) -> list[bytes]:
    """The scripts of the indexes *first* ≤ i < *end*: 35 µs each and key; pure, so that a thread can do it."""
    return [descriptor.script(index) for index in range(first, end)]


class ScriptBook:
    """All scripts of one wallet; not for several threads at once.

    *gap_limit* (1 to 10,000) scripts are watched ahead.
    """

    def __init__(self, network: Network, gap_limit: int = GAP_LIMIT) -> None:
        if not 1 <= gap_limit <= MAX_GAP_LIMIT:
            raise ValueError(f"a gap limit is from 1 to {MAX_GAP_LIMIT}")
        self.network = network
        self.gap_limit = gap_limit
        self._entries: dict[bytes, BookEntry] = {}
        self._places: dict[bytes, Place] = {}
        self._used: set[bytes] = set()
        self._labels: dict[bytes, str] = {}
        self._numbers = 0
        self._changes: dict[str, dict[bytes, bytes | None]] = {}

    @classmethod
    def load(
        cls, network: Network, tables: Mapping[str, Mapping[bytes, bytes]], gap_limit: int = GAP_LIMIT
    ) -> ScriptBook:
        """The book that *tables* (of :data:`TABLES`) hold; ``BadRecord``. What a larger gap asks for is derived."""
        book = cls(network, gap_limit)
        book._load_entries(tables.get(DESCRIPTORS, {}))
        book._load_scripts(tables.get(SCRIPTS, {}))
        book._labels = {script: _decode_label(label) for script, label in tables.get(LABELS, {}).items()}
        for descriptor_id in book._entries:
            book._index(descriptor_id)
            book._extend(descriptor_id)
        return book

    def _load_entries(self, records: Mapping[bytes, bytes]) -> None:
        found = sorted((decode_entry(data, self.network) for data in records.values()), key=lambda each: each.number)
        self._entries = {entry.descriptor.descriptor_id: entry for entry in found}
        if self._entries.keys() != records.keys():
            raise BadRecord("a stored descriptor stands under another's name")
        self._numbers = 1 + max((entry.number for entry in found), default=-1)

    def _load_scripts(self, records: Mapping[bytes, bytes]) -> None:
        by_number = {entry.number: entry for entry in self._entries.values()}
        for key in sorted(records):
            number, index, script, used = decode_script(key, records[key])
            entry = by_number.get(number)
            if entry is None or index != entry.end:
                raise BadRecord("a stored script belongs to no descriptor, or one before it is missing")
            entry.scripts.append(script)
            if used:
                self._used.add(script)

    def take_changes(self) -> dict[str, dict[bytes, bytes | None]]:
        """What to commit since the last call: table → key → value or None (removed). Empty when nothing changed."""
        changes, self._changes = self._changes, {}
        return changes

    def _note(self, table: str, key: bytes, value: bytes | None) -> None:
        self._changes.setdefault(table, {})[key] = value

    def _note_entry(self, descriptor_id: bytes) -> None:
        self._note(DESCRIPTORS, descriptor_id, self._entries[descriptor_id].encode())

    # Descriptors

    def add(
        self,
        descriptor: Descriptor,
        *,
        chain: int = RECEIVE,
        active: bool = False,
        created: int = 0,
        first: int = 0,
        end: int | None = None,
        next_index: int = 0,
        label: str = "",
        derived: Sequence[bytes] = (),
    ) -> bytes:
        """Watch *descriptor* (its public form) and return its id.

        Watched are indexes *first* ≤ i < *end*, and ``gap_limit`` after *next_index*. *derived*: what
        :func:`derive_scripts` gave from *first* on, so that a thread did the work (35 µs a key and index). Added again,
        a descriptor keeps what is known of its scripts; ranges grow, never shrink.

        Raises ``RangeExhausted`` (a range that is none, or above a million), ``UnsupportedDescriptor`` (active, but not
        ranged), ``ValueError`` (chain, time or label out of bounds).
        """
        descriptor = descriptor.public()
        _check_range(descriptor, first, end, next_index)
        _check_rest(chain, created, label)
        if active and not descriptor.is_ranged:
            raise UnsupportedDescriptor("only a ranged descriptor can be active: it has to give many addresses")
        descriptor_id = descriptor.descriptor_id
        entry = BookEntry(0, descriptor, chain, False, created, first, next_index, 0, label)
        before = self._put(descriptor_id, entry)
        self._keep(descriptor_id, derived)
        self._extend(descriptor_id, max(before, 0 if end is None else end))
        self.activate(descriptor_id, active)
        return descriptor_id

    def _put(self, descriptor_id: bytes, entry: BookEntry) -> int:
        """Take *entry* as new, or into the one that is known; returns the end of what was watched before."""
        known = self._entries.get(descriptor_id)
        end = 0
        if known is not None:
            entry.created, entry.used = min(known.created, entry.created), known.used
            entry.next_index, entry.label = max(known.next_index, entry.next_index), entry.label or known.label
            if known.first <= entry.first and known.chain == entry.chain:
                known.created, known.next_index, known.label = entry.created, entry.next_index, entry.label
                return known.end
            end = known.end
            self.remove(descriptor_id)
        entry.number = self._numbers
        self._numbers += 1
        self._entries[descriptor_id] = entry
        return end

    def _keep(self, descriptor_id: bytes, derived: Sequence[bytes]) -> None:
        entry = self._entries[descriptor_id]
        if not entry.scripts:
            self._append(descriptor_id, derived)

    def _extend(self, descriptor_id: bytes, end: int = 0) -> list[bytes]:
        entry = self._entries[descriptor_id]
        if not entry.descriptor.is_ranged:
            wanted = 1
        else:
            wanted = min(max(end, max(entry.next_index, entry.used, entry.first) + self.gap_limit), HARDENED)
        return self._append(descriptor_id, derive_scripts(entry.descriptor, entry.end, wanted))

    def _append(self, descriptor_id: bytes, scripts: Sequence[bytes]) -> list[bytes]:
        entry = self._entries[descriptor_id]
        start = entry.end
        entry.scripts.extend(scripts)
        for index, script in enumerate(scripts, start):
            self._note(SCRIPTS, script_key(entry.number, index), encode_script(script, script in self._used))
        return self._index(descriptor_id, start)

    def _index(self, descriptor_id: bytes, start: int = 0) -> list[bytes]:
        entry, fresh = self._entries[descriptor_id], []
        skip = max(start - entry.first, 0)
        for index, script in enumerate(entry.scripts[skip:], entry.first + skip):
            if script not in self._places:
                self._places[script] = Place(descriptor_id, entry.chain, index)
                fresh.append(script)
        return fresh

    def remove(self, descriptor_id: bytes) -> None:
        """Forget a descriptor and its scripts, not their labels; ``NoDescriptor``."""
        entry = self._entry(descriptor_id)
        del self._entries[descriptor_id]
        self._note(DESCRIPTORS, descriptor_id, None)
        for index, script in enumerate(entry.scripts, entry.first):
            self._note(SCRIPTS, script_key(entry.number, index), None)
            if self._places[script].descriptor_id == descriptor_id:
                del self._places[script]
        # Another descriptor may stand for the same script.
        for other in self._entries:
            self._index(other)

    def activate(self, descriptor_id: bytes, active: bool = True) -> None:
        """Let new scripts of its chain come from this descriptor alone, or no longer from it.

        Raises ``NoDescriptor``, ``UnsupportedDescriptor`` (not ranged).
        """
        entry = self._entry(descriptor_id)
        if active and not entry.descriptor.is_ranged:
            raise UnsupportedDescriptor("only a ranged descriptor can be active: it has to give many addresses")
        for other_id, other in self._entries.items():
            if active and other.active and other.chain == entry.chain and other is not entry:
                other.active = False
                self._note_entry(other_id)
        entry.active = active
        self._note_entry(descriptor_id)

    def descriptors(self) -> tuple[tuple[bytes, Listed], ...]:
        """Ids and descriptors in the order in which they were added."""
        return tuple((descriptor_id, self.listed(descriptor_id)) for descriptor_id in self._entries)

    def listed(self, descriptor_id: bytes) -> Listed:
        """One of them; ``NoDescriptor``."""
        entry = self._entry(descriptor_id)
        numbers = (entry.created, entry.first, entry.end, entry.next_index, entry.used)
        return Listed(entry.descriptor, entry.chain, entry.active, *numbers, entry.label)

    def active(self, chain: int = RECEIVE) -> bytes | None:
        """The id of the active descriptor of *chain*; None when there is none."""
        found = [each for each, entry in self._entries.items() if entry.active and entry.chain == chain]
        return found[0] if found else None

    def _entry(self, descriptor_id: bytes) -> BookEntry:
        entry = self._entries.get(descriptor_id)
        if entry is None:
            raise NoDescriptor("the wallet has no such descriptor")
        return entry

    # Scripts

    def find(self, script: bytes) -> Place | None:
        """Where *script* comes from; None when it is not ours. One look-up."""
        return self._places.get(script)

    def expand(self, script: bytes) -> Expansion | None:
        """What is known for spending from *script* (witness script, keys and their origins); None: not ours."""
        place = self._places.get(script)
        return None if place is None else self._entries[place.descriptor_id].descriptor.expand(place.index)

    def scripts(self) -> Iterator[bytes]:
        """All scripts that are watched, in the order in which they came."""
        return iter(tuple(self._places))

    def __len__(self) -> int:
        return len(self._places)

    def mark_used(self, script: bytes) -> list[bytes]:
        """A transaction pays to, or spends from, *script*: note it and watch further ahead.

        Returns the scripts that are watched from now on, which a rescan has to look for again; empty when *script* is
        not ours or was known to be used.
        """
        place = self._places.get(script)
        if place is None or script in self._used:
            return []
        self._used.add(script)
        entry = self._entries[place.descriptor_id]
        self._note(SCRIPTS, script_key(entry.number, place.index), encode_script(script, True))
        return self._moved(place.descriptor_id, used=place.index + 1)

    def _moved(self, descriptor_id: bytes, used: int = 0, next_index: int = 0) -> list[bytes]:
        entry = self._entries[descriptor_id]
        before = (entry.used, entry.next_index)
        entry.used = max(entry.used, used)
        entry.next_index = max(entry.next_index, next_index, entry.used if entry.descriptor.is_ranged else 0)
        if before == (entry.used, entry.next_index):
            return []
        self._note_entry(descriptor_id)
        return self._extend(descriptor_id)

    def take_many(self, scripts: Iterable[bytes]) -> list[bytes]:
        """:meth:`mark_used` for each of *scripts*: all that is watched from now on."""
        return [fresh for script in scripts for fresh in self.mark_used(script)]

    def is_used(self, script: bytes) -> bool:
        """Whether a transaction paid to *script*: its address should not be given out again."""
        return script in self._used

    # Handing out

    def new_script(self, chain: int = RECEIVE) -> bytes:
        """The next script of the active descriptor of *chain* that was neither used nor handed out; hands it out.

        Raises ``NoDescriptor``, ``RangeExhausted``.
        """
        descriptor_id, index = self._next(chain)
        self._moved(descriptor_id, next_index=index + 1)
        entry = self._entries[descriptor_id]
        return entry.scripts[index - entry.first]

    def new_change(self) -> bytes:
        """:meth:`new_script` for change, but not beyond the gap: then the first unused one, though handed out before.

        Drafts that came to nothing would otherwise hide the change of those that are sent from a restore.
        """
        descriptor_id, index = self._next(CHANGE)
        entry = self._entries[descriptor_id]
        unused = max(entry.used, entry.first)
        return self.new_script(CHANGE) if index < unused + self.gap_limit else entry.scripts[unused - entry.first]

    def change_left(self) -> int:
        """How many different scripts :meth:`new_change` gives one after the other, 1 at least; ``NoDescriptor``."""
        descriptor_id, index = self._next(CHANGE)
        entry = self._entries[descriptor_id]
        return max(1, max(entry.used, entry.first) + self.gap_limit - index)

    def peek_script(self, chain: int = RECEIVE) -> bytes:
        """What :meth:`new_script` would give, not handed out; raises the same."""
        descriptor_id, index = self._next(chain)
        entry = self._entries[descriptor_id]
        return entry.scripts[index - entry.first]

    def _next(self, chain: int) -> tuple[bytes, int]:
        descriptor_id = self.active(chain)
        if descriptor_id is None:
            kind = "change" if chain == CHANGE else "receiving"
            raise NoDescriptor(f"the wallet has no active descriptor for {kind} addresses")
        entry = self._entries[descriptor_id]
        index = max(entry.next_index, entry.first)
        while index < entry.end and entry.scripts[index - entry.first] in self._used:
            index += 1
        if index >= min(entry.end, HARDENED):
            raise RangeExhausted("the descriptor has no address left")
        return descriptor_id, index

    def beyond_gap(self, chain: int = RECEIVE) -> int:
        """Scripts of *chain* handed out and unused that a restore from words with this gap limit might not find."""
        descriptor_id = self.active(chain)
        if descriptor_id is None:
            return 0
        entry = self._entries[descriptor_id]
        return max(0, entry.next_index - max(entry.used, entry.first) - self.gap_limit)

    # Labels

    def label(self, script: bytes) -> str | None:
        """The label set for *script*, else that of its descriptor unless it is change; None when there is neither."""
        if script in self._labels:
            return self._labels[script]
        place = self._places.get(script)
        if place is None or place.chain == CHANGE:
            return None
        return self._entries[place.descriptor_id].label

    def set_label(self, script: bytes, label: str) -> None:
        """Label any script, ours or another's (an address book); ``ValueError`` above 1,024 bytes."""
        _check_label(label)
        self._labels[script] = label
        self._note(LABELS, script, label.encode("utf-8"))

    def remove_label(self, script: bytes) -> None:
        """Forget the label set for *script*; nothing happens when there is none."""
        if self._labels.pop(script, None) is not None:
            self._note(LABELS, script, None)

    def labels(self) -> Mapping[bytes, str]:
        """All labels set, by script; a view."""
        return MappingProxyType(self._labels)


def _decode_label(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRecord("a stored label does not read back") from None


def _check_label(label: str) -> None:
    try:
        size = len(label.encode("utf-8"))
    except UnicodeEncodeError:
        raise ValueError("a label is text that can be encoded in UTF-8") from None
    if size > _LABEL_LIMIT:
        raise ValueError(f"a label has at most {_LABEL_LIMIT} bytes")


def _check_rest(chain: int, created: int, label: str) -> None:
    if chain not in (RECEIVE, CHANGE) or not 0 <= created < _CREATED_LIMIT:
        raise ValueError("a chain is 0 or 1, a time is in Unix seconds")
    _check_label(label)


def _check_range(descriptor: Descriptor, first: int, end: int | None, next_index: int) -> None:
    if not descriptor.is_ranged:
        if (first, end, next_index) not in ((0, None, 0), (0, 1, 0)):
            raise RangeExhausted("a descriptor that is not ranged has index 0 only")
        return
    last = max(first, next_index, first + 1 if end is None else end)
    if not 0 <= first <= next_index + HARDENED or last > HARDENED or (end is not None and end <= first):
        raise RangeExhausted("a range begins at 0 or above, and ends behind its beginning and below 2^31")
    if last - first > MAX_RANGE:
        raise RangeExhausted(f"a range has at most {MAX_RANGE} indexes")
