"""A genesis by several operators: parts, their combination, and everything that is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from timecoin.cli.main import main
from timecoin.ledger.ceremony import CeremonyError, Part, Terms, combine, compare
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.params import Parameters
from timecoin.primitives.address import encode
from timecoin.primitives.hashes import hash160
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.signing import get_backend

BACKEND = get_backend()
NAMES = ("ann", "bob", "cleo", "dan")
NOW = 1_800_000_000


def address_of(number: int) -> str:
    return encode(p2wpkh(hash160(BACKEND.public_key(number.to_bytes(32, "big")))), "timed")


class CeremonyCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.mkdir()
        self.terms_file = self.path / "terms.json"
        self.propose()

    def run_command(self, *words: object) -> Result:
        return CliRunner().invoke(main, ["genesis", *map(str, words)])

    def works(self, *words: object) -> str:
        done = self.run_command(*words)
        self.assertEqual(done.exit_code, 0, done.output)
        return done.output

    def refused(self, says: str, *words: object) -> None:
        done = self.run_command(*words)
        self.assertIn(done.exit_code, (1, 2), done.output)
        self.assertIsInstance(done.exception, SystemExit)
        self.assertIn(says, done.output)

    def propose(self, operators: int = 4, *more: object) -> None:
        words = ("propose", "--network", "ournet", "--operators", operators, "--epoch-seconds", 20, "--time", NOW)
        self.works(*words, *more, "--out", self.terms_file)

    def terms(self) -> Terms:
        return Terms.load(self.terms_file.read_bytes())

    def contribute(self, name: str, *more: object, tier: str = "bronze", number: int | None = None) -> Path:
        number = NAMES.index(name) if number is None else number
        out = self.path / f"{name}.json"
        words = ("--name", name, "--masternode", f"{tier}@203.0.113.{number + 1}:24100", "--keys", self.path / name)
        self.works("contribute", "--terms", self.terms_file, *words, *more, "--out", out)
        return out

    def all_parts(self) -> list[Path]:
        return [self.contribute(name) for name in NAMES]

    def combined(self, *parts: Path, out: str = "genesis.json") -> Path:
        self.works("combine", "--terms", self.terms_file, *parts, "--out", self.path / out)
        return self.path / out

    def change(self, path: Path, change: Any) -> Path:
        value = json.loads(path.read_bytes())
        change(value)
        changed = path.with_suffix(".changed")
        changed.write_text(json.dumps(value))
        return changed


class WholeTests(CeremonyCase):
    def test_the_same_file_whatever_the_order(self) -> None:
        parts = self.all_parts()
        first, second = self.combined(*parts, out="a"), self.combined(*reversed(parts), out="b")
        self.assertEqual(first.read_bytes(), second.read_bytes())
        genesis = Genesis.load(first.read_bytes())
        self.assertEqual((genesis.network, genesis.time, len(genesis.registrations)), ("ournet", NOW, 4))
        self.assertEqual(len(genesis.peers), 4)

    def test_every_operator_checks_it(self) -> None:
        parts = self.all_parts()
        genesis = self.combined(*parts)
        chain_id = Genesis.load(genesis.read_bytes()).chain_id[::-1].hex()
        for name, part in zip(NAMES, parts, strict=True):
            shown = self.works(
                "check", genesis, *parts, "--terms", self.terms_file, "--part", part, "--keys", self.path / name
            )
            self.assertIn(chain_id, shown.replace(" ", ""))
            self.assertIn("Nothing is in it that is not in the parts.", shown)
            self.assertEqual(shown.count("<- you"), 1)
        alone = self.works("check", genesis, "--terms", self.terms_file, "--part", parts[0])
        self.assertIn("Whether the others' parts are in it unchanged", alone)

    def test_secrets_stay_with_their_operator(self) -> None:
        part = self.contribute("ann")
        written = {each.name for each in (self.path / "ann").iterdir()}
        self.assertEqual(written, {"operator.key", "owner.key", "payout.key", "node.key"})
        for each in (self.path / "ann").iterdir():
            self.assertEqual(os.stat(each).st_mode & 0o777, 0o600)
            self.assertNotIn(each.read_text().strip(), part.read_text())

    def test_keys_that_are_kept_elsewhere(self) -> None:
        owner = BACKEND.public_key((7).to_bytes(32, "big")).hex()
        out = self.contribute("ann", "--owner-key", owner, "--payout", address_of(8), "--collateral", address_of(9))
        self.assertEqual({each.name for each in (self.path / "ann").iterdir()}, {"operator.key", "node.key"})
        part = json.loads(out.read_bytes())["part"]
        self.assertEqual((part["owner_key"], part["payout"], part["collateral"]), (owner, address_of(8), address_of(9)))

    def test_keys_are_used_again(self) -> None:
        first = json.loads(self.contribute("ann").read_bytes())
        (self.path / "ann.json").unlink()
        second = json.loads(self.contribute("ann", tier="gold").read_bytes())
        self.assertEqual(first["part"]["operator_key"], second["part"]["operator_key"])
        self.assertNotEqual(first["signature"], second["signature"])

    def test_allocations_and_tiers(self) -> None:
        parts = [
            self.contribute("ann", "--allocate", f"{address_of(5)}=12.5", tier="free"),
            *(
                self.contribute(name, tier=tier)
                for name, tier in zip(NAMES[1:], ("gold", "silver", "silver"), strict=True)
            ),
        ]
        genesis = Genesis.load(self.combined(*parts).read_bytes())
        self.assertEqual(genesis.allocations[-1].value, 1_250_000_000)
        self.assertEqual(sorted(each.value for each in genesis.allocations[:3]), [10**12, 10**12, 10**13])
        shown = self.works("check", self.path / "genesis.json", "--terms", self.terms_file, "--part", parts[0])
        self.assertIn(f"12.50000000 TIME to {address_of(5)} (free)", shown)
        self.assertIn("one operator has a third of the power or more", shown)


class RefusalTests(CeremonyCase):
    def test_terms(self) -> None:
        self.refused("File exists", "propose", "--network", "x", "--operators", 4, "--out", self.terms_file)
        new = ("--out", self.path / "new.json")
        self.refused("not a network name", "propose", "--network", "X!", "--operators", 4, *new)
        self.refused("must be from 1 to 100", "propose", "--network", "x", "--operators", 101, *new)
        words = ("propose", "--network", "x", "--operators", 4, *new, "--parameter")
        self.refused("exceeds max_block_bytes / 2", *words, "interim_bytes=2000000")
        self.refused("must be NAME=NUMBER", *words, "interim=1")
        for text in ("", "{}", '{"format":1}', "[" * 10_000):
            bad = self.path / "bad.json"
            bad.write_text(text)
            self.refused("terms:", "combine", "--terms", bad, bad, *new)

    def test_contributions(self) -> None:
        new = ("--keys", self.path / "k", "--out", self.path / "new.json")
        words = ("contribute", "--terms", self.terms_file, *new, "--masternode", "gold@203.0.113.1:24100", "--name")
        for says, more in (
            ("part.name", ("a\nb",)),
            ("must be a compressed public key", ("ann", "--owner-key", "02" * 32)),
            ("bc1qxyz", ("ann", "--payout", "bc1qxyz")),
            ("amounts must be above 0", ("ann", "--allocate", f"{address_of(1)}=0")),
        ):
            self.refused(says, *words, *more)
        self.refused("TIER@ADDRESS:PORT", *words[:-3], "--masternode", "gold@example.org:1", "--name", "ann")
        self.assertFalse((self.path / "new.json").exists())
        self.contribute("ann")
        self.refused("is there already", *words[:3], *new[:2], "--out", self.path / "ann.json", *words[-3:], "ann")

    def test_a_part_of_other_terms(self) -> None:
        parts = self.all_parts()
        self.terms_file.unlink()
        self.propose(4, "--parameter", "min_paid=3")
        self.refused("other terms", "combine", "--terms", self.terms_file, *parts, "--out", self.path / "new")

    def test_a_part_that_was_changed_on_the_way(self) -> None:
        parts = self.all_parts()
        for change in (
            lambda value: value["part"].update(payout=address_of(3)),
            lambda value: value["part"].update(collateral=address_of(3)),
            lambda value: value["part"].update(name="Ann"),
            lambda value: value["part"].update(tier="gold"),
            lambda value: value["part"].update(service="203.0.113.99:24100"),
            lambda value: value["part"]["allocations"].append({"address": address_of(3), "amount": "5"}),
            lambda value: value.update(signature="11" * 64),
        ):
            bad = self.change(parts[0], change)
            words = ("combine", "--terms", self.terms_file, bad, *parts[1:], "--out", self.path / "new")
            self.refused("signature", *words)
        for change in (
            lambda value: value.update(more=1),
            lambda value: value["part"].pop("name"),
            lambda value: value["part"].update(operator_key="02" + "ff" * 32),
            lambda value: value.update(format=2),
            lambda value: value.update(part=[]),
        ):
            bad = self.change(parts[0], change)
            self.refused(str(bad), "combine", "--terms", self.terms_file, bad, *parts[1:], "--out", self.path / "new")
        self.assertFalse((self.path / "new").exists())

    def test_parts_that_do_not_go_together(self) -> None:
        parts = self.all_parts()
        combine_with = ("combine", "--terms", self.terms_file, "--out", self.path / "new")
        self.refused("4 operators, and there are 3 parts", *combine_with, *parts[:3])
        self.refused("the same operator key", *combine_with, *parts, parts[0])
        os.rename(self.path / "bob", self.path / "old")
        (self.path / "bob.json").unlink()
        self.refused("same service", *combine_with, parts[0], self.contribute("bob", number=0), *parts[2:])

    def test_a_genesis_that_is_something_else(self) -> None:
        parts = self.all_parts()
        good = self.combined(*parts)
        check = ("--terms", self.terms_file, "--part", parts[0])

        def other(says: str, change: Any, *more: object) -> None:
            self.refused(says, "check", self.change(good, change), *more, *check)

        mine = json.loads(parts[0].read_bytes())["part"]
        position = [each["operator_key"] for each in json.loads(good.read_bytes())["registrations"]].index(
            mine["operator_key"]
        )
        registration = lambda value: value["registrations"][position]  # noqa: E731
        other("payout of the part was changed", lambda value: registration(value).update(payout=address_of(3)))
        other("service of the part", lambda value: registration(value).update(service="203.0.113.77:1"))
        other("owner key of the part", lambda value: registration(value).update(owner_key=mine["node_key"]))
        other("collateral of the part", lambda value: value["allocations"][position].update(address=address_of(3)))
        other("parameters differ from the terms: dust", lambda value: value["parameters"].update(dust="9999"))
        other("network and time", lambda value: value.update(time=NOW + 1))
        other("the peer of the part", lambda value: value.update(peers=[]))
        other("operators", lambda value: value["registrations"].pop())
        more = lambda value: value["allocations"].append({"address": address_of(3), "amount": "7"})  # noqa: E731
        other("more, less or something else", more, *parts)
        self.works("check", self.change(good, more), *check)
        self.refused("another operator key", "check", good, *check, "--keys", self.path / "bob")
        self.refused("operator key of the part is not in it", "check", self.without_me(good, position), *check)

    def without_me(self, good: Path, position: int) -> Path:
        other = BACKEND.public_key((99).to_bytes(32, "big")).hex()
        return self.change(good, lambda value: value["registrations"][position].update(operator_key=other))

    def test_in_code(self) -> None:
        terms = Terms("ournet", NOW, Parameters.for_epoch_seconds(20), 1)
        self.assertRaises(CeremonyError, combine, terms, [])
        self.assertRaises(CeremonyError, Part.load, b"{}", terms, BACKEND)
        part = Part.load(self.contribute("ann").read_bytes(), self.terms(), BACKEND)
        self.assertRaises(CeremonyError, compare, combine(terms, [part]), self.terms(), part)


class OldWayTests(CeremonyCase):
    def test_by_itself_it_makes_a_whole_network(self) -> None:
        out = self.path / "net"
        self.refused("Missing option '--out'", "--masternode", "gold@203.0.113.1:1")
        self.refused("Missing option '--masternode'", "--out", out)
        self.works("--out", out, "--masternode", "gold@203.0.113.1:24100")
        self.assertTrue((out / "genesis.json").exists())
