"""A peer at work: its environment, made once, and its process, which measures when it is asked.

Leaves out: what runs inside (with_*.py) and what is asked (compare.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from core.stats import process_memory_bytes

HERE: Final = Path(__file__).resolve().parent
NUM_LINES_TOLD: Final = 15


class PeerError(Exception):
    """A peer could not be installed, or ended; the message has its own last lines."""


@dataclass(frozen=True)
class Peer:
    """Another engine.

    Args:
        name: what the tables call it, and its environment's folder.
        script: of this folder; runs it.
        packages: what pip installs for it; none where it runs in our own environment.
        layers: of the twins that it is measured on, where it is measured on twins: two of them are
            carried on to the real number of layers in a straight line. None stands for all layers.
        cases: what it can be asked: "text", "speech", "picture".
        unwanted: packages that come with it, are not needed and break it: taken out again.
    """

    name: str
    script: str
    packages: tuple[str, ...]
    layers: tuple[int | None, ...] = (None,)
    cases: tuple[str, ...] = ("text",)
    unwanted: tuple[str, ...] = ()

    @property
    def wants_twin(self) -> bool:
        """Whether it knows text alone, and so gets the decoder without adapters and encoders."""
        return self.cases == ("text",)


TORCH: Final = "torch==2.13.0"
PEERS: Final = (
    Peer(
        "transformers + bitsandbytes",
        "with_stock.py",
        (TORCH, "transformers==5.23.0", "bitsandbytes==0.50.2", "peft==0.21.2", "pillow==12.3.0"),
        cases=("text", "speech", "picture"),
    ),
    Peer(
        "ours with AVX2 alone",
        "with_fewer_instructions.py",
        (),
        cases=("text", "speech", "picture"),
    ),
    Peer(
        "llama.cpp",
        "with_llama_cpp.py",
        (TORCH, "llama-cpp-python==0.3.36", "gguf==0.19.0", "safetensors==0.8.0"),
    ),
    Peer(
        "OpenVINO",
        "with_openvino.py",
        (TORCH, "optimum-intel[openvino]==2.2.0", "nncf==3.4.0"),
        layers=(4, 12),
        unwanted=("torchvision",),  # built for another torch; transformers imports it if it can
    ),
    Peer(
        "onnxruntime-genai",
        "with_onnx_genai.py",
        (
            *(TORCH, "onnxruntime-genai==0.18.0", "onnxruntime==1.32.0", "onnx==1.23.2"),
            *("onnx-ir==1.1.0", "transformers==5.24.0"),
        ),
        layers=(4, 12),
    ),
)


def provide(peer: Peer, folder: Path) -> Path:
    """A peer's Python, in an environment that is made when it is first asked for.

    Args:
        folder: where the environments lie.
    Raises:
        PeerError: pip could not install it.
    """
    if not peer.packages:
        return Path(sys.executable)
    environment = folder / peer.name.replace(" + ", "-")
    python, mark = environment / "bin" / "python", environment / "installed.json"
    if mark.exists() and json.loads(mark.read_text("utf-8")) == list(peer.packages):
        return python
    print(f"  Installing {peer.name} in {environment} (minutes) ...", flush=True)
    pip = [str(python), "-m", "pip", "--quiet", "--no-input"]
    commands = [
        [sys.executable, "-m", "venv", "--clear", str(environment)],
        [*pip, "install", *peer.packages],
    ]
    if peer.unwanted:
        commands.append([*pip, "uninstall", "--yes", *peer.unwanted])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PeerError(f"{peer.name} was not installed:\n{_last_lines(done.stderr)}")
    mark.write_text(json.dumps(peer.packages), encoding="utf-8")
    return python


class PeerProcess:
    """A running peer.

    Args:
        loaded: its first line: "load_s" and "versions".
    """

    def __init__(self, process: subprocess.Popen[str], errors: IO[str]) -> None:
        self._process, self._errors = process, errors
        self.loaded: dict[str, Any] = self._read()

    def reply_ms(self, num_prompt: int, num_new: int, case: str) -> list[float]:
        """What each token of a reply takes, in milliseconds; as worker.Engine says."""
        assert self._process.stdin is not None
        asked = {"num_prompt": num_prompt, "num_new": num_new, "case": case}
        try:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # reading says why
        return list(self._read())

    def peak_gb(self) -> float:
        """The most memory it had so far, in 10**9 bytes; 0.0 where the system does not tell."""
        return process_memory_bytes("VmHWM", self._process.pid) / 1e9

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            said = _last_lines(self._errors.read())
            raise PeerError(f"it ended with code {self._process.returncode}:\n{said}")
        return json.loads(line)


@contextmanager
def running(peer: Peer, python: Path, model: Path, num_threads: int) -> Iterator[PeerProcess]:
    """A peer with a model loaded, which ends on leaving.

    Args:
        python: its environment's.
        model: the folder that it loads.
        num_threads: as many as ours.
    Raises:
        PeerError: it ended before it was ready, or while it was asked.
    """
    threads = {"OMP_NUM_THREADS": str(num_threads), "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [str(python), "-W", "ignore", str(HERE / peer.script), str(model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **threads},
        )
        try:
            yield PeerProcess(process, errors)
        finally:
            process.kill()
            process.communicate()


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-NUM_LINES_TOLD:])
