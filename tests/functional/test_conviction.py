"""A masternode that says two things: what each of two nodes saw alone convicts it on all of them (protocol.md 3)."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from tests.functional.load import SETTLED, Load
from tests.functional.observer import BACKEND, make_identity
from tests.functional.support import HOST, Devnet, FunctionalCase, Node, together, until
from tests.functional.test_attackers import Stranger
from timecoin.cli.new_network import OPERATOR_KEY
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.identity import OperatorIdentity
from timecoin.node.key_files import new_key
from timecoin.node.keys import read_secret
from timecoin.p2p.messages import Bundles, encode_frame
from timecoin.p2p.tls import NodeTLS
from timecoin.primitives.hashes import parse_display

reactor: Any = _reactor
EPOCH = 6
NUMBER = 200
"""None that it used: what is signed here contradicts nothing but itself."""


def operator_of(node: Node) -> OperatorIdentity:
    """Its key, to sign with."""
    return OperatorIdentity(read_secret(node.files.data_dir / OPERATOR_KEY, BACKEND), BACKEND)


class ConvictionTests(FunctionalCase):
    async def test_who_signs_two_bundles_of_one_number_is_jailed(self) -> None:
        net = self.devnet(4, EPOCH)
        await net.up()
        *honest, liar = net.nodes
        entry = await self._entry(honest[0], liar)
        self.assertEqual((entry["status"], entry["in_set"]), ("eligible", True))
        await liar.stop()
        epoch = await self._say_two_things(net, honest, liar, entry["signer"])
        await together(self._convicted(node, entry["id"]) for node in honest)
        await self._in_one_block(honest, epoch, entry["signer"])
        await self._out_of_the_set(net, honest, liar, epoch)

    async def _entry(self, node: Node, of: Node) -> dict[str, Any]:
        """What a node tells of the masternode of another."""
        operator = operator_of(of).operator_key.hex()
        listed = await node.call("masternode", "list")
        return next(each for each in listed if each["operator_key"] == operator)

    async def _say_two_things(self, net: Devnet, honest: list[Node], liar: Node, signer: int) -> int:
        """One bundle to one node, another of the same number to another, signed with the liar's key; the epoch."""
        info = await honest[0].call("getconsensusinfo")
        identity = operator_of(liar)
        for node, txid in zip(honest, (b"\x0a" * 32, b"\x0b" * 32), strict=False):
            prefix = net.genesis.chain_id, info["epoch"], parse_display(info["set_hash"]), signer
            bare = Bundle(*prefix, NUMBER, False, (txid,), ())
            said = bare.signed(identity.sign(bare.digest))
            stranger = await self._greeted(net, node)
            stranger.say(encode_frame(Bundles((said.encode(),))))
        return int(info["epoch"])

    async def _greeted(self, net: Devnet, node: Node) -> Stranger:
        stranger = Stranger()
        factory: Any = Factory.forProtocol(lambda: stranger)
        factory.noisy = False
        endpoint = TCP4ClientEndpoint(reactor, HOST, node.files.p2p_port)
        await endpoint.connect(NodeTLS().wrap(factory, True, reactor))
        self.addCleanup(stranger.leave)
        await until(lambda: stranger.secure, "TLS is up", 10)
        stranger.greet(make_identity(net.genesis, new_key(BACKEND)))
        await until(lambda: stranger.greeted and stranger.answered, "the node goes on after the hello", 10)
        return stranger

    async def _convicted(self, node: Node, masternode_id: str) -> None:
        async def jailed() -> bool:
            listed = await node.call("masternode", "list")
            return next(each for each in listed if each["id"] == masternode_id)["status"] == "jailed"

        await until(jailed, f"{node.name} has jailed it", 6 * EPOCH)

    async def _in_one_block(self, honest: list[Node], epoch: int, signer: int) -> None:
        """The same evidence, in the same one block everywhere."""
        chains = []
        for node in honest:
            blocks = [await self._block(node, height) for height in range(1, await node.height() + 1)]
            chains.append([(each["hash"], piece) for each in blocks for piece in each["evidence"]])
        self.assertEqual(len(chains[0]), 1)
        self.assertEqual(chains, [chains[0]] * len(honest))
        _, piece = chains[0][0]
        said = piece["kind"], piece["epoch"], piece["signer"]
        self.assertEqual(said, ("double-bundle", epoch, signer))

    async def _block(self, node: Node, height: int) -> dict[str, Any]:
        block: dict[str, Any] = await node.call("getblock", await node.call("getblockhash", height))
        return block

    async def _out_of_the_set(self, net: Devnet, honest: list[Node], liar: Node, epoch: int) -> None:
        """In S(e + 2) it is no more; the others finalise as ever, and the liar, back, is told and signs nothing."""

        async def gone() -> bool:
            entry = await self._entry(honest[0], liar)
            return await honest[0].epoch() >= epoch + 2 and not entry["in_set"] and not entry["in_next_set"]

        await until(gone, "the set is without it", 6 * EPOCH)
        liar.start()
        await liar.answers()
        load = Load(net, rate=5)
        sent = load.wallet.payment()
        await honest[0].call("sendrawtransaction", sent.raw.hex())
        answers = await together(
            node.patiently("waitforfinality", sent.txid[::-1].hex(), 20_000) for node in [*honest, liar]
        )
        self.assertEqual([answer["status"] in SETTLED for answer in answers], [True] * 4)
        info = await liar.call("getconsensusinfo")
        self.assertEqual((info["signer"], info["voting"]), (None, False))
