"""What RPC asks of the wallets: the only face between ``timecoin.rpc`` and ``timecoin.node.wallet_service``.

Pure state (scripts, history, balances) is read from ``OpenWallet.state`` in the reactor's thread. Everything that
needs disk, threads or the network is awaited. Errors are ``RpcError`` with Core's codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from twisted.internet.defer import Deferred

from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction, TxOutput
from timecoin.wallet.balance import Balances
from timecoin.wallet.coins import Coin
from timecoin.wallet.descriptors import Descriptor
from timecoin.wallet.keyring import Words
from timecoin.wallet.raw_signing import Problem
from timecoin.wallet.state import WalletState

__all__ = [
    "Created",
    "Draft",
    "Funding",
    "Import",
    "NewWallet",
    "OpenWallet",
    "ScanInfo",
    "SignResult",
    "Wallets",
]


@dataclass(frozen=True, slots=True)
class Funding:
    """How a payment is to be funded.

    ``rate``: units per 1,000 vbytes, None: the wallet's. ``subtract_from``: indexes of the outputs that pay the fee.
    ``inputs`` are spent in any case; ``add_inputs``: others as needed. ``include_unsafe``: also what others sent that
    is not final yet; ``watching``: also coins whose keys are elsewhere (a PSBT signs them). ``least_depth`` and
    ``most_depth`` in blocks: an archived coin's confirmations. ``all_to``: spend everything there is, to the
    outputs at these indexes (sendall). ``split_change``: the wallet may make several coins of the change when it has
    few that can be spent before the next block. ``patient``: wait some seconds when drafts of others hold the coins.
    """

    rate: int | None = None
    subtract_from: tuple[int, ...] = ()
    inputs: tuple[OutPoint, ...] = ()
    sequences: Mapping[OutPoint, int] = field(default_factory=dict)
    add_inputs: bool = True
    include_unsafe: bool = False
    watching: bool = False
    change_script: bytes | None = None
    change_position: int | None = None
    lock_time: int = 0
    version: int = 2
    least_depth: int = 0
    most_depth: int | None = None
    all_to: tuple[int, ...] = ()
    split_change: bool = False
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """An unsigned transaction; ``coins`` in the order of its inputs are reserved until it is sent or released.

    ``fee`` in base units; ``change_position``: index of the change, of its first part when it was split, None when
    there is none.
    """

    tx: Transaction
    coins: tuple[Coin, ...]
    fee: int
    change_position: int | None


@dataclass(frozen=True, slots=True)
class SignResult:
    """A transaction with what could be signed; ``problems``: which inputs are not complete, and why."""

    tx: Transaction
    problems: tuple[Problem, ...]

    @property
    def complete(self) -> bool:
        """Whether every input is signed."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class ScanInfo:
    """A scan of the chain under way: how long (seconds), how far (0 to 1), at which height."""

    seconds: int
    progress: float
    height: int


@dataclass(frozen=True, slots=True)
class Import:
    """A descriptor to be imported; ``time``: Unix seconds before which nothing paid to it, None: nothing yet did.

    ``look_from``: the height from which on blocks are owed a look for its scripts (0: all, older coins too); None: not.
    """

    descriptor: Descriptor
    chain: int
    active: bool
    time: int | None
    first: int
    end: int | None
    next_index: int
    label: str
    look_from: int | None = None


@dataclass(frozen=True, slots=True)
class NewWallet:
    """What createwallet is asked for; ``words``: restore these; None: new ones. ``load_on_startup``: None leaves the
    list of wallets that are loaded at the start as it is. ``rescan``: look through the chain for restored words."""

    name: str
    watch_only: bool = False
    blank: bool = False
    passphrase: str = ""
    words: Words | None = None
    entropy_bytes: int = 16
    load_on_startup: bool | None = None
    rescan: bool = True

    def __repr__(self) -> str:
        return f"<NewWallet {self.name!r}>"


class OpenWallet(Protocol):
    """A wallet that is loaded."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def state(self) -> WalletState:
        """Scripts, history, settings: to be read only."""

    @property
    def path(self) -> Path:
        """Its directory."""

    def balances(self) -> Balances:
        """What it has."""

    def is_collateral(self, outpoint: OutPoint) -> bool:
        """Whether a coin is locked by the registry of masternodes."""

    def depth(self, height: int) -> int:
        """Confirmations of what was archived at that height; 0 for −1."""

    @property
    def fee_rate(self) -> int:
        """Units per 1,000 vbytes that it pays unless told otherwise."""

    @property
    def unlocked_until(self) -> int:
        """Unix seconds when it locks itself again; 0 while it is locked."""

    @property
    def scanning(self) -> ScanInfo | None:
        """The scan under way."""

    # Addresses

    def new_script(self, chain: int, label: str) -> Deferred[bytes]:
        """A fresh address's script, durable; -12, -4."""

    def set_label(self, script: bytes, label: str) -> Deferred[None]:
        """Label a script, own or foreign."""

    # Coins

    def lock_coins(self, outpoints: Iterable[OutPoint], durable: bool) -> Deferred[None]:
        """Keep coins from being chosen."""

    def unlock_coins(self, outpoints: Iterable[OutPoint]) -> Deferred[None]:
        """Let coins be chosen again."""

    # Paying

    def fund(self, outputs: Sequence[TxOutput], funding: Funding) -> Deferred[Draft]:
        """Choose coins, make change; -4, -6."""

    def release(self, draft: Draft) -> None:
        """Give up a draft: its coins may be chosen again."""

    def sign(
        self,
        tx: Transaction,
        previous: Mapping[OutPoint, TxOutput] | None = None,
        scripts: Mapping[bytes, bytes] | None = None,
        *,
        may_block_coins: bool = False,
    ) -> Deferred[SignResult]:
        """Sign what the wallet has keys for; -4 (a second spend), -10, -13.

        ``previous`` are coins that it does not know, ``scripts`` witness scripts by output script.
        ``may_block_coins``: sign even a second spend of a coin, which may block it until the epoch closes.
        """

    def permit(
        self, tx: Transaction, outpoints: Iterable[OutPoint], *, may_block_coins: bool = False
    ) -> Deferred[None]:
        """Put on record, durably, that spends of these coins by ``tx`` are signed, before such a signature leaves: for
        who signs with :meth:`secrets`; errors as :meth:`sign`."""

    def secrets(self, scripts: Iterable[bytes]) -> Deferred[dict[bytes, bytes]]:
        """Private keys by public key of own scripts: **secret**; -13. Callers that sign transactions call
        :meth:`permit` first."""

    def send(self, tx: Transaction, notes: Mapping[str, str]) -> Deferred[Hash]:
        """Keep a signed transaction, durably, and submit it; sent again until it is archived or rejected; -26, -25."""

    def abandon(self, txid: Hash) -> Deferred[None]:
        """Give up a transaction that nobody certified; -5."""

    def set_fee_rate(self, rate: int) -> Deferred[None]:
        """Units per 1,000 vbytes, 0: the least."""

    # Keys

    def unlock(self, passphrase: str, seconds: int) -> Deferred[None]:
        """Until the time is over; -14, -15."""

    def lock(self) -> None:
        """Forget the passphrase's key; -15."""

    def change_passphrase(self, old: str, new: str) -> Deferred[None]:
        """-14, -15."""

    def encrypt(self, passphrase: str) -> Deferred[None]:
        """Protect the secrets, and wipe their plain form from the disk; the wallet is locked then; -15, -16."""

    def words(self) -> Deferred[Words]:
        """The recovery words: **secret**; -13, -4."""

    def import_descriptors(self, imports: Sequence[Import]) -> Deferred[None]:
        """Watch, or spend from, more scripts, to the end even when nobody waits for it; then :meth:`finish_scan`."""

    # The chain

    def finish_scan(self) -> Deferred[None]:
        """Look through the blocks that were not searched for imported scripts yet; -1 when it was aborted, -4 when
        a scan is under way. It goes on when nobody waits for it, and is finished after the next loading."""

    def rescan(self, first: int, last: int | None) -> Deferred[tuple[int, int]]:
        """Look through blocks; the heights looked at; -4 when a scan is under way, -1 when it was aborted."""

    def abort_scan(self) -> bool:
        """End the scan under way; whether there was one."""

    def backup(self, destination: Path) -> Deferred[None]:
        """A copy in one file; -4."""


@dataclass(frozen=True, slots=True)
class Created:
    """A wallet that is there now; ``words`` are to be shown once."""

    wallet: OpenWallet
    warnings: tuple[str, ...] = ()
    words: Words | None = None

    def __repr__(self) -> str:
        return f"<Created {self.wallet.name!r}>"


class Wallets(Protocol):
    """The wallets of a node."""

    def get(self, name: str | None) -> OpenWallet:
        """A loaded wallet; None: the only one. -18 when it, or none, is loaded, -19 when there are several."""

    def loaded(self) -> list[str]:
        """Names of the loaded wallets, in the order of loading."""

    def on_disk(self) -> Deferred[list[str]]:
        """Names of all wallets there are."""

    def create(self, wanted: NewWallet) -> Deferred[Created]:
        """Make a wallet and load it; -4, -36."""

    def load(self, name: str, load_on_startup: bool | None) -> Deferred[Created]:
        """-4, -18, -35."""

    def unload(self, name: str, load_on_startup: bool | None) -> Deferred[None]:
        """-18."""

    def restore(self, name: str, backup: Path, load_on_startup: bool | None) -> Deferred[Created]:
        """Make a wallet of a backup file; -4, -8, -36."""

    def on_change(self, hear: Callable[[str, Hash], None]) -> Callable[[], None]:
        """Tell of each transaction of a wallet that has news (wallet name, txid); returns a call that ends it."""
