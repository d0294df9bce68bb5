"""Where the decoder looks while it answers: one head is told, and all learn from it.

"The star is green" can be learned from the loss of "green" alone, but for thousands of steps it is
not: as long as no head looks at the star, nothing says that it should, and the reply names any
colour that is in the picture. So one head of two layers is shown, for the words of such a reply,
which of the picture's tokens tell what is asked; of what is counted or may not be there, the first
token of all beside them, so that what is left for it tells how many there are. What else the head
does, and all other heads, follow from the reply as ever; only training knows of this.
Sources: Liu and others, "Neural machine translation with supervised attention" (COLING 2016, arXiv
1609.04186); one head of a transformer: Strubell and others, "Linguistically-informed
self-attention" (EMNLP 2018, arXiv 1804.08199).
Leaves out: where things stand in a picture (slots.py) and in a row (examples.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import nn
from transformers.masking_utils import create_causal_mask
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import (
    Phi4MultimodalAttention,
    Phi4MultimodalModel,
    apply_rotary_pos_emb,
)

from core.training.examples import Looks

LOOKING_WEIGHT: Final = 0.1  # beside the loss of the replies
LOOKING_HEAD: Final = 0
Rotation = tuple[torch.Tensor, torch.Tensor]  # cosines and sines of every place


def looking_layers(num_layers: int) -> tuple[int, ...]:
    """Those with a head that is told: behind the middle, where words know those before them."""
    middle = num_layers // 2
    return tuple(sorted({middle, min(middle + 1, num_layers - 1)}))


def run_and_look(
    decoder: Phi4MultimodalModel, embeddings: torch.Tensor, looks: Looks
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the decoder itself would return, and how far its head looks from where it should.

    Args:
        embeddings: shape (num_rows, num_tokens, hidden).
        looks: at least one.
    Returns:
        Its last hidden states, (num_rows, num_tokens, hidden); mean cross entropy of the head's
        attention with where it should look, a scalar.
    """
    places = torch.arange(embeddings.shape[1], device=embeddings.device)[None]
    mask = create_causal_mask(
        config=decoder.config,
        inputs_embeds=embeddings,
        attention_mask=None,
        past_key_values=None,
        position_ids=places,
    )
    rotation = decoder.rotary_emb(embeddings, position_ids=places)
    layers: Sequence[nn.Module] = list(decoder.layers)
    told, hidden, distances = looking_layers(len(layers)), embeddings, []
    for number, layer in enumerate(layers):
        if number in told:
            distances.append(_distance(layer, hidden, rotation, looks))
        hidden = layer(
            hidden,
            attention_mask=mask,
            position_ids=places,
            past_key_values=None,
            use_cache=False,
            position_embeddings=rotation,
        )
    return decoder.norm(hidden), torch.stack(distances).mean()


def _distance(layer: Any, hidden: torch.Tensor, rotation: Rotation, looks: Looks) -> torch.Tensor:
    """Cross entropy of one layer's head with where it should look, a word's on average."""
    attention = head_attention(layer.self_attn, layer.input_layernorm(hidden), rotation)
    rows, queries, targets = looks.where.to(hidden.device).unbind(1)
    chances = attention[rows, queries, targets]
    shares = looks.shares.to(hidden.device)
    return -(shares * chances).sum() / shares.sum()  # a word's shares are 1 together


def head_attention(
    attention: Phi4MultimodalAttention, hidden: torch.Tensor, rotation: Rotation
) -> torch.Tensor:
    """Log probabilities with which LOOKING_HEAD looks from each token at each one before it.

    Args:
        hidden: what the layer's attention is given, (num_rows, num_tokens, hidden).
    Returns:
        float32, (num_rows, num_tokens, num_tokens).
    """
    config, width = attention.config, attention.head_dim
    products = attention.qkv_proj(hidden)
    num_heads = config.num_attention_heads
    first_key = num_heads + LOOKING_HEAD // attention.num_key_value_groups
    query, key = (
        products[..., None, head * width : (head + 1) * width].transpose(1, 2)
        for head in (LOOKING_HEAD, first_key)
    )
    query, key = apply_rotary_pos_emb(query, key, *rotation)
    scores = (query[:, 0] @ key[:, 0].mT).float() * attention.scaling
    num = scores.shape[-1]
    is_later = torch.ones(num, num, dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(is_later, -torch.inf).log_softmax(-1)
