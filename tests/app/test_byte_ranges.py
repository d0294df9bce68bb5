"""Parts of a file, as players ask for them."""

from __future__ import annotations

import pytest

from app.byte_ranges import ranged_response

DATA = bytes(range(100))


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-3", 0, 4),
        ("bytes=10-", 10, 100),
        ("bytes=90-500", 90, 100),
        ("bytes=-8", 92, 100),
        ("bytes=-500", 0, 100),
        ("bytes=99-99", 99, 100),
    ],
)
def test_a_range_is_answered_with_its_bytes(wanted: str, start: int, stop: int) -> None:
    response = ranged_response(DATA, "audio/wav", wanted, {"x-kept": "yes"})
    assert response.status_code == 206
    assert response.body == DATA[start:stop]
    assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/100"
    assert response.headers["content-length"] == str(stop - start)
    assert response.headers["x-kept"] == "yes"


@pytest.mark.parametrize(
    "wanted",
    [None, "", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,5-6", "items=0-3", "bytes=a-b"],
)
def test_all_of_it_is_the_answer_to_everything_else(wanted: str | None) -> None:
    response = ranged_response(DATA, "audio/wav", wanted, {})
    assert (response.status_code, response.body) == (200, DATA)
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize("wanted", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_beyond_the_file_is_refused_with_its_size(wanted: str) -> None:
    response = ranged_response(DATA, "audio/wav", wanted, {})
    assert response.status_code == 416
    assert response.headers["content-range"] == "bytes */100"


def test_nothing_of_an_empty_file_can_be_had() -> None:
    assert ranged_response(b"", "audio/wav", "bytes=0-0", {}).status_code == 416
    assert ranged_response(b"", "audio/wav", None, {}).status_code == 200
