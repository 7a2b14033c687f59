"""What a registry payload would do if it were archived next: for who is about to send one, never for consensus.

The rules are those of the closing block (protocol.md section 3); here they have words.
"""

from __future__ import annotations

from timecoin.ledger.params import Parameters
from timecoin.ledger.payload import FREE, Payload, Register, Return, Update, parse
from timecoin.ledger.payload_record import PayloadRecord
from timecoin.ledger.registry_effects import SET_DELAY, RegistryDraft
from timecoin.ledger.registry_entry import Entry
from timecoin.ledger.state import LedgerState
from timecoin.ledger.tiers import Tier
from timecoin.primitives.amounts import format_amount
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import Transaction


class NoEffect(Exception):
    """The payload would change nothing; ``str()`` says why, in one line."""


def draft_of(params: Parameters, state: LedgerState) -> RegistryDraft:
    """The registry with the payloads of the open epoch's blocks applied, for one more."""
    draft = RegistryDraft(params, state.epoch, {each.masternode_id: each for each in state.registry.entries})
    collateral = frozenset(state.archived.collateral)
    for record in state.epoch_payloads:
        draft.apply(record, collateral.__contains__)
    return draft


def check_payload(params: Parameters, state: LedgerState, payload: Payload, collateral: int) -> None:
    """Raise ``NoEffect`` when ``payload``, whatever its signatures, would change nothing.

    ``collateral``: base units of the output that a paid registration names.
    """
    draft = draft_of(params, state)
    if isinstance(payload, Register):
        _check_registration(params, draft, payload, collateral)
    else:
        _check_change(draft, payload)
    if isinstance(payload, Register | Update) and payload.operator_key is not None:
        own = None if isinstance(payload, Register) else payload.masternode_id
        _check_operator_key(state, draft, payload.operator_key, own)


def check_carried(params: Parameters, state: LedgerState, tx: Transaction, backend: SignatureBackend) -> Entry:
    """What the registry would hold of the masternode if ``tx`` were archived next; ``NoEffect``.

    Signatures, keys and all rules are looked at, as when the epoch closes.
    """
    record = PayloadRecord.of(tx, state.height + 1, 1)
    if record is None:
        raise NoEffect("no payload")
    if not state.registry.is_signed(record, state.chain_id, backend):
        raise NoEffect("not signed with the keys that the registry holds, or one of its keys is none")
    draft = draft_of(params, state)
    masternode_id = _subject(record)
    before = draft.entries.get(masternode_id)
    draft.apply(record, lambda _: True)
    after = draft.entries.get(masternode_id)
    if after is None or after == before:
        raise NoEffect("it would change nothing")
    return after


def set_epoch(state: LedgerState) -> int:
    """The first epoch whose set shows what is archived in the open one; the registry shows it one epoch earlier."""
    return state.epoch + SET_DELAY


def _subject(record: PayloadRecord) -> bytes:
    payload = parse(record.data)
    assert payload is not None
    return record.txid if isinstance(payload, Register) else payload.masternode_id


def _check_registration(params: Parameters, draft: RegistryDraft, payload: Register, collateral: int) -> None:
    if payload.collateral_index == FREE:
        free = sum(1 for each in draft.entries.values() if each.tier is Tier.FREE)
        if free >= params.max_free:
            raise NoEffect(f"all {params.max_free} Free places of the registry are taken")
    elif params.paid_tier(collateral) is None:
        least = format_amount(params.threshold(Tier.BRONZE))
        raise NoEffect(f"the collateral of {format_amount(collateral)} TIME is below {least}, the least of a paid tier")


def _check_change(draft: RegistryDraft, payload: Payload) -> None:
    assert not isinstance(payload, Register)
    entry = draft.entries.get(payload.masternode_id)
    if entry is None:
        raise NoEffect("no masternode with this id is registered")
    if entry.is_leaving:
        raise NoEffect(f"the masternode is {entry.status}, for good: it can only register anew")
    if isinstance(payload, Return) and not entry.suspended:
        raise NoEffect("the masternode is not suspended")
    if isinstance(payload, Update) and _changes_nothing(entry, payload):
        raise NoEffect("the registry holds these values already")


def _changes_nothing(entry: Entry, update: Update) -> bool:
    pairs = (
        (update.operator_key, entry.operator_key),
        (update.owner_key, entry.owner_key),
        (update.payout, entry.payout),
        (update.service, entry.service),
    )
    return all(new is None or new == old for new, old in pairs)


def _check_operator_key(state: LedgerState, draft: RegistryDraft, key: bytes, own: bytes | None) -> None:
    for entry in (*state.registry.entries, *draft.entries.values()):
        if entry.operator_key == key and entry.masternode_id != own:
            raise NoEffect(f"the operator key is that of masternode {entry.masternode_id[::-1].hex()}")
