"""What a turn cost: time to first token by stage, tokens and bytes per second, memory.

Leaves out: printing (app/, launch.py) and benchmarks (tests/benchmarks).
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import torch

UNKNOWN_MEMORY_BYTES: Final = 8 * 2**30  # taken for granted where the system does not tell


@dataclass(frozen=True)
class TurnStats:
    """The measures of one turn. Times are milliseconds of wall clock, counts are tokens.

    The stages before the first token follow one another, so that
    `queued_ms + inputs_ms + encode_ms + prefill_ms` is about `time_to_first_token_ms`.

    Args:
        num_prompt_tokens: tokens of the prompt, media included.
        num_reply_tokens: tokens sampled, the stop token not counted.
        queued_ms: waiting for the engine.
        inputs_ms: decoding media, tiling, log-mel, tokenizing.
        encode_ms: vision and audio encoders and projectors.
        prefill_ms: the prompt through the decoder, up to the first sampled token.
        decode_ms: from the first sampled token to the last.
        time_to_first_token_ms: from submission to the first sampled token.
        memory_bytes: resident memory of the process at the end of the turn.
        num_reused_tokens: tokens of the prompt that were found in the cache and not fed again.
        num_drafts_taken: tokens of the reply that were fed before they were sampled, and right.
        kv_bytes: the turn's place in the cache.
        read_bytes: weights, keys and values that decoding read for this turn.
    """

    num_prompt_tokens: int = 0
    num_reply_tokens: int = 0
    queued_ms: float = 0.0
    inputs_ms: float = 0.0
    encode_ms: float = 0.0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    time_to_first_token_ms: float = 0.0
    memory_bytes: int = 0
    num_reused_tokens: int = 0
    num_drafts_taken: int = 0
    kv_bytes: int = 0
    read_bytes: int = 0

    @property
    def tokens_per_s(self) -> float:
        """Decoding speed after the first token; 0.0 where fewer than two were sampled."""
        if self.num_reply_tokens < 2 or self.decode_ms <= 0.0:
            return 0.0
        return (self.num_reply_tokens - 1) / self.decode_ms * 1000.0

    @property
    def read_gb_per_s(self) -> float:
        """Memory bandwidth that decoding reached, in 10**9 bytes a second; 0.0 where unknown.

        Weights that several rows share count for each of them.
        """
        return self.read_bytes / self.decode_ms / 1e6 if self.decode_ms > 0.0 else 0.0

    def as_dict(self) -> dict[str, float | int]:
        """Every measure, the speed and the bandwidth, rounded for people."""
        values = {key: round(value, 1) for key, value in asdict(self).items()}
        return {
            **values,
            "tokens_per_s": round(self.tokens_per_s, 1),
            "read_gb_per_s": round(self.read_gb_per_s, 1),
        }


def device_memory_bytes(device: torch.device) -> int:
    """All memory of a device, as far as this process may use it."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    limit = _first_number(Path("/sys/fs/cgroup/memory.max"))  # a container's, on Linux
    physical = _physical_memory_bytes()
    return min(limit, physical) if limit else physical


def _physical_memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return UNKNOWN_MEMORY_BYTES


def _first_number(path: Path) -> int:
    """The number in a file; 0 where there is no such file, or no number in it."""
    try:
        return int(path.read_text("ascii").strip())
    except (OSError, ValueError):
        return 0


def resident_memory_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    return process_memory_bytes("VmRSS")


def process_memory_bytes(field: str, process: int | Literal["self"] = "self") -> int:
    """One of Linux' measures of a process' memory; 0 where the system does not tell.

    Args:
        field: as /proc/self/status calls it, such as "VmHWM" for the most it ever had.
        process: its number (default: this one).
    """
    try:
        with Path(f"/proc/{process}/status").open(encoding="ascii") as status:
            for line in status:
                if line.startswith(f"{field}:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
