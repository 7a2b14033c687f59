"""Output descriptors (BIP 380 to 383, 385, 389) as far as the ledger can hold what they describe.

``wpkh(KEY)``, ``wsh(multi(m,KEY,…))``, ``wsh(sortedmulti(m,KEY,…))``, and for watching alone ``addr(ADDRESS)`` and
``raw(HEX)``. All else of Bitcoin's is refused by name. The grammar is this small, and what money depends on, so it is
parsed here strictly; embit's parser, which is lenient with numbers, is what the tests compare with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, NoReturn

from timecoin.ledger.networks import Network
from timecoin.primitives import address, script
from timecoin.primitives.hashes import hash160, sha256

from .checksums import checked, with_checksum
from .errors import BadDescriptor, NotPrivate, UnsupportedDescriptor
from .key_expressions import Derivation, KeyExpression, parse_key
from .paths import is_hardened

__all__ = ["Derivation", "Descriptor", "Expansion", "account_descriptors", "multisig_descriptor", "parse_all"]

_CALL: Final = re.compile(r"([a-z_0-9]+)\((.*)\)", re.ASCII | re.DOTALL)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_OTHERS: Final = (
    "pk",
    "pkh",
    "sh",
    "combo",
    "tr",
    "rawtr",
    "multi",
    "sortedmulti",
    "multi_a",
    "sortedmulti_a",
    "musig",
)


class Expansion(NamedTuple):
    """What a descriptor is at one index.

    ``script`` the output script; ``witness_script`` of a P2WSH one, otherwise None (also where only the address is
    known); ``keys`` in the order in which the script has them, empty for ``addr`` and ``raw``.
    """

    script: bytes
    witness_script: bytes | None
    keys: tuple[Derivation, ...]


class _Plan(NamedTuple):
    """``kind``: wpkh, multi, sortedmulti, addr or raw; ``m`` signatures of a multisig; ``script`` of addr and raw."""

    kind: str
    keys: tuple[KeyExpression, ...] = ()
    m: int = 0
    script: bytes = b""


class Descriptor:
    """One descriptor of one chain (a multipath text makes two, see :func:`parse_all`); immutable.

    ``repr`` shows the public form; pickling is refused, because it might be private.
    """

    __slots__ = ("_plan", "_settled", "network", "public_text")

    def __init__(self, plan: _Plan, network: Network) -> None:
        self._plan = plan
        self.network = network
        public = tuple(key.public() for key in plan.keys)
        self._settled = tuple(key.settled() for key in public)
        self.public_text: str = with_checksum(_text(plan._replace(keys=public), network, reveal=False))
        """The text without secrets, with its checksum: hardened steps stand in the keys' origins."""

    @classmethod
    def parse(cls, text: str, network: Network, checksum_required: bool = False) -> Descriptor:
        """The one descriptor in *text*; ``BadDescriptor`` as :func:`parse_all`, also for a multipath text."""
        found = parse_all(text, network, checksum_required)
        if len(found) > 1:
            raise BadDescriptor("a descriptor with <…;…> stands for two; one is wanted here")
        return found[0]

    @property
    def descriptor_id(self) -> bytes:
        """SHA-256 of :attr:`public_text`: the name under which it is stored, public or private."""
        return sha256(self.public_text.encode("ascii"))

    @property
    def kind(self) -> str:
        """``wpkh``, ``multi``, ``sortedmulti``, ``addr`` or ``raw``."""
        return self._plan.kind

    @property
    def threshold(self) -> int:
        """Signatures that a spend needs; 0 where it is not known."""
        return 1 if self.kind == "wpkh" else self._plan.m

    @property
    def keys(self) -> tuple[KeyExpression, ...]:
        """The key expressions as parsed (perhaps private), in the order of the text."""
        return self._plan.keys

    @property
    def is_ranged(self) -> bool:
        """Whether there is a script for each index, not just one."""
        return any(key.ranged for key in self._plan.keys)

    @property
    def is_private(self) -> bool:
        """Whether a secret of any key is in it."""
        return any(key.is_private for key in self._plan.keys)

    @property
    def is_solvable(self) -> bool:
        """Whether all that a spend needs but signatures is known: false for ``addr`` and ``raw``."""
        return bool(self._plan.keys)

    def public(self) -> Descriptor:
        """The same without secrets."""
        return Descriptor(self._plan._replace(keys=tuple(key.public() for key in self._plan.keys)), self.network)

    def joined(self, other: Descriptor) -> Descriptor:
        """The same with the secrets of both; ``BadDescriptor`` when *other* does not describe the same scripts.

        The owner of two keys of a shared wallet may bring them one after the other.
        """
        if self != other:
            raise BadDescriptor("the descriptors differ")
        keys = tuple(theirs if theirs.is_private else mine for mine, theirs in zip(self.keys, other.keys, strict=True))
        return Descriptor(self._plan._replace(keys=keys), self.network)

    def reveal(self) -> str:
        """The text with its secrets and checksum: **secret**; ``NotPrivate``."""
        if not self.is_private:
            raise NotPrivate("the descriptor holds public keys only")
        return with_checksum(_text(self._plan, self.network, reveal=True))

    def script(self, index: int = 0) -> bytes:
        """The output script at *index* (0 to 2^31 − 1); 40 µs a key. ``BadDescriptor`` for another index."""
        _check_index(index)
        return self._built([key.public_key(index) for key in self._settled])[0]

    def scripts(self, index: int = 0) -> tuple[bytes, ...]:
        """The output scripts at *index*, of which these descriptors have one."""
        return (self.script(index),)

    def expand(self, index: int = 0) -> Expansion:
        """Script, witness script and where each key comes from, at *index*; raises as :meth:`script`."""
        _check_index(index)
        keys = [key.derivation(index) for key in self._settled]
        output, witness = self._built([key.public_key for key in keys])
        return Expansion(output, witness, tuple(sorted(keys) if self.kind == "sortedmulti" else keys))

    def secrets(self, index: int = 0) -> dict[bytes, bytes]:
        """The private keys (32 bytes) at *index* by public key (33), of those that are here; **secret**."""
        _check_index(index)
        private = [key for key in self._plan.keys if key.is_private]
        return {key.public_key(index): key.secret(index) for key in private}

    def _built(self, keys: Sequence[bytes]) -> tuple[bytes, bytes | None]:
        """Output script and witness script of *keys*, which stand in the order of the text."""
        if not keys:
            return self._plan.script, None
        if self.kind == "wpkh":
            return script.p2wpkh(hash160(keys[0])), None
        witness = script.multisig(self._plan.m, sorted(keys) if self.kind == "sortedmulti" else keys)
        return script.p2wsh(sha256(witness)), witness

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Descriptor):
            return NotImplemented
        return self.public_text == other.public_text and self.network == other.network

    def __hash__(self) -> int:
        return hash(self.public_text)

    def __repr__(self) -> str:
        return f"<Descriptor {self.public_text}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a descriptor is not pickled; store its text")


def _check_index(index: int) -> None:
    if index < 0 or is_hardened(index):
        raise BadDescriptor("an index is from 0 to 2^31 - 1")


def parse_all(text: str, network: Network, checksum_required: bool = False) -> tuple[Descriptor, ...]:
    """The descriptors in *text*: one, or with ``<0;1>`` two, that of receiving first (BIP 389).

    Raises ``BadDescriptor`` (malformed, wrong checksum or network), ``UnsupportedDescriptor`` (what this ledger cannot
    hold or a wallet cannot watch). No message quotes a key.
    """
    name, inside = _call(checked(text, checksum_required))
    if name not in _PARSERS:
        raise _unsupported(name)
    return tuple(Descriptor(plan, network) for plan in _PARSERS[name](inside, network))


def account_descriptors(key: str, network: Network) -> tuple[Descriptor, ...]:
    """The receiving and the change descriptor (BIP 84) of *key*: an xpub or xprv, with or without its origin.

    With a bare xpub this is how a wallet is watched that somebody else signs for. Raises as :func:`parse_all`.
    """
    return parse_all(f"wpkh({key}/<0;1>/*)", network)


def multisig_descriptor(m: int, keys: Sequence[str], network: Network, sort: bool = True) -> tuple[Descriptor, ...]:
    """The wallet that *m* of the owners of *keys* share: receiving and change descriptors.

    *keys* are key expressions without what follows the extended key, like ``Account.public_expression``; ``/<0;1>/*``
    is appended. With *sort* the order of the keys is of no account (BIP 67). Raises as :func:`parse_all`.
    """
    listed = ",".join(f"{key}/<0;1>/*" for key in keys)
    return parse_all(f"wsh({'sortedmulti' if sort else 'multi'}({m},{listed}))", network)


def _call(text: str) -> tuple[str, str]:
    match = _CALL.fullmatch(text)
    if match is None:
        raise BadDescriptor("a descriptor is a function and its arguments in parentheses")
    return match[1], match[2]


def _unsupported(name: str) -> BadDescriptor:
    if name in _OTHERS:
        return UnsupportedDescriptor(f"{name}() makes outputs that this ledger does not have; wpkh() and wsh() do")
    return BadDescriptor("unknown descriptor function")


def _parse_wpkh(inside: str, network: Network) -> tuple[_Plan, ...]:
    return tuple(_Plan("wpkh", (key,)) for key in parse_key(inside, network))


def _parse_wsh(inside: str, network: Network) -> tuple[_Plan, ...]:
    try:
        kind, arguments = _call(inside)
    except BadDescriptor:
        raise UnsupportedDescriptor("wsh() holds multi() or sortedmulti() here") from None
    if kind not in ("multi", "sortedmulti"):
        raise UnsupportedDescriptor("wsh() holds multi() or sortedmulti() here")
    number, *texts = arguments.split(",")
    m = _threshold(number, len(texts))
    choices = [parse_key(each, network) for each in texts]
    chains = {len(choice) for choice in choices} - {1}
    chain_count = chains.pop() if chains else 1
    plans = [_chain(kind, m, choices, chain) for chain in range(chain_count)]
    return tuple(plans)


def _chain(kind: str, m: int, choices: Sequence[tuple[KeyExpression, ...]], chain: int) -> _Plan:
    keys = tuple(choice[chain if len(choice) > 1 else 0] for choice in choices)
    probe = [key.public_key(0) for key in keys]
    if len(set(probe)) != len(probe):
        raise BadDescriptor("the same key stands twice in a multisig")
    return _Plan(kind, keys, m)


def _threshold(number: str, keys: int) -> int:
    most = script.MAX_MULTISIG_KEYS
    if not _NUMBER.fullmatch(number):
        raise BadDescriptor("a multisig begins with the number of signatures")
    if keys > most or int(number) > most:
        raise UnsupportedDescriptor(f"a multisig has at most {most} keys here")
    if int(number) > keys:
        raise BadDescriptor(f"{int(number)} signatures of {keys} keys are not possible")
    return int(number)


def _parse_addr(inside: str, network: Network) -> tuple[_Plan, ...]:
    try:
        return (_Plan("addr", script=address.decode(inside, network.hrp)),)
    except address.AddressError as error:
        raise BadDescriptor(str(error)) from None


def _parse_raw(inside: str, network: Network) -> tuple[_Plan, ...]:
    try:
        output = bytes.fromhex(inside) if not re.search(r"\s", inside) else b""
    except ValueError:
        raise BadDescriptor("raw() holds hexadecimal digits") from None
    if script.program(output) is None:
        raise UnsupportedDescriptor("raw() holds a P2WPKH or P2WSH script here: nothing else can be spent")
    return (_Plan("raw", script=output),)


_PARSERS: Final[dict[str, Callable[[str, Network], tuple[_Plan, ...]]]] = {
    "wpkh": _parse_wpkh,
    "wsh": _parse_wsh,
    "addr": _parse_addr,
    "raw": _parse_raw,
}


def _text(plan: _Plan, network: Network, reveal: bool) -> str:
    keys = [key.text(reveal) for key in plan.keys]
    if plan.kind == "wpkh":
        return f"wpkh({keys[0]})"
    if plan.kind == "addr":
        return f"addr({address.encode(plan.script, network.hrp)})"
    if plan.kind == "raw":
        return f"raw({plan.script.hex()})"
    return f"wsh({plan.kind}({','.join([str(plan.m), *keys])}))"
