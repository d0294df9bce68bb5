"""The voice socket: samples in, a clip of the same length out, or a sentence."""

from __future__ import annotations

import io
import json
import wave
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient

from app.voice import MAX_CLIP_BYTES, TOO_LONG, TOO_SHORT, Clips, receive_clip
from audio.log_mel import SAMPLE_RATE_HZ
from tests.media import tone


def pcm16(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


@pytest.fixture
def clips() -> Clips:
    return Clips()


@pytest.fixture
def socket_client(clips: Clips) -> TestClient:
    app = FastAPI()

    @app.websocket("/voice")
    async def voice(websocket: WebSocket) -> None:
        await receive_clip(websocket, clips)

    return TestClient(app)


def spoken(client: TestClient, pcm: bytes, chunk_bytes: int = 3200) -> dict[str, Any]:
    """What the socket answers to a recording."""
    with client.websocket_connect("/voice") as socket:
        for start in range(0, len(pcm), chunk_bytes):
            socket.send_bytes(pcm[start : start + chunk_bytes])
        socket.send_text(json.dumps({"type": "end"}))
        answer: dict[str, Any] = socket.receive_json()
        return answer


def test_recording_becomes_a_wav_of_the_same_samples(
    socket_client: TestClient, clips: Clips
) -> None:
    pcm = pcm16(tone(1.5))
    answer = spoken(socket_client, pcm)
    clip = clips.take(answer["id"])
    assert (answer["type"], answer["duration_ms"]) == ("clip", 1500)
    assert clip is not None
    with wave.open(io.BytesIO(clip.data)) as reader:
        assert reader.getparams()[:3] == (1, 2, SAMPLE_RATE_HZ)
        assert reader.readframes(reader.getnframes()) == pcm


def test_clip_is_taken_once(socket_client: TestClient, clips: Clips) -> None:
    answer = spoken(socket_client, pcm16(tone(0.5)))
    assert clips.take(answer["id"]) is not None
    assert clips.take(answer["id"]) is None


def test_slip_of_the_finger_is_said_to_be_too_short(socket_client: TestClient) -> None:
    answer = spoken(socket_client, pcm16(tone(0.2)))
    assert answer == {"type": "error", "message": TOO_SHORT}


def test_endless_recording_is_cut_off(socket_client: TestClient) -> None:
    with socket_client.websocket_connect("/voice") as socket:
        socket.send_bytes(b"\0" * (MAX_CLIP_BYTES + 2))
        assert socket.receive_json() == {"type": "error", "message": TOO_LONG}


@pytest.mark.parametrize("word", ['{"type": "cancel"}', "not json"])
def test_cancelled_recording_leaves_nothing(
    socket_client: TestClient, clips: Clips, word: str
) -> None:
    with socket_client.websocket_connect("/voice") as socket:
        socket.send_bytes(pcm16(tone(1.0)))
        socket.send_text(word)
        assert socket.receive()["type"] == "websocket.close"
    assert len(clips) == 0


def test_oldest_clip_is_dropped_when_too_many_wait() -> None:
    clips = Clips(max_clips=2)
    ids = [clips.put(b"\0\0") for _ in range(3)]
    assert [clips.take(clip_id) is not None for clip_id in ids] == [False, True, True]
