"""May this node sign? Only with an intact journal, after it exchanged state with a quorum (protocol.md 4,
*Journal*).
"""

from __future__ import annotations

from timecoin.ledger.powerset import PowerSet

# An honest node can be one epoch ahead of what more than a third of the power has told, and one more may be
# closing.
_EPOCHS_AHEAD = 2


_OPENED_ALONE = 1
"""What was lost may have been signed in the epoch after Q: whoever alone saw the precommits of its closing block opened
that, and signed there. Not later, as a quorum had to have Q open for that block."""


class SigningPermit:
    """Remembers who was heard from since the start, and until which epoch this node must stay silent.

    ``intact`` and ``fresh`` describe the journal as opened. ``silent_until`` is the highest epoch in which
    nothing may be signed; the owner records it in the journal whenever :meth:`settle` or :meth:`contradicted`
    says so.
    """

    def __init__(self, *, intact: bool, fresh: bool, silent_until: int = 0) -> None:
        self._doubtful = not intact
        self._fresh = fresh
        self._heard: dict[bytes, int] = {}
        self._complete: set[bytes] = set()
        self._network: tuple[PowerSet, int] | None = None
        self._overridden = 0
        self.silent_until = silent_until
        self.exchanged = False
        self.held = False
        """Is the chain here too old to be gone on with before it is known what leads on from it (section 10)?"""

    def hear(self, operator_key: bytes, epoch: int, *, complete: bool = True) -> None:
        """A masternode, authenticated by its connection, told its open epoch.

        ``complete``: it has also shown whatever of mine it has in the epoch and height at hand.
        """
        if self._heard.get(operator_key) != epoch:
            self._heard[operator_key] = epoch
            self._network = None
        if complete:
            self._complete.add(operator_key)

    def forget(self, operator_key: bytes) -> None:
        """The connection to a masternode ended before the exchange was complete."""
        if not self.exchanged:
            self._heard.pop(operator_key, None)
            self._network = None
            self._complete.discard(operator_key)

    def _claims(self, members: PowerSet) -> list[tuple[int, int]]:
        pairs = ((member, self._heard.get(member.operator_key)) for member in members.members)
        return [(epoch, member.power) for member, epoch in pairs if epoch is not None]

    def network_epoch(self, members: PowerSet) -> int:
        """The highest epoch that masternodes of more than a third of the power say they reached; 0 when
        nobody does.

        A single liar cannot move it, unlike the plain maximum.
        """
        # Asked at every look at the clock and at every status, and mostly the same as before.
        if self._network is None or self._network[0] is not members:
            self._network = (members, self._believed(members))
        return self._network[1]

    def _believed(self, members: PowerSet) -> int:
        power = 0
        for epoch, weight in sorted(self._claims(members), reverse=True):
            power += weight
            if members.exceeds_third(power):
                return epoch
        return 0

    def settle(self, members: PowerSet, own_index: int | None, own_epoch: int) -> bool:
        """Look whether the exchange is complete by now; True when that ended a doubt and ``silent_until``
        must be recorded.

        ``own_index`` None: no member yet. A newcomer exchanges before its first epoch in the set, lest it be silent in
        that: newcomers may have a third of the power, and then nobody could close it.
        """
        if self.exchanged:
            return False
        heard = self._complete | ({members.members[own_index].operator_key} if own_index is not None else set())
        if not self._are_quorum(members, heard) or self._is_open(members, heard, own_epoch):
            return False
        self.exchanged = True
        return self._judge(members, self._claims(members), own_epoch)

    @staticmethod
    def _are_quorum(members: PowerSet, keys: set[bytes]) -> bool:
        return members.is_quorum(sum(m.power for m in members.members if m.operator_key in keys))

    def _in_first_epoch(self, heard: set[bytes], own_epoch: int) -> set[bytes]:
        return {key for key in heard if self._heard.get(key, own_epoch) <= 1}

    def _is_open(self, members: PowerSet, heard: set[bytes], own_epoch: int) -> bool:
        """Some say that the first epoch is over, too few to be believed: a new directory waits for others.

        Else one liar could silence everybody in the only epoch in which a new network can begin.
        """
        if not (self._doubtful and self._fresh) or max(own_epoch, self.network_epoch(members)) > 1:
            return False
        return not self._are_quorum(members, self._in_first_epoch(heard, own_epoch))

    def _judge(self, members: PowerSet, claims: list[tuple[int, int]], own_epoch: int) -> bool:
        if not self._doubtful:
            return False
        highest = max([own_epoch, *(epoch for epoch, _ in claims)])
        self._doubtful = False
        if self._fresh and max(own_epoch, self.network_epoch(members)) <= 1:
            return True
        ceiling = max(own_epoch, self.network_epoch(members)) + _EPOCHS_AHEAD
        self.silent_until = max(self.silent_until, min(highest, ceiling) + _OPENED_ALONE)
        return True

    def contradicted(self, epoch: int) -> bool:
        """Shown a message of its own key that the journal lacks; True when ``silent_until`` changed and must
        be recorded.
        """
        if epoch <= self._overridden or epoch + _OPENED_ALONE <= self.silent_until:
            return False
        self.silent_until = epoch + _OPENED_ALONE
        return True

    def silences(self, epoch: int) -> bool:
        """Does the state of the journal alone forbid to sign in ``epoch``?"""
        return self._doubtful or epoch <= self.silent_until

    def override(self, epoch: int) -> None:
        """The operator's ``masternode sign-anyway`` in the open ``epoch``: ends the silence early, on the operator's
        word alone. What else turns up of this epoch by the own key changes nothing: peers show it again and again.
        """
        self._doubtful, self._overridden = False, epoch
        self.silent_until = 0

    def allows(self, epoch: int, members: PowerSet) -> bool:
        """May anything be signed in the open ``epoch``? Not while held, silent, unexchanged, or behind the
        network.
        """
        ready = self.exchanged and not self.held
        return ready and epoch > self.silent_until and self.network_epoch(members) <= epoch
