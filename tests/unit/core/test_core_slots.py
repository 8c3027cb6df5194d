"""The slot of an id is what any language computes; partitions share the slots evenly."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import MANY, texts
from worker.core.slots import in_place, is_slot, partition_of, slot_of

PARTITIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256]


def crc32(data: bytes) -> int:
    """The checksum as ISO 3309 defines it, bit by bit: no table, no library."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder >> 1) ^ (0xEDB88320 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


def test_the_checksum_of_this_test_is_the_well_known_one() -> None:
    assert crc32(b"123456789") == 0xCBF43926


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        ("123456789", "26"),
        ("", "00"),
        ("a", "43"),
        ("The quick brown fox jumps over the lazy dog", "39"),
    ],
)
def test_slots_of_published_checksums(key: str, slot: str) -> None:
    assert slot_of(key) == slot


@MANY
@given(key=texts)
def test_a_slot_is_the_last_byte_of_the_checksum_in_two_digits(key: str) -> None:
    assert slot_of(key) == f"{crc32(key.encode()) % 256:02x}"
    assert is_slot(slot_of(key))


@pytest.mark.parametrize("partitions", PARTITIONS)
def test_every_partition_holds_a_run_of_as_many_slots(partitions: int) -> None:
    held = [partition_of(f"{slot:02x}", partitions) for slot in range(256)]
    assert held == sorted(held)
    assert Counter(held) == dict.fromkeys(range(partitions), 256 // partitions)


@pytest.mark.parametrize("partitions", PARTITIONS[:-1])
def test_twice_the_partitions_split_each_in_two(partitions: int) -> None:
    for slot in (f"{number:02x}" for number in range(256)):
        assert partition_of(slot, 2 * partitions) // 2 == partition_of(slot, partitions)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("00", True),
        ("7f", True),
        ("ff", True),
        ("FF", False),
        ("7F", False),
        ("f", False),
        ("100", False),
        ("", False),
        ("0x", False),
        ("g0", False),
        ("fX", False),
        ("٣٣", False),
        ("+1", False),
        ("1_", False),
        (" 1", False),
        ("68e78d0dc5a4b19a030d03d6", False),
    ],
)
def test_what_is_a_slot(key: str, expected: bool) -> None:
    assert is_slot(key) is expected


@pytest.mark.parametrize("partitions", PARTITIONS)
def test_a_job_with_its_slot_as_key_lies_in_place(partitions: int) -> None:
    assert in_place("68e78d0dc5a4b19a030d03d6", slot_of("68e78d0dc5a4b19a030d03d6"), partitions)


@MANY
@given(key=texts, slot=st.integers(0, 255), partitions=st.sampled_from(PARTITIONS))
def test_a_job_lies_in_place_exactly_in_the_partition_of_its_slot(
    key: str, slot: int, partitions: int
) -> None:
    expected = slot * partitions // 256 == crc32(key.encode()) % 256 * partitions // 256
    assert in_place(key, f"{slot:02x}", partitions) is expected


@pytest.mark.parametrize("routing_key", ["", "t1", "FF", "123456789"])
def test_a_job_whose_key_is_no_slot_never_lies_in_place(routing_key: str) -> None:
    assert not in_place("123456789", routing_key, 1)
