"""Cases of ``methods_wallet_psbt``; what real wallets do with them is in ``tests.node.test_wallet_psbt``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from tests.rpc.cases import Case
from tests.rpc.cases.made import (
    BACKEND,
    CREATED,
    FINAL,
    FIRST,
    FUND,
    FUND_WIF,
    INPUT,
    KEY_ADDRESS,
    MAIN_ADDRESS,
    PAYMENT,
    SIGNED,
    UPDATED,
    VAULT_ADDRESS,
)
from timecoin.ledger.networks import DEVNET
from timecoin.primitives import address
from timecoin.primitives.transaction import OutPoint, Transaction, TxInput, TxOutput
from timecoin.rpc.errors import RpcError
from timecoin.rpc.face_wallet import Created, Draft, Funding, Import, NewWallet
from timecoin.rpc.table import Context
from timecoin.wallet.coins import Coin, Owned
from timecoin.wallet.descriptors import Descriptor
from timecoin.wallet.guard import SecondSpend
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.keyring import Words
from timecoin.wallet.keys import Account
from timecoin.wallet.messages import verify_message
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_finalise import extract
from timecoin.wallet.state import WalletState
from timecoin.wallet.words import seed

FEE = 30_000
WORDS = Words("abandon " * 11 + "about", "")
OWN = Account.cosigner(ExtendedSecretKey.from_seed(seed(*WORDS)), DEVNET).public_expression
THEIRS = Account.cosigner(ExtendedSecretKey.from_seed(bytes(16)), DEVNET)


class OneKeyWallet:
    """Has the key of the first fund, and a guard."""

    name = "fund"

    def __init__(self) -> None:
        self.state = WalletState(DEVNET, b"1" * 16, {}, lambda size: b"\x07" * size)
        self.state.add_descriptor(Descriptor.parse(f"wpkh({FUND_WIF})", DEVNET))
        self.refuses: RpcError | None = None
        self.locked: list[OutPoint] = []
        self.fundings: list[Funding] = []

    def secrets(self, scripts: Iterable[bytes]) -> Deferred[dict[bytes, bytes]]:
        return fail(self.refuses) if self.refuses else succeed(self.state.secrets(scripts))

    def permit(
        self, tx: Transaction, outpoints: Iterable[OutPoint], *, may_block_coins: bool = False
    ) -> Deferred[None]:
        coins = list(outpoints)
        try:
            if not may_block_coins:
                self.state.guard.allow(tx, coins, 1)
        except SecondSpend as problem:
            return fail(RpcError(-4, str(problem)))
        self.state.guard.record(tx, coins, 1)
        return succeed(None)

    def fund(self, outputs: Sequence[TxOutput], funding: Funding) -> Deferred[Draft]:
        if self.refuses:
            return fail(self.refuses)
        self.fundings.append(funding)
        change = TxOutput(FUND.amount - FEE - sum(each.value for each in outputs), FIRST.outputs[FUND.vout].script)
        tx = Transaction(funding.version, (TxInput(FIRST.outpoint(FUND.vout)),), (*outputs, change), funding.lock_time)
        coin = Coin(FIRST.outpoint(FUND.vout), FUND.amount, change.script, Owned())
        return succeed(Draft(tx, (coin,), FEE, len(outputs)))

    def release(self, draft: Draft) -> None:
        assert draft.coins

    def lock_coins(self, outpoints: Iterable[OutPoint], durable: bool) -> Deferred[None]:
        self.locked += outpoints
        return succeed(None)

    def words(self) -> Deferred[Words]:
        return fail(self.refuses) if self.refuses else succeed(WORDS)

    def import_descriptors(self, imports: Sequence[Import]) -> Deferred[None]:
        for each in imports:
            self.state.add_descriptor(each.descriptor)
        return succeed(None)

    def unlock(self, passphrase: str, seconds: int) -> Deferred[None]:
        assert (passphrase, seconds) == ("secret", 60)
        return succeed(None)

    def lock(self) -> None:
        return None

    def finish_scan(self) -> Deferred[None]:
        return succeed(None)


class OneWallet:
    def __init__(self, wallet: OneKeyWallet) -> None:
        self.wallet = wallet

    def create(self, wanted: NewWallet) -> Deferred[Created]:
        assert (wanted.name, wanted.blank) == ("shared", True)
        made = OneKeyWallet()
        made.name = wanted.name
        return succeed(Created(made))  # type: ignore[arg-type]

    def get(self, name: str | None) -> OneKeyWallet:
        if name == "none":
            raise RpcError(-18, "Requested wallet does not exist or is not loaded")
        return self.wallet


class Several:
    def get(self, name: str | None) -> OneKeyWallet:
        raise RpcError(-19, "Wallet file not specified")


def wallet(change: Callable[[OneKeyWallet], object] | None = None) -> Callable[[Context], None]:
    def give(context: Context) -> None:
        made = OneKeyWallet()
        if change is not None:
            change(made)
        context.wallets = OneWallet(made)  # type: ignore[assignment]

    return give


def several(context: Context) -> None:
    context.wallets = Several()  # type: ignore[assignment]


def refusing(code: int) -> Callable[[Context], None]:
    return wallet(lambda made: setattr(made, "refuses", RpcError(code, "the wallet's word")))


def spent_otherwise(made: OneKeyWallet) -> None:
    made.state.guard.record(replace_lock_time(PAYMENT), PAYMENT.outpoints(), 1)


def replace_lock_time(tx: Transaction) -> Transaction:
    return Transaction(tx.version, tx.inputs, tx.outputs, 7)


def behind(made: OneKeyWallet) -> None:
    made.permit = lambda *args, **more: fail(RpcError(-10, "behind"))  # type: ignore[method-assign]


def funded(value: dict[str, Any]) -> None:
    psbt = Psbt.from_text(value["psbt"])
    assert value["changepos"] == 1 and value["fee"] * 10**8 == FEE
    assert psbt.inputs[0].non_witness_utxo == FIRST and psbt.inputs[0].witness_utxo == FIRST.outputs[FUND.vout]
    assert len(psbt.outputs[1].derivations) == 1 and psbt.outputs[0].derivations == {}


def own_address() -> str:
    return address.encode(FIRST.outputs[FUND.vout].script, "timed")


def own_signature(text: str) -> None:
    assert verify_message(FIRST.outputs[FUND.vout].script, b"m", text, BACKEND), text


OTHER_TYPE = UPDATED.with_input(0, replace(UPDATED.inputs[0], sighash=3)).text
WHOLE = {"psbt": FINAL.text, "complete": True, "hex": extract(FINAL).raw.hex()}
PAY = [[], {VAULT_ADDRESS: 1}]


def process(*more: Any, **rest: Any) -> Case:
    return Case("walletprocesspsbt", [CREATED.text, *more], **{"context": wallet(), **rest})


def make(options: dict[str, Any], error: int, says: str) -> Case:
    return Case("walletcreatefundedpsbt", [*PAY, 0, options], error=error, says=says, context=wallet())


def nowhere(method: str, *params: Any) -> list[Case]:
    return [
        Case(method, list(params), error=-18, says="This node has no wallets"),
        Case(method, list(params), error=-19, context=several),
    ]


def share(keys: list[str], *more: Any, **rest: Any) -> Case:
    return Case("createmultisigwallet", ["shared", 2, keys, *more], **{"context": wallet(), **rest})


def shared(value: dict[str, Any]) -> None:
    assert value["name"] == "shared" and "prv" not in str(value)
    assert all(OWN.partition("]")[2] in each and "sortedmulti(2," in each for each in value["descriptors"]), value


CASES = [
    process(result=WHOLE),
    process(True, "ALL", True, False, result=lambda value: value["complete"] and "hex" not in value),
    process(
        False,
        result=lambda value: not value["complete"] and Psbt.from_text(value["psbt"]).inputs[0].derivations != {},
    ),
    process(False, "DEFAULT", False, result={"psbt": UPDATED.text, "complete": False}),
    Case("walletprocesspsbt", [SIGNED.text], result=WHOLE, context=wallet()),
    Case("walletprocesspsbt", [FINAL.text], result=WHOLE, context=wallet()),
    process(error=-4, says="a second spend could block it", context=wallet(spent_otherwise)),
    process(True, "ALL", True, True, True, result=WHOLE, context=wallet(spent_otherwise)),
    process(True, "SINGLE", error=-8, says="'SINGLE' is not used here"),
    process(error=-10, context=wallet(behind)),
    process(error=-13, context=refusing(-13)),
    Case("walletprocesspsbt", [""], error=-22, says="TX decode failed", context=wallet()),
    Case("walletprocesspsbt", [OTHER_TYPE], error=-22, says="Specified sighash value", context=wallet()),
    *nowhere("walletprocesspsbt", ""),
    Case("walletcreatefundedpsbt", PAY, result=funded, context=wallet()),
    Case("walletcreatefundedpsbt", {"outputs": [{VAULT_ADDRESS: 1}], "fee_rate": 150}, result=funded, context=wallet()),
    Case(
        "walletcreatefundedpsbt",
        [[INPUT], {VAULT_ADDRESS: 1}, 5, {"lockUnspents": True, "feeRate": "0.00150000", "changePosition": 1}, False],
        result=lambda value: Psbt.from_text(value["psbt"]).outputs[1].derivations == {},
        context=wallet(),
    ),
    Case("walletcreatefundedpsbt", [[], {VAULT_ADDRESS: "x"}], error=-3, context=wallet()),
    Case("walletcreatefundedpsbt", PAY, error=-4, context=refusing(-4)),
    Case("walletcreatefundedpsbt", PAY, error=-4, context=refusing(-6)),
    make({"changeAddress": MAIN_ADDRESS}, -5, "Invalid TimeCoin address"),
    make({"replaceable": True}, -8, "never replaces"),
    make({"fee_rate": 1}, -8, "lower than the minimum fee rate (100 "),
    make({"fee_rate": 100, "feeRate": 1}, -8, "Cannot specify both"),
    make({"subtractFeeFromOutputs": [0, 0]}, -8, "duplicated position: 0"),
    make({"subtractFeeFromOutputs": [-1]}, -8, "negative position: -1"),
    make({"subtractFeeFromOutputs": [1]}, -8, "position too large: 1"),
    make({"changePosition": 2}, -8, "changePosition out of bounds"),
    make({"minconf": 3, "maxconf": 2}, -8, "maxconf can't be lower than minconf: 2 < 3"),
    make({"conf_target": 0}, -8, "Invalid conf_target"),
    Case("walletcreatefundedpsbt", [[], {VAULT_ADDRESS: "0.00000001"}], error=-4, says="too small", context=wallet()),
    make({"change_type": "legacy"}, -8, "must be one of"),
    make({"nonsense": 1}, -3, "Unexpected key nonsense"),
    *nowhere("walletcreatefundedpsbt", *PAY),
    Case("signmessage", [own_address(), "m"], result=own_signature, context=wallet()),
    Case("signmessage", [KEY_ADDRESS, "m"], error=-4, says="Private key not available", context=wallet()),
    Case("signmessage", [MAIN_ADDRESS, "m"], error=-5, says="Invalid address", context=wallet()),
    Case("signmessage", [own_address(), "x" * 100_001], error=-8, context=wallet()),
    Case("signmessage", [own_address(), "m"], error=-13, context=refusing(-13)),
    *nowhere("signmessage", own_address(), "m"),
    Case("getcosignerkey", result={"key": OWN}, context=wallet()),
    Case("getcosignerkey", error=-4, context=refusing(-4)),
    Case("getcosignerkey", [-1], error=-8, says="from 0 to 1000", context=wallet()),
    Case("getcosignerkey", error=-13, context=refusing(-13)),
    *nowhere("getcosignerkey"),
    share([OWN, THEIRS.public_expression], result=shared),
    share([THEIRS.public_expression, OWN.replace("h", "'", 4)], "secret", 0, True, result=shared),
    share([OWN, THEIRS.public_expression], error=-4, context=refusing(-4)),
    share([OWN, OWN], error=-5, says="twice"),
    share([OWN, THEIRS.reveal_expression()], error=-5, says="a key is private"),
    share([THEIRS.public_expression] * 2, error=-8, says="not among the keys"),
    share([OWN], error=-8, says="2 of 1 keys"),
    share([OWN, THEIRS.public_expression], error=-13, context=refusing(-13)),
    *nowhere("createmultisigwallet", "shared", 2, [OWN, THEIRS.public_expression]),
]
