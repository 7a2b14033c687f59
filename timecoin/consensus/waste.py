"""How much of what a signer sends in one epoch may be of no use, in bytes (protocol.md R6: everything is bounded).

Statements are cheap to sign, and a bundle that mostly repeats its signer's own is journaled, passed on and kept in
memory as a whole. An honest signer says each thing once. So what it says is news, unless the transaction is archived
when it arrives: at most a vote and an ack of every transaction that the epoch archives, at worst each in a bundle of
its own. Hence the allowance grows by two such bundles with each archived transaction; the rest is for liars to waste.
"""

from __future__ import annotations

from timecoin.consensus.bundle import HEAD_SIZE, Bundle

TXID = 32

PER_ARCHIVED = 2 * (HEAD_SIZE + TXID)
"""A vote and an ack, each in a bundle of its own."""

SPARE = 4 << 20
"""Seals are bundles without statements; and at a start what is in flight may be about what was archived before."""

UNWATCHED = 256 << 20
"""Until the next opening, for a node that did not see all of the epoch: it does not know how much was archived, and may
be sent all that was said about it. Eight million statements are more than an epoch of 600 s can archive at ten times
the speed that was ever measured."""


class Waste:
    """The allowance of the signers of one epoch, of which ``watched`` tells whether it is seen from its opening on."""

    def __init__(self, signers: int, *, watched: bool) -> None:
        self._spent = [0] * signers
        self._allowance = SPARE if watched else UNWATCHED

    def has_room(self, signer: int) -> bool:
        """Whether a bundle of ``signer`` may be taken whatever it says."""
        return self._spent[signer] < self._allowance

    def archived(self) -> None:
        """A transaction was archived: what is said about it from now on is no news, and nobody's fault."""
        self._allowance += PER_ARCHIVED

    def taken(self, bundle: Bundle, news: int) -> None:
        """A bundle was kept and passed on, of which ``news`` statements were new."""
        said = len(bundle.votes) + len(bundle.acks)
        self._spent[bundle.signer] += TXID * (said - news) + (0 if news else HEAD_SIZE)
