"""`launch.py bench` from end to end, on a model that answers at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.tokenizer import Tokenizer
from tests.benchmarks import bench
from tests.benchmarks.factory import byte_tokenizer
from tests.benchmarks.peers import process
from tests.benchmarks.peers.process import Peer
from tests.benchmarks.tables import tables
from tests.tiny_checkpoint import write_tiny_checkpoint
from tests.tiny_tokenizer import write_tiny_tokenizer


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny model whose context holds the benchmark's turns, in the bundled one's place."""
    folder = write_long_tiny_model(tmp_path / "tiny")
    monkeypatch.setattr(bench, "BUNDLED_FOLDER", folder)
    return folder


def write_long_tiny_model(folder: Path) -> Path:
    """A tiny model whose context holds long prompts and pictures; returns its folder."""
    write_tiny_tokenizer(write_tiny_checkpoint(folder))
    path = folder / "config.json"
    written = json.loads(path.read_text(encoding="utf-8")) | {"max_position_embeddings": 131_072}
    path.write_text(json.dumps(written), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text('{"dynamic_hd": 1}', encoding="utf-8")
    return folder


@pytest.mark.usefixtures("tiny")
def test_every_measure_is_taken_and_the_last_line_is_all_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, scratch = tmp_path / "kept.json", tmp_path / "scratch"
    arguments = ["--runs", "1", "--json", str(kept), "--folder", str(scratch)]
    assert bench.main(arguments) == 0
    printed = capsys.readouterr().out
    record = json.loads(printed.splitlines()[-1])
    assert record == json.loads(kept.read_text(encoding="utf-8"))
    assert set(record["versions"]) == set(bench.PACKAGES)
    figures = record["bundled"]
    assert [route["name"] for route in figures["routes"]] == [
        *("text", "10 s of speech", "448 px picture", "picture + speech")
    ]
    for route in figures["routes"]:
        stages = sum(route[stage] for stage in ("inputs_ms", "encode_ms", "prefill_ms"))
        assert 0 < stages <= route["first_token_ms"] * 1.01
        assert route["read_gb_per_s"] > 0
    assert all(each["tokens_per_s"] > 0 for each in figures["prefill"])
    assert figures["rows"]["ratio"] > 0
    assert all(each["with_ms"] > 0 for each in figures["ahead"])
    assert all(each["speed_up"] > 0 for each in figures["drafts"])
    assert all(each["load_s"] > 0 for each in figures["loading"].values())
    for line in tables(record):
        assert line in printed
    assert not list(scratch.iterdir()), "packed weights are removed again"


WRONG = [
    ["--runs", "0"],
    ["--layers", "x"],
    ["--what"],
    ["--peers"],
    ["--peers", "vllm"],
    ["--only-peers"],
]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_option_is_named(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("named", "wanted"),
    [([], process.PEERS), (["openvino", "llama.cpp"], ("OpenVINO", "llama.cpp"))],
)
def test_other_engines_are_measured_beside_a_checkpoint_of_the_real_size(
    named: list[str],
    wanted: Sequence[Peer | str],
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measure = {"ours_ms": 50.0, "theirs_ms": 100.0, "ratio": 2.0}

    def compared(loaded: object, model: Path, peers: Sequence[Peer], *_: object) -> object:
        assert model.samefile(tiny)
        measured = {"name": peers[0].name, "measures": {"a token, text": measure}}
        return [measured, *({"name": peer.name, "error": "no room"} for peer in peers[1:])]

    monkeypatch.setattr(bench, "compare", compared)
    monkeypatch.setattr(bench, "measure", lambda *_: pytest.fail("not asked for"))
    monkeypatch.setattr(bench, "machine_probe", dict)
    monkeypatch.setattr(bench, "in_words", lambda probe: ())
    monkeypatch.setattr(bench, "tables", lambda record: tables({"peers": record["peers"]}))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "random-2-layers").symlink_to(tiny)
    kept = tmp_path / "kept.json"
    options = ["--full", "--layers", "2", "--folder", str(scratch), "--json", str(kept)]
    assert bench.main([*options, "--only-peers", "--peers", *named]) == 0
    printed = capsys.readouterr().out
    names = [peer if isinstance(peer, str) else peer.name for peer in wanted]
    assert f"| {names[0]} | a token, text | 100 ms | 50 ms | 2.00 |" in printed
    assert all(f"| {name} | not measured |" in printed for name in names[1:])
    record = json.loads(printed.splitlines()[-1])
    assert [each["name"] for each in record["peers"]] == names
    assert json.loads(kept.read_text(encoding="utf-8")) == record


def test_the_random_checkpoints_tokenizer_has_the_real_control_tokens() -> None:
    tokenizer = Tokenizer(byte_tokenizer())
    names = ("<|endoftext|>", "<|endoftext10|>", "<|endoftext11|>", "<|assistant|>", "<|end|>")
    ids = [tokenizer.control_id(name) for name in names]
    assert ids == [199_999, 200_010, 200_011, 200_019, 200_020]
    assert [tokenizer.control_id(name) for name in ("<|user|>", "<|system|>")] == [200_021, 200_022]
    encoded = tokenizer.encode_text("Hé <|end|>", after=200_021)
    assert len(encoded) == len("Hé <|end|>".encode())
    assert tokenizer.decode(encoded) == "Hé <|end|>"
