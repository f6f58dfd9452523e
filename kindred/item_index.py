"""Which index, the dimension in the users' vectors, an item id gets. Pure.

An id that is a decimal below 2^31 is its own index. Any other id takes a free index of the upper half, from 2^31
to 2^32 - 1: the first free one of its probes, which begin at a hash of the id. Whoever allocates keeps what an index
already holds.
"""

from hashlib import blake2b

UPPER_HALF = 2**31
_OFFSETS = UPPER_HALF - 1


def natural_index(item_id: str) -> int | None:
    """The id itself if it is a decimal below 2^31 in its shortest form; None if its index must be allocated.

    Args:
        item_id: The catalog's id.
    """
    shortest = item_id.isascii() and item_id.isdigit() and (item_id == "0" or item_id[0] != "0")
    if shortest and len(item_id) <= len(str(UPPER_HALF)) and int(item_id) < UPPER_HALF:
        return int(item_id)
    return None


def first_probe(item_id: str) -> int:
    """Where the search for a free index begins: the BLAKE2b hash of the id, in the upper half.

    Args:
        item_id: An id without a natural index.
    """
    digest = blake2b(item_id.encode(), digest_size=4).digest()
    return UPPER_HALF | (int.from_bytes(digest, "little") & _OFFSETS)


def next_probe(index: int) -> int:
    """The index to try when another item holds this one: the next, and after the last the first of the upper half.

    Args:
        index: An index of the upper half.
    """
    return UPPER_HALF | ((index + 1) & _OFFSETS)
