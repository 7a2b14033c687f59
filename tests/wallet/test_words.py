"""Recovery phrases against the published vectors of BIP 39 and the ``mnemonic`` library."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from mnemonic import Mnemonic
from twisted.trial.unittest import SynchronousTestCase

from tests.vectors.files import load
from timecoin.ledger.networks import MAIN_KEYS
from timecoin.wallet.errors import BadWords
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.words import ENGLISH, ENTROPY_SIZES, entropy, generate, normalise, seed

VECTORS = load("bip39")
JAPANESE = tuple(Mnemonic("japanese").wordlist)
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"


class Published(SynchronousTestCase):
    def check(self, language: str, wordlist: tuple[str, ...]) -> None:
        self.assertEqual(len(VECTORS[language]), 24)
        for case in VECTORS[language]:
            raw = bytes.fromhex(case["entropy"])
            self.assertEqual(generate(raw, wordlist), normalise(case["words"]))
            self.assertEqual(entropy(case["words"], wordlist), raw)
            found = seed(case["words"], case["passphrase"], wordlist)
            self.assertEqual(found.hex(), case["seed"])
            self.assertEqual(seed(case["words"], case["passphrase"], None), found)
            self.assertEqual(ExtendedSecretKey.from_seed(found).reveal(MAIN_KEYS), case["xprv"])

    def test_english(self) -> None:
        self.check("english", tuple(ENGLISH))

    def test_japanese_with_ideographic_spaces_and_a_passphrase_to_normalise(self) -> None:
        self.check("japanese", JAPANESE)


class Refused(SynchronousTestCase):
    def refused(self, phrase: str, text: str, position: int | None = None) -> None:
        error = self.assertRaises(BadWords, entropy, phrase)
        self.assertIn(text, str(error))
        self.assertEqual(error.position, position)
        self.assertRaises(BadWords, seed, phrase)

    def test_a_wrong_number_of_words(self) -> None:
        for count in (0, 1, 11, 13, 27, 48):
            self.refused(" ".join(["abandon"] * count), f"not {count}")

    def test_an_unknown_word_is_named_by_its_place_alone(self) -> None:
        words = PHRASE.split()
        words[4] = "sesamopen"
        self.refused(" ".join(words), "word 5", 5)
        self.assertNotIn("sesamopen", str(self.assertRaises(BadWords, entropy, " ".join(words))))

    def test_a_wrong_checksum(self) -> None:
        words = PHRASE.split()
        words[0], words[1] = words[1], words[0]
        self.refused(" ".join(words), "checksum")

    def test_a_text_without_end(self) -> None:
        self.assertRaises(BadWords, normalise, "a " * 1_000)
        self.assertRaises(BadWords, seed, PHRASE, "x" * 1_025)

    def test_entropy_of_another_length(self) -> None:
        for size in {*range(40)} - {*ENTROPY_SIZES}:
            self.assertRaises(BadWords, generate, bytes(size))


class Written(SynchronousTestCase):
    def test_spaces_and_case_do_not_matter(self) -> None:
        sloppy = "  " + PHRASE.upper().replace(" ", "\t\n ") + "\n"
        self.assertEqual(normalise(sloppy), PHRASE)
        self.assertEqual(seed(sloppy), seed(PHRASE))

    def test_the_passphrase_matters_letter_by_letter(self) -> None:
        self.assertEqual(len({seed(PHRASE), seed(PHRASE, " "), seed(PHRASE, "a"), seed(PHRASE, "A")}), 4)
        self.assertEqual(seed(PHRASE, "\u00e9"), seed(PHRASE, "e\u0301"))

    @settings(deadline=None, derandomize=True, max_examples=40, database=None)
    @given(
        st.sampled_from(ENTROPY_SIZES).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
        st.text(max_size=20),
    )
    def test_as_the_mnemonic_library(self, raw: bytes, passphrase: str) -> None:
        library = Mnemonic("english")
        phrase = generate(raw)
        self.assertEqual(phrase, library.to_mnemonic(raw))
        self.assertEqual(entropy(phrase), raw)
        self.assertEqual(seed(phrase, passphrase), library.to_seed(phrase, passphrase))

    @settings(deadline=None, derandomize=True, max_examples=60, database=None)
    @given(st.lists(st.sampled_from(ENGLISH), min_size=12, max_size=12).map(" ".join))
    def test_a_phrase_is_taken_when_the_library_takes_it(self, phrase: str) -> None:
        if Mnemonic("english").check(phrase):
            self.assertEqual(generate(entropy(phrase)), phrase)
        else:
            self.assertRaises(BadWords, entropy, phrase)
