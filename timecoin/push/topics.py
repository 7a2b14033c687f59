"""What one can subscribe to, as text, and which subscriptions an event is for.

``blocks``; ``finality``, or with statuses as in ``finality:final,rejected``; ``transaction:TXID``; ``address:ADDRESS``.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

from timecoin.consensus.status import Status
from timecoin.primitives import address
from timecoin.primitives.hashes import parse_display
from timecoin.storage.event_record import EventRecord, TransactionRecord

S = TypeVar("S", bound=Hashable)
STATUSES = tuple([status.value for status in Status])


class BadTopic(ValueError):
    """Not a topic; the text says what is wrong with it."""


class Kind(Enum):
    """The kinds of topics."""

    BLOCKS = "blocks"
    FINALITY = "finality"
    TRANSACTION = "transaction"
    ADDRESS = "address"


_KINDS = {kind.value: kind for kind in Kind}
ALLOWED = "blocks, finality, finality:STATUS,..., transaction:TXID or address:ADDRESS"


class Topic(NamedTuple):
    """A topic: its kind, the keys by which events of it are found, and its name as clients see it."""

    kind: Kind
    keys: tuple[bytes, ...] | tuple[str, ...]
    name: str


def parse(text: str, hrp: str) -> Topic:
    """The topic that a client named; addresses begin with ``hrp``. Raises ``BadTopic``."""
    word, colon, rest = text.partition(":")
    kind = _KINDS.get(word)
    try:
        if kind is Kind.BLOCKS and not colon:
            return Topic(kind, (b"",), word)
        if kind is Kind.FINALITY:
            return _finality(rest, bool(colon))
        if kind is Kind.TRANSACTION and colon:
            return Topic(kind, (parse_display(rest),), f"{word}:{rest.lower()}")
        if kind is Kind.ADDRESS and colon:
            return Topic(kind, (address.decode(rest, hrp),), f"{word}:{rest.lower()}")
    except ValueError as wrong:
        raise BadTopic(f"{text[:100]!r} is no topic: {wrong}") from None
    raise BadTopic(f"{text[:100]!r} is no topic: {ALLOWED}")


def _finality(statuses: str, given: bool) -> Topic:
    if not given:
        return Topic(Kind.FINALITY, STATUSES, Kind.FINALITY.value)
    chosen = sorted(set(statuses.split(",")), key=STATUSES.index)
    return Topic(Kind.FINALITY, tuple(chosen), f"{Kind.FINALITY.value}:{','.join(chosen)}")


class TopicIndex(Generic[S]):
    """Who subscribed to what, by the keys of events; ``len`` is the number of subscriptions."""

    def __init__(self) -> None:
        self._blocks: dict[S, str] = {}
        self._finality: dict[str, dict[S, list[str]]] = {}
        self._transactions: dict[bytes, dict[S, str]] = {}
        self._addresses: dict[bytes, dict[S, str]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, who: S, topic: Topic) -> None:
        """Subscribe; a pair of both is added once."""
        self._count += 1
        if topic.kind is Kind.BLOCKS:
            self._blocks[who] = topic.name
        elif topic.kind is Kind.FINALITY:
            for status in topic.keys:
                self._finality.setdefault(str(status), {}).setdefault(who, []).append(topic.name)
        else:
            self._table(topic).setdefault(self._key(topic), {})[who] = topic.name

    def remove(self, who: S, topic: Topic) -> None:
        """End a subscription that was added."""
        self._count -= 1
        if topic.kind is Kind.BLOCKS:
            del self._blocks[who]
        elif topic.kind is Kind.FINALITY:
            for status in map(str, topic.keys):
                names = self._finality[status][who]
                names.remove(topic.name)
                if not names:
                    del self._finality[status][who]
        else:
            table, key = self._table(topic), self._key(topic)
            del table[key][who]
            if not table[key]:
                del table[key]

    def _table(self, topic: Topic) -> dict[bytes, dict[S, str]]:
        return self._transactions if topic.kind is Kind.TRANSACTION else self._addresses

    @staticmethod
    def _key(topic: Topic) -> bytes:
        key = topic.keys[0]
        assert isinstance(key, bytes)
        return key

    def find(self, record: EventRecord) -> dict[S, list[str]]:
        """Whom an event is for, with the names of their topics."""
        found: dict[S, list[str]] = {}
        if not isinstance(record, TransactionRecord):
            for who, name in self._blocks.items():
                found[who] = [name]
            return found
        for who, names in self._finality.get(record.status, {}).items():
            found[who] = list(names)
        for who, name in self._transactions.get(record.txid, {}).items():
            found.setdefault(who, []).append(name)
        if self._addresses:
            for script in record.scripts:
                for who, name in self._addresses.get(script, {}).items():
                    found.setdefault(who, []).append(name)
        return found
