"""Small deterministic networks for tests: keys, a funded genesis, signed payments, applied blocks.

>>> chain = Chain(network(4))                    # four Gold masternodes, funded accounts, block 0 applied
>>> tx = chain.payment(chain.account(0), chain.account(1), 5 * COIN)
>>> chain.interim([tx]); chain.close()           # verified as every node verifies, then applied
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

from timecoin.ledger.assembly import Assembled, BlockTx, assemble
from timecoin.ledger.coins import Coin
from timecoin.ledger.commits import precommit_digest
from timecoin.ledger.first import first_block
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.genesis_builder import FirstMasternode, build_genesis
from timecoin.ledger.params import Parameters
from timecoin.ledger.payload import FREE, Payload, Register, signing_digest
from timecoin.ledger.payload import encode as encode_payload
from timecoin.ledger.payload import sign as sign_payload
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.resolving import block_signature_checks, resolve
from timecoin.ledger.rotation import proposer
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.state import LedgerState
from timecoin.ledger.tiers import Tier
from timecoin.ledger.verify import verify_block
from timecoin.primitives.amounts import COIN
from timecoin.primitives.block import EMPTY_COMMIT, Block, Commit, Header
from timecoin.primitives.hashes import sha256, sha256d
from timecoin.primitives.script import multisig, op_return, p2wsh
from timecoin.primitives.sighash import Bip143
from timecoin.primitives.signing import check_all, get_backend
from timecoin.primitives.transaction import OutPoint, Transaction, TxInput, TxOutput
from timecoin.simulation import keys

BACKEND = get_backend()
GENESIS_TIME = 1_700_000_000
ACCOUNTS = 4
FUNDS = 1_000 * COIN
"""What each account holds at genesis, in base units."""

FEE = 100_000
"""A fee that is always enough for small transactions, in base units."""


class Key(keys.Key):
    """A key pair by name; the same name is the same key in every test and process."""

    realm = b"tests"

    def sign_compact(self, digest: bytes) -> bytes:
        """64 bytes."""
        return BACKEND.sign_compact(self.secret, digest)


@cache
def key(name: str) -> Key:
    """The key called ``name``; made once a process."""
    return Key(name)


def account(number: int) -> Key:
    """The key of account ``number``, funded at genesis when below the network's count of accounts."""
    return key(f"account {number}")


def operator(number: int) -> Key:
    """The operator key of genesis masternode ``number``."""
    return key(f"operator {number}")


def owner(number: int) -> Key:
    """The owner key of genesis masternode ``number``; it also holds the collateral."""
    return key(f"owner {number}")


def payout(number: int) -> Key:
    """The key to which genesis masternode ``number`` has its rewards paid."""
    return key(f"payout {number}")


def masternode(number: int, tier: Tier = Tier.GOLD) -> FirstMasternode:
    """Genesis masternode ``number``."""
    return FirstMasternode(
        operator(number).public,
        owner(number).public,
        payout(number).script,
        ServiceAddress.parse(f"10.0.{number // 250}.{number % 250 + 1}:24300"),
        tier,
        owner(number).script,
    )


def network(
    masternodes: int = 4,
    *,
    tier: Tier = Tier.GOLD,
    tiers: Sequence[Tier] | None = None,
    accounts: int = ACCOUNTS,
    funds: int = FUNDS,
    parameters: Parameters | None = None,
) -> Genesis:
    """The genesis of a devnet whose masternodes are ``tiers`` or ``masternodes`` of one ``tier``.

    Its allocations are the collaterals, then ``funds`` base units for each of ``accounts``.
    """
    chosen = tiers or [tier] * masternodes
    return build_genesis(
        "devnet",
        GENESIS_TIME,
        [masternode(number, each) for number, each in enumerate(chosen)],
        parameters=parameters,
        allocations=[TxOutput(funds, account(number).script) for number in range(accounts)],
    )


def sign(tx: Transaction, coins: Sequence[Coin], keys: Sequence[Key]) -> Transaction:
    """``tx`` with P2WPKH witnesses; ``coins`` and ``keys`` are of its inputs, in order."""
    hasher = Bip143(tx)
    inputs = [
        txin._replace(witness=signer.witness(hasher, index, coin.value))
        for index, (txin, coin, signer) in enumerate(zip(tx.inputs, coins, keys, strict=True))
    ]
    return Transaction(tx.version, tuple(inputs), tx.outputs, tx.lock_time)


def spend(
    spent: Sequence[tuple[OutPoint, Coin, Key]], outputs: Sequence[TxOutput], lock_time: int = 0
) -> Transaction:
    """A signed transaction with exactly these P2WPKH inputs and ``outputs``; what is left over is its fee."""
    bare = Transaction(2, tuple(TxInput(outpoint) for outpoint, _, _ in spent), tuple(outputs), lock_time)
    return sign(bare, [coin for _, coin, _ in spent], [signer for _, _, signer in spent])


def data_output(data: bytes) -> TxOutput:
    """A zero-value OP_RETURN of ``data``."""
    return TxOutput(0, op_return(data))


@dataclass(frozen=True)
class Vault:
    """An m-of-n P2WSH multisig."""

    required: int
    keys: tuple[Key, ...]

    @cached_property
    def witness_script(self) -> bytes:
        """The script in the witness."""
        return multisig(self.required, [each.public for each in self.keys])

    @cached_property
    def script(self) -> bytes:
        """The P2WSH script that pays to the vault."""
        return p2wsh(sha256(self.witness_script))

    def witness(
        self, hasher: Bip143, index: int, value: int, signers: Sequence[Key] | None = None
    ) -> tuple[bytes, ...]:
        """The witness by ``signers`` in their order (default: the first m keys)."""
        digest = hasher.digest(index, self.witness_script, value)
        chosen = self.keys[: self.required] if signers is None else signers
        signatures = [BACKEND.sign(each.secret, digest) + b"\x01" for each in chosen]
        return (b"", *signatures, self.witness_script)


def commit_by(
    header: Header,
    members: PowerSet,
    round_: int = 0,
    signers: Iterable[int] | None = None,
    keys: Callable[[bytes], Key] | None = None,
) -> Commit:
    """The commit of ``header``'s block by ``signers`` (indexes, default: all) of its set ``members``.

    ``keys`` finds an operator's key by its public one; the default knows genesis masternodes 0 to 127.
    """
    find = keys or _operator_of
    chosen = range(len(members)) if signers is None else sorted(signers)
    entries = []
    for signer in chosen:
        digest = precommit_digest(
            header.chain_id, header.epoch, members.set_hash, signer, header.height, round_, header.hash
        )
        entries.append((signer, find(members.members[signer].operator_key).sign_compact(digest)))
    return Commit(header.height, round_, header.hash, tuple(entries))


@lru_cache(maxsize=1)
def _operators() -> dict[bytes, Key]:
    return {operator(number).public: operator(number) for number in range(128)}


def _operator_of(public: bytes) -> Key:
    return _operators()[public]


class Chain:
    """A chain in memory: applies blocks after verifying them, keeps the coins in a plain dict.

    ``state`` is after the tip, ``coins`` the UTXO set, ``blocks`` all blocks, ``commits`` the commit of
    each (the empty one for block 0), ``operators`` finds keys of operators that joined later.
    """

    def __init__(self, genesis: Genesis | None = None) -> None:
        self.genesis = genesis or network()
        self.params = self.genesis.parameters
        first = first_block(self.genesis)
        self.state: LedgerState = first.state
        self.coins: dict[OutPoint, Coin] = dict(first.delta.added)
        self.blocks: list[Block] = [first.block]
        self.commits: list[Commit] = [EMPTY_COMMIT]
        self.operators: dict[bytes, Key] = {}
        self.reserved: set[OutPoint] = set()

    @property
    def tip_commit(self) -> Commit:
        """The commit that decided the tip: what the next block carries."""
        return self.commits[-1]

    @property
    def next_slot(self) -> int:
        """The first slot for the next closing block, Unix seconds."""
        return self.state.last_closing_slot + self.params.epoch_seconds

    def account(self, number: int) -> Key:
        """The key of account ``number``."""
        return account(number)

    def coins_of(self, holder: Key | Vault) -> list[tuple[OutPoint, Coin]]:
        """The unspent coins of ``holder``, largest first, ties by outpoint; reserved ones left out."""
        found = [
            (outpoint, coin)
            for outpoint, coin in self.coins.items()
            if coin.script == holder.script and outpoint not in self.reserved
        ]
        return sorted(found, key=lambda item: (-item[1].value, item[0]))

    def balance(self, holder: Key | Vault) -> int:
        """The sum of the unspent coins of ``holder``, base units."""
        return sum(coin.value for coin in self.coins.values() if coin.script == holder.script)

    def payment(
        self,
        payer: Key,
        payee: Key | Vault,
        value: int,
        *,
        fee: int = FEE,
        extra: Sequence[TxOutput] = (),
    ) -> Transaction:
        """A signed payment from the payer's largest coin with change; that coin is reserved from then on."""
        outpoint, coin = self.coins_of(payer)[0]
        self.reserved.add(outpoint)
        outputs = [TxOutput(value, payee.script), *extra]
        change = coin.value - fee - sum(output.value for output in outputs)
        if change >= self.params.dust:
            outputs.append(TxOutput(change, payer.script))
        return spend([(outpoint, coin, payer)], outputs)

    def carrier(
        self,
        payer: Key,
        payload: Payload,
        *,
        owner: Key | None = None,
        operator: Key | None = None,
        outputs: Sequence[TxOutput] = (),
        fee: int = FEE,
    ) -> Transaction:
        """A transaction of ``outputs`` and change with ``payload``, signed by ``owner`` and ``operator``."""
        outpoint, coin = self.coins_of(payer)[0]
        self.reserved.add(outpoint)
        digest = signing_digest(self.state.chain_id, sha256d(outpoint), payload)
        signed = sign_payload(
            BACKEND,
            payload,
            digest,
            owner=owner and owner.secret,
            operator=operator and operator.secret,
        )
        change = coin.value - fee - sum(output.value for output in outputs)
        all_outputs = [*outputs, TxOutput(change, payer.script), data_output(encode_payload(signed))]
        return spend([(outpoint, coin, payer)], all_outputs)

    def registration(self, payer: Key, number: int, tier: Tier = Tier.BRONZE) -> Transaction:
        """The registration of masternode ``number`` by ``payer``; output 0 is a paid one's collateral."""
        new = masternode(number, tier)
        is_free = tier is Tier.FREE
        locked = TxOutput(self.params.threshold(tier), owner(number).script)
        index = FREE if is_free else 0
        payload = Register(index, new.operator_key, new.owner_key, new.payout, new.service)
        return self.carrier(payer, payload, operator=operator(number), outputs=() if is_free else (locked,))

    def resolve(self, txs: Sequence[Transaction]) -> list[BlockTx]:
        """``txs`` with their coins, checked as in a block of them all."""
        return resolve(self.params, self.state, txs, self.coins.get)

    def assemble(
        self,
        txs: Sequence[Transaction] = (),
        *,
        closing: bool = True,
        slot_time: int | None = None,
        round_: int = 0,
        evidence: Sequence[bytes] = (),
    ) -> Assembled:
        """The next block, not applied."""
        slot = (
            (self.next_slot if closing else self.state.last_closing_slot) if slot_time is None else slot_time
        )
        return assemble(
            self.params,
            self.state,
            closing=closing,
            slot_time=slot,
            proposer_index=proposer(self.state.current, self.state.priorities, round_),
            round=round_,
            txs=self.resolve(txs),
            last_commit=self.tip_commit,
            evidence=evidence,
        )

    def commit(self, block: Block, signers: Iterable[int] | None = None, round_: int = 0) -> Commit:
        """The commit of the next ``block`` by ``signers`` (indexes in S(epoch), default: all)."""
        return commit_by(block.header, self.state.current, round_, signers, self._operator)

    def _operator(self, public: bytes) -> Key:
        return self.operators.get(public) or _operator_of(public)

    def verify(self, block: Block) -> Assembled:
        """``block`` as every node verifies it: content, order, header, last commit, signatures."""
        txs = self.resolve(block.transactions[1:])
        if not check_all(BACKEND, block_signature_checks(txs)):
            raise AssertionError("a signature in a test's block is not valid")
        return verify_block(self.params, self.state, block, txs, BACKEND, self.archived_in)

    def archived_in(self, txid: bytes, epoch: int) -> int | None:
        """The height of the block of ``epoch`` that holds ``txid``."""
        for block in self.blocks:
            if block.header.epoch == epoch and any(tx.txid == txid for tx in block.transactions):
                return block.header.height
        return None

    def apply(self, block: Block, commit: Commit | None = None) -> Assembled:
        """Verify ``block``, make it the tip and return it; ``commit`` decided it (default: all members)."""
        verified = self.verify(block)
        self.commits.append(self.commit(block) if commit is None else commit)
        for outpoint in verified.delta.removed:
            del self.coins[outpoint]
        self.coins.update(verified.delta.added)
        self.blocks.append(block)
        self.state = verified.state
        return verified

    def interim(
        self,
        txs: Sequence[Transaction],
        signers: Iterable[int] | None = None,
        evidence: Sequence[bytes] = (),
    ) -> Block:
        """Build, verify and apply an interim block."""
        block = self.assemble(txs, closing=False, evidence=evidence).block
        return self.apply(block, self.commit(block, signers)).block

    def close(
        self,
        txs: Sequence[Transaction] = (),
        signers: Iterable[int] | None = None,
        slot_time: int | None = None,
        evidence: Sequence[bytes] = (),
    ) -> Block:
        """Build, verify and apply a closing block."""
        block = self.assemble(txs, slot_time=slot_time, evidence=evidence).block
        return self.apply(block, self.commit(block, signers)).block


@lru_cache(maxsize=8)
def _payments_base(count: int) -> tuple[Genesis, tuple[Transaction, ...]]:
    genesis = network(4, accounts=count, funds=10 * COIN)
    chain = Chain(genesis)
    made = {coin.script: (outpoint, coin) for outpoint, coin in chain.coins.items()}
    txs = []
    for number in range(count):
        payer = account(number)
        outpoint, coin = made[payer.script]
        outputs = [
            TxOutput(COIN, account(number + 1).script),
            TxOutput(coin.value - COIN - FEE, payer.script),
        ]
        txs.append(spend([(outpoint, coin, payer)], outputs))
    return genesis, tuple(txs)


def many_payments(count: int) -> tuple[Chain, tuple[Transaction, ...]]:
    """A fresh chain with ``count`` accounts and one signed 1-in/2-out payment of each."""
    genesis, txs = _payments_base(count)
    return Chain(genesis), txs
