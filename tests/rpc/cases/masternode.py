"""Cases of ``methods_masternode``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.ledger.builders import BACKEND, key
from tests.rpc.cases import Case
from tests.rpc.fake_node import NETWORK, FakeNode
from tests.rpc.fake_wallets import FakeWallet, carry
from timecoin.consensus.identity import OperatorIdentity
from timecoin.primitives import address
from timecoin.primitives.amounts import COIN
from timecoin.primitives.hashes import display
from timecoin.primitives.wif import encode_wif
from timecoin.rpc.table import Context

IDS = [display(NETWORK.genesis.registration_id(n)) for n in range(2)]
KEYS = NETWORK.masternodes
OPERATOR = key("new operator")
SERVICE = "127.0.0.1:25010"
PAYOUT = address.encode(key("payout").script, "timed")
NEW = {"service": SERVICE, "operator_secret": OPERATOR.secret.hex()}


def purse(value: int = 20_000 * COIN, **more: Any):  # type: ignore[no-untyped-def]
    """A wallet, which knows the owner key of masternode 0 if ``owner``."""

    def arrange(context: Context) -> None:
        wallet = FakeWallet(value)
        for name, each in more.items():
            setattr(wallet, name, each)
        carry(context, wallet)

    return arrange


def own_key(context: Context) -> None:
    purse()(context)
    context.operator = OperatorIdentity(OPERATOR.secret, BACKEND)


def registered(found: dict[str, Any]) -> None:
    assert (found["tier"], found["power"], found["collateral_amount"]) == ("bronze", 10, Decimal(1_000))
    assert found["id"] == found["txid"] and found["collateral"] == {"txid": found["txid"], "vout": 2}
    assert (found["operator_key"], found["owner_key"]) == (OPERATOR.public.hex(), key("fake wallet 0").public.hex())
    assert (found["service"], found["payout"]) == (SERVICE, address.encode(key("fake wallet 1").script, "timed"))
    assert (found["epoch"], found["registry_epoch"], found["set_epoch"]) == (1, 2, 3)
    assert found["fee"] == Decimal("0.0005") and len(found["notes"]) == 2


def public_of(secret: str) -> str:
    return BACKEND.public_key(bytes.fromhex(secret)).hex()


def owner(n: int) -> dict[str, Any]:
    return {"owner_secret": KEYS[n].owner.hex()}


def case(command: str, id: str, options: dict[str, Any] | None, *expected: Any, **more: Any) -> Case:
    more.setdefault("context", purse())
    return Case("masternode", [command, id, options], *expected, **more)


def refusal(command: str, id: str, options: dict[str, Any] | None, error: int, says: str = "", **more: Any) -> Case:
    return case(command, id, options, error=error, says=says, **more)


def free_mode_ids(node: FakeNode) -> None:
    node.silenced = False


CASES = [
    Case("masternode", ["list"], lambda found: [each["id"] for each in found] == IDS),
    Case("masternode", ["count"], lambda found: found["tiers"]["bronze"] == 1),
    Case("masternode", ["status"], lambda found: (found["id"], found["operator_key"]) == (IDS[0], None)),
    Case(
        "masternode",
        ["status"],
        lambda found: (found["masternode"], found["id"], found["status"]) == (False, IDS[1], "eligible"),
        node=lambda node: setattr(node, "masternode_id", None),
        context=lambda context: setattr(context, "operator", OperatorIdentity(KEYS[1].operator, BACKEND)),
    ),
    Case(
        "masternode",
        ["genkey"],
        lambda it: BACKEND.public_key(bytes.fromhex(it["operator_secret"])).hex() == it["operator_key"],
    ),
    Case("masternode", ["sign-anyway", IDS[0]], lambda found: found["masternode"]),
    Case("masternode", ["sign-anyway", IDS[1]], error=-8, says="To confirm"),
    Case("masternode", ["sign-anyway", IDS[0]], error=-1, node=free_mode_ids),
    Case("masternode", ["start"], error=-8, says="must be one of"),
    Case("masternode", ["list", IDS[0]], error=-8, says="takes no id"),
    Case("masternode", ["update"], error=-8, says="takes an id"),
    Case("masternode", ["count", "", {"service": SERVICE}], error=-8, says="takes no options"),
    # Registering
    case("register", "", NEW, registered),
    Case("masternode", {"command": "register", **NEW}, registered, context=purse()),
    case("register", "", {"service": SERVICE}, lambda found: len(found["notes"]) == 1, context=own_key),
    case(
        "register",
        "",
        NEW | {"tier": "Silver", "payout": PAYOUT, "owner_key": key("cold").public.hex(), "fee_rate": 150},
        lambda it: (it["tier"], it["payout"], it["owner_key"]) == ("silver", PAYOUT, key("cold").public.hex()),
    ),
    case(
        "register", "", NEW | {"collateral": "1500"}, lambda it: it["collateral_amount"] == 1_500 and it["power"] == 10
    ),
    case("register", "", NEW | {"tier": "free"}, lambda it: it["collateral"] is None and it["power"] == 1),
    case(
        "register",
        "",
        NEW | {"operator_secret": encode_wif(OPERATOR.secret, 0xEF)},
        lambda it: it["operator_key"] == OPERATOR.public.hex(),
    ),
    refusal("register", "", NEW | {"collateral": "999.99999999"}, -26, "below 1000.00000000"),
    refusal("register", "", NEW | {"operator_secret": KEYS[1].operator.hex()}, -26, f"that of masternode {IDS[1]}"),
    refusal("register", "", {"service": SERVICE}, -1, "no operator key"),
    refusal("register", "", {"operator_secret": OPERATOR.secret.hex()}, -8, "service is needed"),
    refusal("register", "", NEW | {"service": "example.org:1"}, -8, "address literal"),
    refusal("register", "", NEW | {"service": "127.0.0.1:0"}, -8, "port above 0"),
    refusal("register", "", NEW | {"tier": "iron"}, -8, "tier must be"),
    refusal("register", "", NEW | {"tier": "gold", "collateral": 1}, -8, "either"),
    refusal("register", "", NEW | {"owner_secret": "00"}, -8, "takes no owner_secret"),
    refusal("register", "", NEW | {"payout": "x"}, -5, "Invalid TimeCoin address"),
    refusal("register", "", NEW | {"owner_key": "02" + "ff" * 32}, -5, "owner_key"),
    refusal("register", "", NEW | {"operator_secret": "00" * 32}, -5, "operator_secret is no private key"),
    refusal("register", "", NEW | {"operator_secret": "secret"}, -5, "operator_secret is no private key"),
    refusal("register", "", NEW, -18, context=lambda context: carry(context, None)),
    refusal("register", "", NEW, -18, context=None),
    refusal("register", "", NEW, -4, "cannot sign", context=purse(is_blind=True)),
    # Changing
    case(
        "update",
        IDS[0],
        {"service": SERVICE} | owner(0),
        lambda it: (it["id"], it["set_epoch"], it["release_epoch"], it["notes"]) == (IDS[0], 3, None, []),
    ),
    case(
        "update",
        IDS[0],
        {"operator_secret": OPERATOR.secret.hex(), "payout": PAYOUT, "owner_key": key("cold").public.hex()} | owner(0),
        lambda it: "the new one from then on" in it["notes"][0],
    ),
    case("unregister", IDS[1], owner(1), lambda it: it["release_epoch"] == 3 + 144 and len(it["notes"]) == 1),
    refusal("update", IDS[0], {}, -8, "what is to be changed"),
    refusal("update", IDS[0], {"tier": "gold"}, -8, "takes no tier"),
    refusal("update", "ab", {"service": SERVICE}, -8, "64 hexadecimal"),
    refusal("update", "ab" * 32, {"service": SERVICE}, -26, "no masternode with this id"),
    refusal("update", IDS[0], {"service": "127.0.0.1:25000"}, -26, "holds these values"),
    refusal("update", IDS[0], {"operator_secret": KEYS[1].operator.hex()}, -26, "the operator key is that of"),
    refusal("update", IDS[0], {"service": SERVICE}, -4, "not in this wallet"),
    refusal("update", IDS[0], {"service": SERVICE} | owner(1), -4, "not that of the masternode's owner"),
    refusal("return", IDS[0], owner(0), -26, "not suspended"),
    refusal("unregister", IDS[0], {"service": SERVICE}, -8, "takes no service"),
]
