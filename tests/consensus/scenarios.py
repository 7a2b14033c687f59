"""Payments for networks of participants, and questions that several tests ask."""

from __future__ import annotations

from tests.consensus.participants import Network
from tests.ledger import builders
from timecoin.consensus.effects import Change
from timecoin.ledger.coins import Coin
from timecoin.primitives.amounts import COIN
from timecoin.primitives.transaction import Transaction, TxOutput


def payments(network: Network, count: int, value: int = COIN) -> list[Transaction]:
    """A payment of each of the first ``count`` accounts, from its genesis coin: the same ones each time."""
    chain = builders.Chain(network.genesis)
    to = builders.key("somebody")
    return [chain.payment(builders.account(number), to, value) for number in range(count)]


def rivals(network: Network, number: int) -> tuple[Transaction, Transaction]:
    """Two payments of one account's only coin."""
    return payments(network, number + 1)[number], payments(network, number + 1, 2 * COIN)[number]


def chain_of(network: Network, length: int) -> list[Transaction]:
    """Payments of account 0 to itself, each from the output of the one before."""
    payer = builders.account(0)
    outpoint, coin = builders.Chain(network.genesis).coins_of(payer)[0]
    txs = []
    for _ in range(length):
        value = coin.value - builders.FEE
        txs.append(builders.spend([(outpoint, coin, payer)], [TxOutput(value, payer.script)]))
        outpoint, coin = txs[-1].outpoint(0), Coin(2, value, payer.script)
    return txs


def final_everywhere(network: Network, *txs: Transaction) -> bool:
    """Was every running node told that all of them are final?"""
    told = [set(node.told(Change.FINAL)) for node in network.nodes if node.up]
    return all(tx.txid in each for tx in txs for each in told)


def archived_everywhere(network: Network, *txs: Transaction) -> bool:
    """Are all of them in the chain of every node?"""
    return all(tx.txid in node.disk.places for tx in txs for node in network.nodes)
