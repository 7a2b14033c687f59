"""The interactive shell of a manhole session: a line editor on a terminal in front of a console."""

from __future__ import annotations

import rlcompleter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.conch import recvline
from twisted.internet.defer import Deferred

from timecoin.ops.manhole_console import Outcome
from timecoin.ops.manhole_watch import CommandStopped

MAX_LINE = 4_096
MAX_WAITING = 8
_MAX_HISTORY = 500
_MAX_SUGGESTIONS = 60

#: Runs a command, writing to the given function what it shows; the outcome is logged by whoever made this.
Runner = Callable[[str, Callable[[str], None]], Deferred[Outcome]]


@dataclass(slots=True)
class _Running:
    """A command under way; ``late``: the prompt came back before its result."""

    number: int
    late: bool = False
    ended: bool = False


class Shell(recvline.HistoricRecvLine):
    """``>>>`` on a terminal. A command that waits lets go of the prompt; its result is shown when it comes."""

    terminal: Any
    ps = (b">>> ", b"... ")

    def __init__(self, console: Any, run: Runner, leave: Callable[[int], None], banner: str) -> None:
        super().__init__()
        self._console = console
        self._run = run
        self._leave = leave
        self._banner = banner
        self._waiting: dict[int, Deferred[Outcome]] = {}
        self._number = 0
        self._at_line_start = True
        self._gone = False

    # The terminal

    def connectionMade(self) -> None:
        """Greet."""
        super().connectionMade()  # type: ignore[no-untyped-call]
        keys = (b"\x01", self.handle_HOME), (b"\x05", self.handle_END), (b"\x08", self.handle_BACKSPACE)
        mine = (
            (b"\x03", self.interrupt),
            (b"\x04", self.end_of_input),
            (b"\x0c", self.redraw),
            (b"\x15", self.erase_line),
            (b"\x17", self.erase_word),
        )
        self.keyHandlers.update(dict([*keys, *mine]))

    def initializeScreen(self) -> None:
        """Keep what is on the screen, and begin below it."""
        self.setInsertMode()  # type: ignore[no-untyped-call]
        self.terminal.write(self._banner.encode())
        self._prompt()

    def terminalSize(self, width: int, height: int) -> None:
        """The window has another size."""
        self.width, self.height = width, height
        self._console.width = max(40, min(width, 300))

    def keystrokeReceived(self, keyID: Any, modifier: Any) -> None:
        """A key; those without a meaning here are passed over."""
        handle: Callable[[], None] | None = self.keyHandlers.get(keyID)
        if handle is not None:
            handle()
        elif keyID in self._printableChars and len(self.lineBuffer) < MAX_LINE:
            self.characterReceived(keyID, False)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Any) -> None:
        """Give up what is waited for."""
        self._gone = True
        for each in list(self._waiting.values()):
            each.cancel()

    # Keys

    def interrupt(self) -> None:
        """Ctrl-C: drop the line, the command it belongs to, and what is waited for."""
        self.lineBuffer, self.lineBufferIndex = [], 0
        self._console.forget()
        for each in list(self._waiting.values()):
            each.cancel()
        self.terminal.write(b"^C")
        self.terminal.nextLine()
        self._prompt()

    def end_of_input(self) -> None:
        """Ctrl-D on an empty line: leave."""
        if self.lineBuffer:
            self.terminal.write(b"\a")
            return
        self.terminal.nextLine()
        self._leave(0)

    def redraw(self) -> None:
        """Ctrl-L."""
        self.terminal.eraseDisplay()
        self.terminal.cursorHome()
        self._show_input()

    def erase_line(self) -> None:
        """Ctrl-U: everything before the cursor."""
        while self.lineBufferIndex:
            self.handle_BACKSPACE()  # type: ignore[no-untyped-call]

    def erase_word(self) -> None:
        """Ctrl-W: the word before the cursor."""
        while self.lineBufferIndex and self.lineBuffer[self.lineBufferIndex - 1] == b" ":
            self.handle_BACKSPACE()  # type: ignore[no-untyped-call]
        while self.lineBufferIndex and self.lineBuffer[self.lineBufferIndex - 1] != b" ":
            self.handle_BACKSPACE()  # type: ignore[no-untyped-call]

    def handle_TAB(self) -> None:
        """Complete the name before the cursor; at the begin of a line indent."""
        typed = b"".join(self.lineBuffer[: self.lineBufferIndex]).decode("ascii", "replace")
        word = typed[len(typed.rstrip(_NAME_CHARACTERS)) :]
        if not word:
            self._type("    ")
            return
        found = self._suggestions(word)
        shared = _shared_prefix(found)
        if len(shared) > len(word):
            self._type(shared[len(word) :])
        elif found:
            self.terminal.nextLine()
            self._write("  ".join(found) + "\n")
            self._show_input()

    def _suggestions(self, word: str) -> list[str]:
        completer = rlcompleter.Completer(self._console.namespace)

        def look() -> list[str]:
            found = (completer.complete(word, state) for state in range(_MAX_SUGGESTIONS))
            return sorted({each for each in found if each is not None and _is_public(each)})

        try:
            return self._console.limited(look)  # type: ignore[no-any-return]
        except (Exception, CommandStopped):
            # A property that fails has no suggestions; running it will tell why.
            return []

    def _type(self, text: str) -> None:
        for each in text.encode("ascii", "ignore"):
            self.characterReceived(bytes([each]), False)  # type: ignore[no-untyped-call]

    # Commands

    def lineReceived(self, line: bytes) -> None:
        """Return was pressed."""
        del self.historyLines[:-_MAX_HISTORY]
        self.historyPosition = len(self.historyLines)
        command = self._console.push(line.decode("utf-8", "replace"))
        if command is None or not command.strip():
            self._prompt()
            return
        if len(self._waiting) >= MAX_WAITING:
            self._write(f"{MAX_WAITING} commands wait already; Ctrl-C gives them up\n")
            self._prompt()
            return
        self._begin(command)

    def _begin(self, command: str) -> None:
        self._number += 1
        running = _Running(self._number)
        outcome = self._run(command, partial(self._show, running))
        outcome.addCallback(self._ended, running)
        if not running.ended:
            running.late = True
            self._waiting[running.number] = outcome
            self._write(f"#{running.number} waits; the result is shown when it comes, Ctrl-C gives it up\n")
            self._prompt()

    def _ended(self, outcome: Outcome, running: _Running) -> None:
        running.ended = True
        self._waiting.pop(running.number, None)
        if outcome.leave:
            self._leave(outcome.status)
        elif not running.late:
            self._prompt()

    def _show(self, running: _Running, text: str) -> None:
        if running.late:
            self._write_above(f"#{running.number}: {text}")
        else:
            self._write(text)

    # Output

    def _prompt(self) -> None:
        if not self._at_line_start:
            self.terminal.nextLine()
        self._at_line_start = True
        self.pn = 1 if self._console.in_the_middle else 0
        self.terminal.write(self.ps[self.pn])

    def _write(self, text: str) -> None:
        if self._gone:
            return
        # The terminal's transport makes line ends of what a terminal needs.
        self.terminal.write(text.replace("\r\n", "\n").encode("utf-8", "replace"))
        self._at_line_start = text.endswith("\n")

    def _write_above(self, text: str) -> None:
        """Show a late result above the line that is being typed."""
        if self._gone:
            return
        self.terminal.write(b"\r")
        self.terminal.eraseLine()
        self._write(text if text.endswith("\n") else text + "\n")
        self._show_input()

    def _show_input(self) -> None:
        self.terminal.write(b"\r" + self.ps[self.pn] + b"".join(self.lineBuffer))
        behind = len(self.lineBuffer) - self.lineBufferIndex
        if behind:
            self.terminal.cursorBackward(behind)


_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."


def _is_public(name: str) -> bool:
    return not name.rpartition(".")[2].startswith("_")


def _shared_prefix(words: list[str]) -> str:
    if not words:
        return ""
    first, last = min(words), max(words)
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]
