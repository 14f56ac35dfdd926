"""Parquet files of rows, curves and members, read once their heads say that they fit into memory.

Compressed, a thousandth of a file's bytes may stand for all of memory. So what the pages unpack to is added
up first, from the footer and the head of every page, which Thrift's compact protocol writes:
https://github.com/apache/parquet-format (parquet.thrift; its numbers of fields stand below).
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import polars as pl

from memcap.store.files import BadFileError

MAGIC = b"PAR1"
MOST_TIMES = 256  # as many bytes as the file has; those that memcap writes unpack to 60 times as many at most
MOST_BESIDE = 1 << 24  # and so many more: small files are mostly footer
BYTES_OF_A_VALUE = 16  # in polars, beside what a text is of
SHARED_PREFIXES = 7  # an encoding (DELTA_BYTE_ARRAY) in which few bytes are many texts; nobody here writes it
DEEPEST = 16  # fields within fields

Struct = dict[int, Any]  # the fields of a struct by their numbers


def read(content: BytesIO, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read columns of a file, or all of them.

    Raises:
        BadFileError: it would take far more memory than it has bytes.
        Exception, polars.exceptions.PanicException: it is no Parquet file.
    """
    check_size(content.getvalue())
    content.seek(0)
    table = pl.read_parquet(content, columns=None if columns is None else list(columns))
    texts = [name for name, dtype in table.schema.items() if dtype == pl.String]
    unpacked = sum(int(table[name].str.len_bytes().sum() or 0) for name in texts)
    _check(unpacked, content.getbuffer().nbytes)
    return table


def check_size(content: bytes) -> None:
    """Check that a file unpacks to no more than it may.

    Raises:
        BadFileError: it does.
        ValueError, LookupError, TypeError, AttributeError: it is no Parquet file.
    """
    size = int.from_bytes(content[-8:-4], "little")
    if content[-4:] != MAGIC or size > len(content) - 8:
        raise ValueError("no Parquet file")
    footer, _ = _struct(content, len(content) - 8 - size)
    total = BYTES_OF_A_VALUE * max(footer[3], 0)
    for group in footer.get(4, ()):
        for chunk in group[1]:
            total += BYTES_OF_A_VALUE * max(group[3], 0)
            for unpacked in _pages(content, chunk[3], group[3]):
                total += unpacked
                _check(total, len(content))
    _check(total, len(content))


def _check(total: int, size: int) -> None:
    if total > MOST_TIMES * size + MOST_BESIDE:
        raise BadFileError(f"its {size:,} bytes unpack to over {total >> 20:,} MiB, as none of memcap's do")


def _pages(content: bytes, column: Struct, rows: int) -> Iterator[int]:
    """Give the bytes that each page of a column unpacks to."""
    place = min(each for number in (9, 11) if (each := column.get(number)) is not None)
    end = place + column[7]
    while place < end:
        page, place = _struct(content, place)
        kind = page.get(5) or page.get(8) or page.get(7) or {}
        if min(page[2], page[3]) < 0 or kind.get(1, 0) > rows + 1:
            raise ValueError("no Parquet file")
        if SHARED_PREFIXES in (kind.get(2), kind.get(4)):
            raise BadFileError("packed in a way that memcap never does")
        yield page[2]
        place += page[3]


def _struct(content: bytes, place: int, depth: int = 0) -> tuple[Struct, int]:
    """Read the fields of a struct. Return them, and the place after it."""
    if depth > DEEPEST:
        raise ValueError("no Parquet file")
    fields: Struct = {}
    number = 0
    while head := content[place]:
        place += 1
        if head >> 4:
            number += head >> 4
        else:
            value, place = _varint(content, place)
            number = (value >> 1) ^ -(value & 1)
        fields[number], place = _value(content, place, head & 15, depth)
    return fields, place + 1


def _value(content: bytes, place: int, kind: int, depth: int) -> tuple[Any, int]:
    """Read a value of one of Thrift's kinds. Return it, and the place after it."""
    if kind in (4, 5, 6):  # whole numbers, zigzag
        value, place = _varint(content, place)
        return (value >> 1) ^ -(value & 1), place
    if kind == 8:  # bytes, of which nothing is asked
        size, place = _varint(content, place)
        return None, place + size
    if kind == 12:
        return _struct(content, place, depth + 1)
    if kind in (1, 2):  # true and false stand in the kind itself
        return kind == 1, place
    if kind == 3:
        return content[place], place + 1
    if kind == 7:  # a double
        return None, place + 8
    if kind != 9:  # a map, of which Parquet has none
        raise ValueError("no Parquet file")
    head, place = content[place], place + 1
    count, inner = head >> 4, head & 15
    if count == 15:
        count, place = _varint(content, place)
    if count > len(content):
        raise ValueError("no Parquet file")
    values = []
    for _ in range(count):
        value, place = (None, place + 1) if inner in (1, 2) else _value(content, place, inner, depth + 1)
        values.append(value)
    return values, place


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """Read a whole number of any length. Return it, and the place after it."""
    value, shift = content[place] & 127, 0
    while content[place] > 127:
        place, shift = place + 1, shift + 7
        value |= (content[place] & 127) << shift
    return value, place + 1
