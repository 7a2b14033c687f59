"""Verifying: whatever is tampered with is refused, each with the error of its own rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import BACKEND, COIN, FEE, Chain, account, data_output, network, operator, spend
from timecoin.ledger import errors
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.blocktx import BlockTx
from timecoin.ledger.coins import Coin
from timecoin.ledger.commits import check_commit, precommit_digest
from timecoin.ledger.resolving import block_signature_checks, resolve
from timecoin.ledger.verify import check_header, verify_block, verify_proposal
from timecoin.primitives.block import EMPTY_COMMIT, Block, Commit, Header, evidence_hash
from timecoin.primitives.signing import check_all, get_backend
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput

_OTHER = b"\x77" * 32


class VerifyCase(SynchronousTestCase):
    """A chain in its second epoch with an interim block on top, and a good next block of either kind."""

    def setUp(self) -> None:
        self.chain = chain = Chain(network(4))
        chain.close()
        chain.interim([chain.payment(account(0), account(1), COIN)])
        self.txs = [chain.payment(account(number), account(3), COIN) for number in (1, 2)]
        self.closing = chain.assemble(self.txs)
        self.interim = chain.assemble(self.txs, closing=False)
        self.resolved = chain.resolve(self.txs)

    def propose(
        self,
        header: Header,
        txs: Sequence[BlockTx] | None = None,
        last_commit: Commit | None = None,
        evidence: tuple[bytes, ...] = (),
    ) -> Assembled:
        return verify_proposal(
            self.chain.params,
            self.chain.state,
            header,
            self.resolved if txs is None else txs,
            self.chain.tip_commit if last_commit is None else last_commit,
            evidence,
            BACKEND,
            self.chain.archived_in,
        )

    def refuse(self, error: type[errors.BlockInvalid], header: Header, **others: object) -> None:
        with self.assertRaises(errors.BlockInvalid) as caught:
            self.propose(header, **others)  # type: ignore[arg-type]
        self.assertIs(type(caught.exception), error)


def _changed(header: Header, **values: object) -> Header:
    return replace(header, **values)  # type: ignore[arg-type]


class HeaderTests(VerifyCase):
    def test_good(self) -> None:
        for good in (self.closing, self.interim):
            verified = self.propose(good.block.header)
            self.assertEqual(verified.block.encode(), good.block.encode())
            self.assertEqual(verified.state, good.state)
            self.assertEqual(verified.delta, good.delta)
            check_header(self.chain.state, good.block.header)

    def test_order_of_the_bodies_does_not_matter(self) -> None:
        self.propose(self.closing.block.header, txs=self.resolved[::-1])

    def test_every_field(self) -> None:
        header = self.closing.block.header
        tampered: dict[str, tuple[object, type[errors.BlockInvalid]]] = {
            "version": (header.version + 1, errors.BadBlockVersion),
            "previous": (_OTHER, errors.BadPrevious),
            "tx_root": (_OTHER, errors.BadTxRoot),
            "slot_time": (header.slot_time + 1, errors.BadSlotTime),
            "tx_count": (header.tx_count + 1, errors.BadTxCount),
            "chain_id": (_OTHER, errors.BadChainId),
            "height": (header.height + 1, errors.BadHeight),
            "epoch": (header.epoch + 1, errors.BadEpoch),
            "closing": (False, errors.BadSlotTime),
            "wtx_root": (_OTHER, errors.BadWtxRoot),
            "last_commit_hash": (_OTHER, errors.BadCommitHash),
            "evidence_hash": (_OTHER, errors.BadEvidenceHash),
            "set_hash": (_OTHER, errors.BadSetHash),
            "next_set_hash": (_OTHER, errors.BadNextSetHash),
            "state_hash": (_OTHER, errors.BadStateHash),
            "utxo_commitment": (_OTHER, errors.BadUtxoCommitment),
            "proposer_index": ((header.proposer_index + 1) % 4, errors.BadProposer),
            "round": (1, errors.BadProposer),
        }
        self.assertEqual(set(tampered), {each.name for each in fields(Header)} - {"_hash"})
        for name, (value, error) in tampered.items():
            with self.subTest(name):
                self.refuse(error, _changed(header, **{name: value}))

    def test_every_bit_of_the_encoding(self) -> None:
        """One bit of each byte is refused, but for the round's: a later one may have the same proposer."""
        raw = self.closing.block.header.encode()
        for at in range(len(raw) - 4):
            changed = bytearray(raw)
            changed[at] ^= 1
            try:
                header = Header.decode(bytes(changed))
            except ValueError:
                continue
            with self.assertRaises(errors.BlockInvalid):
                self.propose(header)

    def test_kind_swapped_with_a_fitting_slot(self) -> None:
        interim, closing = self.interim.block.header, self.closing.block.header
        self.refuse(errors.BadTxRoot, _changed(interim, closing=True, slot_time=closing.slot_time))
        self.refuse(errors.BadTxRoot, _changed(closing, closing=False, slot_time=interim.slot_time))
        with_root = _changed(closing, tx_root=interim.tx_root, wtx_root=interim.wtx_root)
        swapped = _changed(with_root, closing=False, slot_time=interim.slot_time)
        self.refuse(errors.BadStateHash, swapped)

    def test_later_slot(self) -> None:
        """Another slot is another good block, but its state hash is another one as well."""
        later = self.closing.block.header.slot_time + 600
        self.refuse(errors.BadStateHash, _changed(self.closing.block.header, slot_time=later))
        self.propose(self.chain.assemble(self.txs, slot_time=later).block.header)

    def test_slots(self) -> None:
        last = self.chain.state.last_closing_slot
        for slot in (last, last - 600, 0, last + 601):
            self.refuse(errors.BadSlotTime, _changed(self.closing.block.header, slot_time=slot))
        for slot in (last + 600, last - 600, 0):
            self.refuse(errors.BadSlotTime, _changed(self.interim.block.header, slot_time=slot))

    def test_proposer_of_a_later_round(self) -> None:
        for round_ in range(1, 6):
            header = self.chain.assemble(self.txs, round_=round_).block.header
            self.propose(header)
            self.refuse(errors.BadProposer, _changed(header, proposer_index=9))

    def test_one_masternode_proposes_in_all_rounds(self) -> None:
        self.chain = Chain(network(1))
        self.resolved = []
        self.propose(self.chain.assemble(round_=3).block.header)


class ContentTests(VerifyCase):
    def test_transaction_missing_or_added(self) -> None:
        header = self.closing.block.header
        self.refuse(errors.BadTxCount, header, txs=self.resolved[:1])
        self.refuse(errors.BadTxRoot, _changed(header, tx_count=2), txs=self.resolved[:1])

    def test_empty_interim(self) -> None:
        self.refuse(errors.EmptyInterim, _changed(self.interim.block.header, tx_count=1), txs=[])

    def test_wrong_coin(self) -> None:
        """A coin with another value, code or script does not divide out of the commitment."""
        item = self.resolved[0]
        for change in ({"value": item.coins[0].value + 1}, {"code": 3}, {"script": account(9).script}):
            wrong = item._replace(coins=(item.coins[0]._replace(**change),))
            header = self.closing.block.header
            self.refuse(errors.BadUtxoCommitment, header, txs=[wrong, self.resolved[1]])

    def test_wrong_fee(self) -> None:
        wrong = self.resolved[0]._replace(fee=FEE + 4)
        self.refuse(errors.BadTxRoot, self.closing.block.header, txs=[wrong, self.resolved[1]])

    def test_another_witness(self) -> None:
        item = self.resolved[0]
        inputs = (item.tx.inputs[0]._replace(witness=(b"\x01", b"\x02")),)
        tx = Transaction(item.tx.version, inputs, item.tx.outputs, item.tx.lock_time)
        self.refuse(
            errors.BadWtxRoot, self.closing.block.header, txs=[item._replace(tx=tx), self.resolved[1]]
        )

    def test_evidence(self) -> None:
        evidence = (b"\x01 something",)
        self.refuse(errors.BadEvidenceHash, self.closing.block.header, evidence=evidence)
        header = _changed(self.closing.block.header, evidence_hash=evidence_hash(evidence))
        self.refuse(errors.BadEvidence, header, evidence=evidence)

    def test_stranger_in_the_pool(self) -> None:
        """A child whose parent is neither archived nor in the block."""
        parent = self.txs[0]
        output = parent.outputs[1]
        coin = Coin(2 * (self.chain.state.height + 1), output.value, output.script)
        child = spend([(parent.outpoint(1), coin, account(1))], [TxOutput(COIN, account(0).script)])
        txs = [BlockTx(child, (coin,), coin.value - COIN), self.resolved[1]]
        self.refuse(errors.BadTransaction, self.closing.block.header, txs=txs)


class LastCommitTests(VerifyCase):
    def header(self, commit: Commit) -> Header:
        return _changed(self.closing.block.header, last_commit_hash=commit.hash)

    def refuse_commit(self, commit: Commit) -> None:
        self.refuse(errors.BadCommit, self.header(commit), last_commit=commit)

    def test_none(self) -> None:
        self.refuse_commit(EMPTY_COMMIT)

    def test_no_quorum(self) -> None:
        good = self.chain.tip_commit
        self.refuse_commit(Commit(good.height, good.round, good.block_hash, good.signatures[:2]))

    def test_any_quorum_will_do(self) -> None:
        good = self.chain.tip_commit
        fewer = Commit(good.height, good.round, good.block_hash, good.signatures[1:])
        self.propose(self.header(fewer), last_commit=fewer)

    def test_bad_signature(self) -> None:
        good = self.chain.tip_commit
        spoiled = (*good.signatures[:3], (3, bytes(64)))
        self.refuse_commit(Commit(good.height, good.round, good.block_hash, spoiled))

    def test_of_another_block(self) -> None:
        self.refuse_commit(self.chain.commits[1])
        good = self.chain.tip_commit
        self.refuse_commit(Commit(good.height, good.round, _OTHER, good.signatures))
        self.refuse_commit(Commit(good.height + 1, good.round, good.block_hash, good.signatures))

    def test_good_signatures_for_something_else(self) -> None:
        state = self.chain.state
        for height, block_hash in ((state.height, _OTHER), (state.height + 1, state.block_hash)):
            entries = []
            for signer, member in enumerate(state.current.members):
                digest = precommit_digest(
                    state.chain_id, state.epoch, state.current.set_hash, signer, height, 0, block_hash
                )
                operator_key = next(
                    operator(n) for n in range(4) if operator(n).public == member.operator_key
                )
                entries.append((signer, operator_key.sign_compact(digest)))
            commit = Commit(height, 0, block_hash, tuple(entries))
            check_commit(state.chain_id, state.epoch, state.current, commit, BACKEND)
            self.refuse_commit(commit)

    def test_by_the_set_of_the_block_decided(self) -> None:
        """The commit for the closing block of epoch 1 is by S(1), under epoch 1, though epoch 2 is open."""
        chain = Chain(network(4))
        chain.close()
        self.assertEqual(chain.state.tip_set, chain.state.previous_set)
        chain.close()

    def test_block_one_has_none(self) -> None:
        chain = Chain(network(4))
        good = chain.assemble()
        commit = Commit(0, 0, chain.state.block_hash, ((0, bytes(64)),))
        header = _changed(good.block.header, last_commit_hash=commit.hash)
        with self.assertRaises(errors.BadCommit):
            verify_proposal(chain.params, chain.state, header, [], commit, (), BACKEND, chain.archived_in)


class WholeBlockTests(VerifyCase):
    def verify(self, block: Block, txs: Sequence[BlockTx] | None = None) -> Assembled:
        given = self.chain.resolve(block.transactions[1:]) if txs is None else txs
        return verify_block(self.chain.params, self.chain.state, block, given, BACKEND, self.chain.archived_in)

    def with_transactions(self, transactions: tuple[Transaction, ...]) -> Block:
        good = self.closing.block
        return Block(good.header, transactions, good.last_commit, good.evidence)

    def test_good(self) -> None:
        block = Block.decode(self.closing.block.encode())
        self.assertEqual(self.verify(block).state, self.closing.state)
        self.assertTrue(check_all(BACKEND, block_signature_checks(self.chain.resolve(self.txs))))

    def test_both_backends_agree(self) -> None:
        block = self.closing.block
        other = verify_block(
            self.chain.params,
            self.chain.state,
            block,
            self.resolved_in(block),
            get_backend("ecdsa"),
            self.chain.archived_in,
        )
        self.assertEqual(other.state, self.closing.state)

    def resolved_in(self, block: Block) -> list[BlockTx]:
        return self.chain.resolve(block.transactions[1:])

    def test_order(self) -> None:
        first, *payments = self.closing.block.transactions
        with self.assertRaises(errors.BadTxOrder):
            self.verify(self.with_transactions((first, *payments[::-1])))
        twice = self.with_transactions((first, payments[0], payments[0]))
        with self.assertRaises(errors.DuplicateTransaction):
            self.verify(twice)

    def test_coinbase(self) -> None:
        first, *payments = self.closing.block.transactions
        other = Transaction(first.version, first.inputs, first.outputs[:-1], first.lock_time)
        with self.assertRaises(errors.BadCoinbase):
            self.verify(self.with_transactions((other, *payments)))
        with_witness = (first.inputs[0]._replace(witness=(bytes(32),)),)
        with self.assertRaises(errors.BadCoinbase):
            self.verify(self.with_transactions((Transaction(2, with_witness, first.outputs, 0), *payments)))
        with self.assertRaises(errors.BadCoinbase):
            self.verify(self.with_transactions(()), [])

    def test_coinbase_in_second_place(self) -> None:
        first = self.closing.block.transactions[0]
        with self.assertRaises(errors.BadTransaction) as caught:
            self.verify(self.with_transactions((first, first)))
        self.assertIsInstance(caught.exception.cause, errors.LooseCoinbase)

    def test_forged_signature(self) -> None:
        item = self.resolved[0]
        stolen = item.tx.inputs[0].witness
        tx = Transaction(2, (TxInput(item.tx.inputs[0].outpoint, witness=stolen),), item.tx.outputs[:1], 0)
        forged = item._replace(tx=tx)
        self.assertFalse(check_all(BACKEND, block_signature_checks([self.resolved[1], forged])))

    def test_malformed_witness(self) -> None:
        item = self.resolved[0]
        tx = Transaction(2, (TxInput(item.tx.inputs[0].outpoint),), item.tx.outputs, 0)
        with self.assertRaises(errors.BadTransaction) as caught:
            block_signature_checks([item._replace(tx=tx)])
        self.assertIsInstance(caught.exception.cause, errors.WitnessMalformed)


class ResolveTests(VerifyCase):
    def test_checked_before(self) -> None:
        """Only what did not pass in this epoch is checked again; the fee is the same either way."""
        outpoint, coin = self.chain.coins_of(account(0))[0]
        cheap = spend([(outpoint, coin, account(0))], [TxOutput(coin.value - 1, account(1).script)])
        with self.assertRaises(errors.BadTransaction) as caught:
            self.chain.resolve([cheap])
        self.assertIsInstance(caught.exception.cause, errors.FeeTooLow)
        known = resolve(self.chain.params, self.chain.state, [cheap], self.chain.coins.get, {cheap.wtxid})
        self.assertEqual(known, [BlockTx(cheap, (coin,), 1)])

    def test_parents_that_cannot_be_spent(self) -> None:
        parent = self.chain.payment(account(3), account(0), COIN, extra=[data_output(b"data")])
        for index in (1, 7):
            child = Transaction(2, (TxInput(parent.outpoint(index)),), (TxOutput(COIN, account(1).script),))
            with self.assertRaises(errors.BadTransaction) as caught:
                self.chain.resolve([parent, child])
            self.assertIsInstance(caught.exception.cause, errors.MissingInputs)

    def test_parent_in_the_block(self) -> None:
        """Before or after its child; its coin has the code that the block will give it."""
        parent = self.chain.payment(account(3), account(0), COIN)
        coin = Coin(2 * (self.chain.state.height + 1), COIN, account(0).script)
        child = spend([(parent.outpoint(0), coin, account(0))], [TxOutput(COIN - FEE, account(1).script)])
        expected = BlockTx(child, (coin,), FEE)
        self.assertEqual(self.chain.resolve([parent, child])[1], expected)
        self.assertEqual(self.chain.resolve([child, parent])[0], expected)
