"""Both signature backends: published signatures, strictness, and agreement on everything good or bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives.ecdsa_encoding import (
    CURVE_ORDER,
    FIELD_PRIME,
    HALF_ORDER,
    compact_from_der,
    compact_from_scalars,
    der_from_scalars,
    scalars_from_der,
)
from timecoin.primitives.hashes import sha256, sha256d
from timecoin.primitives.signing import DEFAULT, SignatureBackend, SignatureCheck, check_all, get_backend

_VECTORS = Path(__file__).parent.parent / "vectors"
_BACKENDS = (get_backend("coincurve"), get_backend("ecdsa"))
_FAST = _BACKENDS[0]
_FEW = settings(deadline=None, derandomize=True, max_examples=40, database=None)

_FEYNMAN = (
    "There is a computer disease that anybody who works with computers knows about. It's a very serious "
    "disease and it interferes completely with the work. The trouble with computers is that you 'play' with "
    "them!"
)
# RFC 6979 over secp256k1 with SHA-256, low S: bitcointalk.org topic 285142, also used by Trezor and Haskoin.
_DETERMINISTIC = (
    (
        "0000000000000000000000000000000000000000000000000000000000000001",
        "Satoshi Nakamoto",
        "3045022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442ce9d2b916064108014783e923e"
        "c36b49743e2ffa1c4496f01a512aafd9e5",
    ),
    (
        "0000000000000000000000000000000000000000000000000000000000000001",
        "Everything should be made as simple as possible, but not simpler.",
        "3044022033a69cd2065432a30f3d1ce4eb0d59b8ab58c74f27c41a7fdb5696ad4e6108c902206f807982866f785d3f6418d24163ddae"
        "117b7db4d5fdf0071de069fa54342262",
    ),
    (
        "0000000000000000000000000000000000000000000000000000000000000001",
        "All those moments will be lost in time, like tears in rain. Time to die...",
        "30450221008600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b0220547fe64427496db33bf66019dacbf0"
        "039c04199abb0122918601db38a72cfc21",
    ),
    (
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140",
        "Satoshi Nakamoto",
        "3045022100fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d002206b39cd0eb1bc8603e159ef5c20a5c8"
        "ad685a45b06ce9bebed3f153d10d93bed5",
    ),
    (
        "f8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181",
        "Alan Turing",
        "304402207063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c022058dfcc1e00a35e1572f366ffe34ba0fc"
        "47db1e7189759b9fb233c5b05ab388ea",
    ),
    (
        "e91671c46231f833a6406ccbea0e3e392c76c167bac1cb013f6f1013980455c2",
        _FEYNMAN,
        "3045022100b552edd27580141f3b2a5463048cb7cd3e047b97c9f98076c32dbdf85a68718b0220279fa72dd19bfae05577e06c7c0c19"
        "00c371fcd5893f7e1d56a37d30174671f6",
    ),
)
_SECRET = sha256(b"a secret")
_DIGEST = sha256(b"a message")
_KEY = _FAST.public_key(_SECRET)
_DER = _FAST.sign(_SECRET, _DIGEST)
_GENERATOR = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
_GENERATOR_Y = "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"


def _read(name: str) -> Any:
    return json.loads((_VECTORS / name).read_text())["groups"]


class PublishedTests(SynchronousTestCase):
    def test_deterministic_signatures(self) -> None:
        for secret, message, expected in _DETERMINISTIC:
            for backend in _BACKENDS:
                made = backend.sign(bytes.fromhex(secret), sha256(message.encode()))
                self.assertEqual(made.hex(), expected)

    def test_bitcoin_core_deterministic_signatures(self) -> None:
        # Bitcoin Core, src/test/key_tests.cpp: keys of strSecret1 and strSecret2.
        digest = sha256d(b"Very deterministic message")
        for secret, expected in (
            (
                "12b004fff7f4b69ef8650e767f18f11ede158148b425660723b9f9a66e61f747",
                "304402205dbbddda71772d95ce91cd2d14b592cfbc1dd0aabd6a394b6c2d377bbe59d31d022014ddda21494a4e221f0824f0b8"
                "b924c43fa43c0ad57dccdaa11f81a6bd4582f6",
            ),
            (
                "b524c28b61c9b2c49b2c7dd4c2d75887abb78768c054bd7c01af4029f6c0d117",
                "3044022052d8a32079c11e79db95af63bb9600c5b04f21a9ca33dc129c2bfa8ac9dc1cd5022061d8ae5e0f6c1a16bde3719c64"
                "c2fd70e404b6428ab9a69566962e8771b5944d",
            ),
        ):
            for backend in _BACKENDS:
                self.assertEqual(backend.sign(bytes.fromhex(secret), digest).hex(), expected)

    def test_wycheproof_bitcoin(self) -> None:
        for group in _read("wycheproof_ecdsa_secp256k1_bitcoin.json"):
            key = bytes.fromhex(group["key"])
            for number, comment, message, signature, result in group["tests"]:
                digest = sha256(bytes.fromhex(message))
                for backend in _BACKENDS:
                    found = backend.verify(key, digest, bytes.fromhex(signature))
                    self.assertEqual(found, result == "valid", f"{number} {comment} {backend}")

    def test_wycheproof_compact(self) -> None:
        # These allow high S, which the protocol does not.
        for group in _read("wycheproof_ecdsa_secp256k1_p1363.json"):
            key = bytes.fromhex(group["key"])
            for number, comment, message, text, result in group["tests"]:
                signature = bytes.fromhex(text)
                low = len(signature) == 64 and int.from_bytes(signature[32:], "big") <= HALF_ORDER
                for backend in _BACKENDS:
                    found = backend.verify_compact(key, sha256(bytes.fromhex(message)), signature)
                    self.assertEqual(found, result == "valid" and low, f"{number} {comment} {backend}")


class KeyTests(SynchronousTestCase):
    def _agree(self, key: bytes, expected: bool) -> None:
        for backend in _BACKENDS:
            self.assertIs(backend.is_public_key(key), expected, f"{key.hex()} {backend}")

    def test_generator(self) -> None:
        for backend in _BACKENDS:
            self.assertEqual(backend.public_key((1).to_bytes(32, "big")).hex(), "02" + _GENERATOR)
            minus_one = (CURVE_ORDER - 1).to_bytes(32, "big")
            self.assertEqual(backend.public_key(minus_one).hex(), "03" + _GENERATOR)

    def test_encodings(self) -> None:
        x, y = bytes.fromhex(_GENERATOR), bytes.fromhex(_GENERATOR_Y)
        for prefix in range(256):
            self._agree(bytes([prefix]) + x, prefix in (2, 3))
            self._agree(bytes([prefix]) + x + y, False)
        for key in (b"", b"\x00", b"\x02", b"\x02" + x[:-1], b"\x02" + x + b"\x00", x):
            self._agree(key, False)

    def test_coordinates(self) -> None:
        # x = 5 has no point; x = 1 has; p + 1 is 1 again and must not pass for it.
        self._agree(b"\x02" + (5).to_bytes(32, "big"), False)
        self._agree(b"\x02" + (1).to_bytes(32, "big"), True)
        for x in (0, FIELD_PRIME, FIELD_PRIME + 1, 2**256 - 1):
            self._agree(b"\x02" + x.to_bytes(32, "big"), False)

    def test_verify_takes_compressed_keys_only(self) -> None:
        digest = _DIGEST
        signature = _FAST.sign((1).to_bytes(32, "big"), digest)
        x, y = bytes.fromhex(_GENERATOR), bytes.fromhex(_GENERATOR_Y)
        for backend in _BACKENDS:
            self.assertTrue(backend.verify(b"\x02" + x, digest, signature))
            for key in (b"\x03" + x, b"\x04" + x + y, b"\x06" + x + y, b"\x07" + x + y, x, b"", b"\x05" + x):
                self.assertFalse(backend.verify(key, digest, signature), key.hex())

    def test_secrets(self) -> None:
        for secret, expected in (
            (bytes(32), False),
            ((1).to_bytes(32, "big"), True),
            ((CURVE_ORDER - 1).to_bytes(32, "big"), True),
            (CURVE_ORDER.to_bytes(32, "big"), False),
            ((CURVE_ORDER + 1).to_bytes(32, "big"), False),
            (b"\xff" * 32, False),
            (b"", False),
            (b"\x01", False),
            (b"\x01" * 31, False),
            (b"\x01" * 33, False),
            (b"\x00" + b"\x01" * 32, False),
        ):
            for backend in _BACKENDS:
                self.assertIs(backend.is_secret(secret), expected, secret.hex())
                if not expected:
                    for attempt in (
                        lambda backend=backend, secret=secret: backend.public_key(secret),
                        lambda backend=backend, secret=secret: backend.sign(secret, _DIGEST),
                        lambda backend=backend, secret=secret: backend.sign_compact(secret, _DIGEST),
                    ):
                        with self.assertRaises(ValueError):
                            attempt()


class SigningTests(SynchronousTestCase):
    def test_digest_length(self) -> None:
        for backend in _BACKENDS:
            for digest in (b"", _DIGEST[:-1], _DIGEST + b"\x00"):
                with self.assertRaises(ValueError):
                    backend.sign(_SECRET, digest)
                self.assertFalse(backend.verify(_KEY, digest, _DER))
                self.assertFalse(backend.verify_compact(_KEY, digest, compact_from_der(_DER)))

    def test_digests_at_the_order(self) -> None:
        # RFC 6979, section 2.3.4 reduces such digests before they make a nonce.
        for number in (0, 1, CURVE_ORDER - 1, CURVE_ORDER, CURVE_ORDER + 1, 2**256 - 1):
            digest = number.to_bytes(32, "big")
            reduced = (number % CURVE_ORDER).to_bytes(32, "big")
            for backend in _BACKENDS:
                made = backend.sign(_SECRET, digest)
                self.assertEqual(made, _BACKENDS[1].sign(_SECRET, reduced))
                for verifier in _BACKENDS:
                    self.assertTrue(verifier.verify(_KEY, digest, made))

    def test_low_s_always(self) -> None:
        for number in range(12):
            for backend in _BACKENDS:
                scalars = scalars_from_der(backend.sign(_SECRET, sha256(bytes([number]))))
                assert scalars is not None
                self.assertLessEqual(scalars[1], HALF_ORDER)

    @given(st.integers(1, CURVE_ORDER - 1), st.binary(min_size=32, max_size=32))
    @_FEW
    def test_both_make_the_same(self, number: int, digest: bytes) -> None:
        secret = number.to_bytes(32, "big")
        fast, portable = _BACKENDS
        key, der = fast.public_key(secret), fast.sign(secret, digest)
        compact = fast.sign_compact(secret, digest)
        self.assertEqual(portable.public_key(secret), key)
        self.assertEqual(portable.sign(secret, digest), der)
        self.assertEqual(portable.sign_compact(secret, digest), compact)
        for backend in _BACKENDS:
            self.assertTrue(backend.verify(key, digest, der))
            self.assertTrue(backend.verify_compact(key, digest, compact))


class StrictnessTests(SynchronousTestCase):
    """What BIP 66, BIP 146 and the curve's order refuse, by both backends and both forms."""

    def _agree(self, signature: bytes, expected: bool, digest: bytes = _DIGEST, key: bytes = _KEY) -> None:
        for backend in _BACKENDS:
            self.assertIs(backend.verify(key, digest, signature), expected, f"{signature.hex()} {backend}")

    def _agree_on_scalars(self, r: int, s: int, expected: bool) -> None:
        for backend in _BACKENDS:
            found = backend.verify_compact(_KEY, _DIGEST, compact_from_scalars(r, s))
            self.assertIs(found, expected, f"{r:x} {s:x} {backend}")
            self.assertIs(backend.verify(_KEY, _DIGEST, der_from_scalars(r, s)), expected)

    def test_good(self) -> None:
        self._agree(_DER, True)

    def test_high_s(self) -> None:
        scalars = scalars_from_der(_DER)
        assert scalars is not None
        r, s = scalars
        self._agree_on_scalars(r, s, True)
        self._agree_on_scalars(r, CURVE_ORDER - s, False)

    def test_ranges(self) -> None:
        scalars = scalars_from_der(_DER)
        assert scalars is not None
        r, s = scalars
        outside = (0, CURVE_ORDER, CURVE_ORDER + 1, CURVE_ORDER + 2, 2**256 - 1)
        for number in (*outside, 1, CURVE_ORDER - 1, HALF_ORDER, HALF_ORDER + 1):
            self._agree_on_scalars(number, s, False)
            self._agree_on_scalars(r, number, False)
        for number in outside:
            self._agree_on_scalars(number, number, False)

    def test_numbers_plus_the_order(self) -> None:
        # A small r plus n still fits 32 bytes and is the same number modulo n.
        key, digest, r, s = _small_r()
        for backend in _BACKENDS:
            self.assertTrue(backend.verify_compact(key, digest, compact_from_scalars(r, s)))
            self.assertFalse(backend.verify_compact(key, digest, compact_from_scalars(r + CURVE_ORDER, s)))
        self._agree(der_from_scalars(r, s), True, digest, key)
        self._agree(der_from_scalars(r + CURVE_ORDER, s), False, digest, key)

    def test_sum_at_infinity(self) -> None:
        # With the generator as key and digest = -r the verified point is infinity, which has no x.
        generator = bytes.fromhex("02" + _GENERATOR)
        for r in (1, 5, CURVE_ORDER - 1):
            digest = (-r % CURVE_ORDER).to_bytes(32, "big")
            for s in (1, 7, HALF_ORDER):
                self._agree(der_from_scalars(r, s), False, digest, generator)

    def test_every_truncation_and_extension(self) -> None:
        for end in range(len(_DER)):
            self._agree(_DER[:end], False)
        for rest in (b"\x00", b"\x01", b"\x00\x00", bytes(100)):
            self._agree(_DER + rest, False)
            self._agree(b"\x30" + bytes([_DER[1] + len(rest)]) + _DER[2:] + rest, False)

    def test_der_structure(self) -> None:
        r, s = _parts(_DER)
        for why, signature in {
            "long form length": b"\x30\x81" + _DER[1:],
            "indefinite length": b"\x30\x80" + _DER[2:] + b"\x00\x00",
            "two length bytes": b"\x30\x82\x00" + _DER[1:],
            "other sequence tag": b"\x31" + _DER[1:],
            "other integer tag": _sequence(b"\x03" + r[1:], s),
            "r padded": _sequence(_integer(b"\x00" + r[2:]), s),
            "s padded": _sequence(r, _integer(b"\x00" + s[2:])),
            "r padded twice": _sequence(_integer(b"\x00\x00" + r[2:]), s),
            "r in long form": _sequence(b"\x02\x81" + r[1:], s),
            "r empty": _sequence(b"\x02\x00", s),
            "s empty": _sequence(r, b"\x02\x00"),
            "r negative": _sequence(_integer(b"\x80" + r[3:]), s),
            "s negative": _sequence(r, _integer(bytes([s[2] | 0x80]) + s[3:])),
            "r missing": _sequence(s),
            "third integer": _sequence(r, s, s),
            "r too long": _sequence(_integer(b"\x01" + bytes(33)), s),
            "empty sequence": b"\x30\x00",
            "r longer than all": b"\x30" + bytes([_DER[1]]) + b"\x02\x7f" + _DER[4:],
            "compact": compact_from_der(_DER),
            "hash type left on": _DER + b"\x01",
        }.items():
            with self.subTest(why):
                self._agree(signature, False)

    def test_compact_lengths(self) -> None:
        compact = compact_from_der(_DER)
        for backend in _BACKENDS:
            self.assertTrue(backend.verify_compact(_KEY, _DIGEST, compact))
            for signature in (b"", compact[:-1], compact + b"\x00", b"\x00" + compact, _DER, bytes(64)):
                self.assertFalse(backend.verify_compact(_KEY, _DIGEST, signature))

    def test_other_digest_and_key(self) -> None:
        other = _FAST.public_key(sha256(b"another secret"))
        self._agree(_DER, False, sha256(b"another message"))
        self._agree(_DER, False, _DIGEST, other)
        self._agree(_DER, False, _DIGEST, bytes([_KEY[0] ^ 1]) + _KEY[1:])

    @given(st.integers(0, len(_DER) - 1), st.integers(0, 255))
    @_FEW
    def test_a_changed_byte(self, at: int, byte: int) -> None:
        changed = _DER[:at] + bytes([byte]) + _DER[at + 1 :]
        self._agree(changed, changed == _DER)

    @given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=40))
    @example(b"\x02" * 33, bytes(80), bytes(32))
    @example(b"\x02" * 33, b"\x30" + bytes(7), bytes(32))
    @_FEW
    def test_any_bytes(self, key: bytes, signature: bytes, digest: bytes) -> None:
        for backend in _BACKENDS:
            self.assertFalse(backend.verify(key, digest, signature))
            self.assertFalse(backend.verify_compact(key, digest, signature))

    @given(st.integers(0, 2**256 - 1), st.integers(0, 2**256 - 1))
    @_FEW
    def test_any_scalars(self, r: int, s: int) -> None:
        found = {backend.verify(_KEY, _DIGEST, der_from_scalars(r, s)) for backend in _BACKENDS}
        self.assertEqual(found, {False})


def _small_r() -> tuple[bytes, bytes, int, int]:
    """A key that makes (1, 3) valid: recovered from the point with x = 1 as any key is from a signature."""
    from ecdsa import SECP256k1, VerifyingKey
    from ecdsa.ellipticcurve import PointJacobi

    curve = SECP256k1.curve
    point = VerifyingKey.from_string(b"\x02" + (1).to_bytes(32, "big"), curve=SECP256k1).pubkey.point
    r, s, digest = 1, 3, _DIGEST
    z = int.from_bytes(digest, "big")
    key_point = point * s + SECP256k1.generator * (CURVE_ORDER - z % CURVE_ORDER)
    affine = key_point.to_affine() if isinstance(key_point, PointJacobi) else key_point
    assert curve.contains_point(affine.x(), affine.y())
    return bytes([2 + affine.y() % 2]) + int(affine.x()).to_bytes(32, "big"), digest, r, s


def _parts(der: bytes) -> tuple[bytes, bytes]:
    """The two integers of a DER signature, each with tag and length."""
    end = 4 + der[3]
    return der[2:end], der[end:]


def _integer(body: bytes) -> bytes:
    return b"\x02" + bytes([len(body)]) + body


def _sequence(*parts: bytes) -> bytes:
    body = b"".join(parts)
    return b"\x30" + bytes([len(body)]) + body


class BackendTests(SynchronousTestCase):
    def test_names(self) -> None:
        self.assertEqual(type(get_backend()), type(get_backend(DEFAULT)))
        with self.assertRaises(ValueError):
            get_backend("openssl")

    def test_check_all(self) -> None:
        compact = compact_from_der(_DER)
        good = [SignatureCheck(_KEY, _DIGEST, _DER), SignatureCheck(_KEY, _DIGEST, compact, compact=True)]
        bad = [SignatureCheck(_KEY, _DIGEST, compact), SignatureCheck(_KEY, _DIGEST, _DER, compact=True)]
        for backend in _BACKENDS:
            self.assertTrue(check_all(backend, good))
            self.assertTrue(check_all(backend, []))
            for check in bad:
                self.assertFalse(check_all(backend, [good[0], check, good[1]]))

    def test_stops_at_the_first_bad_one(self) -> None:
        seen: list[bytes] = []

        class Counting:
            def __getattr__(self, name: str) -> Any:
                return getattr(_FAST, name)

            def verify(self, key: bytes, digest: bytes, signature: bytes) -> bool:
                seen.append(signature)
                return _FAST.verify(key, digest, signature)

        backend: SignatureBackend = Counting()  # type: ignore[assignment]
        checks = [SignatureCheck(_KEY, _DIGEST, b"bad"), SignatureCheck(_KEY, _DIGEST, _DER)]
        self.assertFalse(check_all(backend, checks))
        self.assertEqual(seen, [b"bad"])

    def test_malformed_der_has_no_compact_form(self) -> None:
        with self.assertRaises(ValueError):
            compact_from_der(_DER[:-1])
