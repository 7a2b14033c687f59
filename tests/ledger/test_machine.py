"""Any sequence of blocks: only closing blocks change the supply, and every commitment can be recomputed."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import COIN, FEE, Chain, account, data_output, network, owner, spend
from timecoin.ledger import errors
from timecoin.ledger.coins import Coin, elements
from timecoin.ledger.state import LedgerState
from timecoin.ledger.tiers import Tier
from timecoin.primitives.muhash import MuHash
from timecoin.primitives.transaction import Transaction, TxOutput

_TIERS = [Tier.GOLD, Tier.GOLD, Tier.GOLD, Tier.GOLD, Tier.SILVER, Tier.BRONZE]
_PAYERS = st.integers(0, 2)
_SIGNERS = st.sampled_from([(0, 1, 2, 3, 4, 5), (0, 1, 2), (1, 2, 3, 5), (0, 2, 3, 4)])


class LedgerMachine(RuleBasedStateMachine):
    """Pays, archives and closes at random, with its own books of what ought to exist."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = Chain(network(tiers=_TIERS, accounts=3, funds=20 * COIN))
        self.pending: list[Transaction] = []
        self.supply = self.chain.state.supply
        self.fees = 0

    @rule(payer=_PAYERS, payee=_PAYERS, tenths=st.integers(1, 20), with_data=st.booleans())
    def pay(self, payer: int, payee: int, tenths: int, with_data: bool) -> None:
        if not self.chain.coins_of(account(payer)):
            return
        extra = [data_output(b"note")] if with_data else []
        best = self.chain.coins_of(account(payer))[0][1].value
        if best > tenths * COIN // 10 + 2 * FEE:
            tx = self.chain.payment(account(payer), account(payee), tenths * COIN // 10, extra=extra)
            self.pending.append(tx)

    @precondition(lambda self: self.pending)
    @rule(fee=st.integers(FEE, 3 * FEE))
    def pay_from_pending(self, fee: int) -> None:
        """A child of the youngest pending transaction, in the same block or a later one."""
        parent = self.pending[-1]
        value, script = parent.outputs[-1]
        holder = next((account(n) for n in range(3) if account(n).script == script), None)
        if (
            holder is None
            or value < 2 * COIN
            or parent.outpoint(len(parent.outputs) - 1) in self.chain.reserved
        ):
            return
        outpoint = parent.outpoint(len(parent.outputs) - 1)
        self.chain.reserved.add(outpoint)
        coin = Coin(0, value, script)
        self.pending.append(spend([(outpoint, coin, holder)], [TxOutput(value - fee, holder.script)]))

    @precondition(lambda self: self.pending)
    @rule(signers=_SIGNERS, data=st.data())
    def interim(self, signers: tuple[int, ...], data: st.DataObject) -> None:
        """Some of what is pending, parents first."""
        count = data.draw(st.integers(1, len(self.pending)))
        chosen, self.pending = self.pending[:count], self.pending[count:]
        resolved = self.chain.resolve(chosen)
        self.fees += sum(item.fee for item in resolved)
        self.chain.interim(chosen, signers)

    @rule(signers=_SIGNERS)
    def close(self, signers: tuple[int, ...]) -> None:
        self.fees += sum(item.fee for item in self.chain.resolve(self.pending))
        block = self.chain.close(self.pending, signers)
        self.supply += sum(output.value for output in block.transactions[0].outputs) - self.fees
        self.pending, self.fees = [], 0

    @rule(payer=_PAYERS)
    def cannot_spend_twice(self, payer: int) -> None:
        coins = [
            (outpoint, coin)
            for outpoint, coin in self.chain.coins.items()
            if coin.script == account(payer).script and coin.value > FEE + COIN
        ]
        if not coins:
            return
        outpoint, coin = min(coins)
        rivals = [
            spend([(outpoint, coin, account(payer))], [TxOutput(coin.value - FEE - n, account(0).script)])
            for n in range(2)
        ]
        try:
            self.chain.assemble(rivals)
        except errors.DoubleSpend:
            return
        raise AssertionError("one coin went to two")

    @rule(number=st.integers(0, 5))
    def cannot_spend_collateral(self, number: int) -> None:
        outpoint, coin = self.chain.coins_of(owner(number))[0]
        tx = spend([(outpoint, coin, owner(number))], [TxOutput(coin.value - FEE, account(0).script)])
        try:
            self.chain.assemble([tx])
        except errors.BadTransaction as error:
            if isinstance(error.cause, errors.CollateralLocked):
                return
        raise AssertionError("locked collateral was spent")

    @invariant()
    def supply_is_what_closing_blocks_made_it(self) -> None:
        state = self.chain.state
        assert state.supply == self.supply
        assert state.epoch_fees == self.fees
        assert sum(coin.value for coin in self.chain.coins.values()) == self.supply - self.fees
        assert state.supply <= self.chain.params.max_money

    @invariant()
    def commitment_is_that_of_the_coins(self) -> None:
        muhash = MuHash.empty().update(elements(sorted(self.chain.coins.items())))
        assert muhash == self.chain.state.muhash
        assert muhash.digest() == self.chain.state.header.utxo_commitment

    @invariant()
    def state_reads_back(self) -> None:
        state = self.chain.state
        assert LedgerState.decode(state.encode()) == state
        assert state.is_committed() == state.header.closing
        assert len(state.priorities) == len(state.current)


class LedgerMachineTests(SynchronousTestCase):
    def test_any_sequence(self) -> None:
        run_state_machine_as_test(
            LedgerMachine,
            settings=settings(
                deadline=None, derandomize=True, max_examples=25, stateful_step_count=25, database=None
            ),
        )
