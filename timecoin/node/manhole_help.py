"""``help()`` of the manhole: what a tired operator needs first, and what each handle can do."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

BANNER = """\
TimeCoin manhole: a Python shell inside the running node. help() says what to look at; exit() or Ctrl-D leaves.
"""

GENERAL = """\
== TimeCoin manhole ==
You are inside the running node. Type a name and press Return to see a table:

{handles}
help(peers) tells what more a handle can do. Tab completes a name. `_` is the last result. What takes time (blocks from
the disk) shows its result when it comes; Ctrl-C gives it up. Commands are logged: type no secrets.

Payments do not become final? Look in this order:
  1. consensus            "signs nothing, for" says why this node is silent; "missing" how much power is away.
  2. consensus.members()  who is not connected, who did not vote in this round. Call their operators.
  3. peers                does anybody connect at all? If nobody: network, firewall, clock of this machine.
  4. node                 is the clock off? is the reactor late (above 100 ms: machine or disk too slow)?
  5. chain                does the height grow? "syncing" with an old height: it is behind, wait or look at peers.
  6. mempool.oldest()     which payments wait; finality.status("txid") shows the power of votes and acks seen.
With a third of the power away the network stands still and goes on by itself when they are back: do not delete
anything, do not restart everything at once, change no keys. docs/operators/runbook.rst says more.

Careful: the handles change nothing, except settings. But this is Python in the node's process: what you import and call
yourself can do anything. A command that holds the node for more than {seconds:g} s is interrupted; results that are
waited for do not hold it.
"""


class Help:
    """Typed alone or called without arguments it shows the general page, with a handle what that can do."""

    def __init__(self, handles: Mapping[str, object], seconds: float) -> None:
        self._handles = handles
        self._seconds = seconds

    def __call__(self, subject: object = None) -> _Page:
        """The page, to be shown; a handle may be given by its name, too."""
        if isinstance(subject, str):
            subject = self._handles.get(subject)
        return self._general() if subject is None else _Page(_about(subject))

    def __repr__(self) -> str:
        return repr(self._general())

    def _general(self) -> _Page:
        width = max(map(len, self._handles), default=0)
        lines = [f"  {name.ljust(width)}  {_first_line(each)}\n" for name, each in self._handles.items()]
        return _Page(GENERAL.format(handles="".join(lines), seconds=self._seconds))


class _Page:
    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text.rstrip("\n")


def _about(subject: object) -> str:
    lines = [_first_line(subject)]
    for name, method in inspect.getmembers(type(subject), inspect.isfunction):
        if not name.startswith("_") and name != "table":
            signature = str(inspect.signature(method)).replace("self, ", "").replace("self", "").replace("'", "")
            lines.append(f"  .{name}{signature.partition(' ->')[0]}\n      {_first_line(method)}")
    return "\n".join(lines)


def _first_line(subject: object) -> str:
    return (inspect.getdoc(subject) or "no description").split("\n", 1)[0]
