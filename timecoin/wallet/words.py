"""Recovery phrases (BIP 39): entropy to words and back, and words to the seed of a wallet.

embit does the arithmetic. In front of it stand what it leaves out: Unicode normalisation, the upper bound of 24 words,
and errors that do not quote what a thief would want to read in a log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final
from unicodedata import normalize

from embit import bip39
from embit.wordlists.bip39 import WORDLIST

from .errors import BadWords

__all__ = ["ENGLISH", "ENTROPY_SIZES", "PASSPHRASE_LIMIT", "entropy", "generate", "normalise", "seed"]

ENGLISH: Final[Sequence[str]] = tuple(WORDLIST)
"""The 2,048 English words."""

ENTROPY_SIZES: Final = (16, 20, 24, 28, 32)
"""Bytes of entropy behind 12, 15, 18, 21 and 24 words."""

PASSPHRASE_LIMIT: Final = 1_024
"""Characters of a passphrase, at most."""

_ROUNDS: Final = 2_048
_SEED_SIZE: Final = 64
_TEXT_LIMIT: Final = 1_024


def generate(entropy_bytes: bytes, wordlist: Sequence[str] = ENGLISH) -> str:
    """The phrase, words separated by one space, that stands for *entropy_bytes* (16, 20, 24, 28 or 32 random bytes).

    Raises ``BadWords`` for another length.
    """
    if len(entropy_bytes) not in ENTROPY_SIZES:
        raise BadWords("a recovery phrase needs 16, 20, 24, 28 or 32 bytes of entropy")
    phrase: str = bip39.mnemonic_from_bytes(entropy_bytes, wordlist)
    return normalise(phrase)


def normalise(phrase: str) -> str:
    """*phrase* as it is hashed: NFKD, lower case, one space between words (the ideographic space is one, too)."""
    if len(phrase) > _TEXT_LIMIT:
        raise BadWords("a recovery phrase is far shorter than this text")
    return " ".join(normalize("NFKD", phrase).lower().split())


def entropy(phrase: str, wordlist: Sequence[str] = ENGLISH) -> bytes:
    """The bytes behind *phrase*; ``BadWords`` says which word is unknown, or that count or checksum is wrong."""
    words = normalise(phrase).split()
    if len(words) not in [size * 3 // 4 for size in ENTROPY_SIZES]:
        raise BadWords(f"a recovery phrase has 12, 15, 18, 21 or 24 words, not {len(words)}")
    known = [normalize("NFKD", word) for word in wordlist]
    _check_known(words, frozenset(known))
    try:
        data: bytes = bip39.mnemonic_to_bytes(" ".join(words), wordlist=known)
    except ValueError:
        raise BadWords("the checksum is wrong: a word was mistaken for another, or two changed places") from None
    return data


def _check_known(words: Sequence[str], known: frozenset[str]) -> None:
    for position, word in enumerate(words, 1):
        if word not in known:
            raise BadWords(f"word {position} is not in the word list", position)


def seed(phrase: str, passphrase: str = "", wordlist: Sequence[str] | None = ENGLISH) -> bytes:
    """The 64-byte seed of *phrase* and the optional *passphrase* (BIP 39; 2,048 rounds: a millisecond or two).

    With *wordlist* None words and checksum are not checked, for phrases of languages whose list is not at hand.
    Raises ``BadWords``.
    """
    if len(passphrase) > PASSPHRASE_LIMIT:
        raise BadWords(f"a passphrase has at most {PASSPHRASE_LIMIT} characters")
    if wordlist is not None:
        entropy(phrase, wordlist)
    salt = "mnemonic" + normalize("NFKD", passphrase)
    return hashlib.pbkdf2_hmac("sha512", normalise(phrase).encode("utf-8"), salt.encode("utf-8"), _ROUNDS, _SEED_SIZE)
