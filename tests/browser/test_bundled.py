"""The page with the model that comes with Triad: written, spoken, shown.

The expected words are in the tables below, and nowhere else.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
import soundfile
from PIL import Image, ImageDraw

from app.server import ServerOptions
from tests.browser.conftest import Launch
from tests.browser.page import ChatPage
from tests.browser.server import running
from tests.media import silence, sound_file, speech_file

if TYPE_CHECKING:
    from core.assistant import Assistant

pytestmark = pytest.mark.browser

ANSWER_MS: Final = 120_000
WRITTEN: Final = [("How many sides does a triangle have?", "3")]
SPOKEN: Final = [("How many sides does a triangle have?", "3")]
SHOWN: Final = [("circle", "red", "What colour is the circle?", "red")]
SHOWN_AND_SPOKEN: Final = [("circle", "red", "What colour is the circle?", "red")]


@pytest.fixture(scope="module")
def bundled_url(
    bundled_assistant: Assistant, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A server around the bundled model."""
    folder = tmp_path_factory.mktemp("bundled")
    options = ServerOptions(history_path=folder / "history.sqlite3", samples_dir=folder)
    with running(bundled_assistant, options) as url:
        yield url


def scene(shape: str, colour: str, width_px: int = 640, height_px: int = 480) -> Image.Image:
    """One large shape in the middle, on the grey of a wall."""
    drawn = Image.new("RGB", (width_px, height_px), (190, 190, 185))
    draw = ImageDraw.Draw(drawn)
    half_px = height_px * 15 // 100  # as large as the world's large shapes
    centre_x, centre_y = width_px // 2, height_px // 2
    place = (centre_x - half_px, centre_y - half_px, centre_x + half_px, centre_y + half_px)
    {"circle": draw.ellipse, "square": draw.rectangle}[shape](place, fill=colour)
    return drawn


def y4m(drawn: Image.Image, num_frames: int = 10) -> bytes:
    """A still video of a picture, yuv420p, as Chromium's fake camera takes it."""
    luma, blue, red = drawn.convert("YCbCr").split()
    half = (drawn.width // 2, drawn.height // 2)
    # The file is read as studio range: 16..235 for luma, 16..240 for chroma.
    planes = [np.asarray(luma, np.float32) * 219 / 255 + 16]
    planes += [
        (np.asarray(plane.resize(half), np.float32) - 128) * 224 / 255 + 128
        for plane in (blue, red)
    ]
    frame = b"FRAME\n" + b"".join(plane.round().astype(np.uint8).tobytes() for plane in planes)
    header = f"YUV4MPEG2 W{drawn.width} H{drawn.height} F10:1 Ip A1:1 C420jpeg\n".encode()
    return header + frame * num_frames


def spoken_file(text: str, path: Path) -> tuple[Path, float]:
    """Half a second of silence, then espeak-ng; the path, and how long it lasts in seconds."""
    speech, rate_hz = soundfile.read(io.BytesIO(speech_file(text)), dtype="float32")
    samples = np.concatenate([silence(rate_hz // 2), speech, silence(rate_hz * 20)])
    path.write_bytes(sound_file(samples, rate_hz, subtype="PCM_16"))
    return path, 0.5 + len(speech) / rate_hz


@pytest.mark.parametrize(("question", "answer"), WRITTEN)
def test_written_question_is_answered_by_the_base_model(
    launch: Launch, bundled_url: str, question: str, answer: str
) -> None:
    chat = ChatPage(launch().new_page(), bundled_url).open()
    chat.send(question)
    chat.wait_until_answered(ANSWER_MS)
    chat.expect_last_reply(answer)
    chat.expect_route("text")


@pytest.mark.espeak
@pytest.mark.parametrize(("question", "answer"), SPOKEN)
def test_spoken_question_is_answered_by_the_speech_adapter(
    launch: Launch, bundled_url: str, tmp_path: Path, question: str, answer: str
) -> None:
    path, spoken_s = spoken_file(question, tmp_path / "question.wav")
    context = launch(microphone=path).new_context(permissions=["microphone"])
    chat = ChatPage(context.new_page(), bundled_url).open()
    chat.start_speaking()
    chat.wait_for_listeners(spoken_s + 0.5)
    chat.stop_speaking()
    chat.wait_until_answered(ANSWER_MS)
    chat.expect_route("speech")
    chat.expect_last_reply(answer)


@pytest.mark.parametrize(("shape", "colour", "question", "answer"), SHOWN)
def test_scene_before_the_camera_is_answered_by_the_vision_adapter(
    launch: Launch,
    bundled_url: str,
    tmp_path: Path,
    shape: str,
    colour: str,
    question: str,
    answer: str,
) -> None:
    path = tmp_path / "scene.y4m"
    path.write_bytes(y4m(scene(shape, colour)))
    context = launch(camera=path).new_context(permissions=["camera"])
    chat = ChatPage(context.new_page(), bundled_url).open()
    chat.camera.click()
    chat.snap_button.click()  # which waits until it is enabled, by the first frame
    chat.attachments.first.wait_for()
    chat.send(question)
    chat.wait_until_answered(ANSWER_MS)
    chat.expect_route("vision")
    chat.expect_last_reply(answer)


@pytest.mark.parametrize(("shape", "colour", "question", "answer"), SHOWN)
def test_uploaded_picture_is_answered_by_the_vision_adapter(
    launch: Launch,
    bundled_url: str,
    tmp_path: Path,
    shape: str,
    colour: str,
    question: str,
    answer: str,
) -> None:
    path = tmp_path / "scene.png"
    scene(shape, colour, 448, 448).save(path)
    chat = ChatPage(launch().new_page(), bundled_url).open()
    chat.attach(path)
    chat.send(question)
    chat.wait_until_answered(ANSWER_MS)
    chat.expect_route("vision")
    chat.expect_last_reply(answer)


@pytest.mark.espeak
@pytest.mark.parametrize(("shape", "colour", "question", "answer"), SHOWN_AND_SPOKEN)
def test_spoken_question_on_a_picture_is_answered_by_the_vision_adapter(
    launch: Launch,
    bundled_url: str,
    tmp_path: Path,
    shape: str,
    colour: str,
    question: str,
    answer: str,
) -> None:
    picture = tmp_path / "scene.png"
    scene(shape, colour, 448, 448).save(picture)
    sound, spoken_s = spoken_file(question, tmp_path / "question.wav")
    context = launch(microphone=sound).new_context(permissions=["microphone"])
    chat = ChatPage(context.new_page(), bundled_url).open()
    chat.attach(picture)
    chat.start_speaking()
    chat.wait_for_listeners(spoken_s + 0.5)
    chat.stop_speaking()
    chat.wait_until_answered(ANSWER_MS)
    chat.expect_route("vision+speech")
    chat.expect_last_reply(answer)
