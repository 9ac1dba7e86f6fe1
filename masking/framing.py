"""Injective encodings: different lists of parts never give the same bytes."""

from typing import Final

BLOCK: Final = 16
_LENGTH: Final = 4


def framed(*parts: bytes) -> bytes:
    """Return *parts*, each behind its length, behind their number."""
    head = len(parts).to_bytes(_LENGTH, "big")
    return head + b"".join(len(part).to_bytes(_LENGTH, "big") + part for part in parts)


def framed_text(*parts: str) -> bytes:
    """Return ``framed`` of the UTF-8 bytes of *parts*."""
    return framed(*(part.encode() for part in parts))


def in_blocks(message: bytes) -> bytes:
    """Return *message* behind its length (16 bits), filled up with zeros to whole cipher blocks.

    The length says where the message ends, so whatever follows cannot be taken for a part of it.
    A message of at most 14 bytes costs one block.
    """
    if len(message) >= 1 << 16:
        raise ValueError("a prefix is at most 65,535 bytes")
    head = len(message).to_bytes(2, "big") + message
    return head + bytes(-len(head) % BLOCK)
