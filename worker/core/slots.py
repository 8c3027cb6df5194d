"""Slots and partitions: where the jobs of a task queue up.

The slot is a routing key that any language computes in a line, and that stays the same whatever
the number of partitions. A partition holds a run of slots.
"""

import zlib

SLOTS = 256
_NUMBERS = {f"{slot:02x}": slot for slot in range(SLOTS)}


def slot_of(key: str) -> str:
    """Return the slot of a task (or user) id: two hexadecimal digits."""
    return f"{zlib.crc32(key.encode('utf-8')) & 0xFF:02x}"


def partition_of(slot: str, partitions: int) -> int:
    """Return the partition a slot is bound to."""
    return _NUMBERS[slot] * partitions // SLOTS


def is_slot(key: str) -> bool:
    """Tell whether a routing key is a slot."""
    return key in _NUMBERS


def in_place(key: str, routing_key: str, partitions: int) -> bool:
    """Tell whether a job published with that routing key lies in the partition of its id."""
    if not is_slot(routing_key):
        return False
    return partition_of(routing_key, partitions) == partition_of(slot_of(key), partitions)
