"""The vision encoder's first weights: four attention heads look at a neighbouring patch each.

A transformer that begins without any notion of nearness needs far more pictures than the recipe
draws to find it. Positions begin as sines and cosines in the first numbers of each patch, and
queries as those positions moved one or two patches aside, so that attention begins as a
convolution does; everything is free to change afterwards.
Source: Cordonnier et al., "On the relationship between self-attention and convolutional layers"
(arXiv 1911.03584); d'Ascoli et al., "ConViT" (arXiv 2103.10697).
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import nn

NUM_FREQUENCIES: Final = 8  # for each axis; sine and cosine make 16 numbers of it
SHARPNESS: Final = 1.5
NEAR: Final = (
    (0, -1),
    (0, 1),
    (-1, 0),
    (1, 0),
)  # row and column steps of four heads; others begin at random
FAR: Final = ((-1, -1), (-1, 1), (1, -1), (1, 1))


@torch.no_grad()
def begin_local(vision: nn.Module, num_patches_a_side: int) -> None:
    """Set positions, and queries and keys of four heads, of a Phi4MultimodalVisionModel.

    Its heads are 32 wide, of which it has four or more.
    """
    frequencies = math.pi / 2 * 2.0 ** (-torch.arange(NUM_FREQUENCIES) / 2)  # radians a patch
    num_positional = 4 * NUM_FREQUENCIES
    embeddings = vision.get_submodule("embeddings")
    positions = torch.arange(num_patches_a_side)
    rows, columns = torch.meshgrid(positions, positions, indexing="ij")
    table = torch.cat(
        [_waves(rows.flatten(), frequencies), _waves(columns.flatten(), frequencies)], 1
    )
    position_weight = embeddings.get_parameter("position_embedding.weight")
    position_weight[:, :num_positional] = table
    # The patch's own content stays out of the numbers that say where it is.
    embeddings.get_parameter("patch_embedding.weight")[:num_positional] = 0.0
    layers = vision.get_submodule("encoder").get_submodule("layers")
    for index, layer in enumerate(layers.children()):
        steps = NEAR if index % 2 == 0 else FAR
        query = layer.get_parameter("self_attn.q_proj.weight")
        key = layer.get_parameter("self_attn.k_proj.weight")
        for head, (row_step, column_step) in enumerate(steps):
            span = slice(head * num_positional, (head + 1) * num_positional)
            query[span].mul_(0.1)
            key[span].mul_(0.1)
            key[span, :num_positional] = SHARPNESS * torch.eye(num_positional)
            query[span, :num_positional] = SHARPNESS * torch.block_diag(
                _turn(frequencies * row_step), _turn(frequencies * column_step)
            )


def _waves(positions: torch.Tensor, frequencies: torch.Tensor) -> torch.Tensor:
    """Sines, then cosines, shape (num_positions, 2 * num_frequencies)."""
    angles = positions[:, None] * frequencies[None, :]
    return torch.cat([angles.sin(), angles.cos()], 1)


def _turn(angles: torch.Tensor) -> torch.Tensor:
    """The matrix that moves waves on by these angles, shape (2 * num, 2 * num)."""
    cos, sin = torch.diag(angles.cos()), torch.diag(angles.sin())
    return torch.cat([torch.cat([cos, sin], 1), torch.cat([-sin, cos], 1)], 0)


@torch.no_grad()
def begin_whitened(vision: nn.Module, crops: torch.Tensor) -> None:
    """Set the patch embedding to the principal components of patches, at equal strength.

    Left to itself it shows mostly a patch's mean colour, and edges drown in it. Whitened, an edge
    is as loud as a colour from the first step on.
    Source: the first layer of Jordan, "94% on CIFAR-10 in 3.29 seconds" (arXiv 2404.00498).

    Args:
        vision: a Phi4MultimodalVisionModel that `begin_local` has seen.
        crops: some hundred pictures, (num, 3, crop_px, crop_px) in [-1, 1].
    """
    embedding = vision.get_submodule("embeddings").get_submodule("patch_embedding")
    weight, bias = embedding.get_parameter("weight"), embedding.get_parameter("bias")
    side, num_positional = weight.shape[-1], 4 * NUM_FREQUENCIES
    patches = torch.nn.functional.unfold(crops, side, stride=side).transpose(1, 2).flatten(0, 1)
    mean = patches.mean(0)
    variances, components = torch.linalg.eigh(torch.cov(patches.T))  # in rising order
    num = weight.shape[0] - num_positional
    # Below a hundredth of the median kept variance there is little but noise to amplify.
    floor = 0.01 * variances[-num // 2]
    filters = components[:, -num:] / (variances[-num:] + floor).sqrt()
    filters = filters.T.flip(0)
    weight[num_positional:] = filters.view(num, *weight.shape[1:])
    bias[num_positional:] = -(filters @ mean)
