"""The voice socket: 16 kHz PCM in, a WAV clip out that a message can carry.

The page sends 16-bit little-endian mono samples as they are recorded, then {"type": "end"};
the answer is {"type": "clip", "id", "duration_ms"} or {"type": "error", "message"}. A socket
that closes before "end" leaves nothing behind. Leaves out: voice detection and hands-free talk.
"""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from typing import Final

import numpy as np
from fastapi import WebSocket, WebSocketDisconnect

from audio.log_mel import SAMPLE_RATE_HZ
from audio.save import wav_bytes
from core.messages import AudioPart

BYTES_PER_SAMPLE: Final = 2
MIN_CLIP_MS: Final = 250  # anything shorter is a slip of the finger
MAX_CLIP_MS: Final = 30_000
BYTES_PER_MS: Final = SAMPLE_RATE_HZ * BYTES_PER_SAMPLE // 1000
# The page stops at MAX_CLIP_MS by itself; what was under way by then is let through.
MAX_CLIP_BYTES: Final = (MAX_CLIP_MS + 2_000) * BYTES_PER_MS
TOO_SHORT: Final = "That was too short to hear: hold the button while you speak, then let go."
TOO_LONG: Final = "That was longer than 30 seconds: say it in shorter pieces."


class Clips:
    """Recorded clips on their way from the socket into a message; each is taken once.

    Args:
        max_clips: how many may wait; the oldest is dropped when one more arrives.
    """

    def __init__(self, max_clips: int = 16) -> None:
        self._max_clips = max_clips
        self._clips: OrderedDict[str, AudioPart] = OrderedDict()

    def __len__(self) -> int:
        return len(self._clips)

    def put(self, pcm: bytes) -> str:
        """Keep PCM16 samples as a WAV file, and return the id to take it with."""
        clip_id = secrets.token_urlsafe(16)
        self._clips[clip_id] = AudioPart(wav_bytes(np.frombuffer(pcm, "<i2")), "recording.wav")
        while len(self._clips) > self._max_clips:
            self._clips.popitem(last=False)
        return clip_id

    def take(self, clip_id: str) -> AudioPart | None:
        """The clip, or None when it is unknown or already taken."""
        return self._clips.pop(clip_id, None)


def duration_ms(pcm: bytes) -> int:
    """How long PCM16 samples last, in whole milliseconds."""
    return len(pcm) // BYTES_PER_MS


async def receive_clip(socket: WebSocket, clips: Clips) -> None:
    """Serve one recording from its first sample to its clip."""
    await socket.accept()
    try:
        pcm = await _receive_pcm(socket)
    except WebSocketDisconnect:
        return
    if pcm is not None:
        await socket.send_text(json.dumps(_answer(pcm, clips)))
    await socket.close()


async def _receive_pcm(socket: WebSocket) -> bytes | None:
    """The samples up to "end", cut off where they are too long; None when it was cancelled."""
    pcm = bytearray()
    while len(pcm) <= MAX_CLIP_BYTES:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        if message.get("text") is not None:
            return bytes(pcm) if _is_end(message["text"]) else None
        pcm += message.get("bytes") or b""
    return bytes(pcm)


def _is_end(text: str) -> bool:
    try:
        return bool(json.loads(text) == {"type": "end"})
    except ValueError:
        return False


def _answer(pcm: bytes, clips: Clips) -> dict[str, str | int]:
    if duration_ms(pcm) < MIN_CLIP_MS:
        return {"type": "error", "message": TOO_SHORT}
    if len(pcm) > MAX_CLIP_BYTES:
        return {"type": "error", "message": TOO_LONG}
    whole = pcm[: len(pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE]
    return {"type": "clip", "id": clips.put(whole), "duration_ms": duration_ms(whole)}
