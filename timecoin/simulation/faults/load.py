"""What users do to a network: bursts, rivals, long chains, floods of what is not valid."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from timecoin.ledger.payload import MAGIC
from timecoin.primitives.script import op_return
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import MILLISECOND, SECOND
from timecoin.simulation.faults.kind import Fault, FaultKind, Scene, times
from timecoin.simulation.payments import FEE, Owned, pay, spend
from timecoin.simulation.users import AMOUNT

if TYPE_CHECKING:
    from timecoin.simulation.life import Life
    from timecoin.simulation.node import Node

SHARES = {"calm": 150, "mixed": 350, "border": 300, "storm": 700}
RIVALS = {"calm": 300, "mixed": 600, "border": 800, "storm": 800}
_PLACE = 1_000


def _kind(
    name: str, what: str, most: int, strike: Callable[[Life, Fault], None], shares: dict[str, int] = SHARES
) -> FaultKind:
    """A load of up to ``most`` (the fault's ``value``), made by ``strike``."""

    def draw(chance: Chance, scene: Scene) -> Iterable[Fault]:
        for at in times(chance, scene, 3):
            yield Fault(at, name, value=chance.between(1, most), detail=str(chance.below(_PLACE)))

    return FaultKind(name, what, draw, strike, shares)


def _stream(life: Life, fault: Fault) -> Chance:
    return life.chance.stream(f"{fault.kind} {fault.at} {fault.detail}")


def _give(life: Life, tx: Transaction, node: Node) -> None:
    life.users.give(tx, node)


def _give_somewhere(life: Life, chance: Chance, tx: Transaction, delay: int = 0) -> None:
    def give() -> None:
        life.users.give(tx, life.users.some_node(chance))

    life.world.clock.after(delay, give)


def _strike_burst(life: Life, fault: Fault) -> None:
    for _ in range(fault.value):
        life.users.pay_something()


def _strike_rivals(life: Life, fault: Fault) -> None:
    """So many coins, each spent twice or more, at different nodes and nearly at once; some with children."""
    chance = _stream(life, fault)
    for _ in range(fault.value):
        coin = life.users.careless_coin(chance)
        if coin is None:
            return
        for number in range(chance.pick((2, 2, 2, 3))):
            tx, change = pay(coin, life.users.careless_key(chance), AMOUNT + number)
            delay = chance.below(chance.pick((20, 200, 3_000))) * MILLISECOND
            _give_somewhere(life, chance, tx, delay)
            if chance.permille(300):
                child, _ = pay(change, life.users.careless_key(chance), AMOUNT)
                _give_somewhere(life, chance, child, delay + chance.below(100) * MILLISECOND)


def _strike_chain(life: Life, fault: Fault) -> None:
    """A chain of payments, each of the change of the one before, beyond ``max_chain``; in order, or not."""
    chance = _stream(life, fault)
    coin = life.users.careless_coin(chance)
    made: list[Transaction] = []
    while coin is not None and len(made) < fault.value:
        tx, coin = pay(coin, life.users.careless_key(chance), AMOUNT)
        made.append(tx)
    if chance.permille(300):
        made = chance.shuffled(made)
    one_node = life.users.some_node(chance) if chance.permille(500) else None
    for number, tx in enumerate(made):
        if one_node is not None:
            life.world.clock.after(number * MILLISECOND, partial(_give, life, tx, one_node))
        else:
            _give_somewhere(life, chance, tx, number * 5 * MILLISECOND)


def _strike_many_inputs(life: Life, fault: Fault) -> None:
    """One payment of several coins; sometimes one of them is spent elsewhere too."""
    chance = _stream(life, fault)
    coins = [coin for coin in (life.users.careless_coin(chance) for _ in range(fault.value)) if coin is not None]
    if not coins:
        return
    total = sum([coin.value for coin in coins])
    fee = FEE + len(coins) * FEE // 4
    _give_somewhere(life, chance, spend(coins, [TxOutput(total - fee, life.users.careless_key(chance).script)]))
    if chance.permille(400):
        rival, _ = pay(chance.pick(coins), life.users.careless_key(chance), AMOUNT)
        _give_somewhere(life, chance, rival, chance.below(100) * MILLISECOND)


def _strike_lock_times(life: Life, fault: Fault) -> None:
    """Payments that may be voted for only from some height or slot on."""
    chance = _stream(life, fault)
    for _ in range(fault.value):
        coin = life.users.careless_coin(chance)
        if coin is None:
            return
        height = max([node.height for node in life.honest])
        lock = chance.pick((height + chance.below(4), life.world.clock.now // SECOND + chance.below(20)))
        output = TxOutput(coin.value - FEE, life.users.careless_key(chance).script)
        _give_somewhere(life, chance, spend([coin], [output], lock, sequence=0xFFFF_FFFE))


def _strike_flood(life: Life, fault: Fault) -> None:
    """Transactions that nobody may take."""
    chance = _stream(life, fault)
    coin = life.users.careless_coin(chance)
    if coin is None:
        return
    for number in range(fault.value):
        tx = chance.pick(_WRONG)(life, chance, coin)
        _give_somewhere(life, chance, tx, number * MILLISECOND // 4)


def _bad_signature(life: Life, chance: Chance, coin: Owned) -> Transaction:
    thief = Owned(coin.outpoint, coin.value - chance.between(1, 1_000), coin.owner)
    return spend([thief], [TxOutput(coin.value - FEE, life.users.careless_key(chance).script)])


def _dust(life: Life, chance: Chance, coin: Owned) -> Transaction:
    return spend([coin], [TxOutput(chance.between(0, 9_999), coin.owner.script)])


def _unknown_coin(life: Life, chance: Chance, coin: Owned) -> Transaction:
    stranger = Owned(chance.data(32) + bytes(4), coin.value, coin.owner)
    return spend([stranger], [TxOutput(coin.value - FEE, coin.owner.script)])


def _too_much(life: Life, chance: Chance, coin: Owned) -> Transaction:
    return spend([coin], [TxOutput(coin.value + chance.between(1, 1_000), coin.owner.script)])


def _no_fee(life: Life, chance: Chance, coin: Owned) -> Transaction:
    return spend([coin], [TxOutput(coin.value - chance.between(0, 1_000), coin.owner.script)])


_WRONG = (_bad_signature, _dust, _unknown_coin, _too_much, _no_fee)


def _strike_garbage_payloads(life: Life, fault: Fault) -> None:
    """Valid payments that carry what looks like a change of the registry and is none."""
    chance = _stream(life, fault)
    for _ in range(fault.value):
        coin = life.users.careless_coin(chance)
        if coin is None:
            return
        data = MAGIC + b"\x01" + bytes([chance.between(0, 5)]) + chance.data(chance.between(0, 200))
        change = TxOutput(coin.value - 2 * FEE, coin.owner.script)
        _give_somewhere(life, chance, spend([coin], [change, TxOutput(0, op_return(data))]))


KINDS = (
    _kind("burst", "many payments in one moment", 60, _strike_burst),
    _kind("rivals", "coins signed twice, the spends given to different nodes", 3, _strike_rivals, RIVALS),
    _kind("chain", "chains of unarchived payments, up to max_chain and beyond", 32, _strike_chain),
    _kind("many_inputs", "payments of several coins, some of them contested", 6, _strike_many_inputs),
    _kind("lock_times", "payments that are not due yet", 3, _strike_lock_times),
    _kind("flood", "transactions that are not valid", 60, _strike_flood),
    _kind("garbage_payloads", "registry payloads without sense", 3, _strike_garbage_payloads),
)
