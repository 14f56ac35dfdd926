"""Reading of Parquet files of rows, curves and members, after their headers have shown
that they fit into memory.

A small compressed file may unpack to more than all of memory. So the unpacked sizes of
its pages are added up first, from the footer and every page's header, in Thrift's
compact protocol: https://github.com/apache/parquet-format (parquet.thrift, whose field
numbers are used below).
"""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any, NamedTuple

import polars as pl

from memcap.store.files import BadFileError

MAGIC = b"PAR1"
MOST_TIMES = (
    256  # most unpacked bytes per byte of the file; memcap's own files reach 60 at most
)
MOST_BESIDE = (
    1 << 24
)  # more unpacked bytes that are allowed, as small files are mostly footer
BYTES_OF_A_VALUE = 16  # in polars, beside a text's own bytes
# an encoding (DELTA_BYTE_ARRAY) in which few bytes may be many texts; not memcap's
SHARED_PREFIXES = 7

Struct = dict[int, Any]  # fields by number: values, or the structs in them


class Fields(NamedTuple):
    """The fields of a struct to read.

    Args:
        of: its fields by number, with the `Fields` of each that is a struct or a list of structs.
        usual: matches the whole struct as polars writes it, which is far faster than
            reading field by field.
    """

    of: Mapping[int, Any]
    usual: re.Pattern[bytes] | None = None


def _usual(pattern: bytes) -> re.Pattern[bytes]:
    """Compile a pattern with letters for an integer, a text of up to 64 bytes, and statistics."""
    text = b"|".join(b"\\x%02x.{%d}" % (size, size) for size in range(65))
    pattern = pattern.replace(b"S", rb"\x36W(?:\x28T\x18T)?[\x11\x12]*\x00").replace(
        b"T", b"(?:%b)" % text
    )
    return re.compile(pattern.replace(b"W", rb"[\x80-\xff]{0,9}[\x00-\x7f]"), re.DOTALL)


ELEMENT = Fields({4: None}, _usual(rb"\x15W\x25W\x18(T)(?:\x25W\x4c\x1c\x00\x00)?\x00"))
COLUMN = Fields(
    {3: Fields({7: None, 9: None, 11: None})},
    _usual(
        rb"\x26W\x1c\x15W\x19(?:\x15W|\x25WW|\x35WWW)\x19\x18T\x15W\x16W\x16W\x16(W)\x26(W)"
        rb"(?:\x3cS|\x26(W)(?:\x1cS)?)?\x00(?:\x16W\x15W(?:\x16W\x15W)?)?\x00"
    ),
)
FOOTER = Fields({2: ELEMENT, 3: None, 4: Fields({1: COLUMN, 3: None})})
HEAD = Fields({1: None, 2: None})
USUAL_PAGE = _usual(
    rb"\x15W\x15(W)\x15(W)[\x2c\x4c]\x15(W)\x15(W)(?:\x15W\x15W(?:\x1cS)?)?\x00\x00"
)
# the bytes and the columns of the last list of each length: many files have the same
_lists: dict[int, tuple[bytes, list[Any]]] = {}
PAGE = Fields({2: None, 3: None, 5: HEAD, 7: HEAD, 8: Fields({1: None, 4: None})})


def read(content: BytesIO, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read columns of a file, or all of them.

    Raises:
        BadFileError: it would take far more memory than it has bytes.
        Exception, polars.exceptions.PanicException: it is no Parquet file.
    """
    check_size(content.getvalue(), columns)
    return read_together([content], columns)


def read_together(
    contents: Sequence[BytesIO], columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Read the rows of files whose sizes were checked as one table, in their order,
    which is much faster than one by one.

    Raises:
        BadFileError: they would take far more memory than they have bytes.
        Exception, polars.exceptions.PanicException: their columns or types differ, or
            one is no Parquet file.
    """
    for content in contents:
        content.seek(0)
    table = pl.read_parquet(
        list(contents), columns=None if columns is None else list(columns)
    )
    texts = [name for name, dtype in table.schema.items() if dtype == pl.String]
    unpacked = sum(int(table[name].str.len_bytes().sum() or 0) for name in texts)
    _check(unpacked, sum(content.getbuffer().nbytes for content in contents))
    return table


def check_size(
    content: bytes, columns: Collection[str] | None = None, files: int = 1
) -> tuple[list[str], int]:
    """Check that a file, or some of its columns, does not unpack to more than is allowed.

    Args:
        content: the file's content.
        columns: the columns to read; None: all.
        files: number of files read at once, which share `MOST_BESIDE`, as each alone may be small.

    Returns:
        The names of its columns, and its number of rows.

    Raises:
        BadFileError: it unpacks to more.
        ValueError, LookupError, TypeError, AttributeError, RecursionError: it is no Parquet file.
    """
    size = int.from_bytes(content[-8:-4], "little")
    if content[-4:] != MAGIC or size > len(content) - 8:
        raise ValueError("no Parquet file")
    footer, _ = _struct(content, len(content) - 8 - size, FOOTER)
    rows = footer[3]
    most = MOST_TIMES * len(content) + MOST_BESIDE // files
    elements = footer[2][1:]  # the first element is the table itself
    names = [
        (each[1][1:] if isinstance(each, re.Match) else each[4]).decode()
        for each in elements
    ]
    total = BYTES_OF_A_VALUE * rows * len(names)
    for group in footer.get(4, ()):
        total += BYTES_OF_A_VALUE * group[3]
        for name, chunk in zip(names, group[1], strict=True):
            if columns is not None and name not in columns:
                continue
            total += _unpacked(content, chunk, group[3])
            if total > most:
                break
    if rows < 0 or total > most:
        _check(total, len(content), files)
        raise ValueError("no Parquet file")
    return names, rows


def _check(total: int, size: int, files: int = 1) -> None:
    if total > MOST_TIMES * size + MOST_BESIDE // files:
        raise BadFileError(
            f"its {size:,} bytes unpack to over {total >> 20:,} MiB, which no file of memcap does"
        )


def _unpacked(content: bytes, column: Struct | re.Match[bytes], rows: int) -> int:
    """Add up the unpacked bytes of a column's pages."""
    if isinstance(column, re.Match):
        size, place, first = column.groups()
        size, place, first = _number(size), _number(place), _number(first or place)
    else:
        size = column[3][7]
        place = column[3][9]
        first = column[3].get(11, column[3][9])
    place = min(place, first)
    end = place + size
    total = 0
    while place < end:
        if match := USUAL_PAGE.match(content, place):
            unpacked, packed, values, encoding = _numbers(match.groups())
            place = match.end()
        else:
            page, place = _struct(content, place, PAGE)
            kind = page.get(5) or page.get(8) or page.get(7) or {}
            unpacked = page[2]
            packed = page[3]
            values = kind.get(1, 0)
            encoding = kind.get(2, kind.get(4))
        if unpacked < 0 or packed < 0 or not 0 <= values <= rows + 1:
            raise ValueError("no Parquet file")
        if encoding == SHARED_PREFIXES:
            raise BadFileError("packed in a way that memcap never does")
        total += unpacked
        place += packed
    return total


def _struct(content: bytes, place: int, fields: Fields) -> tuple[Struct, int]:
    """Read some fields of a struct, one by one. Return them, and the place after the struct."""
    values: Struct = {}
    number = 0
    while head := content[place]:
        place += 1
        kind = head & 15
        if head > 15:
            number += head >> 4
        else:
            value, place = _varint(content, place)
            number = (value >> 1) ^ -(value & 1)
        if number not in fields.of:
            if (
                kind == 8 and content[place] < 128
            ):  # as below, without a call: most of a footer is such
                place += content[place] + 1
            elif kind > 2:
                place = _skip(content, place, kind)
        elif kind in (4, 5, 6):  # integers, zigzag
            if (value := content[place]) < 128:
                place += 1
            else:
                value, place = _varint(content, place)
            values[number] = (value >> 1) ^ -(value & 1)
        elif kind == 8:
            size, place = _varint(content, place)
            values[number] = content[place : place + size]
            place += size
        elif kind == 12:
            values[number], place = _struct(content, place, fields.of[number])
        elif kind == 9 and content[place] & 15 == 12:
            count, place = _count(content, place)
            values[number], place = _structs(content, place, fields.of[number], count)
        else:
            raise ValueError("no Parquet file")
    return values, place + 1


def _structs(
    content: bytes, place: int, fields: Fields, count: int
) -> tuple[list[Any], int]:
    """Read some fields of a list's structs. Return these fields, or the match of
    `usual`, of each; and the place after the last."""
    start, (same, structs) = place, _lists.get(count, (b"", []))
    if fields is ELEMENT and same and content.startswith(same, place):
        return structs, place + len(same)
    structs = []
    for _ in range(count):
        if fields.usual and (struct := fields.usual.match(content, place)):
            place = struct.end()
        else:
            struct, place = _struct(content, place, fields)
        structs.append(struct)
    if fields is ELEMENT:
        _lists[count] = content[start:place], structs
    return structs, place


def _skip(content: bytes, place: int, kind: int) -> int:
    """Return the place after a value of one of Thrift's kinds."""
    if kind in (4, 5, 6):
        while content[place] > 127:
            place += 1
        return place + 1
    if kind == 8:
        size, place = _varint(content, place)
        return place + size
    if kind in (1, 2):  # true and false are in the kind itself
        return place
    if kind == 12:
        while head := content[place]:
            place += 1
            if head < 16:
                _, place = _varint(content, place)
            if (inner := head & 15) == 8 and content[place] < 128:
                place += content[place] + 1
            elif inner in (4, 5, 6):
                while content[place] > 127:
                    place += 1
                place += 1
            elif inner > 2:
                place = _skip(content, place, inner)
        return place + 1
    if kind == 9:
        inner = content[place] & 15
        count, place = _count(content, place)
        if inner == 12 and content.startswith(
            b"\x1c\x00\x00" * count, place
        ):  # the orders of columns
            return place + 3 * count
        for _ in range(count):
            if inner == 5 and content[place] < 128:
                place += 1
            else:
                place = place + 1 if inner in (1, 2) else _skip(content, place, inner)
        return place
    if kind in (3, 7):  # a byte or a double
        return place + (1 if kind == 3 else 8)
    raise ValueError("no Parquet file")  # a map, which Parquet does not use


def _count(content: bytes, place: int) -> tuple[int, int]:
    """Read the length of a list. Return it, and the place of the first element."""
    count = content[place] >> 4
    place = place + 1
    if count == 15:
        count, place = _varint(content, place)
    if count > len(content):
        raise ValueError("no Parquet file")
    return count, place


@lru_cache(maxsize=4096)
def _numbers(written: tuple[bytes, ...]) -> list[int]:
    return [_number(each) for each in written]


@lru_cache(maxsize=4096)
def _number(written: bytes) -> int:
    """Decode a zigzag integer."""
    value, _ = _varint(written, 0)
    return (value >> 1) ^ -(value & 1)


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """Read an integer of any length. Return it, and the place after it."""
    value = content[place] & 127
    shift = 0
    while content[place] > 127:
        place = place + 1
        shift = shift + 7
        value |= (content[place] & 127) << shift
    return value, place + 1
