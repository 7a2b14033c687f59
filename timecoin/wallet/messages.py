"""Signed messages: BIP 322 (version 2.0.0), the *simple* form, for the ledger's two kinds of addresses.

A signature is ``smp`` and the base64 of the witness that spends a virtual transaction; one without ``smp``, as it was
written before that BIP was complete, is taken, too.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from timecoin.ledger.coins import UNARCHIVED, Coin
from timecoin.ledger.errors import TxInvalid
from timecoin.ledger.witness import verify_transaction
from timecoin.primitives.hashes import Hash, hash160, sha256, tagged_hash
from timecoin.primitives.script import Kind, classify, p2wpkh_script_code, parse_multisig
from timecoin.primitives.sighash import Bip143, join_signature
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxInput, TxOutput
from timecoin.wallet.errors import WalletError
from timecoin.wallet.psbt_errors import MalformedPsbt
from timecoin.wallet.psbt_fields import encode_witness, witness

MAX_SIGNATURE_TEXT: Final = 4_096
"""Characters of a signature, at most; fifteen signatures and their script take 2,200."""

PREFIX: Final = "smp"
_OTHER_FORMS: Final = {"ful": "full", "pof": "proof of funds"}
_TAG: Final = "BIP0322-signed-message"
_LEGACY_BYTES: Final = 65
_LEGACY_HEADS: Final = range(27, 43)
_BARE_OP_RETURN: Final = b"\x6a"


class MessageError(WalletError, ValueError):
    """A message that cannot be signed or whose signature cannot be judged."""


class MalformedSignature(MessageError):
    """The text is no signature of the simple form."""


class OtherForm(MessageError):
    """A signature of a form that is not used here: of old (65 bytes, which name no address), full, proof of funds."""


class CannotSign(MessageError):
    """The keys at hand are not those of the address, or too few."""


def message_hash(message: bytes) -> Hash:
    """What a signature of ``message`` commits to."""
    return tagged_hash(_TAG, message)


def to_spend(script: bytes, message: bytes) -> Transaction:
    """The virtual transaction whose one output, with ``script``, the signer shows to control."""
    committed = TxInput(NULL_OUTPOINT, b"\x00\x20" + message_hash(message), 0)
    return Transaction(0, (committed,), (TxOutput(0, script),))


def to_sign(script: bytes, message: bytes, items: tuple[bytes, ...] = ()) -> Transaction:
    """The virtual transaction that spends :func:`to_spend`, with the witness ``items``."""
    spent = TxInput(to_spend(script, message).outpoint(0), b"", 0, items)
    return Transaction(0, (spent,), (TxOutput(0, _BARE_OP_RETURN),))


def sign_message(
    script: bytes,
    message: bytes,
    secrets: Mapping[bytes, bytes],
    backend: SignatureBackend,
    witness_script: bytes | None = None,
) -> str:
    """Sign ``message`` for the address of ``script`` with ``secrets`` (32 bytes each, by public key).

    A P2WSH needs its ``witness_script`` and as many of its keys as that asks for. Raises :class:`CannotSign`.
    """
    hasher = Bip143(to_sign(script, message))
    if classify(script) is Kind.P2WPKH:
        items = _by_key(script, hasher, secrets, backend)
    elif classify(script) is Kind.P2WSH and witness_script is not None and sha256(witness_script) == script[2:]:
        items = _by_script(witness_script, hasher, secrets, backend)
    else:
        raise CannotSign("the address is neither of a key nor of the multisig script that is known")
    return PREFIX + base64.b64encode(encode_witness(items)).decode("ascii")


def _by_key(
    script: bytes, hasher: Bip143, secrets: Mapping[bytes, bytes], backend: SignatureBackend
) -> tuple[bytes, ...]:
    program = script[2:]
    for key, secret in secrets.items():
        if hash160(key) == program:
            return join_signature(backend.sign(secret, hasher.digest(0, p2wpkh_script_code(program), 0))), key
    raise CannotSign("the private key of the address is not known")


def _by_script(
    script: bytes, hasher: Bip143, secrets: Mapping[bytes, bytes], backend: SignatureBackend
) -> tuple[bytes, ...]:
    parsed = parse_multisig(script)
    if parsed is None:
        raise CannotSign("the script of the address is no multisig of this ledger")
    required, keys = parsed
    digest = hasher.digest(0, script, 0)
    able = [secrets[key] for key in keys if key in secrets][:required]
    if len(able) < required:
        raise CannotSign(f"{len(able)} of the {required} private keys that the address needs are known")
    return b"", *(join_signature(backend.sign(secret, digest)) for secret in able), script


def verify_message(script: bytes, message: bytes, signature: str, backend: SignatureBackend) -> bool:
    """Whether ``signature`` shows that who controls the address of ``script`` signed ``message``.

    Raises :class:`MalformedSignature` for what is no signature at all, :class:`OtherForm` for one of another form.
    """
    items = _witness_of(signature)
    try:
        verify_transaction(backend, to_sign(script, message, items), [Coin(UNARCHIVED, 0, script)])
    except TxInvalid:
        return False
    return True


def _witness_of(signature: str) -> tuple[bytes, ...]:
    if len(signature) > MAX_SIGNATURE_TEXT:
        raise MalformedSignature(f"a signature has at most {MAX_SIGNATURE_TEXT} characters")
    head = signature[: len(PREFIX)]
    if head in _OTHER_FORMS:
        raise OtherForm(f"a BIP 322 signature in the {_OTHER_FORMS[head]} form; only the simple form is used here")
    try:
        data = base64.b64decode(signature[len(PREFIX) :] if head == PREFIX else signature, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedSignature("Malformed base64 encoding") from None
    if len(data) == _LEGACY_BYTES and data[0] in _LEGACY_HEADS:
        raise OtherForm("a signature of the old form, which names no address; only BIP 322 (simple) is used here")
    try:
        return witness(data)
    except MalformedPsbt as error:
        raise MalformedSignature(f"not a witness: {error}") from None
