"""Other engines beside ours: their processes, their twin, and what is made of two measurements."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoConfig, Phi3ForCausalLM

from core.instructions import can_run_loops
from tests.benchmarks import factory
from tests.benchmarks.bench import loaded_from
from tests.benchmarks.peers import compare, process
from tests.benchmarks.peers.compare import at_layers, summary
from tests.benchmarks.peers.process import PEERS, Peer, PeerError, running
from tests.benchmarks.text_twin import write_text_twin
from tests.test_bench import write_long_tiny_model
from tests.tiny_checkpoint import tiny_config

ECHO = """
import sys
from worker import serve

class Echo:
    def __init__(self, folder):
        print("a library that talks")
        if folder.name == "broken":
            raise ValueError("no such model")

    def reply_ms(self, num_prompt, num_new, case):
        return [float(num_prompt)] * num_new

sys.exit(serve(Echo, ("pytest",)))
"""


@pytest.fixture
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """A peer that says what it is asked."""
    (tmp_path / "worker.py").write_text((process.HERE / "worker.py").read_text("utf-8"), "utf-8")
    (tmp_path / "with_echo.py").write_text(ECHO, "utf-8")
    monkeypatch.setattr(process, "HERE", tmp_path)
    return Peer("echo", "with_echo.py", ())


def test_a_peer_answers_in_a_process_of_its_own(echo: Peer) -> None:
    with running(echo, Path(sys.executable), Path("model"), 1) as peer:
        assert peer.loaded["versions"] == {"pytest": pytest.__version__}
        assert peer.reply_ms(12, 3, "text") == [12.0, 12.0, 12.0]
        assert peer.peak_gb() > 0


def test_a_peer_that_ends_says_why(echo: Peer) -> None:
    with (
        pytest.raises(PeerError, match="no such model"),
        running(echo, Path(sys.executable), Path("broken"), 1),
    ):
        pass


def test_packages_that_cannot_be_installed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    peer = Peer("nobody", "with_nobody.py", ("triad-no-such-package==1",))
    with pytest.raises(PeerError, match=r"nobody was not installed(.|\n)*triad-no-such-package"):
        process.provide(peer, tmp_path)


def test_ours_and_a_peers_answers_are_taken_in_turns(
    echo: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "provide", lambda peer, folder: Path(sys.executable))
    monkeypatch.setattr(compare, "PREFILL_TOKENS", (40,))
    folder = write_long_tiny_model(tmp_path / "tiny")
    both = replace(echo, cases=("text", "picture"))
    twins = replace(echo, name="twins", layers=(1, 2))
    for num in twins.layers:
        (tmp_path / f"text-twin-{num}-layers").mkdir()
    wrong = replace(echo, name="wrong", script="with_nothing.py", cases=("text", "speech"))
    peers = both, twins, wrong
    found = list(compare.compare(loaded_from(folder), folder, peers, tmp_path, 2))
    assert [each["name"] for each in found] == ["echo", "twins", "wrong"]
    assert "with_nothing.py" in found[2]["error"]
    measures = found[0]["measures"]
    assert list(measures) == [
        *("first token, text", "a token, text", "first token, picture", "a token, picture"),
        "prefill, 40 tokens",
    ]
    assert measures["a token, picture"]["theirs_ms"] == compare.NUM_PROMPT
    assert measures["prefill, 40 tokens"]["theirs_ms"] == 40
    assert all(each["ours_ms"] > 0 for each in measures.values())
    assert found[1]["layers"] == [1, 2]


def test_two_twins_are_carried_on_in_a_straight_line() -> None:
    assert at_layers({4: 20.0, 12: 60.0}, 32) == pytest.approx(160.0)
    assert at_layers({32: 7.0}, 32) == 7.0
    times = {
        4: {"a token, text": {"ours": [40.0, 42.0], "theirs": [20.0, 20.0]}},
        12: {"a token, text": {"ours": [38.0, 40.0], "theirs": [60.0, 60.0]}},
    }
    measure = summary(times, 32)["measures"]["a token, text"]
    assert measure == {"ours_ms": 40.0, "theirs_ms": 160.0, "ratio": 4.0}


def test_every_peer_has_its_script() -> None:
    assert all((process.HERE / peer.script).is_file() for peer in PEERS)
    ours = [peer.name for peer in PEERS if not peer.packages]
    assert ours == ["ours with AVX2 alone"]
    complete = [peer.name for peer in PEERS if not peer.wants_twin]
    assert complete == ["transformers + bitsandbytes", *ours]


def test_ours_answers_as_on_a_cpu_with_avx2_alone(tmp_path: Path) -> None:
    folder = write_long_tiny_model(tmp_path / "tiny")
    (peer,) = (peer for peer in PEERS if not peer.packages)
    python = process.provide(peer, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with running(peer, python, folder, 1) as ours:
        for case in peer.cases:
            times_ms = ours.reply_ms(12, 3, case)
            assert len(times_ms) == 3
            assert min(times_ms) > 0
        assert ours.reply_ms(40, 1, "text")[0] > 0


@pytest.mark.skipif(not can_run_loops(), reason="this CPU has no AVX2")
def test_a_process_that_pretends_knows_no_newer_instructions() -> None:
    code = f"""
import sys
sys.path[:0] = [{str(process.HERE)!r}, {str(process.HERE.parents[2])!r}]
import with_fewer_instructions
with_fewer_instructions.pretend()
import torch
from core.config import has_fast_bfloat16
from core.instructions import can_run_loops
from core.vector_code import cpu_features
from core.vector_products import is_wide, largest_step
newer = [name for name in cpu_features() if name.startswith(with_fewer_instructions.NEWER)]
capability = torch.backends.cpu.get_cpu_capability()
print([newer, capability, has_fast_bfloat16("cpu"), can_run_loops(), is_wide(), largest_step()])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[[], 'AVX2', False, True, False, 63]"


def test_the_twin_is_the_decoder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "full_config", lambda num_layers: tiny_config())
    folder = write_text_twin(tmp_path / "twin", 2)
    config = AutoConfig.from_pretrained(folder)
    assert (config.hidden_size, config.num_hidden_layers) == (128, 2)
    _, info = Phi3ForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert json.loads((folder / "config.json").read_text("utf-8"))["tie_word_embeddings"]
