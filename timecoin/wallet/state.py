"""One wallet as a whole, without disk, network or clock: scripts, secrets, history, locks, guard and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from timecoin.ledger.networks import Network
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction
from timecoin.wallet.balance import Balances, reckon
from timecoin.wallet.book import CHANGE, GAP_LIMIT, RECEIVE, ScriptBook
from timecoin.wallet.coins import CoinLocks, Owned
from timecoin.wallet.descriptors import Descriptor, Expansion, parse_all
from timecoin.wallet.guard import Guard, decode_signed
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.history import Archived, History
from timecoin.wallet.keyring import SECRETS_TABLE, Keyring, Words
from timecoin.wallet.keys import Account
from timecoin.wallet.records import FoundCoin, decode_found, decode_record, encode_found, encode_record
from timecoin.wallet.secrets import Draw
from timecoin.wallet.words import seed

__all__ = ["TABLES", "Changes", "Settings", "WalletState"]

Changes = dict[str, dict[bytes, bytes | None]]
"""Table to key to value for the store; None removes the key."""

_TXS: Final = "transactions"
_FOUND: Final = "found"
_GUARD: Final = "guard"
_LOCKS: Final = "locks"
_SETTINGS: Final = "settings"
_KEY: Final = b"settings"
TABLES: Final = (_TXS, _FOUND, _GUARD, _LOCKS, _SETTINGS)
"""The tables of the store beside those of the book and of the keyring."""


class Settings(msgspec.Struct, kw_only=True):
    """What a wallet is, beside its keys and coins.

    ``watch_only``: it never holds private keys. ``created``: Unix seconds. ``synced``: the height through which blocks
    were looked at (−1: none); ``again_from``: those from this height on are to be looked at once more, because the
    wallet watches more scripts than it did then (−1: none). ``search_from``: where the search began that is not through
    yet (−1: none is): what it finds may make the wallet watch more, and that may have been paid from there on.
    ``fee_rate``: units per 1,000 vbytes, 0: the least.
    ``missing_below``: the history of blocks below this height is not known, only the coins that were left of it (0:
    nothing is missing). ``restored``: it was made of a backup, and no epoch has begun since: what was signed after that
    is not known.
    """

    watch_only: bool = False
    blank: bool = False
    created: int = 0
    synced: int = -1
    fee_rate: int = 0
    missing_below: int = 0
    again_from: int = -1
    search_from: int = -1
    restored: bool = False


class WalletState:
    """All of a wallet that is in memory. :meth:`take_changes` gives what is to be committed since the last call."""

    def __init__(
        self,
        network: Network,
        wallet_id: bytes,
        tables: Mapping[str, Mapping[bytes, bytes]],
        draw: Draw,
        gap_limit: int = GAP_LIMIT,
    ) -> None:
        self.network = network
        self.book = ScriptBook.load(network, tables, gap_limit)
        self.keyring = Keyring.load(network, wallet_id, tables, draw)
        self._owned = (Owned(False, False), Owned(True, False), Owned(False, True), Owned(True, True))
        self.history = History(
            self,
            map(decode_record, tables.get(_TXS, {}).values()),
            map(decode_found, tables.get(_FOUND, {}).values()),
        )
        self.guard = Guard({each: decode_signed(data) for each, data in tables.get(_GUARD, {}).items()})
        self.locks = CoinLocks(tables.get(_LOCKS, {}))
        stored = tables.get(_SETTINGS, {}).get(_KEY)
        self.settings = Settings() if stored is None else msgspec.msgpack.decode(stored, type=Settings)
        self._stored_settings = stored
        self._extra: Changes = {}
        self._balances: tuple[int, object, Balances] | None = None

    # Whose scripts

    def owned(self, script: bytes) -> Owned | None:
        """What a script is to the wallet (``coins.Owner``)."""
        place = self.book.find(script)
        if place is None:
            return None
        return self._owned[(place.chain == CHANGE) + 2 * self.keyring.holds(place.descriptor_id)]

    def expand(self, script: bytes) -> Expansion | None:
        """Witness script and origins of keys of an own script."""
        return self.book.expand(script)

    def secrets(self, scripts: Iterable[bytes]) -> dict[bytes, bytes]:
        """Private keys by public key for own scripts: **secret**; some milliseconds each. ``VaultLocked``."""
        places = [place for place in map(self.book.find, scripts) if place is not None]
        return self.keyring.secrets((place.descriptor_id, place.index) for place in places)

    def can_complete(self, script: bytes) -> bool:
        """Whether the keys here suffice to spend from an own script, without cosigners; ``VaultLocked``."""
        place = self.book.find(script)
        if place is None or not self.keyring.holds(place.descriptor_id):
            return False
        descriptor = self.keyring.descriptor(place.descriptor_id)
        return sum(key.is_private for key in descriptor.keys) >= descriptor.threshold

    # Making

    def add_words(self, words: Words, created: int) -> None:
        """Account 0 of the words (BIP 84): receiving and change addresses; some milliseconds. ``BadWords``."""
        master = ExtendedSecretKey.from_seed(seed(words.phrase, words.passphrase))
        account = Account.of_master(master, self.network)
        text = f"wpkh({account.reveal_expression()}/<0;1>/*)"
        for chain, descriptor in zip((RECEIVE, CHANGE), parse_all(text, self.network), strict=True):
            self.keyring.put(descriptor)
            self.book.add(descriptor.public(), chain=chain, active=True, created=created)
        self.keyring.put_words(words)

    def add_descriptor(
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
        look_back: bool = True,
    ) -> bytes:
        """Watch a descriptor, or spend from it when it is private (``VaultLocked``); returns its id.

        ``derived``: its scripts from ``first`` on, when they were derived in a thread. ``look_back``: look for it in
        what is known already; who says no calls ``history.owning_again``.
        """
        if descriptor.is_private:
            self.keyring.put(descriptor)
        added = self.book.add(
            descriptor.public(),
            chain=chain,
            active=active,
            created=created,
            first=first,
            end=end,
            next_index=next_index,
            label=label,
            derived=derived,
        )
        if look_back:
            self.history.own_again()
        return added

    # What happens

    def matches(self, txs: Sequence[Transaction]) -> list[Transaction]:
        """Those that touch the wallet, in any thread; a spend may stand before what it spends (blocks sort by txid)."""
        found = {tx.txid: tx for tx in txs if self.history.touches(tx)}
        new = {tx.outpoint(n) for tx in found.values() for n, each in enumerate(tx.outputs) if self.owned(each.script)}
        for tx in txs:
            if new and any(outpoint in new for outpoint in tx.outpoints()):
                found.setdefault(tx.txid, tx)
        return list(found.values())

    def absorb(
        self, tx: Transaction, status: str, now_ms: int, *, place: Archived | None = None, reason: str = ""
    ) -> bool:
        """Take over a transaction that touches the wallet; returns whether the wallet watches more scripts now."""
        self.history.heard(tx, status, now_ms, place=place, reason=reason)
        return self._use(tx)

    def _use(self, tx: Transaction) -> bool:
        coins = [self.history.coin(outpoint) for outpoint in tx.outpoints()]
        used = [coin.script for coin in coins if coin is not None]
        used += [each.script for each in tx.outputs if self.book.find(each.script) is not None]
        return bool(self.book.take_many(used))

    def find_coins(self, coins: Iterable[FoundCoin]) -> bool:
        """Take over coins of which only the coin is known; returns whether the wallet watches more scripts now."""
        found = [coin for coin in coins if self.history.find(coin)]
        return bool(self.book.take_many([coin.script for coin in found]))

    def balances(self, collateral: Callable[[], Iterable[OutPoint]], moment: object) -> Balances:
        """The balances; kept until something changes in the wallet or ``moment`` does (the chain's tip).

        ``collateral``: what the registry of masternodes locks.
        """
        version = self.history.version
        if self._balances is None or self._balances[:2] != (version, moment):
            self._balances = (version, moment, reckon(self.history, collateral()))
        return self._balances[2]

    # For the store

    def note_guard(self, changes: Mapping[OutPoint, bytes | None]) -> None:
        """What ``guard`` said that the store has to hold."""
        self._extra.setdefault(_GUARD, {}).update(changes)

    def lock_coin(self, outpoint: OutPoint, durable: bool) -> None:
        """Keep a coin from being chosen."""
        if self.locks.lock(outpoint, durable):
            self._extra.setdefault(_LOCKS, {})[outpoint] = b"\x01"

    def unlock_coin(self, outpoint: OutPoint) -> None:
        """Let a coin be chosen again."""
        if self.locks.unlock(outpoint):
            self._extra.setdefault(_LOCKS, {})[outpoint] = None

    def take_changes(self) -> Changes:
        """What the store has to be told since the last call, by table."""
        changes, self._extra = self._extra, {}
        for table, records in self.book.take_changes().items():
            changes[table] = dict(records)
        if secrets := self.keyring.take_changes():
            changes[SECRETS_TABLE] = secrets
        self._take_history(changes)
        settings = msgspec.msgpack.encode(self.settings)
        if settings != self._stored_settings:
            changes[_SETTINGS] = {_KEY: settings}
            self._stored_settings = settings
        return changes

    def _take_history(self, changes: Changes) -> None:
        txids, found = self.history.take_changes()
        if txids:
            changes[_TXS] = {txid: self._encoded(txid) for txid in txids}
        if found:
            changes[_FOUND] = {outpoint: self._encoded_found(outpoint) for outpoint in found}

    def _encoded(self, txid: Hash) -> bytes | None:
        record = self.history.get(txid)
        return None if record is None else encode_record(record)

    def _encoded_found(self, outpoint: OutPoint) -> bytes | None:
        coin = self.history.found(outpoint)
        return None if coin is None else encode_found(coin)
