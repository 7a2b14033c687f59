"""Who calls: what a method may know of its caller."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """One who calls. ``user``: the name that was authenticated (``__cookie__`` with the cookie file's
    password); ``wallet``: NAME of the path ``/wallet/NAME``, None of ``/``; ``address``: the client's IP
    address and port as text, empty when it has none."""

    user: str = ""
    wallet: str | None = None
    address: str = ""

    @property
    def account(self) -> tuple[str, str]:
        """To whom heavy work is charged: the user at one IP address, through whatever connections."""
        return self.user, self.address.rpartition(":")[0]


#: A call from inside the process.
NOBODY = Caller()
