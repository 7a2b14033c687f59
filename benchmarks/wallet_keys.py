"""What a wallet's keys, secrets and records cost; ``python -m benchmarks.wallet_keys`` prints one JSON object.

Microseconds, the best of several rounds, unless the name says something else. A wallet of 10,000 addresses is derived,
stored, loaded again and backed up on the real disk.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from embit.bip32 import HDKey

from timecoin.ledger.networks import DEVNET
from timecoin.storage.wallet_store import WalletStore
from timecoin.wallet.book import TABLES, ScriptBook
from timecoin.wallet.descriptors import Descriptor, account_descriptors, multisig_descriptor
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.keys import Account
from timecoin.wallet.secrets import Cost, Vault
from timecoin.wallet.words import generate, seed

ADDRESSES = 10_000
PHRASE = generate(bytes(32))


def best(work: Callable[[], Any], calls: int = 200, rounds: int = 5) -> float:
    """Microseconds of one call, of the best round."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(calls):
            work()
        found.append((time.perf_counter() - began) / calls)
    return round(min(found) * 1e6, 1)


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds of one call."""
    began = time.perf_counter()
    work()
    return round((time.perf_counter() - began) * 1e3, 1)


def keys() -> dict[str, float]:
    """Derivation by embit and by us, and what stands on it."""
    master = ExtendedSecretKey.from_seed(seed(PHRASE))
    account = Account.of_master(master, DEVNET)
    public, theirs = account.public, HDKey.from_string(account.xpub)
    private = HDKey.from_string(account.reveal_xprv())
    single = account_descriptors(account.public_expression, DEVNET)[0]
    owners = [Account.cosigner(master, DEVNET, n) for n in range(3)]
    shared = multisig_descriptor(2, [owner.public_expression for owner in owners], DEVNET)[0]
    secret = account_descriptors(account.reveal_expression(), DEVNET)[0]
    return {
        "words_to_seed": best(lambda: seed(PHRASE), 5),
        "embit_public_child": best(lambda: theirs.child(7)),
        "embit_private_child": best(lambda: private.child(7)),
        "public_child_key": best(lambda: public.child_key(7)),
        "wpkh_script": best(lambda: single.script(7)),
        "wsh_2_of_3_script": best(lambda: shared.script(7)),
        "wsh_2_of_3_expansion": best(lambda: shared.expand(7)),
        "secret_of_an_address": best(lambda: secret.secrets(7), 50),
        "parse_wpkh": best(lambda: Descriptor.parse(single.public_text, DEVNET), 20),
        "parse_wsh_2_of_3": best(lambda: Descriptor.parse(shared.public_text, DEVNET), 20),
    }


def vault() -> dict[str, float]:
    """Milliseconds of scrypt at several costs, microseconds of one sealed record."""
    plain = Vault(bytes(16), os.urandom)
    found = {f"unlock_2^{n}_ms": timed(lambda n=n: plain.encrypted("x", {}, Cost(n, 8, 1))) for n in (15, 16, 17, 18)}
    sealing, _ = plain.encrypted("x", {}, Cost(14, 1, 1))
    return found | {"seal_and_open": best(lambda: sealing.open(b"n", sealing.seal(b"n", bytes(120))))}


def records(path: Path) -> dict[str, float]:
    """Milliseconds of what a wallet of many addresses does to the disk."""
    account = Account.of_master(ExtendedSecretKey.from_seed(seed(PHRASE)), DEVNET)
    book, found = ScriptBook(DEVNET), dict[str, float]()
    descriptor = account_descriptors(account.xpub, DEVNET)[0]
    found["derive_ms"] = timed(lambda: book.add(descriptor, active=True, end=ADDRESSES))
    store = WalletStore.create(path / "wallet", bytes(32))
    found["first_commit_ms"] = timed(lambda: store.commit(book.take_changes()))
    found["commit_a_payment_ms"] = min(timed(lambda n=n: _payment(store, n)) for n in range(30))
    store.close()
    found["open_ms"] = timed(lambda: WalletStore.open(path / "wallet", bytes(32)).close())
    store = WalletStore.open(path / "wallet", bytes(32))
    tables: dict[str, dict[bytes, bytes]] = {}
    found["read_ms"] = timed(lambda: tables.update({table: store.read(table) for table in TABLES}))
    found["load_book_ms"] = timed(lambda: ScriptBook.load(DEVNET, tables))
    found["backup_ms"] = timed(lambda: store.backup(path / "backup"))
    found["rewrite_ms"] = timed(store.rewrite)
    found["restore_ms"] = timed(lambda: WalletStore.restore(path / "backup", path / "again", bytes(32)).close())
    store.close()
    return found


def _payment(store: WalletStore, number: int) -> None:
    store.commit({"transactions": {number.to_bytes(32, "big"): bytes(400)}, "guard": {bytes(36): bytes(40)}})


def main() -> None:
    """Print all figures."""
    path = Path(tempfile.mkdtemp(prefix="timecoin-wallet-"))
    try:
        print(json.dumps({"keys": keys(), "vault": vault(), "records": records(path)}, indent=1))
    finally:
        shutil.rmtree(path)


if __name__ == "__main__":
    main()
