"""How far off products in int8 may be, on this CPU."""

from __future__ import annotations

from core.vector_products import largest_step

STEPS = largest_step()  # of activations
FURTHEST_OFF = 1.65 / STEPS  # 0.013 with eight bits, twice as much with seven
