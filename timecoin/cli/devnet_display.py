"""What a running devnet shows: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as it was last seen; figures are None while it does not answer."""

    name: str
    pid: int | None
    height: int | None = None
    epoch: int | None = None
    connections: int | None = None
    voting: bool = False
    abstains: str | None = None
    waiting: int | None = None

    @property
    def state(self) -> str:
        """One or two words."""
        if self.pid is None:
            return "down"
        if self.height is None:
            return "starting"
        return "voting" if self.voting else self.abstains or "not voting"


class Display:
    """Shows views and lines on ``console``."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )
        self._last = ""

    def start(self) -> None:
        """Begin to draw."""
        if self._live is not None:
            self._live.start()

    def stop(self) -> None:
        """End drawing; lines stay."""
        if self._live is not None:
            self._live.stop()

    def line(self, text: str) -> None:
        """Say something once."""
        self._console.print(Text(text), soft_wrap=True)

    def update(self, views: Sequence[NodeView]) -> None:
        """Show the nodes; as a line only when it differs from the one before."""
        if self._live is not None:
            self._live.update(table(views), refresh=True)
            return
        text = summary(views)
        if text != self._last:
            self._last = text
            self.line(text)


def summary(views: Sequence[NodeView]) -> str:
    """All nodes in one line."""
    voting = sum(view.voting for view in views)
    heights = sorted({view.height for view in views if view.height is not None})
    epochs = sorted({view.epoch for view in views if view.epoch is not None})
    others = [f"{view.name} {view.state}" for view in views if not view.voting]
    text = f"{voting} of {len(views)} voting, epoch {_span(epochs)}, height {_span(heights)}"
    return text + (": " + ", ".join(others) if others else "")


def _span(values: Sequence[int]) -> str:
    if not values:
        return "-"
    return str(values[0]) if len(values) == 1 else f"{values[0]}-{values[-1]}"


def table(views: Sequence[NodeView]) -> Table:
    """All nodes, one in a row."""
    shown = Table("node", "pid", "state", "epoch", "height", "peers", "unarchived", box=None, pad_edge=False)
    for view in views:
        cells = (view.pid, view.state, view.epoch, view.height, view.connections, view.waiting)
        shown.add_row(view.name, *("-" if cell is None else str(cell) for cell in cells))
    return shown
