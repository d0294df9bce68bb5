"""LongRoPE: the switch, the frequencies, the scaling."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import Phi4MultimodalConfig

from core.rope import Rope, RopeRegime, rotate
from tests.tiny_checkpoint import ROPE_MAX, ROPE_SWITCH, tiny_config

CPU = torch.device("cpu")


def rope(config: Phi4MultimodalConfig | None = None) -> Rope:
    return Rope(config or tiny_config(), CPU, torch.float32)


@pytest.mark.parametrize(
    ("num_tokens", "regime"),
    [(1, "short"), (ROPE_SWITCH, "short"), (ROPE_SWITCH + 1, "long"), (ROPE_MAX, "long")],
)
def test_the_whole_length_decides_the_regime(num_tokens: int, regime: RopeRegime) -> None:
    assert rope().regime(num_tokens) == regime


def test_the_checkpoints_scaling_is_the_published_one() -> None:
    config = tiny_config()
    config.max_position_embeddings = 131072
    config.rope_parameters |= {"original_max_position_embeddings": 4096, "factor": None}
    assert rope(config).scaling == pytest.approx(1.19024, abs=1e-5)


@pytest.mark.parametrize("regime", ["short", "long"])
def test_every_pair_turns_at_its_own_speed(regime: RopeRegime) -> None:
    config = tiny_config()
    cos, sin = rope(config).tables([5], 3, [regime])
    assert cos.shape == (1, 3, 1, 24)
    for pair, factor in enumerate(config.rope_parameters[f"{regime}_factor"]):
        angle = 7 / (factor * 10000.0 ** (2 * pair / 24))
        scaling = math.sqrt(1 + math.log(ROPE_MAX / ROPE_SWITCH) / math.log(ROPE_SWITCH))
        for column in (pair, pair + 12):
            assert float(cos[0, 2, 0, column]) == pytest.approx(math.cos(angle) * scaling, abs=1e-5)
            assert float(sin[0, 2, 0, column]) == pytest.approx(math.sin(angle) * scaling, abs=1e-5)


def test_rows_have_their_own_start_and_regime() -> None:
    both = rope().tables([4, 9], 2, ["long", "short"])
    for row, (start, regime) in enumerate([(4, "long"), (9, "short")]):
        alone = rope().tables([start], 2, [regime])  # type: ignore[list-item]
        assert torch.equal(both[0][row], alone[0][0])
        assert torch.equal(both[1][row], alone[1][0])


def test_only_the_rotary_part_of_a_head_is_turned() -> None:
    heads = torch.randn(1, 2, 3, 32, generator=torch.Generator().manual_seed(0))
    turned = rotate(heads, *rope().tables([3], 2, ["short"]))
    assert torch.equal(turned[..., 24:], heads[..., 24:])
    assert not torch.allclose(turned[..., :24], heads[..., :24])
    expected = heads[..., :24].norm(dim=-1) * rope().scaling
    torch.testing.assert_close(turned[..., :24].norm(dim=-1), expected)


def test_plain_rope_has_one_regime_and_no_scaling() -> None:
    config = tiny_config()
    config.rope_parameters = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "partial_rotary_factor": 0.75,
    }
    plain = rope(config)
    assert plain.scaling == 1.0
    assert plain.regime(ROPE_MAX) == "short"
    cos, _ = plain.tables([0], 1, ["short"])
    assert torch.equal(cos, torch.ones(1, 1, 1, 24))
