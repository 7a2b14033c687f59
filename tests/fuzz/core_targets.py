"""Targets of the core: what is hashed, signed, stored and journaled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.fuzz.checking import NotTheSame, Target, codec, stable
from timecoin.consensus import records
from timecoin.consensus.bundle import Bundle, BundleHead
from timecoin.consensus.proof import StatementProof
from timecoin.consensus.proposal import HEAD_SIZE, Content, Proposal, ProposalHead
from timecoin.consensus.restoring import Restored
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger import evidence_kinds, payload
from timecoin.ledger.archived import Archived
from timecoin.ledger.coins import Coin, decode_coin, encode_coin
from timecoin.ledger.der import bare_signature
from timecoin.ledger.errors import TxInvalid
from timecoin.ledger.genesis import Genesis, GenesisError
from timecoin.ledger.opening import Opening
from timecoin.ledger.params import Parameters
from timecoin.ledger.payload_record import PayloadRecord
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.registry import Registry
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.snapshot_chunk import decode_chunk, encode_chunk
from timecoin.ledger.snapshot_manifest import Manifest, read_head
from timecoin.ledger.state import LedgerState
from timecoin.ledger.validation import check_inputs, check_transaction
from timecoin.ledger.witness import signature_checks
from timecoin.primitives import address, script
from timecoin.primitives.block import HEADER_SIZE, Block, Commit, Header, evidence_hash
from timecoin.primitives.codec import DecodeError, Reader
from timecoin.primitives.ecdsa_encoding import compact_from_scalars, der_from_compact, scalars_from_der
from timecoin.primitives.hashes import hash160, sha256, sha256d
from timecoin.primitives.merkle import DuplicateLeaves, merkle_root
from timecoin.primitives.muhash import MuHash
from timecoin.primitives.script import Kind, p2wpkh, p2wsh
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import MalformedTransaction, Transaction
from timecoin.primitives.wif import WifError, decode_wif, encode_wif

_BACKENDS = get_backend("coincurve"), get_backend("ecdsa")
_PARAMS = Parameters()
_DIGEST = sha256d(b"digest")


def reading(read: Callable[[Reader], Any]) -> Callable[[bytes], Any]:
    """A decoder of a whole byte string from one that takes its value off a reader."""

    def decode(data: bytes) -> Any:
        reader = Reader(data)
        value = read(reader)
        reader.finish()
        return value

    return decode


def _encoded(value: Any) -> bytes:
    data: bytes = value.encode()
    return data


def _transaction(data: bytes) -> None:
    tx = Transaction.decode(data)
    fresh = Transaction(tx.version, tx.inputs, tx.outputs, tx.lock_time)
    same = (fresh.raw, fresh.stripped, fresh.txid, fresh.wtxid, fresh.size, fresh.weight)
    if fresh.raw != data or same != (tx.raw, tx.stripped, tx.txid, tx.wtxid, tx.size, tx.weight):
        raise NotTheSame("a transaction is another when it is made of its parts")
    repr(tx), tx.vsize, tx.is_coinbase, tx.outpoints()


class _NoLocks:
    def locked(self, outpoint: bytes, epoch: int) -> bool:
        return outpoint[0] == 0xFF


def _coin_for(witness: tuple[bytes, ...], number: int) -> Coin:
    """The coin that a witness could spend."""
    value = 10**12 + number
    if len(witness) == 2 and len(witness[1]) == 33:
        return Coin(2, value, p2wpkh(hash160(witness[1])))
    return Coin(2, value, p2wsh(sha256(witness[-1])) if witness else p2wpkh(bytes(20)))


def _payment(data: bytes) -> None:
    """All rules for one transaction, with coins that its own witnesses may spend."""
    tx = Transaction.decode(data)
    check_transaction(_PARAMS, tx)
    coins = tuple([_coin_for(txin.witness, number) for number, txin in enumerate(tx.inputs)])
    PayloadRecord.of(tx, 1, 1)
    checks = signature_checks(tx, coins)
    for check in checks:
        check.holds(_BACKENDS[0])
    check_inputs(_PARAMS, _NoLocks(), 1, tx, coins)


def _script(data: bytes) -> None:
    kind, carried, multisig = script.classify(data), script.op_return_data(data), script.parse_multisig(data)
    if (carried is not None) != (kind is Kind.OP_RETURN) or (carried is not None and script.op_return(carried) != data):
        raise NotTheSame("OP_RETURN")
    if multisig is not None and script.multisig(*multisig) != data:
        raise NotTheSame("multisig")
    if (script.program(data) is not None) != (kind in (Kind.P2WPKH, Kind.P2WSH)):
        raise NotTheSame("program")


def _der(data: bytes) -> None:
    scalars = scalars_from_der(data)
    if scalars is not None and der_from_compact(compact_from_scalars(*scalars)) != data:
        raise NotTheSame("DER")
    bare_signature(data + b"\x01")


def _signature(data: bytes) -> None:
    """Key, digest and signature of anybody's choice: both backends agree, and neither raises."""
    key, digest, signature = data[:33], data[33:65], data[65:]
    for name in ("verify", "verify_compact"):
        first, second = (getattr(backend, name)(key, digest, signature) for backend in _BACKENDS)
        if first is not second:
            raise NotTheSame(f"{name}: {first} and {second}")
    first, second = (backend.is_public_key(key) for backend in _BACKENDS)
    if first is not second:
        raise NotTheSame(f"is_public_key: {first} and {second}")


def _address(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    if address.encode(address.decode(text, "timed"), "timed") != text.lower():
        raise NotTheSame("address")


def _wif(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    if encode_wif(decode_wif(text, 0xEF), 0xEF) != text:
        raise NotTheSame("WIF")


def _service_text(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    read = ServiceAddress.parse(text)
    if str(read) != text or reading(ServiceAddress.read)(read.encode()) != read:
        raise NotTheSame("service address")


def _linked(data: bytes) -> None:
    """A proposal whose links are made to fit, so that what stands behind them is reached: decoded, it is the same."""
    reader = Reader(data)
    header, last_commit = Header.decode(reader.take(HEADER_SIZE)), Commit.read(reader)
    evidence = tuple([reader.var_bytes(100) for _ in range(reader.count(1))])
    ids = reader.take(64 * reader.count(64))
    txs = tuple([(ids[at : at + 32], ids[at + 32 : at + 64]) for at in range(0, len(ids), 64)])
    try:
        content = relinked(Content(header, last_commit, evidence, bytes(32), txs))
    except DuplicateLeaves:
        return
    if Content.decode(content.encode()) != content:
        raise NotTheSame("content")


def relinked(content: Content) -> Content:
    """The same content under a header that names what it holds (``DuplicateLeaves`` when ids stand in it twice)."""
    header = replace(
        content.header,
        last_commit_hash=content.last_commit.hash,
        evidence_hash=evidence_hash(content.evidence),
        tx_count=len(content.txs) + 1,
        tx_root=merkle_root([content.coinbase, *[txid for txid, _ in content.txs]]),
        wtx_root=merkle_root([content.coinbase, *[wtxid for _, wtxid in content.txs]]),
    )
    return replace(content, header=header)


def _genesis(data: bytes) -> None:
    genesis = Genesis.load(data)
    again = Genesis.load(genesis.encode())
    if again != genesis or again.encode() != genesis.encode() or again.chain_id != genesis.chain_id:
        raise NotTheSame("genesis")
    repr(genesis), genesis.supply, genesis.slot_time, genesis.network_info


def _journal_records(data: bytes) -> None:
    """A journal of up to four records, cut at the first two bytes."""
    restored = Restored(records.decode_list(data, 1 << 16), 0)
    list(restored.transactions()), restored.messages(1), list(restored.bundles(1, bytes(32)))


PRIMITIVES = (
    Target("transaction", _transaction, (MalformedTransaction,)),
    Target("payment", _payment, (MalformedTransaction, TxInvalid)),
    codec("header", Header.decode, _encoded, DecodeError, size=HEADER_SIZE + 8),
    codec("commit", Commit.decode, _encoded, DecodeError),
    codec("block", Block.decode, _encoded, DecodeError),
    codec("muhash", MuHash.decode, MuHash.encode, DecodeError, size=400),
    Target("script", _script, (), 600),
    Target("der", _der, (TxInvalid,), 80),
    Target("signature", _signature, (), 160),
    Target("address", _address, (address.AddressError,), 100),
    Target("wif", _wif, (WifError,), 60),
)

LEDGER = (
    codec("payload", payload.decode, payload.encode, DecodeError, size=520),
    codec("service_address", reading(ServiceAddress.read), _encoded, DecodeError, size=64),
    Target("service_address_text", _service_text, (ValueError,), 80),
    Target("genesis", _genesis, (GenesisError,), 16_384),
    codec("power_set", PowerSet.decode, _encoded, DecodeError),
    codec("registry", Registry.decode, _encoded, DecodeError),
    codec("payload_record", reading(PayloadRecord.read), _encoded, DecodeError),
    codec("archived", reading(Archived.read), _encoded, DecodeError),
    codec("opening", reading(Opening.read), lambda opening: opening.encoded, DecodeError, size=8_192),
    codec("ledger_state", LedgerState.decode, _encoded, DecodeError, size=8_192),
    codec("coin", decode_coin, encode_coin, DecodeError, size=600),
)

SNAPSHOTS = (
    codec("evidence", evidence_kinds.decode, _encoded, DecodeError),
    codec("manifest", Manifest.decode, _encoded, DecodeError, size=2_048),
    codec("manifest_head", read_head, _encoded, DecodeError, size=160),
    codec("coin_chunk", lambda data: tuple(decode_chunk(data)), encode_chunk, DecodeError),
)

CONSENSUS = (
    codec("bundle", Bundle.decode, _encoded, DecodeError),
    codec("bundle_head", BundleHead.decode, _encoded, DecodeError, size=220),
    codec("statement_proof", StatementProof.decode, _encoded, DecodeError),
    codec("proposal_head", lambda data: ProposalHead.decode(_exactly(data)), _encoded, DecodeError, size=200),
    codec("proposal", Proposal.decode, _encoded, DecodeError),
    codec("content", Content.decode, _encoded, DecodeError),
    Target("linked_content", _linked, (DecodeError,), 1_024),
    codec("prevote", Prevote.decode, _encoded, DecodeError, size=180),
    codec("precommit", Precommit.decode, _encoded, DecodeError, size=180),
    codec("journal_record", records.decode_record, _encoded, DecodeError),
    codec("journal_pending", records.decode_pending, _encoded, DecodeError),
    codec("journal_final", records.decode_final, lambda value: records.encode_final(*value), DecodeError, size=48),
    stable("journal_list", lambda data: records.decode_list(data, 512), records.encode_list, DecodeError),
    Target("journal_restored", _journal_records, (DecodeError,)),
)


def _exactly(data: bytes) -> bytes:
    if len(data) != HEAD_SIZE:
        raise DecodeError("a proposal's head is read off its front: here it comes alone")
    return data
