"""LedgerState: stored form, and what a joining node may believe of it."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import COIN, Chain, account, network
from timecoin.ledger.archived import Archived
from timecoin.ledger.state import LedgerState, state_hash_of
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import sha256
from timecoin.primitives.muhash import MuHash


class StoredFormTests(SynchronousTestCase):
    def states(self) -> list[LedgerState]:
        chain = Chain(network(4))
        states = [chain.state]
        chain.interim([chain.payment(account(0), account(1), COIN)])
        states.append(chain.state)
        chain.close(signers=(0, 1, 2))
        states.append(chain.state)
        chain.interim([chain.payment(account(1), account(2), COIN)])
        return [*states, chain.state]

    def test_reads_back(self) -> None:
        for state in self.states():
            again = LedgerState.decode(state.encode())
            self.assertEqual(again, state)
            self.assertEqual(again.encode(), state.encode())
            self.assertEqual(again.block_hash, state.block_hash)

    def test_jailed_and_signers_read_back(self) -> None:
        state = replace(self.states()[1], epoch_jailed=(bytes(32), b"\x01" * 32), closing_signers=())
        self.assertEqual(LedgerState.decode(state.encode()), state)

    def test_truncated_and_extended(self) -> None:
        data = self.states()[3].encode()
        for size in range(0, len(data), 7):
            with self.assertRaises(DecodeError):
                LedgerState.decode(data[:size])
        with self.assertRaises(DecodeError):
            LedgerState.decode(data + b"\x00")

    def test_the_opening_is_encoded_once_an_epoch(self) -> None:
        _, interim, closed, later = self.states()
        self.assertIs(closed.opening, later.opening)
        self.assertIs(closed.opening.encoded, later.opening.encoded)
        self.assertIsNot(interim.opening, closed.opening)


class CommittedTests(SynchronousTestCase):
    def setUp(self) -> None:
        chain = Chain(network(4))
        chain.interim([chain.payment(account(0), account(1), COIN)])
        self.interim = chain.state
        chain.close()
        self.state = chain.state

    def test_state_hash(self) -> None:
        self.assertEqual(self.state.state_hash, sha256(self.state.opening.encoded))
        self.assertEqual(state_hash_of(self.state.opening), self.state.header.state_hash)

    def test_closing_state_is_vouched_for(self) -> None:
        self.assertTrue(self.state.is_committed())
        self.assertFalse(self.interim.is_committed())

    def test_every_part_is(self) -> None:
        opening = self.state.opening
        first = opening.current.members[0]
        smaller = type(opening.current)(opening.current.members[1:])
        changed = [
            replace(opening, supply=opening.supply + 1),
            replace(opening, following=smaller),
            replace(opening, current=smaller),
            replace(opening, priorities=(1, *opening.priorities[1:])),
            replace(opening, last_closing_slot=opening.last_closing_slot + 1),
            replace(opening, free_mode=not opening.free_mode),
            replace(opening, epoch=opening.epoch + 1),
            replace(opening, registry=type(opening.registry)(opening.registry.entries[1:])),
        ]
        states = [replace(self.state, opening=each) for each in changed]
        states += [
            replace(self.state, previous_set=smaller),
            replace(self.state, muhash=MuHash.empty()),
            replace(self.state, priorities=(0, 0, 0, 0)),
            replace(self.state, epoch_fees=1),
            replace(self.state, archived=Archived((), (bytes(36),))),
            replace(self.state, epoch_jailed=(first.masternode_id,)),
            replace(self.state, closing_signers=()),
        ]
        for number, state in enumerate(states):
            self.assertFalse(state.is_committed(), number)
