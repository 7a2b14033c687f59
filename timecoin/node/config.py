"""The typed model of node.ini: every key is declared once, here, with its kind, default and explanation.

``load`` reads and checks a file without touching anything else; all that can be wrong ends in one
``ConfigError`` of one line that names the file, the section, the key and what is allowed. The same
declarations render etc/node.ini (``config_docs.render``). The idea of refusing unknown sections and keys is
Tahoe-LAFS's ``ValidConfiguration``.
"""

# ruff: noqa: RUF009 (key() only declares a field, as dataclasses.field does)
from __future__ import annotations

import configparser
import difflib
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from timecoin.ledger import networks
from timecoin.node import config_kinds as kinds
from timecoin.node.anchor import TrustSetting
from timecoin.node.config_kinds import HostPort, Kind, PinnedPeer
from timecoin.rpc.access import Network, is_local, words
from timecoin.rpc.auth import Salted, WhiteList

T = TypeVar("T")
_MAX_FILE_BYTES = 1_000_000


class ConfigError(Exception):
    """Something in node.ini is not allowed; ``str()`` is one line for the operator."""

    def __init__(self, source: str, problem: str, section: str = "", key: str = "") -> None:
        self.source, self.section, self.key, self.problem = source, section, key, problem
        place = f" [{section}]" if section else ""
        place += f" {key}" if key else ""
        super().__init__(" ".join(f"{source}:{place} {problem}".split()))


@dataclass(frozen=True, slots=True)
class Spec:
    """The declaration of one key: default as text, kind, and the comment that explains it."""

    default: str
    kind: Kind[Any]
    doc: str


def key(default: str, kind: Kind[T], doc: str) -> T:
    """Declare a key of a section's dataclass (its type is the kind's)."""
    value: T = field(metadata={"spec": Spec(default, kind, doc)})
    return value


@dataclass(frozen=True, slots=True)
class NodeSection:
    """The node itself."""

    network: str = key(
        "devnet",
        kinds.word(r"[a-z][a-z0-9-]{0,31}", "mainnet, testnet, devnet or the name in your genesis file"),
        "The network to join; it must be the one that the genesis file names.",
    )
    data_dir: Path | None = key(
        "",
        kinds.optional_path(),
        "Where this node keeps chain, journal and keys; a directory of its own. Empty: ~/.timecoin/NETWORK.",
    )
    genesis: Path | None = key(
        "",
        kinds.optional_path(),
        "The genesis file of the network. Empty: genesis.json in the data directory, or else the one that "
        "comes with the node, which only devnet has.",
    )
    log_level: str = key(
        "info",
        kinds.choice("debug", "info", "warn", "error", "critical"),
        "Events below this level are not logged. Where the log goes is twistd's --logfile.",
    )


@dataclass(frozen=True, slots=True)
class P2PSection:
    """Connections to other nodes."""

    listen: tuple[str, ...] = key(
        "",
        kinds.endpoints(),
        "Where to accept peers. Empty: the network's port on all interfaces; none: accept nobody. With Tor an onion "
        "service such as onion:24100:controlPort=9051:hiddenServiceDir=/var/lib/tor/timecoin.",
    )
    advertise: HostPort | None = key(
        "", kinds.optional_literal(), "The address that peers are told to dial. Empty: none is told."
    )
    peers: tuple[PinnedPeer, ...] = key(
        "", kinds.pinned_peers(), "Peers that are always dialled and must prove the node key given."
    )
    seeds: tuple[str, ...] = key("", kinds.https_urls(), "Lists of nodes to ask when no peer is known.")
    onion: bool = key(
        "no",
        kinds.boolean(),
        "Whether to dial onion addresses, through the SOCKS port (9050 or 9150) of a Tor on this machine.",
    )
    max_inbound: int = key(
        "64",
        kinds.integer(0, 10_000),
        "Connections accepted at a time; masternodes have places of their own.",
    )
    max_outbound: int = key(
        "10",
        kinds.integer(1, 1_000),
        "Connections held open to other nodes, besides pinned peers and masternodes.",
    )


@dataclass(frozen=True, slots=True)
class RpcSection:
    """JSON-RPC over HTTP, for who has the cookie file (data_dir/.cookie) and for users."""

    enabled: bool = key("yes", kinds.boolean(), "Whether to serve it at all.")
    listen: tuple[str, ...] = key(
        "",
        kinds.endpoints(),
        "Where to serve it; tcp: is plain HTTP, ssl:PORT:privateKey=FILE:certKey=FILE (absolute paths) is TLS 1.2 or "
        "later. What is reached from other machines needs allow_ip. Empty: the network's RPC port on 127.0.0.1.",
    )
    allow_ip: tuple[Network, ...] = key(
        "",
        kinds.networks_allowed(),
        "From where clients may connect besides this machine; others get status 403. For an onion service, whose "
        "clients come from this machine, 127.0.0.1.",
    )
    auth: tuple[Salted, ...] = key(
        "",
        kinds.rpc_users(),
        "Users besides the cookie's, as bitcoind's rpcauth; timecoin rpcauth NAME makes one and its password.",
    )
    whitelist: tuple[WhiteList, ...] = key(
        "",
        kinds.white_lists(),
        "What users may call, as bitcoind's rpcwhitelist: other calls get status 403. Several lists of a user: what is "
        "on all of them.",
    )
    whitelist_default: str = key(
        "auto",
        kinds.choice("auto", "yes", "no"),
        "Whether a user without a white list, the cookie's too (__cookie__), may call nothing; auto: when there is any "
        "list.",
    )
    max_connections: int = key("128", kinds.integer(1, 10_000), "Clients connected at a time; more get status 503.")
    max_request_bytes: int = key(
        "8388608",
        kinds.integer(1_024, 268_435_456, "bytes"),
        "The largest request body; more gets status 413.",
    )
    max_batch: int = key("1000", kinds.integer(1, 100_000), "The most calls in one batch.")
    timeout: int = key(
        "30",
        kinds.integer(1, 3_600, "seconds"),
        "A client that is idle or sends one request for longer is dropped.",
    )
    max_cost: int = key(
        "100",
        kinds.integer(10, 10_000, "units"),
        "How much heavy work goes on at a time; a whole block, decoded, is about 50. More waits its turn, in fair "
        "shares.",
    )
    work_queue: int = key(
        "64", kinds.integer(1, 10_000), "Requests of heavy work that may wait; more get status 503, as with bitcoind."
    )
    call_seconds: int = key(
        "60",
        kinds.integer(1, 86_400, "seconds"),
        "A call that takes longer is given up, unless it waits by its nature, as waitforfinality.",
    )
    max_answer_bytes: int = key(
        "268435456",
        kinds.integer(1_048_576, 4_294_967_296, "bytes"),
        "Calls of a batch are refused once its answers are that long together.",
    )


@dataclass(frozen=True, slots=True)
class PushSection:
    """Events for clients that subscribe, on the port of RPC (docs/operators/push.rst)."""

    enabled: bool = key("yes", kinds.boolean(), "Whether to keep the event log and to serve it, where RPC is served.")
    max_clients: int = key("1000", kinds.integer(1, 100_000), "Clients connected at a time; more get status 503.")
    log_bytes: int = key(
        "67108864",
        kinds.integer(1_048_576, 1 << 40, "bytes"),
        "How much is kept of what was told, so that clients can go on where they were.",
    )
    log_events: int = key(
        "1000000", kinds.integer(1_000, 1_000_000_000), "The most events that are kept; an ordinary payment makes four."
    )
    buffer: int = key(
        "65536",
        kinds.integer(4_096, 16_777_216, "bytes"),
        "What may wait for a client that does not read. When it is full for 10 seconds the client is cut.",
    )
    origins: tuple[str, ...] = key(
        "", kinds.origins(), "Web pages that may subscribe; what is no web page needs no entry."
    )


@dataclass(frozen=True, slots=True)
class MasternodeSection:
    """Voting, acking and signing blocks."""

    enabled: bool = key("no", kinds.boolean(), "Whether this node is a masternode.")
    operator_key_file: Path | None = key(
        "",
        kinds.optional_path(),
        "File with the operator key: 64 hex digits, readable by its owner only. Needed by a masternode.",
    )


@dataclass(frozen=True, slots=True)
class StorageSection:
    """Where blocks and coins are stored."""

    blocks: str = key("", kinds.optional_uri(), "The storage of blocks. Empty: a FileStorage in the data directory.")
    coins: str = key(
        "", kinds.optional_uri(), "The storage of unspent coins. Empty: a FileStorage in the data directory."
    )
    merge_keys: int = key(
        "300",
        kinds.integer(10, 10_000),
        "Coins moved at a time from the recent blocks into the tree; more is faster and stalls longer.",
    )
    pack_hours: int = key("24", kinds.integer(0, 8_760, "hours"), "How often old revisions are packed away; 0: never.")
    snapshots: bool = key(
        "yes",
        kinds.boolean(),
        "Whether to make snapshots of all coins for nodes that join, and to keep the last two.",
    )
    address_index: bool = key(
        "no",
        kinds.boolean(),
        "Whether to keep an index of addresses for explorers (getaddressbalance and others). It is built in the "
        "background from all blocks, in addresses.fs, which may be deleted when it is switched off.",
    )


@dataclass(frozen=True, slots=True)
class SyncSection:
    """How a node joins the network: with a fresh data directory, or after it was away for long."""

    mode: str = key(
        "auto",
        kinds.choice("auto", "blocks", "snapshot"),
        "auto: by a snapshot of all coins if peers are more than ahead_epochs ahead, else by all blocks; blocks: never "
        "by a snapshot; snapshot: also if they are less ahead.",
    )
    ahead_epochs: int = key(
        "288",
        kinds.integer(1, 1_000_000, "epochs"),
        "So far peers must be ahead before a fresh node looks for a snapshot.",
    )
    trusted: TrustSetting = key(
        "",
        kinds.trusted_block(),
        "A recent block that you have from people you trust, such as the newest of an explorer, for a node that joins "
        "a network older than its unbonding time or was away for longer than that; genesis: the genesis block is "
        "enough. Empty: the one that comes with the release, or else the word of peers, if they agree.",
    )


@dataclass(frozen=True, slots=True)
class SigningSection:
    """The library behind signatures."""

    backend: str = key(
        "coincurve",
        kinds.choice("coincurve", "ecdsa"),
        "coincurve is libsecp256k1; ecdsa is pure Python and about 30 times slower.",
    )


@dataclass(frozen=True, slots=True)
class MetricsSection:
    """Figures for Prometheus."""

    listen: tuple[str, ...] = key(
        "",
        kinds.endpoints(),
        "Where to serve /metrics, for example tcp:9464:interface=127.0.0.1. Empty: nowhere.",
    )


@dataclass(frozen=True, slots=True)
class ManholeSection:
    """A Python shell in the running node, over SSH (docs/operators/manhole.rst): full power for who gets in."""

    listen: tuple[str, ...] = key(
        "",
        kinds.local_endpoints(),
        "Where to serve it, for example unix:manhole.sock or tcp:24122:interface=127.0.0.1. Empty: nowhere.",
    )
    authorized_keys: Path | None = key(
        "",
        kinds.optional_path(),
        "File with the public keys that may enter, in OpenSSH's format; it is read at every login. Needed by listen.",
    )
    idle_minutes: int = key(
        "15", kinds.integer(1, 1_440, "minutes"), "A session in which no key is pressed for so long is closed."
    )


@dataclass(frozen=True, slots=True)
class WalletSection:
    """Wallets in the node (docs/operators/wallet.rst)."""

    enabled: bool = key("yes", kinds.boolean(), "Whether this node may hold wallets; none is made by itself.")
    dir: Path | None = key(
        "",
        kinds.optional_path(),
        "The directory of the wallets, one directory each. Empty: wallets in the data directory.",
    )
    load: tuple[str, ...] = key(
        "",
        kinds.wallet_names(),
        "Wallets to load at the start, besides those made or loaded with load_on_startup.",
    )
    gap_limit: int = key(
        "20",
        kinds.integer(1, 10_000, "addresses"),
        "Unused addresses watched beyond the last one used. More finds more when restoring from words, and is slower.",
    )
    payments_ahead: int = key(
        "100",
        kinds.integer(0, 10_000, "payments"),
        "Payments that a wallet keeps possible until the next block when it pays often, by splitting change. 0: never.",
    )


@dataclass(frozen=True, slots=True)
class Config:
    """A whole node.ini, valid in itself; ``source`` is the file's name for later complaints."""

    source: str
    node: NodeSection
    p2p: P2PSection
    rpc: RpcSection
    push: PushSection
    masternode: MasternodeSection
    storage: StorageSection
    sync: SyncSection
    signing: SigningSection
    metrics: MetricsSection
    manhole: ManholeSection
    wallet: WalletSection

    @property
    def wallet_dir(self) -> Path:
        """The directory of the wallets."""
        return self.wallet.dir or self.data_dir / "wallets"

    @property
    def data_dir(self) -> Path:
        """The node's data directory, absolute."""
        return self.node.data_dir or Path.home() / ".timecoin" / self.node.network

    @property
    def genesis_path(self) -> Path:
        """The genesis file: given, else in the data directory, else built in; it need not exist."""
        if self.node.genesis is not None:
            return self.node.genesis
        own = self.data_dir / "genesis.json"
        built_in = Path(__file__).with_name("genesis") / f"{self.node.network}.json"
        return built_in if built_in.exists() and not own.exists() else own

    @property
    def p2p_endpoints(self) -> tuple[str, ...]:
        """Server endpoint strings for peers."""
        return _listen(self.p2p.listen, f"tcp:{networks.get(self.node.network).p2p_port}")

    @property
    def rpc_endpoints(self) -> tuple[str, ...]:
        """Server endpoint strings for RPC; none when RPC is disabled."""
        if not self.rpc.enabled:
            return ()
        return _listen(self.rpc.listen, f"tcp:{networks.get(self.node.network).rpc_port}:interface=127.0.0.1")

    @property
    def metrics_endpoints(self) -> tuple[str, ...]:
        """Server endpoint strings for metrics."""
        return _listen(self.metrics.listen, "none")

    @property
    def manhole_endpoints(self) -> tuple[str, ...]:
        """Server endpoint strings for the manhole."""
        return self.manhole.listen

    @property
    def cookie_path(self) -> Path:
        """The file with the RPC password of the running node."""
        return self.data_dir / ".cookie"


def _listen(given: tuple[str, ...], default: str) -> tuple[str, ...]:
    chosen = given or (default,)
    return () if chosen == ("none",) else chosen


def sections() -> dict[str, type[Any]]:
    """Section names, in the file's order, and their dataclasses."""
    return {
        "node": NodeSection,
        "p2p": P2PSection,
        "rpc": RpcSection,
        "push": PushSection,
        "masternode": MasternodeSection,
        "storage": StorageSection,
        "sync": SyncSection,
        "signing": SigningSection,
        "metrics": MetricsSection,
        "manhole": ManholeSection,
        "wallet": WalletSection,
    }


def specs(section: type[Any]) -> dict[str, Spec]:
    """Keys of a section, in the file's order, and their declarations."""
    return {each.name: _spec(each) for each in fields(section)}


def _spec(declared: Field[Any]) -> Spec:
    assert declared.default is MISSING
    spec: Spec = declared.metadata["spec"]
    return spec


def load(path: str | Path) -> Config:
    """Read, type and check node.ini; touches nothing else but the files it names. Raises ``ConfigError``."""
    where = Path(path).absolute()
    try:
        with where.open("rb") as file:
            raw = file.read(_MAX_FILE_BYTES + 1)
        if len(raw) > _MAX_FILE_BYTES:
            raise ConfigError(str(path), "is larger than 1 MB: not a node.ini")
        text = raw.decode("utf-8")
    except OSError as problem:
        raise ConfigError(str(path), f"cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "is not UTF-8 text") from None
    return parse(text, str(path), where.parent)


def parse(text: str, source: str, base: Path) -> Config:
    """The configuration written in ``text``; relative paths count from ``base``. Raises ``ConfigError``."""
    written = _read_ini(text, source)
    known = sections()
    for name in written:
        if name not in known:
            raise ConfigError(source, f"unknown section{_guess(name, known)}; allowed: {', '.join(known)}", name)
    built = {name: _section(kind, name, written.get(name, {}), source, base) for name, kind in known.items()}
    config = Config(source=source, **built)
    _check_together(config)
    return config


def _read_ini(text: str, source: str) -> dict[str, dict[str, str]]:
    # No DEFAULT section, no interpolation and case-sensitive keys: what is written is what is meant.
    parser = configparser.ConfigParser(
        default_section="\0",
        interpolation=None,
        strict=True,
        delimiters=("=",),
        comment_prefixes=("#", ";"),
        empty_lines_in_values=False,
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text, source)
    except configparser.DuplicateSectionError as problem:
        raise ConfigError(source, f"is there twice (line {problem.lineno})", problem.section) from None
    except configparser.DuplicateOptionError as problem:
        raise ConfigError(source, f"is there twice (line {problem.lineno})", problem.section, problem.option) from None
    except configparser.MissingSectionHeaderError as problem:
        raise ConfigError(source, f"line {problem.lineno}: a [section] must come first") from None
    except configparser.ParsingError as problem:
        raise ConfigError(
            source, f"line {problem.errors[0][0]}: neither a [section], a key = value nor a # comment"
        ) from None
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _section(kind: type[T], name: str, written: dict[str, str], source: str, base: Path) -> T:
    known = specs(kind)
    for each in written:
        if each not in known:
            raise ConfigError(source, f"unknown key{_guess(each, known)}; allowed: {', '.join(known)}", name, each)
    values = {
        each: _value(spec, name, each, written.get(each, spec.default), source, base) for each, spec in known.items()
    }
    return kind(**values)


def _value(spec: Spec, section: str, name: str, text: str, source: str, base: Path) -> object:
    try:
        return spec.kind.read(text.strip(), base)
    except (ValueError, KeyError, RuntimeError):
        shown = "" if spec.kind.secret else f"= {text.strip()!r}: "
        raise ConfigError(source, f"{shown}must be {spec.kind.allowed}", section, name) from None


def _guess(name: str, known: dict[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _check_together(config: Config) -> None:
    """What only several keys together can break."""
    if config.masternode.enabled and config.masternode.operator_key_file is None:
        raise ConfigError(config.source, "must be given when enabled = yes", "masternode", "operator_key_file")
    if config.manhole.listen and config.manhole.authorized_keys is None:
        raise ConfigError(config.source, "must be given when listen is", "manhole", "authorized_keys")
    seen: dict[str, str] = {}
    for section in ("p2p", "rpc", "metrics", "manhole"):
        for endpoint in getattr(config, f"{section}_endpoints"):
            if endpoint in seen:
                raise ConfigError(
                    config.source, f"= {endpoint!r}: is taken by [{seen[endpoint]}] listen", section, "listen"
                )
            seen[endpoint] = section
    _check_rpc_endpoints(config)


def _check_rpc_endpoints(config: Config) -> None:
    """Whether RPC is open to other machines by mistake, and whether its TLS is what the documents say."""
    for endpoint in config.rpc_endpoints:
        if not is_local(endpoint) and not config.rpc.allow_ip:
            problem = f"= {endpoint!r}: others than this machine can reach it, so allow_ip must say who may"
            raise ConfigError(config.source, problem, "rpc", "listen")
        files = [each.partition("=")[2] for each in words(endpoint) if each.startswith(("privateKey=", "certKey="))]
        if endpoint.startswith("ssl:") and (not files or not all(each.startswith("/") for each in files)):
            problem = f"= {endpoint!r}: ssl: needs privateKey=FILE, and paths that begin with /"
            raise ConfigError(config.source, problem, "rpc", "listen")
        if ":sslmethod=" in endpoint:
            raise ConfigError(config.source, f"= {endpoint!r}: sslmethod would allow old TLS", "rpc", "listen")
