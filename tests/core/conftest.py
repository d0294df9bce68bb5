"""Tiny checkpoints of both layouts, written once a run, and transformers' answer to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import ModelOptions
from core.loader import load_model
from core.model import Model
from tests.core.reference import Reference
from tests.tiny_checkpoint import write_tiny_checkpoint

EXACT = ModelOptions(dtype="float32", quantization="none", device="cpu")


@pytest.fixture(scope="session")
def native_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint in the native layout, one file."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="session")
def main_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same numbers in main's layout, in shards."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp("main"), "main", sharded=True)


@pytest.fixture(scope="session")
def model(native_folder: Path) -> Model:
    """Ours, unquantised in float32."""
    return load_model(native_folder, EXACT)


@pytest.fixture(scope="session")
def reference(native_folder: Path) -> Reference:
    """transformers' and peft's, in float32."""
    return Reference(native_folder)
