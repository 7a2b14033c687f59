"""A wallet with one coin, for the methods that only need one that pays: what it is asked for is written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from twisted.internet.defer import Deferred, fail, succeed

from tests.ledger.builders import BACKEND, Key, key
from timecoin.primitives.amounts import COIN
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction, TxInput, TxOutput
from timecoin.rpc.errors import RpcError
from timecoin.rpc.face_wallet import Draft, Funding, SignResult
from timecoin.rpc.table import Context
from timecoin.rpc.wallet_errors import INSUFFICIENT_FUNDS, NOT_FOUND, UNLOCK_NEEDED
from timecoin.wallet.coins import Coin, Owned
from timecoin.wallet.raw_signing import sign_raw

FEE = 50_000
MONEY = key("fake wallet's money")


class FakeWallet:
    """Keys are named ``fake wallet N``, N counting the addresses it gave; ``keys`` are others that it knows."""

    name = "purse"

    def __init__(self, value: int = 20_000 * COIN) -> None:
        self.coin = Coin(b"\x11" * 36, value, MONEY.script, Owned())
        self.keys: list[Key] = [MONEY]
        self.labels: list[str] = []
        self.locked: list[OutPoint] = []
        self.released: list[Draft] = []
        self.sent: list[Transaction] = []
        self.rates: list[int | None] = []
        self.refuses: RpcError | None = None
        self.is_locked = self.is_blind = False

    def new_script(self, chain: int, label: str) -> Deferred[bytes]:
        made = key(f"fake wallet {len(self.labels)}")
        self.labels.append(label)
        self.keys.append(made)
        return succeed(made.script)

    def secrets(self, scripts: Iterable[bytes]) -> Deferred[dict[bytes, bytes]]:
        if self.is_locked:
            return fail(RpcError(UNLOCK_NEEDED, "Error: Please enter the wallet passphrase"))
        wanted = set(scripts)
        return succeed({each.public: each.secret for each in self.keys if each.script in wanted})

    def fund(self, outputs: Sequence[TxOutput], funding: Funding) -> Deferred[Draft]:
        """The change comes first, so that the places of the outputs differ from those asked for."""
        change = self.coin.value - FEE - sum(each.value for each in outputs)
        if change < 0:
            return fail(RpcError(INSUFFICIENT_FUNDS, "Insufficient funds"))
        self.rates.append(funding.rate)
        made = (TxOutput(change, MONEY.script), *reversed(outputs))
        return succeed(Draft(Transaction(2, (TxInput(self.coin.outpoint),), made), (self.coin,), FEE, 0))

    def release(self, draft: Draft) -> None:
        self.released.append(draft)

    def sign(
        self,
        tx: Transaction,
        previous: Mapping[OutPoint, TxOutput] | None = None,
        scripts: Mapping[bytes, bytes] | None = None,
        *,
        may_block_coins: bool = False,
    ) -> Deferred[SignResult]:
        secrets = {} if self.is_blind else {MONEY.public: MONEY.secret}
        coins = {self.coin.outpoint: TxOutput(self.coin.value, MONEY.script)}
        return succeed(SignResult(*sign_raw(tx, coins, {}, secrets, BACKEND)))

    def send(self, tx: Transaction, notes: Mapping[str, str]) -> Deferred[Hash]:
        if self.refuses is not None:
            return fail(self.refuses)
        self.sent.append(tx)
        return succeed(tx.txid)

    def lock_coins(self, outpoints: Iterable[OutPoint], durable: bool) -> Deferred[None]:
        assert durable
        self.locked += outpoints
        return succeed(None)

    def unlock_coins(self, outpoints: Iterable[OutPoint]) -> Deferred[None]:
        self.locked = [each for each in self.locked if each not in set(outpoints)]
        return succeed(None)


class FakeWallets:
    """One wallet, or none."""

    def __init__(self, wallet: FakeWallet | None) -> None:
        self.wallet = wallet

    def get(self, name: str | None) -> FakeWallet:
        if self.wallet is None or name not in (None, self.wallet.name):
            raise RpcError(NOT_FOUND, "No wallet is loaded.")
        return self.wallet


def carry(context: Context, wallet: FakeWallet | None) -> None:
    """Give the node that wallet."""
    context.wallets = FakeWallets(wallet)  # type: ignore[assignment]
