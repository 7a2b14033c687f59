"""What ``twistd timecoin`` runs: its options, and the service made from them.

Everything that can be wrong with the configuration is found while twistd is still in the foreground: one line
on standard error and exit status 1, with nothing touched. Later failures (protocol of ``node.root``) are
logged and end with status 1 as well.
"""

from __future__ import annotations

import sys
import time
from typing import Any, NoReturn, cast

from twisted.application.service import IService, IServiceCollection, MultiService
from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.python.components import Componentized

import timecoin
import twisted
from timecoin.node import preflight
from timecoin.node.config import Config, ConfigError, load
from timecoin.node.root import RootService, StartRefused, Step
from timecoin.node.supervised import StdinWatch, own_process_group
from timecoin.ops import library_logs, logs


class Options(usage.Options):
    """Options of ``twistd timecoin``."""

    synopsis = "[options]"
    longdesc = "Runs a TimeCoin node. Every setting is in the configuration file; etc/node.ini explains them."
    optParameters = [["config", "c", "node.ini", "The configuration file."]]
    optFlags = [["supervised", None, "Own process group; stop when standard input is closed (for supervisors)."]]
    settings: Config
    levels: logs.Levels

    def opt_version(self) -> None:
        """Display the versions of TimeCoin and Twisted and exit."""
        print(f"timecoin, version {timecoin.__version__} (Twisted {twisted.__version__})")
        sys.exit(0)

    def postOptions(self) -> None:
        """Read and check the configuration; exits with one line when it is wrong."""
        try:
            self.settings = load(cast(str, self["config"]))
        except ConfigError as problem:
            _refuse(problem)


def makeService(options: Options) -> IService:
    """The node as a service; the network, the disk and threads are touched only when it starts."""
    try:
        preflight.check(options.settings)
        if options["supervised"]:
            own_process_group()
        return _Node(_build(options), options)
    except (ConfigError, StartRefused) as problem:
        _refuse(problem)


def _build(options: Options) -> RootService:
    # Importing the reactor installs it, and wiring pulls in the whole node: `twistd --help` needs neither.
    from twisted.internet import reactor

    from timecoin.node.wiring import build
    from timecoin.ops.steady import make_steady

    make_steady(reactor)
    root = build(options.settings, reactor, time.time, _levels_of(options))
    if options["supervised"]:
        watch = StdinWatch(cast(Any, reactor), cast(Any, reactor).stop)
        root.prepend(Step("supervision", watch))
    return root


def _levels_of(options: Options) -> logs.Levels | None:
    """The levels of our log; None when twistd was told to log in its own way."""
    twistd: Any = options.parent or {}
    if twistd.get("syslog") or twistd.get("logger"):
        return None
    if not hasattr(options, "levels"):
        options.levels = logs.Levels(options.settings.node.log_level)
    return options.levels


class _Node(MultiService):
    """Holds the root service, and tells the application that it joins how to log."""

    def __init__(self, root: RootService, options: Options) -> None:
        MultiService.__init__(self)
        root.setServiceParent(self)
        self._twistd: Any = options.parent or {}
        self._levels = _levels_of(options)

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """Join twistd's application; a ``--syslog`` or ``--logger`` of twistd's goes before ours."""
        if isinstance(parent, Componentized):
            nodaemon = bool(self._twistd.get("nodaemon") or self._twistd.get("debug"))
            if self._levels is not None:
                library_logs.hear_libraries()
                cast(Any, parent).setComponent(
                    ILogObserver, logs.observer_for_twistd(self._twistd.get("logfile"), nodaemon, self._levels)
                )
        MultiService.setServiceParent(self, parent)


def _refuse(problem: Exception) -> NoReturn:
    raise SystemExit(f"timecoin: {problem}")
