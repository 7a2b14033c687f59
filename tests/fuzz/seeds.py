"""Real encoded objects for every target: where a fuzzer starts from.

``python -m tests.fuzz --write-seeds`` stores them in the corpus.

Everything here is deterministic, so that writing the seeds again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from random import Random

import msgspec

from tests.fuzz.edge_targets import EXPORTER, NOW, frame
from tests.fuzz.proof_targets import proof_seeds
from tests.fuzz.rpc_targets import AUTHORIZATION
from tests.fuzz.wallet_seeds import rpc_bodies, wallet_seeds
from tests.ledger import builders, masternodes
from tests.ledger.accusations import Culprit, every_kind
from tests.ledger.builders import COIN, Chain, Vault
from tests.p2p import support
from timecoin.consensus import records
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proof import prove
from timecoin.consensus.proposal import NO_ROUND, Content, Proposal, ProposalHead
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.coins import encode_coin
from timecoin.ledger.payload import Register, Unregister, Update
from timecoin.ledger.payload_record import PayloadRecord
from timecoin.ledger.registry import Registry
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.snapshot_chunk import encode_chunk, range_of
from timecoin.ledger.snapshot_manifest import Manifest
from timecoin.ledger.state import LedgerState
from timecoin.ledger.tiers import Tier
from timecoin.p2p import messages
from timecoin.p2p.addrbook import AddressBook
from timecoin.p2p.addrfile import Saved
from timecoin.p2p.handshake import Role, hello_digest, make_hello
from timecoin.p2p.netaddress import parse_address
from timecoin.primitives import address
from timecoin.primitives.block import EMPTY_COMMIT
from timecoin.primitives.hashes import sha256
from timecoin.primitives.transaction import Transaction
from timecoin.primitives.wif import encode_wif
from timecoin.storage import finaltimes
from timecoin.storage import records as batches
from timecoin.storage.delta import BlockDelta, encode_delta

ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"


def all_seeds() -> dict[str, list[bytes]]:
    """Seeds by target; every target has at least one."""
    made = _Made()
    return {
        **made.primitives(),
        **made.ledger(),
        **made.consensus(),
        **made.snapshots(),
        **wire(),
        **p2p(),
        **files(),
        **proof_seeds(),
        **rpc(made.txs),
        **wallet_seeds(),
        **judging(),
    }


def write(corpus: Path) -> int:
    """Store the seeds under ``corpus``, a directory for each target; how many files there are."""
    count = 0
    for name, seeds in all_seeds().items():
        folder = corpus / name
        folder.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            (folder / ("seed-" + sha256(seed).hex()[:12])).write_bytes(seed)
            count += 1
    return count


class _Made:
    """A small chain with every kind of transaction and payload in it, and what is signed about it."""

    def __init__(self) -> None:
        self.chain = chain = Chain(builders.network(4, accounts=8))
        self.vault = Vault(2, tuple(builders.key(f"vault {n}") for n in range(3)))
        account = chain.account
        paid = chain.payment(account(0), account(1), 5 * COIN)
        vaulted = chain.payment(account(2), self.vault, 7 * COIN, extra=[builders.data_output(b"a note")])
        joined = chain.registration(account(3), 9, Tier.FREE)
        self.interim = chain.interim([paid, vaulted, joined])
        self.txs = [paid, vaulted, joined, self._unlocked()]
        self.closing = chain.close([self.txs[-1], chain.registration(account(4), 10, Tier.FREE)])
        self.state = chain.state

    def _unlocked(self) -> Transaction:
        """A payment out of the vault."""
        chain, vault = self.chain, self.vault
        outpoint, coin = chain.coins_of(vault)[0]
        out = builders.TxOutput(coin.value - builders.FEE, chain.account(5).script)
        bare = Transaction(2, (builders.TxInput(outpoint),), (out,), 0)
        witness = vault.witness(builders.Bip143(bare), 0, coin.value)
        return Transaction(2, (bare.inputs[0]._replace(witness=witness),), bare.outputs, 0)

    def primitives(self) -> dict[str, list[bytes]]:
        raws = [tx.raw for tx in self.txs]
        coinbase = self.closing.transactions[0]
        signature, key = self.txs[0].inputs[0].witness
        digest = sha256(b"digest")
        secret, public = builders.account(0).secret, builders.account(0).public
        compact, der = builders.BACKEND.sign_compact(secret, digest), builders.BACKEND.sign(secret, digest)
        scripts = [coinbase.outputs[0].script, self.vault.script, self.vault.witness_script]
        return {
            "transaction": [*raws, coinbase.raw, self.txs[0].stripped],
            "payment": raws,
            "header": [self.closing.header.encode(), self.interim.header.encode()],
            "commit": [self.closing.last_commit.encode(), EMPTY_COMMIT.encode()],
            "block": [self.interim.encode(), replace(self.closing, evidence=(b"one", b"", b"two")).encode()],
            "muhash": [self.state.muhash.encode()],
            "script": [*scripts, builders.data_output(b"x" * 80).script, builders.data_output(b"\x05").script],
            "der": [signature[:-1], der],
            "signature": [public + digest + compact, public + digest + der, key + digest + signature[:-1]],
            "address": [address.encode(each, "timed").encode() for each in scripts[:2]],
            "wif": [encode_wif(secret, 0xEF).encode()],
        }

    def ledger(self) -> dict[str, list[bytes]]:
        state, opening = self.state, self.state.opening
        before = self._open_state()
        services = [ServiceAddress.parse(text) for text in ("10.0.0.1:24100", "[2001:db8::1]:1", f"{ONION}:65535")]
        coin = next(iter(self.chain.coins.values()))
        return {
            "payload": self._payloads(),
            "service_address": [each.encode() for each in services],
            "service_address_text": [str(each).encode() for each in services],
            "genesis": [self.chain.genesis.encode()],
            "power_set": [opening.current.encode(), opening.following.encode()],
            "registry": [opening.registry.encode(), _leaving_registry()],
            "payload_record": [record.encode() for record in before.archived.payloads],
            "archived": [before.archived.encode(), state.archived.encode()],
            "opening": [opening.encoded],
            "ledger_state": [state.encode(), before.encode()],
            "coin": [encode_coin(coin)],
        }

    def _open_state(self) -> LedgerState:
        chain = Chain(builders.network(4))
        chain.interim([chain.registration(chain.account(0), 9, Tier.FREE)])
        return chain.state

    def _payloads(self) -> list[bytes]:
        carried = [PayloadRecord.of(tx, 1, 1) for tx in self.txs]
        found = [record.data for record in carried if record is not None]
        new = masternodes.register(3)
        update = Update(masternodes.txid(1), new.operator_key, new.owner_key, new.payout, new.service)
        return [
            *found,
            masternodes.signed(new, operator=3),
            masternodes.signed(update, owner=1, operator=3),
            masternodes.signed(Unregister(masternodes.txid(1)), owner=1),
            masternodes.signed(
                Register(0, new.operator_key, new.owner_key, new.payout, ServiceAddress.parse(f"{ONION}:1")), operator=3
            ),
        ]

    def consensus(self) -> dict[str, list[bytes]]:
        header, members = self.closing.header, self.state.previous_set
        place = (header.chain_id, header.epoch, header.set_hash, 1)
        content = Content.of(self.closing)
        head = ProposalHead(*place, header.height, header.round, NO_ROUND, True, header.hash)
        votes, acks = tuple(tx.txid for tx in self.txs), (self.txs[0].txid,)
        bundle = Bundle(*place, 3, True, votes, acks)
        many = Bundle(*place, 4, False, tuple(sha256(bytes([n])) for n in range(20)), ())
        prevote = Prevote(*place, header.height, 1, header.hash, bytes(range(64)), True)
        precommit = Precommit(*place, header.height, 1, header.hash, bytes(range(64)))
        proposal = Proposal(head, content)
        pending = records.PendingTransaction(2, NOW * 1000, self.txs[0].raw)
        kind = records.RecordKind
        pol = records.encode_list([prevote.encode(), replace(prevote, signer=2).encode()])
        journal = [
            records.Record(kind.BODY, self.txs[0].raw),
            records.Record(kind.BUNDLE, bundle.encode()),
            records.Record(kind.PROPOSAL, proposal.encode()),
            records.Record(kind.POL, pol),
            records.Record(kind.PENDING, pending.encode()),
            records.Record(kind.FINAL, records.encode_final(votes[0], 123)),
            records.Record(kind.PRECOMMIT, precommit.encode()),
        ]
        assert members.set_hash == header.set_hash
        return {
            "bundle": [bundle.encode(), many.encode()],
            "bundle_head": [bundle.head().encode()],
            "statement_proof": [
                prove(many, many.votes[17], ack=False).encode(),
                prove(bundle, acks[0], ack=True).encode(),
            ],
            "proposal_head": [head.encode()],
            "proposal": [proposal.encode()],
            "content": [content.encode(), Content.of(self.interim).encode()],
            "linked_content": [header.encode() + content.last_commit.encode() + b"\1\3abc\2" + bytes(range(128))],
            "prevote": [prevote.encode()],
            "precommit": [precommit.encode()],
            "journal_record": [journal[3].encode()],
            "journal_pending": [pending.encode()],
            "journal_final": [records.encode_final(votes[0], 123)],
            "journal_list": [pol],
            "journal_restored": [records.encode_list([each.encode() for each in journal])],
        }

    def snapshots(self) -> dict[str, list[bytes]]:
        chain = Chain(builders.network(4, accounts=8))
        evidence = every_kind(chain, Culprit(chain.state))
        coins = sorted((outpoint, encode_coin(coin)) for outpoint, coin in self.chain.coins.items())
        parts = [coins[at : at + 3] for at in range(0, len(coins), 3)]
        chunks = [encode_chunk(part) for part in parts]
        ranges = tuple(range_of(part, data) for part, data in zip(parts[:3], chunks, strict=False))
        header, state = self.state.header, self.state.encode()
        manifest = Manifest(header.height, header.hash, len(state), sha256(state), ranges)
        return {
            "evidence": [piece.encode() for piece in evidence.values()],
            "manifest": [manifest.encode()],
            "manifest_head": [manifest.head.encode()],
            "coin_chunk": chunks[:2],
        }


def _leaving_registry() -> bytes:
    changes = {"unregistered": 3, "release": 9, "suspended": True, "absent": 7}
    entries = [masternodes.entry(1), masternodes.entry(2, Tier.FREE), masternodes.entry(3, height=5, **changes)]
    return Registry(entries).encode()


def wire_messages() -> list[messages.Message]:
    """At least one of each kind."""
    h, key = bytes(range(32)), b"\2" + bytes(32)
    tor = messages.AddressRecord(4, bytes(range(32)), 24100, 1, NOW)
    hello = make_hello(support.identity("client"), EXPORTER, Role.CLIENT, 9)
    return [
        hello,
        messages.Hello(
            1, 1, 2, h, key, bytes(64), 2**63, parse_address("192.0.2.1:24100"), 7, "/x/", 2**64 - 1,
            messages.MasternodeClaim(h, bytes(64)),
        ),
        messages.Reject("too-old", "protocol 2"),
        messages.Ping(2**64 - 1),
        messages.Pong(1, NOW * 1000),
        messages.GetAddr(),
        messages.Addr((tor, messages.AddressRecord(1, b"\1\2\3\4", 1, 0, 0), messages.AddressRecord(9, b"", 0, 0, 0))),
        messages.Inv((h, h)),
        messages.GetTx((h,), True),
        messages.Tx((b"raw", b"")),
        messages.NotFound((h,)),
        messages.Bundles((b"bundle",)),
        messages.GetBundles(1, 2, 3, 4),
        messages.Proposal(b"proposal"),
        messages.GetProposal(1, round=2),
        messages.GetProposal(1, block_hash=h),
        messages.Votes((b"prevote",), (b"precommit",)),
        messages.Status(1, 2, 3, 4, h, b"\1", b"\2", ((0, 1), (3, 2**32 - 1)), b"\3"),
        messages.GetPol(1, 2, h),
        messages.Pol((b"prevote",)),
        messages.Evidence(b"evidence"),
        messages.GetBlocks(1, 8),
        messages.Blocks((messages.BlockWithCommit(b"block", b"commit"),)),
        messages.GetClosingHeaders(1, 8),
        messages.ClosingHeaders(1, (messages.ClosingParts(b"header", b"commit", b""),)),
        messages.GetSnapshots(),
        messages.Snapshots((messages.SnapshotHead(h, b"head"),)),
        messages.GetManifest(h, 0),
        messages.ManifestPage(h, 1, b"ranges"),
        messages.GetState(h, 2),
        messages.StatePart(h, 3, b"part"),
        messages.GetHeaders(9, 8),
        messages.Headers(9, (bytes(351),)),
        messages.GetChunk(h, 4),
        messages.Chunk(h, 5, b"data"),
    ]  # fmt: skip


def wire() -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {f"wire_{name}": [] for name in messages.NAMES.values()}
    for message in wire_messages():
        name = messages.NAMES[messages.KIND_OF[type(message)].number]
        found[f"wire_{name}"].append(messages.encode_payload(message))
    # Kinds that came later than this list start from nothing.
    return {name: seeds or [b"\x90"] for name, seeds in found.items()}


def _hellos() -> list[bytes]:
    client = support.identity(
        "client", masternode=support.masternode("client"), listen=parse_address("192.0.2.9:24100")
    )
    hello = make_hello(client, EXPORTER, Role.CLIENT, 9)
    assert hello_digest(EXPORTER, Role.CLIENT, client.node_key)
    return [frame(hello), frame(make_hello(support.identity("client"), EXPORTER, Role.SERVER, 9))]


def p2p() -> dict[str, list[bytes]]:
    hellos, others = _hellos(), [frame(message) for message in wire_messages()[2:]]
    addresses = ["192.0.2.1:24100", "[2001:db8::1]:24100", f"{ONION}:24100", "[::ffff:1.2.3.4]:1"]
    return {
        "frames": [b"\x06" + b"".join(others[:6]), b"\x00" + hellos[0] + others[8], b"\xff\0\0\0\1\xff!"],
        "peer": [hellos[0], hellos[1], b"".join((hellos[0], *others)), hellos[0] + hellos[0], b"".join(others[:2])],
        "net_address": [each.encode() for each in addresses],
        "seed_list": ["\n".join(["# seeds", *addresses, "", "nonsense", "1.2.3.4:99999"]).encode()],
        "address_book": [_book()],
    }


def _book() -> bytes:
    random = Random(1)
    book = AddressBook(bytes(range(32)), random)
    for number in range(12):
        one = parse_address(f"{20 + number}.{number}.2.1:24100")
        book.add(one, parse_address("44.0.0.1:24100"), 1, NOW - number * 3600, NOW)
        if number % 3 == 0:
            book.good(one, NOW)
    book.add(parse_address(f"{ONION}:24100"), parse_address("44.0.0.1:24100"), 1, NOW, NOW)
    anchors = [parse_address("20.0.2.1:24100")]
    return msgspec.msgpack.encode(Saved(1, book.key, list(book), anchors))


def files() -> dict[str, list[bytes]]:
    delta = BlockDelta(7, {bytes(36): b"coin" * 5, bytes([1]) * 36: None}, {}, 0)
    shipped = Path(__file__).parents[2] / "etc" / "node.ini"
    lines = shipped.read_text(encoding="utf-8").splitlines()
    plain = "\n".join(line for line in lines if line and not line.startswith("#"))
    filled = (
        "[node]\nnetwork = devnet\ndata_dir = /tmp/x\n[p2p]\nlisten = tcp:24100:interface=127.0.0.1 tcp:1\n"
        f"advertise = [2001:db8::1]:24100\npeers = {'02' + '11' * 32}@{ONION}:1\nseeds = https://seeds.example/list\n"
        "onion = yes\nmax_inbound = 3\n[masternode]\nenabled = yes\noperator_key_file = key\n"
        "[storage]\nblocks = postgres://u:p@h/db?keep_history=false\nmerge_keys = 20\n[metrics]\nlisten = none\n"
    )
    return {
        "lease": [b"timecoin-lease 1 42 " + b"0f" * 16 + b"\n"],
        "packed_records": [batches.pack_records([b"one", b"", b"three"]), batches.pack_records([])],
        "delta": [b"\2" + encode_delta(delta)],
        "final_times": [finaltimes.pack_times([1, None, 2**40])],
        "config": [plain.encode(), filled.encode()],
    }


def rpc(txs: Iterable[Transaction]) -> dict[str, list[bytes]]:
    bodies = [_call(name, params) for name, params in _CALLS] + [
        _call("decoderawtransaction", f'["{tx.raw.hex()}"]') for tx in txs
    ]
    batch = b"[" + b",".join(bodies[:6]) + b"]"
    named = b'{"jsonrpc":"2.0","method":"getblock","params":{"args":[1],"verbosity":2},"id":"x"}'
    request = _http(bodies[0])
    chunked = (
        b"POST / HTTP/1.1\r\nAuthorization: " + AUTHORIZATION + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\n" + bodies[0][:5] + b"\r\n%x\r\n" % (len(bodies[0]) - 5) + bodies[0][5:] + b"\r\n0\r\n\r\n"
    )
    return {
        "rpc_body": [*bodies[:21], *bodies[-2:], batch, named, *rpc_bodies()],
        "rpc_call": [f"{name}\n{params}".encode() for name, params in _CALLS],
        "rpc_http": [
            b"\x06" + request + request,
            b"\xff" + chunked,
            b"\x40" + _http(batch, b"Connection: close\r\n"),
            b"\x30" + request.replace(b"POST / ", b"POST /wallet/a%20b "),
        ],
        "rpc_client": [
            b'\0{"result":1.5,"error":null,"id":1}',
            b'\3{"result":null,"error":{"code":-8,"message":"x"},"id":1}',
            b'\0[{"result":[1],"error":null,"id":0},{"result":null,"error":{"code":-1},"id":1}]',
        ],
    }


def judging() -> dict[str, list[bytes]]:
    random = Random(5)
    return {"judging": [bytes(64), *[random.randbytes(64) for _ in range(12)]]}


def _http(body: bytes, more: bytes = b"") -> bytes:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\n%bContent-Length: %d\r\n\r\n"
    return head % (AUTHORIZATION, more, len(body)) + body


def _call(name: str, params: str) -> bytes:
    return f'{{"method":"{name}","params":{params},"id":1}}'.encode()


_ID = "11" * 32
_CALLS = [
    ("getblockcount", "[]"),
    ("getblockhash", "[1]"),
    ("getblock", f'["{_ID}",2]'),
    ("getblockheader", f'["{_ID}",false]'),
    ("gettxout", f'["{_ID}",0,true]'),
    ("getrawtransaction", f'["{_ID}",true]'),
    ("getrawmempool", "[true]"),
    ("getmempoolentry", f'["{_ID}"]'),
    ("sendrawtransaction", '["00",0.1]'),
    ("testmempoolaccept", '[["00"]]'),
    ("masternode", '["list"]'),
    ("masternode", f'["sign-anyway","{_ID}"]'),
    ("masternode", '["status"]'),
    ("help", '["getblock"]'),
    ("gettxstatus", f'["{_ID}"]'),
    ("waitforfinality", f'["{_ID}",100]'),
    ("getfinalityevents", '[0,10,0,"final"]'),
    ("getpeerinfo", "[]"),
    ("getconsensusinfo", "null"),
    ("getblockchaininfo", "{}"),
    ("getrpcinfo", "[]"),
]
