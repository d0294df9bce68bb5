"""What a turn cost, in figures."""

from __future__ import annotations

import pytest
import torch

from core.stats import TurnStats, resident_memory_bytes


@pytest.mark.parametrize(
    ("num_reply_tokens", "decode_ms", "speed"),
    [(0, 0.0, 0.0), (1, 50.0, 0.0), (2, 0.0, 0.0), (2, 100.0, 10.0), (11, 500.0, 20.0)],
)
def test_speed_counts_the_tokens_after_the_first(
    num_reply_tokens: int, decode_ms: float, speed: float
) -> None:
    stats = TurnStats(num_reply_tokens=num_reply_tokens, decode_ms=decode_ms)
    assert stats.tokens_per_s == pytest.approx(speed)


def test_as_dict_has_every_measure_and_the_speed_rounded() -> None:
    stats = TurnStats(7, 3, 0.04, 0.06, 1.26, 2.0, 300.0, 3.36, 1234567, 5, 2, 640, 3_000_000_000)
    assert stats.as_dict() == {
        "num_prompt_tokens": 7,
        "num_reply_tokens": 3,
        "queued_ms": 0.0,
        "inputs_ms": 0.1,
        "encode_ms": 1.3,
        "prefill_ms": 2.0,
        "decode_ms": 300.0,
        "time_to_first_token_ms": 3.4,
        "memory_bytes": 1234567,
        "num_reused_tokens": 5,
        "num_drafts_taken": 2,
        "kv_bytes": 640,
        "read_bytes": 3_000_000_000,
        "tokens_per_s": 6.7,
        "read_gb_per_s": 10.0,
    }


def test_bandwidth_is_unknown_where_nothing_was_decoded() -> None:
    assert TurnStats(read_bytes=5).read_gb_per_s == 0.0


def test_resident_memory_grows_with_what_is_held() -> None:
    before = resident_memory_bytes()
    held = torch.ones(64 * 2**20, dtype=torch.uint8)
    assert resident_memory_bytes() - before > 32 * 2**20
    assert len(held) == 64 * 2**20
