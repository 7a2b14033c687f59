"""Targets of the wallet: what people paste, and what other wallets send."""

from __future__ import annotations

from tests.fuzz.checking import NotTheSame, Target, stable
from timecoin.ledger.networks import DEVNET
from timecoin.ledger.params import Parameters
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import multisig, p2wpkh, p2wsh
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.rpc.asm import disassemble
from timecoin.rpc.render_psbt import analysis_json, psbt_json
from timecoin.wallet.descriptors import Descriptor, parse_all
from timecoin.wallet.errors import BadDescriptor
from timecoin.wallet.messages import MessageError, verify_message
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_analyse import analyse
from timecoin.wallet.psbt_combine import combine, join
from timecoin.wallet.psbt_errors import MalformedPsbt, PsbtError
from timecoin.wallet.psbt_finalise import extract, finalise, is_valid
from timecoin.wallet.psbt_sign import check_version, sign, signable
from timecoin.wallet.raw_signing import sign_raw

_BACKEND = get_backend()
_MAX_MONEY = Parameters().max_money
SECRETS = {_BACKEND.public_key(one): one for one in (sha256(b"fuzz %d" % n) for n in range(3))}
KEYS = sorted(SECRETS)
KEY_SCRIPT = p2wpkh(hash160(KEYS[0]))
VAULT = multisig(2, KEYS)
VAULT_SCRIPT = p2wsh(sha256(VAULT))
MESSAGE = b"a message"


def _psbt_text(data: bytes) -> None:
    found = Psbt.from_text(data.decode("latin-1"))
    if Psbt.from_text(found.text) != found:
        raise NotTheSame("text")


def _psbt_roles(data: bytes) -> None:
    """Whatever can be decoded goes through every role: what is signed is what was read, and nobody stumbles."""
    psbt = Psbt.decode(data)
    psbt_json(psbt, DEVNET)
    analysis_json(analyse(psbt, _BACKEND, _MAX_MONEY))
    check_version(psbt)
    signed = sign(psbt, SECRETS, _BACKEND)
    if signed.tx != psbt.tx or Psbt.decode(signed.encode()) != signed:
        raise NotTheSame("signing changed more than signatures")
    added = [n for n, (a, b) in enumerate(zip(signed.inputs, psbt.inputs, strict=True)) if a != b]
    if not set(added) <= set(signable(psbt, SECRETS)):
        raise NotTheSame("signed what was not signable")
    done = finalise(combine([psbt, signed]), _BACKEND)
    if is_valid(done, _BACKEND) and extract(done).stripped != psbt.tx.stripped:
        raise NotTheSame("another transaction was extracted")
    join([psbt, Psbt.create(Transaction(2, (), psbt.tx.outputs[:1]))], lambda items: items.reverse())


def _descriptor(data: bytes) -> None:
    for found in parse_all(data.decode("latin-1"), DEVNET):
        again = Descriptor.parse(found.public_text, DEVNET, checksum_required=True)
        if again != found or again.is_private or again.expand(7).script != found.script(7):
            raise NotTheSame(found.public_text)
        repr(found), found.threshold, found.is_ranged, found.descriptor_id
        if found.is_private:
            found.secrets(1)


def _message_signature(data: bytes) -> None:
    text = data.decode("latin-1")
    for script in (KEY_SCRIPT, VAULT_SCRIPT):
        verify_message(script, MESSAGE, text, _BACKEND)


def _raw_signing(data: bytes) -> None:
    """Signing a transaction of others, all whose coins are said to be ours."""
    tx = Transaction.decode(data)
    scripts = (KEY_SCRIPT, VAULT_SCRIPT, b"\x51")
    coins = {each: TxOutput(10_000 + n, scripts[n % 3]) for n, each in enumerate(tx.outpoints())}
    first = sign_raw(tx, coins, {VAULT_SCRIPT: VAULT}, SECRETS, _BACKEND)
    if first.tx.stripped != tx.stripped or sign_raw(first.tx, coins, {}, {}, _BACKEND) != first:
        raise NotTheSame("what is signed does not stay")


WALLET = (
    stable("psbt", Psbt.decode, Psbt.encode, MalformedPsbt, size=4_096),
    Target("psbt_text", _psbt_text, (MalformedPsbt,), 4_096),
    Target("psbt_roles", _psbt_roles, (PsbtError,), 4_096, slow=True),
    Target("descriptor", _descriptor, (BadDescriptor,), 1_024),
    Target("message_signature", _message_signature, (MessageError,), 1_024),
    Target("raw_signing", _raw_signing, (DecodeError,), 1_024),
    Target("asm", lambda data: disassemble(data), (), 1_024),
)
