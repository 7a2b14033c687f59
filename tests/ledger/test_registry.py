from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.masternodes import (
    BACKEND,
    CHAIN_ID,
    PARAMS,
    entry,
    free_registration,
    key,
    owner,
    record,
    register,
    registration,
    script,
    signed,
    txid,
)
from timecoin.ledger.payload import FREE, Payload, Return, Unregister, Update
from timecoin.ledger.payload_record import PayloadRecord
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.registry import Registry
from timecoin.ledger.registry_entry import Entry
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.tiers import Tier
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.transaction import make_outpoint

EPOCH = 10


def close(
    registry: Registry,
    payloads: Sequence[PayloadRecord] = (),
    *,
    epoch: int = EPOCH,
    spent: Iterable[bytes] = (),
    attendance: tuple[PowerSet, set[bytes]] | None = None,
    jailed: Sequence[bytes] = (),
    **parameters: int,
) -> Registry:
    params = msgspec.structs.replace(PARAMS, **parameters)
    gone = set(spent)
    expected, present = attendance or (None, None)
    return registry.close_epoch(
        params, epoch, payloads, lambda o: o not in gone, expected, present, jailed, BACKEND, CHAIN_ID
    )


def by_owner(number: int, payload: Payload, at: int = 90, operator: int | None = None) -> PayloadRecord:
    """``payload`` in transaction ``at``, signed by masternode ``number``'s first owner key."""
    return record(at, signed(payload, owner=owner(number), operator=operator))


def known(registry: Registry, number: int) -> Entry:
    found = registry.get(txid(number))
    assert found is not None
    return found


class RegistrationTests(SynchronousTestCase):
    def test_effect(self) -> None:
        registry = close(Registry(), [registration(1)])
        self.assertEqual(known(registry, 1), entry(1, height=5))
        self.assertTrue(registry.locked(make_outpoint(txid(1), 0), EPOCH + 1))

    def test_tier_by_collateral(self) -> None:
        values = (PARAMS.gold_collateral, PARAMS.silver_collateral, PARAMS.silver_collateral - 1)
        registry = close(Registry(), [registration(i, value) for i, value in enumerate(values, 1)])
        self.assertEqual([(e.tier, e.power) for e in registry.entries], [(3, 1_000), (2, 100), (1, 10)])

    def test_collateral_below_bronze(self) -> None:
        self.assertEqual(len(close(Registry(), [registration(1, PARAMS.bronze_collateral - 1)])), 0)

    def test_collateral_spent_in_the_epoch(self) -> None:
        registry = Registry()
        self.assertIs(close(registry, [registration(1)], spent=[make_outpoint(txid(1), 0)]), registry)

    def test_collateral_index_beyond_the_outputs(self) -> None:
        data = signed(register(1, 1), operator=1)
        self.assertEqual(len(close(Registry(), [record(1, data)])), 0)

    def test_bad_signature(self) -> None:
        self.assertEqual(len(close(Registry(), [record(1, signed(register(1), operator=2))])), 0)

    def test_owner_key_off_the_curve(self) -> None:
        """x = 5 has no point; the operator's signature alone does not make such an owner key good."""
        off_curve = b"\x02" + (5).to_bytes(32, "big")
        self.assertFalse(BACKEND.is_public_key(off_curve))
        data = signed(register(1, owner_key=off_curve), operator=1)
        self.assertEqual(len(close(Registry(), [record(1, data)])), 0)

    def test_colliding_operator_keys(self) -> None:
        """The first in the chain wins, and only over those that had an effect themselves."""
        rival = record(2, signed(register(1), operator=1))
        first = registration(1)
        self.assertEqual([e.masternode_id for e in close(Registry(), [first, rival]).entries], [txid(1)])
        spent = [make_outpoint(txid(1), 0)]
        self.assertEqual(
            [e.masternode_id for e in close(Registry(), [first, rival], spent=spent).entries], [txid(2)]
        )

    def test_key_taken_at_the_opening(self) -> None:
        """A key given up in this epoch is free for others from the next one on."""
        opening = Registry([entry(1)])
        leaves = by_owner(1, Update(txid(1), operator_key=key(50)), operator=50)
        rival = record(2, signed(register(1), operator=1), height=6)
        after = close(opening, [leaves, rival])
        self.assertEqual((len(after), known(after, 1).operator_key), (1, key(50)))
        self.assertEqual(len(close(after, [rival], epoch=EPOCH + 1)), 2)

    def test_free_registrations_are_limited(self) -> None:
        records = [free_registration(i) for i in range(1, 5)]
        registry = close(Registry([entry(9, Tier.FREE)]), records, max_free=3)
        self.assertEqual([e.tier for e in registry.entries], [Tier.FREE] * 3)
        self.assertIs(registry.get(txid(3)), None)

    def test_free_locks_nothing(self) -> None:
        registry = close(Registry(), [free_registration(1)])
        self.assertIs(known(registry, 1).collateral, None)
        self.assertFalse(registry.locked(make_outpoint(txid(1), 0), EPOCH + 1))

    def test_other_data_is_ignored(self) -> None:
        registry = Registry([entry(1)])
        self.assertIs(close(registry, [record(2, b"hello"), record(3, b"TCMN\x01\x01")]), registry)


class ChangeTests(SynchronousTestCase):
    opening = Registry([entry(1), entry(2)])

    def test_every_value(self) -> None:
        service = ServiceAddress.parse("[2001:db8::1]:7")
        update = Update(txid(1), key(50), key(51), script(52), service)
        after = close(self.opening, [by_owner(1, update, operator=50)])
        expected = entry(1, operator_key=key(50), owner_key=key(51), payout=script(52), service=service)
        self.assertEqual(after, Registry([expected, entry(2)]))

    def test_unchanged_entries_are_shared(self) -> None:
        after = close(self.opening, [by_owner(1, Update(txid(1), payout=script(9)))])
        self.assertIs(known(after, 2), known(self.opening, 2))

    def test_only_the_owner(self) -> None:
        for payload in (Update(txid(1), payout=script(9)), Unregister(txid(1))):
            self.assertIs(close(self.opening, [by_owner(2, payload)]), self.opening)

    def test_keys_as_of_the_opening(self) -> None:
        """After a change of hands the old owner key still signs in this epoch, the new one from the next."""
        handover = by_owner(1, Update(txid(1), owner_key=key(60)))
        late = by_owner(1, Update(txid(1), payout=script(9)), at=91)
        early = record(92, signed(Update(txid(1), payout=script(10)), owner=60))
        after = close(self.opening, [handover, late, early])
        self.assertEqual((known(after, 1).owner_key, known(after, 1).payout), (key(60), script(9)))
        self.assertEqual(known(close(after, [early], epoch=EPOCH + 1), 1).payout, script(10))
        self.assertIs(close(after, [late], epoch=EPOCH + 1), after)

    def test_chain_order_decides(self) -> None:
        first = by_owner(1, Update(txid(1), payout=script(8)), at=90)
        second = by_owner(1, Update(txid(1), payout=script(9)), at=91)
        self.assertEqual(known(close(self.opening, [first, second]), 1).payout, script(9))
        self.assertEqual(known(close(self.opening, [second, first]), 1).payout, script(8))

    def test_independent_payloads_commute(self) -> None:
        records = [
            by_owner(1, Update(txid(1), payout=script(8)), at=90),
            by_owner(2, Unregister(txid(2)), at=91),
        ]
        self.assertEqual(close(self.opening, records), close(self.opening, records[::-1]))

    def test_new_masternodes_cannot_be_changed_at_once(self) -> None:
        change = by_owner(3, Update(txid(3), payout=script(8)))
        self.assertEqual(known(close(self.opening, [registration(3), change]), 3).payout, script(3))

    def test_operator_key_collisions(self) -> None:
        taken = by_owner(1, Update(txid(1), operator_key=key(2)), operator=2)
        self.assertIs(close(self.opening, [taken]), self.opening)
        again = by_owner(1, Update(txid(1), operator_key=key(1)), operator=1)
        self.assertIs(close(self.opening, [again]), self.opening)

    def test_there_and_back(self) -> None:
        away = by_owner(1, Update(txid(1), operator_key=key(50)), at=90, operator=50)
        back = by_owner(1, Update(txid(1), operator_key=key(1)), at=91, operator=1)
        self.assertEqual(close(self.opening, [away, back]), self.opening)

    def test_unknown_id(self) -> None:
        self.assertIs(close(self.opening, [by_owner(1, Unregister(txid(7)))]), self.opening)


class UnbondingTests(SynchronousTestCase):
    opening = Registry([entry(1), entry(2, Tier.FREE)])
    coin = make_outpoint(txid(1), 0)

    def test_release(self) -> None:
        """Unregistered in e: free from the opening of e + 2 + unbonding_epochs (protocol.md section 3)."""
        after = close(self.opening, [by_owner(1, Unregister(txid(1)))])
        free_from = EPOCH + 2 + PARAMS.unbonding_epochs
        self.assertEqual((known(after, 1).unregistered, known(after, 1).release), (EPOCH, free_from))
        self.assertTrue(after.locked(self.coin, free_from - 1))
        self.assertFalse(after.locked(self.coin, free_from))
        self.assertIs(close(after, epoch=free_from - 2), after)
        gone = close(after, epoch=free_from - 1)
        self.assertIs(gone.get(txid(1)), None)
        self.assertFalse(gone.locked(self.coin, free_from))

    def test_registered_stays_locked(self) -> None:
        self.assertTrue(self.opening.locked(self.coin, 2**31))

    def test_other_outputs_are_free(self) -> None:
        self.assertFalse(self.opening.locked(make_outpoint(txid(1), 1), EPOCH))

    def test_no_way_back(self) -> None:
        after = close(self.opening, [by_owner(1, Unregister(txid(1)))])
        for payload in (Return(txid(1)), Update(txid(1), payout=script(9)), Unregister(txid(1))):
            self.assertIs(close(after, [by_owner(1, payload)], epoch=EPOCH + 1), after)

    def test_key_is_kept_while_bonded(self) -> None:
        after = close(self.opening, [by_owner(1, Unregister(txid(1)))])
        rival = record(3, signed(register(1), operator=1))
        self.assertIs(close(after, [rival], epoch=EPOCH + 1), after)
        released = close(after, epoch=EPOCH + 1 + PARAMS.unbonding_epochs)
        self.assertEqual(len(close(released, [rival], epoch=EPOCH + 200)), 2)

    def test_free_ones_leave_too(self) -> None:
        after = close(self.opening, [by_owner(2, Unregister(txid(2)))])
        self.assertIs(close(after, epoch=EPOCH + 1 + PARAMS.unbonding_epochs).get(txid(2)), None)


class JailTests(SynchronousTestCase):
    opening = Registry([entry(1), entry(2)])

    def test_term(self) -> None:
        after = close(self.opening, jailed=[txid(1)])
        self.assertEqual(
            (known(after, 1).status, known(after, 1).release), ("jailed", EPOCH + 2 + PARAMS.jail_epochs)
        )
        self.assertTrue(after.locked(make_outpoint(txid(1), 0), EPOCH + 1 + PARAMS.jail_epochs))
        self.assertIs(close(after, epoch=EPOCH + 1 + PARAMS.jail_epochs).get(txid(1)), None)

    def test_unregistering_does_not_shorten_it(self) -> None:
        farewell = by_owner(1, Unregister(txid(1)))
        for after in (
            close(self.opening, [farewell], jailed=[txid(1)]),
            close(close(self.opening, jailed=[txid(1)]), [farewell], epoch=EPOCH + 1),
        ):
            self.assertEqual(known(after, 1).release, EPOCH + 2 + PARAMS.jail_epochs)

    def test_unregistered_can_still_be_jailed(self) -> None:
        leaving = close(self.opening, [by_owner(1, Unregister(txid(1)))])
        after = close(leaving, epoch=EPOCH + 1, jailed=[txid(1)])
        self.assertEqual(known(after, 1).release, EPOCH + 3 + PARAMS.jail_epochs)

    def test_a_longer_bond_stays(self) -> None:
        leaving = close(self.opening, [by_owner(1, Unregister(txid(1)))])
        after = close(leaving, epoch=EPOCH + 1, jailed=[txid(1)], jail_epochs=1)
        self.assertEqual(known(after, 1).release, EPOCH + 2 + PARAMS.unbonding_epochs)

    def test_once(self) -> None:
        after = close(self.opening, jailed=[txid(1)])
        self.assertIs(close(after, epoch=EPOCH + 5, jailed=[txid(1)]), after)

    def test_no_return(self) -> None:
        after = close(self.opening, jailed=[txid(1)])
        self.assertIs(close(after, [by_owner(1, Return(txid(1)))], epoch=EPOCH + 1), after)

    def test_order_and_strangers_do_not_matter(self) -> None:
        ids = [txid(1), txid(2), txid(77)]
        self.assertEqual(close(self.opening, jailed=ids), close(self.opening, jailed=ids[::-1]))


class AttendanceTests(SynchronousTestCase):
    opening = Registry([entry(1), entry(2), entry(3)])
    members = PowerSet(entry(i).member() for i in (1, 2))

    def test_counting(self) -> None:
        """Only members of the set that decided count; one signature clears the count."""
        after = close(self.opening, attendance=(self.members, {txid(1)}))
        self.assertEqual([e.absent for e in after.entries], [0, 1, 0])
        after = close(after, attendance=(self.members, {txid(1)}))
        self.assertEqual([e.absent for e in after.entries], [0, 2, 0])
        after = close(after, attendance=(self.members, {txid(1), txid(2)}))
        self.assertEqual(after, self.opening)

    def test_first_epoch(self) -> None:
        self.assertIs(close(self.opening), self.opening)

    def test_suspension(self) -> None:
        registry = self.opening
        for _ in range(3):
            self.assertEqual(known(registry, 2).status, "eligible")
            registry = close(registry, attendance=(self.members, {txid(1)}), absent_epochs=3)
        self.assertEqual(known(registry, 2).status, "suspended")
        self.assertTrue(registry.locked(make_outpoint(txid(2), 0), EPOCH))
        present_again = close(registry, attendance=(self.members, {txid(1), txid(2)}))
        self.assertEqual(known(present_again, 2).status, "suspended")

    def test_those_who_cannot_sit_are_not_counted(self) -> None:
        away = Registry([entry(1, suspended=True), entry(2, unregistered=9, release=200)])
        self.assertIs(close(away, attendance=(self.members, set())), away)

    def test_return(self) -> None:
        suspended = Registry([entry(1), entry(2, suspended=True)])
        after = close(suspended, [by_owner(2, Return(txid(2)))])
        self.assertEqual(known(after, 2), entry(2))
        self.assertIs(close(after, [by_owner(2, Return(txid(2)))]), after)

    def test_return_starts_a_new_count(self) -> None:
        suspended = Registry([entry(1), entry(2, suspended=True)])
        after = close(suspended, [by_owner(2, Return(txid(2)))], attendance=(self.members, {txid(1)}))
        self.assertEqual((known(after, 2).status, known(after, 2).absent), ("eligible", 1))


class EncodingTests(SynchronousTestCase):
    registry = Registry(
        [
            entry(1, Tier.GOLD),
            entry(2, Tier.FREE, absent=7),
            entry(3, suspended=True),
            entry(4, unregistered=5, release=151),
            entry(5, jailed=6, release=1_016),
            entry(6, Tier.FREE, unregistered=5, jailed=6, release=1_016, height=1),
        ]
    )

    def test_round_trip(self) -> None:
        data = self.registry.encode()
        again = Registry.decode(data)
        self.assertEqual(again, self.registry)
        self.assertEqual(again.encode(), data)
        self.assertEqual(Registry.decode(Registry().encode()), Registry())

    def test_every_truncation_and_extension(self) -> None:
        data = self.registry.encode()
        for size in range(len(data)):
            self.assertRaises(DecodeError, Registry.decode, data[:size])
        self.assertRaises(DecodeError, Registry.decode, data + b"\0")

    def test_order_and_duplicates(self) -> None:
        one, two = entry(1), entry(2)
        bad = [(two, one), (one, entry(2, operator_key=key(1))), (one, entry(2, collateral=one.collateral))]
        bad.append((one, entry(1, position=2, operator_key=key(9), collateral=make_outpoint(txid(8), 0))))
        for entries in bad:
            self.assertRaises(ValueError, Registry, entries)
            data = b"\x02" + b"".join(e.encode() for e in entries)
            self.assertRaises(DecodeError, Registry.decode, data)

    def test_contradictions(self) -> None:
        for bad in (
            entry(1, collateral=None),
            entry(1, Tier.FREE, collateral=make_outpoint(txid(1), 0)),
            entry(1, release=9),
            entry(1, jailed=9),
            entry(1, power=0),
            entry(1, payout=b"\x51"),
        ):
            self.assertRaises(DecodeError, Registry.decode, b"\x01" + bad.encode())

    def test_lookups(self) -> None:
        self.assertEqual(self.registry.by_operator_key(key(3)), known(self.registry, 3))
        self.assertIs(self.registry.by_operator_key(key(99)), None)

    def test_every_field_shows(self) -> None:
        base = entry(4, unregistered=5, release=151)
        changes: list[dict[str, object]] = [
            {"operator_key": key(9)}, {"owner_key": key(9)}, {"payout": script(9)}, {"power": 11},
            {"height": 1}, {"position": 5}, {"suspended": True}, {"absent": 1}, {"unregistered": 6},
            {"jailed": 5}, {"release": 152},
            {"service": ServiceAddress.parse("203.0.113.8:24100")}, {"collateral": make_outpoint(txid(9), 0)},
        ]  # fmt: skip
        common: dict[str, object] = {"unregistered": 5, "release": 151}
        encodings = {entry(4, **(common | change)).encode() for change in changes}
        self.assertEqual(len(encodings | {base.encode()}), len(changes) + 1)


class TrustedPayloadTests(SynchronousTestCase):
    def test_signatures_judged_before(self) -> None:
        """Without a backend the signature is not looked at again; is_signed is the same judgement."""
        opening = Registry([entry(1)])
        forged = by_owner(2, Unregister(txid(1)))
        self.assertFalse(opening.is_signed(forged, CHAIN_ID, BACKEND))
        after = opening.close_epoch(PARAMS, EPOCH, [forged], lambda o: True, None, None, (), None, CHAIN_ID)
        self.assertEqual(known(after, 1).status, "unregistered")
        for good in (by_owner(1, Unregister(txid(1))), registration(5), free_registration(6)):
            self.assertTrue(opening.is_signed(good, CHAIN_ID, BACKEND))
        self.assertFalse(opening.is_signed(by_owner(1, Return(txid(5))), CHAIN_ID, BACKEND))
        self.assertFalse(opening.is_signed(record(5, b"TCMN"), CHAIN_ID, BACKEND))

    def test_free_index_is_no_output(self) -> None:
        self.assertEqual(FREE, 0xFFFF)
