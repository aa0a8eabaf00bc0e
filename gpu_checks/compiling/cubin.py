"""Registers and stack of the kernels in a cubin, read from the ELF file itself: no tool is needed.

A cubin's section `.nv.info` is a list of attributes (format, attribute, size, payload); those of a function hold
its symbol's index and a number. The layout is what `cuobjdump -elf` prints; the test holds this reading
against `cuobjdump --dump-resource-usage` where that is installed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_WITH_PAYLOAD = 0x04
_FRAME_SIZE = 0x11
_REGISTER_COUNT = 0x2F
_SYMBOL_TABLE = 2


@dataclass(frozen=True)
class Usage:
    """Registers of a thread, and bytes of its stack in local memory: spilled registers are kept there."""

    registers: int
    stack: int


@dataclass(frozen=True)
class _Section:
    name: str
    kind: int
    data: bytes
    link: int


def usage_of(cubin: bytes) -> dict[str, Usage]:
    """Return the usage of every kernel in a cubin, by its name; raises ValueError for bytes that are none."""
    try:
        sections = list(_sections(cubin))
        symbols = _symbols(sections)
        found: dict[int, dict[str, int]] = {}
        for section in sections:
            if section.name == ".nv.info":
                for attribute, symbol, number in _numbers(section.data):
                    found.setdefault(symbol, {})[attribute] = number
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"no cubin: {error}") from error
    return {
        symbols[index]: Usage(numbers["registers"], numbers.get("stack", 0))
        for index, numbers in found.items()
        if "registers" in numbers
    }


def _sections(cubin: bytes) -> Iterator[_Section]:
    """Every section of an ELF file of 64 bits, little-endian."""
    if cubin[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no cubin: not an ELF file of 64 bits")
    (table,) = struct.unpack_from("<Q", cubin, 0x28)
    size, count, names_at = struct.unpack_from("<HHH", cubin, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", cubin, table + size * i) for i in range(count)]
    names = cubin[headers[names_at][4] :]
    for name, kind, _, _, offset, length, link, *_ in headers:
        yield _Section(_string(names, name), kind, cubin[offset : offset + length], link)


def _string(table: bytes, offset: int) -> str:
    return table[offset : table.index(b"\0", offset)].decode()


def _symbols(sections: list[_Section]) -> list[str]:
    (table,) = (section for section in sections if section.kind == _SYMBOL_TABLE)
    strings = sections[table.link].data
    return [_string(strings, struct.unpack_from("<I", table.data, at)[0]) for at in range(0, len(table.data), 24)]


def _numbers(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Each attribute that gives a function a number: what it counts, the symbol's index, the number."""
    names = {_FRAME_SIZE: "stack", _REGISTER_COUNT: "registers"}
    at = 0
    while at + 4 <= len(data):
        form, attribute, size = struct.unpack_from("<BBH", data, at)
        at += 4
        if form != _WITH_PAYLOAD:
            continue
        if attribute in names and size == 8:
            symbol, number = struct.unpack_from("<II", data, at)
            yield names[attribute], symbol, number
        at += size
