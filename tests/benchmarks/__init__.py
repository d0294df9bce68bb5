"""Benchmarks: run by hand, never as timed tests; each ends in one JSON line."""

import logging

# It warns about an optional package that would fetch kernels from the network.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
