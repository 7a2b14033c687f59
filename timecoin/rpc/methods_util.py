"""RPC methods about addresses, scripts, descriptors and signed messages."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from timecoin.primitives import address as addresses
from timecoin.primitives import script
from timecoin.primitives.hashes import sha256
from timecoin.primitives.script import Kind
from timecoin.primitives.signing import get_backend
from timecoin.rpc.arguments import HexArg
from timecoin.rpc.asm import disassemble
from timecoin.rpc.building import key_script, network_of, script_of, secret_of
from timecoin.rpc.codec import HexText
from timecoin.rpc.descriptor_arguments import RangeArg, descriptors_of
from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, INVALID_PARAMETER, TYPE_ERROR, RpcError
from timecoin.rpc.render import script_json
from timecoin.rpc.render_psbt import script_type
from timecoin.rpc.table import Context, method
from timecoin.wallet.checksums import checked, checksum, with_checksum
from timecoin.wallet.descriptors import Descriptor
from timecoin.wallet.errors import BadDescriptor
from timecoin.wallet.messages import MalformedSignature, OtherForm, sign_message, verify_message

MAX_MESSAGE_BYTES = 100_000
_MAX_SCRIPT_BYTES = 10_000
_SHOWN = 80


class ValidatedAddress(TypedDict):
    """What an address is; of an invalid one ``isvalid``, ``error_locations`` (always empty) and ``error`` only."""

    isvalid: bool
    address: NotRequired[str]
    scriptPubKey: NotRequired[HexText]
    isscript: NotRequired[bool]
    iswitness: NotRequired[bool]
    witness_version: NotRequired[int]
    witness_program: NotRequired[HexText]
    error_locations: NotRequired[list[int]]
    error: NotRequired[str]


def validateaddress(context: Context, address: str) -> ValidatedAddress:
    """Whether a text is an address of this network, and what it stands for.

    :param address: the text
    :returns: the script, and the reason when it is no address
    """
    try:
        found = addresses.decode(address, context.node.hrp)
    except addresses.AddressError as problem:
        return {"isvalid": False, "error_locations": [], "error": str(problem)}
    return {
        "isvalid": True,
        "address": addresses.encode(found, context.node.hrp),
        "scriptPubKey": found.hex(),
        "isscript": script.classify(found) is Kind.P2WSH,
        "iswitness": True,
        "witness_version": 0,
        "witness_program": found[2:].hex(),
    }


class CreatedMultisig(TypedDict):
    """``redeemScript`` is the witness script; Core's name is kept."""

    address: str
    redeemScript: HexText
    descriptor: str


def createmultisig(context: Context, nrequired: int, keys: list[str], address_type: str = "bech32") -> CreatedMultisig:
    """Make a multisig address (P2WSH) out of public keys, in their order; nothing is stored.

    :param nrequired: how many signatures a spend needs, from 1
    :param keys: 1 to 15 public keys in hex, in compressed form (33 bytes)
    :param address_type: bech32, which is the only one here
    :returns: address, script and descriptor
    :error -5: a key is none, or another type of address is asked for
    :error -8: the numbers of signatures and keys do not fit, or a key stands there twice
    """
    if address_type != "bech32":
        raise RpcError(INVALID_ADDRESS_OR_KEY, f"Unknown address type '{address_type[:_SHOWN]}' (bech32 is in use)")
    _check_numbers(nrequired, keys)
    public = [_public_key(each) for each in keys]
    witness_script = script.multisig(nrequired, public)
    return {
        "address": addresses.encode(script.p2wsh(sha256(witness_script)), context.node.hrp),
        "redeemScript": witness_script.hex(),
        "descriptor": with_checksum(f"wsh(multi({','.join([str(nrequired), *(key.hex() for key in public)])}))"),
    }


def _public_key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text) if text.isalnum() else b""
    except ValueError:
        key = b""
    if not key:
        raise RpcError(INVALID_ADDRESS_OR_KEY, f'Pubkey "{text[:_SHOWN]}" must be a hex string')
    if len(key) != 33:
        raise RpcError(INVALID_ADDRESS_OR_KEY, f'Pubkey "{text[:_SHOWN]}" must have a length of 33 bytes')
    if not get_backend().is_public_key(key):
        raise RpcError(INVALID_ADDRESS_OR_KEY, f'Pubkey "{text[:_SHOWN]}" must be cryptographically valid.')
    return key


def _check_numbers(required: int, keys: list[str]) -> None:
    if required < 1:
        raise RpcError(INVALID_PARAMETER, "a multisignature address must require at least one key to redeem")
    if len(keys) < required:
        problem = f"not enough keys supplied (got {len(keys)} keys, but need at least {required} to redeem)"
        raise RpcError(INVALID_PARAMETER, problem)
    if len(keys) > script.MAX_MULTISIG_KEYS:
        most = script.MAX_MULTISIG_KEYS
        problem = f"Number of keys involved in the multisignature address creation > {most}\nReduce the number"
        raise RpcError(INVALID_PARAMETER, problem)
    if len({each.lower() for each in keys}) < len(keys):
        raise RpcError(INVALID_PARAMETER, "a key stands there twice")


class DescriptorInfo(TypedDict):
    """The descriptor without secrets; ``checksum`` is that of the text as it was given."""

    descriptor: str
    multipath_expansion: NotRequired[list[str]]
    checksum: str
    isrange: bool
    issolvable: bool
    hasprivatekeys: bool


async def getdescriptorinfo(context: Context, descriptor: str) -> DescriptorInfo:
    """What a descriptor is, and its checksum.

    :param descriptor: the text, with or without a checksum
    :returns: the descriptor with public keys only, and its properties
    :error -5: it is malformed, or of outputs that this ledger does not have
    """
    found = await context.aside(descriptors_of, descriptor, network_of(context))
    shown: DescriptorInfo = {
        "descriptor": found[0].public_text,
        "checksum": checksum(checked(descriptor)),
        "isrange": found[0].is_ranged,
        "issolvable": found[0].is_solvable,
        "hasprivatekeys": found[0].is_private,
    }
    if len(found) > 1:
        shown["multipath_expansion"] = [each.public_text for each in found]
    return shown


async def deriveaddresses(
    context: Context, descriptor: str, range: RangeArg | None = None
) -> list[str] | list[list[str]]:
    """The addresses of a descriptor.

    :param descriptor: with its checksum
    :param range: of a ranged descriptor: the last index, or the first and the last; at most 10,000 indexes
    :returns: the addresses; of a multipath descriptor one list for each path
    :error -5: it is malformed, its checksum is missing, or an index has no key
    :error -8: the range is missing, not one, or given although there is none
    """
    found = await context.aside(descriptors_of, descriptor, network_of(context), checksum_required=True)
    ranged = found[0].is_ranged
    if not ranged and range is not None:
        raise RpcError(INVALID_PARAMETER, "Range should not be specified for an un-ranged descriptor")
    if ranged and range is None:
        raise RpcError(INVALID_PARAMETER, "Range must be specified for a ranged descriptor")
    first, last = range or (0, 0)
    try:
        lists = [await context.aside(_addresses, each, first, last, context.node.hrp) for each in found]
    except BadDescriptor as problem:
        raise RpcError(INVALID_ADDRESS_OR_KEY, str(problem)) from None
    return lists if len(lists) > 1 else lists[0]


def _addresses(descriptor: Descriptor, first: int, last: int, hrp: str) -> list[str]:
    return [addresses.encode(descriptor.script(index), hrp) for index in range(first, last + 1)]


class SegwitScript(TypedDict):
    """The P2WSH output that a script makes as a witness script."""

    asm: str
    hex: HexText
    type: str
    address: str
    desc: str


class DecodedScript(TypedDict):
    """A script; ``segwit`` when it can be a witness script here."""

    asm: str
    desc: str
    type: str
    address: NotRequired[str]
    segwit: NotRequired[SegwitScript]


def decodescript(context: Context, hexstring: HexArg) -> DecodedScript:
    """What a script says and which kind it is.

    :param hexstring: the script, at most 10,000 bytes
    :returns: its words, its descriptor and its type; its address; the P2WSH output around it when it is a multisig
    :error -8: it is no hex string, or too long
    """
    found = _script(hexstring)
    hrp = context.node.hrp
    shown = script_json(found, hrp)
    answer: DecodedScript = {"asm": disassemble(found), "desc": shown["desc"], "type": script_type(found)}
    if "address" in shown:
        answer["address"] = shown["address"]
    if (parsed := script.parse_multisig(found)) is not None:
        outer = script_json(script.p2wsh(sha256(found)), hrp)
        keys = ",".join([str(parsed[0]), *(key.hex() for key in parsed[1])])
        answer["segwit"] = {
            "asm": outer["asm"],
            "hex": outer["hex"],
            "type": outer["type"],
            "address": outer["address"],
            "desc": with_checksum(f"wsh(multi({keys}))"),
        }
    return answer


def _script(text: str) -> bytes:
    try:
        found = bytes.fromhex(text) if text.isalnum() or not text else None
    except ValueError:
        found = None
    if found is None or len(found) > _MAX_SCRIPT_BYTES:
        raise RpcError(INVALID_PARAMETER, f"argument must be hexadecimal string (not '{text[:_SHOWN]}')")
    return found


def message_bytes(message: str) -> bytes:
    """The message as it is signed; RPC error -8 when it is too long or no text."""
    try:
        data = message.encode("utf-8")
    except UnicodeEncodeError:
        raise RpcError(INVALID_PARAMETER, "the message is not UTF-8 text") from None
    if len(data) > MAX_MESSAGE_BYTES:
        raise RpcError(INVALID_PARAMETER, f"a message has at most {MAX_MESSAGE_BYTES} bytes")
    return data


def signmessagewithprivkey(context: Context, privkey: str, message: str) -> str:
    """Sign a message (BIP 322, simple form) for the address of a private key.

    :param privkey: the key in wallet import format
    :param message: the text, at most 100,000 bytes
    :returns: the signature; verifymessage takes it with the key's P2WPKH address
    :error -5: the key is none of this network
    :error -8: the message is too long
    """
    secret, data = secret_of(context, privkey), message_bytes(message)
    backend = get_backend()
    key = backend.public_key(secret)
    return sign_message(key_script(key), data, {key: secret}, backend)


def verifymessage(context: Context, address: str, signature: str, message: str) -> bool:
    """Whether a message was signed for an address (BIP 322, simple form).

    Signatures of Bitcoin's old form (65 bytes) are refused: they name no address of this network.

    :param address: an address of this network, of a key or of a multisig
    :param signature: the signature in base64, beginning with smp
    :param message: the text, at most 100,000 bytes
    :returns: true when it was
    :error -3: the signature is no base64 of a witness, or of another form
    :error -5: the address is none of this network
    :error -8: the message is too long
    """
    try:
        output = script_of(context, address)
    except RpcError:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Invalid address") from None
    data = message_bytes(message)
    try:
        return verify_message(output, data, signature, get_backend())
    except (MalformedSignature, OtherForm) as problem:
        raise RpcError(TYPE_ERROR, str(problem)) from None


METHODS = (
    method("Util", createmultisig),
    method("Rawtransactions", decodescript),
    method("Util", deriveaddresses, cost=20),
    method("Util", getdescriptorinfo, cost=3),
    method("Util", signmessagewithprivkey, cost=2),
    method("Util", validateaddress),
    method("Util", verifymessage, cost=2),
)
