"""Memory that is used again: of the shape that is asked for, and of each thread its own."""

from __future__ import annotations

from threading import Thread

import torch

from core.scratch import scratch


def test_it_is_used_again_and_grows() -> None:
    first = scratch("a", (2, 3), torch.int32)
    assert (first.shape, first.dtype) == ((2, 3), torch.int32)
    first.fill_(7)
    again = scratch("a", (4, 3), torch.int16)
    assert again.data_ptr() == first.data_ptr()
    grown = scratch("a", (100, 100), torch.float32)
    assert grown.numel() == 10_000
    assert scratch("a", (1,), torch.int8).data_ptr() == grown.data_ptr()


def test_names_do_not_share() -> None:
    assert scratch("a", (8,), torch.int8).data_ptr() != scratch("b", (8,), torch.int8).data_ptr()


def test_what_was_made_for_inference_serves_elsewhere_too() -> None:
    with torch.inference_mode():
        scratch("made inside", (8,), torch.float32)
    assert scratch("made inside", (8,), torch.float32).copy_(torch.ones(8)).sum() == 8


def test_threads_do_not_share() -> None:
    ours, theirs = scratch("a", (8,), torch.int8), []
    thread = Thread(target=lambda: theirs.append(scratch("a", (8,), torch.int8)))
    thread.start()
    thread.join()
    assert theirs[0].data_ptr() != ours.data_ptr()
