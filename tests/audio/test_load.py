"""Sound files of every kind, whole and broken."""

from __future__ import annotations

import re
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio import mp3
from audio.errors import AudioError
from audio.load import SoundLimits, from_samples, load_sound
from tests.media import noise, raw_wav, sound_file, speech_file, tone

LOSSLESS = [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAVEX", "PCM_16")]
LOSSLESS += [("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("WAV", "PCM_U8"), ("RF64", "PCM_16")]
LOSSY = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]

TAG = b"ID3\x04\x00\x00" + bytes([0, 0, 2, 0]) + bytes(range(256))

PCM = (noise(16_000) * 32_767).astype("<i2").tobytes()  # one second


def refusal(data: bytes, limits: SoundLimits = SoundLimits()) -> str:  # noqa: B008  # frozen
    """The sentence with which `data` is refused; it names nothing of ours."""
    with pytest.raises(AudioError) as error:
        load_sound(data, limits)
    sentence = str(error.value)
    assert re.fullmatch(r"[A-Z][^\n]*[^.]\.", sentence), sentence
    assert not re.search(r"0x[0-9a-f]|<|object|/|BytesIO|\bsf_|Error", sentence), sentence
    return sentence


def loudest_hz(waveform: np.ndarray) -> float:
    """The strongest frequency in 16 kHz samples."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(spectrum.argmax() * 16_000 / len(waveform))


def without_information(data: bytes) -> bytes:
    """An MP3 file without its first frame, the one that tells how many there are."""
    first = mp3._frame_at(data, 0)
    assert first is not None
    return data[first.num_bytes :]


@pytest.mark.parametrize(("kind", "subtype"), LOSSLESS)
def test_lossless_files_come_back_as_they_were(kind: str, subtype: str) -> None:
    samples = noise(8_000)
    waveform = load_sound(sound_file(samples, kind=kind, subtype=subtype))
    assert waveform.dtype == np.float32
    assert waveform.shape == samples.shape
    np.testing.assert_allclose(waveform, samples, atol=1 / 127 if subtype == "PCM_U8" else 1e-4)


@pytest.mark.parametrize(("kind", "subtype"), LOSSY)
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 48_000])
def test_lossy_files_keep_length_and_pitch(kind: str, subtype: str, rate_hz: int) -> None:
    waveform = load_sound(sound_file(tone(2, 440, rate_hz), rate_hz, kind, subtype))
    assert abs(len(waveform) - 32_000) <= 16
    assert loudest_hz(waveform) == pytest.approx(440, abs=1)


@pytest.mark.parametrize(
    "rate_hz", [1_000, 8_000, 11_025, 12_345, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000]
)
def test_every_rate_is_resampled_to_16_khz(rate_hz: int) -> None:
    waveform = load_sound(sound_file(tone(2, 300, rate_hz), rate_hz))
    assert len(waveform) == 32_000
    inner = slice(1_600, -1_600)
    np.testing.assert_allclose(waveform[inner], tone(2, 300)[inner], atol=1e-3)


def test_what_16_khz_cannot_hold_is_filtered_out_and_not_folded_down() -> None:
    waveform = load_sound(sound_file(tone(1, 15_000, 48_000), 48_000))
    assert np.abs(waveform[1_600:-1_600]).max() < 1e-3


@pytest.mark.parametrize("num_channels", range(1, 9))
def test_channels_are_averaged(num_channels: int) -> None:
    channels = np.stack([noise(4_000, seed=seed) for seed in range(num_channels)], axis=1)
    waveform = load_sound(sound_file(channels, subtype="FLOAT"))
    np.testing.assert_allclose(waveform, channels.mean(axis=1), atol=1e-6)


def test_opposite_channels_cancel() -> None:
    left = tone(0.5)
    assert not load_sound(sound_file(np.stack([left, -left], axis=1), subtype="FLOAT")).any()


def test_blocks_join_without_a_seam() -> None:
    samples = tone(10, 300, 44_100)
    whole = load_sound(sound_file(samples, 44_100, subtype="FLOAT"))
    np.testing.assert_allclose(whole[1_600:-1_600], tone(10, 300)[1_600:-1_600], atol=2e-3)


def test_slightly_hot_samples_are_clipped() -> None:
    waveform = load_sound(sound_file(tone(0.5, peak=1.5), subtype="FLOAT"))
    assert waveform.max() == 1.0
    assert waveform.min() == -1.0


@pytest.mark.parametrize("data_bytes", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_wav_that_was_streamed_with_an_open_size_is_read_to_its_end(data_bytes: int) -> None:
    np.testing.assert_array_equal(
        load_sound(raw_wav(PCM, data_bytes=data_bytes)), load_sound(raw_wav(PCM))
    )


@pytest.mark.espeak
def test_speech_piped_from_a_synthesiser_is_read() -> None:
    waveform = load_sound(speech_file("hello"))
    assert 0.3 < len(waveform) / 16_000 < 3
    assert np.abs(waveform).max() > 0.1


def test_flac_that_was_streamed_with_an_open_length_is_read_to_its_end() -> None:
    data = bytearray(sound_file(noise(16_000), kind="FLAC"))
    data[21] &= 0xF0  # the low four of the 36 bits that count the samples, then the other 32
    data[22:26] = bytes(4)
    assert len(load_sound(bytes(data))) == 16_000


@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 44_100, 48_000])
def test_mp3_of_changing_bit_rate_without_a_length_is_read_to_its_end(
    rate_hz: int, num_channels: int
) -> None:
    quiet_then_loud = np.concatenate([noise(3 * rate_hz, 1e-4), noise(3 * rate_hz, 0.5)])
    channels = np.stack([quiet_then_loud] * num_channels, axis=1)
    data = without_information(sound_file(channels, rate_hz, "MP3"))
    assert len(load_sound(data)) == pytest.approx(6 * 16_000, abs=2 * 1_152 * 16_000 / rate_hz)


def test_mp3_files_joined_with_a_tag_between_them_are_read_to_their_end() -> None:
    half = without_information(sound_file(noise(32_000), kind="MP3"))
    last_tag = b"TAG" + bytes(125)
    waveform = load_sound(half + last_tag + TAG + half + last_tag)
    assert len(waveform) == pytest.approx(64_000, abs=4 * 1_152)


@pytest.mark.parametrize("kind", ["MP3", "FLAC", "WAV", "OGG"])
@pytest.mark.parametrize("padding_bytes", [0, 100])
def test_sound_behind_a_tag_is_read_whole(kind: str, padding_bytes: int) -> None:
    tagged = TAG + bytes(padding_bytes) + sound_file(tone(1), kind=kind)
    assert len(load_sound(tagged)) == 16_000


def test_mp3_without_a_length_behind_a_tag_is_read_to_its_end() -> None:
    data = without_information(sound_file(noise(96_000), kind="MP3"))
    np.testing.assert_array_equal(load_sound(TAG + data), load_sound(data))


def test_sound_behind_other_chunks_is_read() -> None:
    data = raw_wav(PCM)
    odd_chunk = b"note" + struct.pack("<I", 3) + b"abc\0"
    assert len(load_sound(data[:12] + odd_chunk + data[12:])) == 16_000


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "file is empty"),
        (raw_wav(b""), "holds no sound"),
        (raw_wav(PCM[:320]), "lasts 0.01 s; record at least 0.1 s"),
        (sound_file(np.zeros((1_600, 20), np.float32)), "has 20 channels"),
        (b"These are only words.\n" * 400, "not a WAV, FLAC, OGG or MP3"),
        ("UTF-16 words".encode("utf-16") * 400, "not a WAV, FLAC, OGG or MP3"),
        (bytes(5_000), "not a WAV, FLAC, OGG or MP3"),
        (b"\xff\xfb" * 3_000, "not a WAV, FLAC, OGG or MP3"),
        (b"RIFF", "not a WAV, FLAC, OGG or MP3"),
        (sound_file(tone(1), kind="AIFF"), "not a WAV, FLAC, OGG or MP3"),
        (TAG + sound_file(tone(1), kind="AIFF"), "not a WAV, FLAC, OGG or MP3"),
        (TAG, "not a WAV, FLAC, OGG or MP3"),
        (TAG[:99], "not a WAV, FLAC, OGG or MP3"),
        (raw_wav(PCM)[:12], "damaged or cut short"),
        (raw_wav(PCM)[:30], "damaged or cut short"),
        (raw_wav(PCM)[:-2], "damaged or cut short"),
        (raw_wav(PCM)[:5_000], "damaged or cut short"),
        (raw_wav(PCM, rate_hz=1), "has 1 samples a second"),
        (raw_wav(PCM, rate_hz=4_000_000), "has 4000000 samples a second"),
        (sound_file(np.array([0.0] * 1_600 + [np.nan]), subtype="FLOAT"), "are not numbers"),
        (sound_file(np.array([0.0] * 1_600 + [-np.inf]), subtype="FLOAT"), "are not numbers"),
        (sound_file(tone(1, peak=32_767), subtype="FLOAT"), "far beyond -1 to 1"),
    ],
    ids=[
        *("empty", "no samples", "10 ms", "20 channels", "text", "utf-16", "zeros", "sync words"),
        *(
            "four bytes",
            "aiff",
            "tagged aiff",
            "tag",
            "half a tag",
            "wav head",
            "wav format",
            "wav end",
            "wav half",
            "1 Hz",
            "4 MHz",
        ),
        *("nan", "inf", "unscaled"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(data: bytes, expected: str) -> None:
    assert expected in refusal(data)


@pytest.mark.parametrize(("kind", "subtype"), [("FLAC", "PCM_16"), *LOSSY])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
def test_a_compressed_file_that_was_cut_is_refused(kind: str, subtype: str, kept: float) -> None:
    data = sound_file(noise(48_000), kind=kind, subtype=subtype)
    assert "damaged or cut short" in refusal(data[: int(kept * len(data))])


def test_over_half_an_hour_is_refused_by_the_header_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    data = sound_file(np.zeros(1_801 * 8_000, np.int16), 8_000, "FLAC")
    monkeypatch.setattr(soundfile.SoundFile, "read", None)  # decoding would fail
    assert "longer than 30 minutes" in refusal(data)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_the_limit_holds_to_the_sample(kind: str) -> None:
    data = sound_file(tone(2), kind=kind)
    assert len(load_sound(data, SoundLimits(max_seconds=2))) == 32_000
    assert "longer than" in refusal(data, SoundLimits(max_seconds=1.999))


def test_length_is_counted_while_decoding_where_the_header_leaves_it_open() -> None:
    data = bytearray(sound_file(noise(32_000), kind="FLAC"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    assert "longer than" in refusal(bytes(data), SoundLimits(max_seconds=1))


def test_memory_follows_what_is_kept_and_not_what_the_file_unpacks_to() -> None:
    data = sound_file(np.zeros((20 * 96_000, 8), np.int16), 96_000, "FLAC")  # 61 MB as float32
    tracemalloc.start()
    try:
        waveform = load_sound(data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert waveform.nbytes == 20 * 16_000 * 4
    assert peak_bytes < 10e6


def test_a_wav_whose_finished_header_says_nothing_is_inside_holds_no_sound() -> None:
    trailing_note = b"LIST" + struct.pack("<I", 4_000) + bytes(4_000)
    head = raw_wav(b"")
    data = head[:4] + struct.pack("<I", len(head) + len(trailing_note) - 8) + head[8:]
    assert "holds no sound" in refusal(data + trailing_note)


def test_an_ogg_cut_out_of_a_live_stream_is_read() -> None:
    data = sound_file(noise(160_000), kind="OGG")
    pages = [match.start() for match in re.finditer(b"OggS", data)]
    setup, later = data[: pages[2]], data[pages[len(pages) // 2] :]
    assert len(load_sound(setup + later)) > 16_000


def test_a_file_of_too_many_bytes_is_refused() -> None:
    assert "larger than 1 MiB" in refusal(bytes(2**20 + 1), SoundLimits(max_bytes=2**20))


@pytest.mark.parametrize(
    ("samples", "tolerance"),
    [
        ((noise(4_000) * 32_767).astype(np.int16), 1e-4),
        ((noise(4_000).astype(np.float64) * (2**31 - 1)).astype(np.int32), 1e-6),
        (np.rint(noise(4_000) * 127 + 128).astype(np.uint8), 1e-2),
        (noise(4_000), 0),
        (noise(4_000).astype(np.float64), 0),
        (noise(4_000)[:, None], 0),
        (np.repeat(noise(4_000)[:, None], 8, axis=1), 1e-6),
    ],
    ids=["int16", "int32", "uint8", "float32", "float64", "column", "eight columns"],
)
def test_samples_of_every_type_mean_the_same(samples: np.ndarray, tolerance: float) -> None:
    waveform = from_samples(16_000, samples)
    assert waveform.dtype == np.float32
    np.testing.assert_allclose(waveform, noise(4_000), atol=tolerance)


def test_samples_are_resampled_like_a_file() -> None:
    samples = (noise(100_000) * 32_767).astype(np.int16)
    np.testing.assert_array_equal(
        from_samples(48_000, samples), load_sound(sound_file(samples, 48_000))
    )


def test_samples_given_are_left_as_they_were() -> None:
    samples = tone(1, peak=1.5)
    from_samples(16_000, samples)
    np.testing.assert_array_equal(samples, tone(1, peak=1.5))


@pytest.mark.parametrize(
    ("rate_hz", "samples", "expected"),
    [
        (16_000, np.zeros(0, np.float32), "holds no sound"),
        (16_000, np.zeros((0, 2), np.float32), "holds no sound"),
        (16_000, np.zeros(160, np.float32), "lasts 0.01 s"),
        (16_000, np.zeros((2, 1_600), np.float32), "has 1600 channels"),
        (16_000, np.zeros((2, 2, 1_600), np.float32), "one column a channel"),
        (16_000, np.zeros(1_600, np.complex64), "16 or 32-bit integers"),
        (16_000, np.zeros(1_600, np.bool_), "16 or 32-bit integers"),
        (16_000, np.full(1_600, np.nan), "are not numbers"),
        (0, np.zeros(1_600, np.float32), "has 0 samples a second"),
        (-16_000, np.zeros(1_600, np.float32), "has -16000 samples a second"),
        (1_000, np.zeros(1_801_000, np.int16), "longer than 30 minutes"),
    ],
)
def test_samples_that_make_no_sense_are_refused(
    rate_hz: int, samples: np.ndarray, expected: str
) -> None:
    with pytest.raises(AudioError, match=expected):
        from_samples(rate_hz, samples)


FILES = [sound_file(noise(4_000), kind=kind, subtype=sub) for kind, sub in [*LOSSLESS, *LOSSY]]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    file=st.sampled_from(FILES),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0.05, 1),
)
def test_damage_anywhere_gives_sound_or_a_sentence(
    file: bytes, changes: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(file)
    for place, value in changes:
        data[min(int(place**4 * len(data)), len(data) - 1)] = value  # headers most of all
    try:
        waveform = load_sound(bytes(data[: int(kept * len(data))]))
    except AudioError as error:
        assert str(error).endswith(".")
        assert "0x" not in str(error)
    else:
        assert np.abs(waveform).max() <= 1.0


def test_ogg_that_is_cut_between_two_pages_is_cut_short() -> None:
    whole = sound_file(noise(160_000), kind="OGG", subtype="VORBIS")
    last_page = whole.rindex(b"OggS")
    with pytest.raises(AudioError, match="cut short"):
        load_sound(whole[:last_page])
