"""A joining node's state machine among peers that answer from a real store: honest ones, and liars of every kind."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tests.ledger import builders
from tests.storage.joined import StoredChain, grow, opened, snapshot_of
from timecoin.ledger.closing_chain import Anchor, ClosingLink, Trusted
from timecoin.ledger.first import first_state
from timecoin.ledger.snapshot_manifest import Manifest
from timecoin.node.snapshot_sync import SnapshotSync
from timecoin.node.snapshot_sync_coins import Importing
from timecoin.node.snapshot_sync_desk import Drop, JoinPeer, Note, Send, Work
from timecoin.node.snapshot_sync_stages import Outcome, Plan, Stage
from timecoin.p2p import messages as wire
from timecoin.storage.chain import ChainStore
from timecoin.storage.importing import SnapshotImport
from timecoin.storage.snapshot_files import SnapshotFiles

EPOCHS = 4
Answer = Callable[["Server", wire.Message], Sequence[wire.Message] | None]


@cache
def _chain() -> StoredChain:
    return grow(EPOCHS)


@cache
def _fresh() -> StoredChain:
    return StoredChain()


class Keep:
    """Stands in for a test case where something is made once for all tests of the process."""

    def __init__(self, case: Any) -> None:
        self.mktemp = case.mktemp
        self.addCleanup = atexit.register


_shared: list[Source] = []


def shared_source(case: Any) -> Source:
    """The same chain for all tests that change nothing of it."""
    if not _shared:
        _shared.append(Source(Keep(case)))
    return _shared[0]


class Source:
    """A chain with its snapshot on the disk."""

    def __init__(self, case: Any, chain: StoredChain | None = None) -> None:
        self.chain = chain or _chain()
        path = Path(case.mktemp()).absolute()
        path.mkdir()
        self.store = opened(case, path, self.chain)
        self.chain.fill(self.store)
        self.files, self.manifest = snapshot_of(case, path, self.chain, self.store)

    @property
    def epoch(self) -> int:
        """The open epoch."""
        return self.chain.state.epoch

    def answer(self, message: wire.Message) -> Sequence[wire.Message]:
        """What an honest peer says."""
        files, archive = self.files, self.store.archive
        if isinstance(message, wire.GetClosingHeaders):
            links = self.store.archive.closings(message.from_epoch, message.count, 1 << 20)
            return [wire.ClosingHeaders(message.from_epoch, tuple(wire.ClosingParts(*each) for each in links))]
        if isinstance(message, wire.GetHeaders):
            headers = archive.headers_down(message.through, message.count)
            return [wire.Headers(message.through, tuple(headers))]
        if isinstance(message, wire.GetSnapshots):
            return [wire.Snapshots(tuple(wire.SnapshotHead(*each) for each in files.held()))]
        if isinstance(message, wire.GetManifest):
            named = message.snapshot, message.page
            return [wire.ManifestPage(*named, files.manifest_page(*named) or b"")]
        if isinstance(message, wire.GetState):
            part = message.snapshot, message.part
            return [wire.StatePart(*part, files.state_part(*part) or b"")]
        if isinstance(message, wire.GetChunk):
            chunk = message.snapshot, message.index
            return [wire.Chunk(*chunk, files.chunk(*chunk) or b"")]
        assert isinstance(message, wire.GetBlocks)
        last = min(message.from_height + message.count - 1, self.store.tip.height)
        heights = range(message.from_height, last + 1)
        pairs = [wire.BlockWithCommit(archive.block(each), archive.commit(each)) for each in heights]
        return [wire.Blocks(tuple(pairs))]


class Server:
    """One peer. ``lie(server, message)`` answers instead of it; None: the honest answer."""

    def __init__(
        self, name: str, source: Source, lie: Answer | None = None, epoch: int | None = None, delay_ms: int = 0
    ) -> None:
        self.name, self.source, self.lie, self.delay_ms = name, source, lie, delay_ms
        self.epoch = source.epoch if epoch is None else epoch
        self.asked: list[wire.Message] = []

    def answer(self, message: wire.Message) -> Sequence[wire.Message]:
        self.asked.append(message)
        lied = None if self.lie is None else self.lie(self, message)
        return self.source.answer(message) if lied is None else lied

    def count(self, kind: type[wire.Message]) -> int:
        """How often it was asked for something."""
        return sum(isinstance(each, kind) for each in self.asked)


class Disk:
    """Where the snapshot goes: a store with block 0."""

    def __init__(self, case: Any, chain: StoredChain) -> None:
        path = Path(case.mktemp()).absolute()
        path.mkdir()
        self.store: ChainStore = opened(case, path, chain)
        _fresh().fill(self.store)
        self.files = SnapshotFiles(path / "snapshots")
        self.files.open()
        self.importing: SnapshotImport | None = None

    def begin(
        self, manifest: Manifest, state: bytes, links: Sequence[ClosingLink], vouched: Anchor | None
    ) -> Importing:
        self.close()
        self.importing = self.store.begin_import(manifest, state, links, self.files, vouched)
        return self.importing

    def finish(self, importing: Importing) -> None:
        assert importing is self.importing is not None
        self.store.imported(self.importing.finish())

    def close(self) -> None:
        if self.importing is not None:
            self.importing.close()
            self.importing = None


def _last_closing(chain: StoredChain) -> Trusted:
    header = [block.header for block in chain.blocks if block.header.closing][-1]
    return Trusted(header, chain.state.previous_set)


class Joiner:
    """The machine, its peers and its disk. Everything that is asked for happens at once, unless ``held``."""

    def __init__(
        self,
        case: Any,
        source: Source,
        *,
        now: int | None = None,
        disk: Disk | None = None,
        resume: bool = False,
        own: StoredChain | None = None,
        **plan: Any,
    ) -> None:
        """``own``: the chain that it has already, and is too old to be gone on with."""
        self.source = source
        genesis = source.chain.genesis
        self.params = replace(genesis.parameters, snapshot_epochs=EPOCHS)
        self.disk = disk or Disk(case, source.chain)
        case.addCleanup(self.disk.close)
        block, state, _ = first_state(genesis)
        self.origin = Trusted(block.header, state.previous_set)
        self.now = 1_000 * source.chain.state.last_closing_slot if now is None else now
        wanted = {"anchor": None, "genesis_will_do": False, "snapshot": True, "ahead_epochs": 2} | plan
        if own is not None:
            self.origin = _last_closing(own)
            state = own.state
            tip = Anchor(state.height, state.block_hash)
            wanted |= {"snapshot": False, "ahead_epochs": 0, "own_epoch": state.epoch, "own_tip": tip}
        record = self.disk.store.unfinished_import() if resume else None
        resumed = None
        if record is not None:
            self.disk.importing = self.disk.store.resume_import(record, self.disk.files)
            resumed = self.disk.importing, record.manifest, record.links
        self.machine = SnapshotSync(self.params, self.origin, Plan(**wanted), self.disk, resumed, self.now)
        self.servers: dict[bytes, Server] = {}
        self.under_way: list[tuple[int, bytes, wire.Message]] = []
        self.dropped: dict[str, str] = {}
        self.notes: list[str] = []
        self.works = 0
        self.stop_after: int | None = None

    def add(self, *servers: Server, group: bytes | None = None, chosen: bool = True) -> None:
        """Connect peers; each tells its epoch."""
        for server in servers:
            key = server.name.encode()
            self.servers[key] = server
            self.machine.connected(JoinPeer(key, group or key, server.name, chosen=chosen), self.now)
            status = wire.Status(epoch=server.epoch, height=1, round=0, step=0, tip_hash=bytes(32))
            self.machine.message(key, status, self.now)
            self.carry_out()

    def lose(self, server: Server) -> None:
        """A connection ends."""
        del self.servers[server.name.encode()]
        self.machine.lost(server.name.encode(), self.now)
        self.carry_out()

    def carry_out(self) -> None:
        while effects := self.machine.take_effects():
            for effect in effects:
                self._carry_out(effect)

    def _carry_out(self, effect: object) -> None:
        if isinstance(effect, Send):
            server = self.servers.get(effect.peer)
            for message in server.answer(effect.message) if server is not None else ():
                if server is not None and server.delay_ms:
                    self.under_way.append((self.now + server.delay_ms, effect.peer, message))
                else:
                    self._deliver(effect.peer, message)
        elif isinstance(effect, Drop):
            self.dropped[effect.peer.decode()] = effect.reason
            self.servers.pop(effect.peer, None)
        elif isinstance(effect, Work):
            self._work(effect)
        elif isinstance(effect, Note):
            self.notes.append(effect.text)

    def _deliver(self, key: bytes, message: wire.Message) -> None:
        number = wire.KIND_OF[type(message)].number
        self.machine.message(key, wire.decode(number, wire.encode_payload(message)), self.now)

    def _work(self, work: Work) -> None:
        if self.stop_after is not None and self.works >= self.stop_after:
            return
        self.works += 1
        try:
            outcome = work.run(builders.BACKEND)
        except Exception as problem:
            outcome = problem
        self.machine.worked(work, outcome, self.now)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        for _ in range(int(seconds * 4)):
            self.now += 250
            self.machine.tick(self.now)
            here = [each for each in self.under_way if each[0] <= self.now]
            self.under_way = [each for each in self.under_way if each[0] > self.now]
            for _, key, message in here:
                self._deliver(key, message)
            self.carry_out()

    def run(self, seconds: float = 120) -> Outcome:
        """Until it has ended."""
        for _ in range(int(seconds)):
            if self.machine.outcome is not None:
                return self.machine.outcome
            self.wait(1)
        raise AssertionError(f"not within {seconds} s: {self.machine}; {self.notes}")

    @property
    def stage(self) -> Stage:
        return self.machine.stage
