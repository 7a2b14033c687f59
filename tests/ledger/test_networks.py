from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.ledger import networks


class NetworkTests(SynchronousTestCase):
    def test_facts(self) -> None:
        names = ("mainnet", "testnet", "devnet", "lab-7")
        known = [networks.get(name) for name in names]
        self.assertEqual([n.name for n in known], list(names))
        self.assertEqual([n.p2p_port for n in known], [24100, 24200, 24300, 24400])
        self.assertEqual([n.rpc_port for n in known], [24101, 24201, 24301, 24401])
        self.assertEqual([n.hrp for n in known], ["time", "timet", "timed", "timed"])
        self.assertEqual([n.coin_type for n in known], [24100, 1, 1, 1])
        self.assertEqual([n.keys.wif for n in known], [0x80, 0xEF, 0xEF, 0xEF])
        self.assertEqual([n.allows_private_addresses for n in known], [False, False, True, True])

    def test_magics_differ(self) -> None:
        names = ("mainnet", "testnet", "devnet", "lab", "lab-7")
        magics = {networks.get(name).magic for name in names}
        self.assertEqual(len(magics), len(names))
        self.assertEqual({len(magic) for magic in magics}, {4})

    def test_bad_names(self) -> None:
        for name in ("", "Mainnet", "7lab", "a" * 33, "lab_7", "läb", "lab\n"):
            self.assertRaises(ValueError, networks.get, name)
