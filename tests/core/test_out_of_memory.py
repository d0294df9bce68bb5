"""Which failures are a lack of memory, by what torch itself says where it can be made to."""

from __future__ import annotations

import pytest
import torch

from core.out_of_memory import is_out_of_memory


def test_more_than_any_machine_has_is_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("unable to mmap 9 bytes from file <f>: Cannot allocate memory (12)"),
    ],
)
def test_lacks_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes cannot be multiplied"), ValueError("out of memory")]
)
def test_other_failures_are_no_lack_of_memory(error: Exception) -> None:
    assert not is_out_of_memory(error)
