"""RPC methods about a wallet's addresses and labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypedDict

from timecoin.primitives.hashes import sha256
from timecoin.primitives.script import Kind, classify, parse_multisig
from timecoin.rpc.building import script_of
from timecoin.rpc.codec import HexText
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, RpcError
from timecoin.rpc.face_wallet import OpenWallet
from timecoin.rpc.table import Context, method
from timecoin.rpc.wallet_context import address_of, check_bech32, label_of, wallet_of
from timecoin.rpc.wallet_errors import INVALID_LABEL_NAME, WALLET_ERROR
from timecoin.wallet.book import CHANGE, RECEIVE
from timecoin.wallet.checksums import with_checksum
from timecoin.wallet.descriptors import Expansion
from timecoin.wallet.paths import format_path


async def getnewaddress(context: Context, label: str = "", address_type: str | None = None) -> str:
    """A new address to receive payments with; it is on the disk before it is given out.

    Give every payer another one. A restore from words finds addresses up to gap_limit beyond the last used one
    (getwalletinfo, addresses_beyond_gap).

    :param label: a label for it
    :param address_type: bech32, the only one
    :returns: the address
    :error -4: the wallet has no addresses of its own
    :error -5: another type of address is asked for
    :error -11: the label is not allowed
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    check_bech32(address_type, INVALID_ADDRESS_OR_KEY)
    return _address(context, await wallet.new_script(RECEIVE, label_of(label)))


async def getrawchangeaddress(context: Context, address_type: str | None = None) -> str:
    """A new address for change, for transactions that are built by hand.

    :param address_type: bech32, the only one
    :returns: the address
    :error -4: the wallet has no addresses of its own
    :error -5: another type of address is asked for
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    check_bech32(address_type, INVALID_ADDRESS_OR_KEY)
    return _address(context, await wallet.new_script(CHANGE, ""))


def _address(context: Context, script: bytes) -> str:
    found = address_of(context, script)
    assert found is not None
    return found


def keypoolrefill(context: Context, newsize: int = 0) -> None:
    """Nothing has to be refilled here: addresses are derived when they are needed, gap_limit of them ahead.

    :param newsize: not negative; otherwise of no effect
    :returns: null
    :error -8: newsize is negative
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet_of(context)
    if newsize < 0:
        raise RpcError(INVALID_PARAMETER, "Invalid parameter, expected valid size.")


class _AddressInfo(TypedDict):
    address: str
    scriptPubKey: HexText
    ismine: bool
    iswatchonly: bool
    solvable: bool
    isscript: bool
    ischange: bool
    iswitness: bool
    witness_version: int
    witness_program: HexText
    labels: list[str]


class AddressInfo(_AddressInfo, total=False):
    """What the wallet knows of an address. ``ismine``: it can spend from it; ``iswatchonly``: it only watches it.

    Of own ones also descriptor, key and path; of multisig ones the script, its keys and how many sign.
    """

    desc: str
    parent_desc: str
    pubkey: HexText
    script: Literal["multisig"]
    hex: HexText
    pubkeys: list[HexText]
    sigsrequired: int
    timestamp: int
    hdkeypath: str
    hdmasterfingerprint: HexText


def getaddressinfo(context: Context, address: str) -> AddressInfo:
    """What the wallet knows of an address.

    :param address: any address of this network
    :returns: whose it is, and where it comes from
    :error -5: it is no address of this network
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    script = script_of(context, address)
    owned, label = wallet.state.owned(script), wallet.state.book.label(script)
    shown: AddressInfo = {
        "address": _address(context, script),
        "scriptPubKey": script.hex(),
        "ismine": owned is not None and owned.spendable,
        "iswatchonly": owned is not None and not owned.spendable,
        "solvable": False,
        "isscript": classify(script) is Kind.P2WSH,
        "ischange": owned is not None and owned.change,
        "iswitness": True,
        "witness_version": 0,
        "witness_program": script[2:].hex(),
        "labels": [] if label is None else [label],
    }
    expansion = wallet.state.expand(script)
    return shown if expansion is None else shown | _origin(wallet, expansion)


def _origin(wallet: OpenWallet, expansion: Expansion) -> AddressInfo:
    place = wallet.state.book.find(expansion.script)
    assert place is not None
    listed = wallet.state.book.listed(place.descriptor_id)
    shown: AddressInfo = {  # type: ignore[typeddict-item]
        "solvable": listed.descriptor.is_solvable,
        "parent_desc": listed.descriptor.public_text,
        "timestamp": listed.created,
    }
    if expansion.keys:
        shown["desc"] = description(expansion)
    if expansion.witness_script is not None:
        return shown | _multisig(expansion.witness_script)
    if len(expansion.keys) == 1:
        key = expansion.keys[0]
        shown["pubkey"] = key.public_key.hex()
        shown["hdkeypath"] = "/".join(["m", *filter(None, [format_path(key.path)])])
        shown["hdmasterfingerprint"] = key.fingerprint.hex()
    return shown


def _multisig(witness_script: bytes) -> AddressInfo:
    parsed = parse_multisig(witness_script)
    assert parsed is not None
    return {  # type: ignore[typeddict-item]
        "script": "multisig",
        "hex": witness_script.hex(),
        "pubkeys": [key.hex() for key in parsed[1]],
        "sigsrequired": parsed[0],
    }


def description(expansion: Expansion) -> str:
    """The descriptor of one script, with the origins of its keys, as Core's ``desc``."""
    keys = [
        f"[{'/'.join([key.fingerprint.hex(), *filter(None, [format_path(key.path)])])}]{key.public_key.hex()}"
        for key in expansion.keys
    ]
    if expansion.witness_script is None:
        return with_checksum(f"wpkh({keys[0]})")
    assert sha256(expansion.witness_script) == expansion.script[2:]
    parsed = parse_multisig(expansion.witness_script)
    assert parsed is not None
    return with_checksum(f"wsh(multi({','.join([str(parsed[0]), *keys])}))")


# Labels


async def setlabel(context: Context, address: str, label: str) -> None:
    """Label an address, own or another's.

    :param address: the address
    :param label: the label; empty takes it away
    :returns: null
    :error -5: it is no address of this network
    :error -11: the label is not allowed
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    await wallet.set_label(script_of(context, address), label_of(label))


class Purpose(TypedDict):
    """What an address is for: receive (own) or send (another's)."""

    purpose: Literal["receive", "send"]


def getaddressesbylabel(context: Context, label: str) -> dict[str, Purpose]:
    """The addresses with a label.

    :param label: the label
    :returns: address to what it is for
    :error -11: no address has that label
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    found = {
        _address(context, script): _purpose(wallet, script)
        for script in labelled(wallet)
        if wallet.state.book.label(script) == label
    }
    if not found:
        raise RpcError(INVALID_LABEL_NAME, f"No addresses with label {label[:80]}")
    return found


def _purpose(wallet: OpenWallet, script: bytes) -> Purpose:
    return {"purpose": "send" if wallet.state.owned(script) is None else "receive"}


def labelled(wallet: OpenWallet) -> Iterable[bytes]:
    """The scripts in the address book: all that were labelled, and own ones that were handed out or used."""
    book = wallet.state.book
    yield from book.labels()
    given = {each: listed for each, listed in book.descriptors() if listed.chain == RECEIVE}
    for script in book.scripts():
        place = book.find(script)
        listed = None if place is None else given.get(place.descriptor_id)
        if place is None or listed is None or script in book.labels():
            continue
        if place.index < listed.next_index or not listed.descriptor.is_ranged:
            yield script


def listlabels(context: Context, purpose: str = "") -> list[str]:
    """The labels in use.

    :param purpose: receive: of own addresses; send: of others'; empty: all
    :returns: the labels, sorted
    :error -8: purpose is another word
    :error -18: no wallet is loaded
    :error -19: several wallets are loaded and none is named
    """
    wallet = wallet_of(context)
    if purpose not in ("", "receive", "send"):
        raise RpcError(INVALID_PARAMETER, "Invalid 'purpose' argument, must be a known purpose string")
    wanted = [each for each in labelled(wallet) if purpose in ("", _purpose(wallet, each)["purpose"])]
    return sorted({wallet.state.book.label(each) or "" for each in wanted})


def own_script(context: Context, wallet: OpenWallet, address: str) -> bytes:
    """The script of an own address; RPC error -4 for another's."""
    script = script_of(context, address)
    if wallet.state.owned(script) is None:
        raise RpcError(WALLET_ERROR, "Address not found in wallet")
    return script


METHODS = (
    method("Wallet", getaddressesbylabel, cost=5),
    method("Wallet", getaddressinfo),
    method("Wallet", getnewaddress),
    method("Wallet", getrawchangeaddress),
    method("Wallet", keypoolrefill),
    method("Wallet", listlabels, cost=5),
    method("Wallet", setlabel),
)
