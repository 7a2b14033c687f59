"""Any script as words, as Core's ``asm`` shows it (ScriptToAsmStr, GetOpName)."""

from __future__ import annotations

from typing import Final

_PUSHDATA: Final = {0x4C: 1, 0x4D: 2, 0x4E: 4}
_NUMBER_BYTES: Final = 4
_FIRST_NAMED: Final = 0x61
_WORDS: Final = (
    "NOP VER IF NOTIF VERIF VERNOTIF ELSE ENDIF VERIFY RETURN TOALTSTACK FROMALTSTACK 2DROP 2DUP 3DUP 2OVER 2ROT "
    "2SWAP IFDUP DEPTH DROP DUP NIP OVER PICK ROLL ROT SWAP TUCK CAT SUBSTR LEFT RIGHT SIZE INVERT AND OR XOR EQUAL "
    "EQUALVERIFY RESERVED1 RESERVED2 1ADD 1SUB 2MUL 2DIV NEGATE ABS NOT 0NOTEQUAL ADD SUB MUL DIV MOD LSHIFT RSHIFT "
    "BOOLAND BOOLOR NUMEQUAL NUMEQUALVERIFY NUMNOTEQUAL LESSTHAN GREATERTHAN LESSTHANOREQUAL GREATERTHANOREQUAL MIN "
    "MAX WITHIN RIPEMD160 SHA1 SHA256 HASH160 HASH256 CODESEPARATOR CHECKSIG CHECKSIGVERIFY CHECKMULTISIG "
    "CHECKMULTISIGVERIFY NOP1 CHECKLOCKTIMEVERIFY CHECKSEQUENCEVERIFY NOP4 NOP5 NOP6 NOP7 NOP8 NOP9 NOP10 CHECKSIGADD"
)
_NAMES: Final = tuple(_WORDS.split())


def disassemble(script: bytes) -> str:
    """The words of ``script``; ``[error]`` where a push goes beyond its end."""
    words: list[str] = []
    at = 0
    while at < len(script):
        opcode = script[at]
        at += 1
        if opcode > 0x4E:
            words.append(_word(opcode))
            continue
        width = _PUSHDATA.get(opcode, 0)
        size = int.from_bytes(script[at : at + width], "little") if width else opcode
        start, at = at + width, at + width + size
        if at > len(script):
            return " ".join([*words, "[error]"])
        words.append(_pushed(script[start:at]))
    return " ".join(words)


def _word(opcode: int) -> str:
    if opcode == 0x4F:
        return "-1"
    if 0x51 <= opcode <= 0x60:
        return str(opcode - 0x50)
    if opcode == 0x50:
        return "OP_RESERVED"
    n = opcode - _FIRST_NAMED
    return f"OP_{_NAMES[n]}" if n < len(_NAMES) else "OP_UNKNOWN"


def _pushed(data: bytes) -> str:
    """Data of up to four bytes is shown as the number that Script sees in it."""
    if len(data) > _NUMBER_BYTES:
        return data.hex()
    value = int.from_bytes(data, "little")
    sign = 1 << (8 * len(data) - 1) if data else 0
    return str(sign - value if value & sign else value)
