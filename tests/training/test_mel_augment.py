"""What training varies in log-mel frames: shapes, the floor and the ends stay; the rest moves."""

from __future__ import annotations

import random

import pytest
import torch

from audio.log_mel import NUM_MELS
from core.training import mel_augment
from core.training.mel_augment import EFFECTS, STRETCH, augment, stretch

NUM_FRAMES = 120
LENGTHS = torch.tensor([120, 100, 64, 31])


def some_clips(num: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips of loud and silent frames, and their lengths; zero after each end."""
    mels = torch.rand(num, NUM_FRAMES, NUM_MELS, generator=torch.Generator().manual_seed(0)) * 20
    mels[:, :5] = 0  # digital silence
    lengths = LENGTHS.repeat(-(-num // 4))[:num]
    mels[torch.arange(NUM_FRAMES) >= lengths[:, None]] = 0
    return mels, lengths


def one_band(band: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A clip with a peak at one band, falling off beside it."""
    curve = (15 - (torch.arange(NUM_MELS) - band).abs().float()).clamp(min=0)
    return curve.expand(1, NUM_FRAMES, NUM_MELS).clone(), torch.tensor([NUM_FRAMES])


@pytest.mark.parametrize("seed", range(10))
def test_shapes_the_floor_and_the_ends_stay(seed: int) -> None:
    mels, lengths = some_clips()
    before = mels.clone()
    varied = augment(mels, lengths, random.Random(seed))
    assert varied.shape == mels.shape
    assert varied.dtype == torch.float32
    assert torch.isfinite(varied).all()
    assert varied.min() >= 0
    assert not varied[torch.arange(NUM_FRAMES) >= lengths[:, None]].any()
    assert torch.equal(mels, before)


def test_the_same_seed_varies_the_same_way() -> None:
    mels, lengths = some_clips()
    first, again, other = (augment(mels, lengths, random.Random(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_about_one_clip_in_five_stays_as_it_is() -> None:
    mels, lengths = some_clips(400)
    varied = augment(mels, lengths, random.Random(0))
    same = (varied == mels).all(-1).all(-1).float().mean()
    assert 0.15 < same < 0.3


def test_an_untouched_clip_is_the_same_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mel_augment, "UNTOUCHED_SHARE", 1.0)
    mels, lengths = some_clips()
    assert torch.equal(augment(mels, lengths, random.Random(0)), mels)


@pytest.mark.parametrize("effect", [effect for effect, _ in EFFECTS])
def test_each_effect_changes_a_clip_and_keeps_its_shape(effect: mel_augment.Effect) -> None:
    mels, lengths = some_clips()
    varied = effect(mels, lengths, random.Random(0))
    assert varied.shape == mels.shape
    assert (varied - mels).abs().max() > 0.1
    assert varied.min() >= 0


@pytest.mark.parametrize(("factor", "moves"), [(0.9, 1), (1.0, 0), (1.1, -1)])
def test_a_warp_moves_a_peak_and_one_leaves_it(
    factor: float, moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mel_augment, "WARP", (factor, factor))
    mels, lengths = one_band(40)
    peak = int(mel_augment.warp(mels, lengths, random.Random(0))[0, 0].argmax())
    assert (peak > 40) - (peak < 40) == moves
    assert abs(peak - 40) <= 5


@pytest.mark.parametrize("factor", [0.88, 1.0, 1.12])
def test_a_warp_leaves_an_even_spectrum_even(
    factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mel_augment, "WARP", (factor, factor))
    even = torch.full((1, 3, NUM_MELS), 7.0)
    warped = mel_augment.warp(even, torch.tensor([3]), random.Random(0))
    assert torch.allclose(warped, even, atol=1e-4)


def test_the_highest_band_stays_the_highest_in_a_warp() -> None:
    rising = torch.arange(NUM_MELS).float().expand(8, 2, NUM_MELS)
    warped = mel_augment.warp(rising, torch.full((8,), 2), random.Random(0))
    assert (warped.diff(dim=-1) >= -1e-4).all()
    assert torch.allclose(warped[..., -1], torch.tensor(79.0), atol=0.5)


def test_a_bend_moves_peaks_either_way_and_keeps_bands_in_order() -> None:
    rising = torch.arange(NUM_MELS).float().expand(60, 1, NUM_MELS)
    bent = mel_augment.bend(rising, torch.full((60,), 1), random.Random(0))[:, 0]
    assert (bent.diff(dim=-1) >= -1e-4).all()
    assert not bent[:, 0].any()
    assert torch.allclose(bent[:, -1], torch.tensor(79.0))
    moved = bent[:, 40] - 40
    assert moved.min() < -1 < 1 < moved.max()
    assert abs(moved.mean()) < 0.5
    assert ((bent[:, 20] - 20) * (bent[:, 60] - 60) < 0).any()  # one up, another down


def test_a_bend_leaves_an_even_spectrum_even() -> None:
    even = torch.full((1, 3, NUM_MELS), 7.0)
    bent = mel_augment.bend(even, torch.tensor([3]), random.Random(0))
    assert torch.allclose(bent, even, atol=1e-4)


def test_an_equaliser_leaves_silence_silent() -> None:
    mels, lengths = some_clips()
    varied = mel_augment.equalise(mels, lengths, random.Random(3))
    assert not varied[:, :5].any()


def test_an_echo_follows_a_sound_fades_and_never_comes_before_it() -> None:
    mels = torch.zeros(1, NUM_FRAMES, NUM_MELS)
    mels[:, 20] = 18.0
    heard = mel_augment.reverberate(mels, torch.tensor([NUM_FRAMES]), random.Random(0))[0, :, 0]
    assert not heard[:20].any()
    assert heard[20] == pytest.approx(18.0, abs=0.01)
    assert 5 < heard[21] < 18
    assert (heard[20:40].diff() < 0).all()


def test_noise_fills_silence_and_stays_below_the_clip() -> None:
    mels, lengths = some_clips()
    noisy = mel_augment.add_noise(mels, lengths, random.Random(0))
    assert (noisy[:, :5].mean((1, 2)) > 1).all()
    assert (noisy >= mels - 1e-4).all()
    for before, after, length in zip(mels, noisy, lengths, strict=True):
        power, added = (torch.expm1(x[:length]).double().mean() for x in (before, after))
        assert 0.9 * power < added < 1.15 * power


def test_a_mask_hides_with_the_clips_mean_and_little_of_it() -> None:
    mels, lengths = some_clips(40)
    hidden = mel_augment.mask(mels, lengths, random.Random(0))
    for before, after, length in zip(mels, hidden, lengths, strict=True):
        changed = after[:length][after[:length] != before[:length]]
        assert torch.allclose(changed, before[:length].mean(), atol=1e-3)
        assert changed.numel() < 0.75 * length * NUM_MELS


@pytest.mark.parametrize("num_frames", [1, 3, 17])
def test_the_shortest_clips_are_varied_too(num_frames: int) -> None:
    mels = torch.full((40, num_frames, NUM_MELS), 9.0)
    varied = augment(mels, torch.full((40,), num_frames), random.Random(0))
    assert varied.shape == mels.shape
    assert torch.isfinite(varied).all()


def test_clips_are_varied_in_float32_wherever_it_happens() -> None:
    mels = torch.rand(6, 40, 80) * 12
    lengths = torch.full((6,), 40)
    with torch.autocast("cpu", torch.bfloat16):
        low = augment(mels, lengths, random.Random(3))
    assert torch.equal(low, augment(mels, lengths, random.Random(3)))


def test_half_of_the_clips_are_drawn_out_or_pressed_together() -> None:
    mel = torch.arange(200.0)[:, None].expand(200, NUM_MELS)
    lengths = [len(stretch(mel, random.Random(seed))) for seed in range(300)]
    assert 0.4 < lengths.count(200) / 300 < 0.6
    assert min(lengths) < 0.9 * 200 < 1.15 * 200 < max(lengths)
    assert all(STRETCH[0] * 199 <= length <= STRETCH[1] * 201 for length in lengths)


def test_what_is_drawn_out_comes_in_the_same_order_and_is_as_loud() -> None:
    mel = torch.linspace(0, 20, 200)[:, None].expand(200, NUM_MELS).clone()
    mel[:, 7] = 3.0
    for seed in range(20):
        drawn = stretch(mel, random.Random(seed))
        assert (drawn[1:, 0] >= drawn[:-1, 0]).all()
        assert torch.allclose(drawn[:, 7], torch.tensor(3.0))
        assert drawn[:, 0].mean() == pytest.approx(10, abs=0.2)
