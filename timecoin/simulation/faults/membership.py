"""Changes of the set: masternodes that join, leave, change their keys, stay away and return."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from timecoin.ledger import payload as registry_payload
from timecoin.ledger.payload import Payload, Register, Return, Unregister, Update
from timecoin.ledger.registry_entry import Entry
from timecoin.ledger.tiers import Tier
from timecoin.primitives.script import op_return
from timecoin.primitives.sighash import Bip143
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput
from timecoin.simulation.chance import Chance
from timecoin.simulation.faults.kind import Fault, FaultKind, Scene, times
from timecoin.simulation.genesis import operator, owner, service
from timecoin.simulation.keys import BACKEND, key
from timecoin.simulation.payments import FEE, Owned, spend

if TYPE_CHECKING:
    from timecoin.simulation.life import Life

SHARES = {"calm": 200, "mixed": 350, "border": 200, "storm": 500}
NEWCOMER_TIER = Tier.BRONZE


def _prevouts(coin: Owned) -> bytes:
    return Bip143(Transaction(2, (TxInput(coin.outpoint),), (), 0)).hash_prevouts


def carry(
    life: Life,
    coin: Owned,
    payload: Payload,
    outputs: Sequence[TxOutput],
    *,
    secrets: tuple[bytes | None, bytes | None],
) -> Transaction:
    """A transaction that carries a signed payload; ``secrets`` are the owner's and the operator's."""
    digest = registry_payload.signing_digest(life.world.genesis.chain_id, _prevouts(coin), payload)
    signed = registry_payload.sign(BACKEND, payload, digest, owner=secrets[0], operator=secrets[1])
    left = coin.value - 2 * FEE - sum([output.value for output in outputs])
    change = TxOutput(left, coin.owner.script)
    return spend([coin], [*outputs, change, TxOutput(0, op_return(registry_payload.encode(signed)))])


def entry_of(life: Life, number: int) -> Entry | None:
    """What the registry of the highest honest node knows of masternode ``number``."""
    disk = max(life.honest, key=lambda node: node.height).disk
    operator_key = life.world.nodes[number].operator
    return None if operator_key is None else disk.ledger.registry.by_operator_key(operator_key.public)


def _submit(life: Life, tx: Transaction) -> None:
    life.users.give(tx, life.users.some_node(life.chance.stream(f"payload {tx.txid.hex()}")))


def _change(life: Life, number: int, payload: Payload, operator_secret: bytes | None = None) -> None:
    coin = life.users.owner_coin(number)
    if coin is not None:
        _submit(life, carry(life, coin, payload, (), secrets=(owner(number).secret, operator_secret)))


# Joining


def _draw_join(chance: Chance, scene: Scene) -> Iterable[Fault]:
    for number in range(scene.newcomers):
        at = chance.between(1, max(1, scene.span // 2))
        yield Fault(at, "join", (scene.masternodes + number,), value=chance.below(4) if number else 1)


def _strike_join(life: Life, fault: Fault) -> None:
    """``value`` 0: without collateral."""
    number, params = fault.nodes[0], life.plan.parameters
    collateral = params.threshold(NEWCOMER_TIER) if fault.value else 0
    coin = life.users.owner_coin(number, collateral)
    if coin is None or entry_of(life, number) is not None:
        return
    outputs = [TxOutput(collateral, owner(number).script)] if fault.value else []
    index = 0 if fault.value else registry_payload.FREE
    keys = operator(number).public, owner(number).public
    register = Register(index, *keys, key(f"payout {number}").script, service(number))
    _submit(life, carry(life, coin, register, outputs, secrets=(None, operator(number).secret)))


# Leaving


def _draw_leave(chance: Chance, scene: Scene) -> Iterable[Fault]:
    for number in scene.leavers:
        if chance.permille(700):
            yield Fault(scene.moment(chance), "leave", (number,))


def _strike_leave(life: Life, fault: Fault) -> None:
    entry = entry_of(life, fault.nodes[0])
    if entry is not None:
        _change(life, fault.nodes[0], Unregister(entry.masternode_id))


# New keys


def _draw_new_key(chance: Chance, scene: Scene) -> Iterable[Fault]:
    """``value`` numbers the key; one change a masternode."""
    for number in chance.some(scene.honest, chance.between(1, 2)):
        yield Fault(chance.between(1, scene.span), "new_key", (number,), value=1)


def _strike_new_key(life: Life, fault: Fault) -> None:
    number = fault.nodes[0]
    entry, fresh = entry_of(life, number), key(f"operator {number} key {fault.value}")
    if entry is not None:
        _change(life, number, Update(entry.masternode_id, operator_key=fresh.public), fresh.secret)
        life.await_key(life.world.nodes[number], fresh)


def _draw_new_values(chance: Chance, scene: Scene) -> Iterable[Fault]:
    for at in times(chance, scene, 2):
        yield Fault(at, "new_payout", (chance.below(scene.masternodes),), value=chance.below(1_000))


def _strike_new_values(life: Life, fault: Fault) -> None:
    number = fault.nodes[0]
    entry = entry_of(life, number)
    if entry is not None:
        payout = key(f"payout {number} {fault.value}").script
        _change(life, number, Update(entry.masternode_id, payout=payout))


# Absence


def _draw_absence(chance: Chance, scene: Scene) -> Iterable[Fault]:
    """Only where the plan made suspensions quick; one stays away, then its owner has it return."""
    if "absent_epochs" in scene.overrides and scene.honest:
        at = chance.between(1, max(1, scene.span // 4))
        yield Fault(at, "absence", (chance.pick(scene.honest),), min(scene.span, at + 3 * scene.epoch))


def _strike_absence(life: Life, fault: Fault) -> None:
    node = life.world.nodes[fault.nodes[0]]
    if node.up:
        node.crash()
    life.keep_down(node, fault.until)
    life.at(fault.until + life.plan.epoch // 2, lambda: end_suspension(life, node.index))


def end_suspension(life: Life, number: int) -> None:
    """The owner of a suspended masternode has it return."""
    entry = entry_of(life, number)
    if entry is not None and entry.suspended:
        _change(life, number, Return(entry.masternode_id))


KINDS = (
    FaultKind("join", "a node registers and becomes a masternode", _draw_join, _strike_join, SHARES),
    FaultKind("leave", "a masternode unregisters", _draw_leave, _strike_leave, SHARES),
    FaultKind("new_key", "a masternode gets another operator key", _draw_new_key, _strike_new_key, SHARES),
    FaultKind(
        "new_payout",
        "a masternode gets another payout: another set every epoch",
        _draw_new_values,
        _strike_new_values,
        SHARES,
    ),
    FaultKind("absence", "a masternode stays away, is suspended, returns", _draw_absence, _strike_absence, SHARES),
)
