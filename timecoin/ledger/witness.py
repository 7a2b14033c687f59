"""Witnesses of P2WPKH and P2WSH multisig coins, turned into signature checks (BIP 141, 143, 147).

Everything that needs no curve arithmetic is refused here with its own error; the checks that come out can
be verified in any order, in batches, in any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from timecoin.ledger import errors
from timecoin.ledger.coins import Coin
from timecoin.ledger.der import bare_signature
from timecoin.primitives.ecdsa_encoding import is_compressed_form
from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import Kind, classify, p2wpkh_script_code, parse_multisig
from timecoin.primitives.sighash import Bip143
from timecoin.primitives.signing import SignatureBackend, SignatureCheck, check_all
from timecoin.primitives.transaction import Transaction


class MultisigCheck(NamedTuple):
    """m DER signatures in the order of m of n > m ``keys``: who made which is for the verifier to find."""

    keys: tuple[bytes, ...]
    digest: bytes
    signatures: tuple[bytes, ...]

    def holds(self, backend: SignatureBackend) -> bool:
        """CHECKMULTISIG's walk: each signature is by a key after the one of the signature before it."""
        found = 0
        for index, key in enumerate(self.keys):
            if len(self.signatures) - found > len(self.keys) - index:
                return False
            if backend.verify(key, self.digest, self.signatures[found]):
                found += 1
                if found == len(self.signatures):
                    return True
        return False


Check: TypeAlias = SignatureCheck | MultisigCheck


def signature_checks(tx: Transaction, coins: Sequence[Coin]) -> list[Check]:
    """Return what must hold for ``tx`` to be signed; ``coins`` are those of its inputs, in order.

    One check a P2WPKH input; m checks an m-of-m multisig; one :class:`MultisigCheck` an m-of-n with m <
    n. Raises the rule's :class:`~timecoin.ledger.errors.TxInvalid` when a witness is malformed.
    """
    if len(coins) != len(tx.inputs):
        raise errors.MissingInputs(f"{len(coins)} coins for {len(tx.inputs)} inputs")
    hasher = Bip143(tx)
    checks: list[Check] = []
    for index, coin in enumerate(coins):
        kind = classify(coin.script)
        if kind is Kind.P2WPKH:
            checks.append(_key_check(hasher, index, coin, tx.inputs[index].witness))
        elif kind is Kind.P2WSH:
            checks.extend(_script_checks(hasher, index, coin, tx.inputs[index].witness))
        else:
            raise errors.UnspendableCoin(f"input {index}")
    return checks


def _key_check(hasher: Bip143, index: int, coin: Coin, witness: Sequence[bytes]) -> SignatureCheck:
    if len(witness) != 2:
        raise errors.WitnessMalformed(f"input {index}: {len(witness)} items")
    signature, key = witness
    program = coin.script[2:]
    if not is_compressed_form(key):
        raise errors.WitnessKeyType(f"input {index}")
    if hash160(key) != program:
        raise errors.WitnessKeyMismatch(f"input {index}")
    digest = hasher.digest(index, p2wpkh_script_code(program), coin.value)
    return SignatureCheck(key, digest, bare_signature(signature))


def _script_checks(hasher: Bip143, index: int, coin: Coin, witness: Sequence[bytes]) -> list[Check]:
    required, keys, script = _multisig_of(index, coin, witness)
    if len(witness) != required + 2:
        raise errors.WitnessMalformed(f"input {index}: {len(witness) - 2} signatures for {required}")
    if witness[0]:
        raise errors.NullDummy(f"input {index}")
    signatures = tuple([bare_signature(item) for item in witness[1:-1]])
    digest = hasher.digest(index, script, coin.value)
    if required < len(keys):
        return [MultisigCheck(keys, digest, signatures)]
    return [SignatureCheck(key, digest, signature) for key, signature in zip(keys, signatures, strict=True)]


def _multisig_of(index: int, coin: Coin, witness: Sequence[bytes]) -> tuple[int, tuple[bytes, ...], bytes]:
    if not witness:
        raise errors.WitnessMalformed(f"input {index}: empty")
    script = witness[-1]
    if sha256(script) != coin.script[2:]:
        raise errors.WitnessKeyMismatch(f"input {index}")
    parsed = parse_multisig(script)
    if parsed is None:
        raise errors.WitnessScriptInvalid(f"input {index}")
    required, keys = parsed
    return required, tuple(keys), script


def verify_transaction(backend: SignatureBackend, tx: Transaction, coins: Sequence[Coin]) -> None:
    """Verify all signatures of ``tx``; raises ``SignatureInvalid`` and as :func:`signature_checks`."""
    if not check_all(backend, signature_checks(tx, coins)):
        raise errors.SignatureInvalid()
