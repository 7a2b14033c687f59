from __future__ import annotations

import copy
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.masternodes import SERVICE, key, owner, script
from timecoin.ledger.genesis import Genesis, GenesisError
from timecoin.ledger.genesis_builder import FirstMasternode, build_genesis
from timecoin.ledger.genesis_registry import first_registry, first_set
from timecoin.ledger.params import Parameters
from timecoin.ledger.payload import FREE
from timecoin.ledger.rotation import initial, proposer
from timecoin.ledger.tiers import Tier
from timecoin.primitives.hashes import sha256d
from timecoin.primitives.transaction import TxOutput, make_outpoint

TIME = 1_760_000_123
TXID = bytes(range(32))


def masternode(number: int, tier: Tier = Tier.GOLD) -> FirstMasternode:
    return FirstMasternode(key(number), key(owner(number)), script(number), SERVICE, tier)


def build(*tiers: Tier, network: str = "devnet", **keywords: Any) -> Genesis:
    return build_genesis(network, TIME, [masternode(i, tier) for i, tier in enumerate(tiers, 1)], **keywords)


EXAMPLE = build(
    Tier.GOLD,
    Tier.BRONZE,
    Tier.FREE,
    allocations=[TxOutput(5 * 10**8, script(50))],
    peers=[key(1).hex() + "@[::1]:24300"],
)


class BuilderTests(SynchronousTestCase):
    def test_collaterals_come_first(self) -> None:
        params = EXAMPLE.parameters
        values = [output.value for output in EXAMPLE.allocations]
        self.assertEqual(values, [params.gold_collateral, params.bronze_collateral, 5 * 10**8])
        self.assertEqual([r.collateral for r in EXAMPLE.registrations], [0, 1, FREE])
        self.assertEqual(EXAMPLE.allocations[0].script, script(1))

    def test_collateral_script(self) -> None:
        node = FirstMasternode(key(1), key(2), script(1), SERVICE, Tier.BRONZE, script(7))
        self.assertEqual(build_genesis("devnet", TIME, [node]).allocations[0].script, script(7))

    def test_refuses_what_cannot_work(self) -> None:
        bad = Parameters(interim_txs=15_001)
        error = self.assertRaises(GenesisError, build, Tier.GOLD, parameters=bad)
        self.assertEqual(error.key, "parameters.interim_txs")
        self.assertEqual(self.assertRaises(GenesisError, build).key, "registrations")

    def test_short_epochs(self) -> None:
        genesis = build(Tier.GOLD, parameters=Parameters.for_epoch_seconds(4, snapshot_epochs=4))
        self.assertEqual(genesis.slot_time, 1_760_000_120)
        self.assertEqual(Genesis.load(genesis.encode()), genesis)


class FileTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        for network in ("mainnet", "testnet", "devnet", "lab"):
            genesis = build(Tier.GOLD, Tier.FREE, network=network)
            self.assertEqual(Genesis.load(genesis.encode()), genesis)

    def test_chain_id_is_of_the_canonical_form(self) -> None:
        self.assertEqual(EXAMPLE.chain_id, sha256d(EXAMPLE.encode()))
        spaced = json.dumps(json.loads(EXAMPLE.encode()), indent=4, sort_keys=False).encode()
        self.assertNotEqual(spaced, EXAMPLE.encode())
        self.assertEqual(Genesis.load(spaced).chain_id, EXAMPLE.chain_id)

    def test_everything_is_in_the_chain_id(self) -> None:
        others = [build(Tier.GOLD), build(Tier.GOLD, network="lab"), build(Tier.SILVER)]
        others += [build(Tier.GOLD, parameters=Parameters(max_chain=24)), build(Tier.GOLD, Tier.FREE)]
        others.append(build(Tier.GOLD, allocations=[TxOutput(1, script(1))]))
        others.append(build(Tier.GOLD, peers=[key(1).hex() + "@seed.example.org:24300"]))
        self.assertEqual(len({genesis.chain_id for genesis in others}), len(others))

    def test_all_parameters_are_in_it(self) -> None:
        parameters = json.loads(EXAMPLE.encode())["parameters"]
        self.assertEqual(set(parameters), set(Parameters.__struct_fields__))
        self.assertEqual(parameters["max_money"], "1000000000000000000")
        self.assertTrue(all(type(value) in (int, str) for value in parameters.values()))

    def test_slot_time(self) -> None:
        self.assertEqual(build(Tier.GOLD).slot_time, 1_760_000_123 // 600 * 600)

    def test_every_truncation(self) -> None:
        data = EXAMPLE.encode()
        for size in range(0, len(data), 7):
            self.assertRaises(GenesisError, Genesis.load, data[:size])


class RefusalTests(SynchronousTestCase):
    """One refusal for each rule; the error names the key."""

    def load(self, change: Any) -> GenesisError:
        value = copy.deepcopy(json.loads(EXAMPLE.encode()))
        change(value)
        return self.assertRaises(GenesisError, Genesis.load, json.dumps(value).encode())

    def refused(self, key_path: str, *path: str | int, to: Any) -> None:
        def change(value: Any) -> None:
            for part in path[:-1]:
                value = value[part]
            value[path[-1]] = to

        error = self.load(change)
        self.assertEqual(error.key, key_path, str(error))

    def parameter(self, name: str, to: Any) -> None:
        self.refused(f"parameters.{name}", "parameters", name, to=to)

    def test_section_12(self) -> None:
        self.parameter("interim_bytes", 1_000_001)
        self.parameter("interim_txs", 15_001)
        self.parameter("max_tx_bytes", 500_001)
        self.parameter("max_block_bytes", 4 * 1024 * 1024)
        self.parameter("max_block_txs", 65_536)
        self.refused("parameters.clock_tolerance", "parameters", "epoch_seconds", to=47)

    def test_parameters(self) -> None:
        self.parameter("max_money", str(2**63))
        self.parameter("max_money", 10**15)
        self.parameter("dust", "010")
        self.parameter("dust", "1e3")
        self.parameter("dust", "+1")
        self.parameter("max_set", "100")
        self.parameter("max_set", -1)
        self.parameter("surprise", 1)
        self.assertEqual(self.load(lambda v: v["parameters"].pop("dust")).key, "parameters.dust")
        self.assertEqual(self.load(lambda v: v.update(parameters=[])).key, "parameters")

    def test_top_level(self) -> None:
        self.refused("format", "format", to=2)
        self.refused("network", "network", to="Main Net")
        self.refused("time", "time", to=-1)
        self.refused("time", "time", to=2**40)
        self.refused("time", "time", to="now")
        self.refused("extra", "extra", to=1)
        self.refused("registrations", "registrations", to=[])
        self.refused("registrations", "registrations", to={})
        self.assertEqual(self.load(lambda v: v.pop("allocations")).key, "allocations")

    def test_json(self) -> None:
        for data in (
            b"",
            b"[]",
            b"\xff",
            b'{"time":1,"time":1}',
            EXAMPLE.encode().replace(b"1760000123", b"1.0"),
        ):
            self.assertEqual(self.assertRaises(GenesisError, Genesis.load, data).key, "genesis")

    def test_allocations(self) -> None:
        first = "allocations[0]"
        self.refused(f"{first}.amount", "allocations", 0, "amount", to="0")
        self.refused(f"{first}.amount", "allocations", 0, "amount", to=5)
        self.refused(f"{first}.amount", "allocations", 0, "amount", to=str(10**18 + 1))
        self.refused("allocations[1].amount", "allocations", 1, "amount", to=str(10**18))
        self.refused(f"{first}.address", "allocations", 0, "address", to="timed1nonsense")
        mainnet = json.loads(build(Tier.GOLD, network="mainnet").encode())["allocations"][0]["address"]
        self.refused(f"{first}.address", "allocations", 0, "address", to=mainnet)
        self.refused(f"{first}.colour", "allocations", 0, "colour", to="red")

    def test_addresses_have_one_form(self) -> None:
        upper = json.loads(EXAMPLE.encode())["allocations"][0]["address"].upper()
        self.refused("genesis", "allocations", 0, "address", to=upper)

    def test_registrations(self) -> None:
        base = "registrations[1]"
        self.refused(f"{base}.collateral", "registrations", 1, "collateral", to=0)
        self.refused(f"{base}.collateral", "registrations", 1, "collateral", to=2)
        self.refused(f"{base}.collateral", "registrations", 1, "collateral", to=3)
        self.refused(f"{base}.collateral", "registrations", 1, "collateral", to=-1)
        self.refused(f"{base}.operator_key", "registrations", 1, "operator_key", to=key(1).hex())
        self.refused(f"{base}.operator_key", "registrations", 1, "operator_key", to=key(9).hex().upper())
        off_curve = "02" + "00" * 31 + "05"
        self.refused(f"{base}.operator_key", "registrations", 1, "operator_key", to=off_curve)
        self.refused(f"{base}.owner_key", "registrations", 1, "owner_key", to=off_curve)
        self.refused(f"{base}.owner_key", "registrations", 1, "owner_key", to="02")
        self.refused(f"{base}.payout", "registrations", 1, "payout", to="")
        self.refused(f"{base}.service", "registrations", 1, "service", to="node.example.org:24100")
        self.refused(f"{base}.service", "registrations", 1, "service", to=[])

    def test_free_limit(self) -> None:
        self.refused("registrations", "parameters", "max_free", to=0)

    def test_peers(self) -> None:
        good = key(1).hex() + "@[::1]:24300"
        for bad in (
            "",
            "seed.example.org:1",
            key(1).hex() + "@host",
            key(1).hex() + "@host:70000",
            "04" + good[2:],
        ):
            self.refused("peers[0]", "peers", 0, to=bad)
        self.refused("peers[0]", "peers", 0, to=7)
        self.refused("peers", "peers", to=[good, good])


class FirstStateTests(SynchronousTestCase):
    def test_ids(self) -> None:
        tag = b"timecoin/genesis-registration"
        expected = sha256d(tag + EXAMPLE.chain_id + (2).to_bytes(4, "little"))
        registry = first_registry(EXAMPLE, TXID)
        self.assertEqual(EXAMPLE.registration_id(2), expected)
        self.assertEqual(
            [e.masternode_id for e in registry.entries], [EXAMPLE.registration_id(i) for i in range(3)]
        )

    def test_collateral_is_locked(self) -> None:
        registry = first_registry(EXAMPLE, TXID)
        locked = [registry.locked(make_outpoint(TXID, i), 1) for i in range(3)]
        self.assertEqual(locked, [True, True, False])

    def test_first_set(self) -> None:
        members, free_mode = first_set(EXAMPLE, first_registry(EXAMPLE, TXID))
        self.assertEqual(([m.power for m in members.members], free_mode), ([1_000, 10, 1], False))
        self.assertEqual(members.members[0].operator_key, key(1))

    def test_free_mode(self) -> None:
        genesis = build(Tier.FREE, Tier.FREE)
        members, free_mode = first_set(genesis, first_registry(genesis, TXID))
        self.assertEqual(([m.power for m in members.members], free_mode), ([1, 1], True))

    def test_network_of_one(self) -> None:
        for tier, free in ((Tier.FREE, True), (Tier.GOLD, False)):
            genesis = build(tier)
            members, free_mode = first_set(genesis, first_registry(genesis, TXID))
            self.assertEqual((len(members), free_mode), (1, free))
            self.assertTrue(members.is_quorum(members.power_of(1)))
            self.assertEqual(proposer(members, initial(members), 3), 0)
