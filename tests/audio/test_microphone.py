"""The local microphone, with PortAudio's place taken by a fake device."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from types import SimpleNamespace, TracebackType
from typing import Any

import numpy as np
import pytest

from audio import microphone
from audio.errors import AudioError
from audio.microphone import record

DEVICE_RATE_HZ = 48_000
TONE_HZ = 1000


class PortAudioError(Exception):
    """What sounddevice raises when a device cannot be opened."""


class FakeStream:
    """Calls back with a tone, half a second at a time, reusing its buffer as PortAudio does."""

    def __init__(self, samplerate: int, channels: int, callback: Callable[..., None]) -> None:
        assert channels == 1
        self._rate_hz, self._callback = samplerate, callback

    def __enter__(self) -> FakeStream:
        buffer = np.empty((self._rate_hz // 2, 1), np.float32)
        for block in range(4):
            time_s = (np.arange(len(buffer)) + block * len(buffer)) / self._rate_hz
            buffer[:, 0] = 0.5 * np.sin(2 * np.pi * TONE_HZ * time_s)
            self._callback(buffer, len(buffer), None, None)
        buffer[:] = 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


def install(monkeypatch: pytest.MonkeyPatch, stream: Any, query: Any = None) -> None:
    def device(kind: str) -> dict[str, float]:
        return {"default_samplerate": float(DEVICE_RATE_HZ)}

    fake = SimpleNamespace(
        PortAudioError=PortAudioError, InputStream=stream, query_devices=query or device
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)


def test_recording_has_the_asked_length_and_the_right_pitch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, FakeStream)
    waveform = record(1.5)
    assert waveform.dtype == np.float32
    assert len(waveform) == 24_000
    peak = np.abs(np.fft.rfft(waveform)).argmax() * 16_000 / len(waveform)
    assert peak == pytest.approx(TONE_HZ, abs=2)


def test_no_microphone_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PortAudioError("Error querying device -1")

    install(monkeypatch, FakeStream, query=refuse)
    with pytest.raises(AudioError, match=r"^No microphone can be opened .* sound file\.$"):
        record(1)


def test_missing_portaudio_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_portaudio(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real_import(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_portaudio)
    with pytest.raises(AudioError, match="install it"):
        record(1)


def test_a_microphone_that_stays_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute(FakeStream):
        def __enter__(self) -> Mute:
            return self

    install(monkeypatch, Mute)
    monkeypatch.setattr(microphone, "PATIENCE_S", 0.0)
    with pytest.raises(AudioError, match="gave no sound"):
        record(0.05)


@pytest.mark.parametrize("seconds", [0, -1, 1801, float("nan")])
def test_a_senseless_length_is_refused(seconds: float) -> None:
    with pytest.raises(AudioError, match="choose a number"):
        record(seconds)
