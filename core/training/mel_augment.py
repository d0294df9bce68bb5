"""Log-mel frames varied by chance: speaker, microphone, room, noise, gaps.

Cheap stand-ins for what speech.py and room.py do to the sound itself once for each clip. But for
`stretch`, a clip's length and the time of its words never change.
Leaves out: padding a batch, and what is said in it (speech_stages.py).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final

import torch

from audio.log_mel import MAX_MEL_HZ, NUM_MELS

UNTOUCHED_SHARE: Final = 0.2  # of the clips
STRETCHED_SHARE: Final = 0.5
STRETCH: Final = (0.85, 1.4)  # of the frames
WARP: Final = (0.88, 1.12)
WARP_TURN_HZ: Final = 4800.0  # above, the warp bends back so that the highest band stays
NUM_KNOTS: Final = 7  # of a smooth curve over the bands
BEND: Final = 1.2  # bands up or down, the standard deviation at a knot
DECIBEL: Final = math.log(10) / 10  # in natural-log energy
FRAMES_PER_SECOND: Final = 100

Effect = Callable[[torch.Tensor, torch.Tensor, random.Random], torch.Tensor]


def augment(mels: torch.Tensor, lengths: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Vary each clip on its own; about one in five stays as it is.

    Args:
        mels: natural-log mel energies, no less than 0, float32, (num_clips, num_frames, 80).
        lengths: how many frames of each clip are sound, (num_clips,); those after stay as they are.
    Returns:
        The same shape, no less than 0; `mels` itself is not changed.
    """
    varied = mels.clone()
    touched = [row for row in range(len(mels)) if rng.random() >= UNTOUCHED_SHARE]
    for effect, share in EFFECTS:
        rows = [row for row in touched if rng.random() < share]
        if rows:
            with torch.autocast(mels.device.type, enabled=False):  # warp's product in float32
                varied[rows] = effect(varied[rows], lengths[rows], rng)
    return torch.where(_is_sound(mels, lengths), varied, mels)


def stretch(mel: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Faster and slower speech, for half of the clips: frames are drawn out or pressed together.

    Args:
        mel: of one clip, (num_frames, 80).
    Returns:
        (about as many frames, 80).
    """
    if rng.random() >= STRETCHED_SHARE:
        return mel
    num_frames = max(1, round(len(mel) * rng.uniform(*STRETCH)))
    drawn_out = torch.nn.functional.interpolate(mel.T[None], num_frames, mode="linear")
    return drawn_out[0].T


def warp(mels: torch.Tensor, lengths: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Longer and shorter throats: the mel axis is stretched or squeezed.

    Source: vocal tract length perturbation (Jaitly and Hinton, 2013).
    """
    factors = torch.tensor([rng.uniform(*WARP) for _ in range(len(mels))])
    return torch.bmm(mels, _read_at(_warped_places(factors)).to(mels))


def bend(mels: torch.Tensor, lengths: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Other throats of the same length: one formant higher, another lower, smoothly between them.

    The outermost bands stay, and bands keep their order.
    """
    bands = torch.arange(NUM_MELS) + BEND * _smooth_curves(len(mels), _generator(rng))
    places = bands.cummax(1).values.clamp(0, NUM_MELS - 1)
    places[:, 0], places[:, -1] = 0, NUM_MELS - 1
    return torch.bmm(mels, _read_at(places).to(mels))


def equalise(mels: torch.Tensor, lengths: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Other microphones: louder or quieter, tilted, and with a smooth curve over the bands."""
    num = len(mels)
    gain_db, tilt_db = (_uniform(num, high, rng) for high in (8.0, 6.0))
    curve_db = _smooth_curves(num, _generator(rng)) * _uniform(num, 5.0, rng)[:, None]
    curve_db += gain_db[:, None] + tilt_db[:, None] * torch.linspace(-1, 1, NUM_MELS)
    change = (curve_db * DECIBEL)[:, None].to(mels)  # (num, 1, 80)
    return torch.where(mels > 0, mels + change, mels).clamp_(min=0)  # silence stays silence


def reverberate(mels: torch.Tensor, lengths: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Rooms: each frame's power fades away exponentially over the frames after it."""
    num = len(mels)
    decays_s = torch.tensor([rng.uniform(0.1, 0.5) for _ in range(num)])  # to fall by 60 dB
    kept = 10 ** (-6 / (decays_s * FRAMES_PER_SECOND))  # of the power, a frame later
    echo_db = torch.tensor([rng.uniform(-15, -3) for _ in range(num)])  # all echoes together
    share = (10 ** (echo_db / 10) * (1 - kept) / kept).to(mels)[:, None, None]
    power = torch.expm1(mels)
    tail, fade = power.clone(), kept.to(mels)[:, None, None]
    for shift in (1, 2, 4, 8, 16):  # each step doubles how many frames before have been added
        earlier = tail[:, :-shift].clone()
        tail[:, shift:] += earlier * fade**shift
    return torch.log1p(power + share * (tail - power).clamp_(min=0))


def add_noise(mels: torch.Tensor, lengths: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """A steady noise of some smooth spectrum, 10 to 40 dB below the clip's mean power."""
    num, generator = len(mels), _generator(rng)
    power = torch.expm1(mels)
    mean = _mean(power, lengths)
    snr_db = torch.tensor([rng.uniform(10, 40) for _ in range(num)])
    tilt_db = (_uniform(num, 10.0, rng) - 5)[:, None] * torch.linspace(-1, 1, NUM_MELS)
    spectrum = torch.exp((5 * _smooth_curves(num, generator) + tilt_db) * DECIBEL)
    spectrum *= 10 ** (-snr_db[:, None] / 10) / spectrum.mean(1, keepdim=True)
    flicker = torch.randn(mels.shape, generator=generator).mul_(0.5).exp_()
    noise = flicker.to(mels) * (spectrum.to(mels)[:, None] * mean)
    return torch.log1p(power + noise)


def mask(mels: torch.Tensor, lengths: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Two bands and two moments are replaced by the clip's mean (SpecAugment, 1904.08779)."""
    frames = torch.arange(mels.shape[1], device=mels.device)
    bands = torch.arange(NUM_MELS, device=mels.device)
    mean = _mean(mels, lengths)
    num_frames = lengths.tolist()
    for _ in range(2):
        is_hidden = _within(bands, [_span(NUM_MELS, 10, rng) for _ in mels])[:, None]
        mels = torch.where(is_hidden, mean, mels)
        is_hidden = _within(frames, [_span(num, 12, rng) for num in num_frames])[..., None]
        mels = torch.where(is_hidden, mean, mels)
    return mels


# What happens to a clip that is not left as it is, in this order, and how often.
EFFECTS: Final[tuple[tuple[Effect, float], ...]] = (
    (warp, 0.6),
    (bend, 0.6),
    (equalise, 0.7),
    (reverberate, 0.25),
    (add_noise, 0.4),
    (mask, 0.7),
)


def _warped_places(factors: torch.Tensor) -> torch.Tensor:
    """Where each warped band is read: band numbers, (num_clips, 80)."""
    top = _mel_of(torch.tensor(MAX_MEL_HZ))
    mels = top * torch.arange(1, NUM_MELS + 1) / (NUM_MELS + 1)  # the bands' middles
    hertz = 700 * torch.expm1(mels / 1127)
    factors = factors[:, None]
    turn = WARP_TURN_HZ / factors.clamp(min=1)
    above = MAX_MEL_HZ - (MAX_MEL_HZ - hertz) * (MAX_MEL_HZ - turn * factors) / (MAX_MEL_HZ - turn)
    source_hz = torch.where(hertz <= turn, hertz * factors, above)  # (num_clips, 80)
    return (_mel_of(source_hz) / top * (NUM_MELS + 1) - 1).clamp(0, NUM_MELS - 1)


def _read_at(places: torch.Tensor) -> torch.Tensor:
    """Mel bands -> bands read at places among them: each column two weights that sum to 1.

    Args:
        places: from 0 to 79, (num_clips, 80).
    Returns:
        (num_clips, 80, 80).
    """
    bands = torch.arange(NUM_MELS)[None, :, None]
    return (1 - (places[:, None] - bands).abs()).clamp(min=0)


def _mel_of(hertz: torch.Tensor) -> torch.Tensor:
    return 1127 * torch.log1p(hertz / 700)


def _is_sound(mels: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Which frames come before a clip's end, (num_clips, num_frames, 1)."""
    frames = torch.arange(mels.shape[1], device=mels.device)
    return (frames < lengths.to(mels.device)[:, None])[..., None]


def _mean(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Each clip's mean before its end, (num_clips, 1, 1)."""
    total = (values * _is_sound(values, lengths)).sum((1, 2))
    return (total / (lengths.to(values) * NUM_MELS).clamp(min=1))[:, None, None]


def _smooth_curves(num: int, generator: torch.Generator) -> torch.Tensor:
    """Curves over the bands through a few standard normal values, (num, 80)."""
    knots = torch.randn(num, 1, NUM_KNOTS, generator=generator)
    return torch.nn.functional.interpolate(
        knots, NUM_MELS, mode="linear", align_corners=True
    ).squeeze(1)


def _uniform(num: int, high: float, rng: random.Random) -> torch.Tensor:
    """Values between -high and high, (num,)."""
    return torch.tensor([rng.uniform(-high, high) for _ in range(num)])


def _generator(rng: random.Random) -> torch.Generator:
    return torch.Generator().manual_seed(rng.getrandbits(32))


def _span(num: int, widest: int, rng: random.Random) -> tuple[int, int]:
    """A first place below `num` and the place after the last."""
    first = rng.randrange(max(1, num))
    return first, first + rng.randint(0, widest)


def _within(places: torch.Tensor, spans: list[tuple[int, int]]) -> torch.Tensor:
    """Which places lie in each span, (num_spans, num_places)."""
    first, after = torch.tensor(spans, device=places.device).T[..., None]
    return (places >= first) & (places < after)
