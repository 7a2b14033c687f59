"""Prevotes and precommits: bodies, signatures, encodings; commits made of them."""

from __future__ import annotations

from dataclasses import replace
from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.heights import CHAIN_ID, EPOCH, HEIGHT, digest, make_precommit, make_prevote, power_set
from timecoin.consensus.commits import build_commit, merge_commits, precommits_of
from timecoin.consensus.votes import NIL, MalformedVote, Precommit, Prevote
from timecoin.ledger.commits import check_commit, precommit_digest
from timecoin.ledger.powerset import Member, PowerSet
from timecoin.ledger.statement import NotAMember, WrongSet
from timecoin.primitives.block import Commit
from timecoin.primitives.hashes import tagged_hash
from timecoin.primitives.signing import get_backend

MEMBERS = power_set((1, 1, 1, 1))
BLOCK = digest("block")
HASHES = st.binary(min_size=32, max_size=32)
SIGNATURES = st.binary(min_size=64, max_size=64)
U32 = st.integers(0, 2**32 - 1)


class VoteTests(SynchronousTestCase):
    def test_bodies(self) -> None:
        """Protocol.md 4: chain id, epoch, set hash, signer; then height, round, hash, and for a prevote its
        flags.
        """
        prefix = CHAIN_ID + pack("<I", EPOCH) + MEMBERS.set_hash + pack("<H", 2)
        middle = pack("<II", HEIGHT, 5) + BLOCK
        self.assertEqual(make_precommit(MEMBERS, 2, 5, BLOCK).body(), prefix + middle)
        self.assertEqual(make_prevote(MEMBERS, 2, 5, BLOCK).body(), prefix + middle + b"\x00")
        fresh = make_prevote(MEMBERS, 2, 5, BLOCK, fresh=True)
        self.assertEqual(fresh.body(), prefix + middle + b"\x01")
        self.assertEqual(fresh.digest, tagged_hash("timecoin/prevote", fresh.body()))

    def test_precommits_are_what_the_ledger_verifies_in_commits(self) -> None:
        vote = make_precommit(MEMBERS, 2, 5, BLOCK)
        expected = precommit_digest(CHAIN_ID, EPOCH, MEMBERS.set_hash, 2, HEIGHT, 5, BLOCK)
        self.assertEqual(vote.digest, expected)

    @settings(deadline=None, derandomize=True, max_examples=30, database=None)
    @given(st.tuples(HASHES, U32, HASHES, st.integers(0, 65535), U32, U32, HASHES, SIGNATURES))
    def test_round_trip(self, fields: tuple[object, ...]) -> None:
        precommit = Precommit(*fields)  # type: ignore[arg-type]
        self.assertEqual(Precommit.decode(precommit.encode()), precommit)
        for fresh in (False, not precommit.is_nil):
            prevote = Prevote(*fields, fresh)  # type: ignore[arg-type]
            self.assertEqual(Prevote.decode(prevote.encode()), prevote)

    def test_malformed(self) -> None:
        good = make_prevote(MEMBERS, 1, 0, BLOCK).encode()
        for bad in (b"", good[:-1], good + b"\x00", make_prevote(MEMBERS, 1, 0, NIL, fresh=True).encode()):
            self.assertRaises(MalformedVote, Prevote.decode, bad)
        unknown = bytearray(good)
        unknown[-65] = 2
        self.assertRaises(MalformedVote, Prevote.decode, bytes(unknown))
        self.assertRaises(MalformedVote, Precommit.decode, good)

    def test_checks(self) -> None:
        self.assertRaises(NotAMember, make_prevote(MEMBERS, 4, 0, BLOCK).check, MEMBERS)
        foreign = replace(make_precommit(MEMBERS, 1, 0, BLOCK), set_hash=NIL)
        self.assertRaises(WrongSet, foreign.check, MEMBERS)


class CommitTests(SynchronousTestCase):
    def test_commit_with_real_signatures(self) -> None:
        backend = get_backend()
        secrets = [digest("secret", i) for i in range(4)]
        members = PowerSet(
            Member(digest(i), backend.public_key(secret), 1, b"") for i, secret in enumerate(secrets)
        )
        votes = []
        for signer in (3, 0, 2):
            draft = make_precommit(members, signer, 7, BLOCK)
            vote = draft.signed(backend.sign_compact(secrets[signer], draft.digest))
            self.assertTrue(vote.check(members).holds(backend))
            self.assertFalse(replace(vote, round=8).check(members).holds(backend))
            votes.append(vote)
        commit = build_commit(HEIGHT, 7, BLOCK, [*votes, make_precommit(members, 1, 6, BLOCK)])
        self.assertEqual([signer for signer, _ in commit.signatures], [0, 2, 3])
        check_commit(CHAIN_ID, EPOCH, members, commit, backend)
        self.assertEqual(
            precommits_of(commit, CHAIN_ID, EPOCH, members.set_hash),
            tuple(sorted(votes, key=lambda vote: vote.signer)),
        )

    def test_merge(self) -> None:
        votes = [replace(make_precommit(MEMBERS, signer, 0, BLOCK), height=1) for signer in (0, 2)]
        kept = build_commit(1, 0, BLOCK, votes)
        late = Commit(1, 0, BLOCK, ((1, b"l" * 64), (2, b"x" * 64)))
        merged = merge_commits(kept, late)
        self.assertEqual([signer for signer, _ in merged.signatures], [0, 1, 2])
        self.assertEqual(merged.signatures[2], kept.signatures[1])
        self.assertEqual(merge_commits(kept, replace(late, round=1)), kept)
