"""Signature checks in batches, answered in the order in which they were asked: few at once, many in chunks off the
reactor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from timecoin.ledger.witness import Check
from timecoin.primitives.signing import SignatureBackend

CHUNK = 64
"""Signatures verified by one thread in one go."""
AT_ONCE = 24
"""So many are verified on the reactor's thread, in about a millisecond: handing them to another thread takes as
long."""

Answer = Callable[[bool], None]


class _Question:
    __slots__ = ("answer", "checks", "verdict")

    def __init__(self, checks: Sequence[Check], answer: Answer) -> None:
        self.checks = checks
        self.answer = answer
        self.verdict: bool | None = None


class Verifier:
    """Collects questions and settles them; answers come on the reactor's thread, first asked first answered.

    Answers that come together are given inside one call of ``around``.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        pool: ThreadPool,
        backend: SignatureBackend,
        around: Callable[[Callable[[], None]], None] = lambda work: work(),
    ) -> None:
        self._reactor = reactor
        self._pool = pool
        self._backend = backend
        self._around = around
        self._waiting: deque[_Question] = deque()
        self._asked: deque[_Question] = deque()
        self._workers = 0
        self._scheduled = False
        self._weight = 0

    def ask(self, checks: Sequence[Check], answer: Answer) -> None:
        """Verify all ``checks`` and call ``answer`` with whether all hold."""
        question = _Question(checks, answer)
        self._asked.append(question)
        self._waiting.append(question)
        self._weight += len(checks)
        if not self._scheduled:
            self._scheduled = True
            self._reactor.callLater(0, self._dispatch)

    def _dispatch(self) -> None:
        self._scheduled = False
        if not self._workers and self._weight <= AT_ONCE:
            _settle(self._backend, self._waiting)
            self._waiting.clear()
            self._weight = 0
            self._answer()
            return
        while self._waiting and self._workers < self._pool.max:
            chunk = self._next_chunk()
            self._workers += 1
            work = deferToThreadPool(self._reactor, self._pool, _settle, self._backend, chunk)
            work.addCallback(self._settled)

    def _next_chunk(self) -> list[_Question]:
        chunk: list[_Question] = []
        size = 0
        while self._waiting and size < CHUNK:
            question = self._waiting.popleft()
            chunk.append(question)
            size += len(question.checks)
        self._weight -= size
        return chunk

    def _settled(self, _: object) -> None:
        self._workers -= 1
        if self._waiting and not self._scheduled:
            self._dispatch()
        self._answer()

    def _answer(self) -> None:
        if self._asked and self._asked[0].verdict is not None:
            self._around(self._answer_settled)

    def _answer_settled(self) -> None:
        while self._asked and self._asked[0].verdict is not None:
            question = self._asked.popleft()
            try:
                question.answer(question.verdict is True)
            except Exception:
                # Those behind it still wait for theirs.
                self.log.failure("an answer was not taken")


def _settle(backend: SignatureBackend, chunk: Iterable[_Question]) -> None:
    for question in chunk:
        question.verdict = _all_hold(backend, question.checks)


def _all_hold(backend: SignatureBackend, checks: Sequence[Check]) -> bool:
    try:
        return all(check.holds(backend) for check in checks)
    except Exception:
        Verifier.log.failure("a signature made the backend fail: it does not hold")
        return False
