"""Partially signed transactions, version 0 (BIP 174), as immutable values over the ledger's own transactions.

embit has a PSBT class, too. It is not used, because its object is not the transaction that was read: a sequence of 0
becomes 0xffffffff, a version of 0 becomes 2, fields of version 2 in a PSBT of version 0 replace outpoints and amounts,
and uncompressed keys change (tests/wallet/test_psbt_embit.py). What is signed has to be what is shown.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import Transaction, TxOutput, split_outpoint
from timecoin.wallet import psbt_fields as fields
from timecoin.wallet import psbt_maps as maps
from timecoin.wallet.psbt_errors import MalformedPsbt
from timecoin.wallet.psbt_fields import Fields
from timecoin.wallet.psbt_origin import KeyOrigin

MAX_TEXT: Final = 4 * -(-maps.MAX_PSBT_BYTES // 3)
"""Characters of a PSBT in base64, at most."""

_NO_TRANSACTION: Final = "No unsigned transaction was provided"


@dataclass(frozen=True, slots=True)
class PsbtInput:
    """What is known of one input.

    ``partial_signatures`` are witness items (DER and hash type) by public key, ``derivations`` origins by public key;
    ``other`` holds pairs that are not understood here, key with type.
    """

    non_witness_utxo: Transaction | None = None
    witness_utxo: TxOutput | None = None
    partial_signatures: Mapping[bytes, bytes] = field(default_factory=dict)
    sighash: int | None = None
    redeem_script: bytes | None = None
    witness_script: bytes | None = None
    derivations: Mapping[bytes, KeyOrigin] = field(default_factory=dict)
    final_script_sig: bytes | None = None
    final_witness: tuple[bytes, ...] | None = None
    other: Mapping[bytes, bytes] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """Whether a finaliser has been here."""
        return self.final_witness is not None or self.final_script_sig is not None

    @classmethod
    def of(cls, pairs: maps.Pairs) -> PsbtInput:
        """From its map; raises :class:`MalformedPsbt`."""
        found = Fields(pairs, fields.VERSION_2_INPUT)
        return cls(
            found.single(fields.IN_NON_WITNESS_UTXO, fields.transaction),
            found.single(fields.IN_WITNESS_UTXO, fields.output),
            found.by_key(fields.IN_PARTIAL_SIGNATURE, fields.public_key, fields.signature),
            found.single(fields.IN_SIGHASH, fields.number),
            found.single(fields.IN_REDEEM_SCRIPT, fields.script),
            found.single(fields.IN_WITNESS_SCRIPT, fields.script),
            found.by_key(fields.IN_DERIVATION, fields.public_key, KeyOrigin.decode),
            found.single(fields.IN_FINAL_SCRIPT_SIG, fields.script),
            found.single(fields.IN_FINAL_WITNESS, fields.witness),
            found.rest,
        )

    def pairs(self) -> maps.Pairs:
        """Its map."""
        made: maps.Pairs = dict(self.other)
        previous, coin = self.non_witness_utxo, self.witness_utxo
        fields.put(made, fields.IN_NON_WITNESS_UTXO, None if previous is None else previous.raw)
        fields.put(made, fields.IN_WITNESS_UTXO, None if coin is None else coin.encode())
        fields.put_all(made, fields.IN_PARTIAL_SIGNATURE, self.partial_signatures)
        fields.put(made, fields.IN_SIGHASH, None if self.sighash is None else fields.encode_number(self.sighash))
        fields.put(made, fields.IN_REDEEM_SCRIPT, self.redeem_script)
        fields.put(made, fields.IN_WITNESS_SCRIPT, self.witness_script)
        fields.put_all(made, fields.IN_DERIVATION, _encoded(self.derivations))
        fields.put(made, fields.IN_FINAL_SCRIPT_SIG, self.final_script_sig)
        final = self.final_witness
        fields.put(made, fields.IN_FINAL_WITNESS, None if final is None else fields.encode_witness(final))
        return made


@dataclass(frozen=True, slots=True)
class PsbtOutput:
    """What is known of one output; fields as those of :class:`PsbtInput`."""

    redeem_script: bytes | None = None
    witness_script: bytes | None = None
    derivations: Mapping[bytes, KeyOrigin] = field(default_factory=dict)
    other: Mapping[bytes, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, pairs: maps.Pairs) -> PsbtOutput:
        """From its map; raises :class:`MalformedPsbt`."""
        found = Fields(pairs, fields.VERSION_2_OUTPUT)
        return cls(
            found.single(fields.OUT_REDEEM_SCRIPT, fields.script),
            found.single(fields.OUT_WITNESS_SCRIPT, fields.script),
            found.by_key(fields.OUT_DERIVATION, fields.public_key, KeyOrigin.decode),
            found.rest,
        )

    def pairs(self) -> maps.Pairs:
        """Its map."""
        made: maps.Pairs = dict(self.other)
        fields.put(made, fields.OUT_REDEEM_SCRIPT, self.redeem_script)
        fields.put(made, fields.OUT_WITNESS_SCRIPT, self.witness_script)
        fields.put_all(made, fields.OUT_DERIVATION, _encoded(self.derivations))
        return made


@dataclass(frozen=True, slots=True)
class Psbt:
    """A transaction without any signature, and what is known of its inputs and outputs, in their order.

    ``xpubs``: origins by extended public key (78 bytes); ``version`` is 0, or None when it is not written down.
    """

    tx: Transaction
    inputs: tuple[PsbtInput, ...]
    outputs: tuple[PsbtOutput, ...]
    xpubs: Mapping[bytes, KeyOrigin] = field(default_factory=dict)
    version: int | None = None
    other: Mapping[bytes, bytes] = field(default_factory=dict)

    @classmethod
    def create(cls, tx: Transaction) -> Psbt:
        """The PSBT of ``tx``, whose signatures are left out, with nothing known yet."""
        bare = tuple([each._replace(script_sig=b"", witness=()) for each in tx.inputs])
        unsigned = Transaction(tx.version, bare, tx.outputs, tx.lock_time)
        return cls(unsigned, (PsbtInput(),) * len(bare), (PsbtOutput(),) * len(tx.outputs))

    @classmethod
    def decode(cls, data: bytes) -> Psbt:
        """From its serialisation; raises :class:`MalformedPsbt`.

        That a previous transaction is the one which the input names is checked, so that its amounts can be shown.
        """
        pairs, reader = maps.read_global(data)
        tx = _unsigned_of(pairs)
        inputs = [maps.read_map(reader) for _ in tx.inputs]
        outputs = [maps.read_map(reader) for _ in tx.outputs]
        if reader.remaining:
            raise MalformedPsbt("extra data after PSBT")
        return cls.of(pairs, inputs, outputs)

    @classmethod
    def of(cls, pairs: maps.Pairs, inputs: Sequence[maps.Pairs], outputs: Sequence[maps.Pairs]) -> Psbt:
        """From its maps, of inputs and outputs as many as the transaction has; raises as :meth:`decode`."""
        found = Fields(pairs, fields.VERSION_2_GLOBAL)
        tx = found.single(fields.GLOBAL_TX, fields.unsigned)
        if tx is None:
            raise MalformedPsbt(_NO_TRANSACTION)
        xpubs = found.by_key(fields.GLOBAL_XPUB, fields.extended_key, KeyOrigin.decode)
        version = found.single(fields.GLOBAL_VERSION, fields.number)
        if version:
            raise MalformedPsbt("Unsupported version number")
        known_inputs = tuple([PsbtInput.of(each) for each in inputs])
        made = cls(tx, known_inputs, tuple([PsbtOutput.of(each) for each in outputs]), xpubs, version, found.rest)
        made._check_previous()
        return made

    @classmethod
    def from_text(cls, text: str) -> Psbt:
        """From base64 (RFC 4648, section 4); raises :class:`MalformedPsbt`."""
        if len(text) > MAX_TEXT:
            raise MalformedPsbt(f"{len(text)} characters, at most {MAX_TEXT} are taken")
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise MalformedPsbt("invalid base64") from None
        return cls.decode(data)

    def encode(self) -> bytes:
        """The serialisation, canonical: one content has one form."""
        inputs, outputs = [each.pairs() for each in self.inputs], [each.pairs() for each in self.outputs]
        return maps.write([self.pairs(), *inputs, *outputs])

    def pairs(self) -> maps.Pairs:
        """The global map."""
        made: maps.Pairs = dict(self.other)
        fields.put(made, fields.GLOBAL_TX, self.tx.stripped)
        fields.put_all(made, fields.GLOBAL_XPUB, _encoded(self.xpubs))
        fields.put(made, fields.GLOBAL_VERSION, None if self.version is None else fields.encode_number(self.version))
        return made

    @property
    def text(self) -> str:
        """The serialisation in base64."""
        return base64.b64encode(self.encode()).decode("ascii")

    def with_input(self, index: int, changed: PsbtInput) -> Psbt:
        """The same with another input ``index``."""
        inputs = (*self.inputs[:index], changed, *self.inputs[index + 1 :])
        return Psbt(self.tx, inputs, self.outputs, self.xpubs, self.version, self.other)

    def with_output(self, index: int, changed: PsbtOutput) -> Psbt:
        """The same with another output ``index``."""
        outputs = (*self.outputs[:index], changed, *self.outputs[index + 1 :])
        return Psbt(self.tx, self.inputs, outputs, self.xpubs, self.version, self.other)

    def _check_previous(self) -> None:
        for spent, known in zip(self.tx.inputs, self.inputs, strict=True):
            if (previous := known.non_witness_utxo) is None:
                continue
            txid, n = split_outpoint(spent.outpoint)
            if previous.txid != txid:
                raise MalformedPsbt(f"Non-witness UTXO does not match outpoint hash {display(txid)}")
            if n >= len(previous.outputs):
                raise MalformedPsbt("Input specifies output index that does not exist")


def _unsigned_of(pairs: maps.Pairs) -> Transaction:
    found = pairs.get(bytes((fields.GLOBAL_TX,)))
    if found is None:
        raise MalformedPsbt(_NO_TRANSACTION)
    return fields.unsigned(found)


def _encoded(origins: Mapping[bytes, KeyOrigin]) -> dict[bytes, bytes]:
    return {key: origin.encode() for key, origin in origins.items()}
