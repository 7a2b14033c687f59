"""Cases of ``methods_util``."""

from __future__ import annotations

import base64
from typing import Any

from tests.rpc.cases import Case
from tests.rpc.cases.made import (
    BACKEND,
    KEY_ADDRESS,
    KEYS,
    MAIN_ADDRESS,
    SECRETS,
    VAULT,
    VAULT_ADDRESS,
    VAULT_SCRIPT,
    WIFS,
)
from timecoin.ledger.networks import DEVNET
from timecoin.primitives import address
from timecoin.primitives.script import op_return
from timecoin.wallet.checksums import with_checksum
from timecoin.wallet.descriptors import Descriptor, parse_all
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.messages import sign_message

MASTER = ExtendedSecretKey.from_seed(bytes(range(32)))
XPUB = MASTER.public().text(DEVNET.keys)
XPRV = MASTER.reveal(DEVNET.keys)
RANGED = with_checksum(f"wpkh({XPUB}/0/*)")
PAIR = with_checksum(f"wpkh({XPUB}/<0;1>/*)")
PLAIN = with_checksum(f"wpkh({KEYS[0].hex()})")
HEX_KEYS = [key.hex() for key in KEYS]
MULTI = with_checksum(f"wsh(multi({','.join(['2', *HEX_KEYS])}))")
MESSAGE = "TIME to sign: ⌚"
BY_KEY = sign_message(address.decode(KEY_ADDRESS, "timed"), MESSAGE.encode(), SECRETS, BACKEND)
BY_VAULT = sign_message(VAULT_SCRIPT, MESSAGE.encode(), SECRETS, BACKEND, VAULT)
OLD = base64.b64encode(b"\x1f" + b"\x11" * 64).decode()


def addresses(text: str, *indexes: int) -> list[str]:
    return [address.encode(Descriptor.parse(text, DEVNET).script(index), "timed") for index in indexes]


def decoded_multisig(value: dict[str, Any]) -> None:
    assert value["type"] == "multisig" and value["segwit"]["address"] == VAULT_ADDRESS, value
    assert value["asm"] == f"2 {' '.join(HEX_KEYS)} 3 OP_CHECKMULTISIG", value
    assert value["segwit"]["desc"] == MULTI, value


CREATED = {"address": VAULT_ADDRESS, "redeemScript": VAULT.hex(), "descriptor": MULTI}

CASES = [
    Case(
        "validateaddress",
        [VAULT_ADDRESS.upper()],
        result={
            "isvalid": True,
            "address": VAULT_ADDRESS,
            "scriptPubKey": VAULT_SCRIPT.hex(),
            "isscript": True,
            "iswitness": True,
            "witness_version": 0,
            "witness_program": VAULT_SCRIPT[2:].hex(),
        },
    ),
    Case("validateaddress", [KEY_ADDRESS], result=lambda value: value["isvalid"] and not value["isscript"]),
    Case(
        "validateaddress",
        [MAIN_ADDRESS],
        result=lambda value: value["error_locations"] == [] and "begins with 'time'" in value["error"],
    ),
    Case("validateaddress", ["1BoatSLRHtKNngkdXEeobR76b53LETtpyT"], result=lambda value: value["isvalid"] is False),
    Case("createmultisig", [2, HEX_KEYS], result=CREATED),
    Case("createmultisig", {"nrequired": 2, "keys": HEX_KEYS, "address_type": "bech32"}, result=CREATED),
    Case("createmultisig", [2, HEX_KEYS, "legacy"], error=-5, says="Unknown address type 'legacy'"),
    Case("createmultisig", [1, ["xy"]], error=-5, says='Pubkey "xy" must be a hex string'),
    Case("createmultisig", [1, ["ab"]], error=-5, says="must have a length of 33 bytes"),
    Case("createmultisig", [1, ["02" + "ff" * 32]], error=-5, says="must be cryptographically valid"),
    Case("createmultisig", [0, HEX_KEYS], error=-8, says="must require at least one key"),
    Case("createmultisig", [4, HEX_KEYS], error=-8, says="got 3 keys, but need at least 4"),
    Case("createmultisig", [1, HEX_KEYS * 6], error=-8, says="> 15"),
    Case("createmultisig", [1, HEX_KEYS * 2], error=-8, says="twice"),
    Case(
        "getdescriptorinfo",
        [RANGED],
        result={
            "descriptor": RANGED,
            "checksum": RANGED[-8:],
            "isrange": True,
            "issolvable": True,
            "hasprivatekeys": False,
        },
    ),
    Case(
        "getdescriptorinfo",
        [PAIR],
        result=lambda value: value["multipath_expansion"] == [each.public_text for each in parse_all(PAIR, DEVNET)],
    ),
    Case(
        "getdescriptorinfo",
        [f"wpkh({XPRV}/0/*)"],
        result=lambda value: value["hasprivatekeys"] and XPRV not in str(value) and value["checksum"] != RANGED[-8:],
    ),
    Case("getdescriptorinfo", [f"addr({KEY_ADDRESS})"], result=lambda value: value["issolvable"] is False),
    Case("getdescriptorinfo", [f"pkh({HEX_KEYS[0]})"], error=-5, says="pkh() makes outputs that this ledger"),
    Case("getdescriptorinfo", [PLAIN[:-1] + "x"], error=-5),
    Case("deriveaddresses", [PLAIN], result=addresses(PLAIN, 0)),
    Case("deriveaddresses", [RANGED, 2], result=addresses(RANGED, 0, 1, 2)),
    Case("deriveaddresses", [RANGED, [5, 6]], result=addresses(RANGED, 5, 6)),
    Case("deriveaddresses", [MULTI], result=[VAULT_ADDRESS]),
    Case("deriveaddresses", [PAIR, [1, 1]], result=lambda value: [len(each) for each in value] == [1, 1]),
    Case("deriveaddresses", [PLAIN[:-9]], error=-5, says="checksum is missing"),
    Case("deriveaddresses", [PLAIN, 1], error=-8, says="should not be specified for an un-ranged"),
    Case("deriveaddresses", [RANGED], error=-8, says="must be specified for a ranged"),
    Case("deriveaddresses", [RANGED, -1], error=-8, says="begin after end"),
    Case("deriveaddresses", [RANGED, [-1, 1]], error=-8, says="greater or equal than 0"),
    Case("deriveaddresses", [RANGED, [0, 2**31]], error=-8, says="End of range is too high"),
    Case("deriveaddresses", [RANGED, 10_000], error=-8, says="Range is too large"),
    Case("deriveaddresses", [RANGED, [1]], error=-8, says="end or as [begin,end]"),
    Case("decodescript", [VAULT.hex()], result=decoded_multisig),
    Case("decodescript", [VAULT_SCRIPT.hex()], result=lambda value: value["address"] == VAULT_ADDRESS),
    Case(
        "decodescript",
        ["76a914" + "11" * 20 + "88ac"],
        result=lambda value: value["asm"] == f"OP_DUP OP_HASH160 {'11' * 20} OP_EQUALVERIFY OP_CHECKSIG",
    ),
    Case("decodescript", [op_return(b"hello").hex()], result=lambda value: value["asm"] == "OP_RETURN 68656c6c6f"),
    Case("decodescript", ["4c"], result=lambda value: value["asm"] == "[error]"),
    Case(
        "decodescript",
        ["4f6001820401020380b250ff"],
        result=lambda value: value["asm"] == "-1 16 -2 -197121 OP_CHECKSEQUENCEVERIFY OP_RESERVED OP_UNKNOWN",
    ),
    Case("decodescript", [""], result=lambda value: (value["asm"], value["type"]) == ("", "nonstandard")),
    Case("decodescript", ["xyz"], error=-8, says="argument must be hexadecimal string (not 'xyz')"),
    Case("decodescript", ["00" * 10_001], error=-8),
    Case("signmessagewithprivkey", [WIFS[0], MESSAGE], result=BY_KEY),
    Case("signmessagewithprivkey", ["cSecret", MESSAGE], error=-5, says="Invalid private key"),
    Case("signmessagewithprivkey", [WIFS[0], "x" * 100_001], error=-8, says="at most 100000 bytes"),
    Case("verifymessage", [KEY_ADDRESS, BY_KEY, MESSAGE], result=True),
    Case("verifymessage", [VAULT_ADDRESS, BY_VAULT, MESSAGE], result=True),
    Case("verifymessage", [VAULT_ADDRESS, BY_KEY, MESSAGE], result=False),
    Case("verifymessage", [KEY_ADDRESS, BY_KEY, MESSAGE + "!"], result=False),
    Case("verifymessage", [KEY_ADDRESS, OLD, MESSAGE], error=-3, says="old form"),
    Case("verifymessage", [KEY_ADDRESS, "!", MESSAGE], error=-3, says="Malformed base64 encoding"),
    Case("verifymessage", [KEY_ADDRESS, "fulAAAA", MESSAGE], error=-3, says="full form"),
    Case("verifymessage", [MAIN_ADDRESS, BY_KEY, MESSAGE], error=-5, says="Invalid address"),
    Case("verifymessage", [KEY_ADDRESS, BY_KEY, "x" * 100_001], error=-8),
]
