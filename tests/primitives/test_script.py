"""The known output scripts, and that every other byte string is invalid."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives import script
from timecoin.primitives.script import Kind

_KEYS = tuple(bytes([2 + n % 2]) + bytes([n]) * 32 for n in range(1, 17))


class OutputScriptTests(SynchronousTestCase):
    def test_witness_programs(self) -> None:
        self.assertIs(script.classify(script.p2wpkh(bytes(20))), Kind.P2WPKH)
        self.assertIs(script.classify(script.p2wsh(bytes(32))), Kind.P2WSH)
        self.assertEqual(script.program(script.p2wpkh(b"\x01" * 20)), b"\x01" * 20)
        self.assertEqual(script.program(script.p2wsh(b"\x01" * 32)), b"\x01" * 32)
        self.assertIsNone(script.program(script.op_return(b"")))
        for make, size in ((script.p2wpkh, 32), (script.p2wsh, 20), (script.p2wpkh_script_code, 21)):
            with self.assertRaises(ValueError):
                make(bytes(size))

    def test_others_are_invalid(self) -> None:
        for name, text in {
            "empty (anyone can spend)": "",
            "OP_TRUE": "51",
            "P2PKH": "76a914" + "00" * 20 + "88ac",
            "P2SH": "a914" + "00" * 20 + "87",
            "P2PK": "21" + "02" * 33 + "ac",
            "P2TR": "5120" + "00" * 32,
            "version 0, 16 bytes": "0010" + "00" * 16,
            "version 16": "6014" + "00" * 20,
            "P2WPKH and a byte": "0014" + "00" * 21,
            "P2WPKH by OP_PUSHDATA1": "004c14" + "00" * 20,
            "P2WSH cut off": "0020" + "00" * 31,
        }.items():
            self.assertIs(script.classify(bytes.fromhex(text)), Kind.INVALID, name)

    def test_script_code(self) -> None:
        expected = "76a914" + "11" * 20 + "88ac"
        self.assertEqual(script.p2wpkh_script_code(b"\x11" * 20).hex(), expected)


class OpReturnTests(SynchronousTestCase):
    def test_every_size(self) -> None:
        for size in (*range(80), 254, 255, 256, 257, 519, 520):
            data = b"\x63" * size
            built = script.op_return(data)
            self.assertEqual(script.op_return_data(built), data)
            self.assertIs(script.classify(built), Kind.OP_RETURN)

    def test_push_opcodes(self) -> None:
        self.assertEqual(script.op_return(b"").hex(), "6a00")
        self.assertEqual(script.op_return(b"ab").hex(), "6a026162")
        self.assertEqual(script.op_return(bytes(75))[:2].hex(), "6a4b")
        self.assertEqual(script.op_return(bytes(76))[:3].hex(), "6a4c4c")
        self.assertEqual(script.op_return(bytes(255))[:3].hex(), "6a4cff")
        self.assertEqual(script.op_return(bytes(256))[:4].hex(), "6a4d0001")

    def test_single_bytes_that_have_an_opcode(self) -> None:
        # BIP 62 rule 3: such a byte is pushed by its opcode, never as data.
        for byte in range(256):
            built = script.op_return(bytes([byte]))
            self.assertEqual(script.op_return_data(built), bytes([byte]))
            as_data = bytes([0x6A, 1, byte])
            if 1 <= byte <= 16 or byte == 0x81:
                self.assertEqual(len(built), 2)
                self.assertIsNone(script.op_return_data(as_data))
            else:
                self.assertEqual(built, as_data)

    def test_too_long(self) -> None:
        with self.assertRaises(ValueError):
            script.op_return(bytes(521))
        self.assertIs(script.classify(b"\x6a\x4d\x09\x02" + bytes(521)), Kind.INVALID)

    def test_not_exactly_one_minimal_push(self) -> None:
        for text in (
            "6a",  # no push
            "6a0000",  # two pushes
            "6a02616200",
            "6a0261",  # cut off
            "6a4c026162",  # longer than needed
            "6a4d4b00" + "00" * 75,
            "6a4dff00" + "00" * 255,
            "6a4e00010000" + "00" * 256,  # OP_PUSHDATA4 is never minimal here
            "6a50",  # OP_RESERVED pushes nothing
            "6a61",
            "6a6a",
            "6b00",
            "6a4c",
            "6a4d",
            "6a4d00",
        ):
            self.assertIsNone(script.op_return_data(bytes.fromhex(text)), text)

    @given(st.binary(max_size=530))
    @settings(deadline=None, derandomize=True, max_examples=150, database=None)
    def test_what_is_read_is_what_would_be_written(self, data: bytes) -> None:
        carried = script.op_return_data(b"\x6a" + data)
        if carried is not None:
            self.assertEqual(script.op_return(carried), b"\x6a" + data)


class MultisigTests(SynchronousTestCase):
    def test_every_m_of_n(self) -> None:
        for n in range(1, 16):
            for m in range(1, n + 1):
                built = script.multisig(m, _KEYS[:n])
                self.assertEqual(script.parse_multisig(built), (m, _KEYS[:n]))

    def test_bytes_of_one_of_two(self) -> None:
        expected = "51" + "21" + _KEYS[0].hex() + "21" + _KEYS[1].hex() + "52ae"
        self.assertEqual(script.multisig(1, _KEYS[:2]).hex(), expected)

    def test_bounds(self) -> None:
        for m, keys in ((0, _KEYS[:1]), (2, _KEYS[:1]), (1, ()), (1, _KEYS[:16])):
            with self.assertRaises(ValueError):
                script.multisig(m, keys)
        for key in (b"", b"\x04" + bytes(64), b"\x06" + bytes(32), b"\x02" + bytes(31), b"\x02" + bytes(33)):
            with self.assertRaises(ValueError):
                script.multisig(1, [key])

    def test_other_scripts(self) -> None:
        good = script.multisig(2, _KEYS[:3])
        self.assertIsNone(script.parse_multisig(b""))
        for end in range(len(good)):
            self.assertIsNone(script.parse_multisig(good[:end]))
        self.assertIsNone(script.parse_multisig(good + b"\x00"))
        for at, byte in (
            (0, 0x50),  # zero of three
            (0, 0x54),  # four of three
            (0, 0x00),
            (1, 0x20),
            (2, 0x04),
            (len(good) - 2, 0x52),  # n does not match
            (len(good) - 1, 0xAF),  # CHECKMULTISIGVERIFY
        ):
            changed = bytearray(good)
            changed[at] = byte
            self.assertIsNone(script.parse_multisig(bytes(changed)), (at, byte))
        sixteen = b"\x51" + b"".join(b"\x21" + key for key in _KEYS) + b"\x60\xae"
        self.assertIsNone(script.parse_multisig(sixteen))
        one_by_pushed_number = b"\x01\x01" + good[1:]
        self.assertIsNone(script.parse_multisig(one_by_pushed_number))
