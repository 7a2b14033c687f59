"""A payment's proofs, made by a devnet and checked by a process that knows nothing but the genesis file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.functional.load import Wallet
from tests.functional.support import Devnet, FunctionalCase, Node, timecoin, until
from timecoin.primitives.hashes import display

EPOCH_SECONDS = 8


class ProofTests(FunctionalCase):
    async def verify(self, proof: Any, *words: str | Path) -> tuple[int, str]:
        """Exit status and output of ``timecoin verify-proof`` in a process of its own."""
        path = self.directory() / "proof.json"
        path.write_text(json.dumps(proof))
        child = self.run_child(*timecoin("verify-proof", path, *words))
        return await child.ended(30), child.text

    async def paid(self, net: Devnet, wallet: Wallet, node: Node) -> tuple[str, dict[str, Any]]:
        """A payment and the proof of its finality, taken while its epoch is open."""
        for _ in range(5):
            tx = wallet.payment()
            txid = display(tx.txid)
            await node.call("sendrawtransaction", tx.raw.hex())
            status = await node.patiently("waitforfinality", txid, 30_000)
            self.assertIn(status["status"], ("final", "archived"))
            proof = await node.call("getfinalityproof", txid)
            if proof["kind"] == "finality":
                return txid, proof
        raise AssertionError("no payment was final before its epoch closed")

    async def test_final_then_archived_from_the_genesis_alone(self) -> None:
        net = self.devnet(4, EPOCH_SECONDS)
        await net.up()
        first, last = net.nodes[0], net.nodes[3]
        await first.reaches(2)
        txid, final = await self.paid(net, Wallet(net), first)
        status, text = await self.verify(final, "--genesis", net.genesis_file)
        self.assertEqual(status, 0, text)
        self.assertIn(f"PROVED: transaction {txid}\n  is final: acked in epoch ", text)
        self.assertIn("(the genesis file) of epoch 0", text)
        known = await last.call("verifyfinalityproof", final)
        self.assertTrue(known["valid"] or known["code"] == "proof-epoch-closed", known)

        async def is_archived() -> Any:
            found = await first.call("getfinalityproof", txid)
            return found if found["kind"] == "inclusion" else None

        archived = await until(is_archived, "an inclusion proof", 60)
        status, text = await self.verify(archived, "--genesis", net.genesis_file, "--json")
        shown = json.loads(text)
        self.assertEqual((status, shown["valid"], shown["status"]), (0, True, "archived"))
        self.assertEqual(shown["outputs"][0]["value"], 1.0)
        await last.reaches(shown["height"])
        self.assertEqual((await last.call("verifyfinalityproof", archived))["blockhash"], shown["blockhash"])

        # Whoever trusts the block that closed its epoch is proved nothing by the old acks any more.
        height = await first.height()
        closing = await first.call("getblockhash", height)
        trusted = ("--genesis", net.genesis_file, "--trusted", f"{height}:{closing}")
        status, text = await self.verify(final, *trusted)
        self.assertEqual(status, 1, text)
        self.assertIn("(proof-epoch-closed)", text)
        self.assertEqual((await last.call("verifyfinalityproof", final))["code"], "proof-epoch-closed")
        linked = await first.call("getfinalityproof", txid, height)
        status, text = await self.verify(linked, *trusted)
        self.assertEqual(status, 0, text)
        self.assertIn("(named by --trusted)", text)

        forged = archived | {"txid": "00" * 32}
        status, text = await self.verify(forged, "--genesis", net.genesis_file)
        self.assertEqual(status, 1, text)
        await self.looks_healthy(first)

    async def looks_healthy(self, node: Node) -> None:
        """What an operator sees of a network that is well."""
        info = await node.call("getconsensusinfo")
        self.assertEqual((info["missing_power"], info["disconnected"], info["abstains"]), (0, [], None))
        self.assertEqual([each["power"] for each in info["members"]], [10, 10, 10, 10])
        epoch = await node.call("getepochinfo")
        self.assertEqual([each["size"] for each in epoch["sets"]], [4, 4, 4])
        self.assertGreater(epoch["reward"]["mine"], 0)
