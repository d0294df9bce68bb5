"""The microphone button in a real browser whose microphone plays a file."""

from __future__ import annotations

import io
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, BrowserContext, expect

from core.messages import AudioPart, ImagePart, TextPart
from core.router import InputMode
from tests.browser.conftest import Launch
from tests.browser.page import ChatPage, expect_soon
from tests.fakes import FakeAssistant
from tests.media import picture, picture_file, silence, sound_file, tone

pytestmark = pytest.mark.browser

FILE_RATE_HZ = 48_000
SINE_HZ = 440.0
SINE_S = 2.0


@pytest.fixture
def sine_file(tmp_path: Path) -> Path:
    """Half a second of silence, a sine, and silence until nobody listens any more."""
    quiet = silence(FILE_RATE_HZ // 2)
    long_quiet = silence(FILE_RATE_HZ * 20)
    samples = np.concatenate([quiet, tone(SINE_S, SINE_HZ, FILE_RATE_HZ), long_quiet])
    path = tmp_path / "sine.wav"
    path.write_bytes(sound_file(samples, FILE_RATE_HZ, subtype="PCM_16"))
    return path


@pytest.fixture
def speaking(launch: Launch, sine_file: Path, url: str) -> ChatPage:
    """The page in a browser whose microphone plays the sine."""
    context = launch(microphone=sine_file).new_context(permissions=["microphone"])
    return ChatPage(context.new_page(), url).open()


def heard(assistant: FakeAssistant) -> tuple[np.ndarray, int]:
    """The samples of the last clip, and their rate."""
    part = assistant.turns[-1].conversation.messages[-1].parts[0]
    assert isinstance(part, AudioPart)
    samples, rate_hz = soundfile.read(io.BytesIO(part.data), dtype="float32")
    return samples, rate_hz


def test_sine_arrives_with_its_length_and_frequency(
    speaking: ChatPage, assistant: FakeAssistant
) -> None:
    speaking.start_speaking()
    speaking.wait_for_listeners(4.0)
    speaking.stop_speaking()
    speaking.expect_route("speech")
    samples, rate_hz = heard(assistant)
    assert rate_hz == 16_000
    loud = np.flatnonzero(np.abs(samples) > 0.1 * np.abs(samples).max())
    assert (loud[-1] - loud[0]) / rate_hz == pytest.approx(SINE_S, rel=0.1)
    spectrum = np.abs(np.fft.rfft(samples[loud[0] : loud[-1]]))
    peak_hz = spectrum.argmax() * rate_hz / (loud[-1] - loud[0])
    assert peak_hz == pytest.approx(SINE_HZ, abs=3.0)


def test_holding_space_talks_and_letting_go_sends(
    speaking: ChatPage, assistant: FakeAssistant
) -> None:
    speaking.microphone.focus()
    speaking.page.keyboard.down("Space")
    expect(speaking.microphone_state).to_have_attribute("data-state", "listening")
    speaking.wait_for_listeners(1.5)
    speaking.page.keyboard.up("Space")
    speaking.expect_route("speech")
    assert len(heard(assistant)[0]) > 16_000
    expect(speaking.sounds).to_have_count(1)


def test_letting_go_beside_the_button_sends_too(
    speaking: ChatPage, assistant: FakeAssistant
) -> None:
    mouse, place = speaking.page.mouse, speaking.microphone.bounding_box()
    assert place is not None
    mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    mouse.down()
    expect(speaking.microphone_state).to_have_attribute("data-state", "listening")
    speaking.wait_for_listeners(1.5)
    mouse.move(place["x"], place["y"] - 200)
    mouse.up()
    speaking.expect_route("speech")
    assert len(heard(assistant)[0]) > 16_000


def test_pressing_twice_to_send_sends_once(speaking: ChatPage, assistant: FakeAssistant) -> None:
    speaking.start_speaking()
    speaking.wait_for_listeners(1.0)
    speaking.page.evaluate(
        """() => {
          const button = document.querySelector("#triad-microphone button");
          for (const time of [1, 2]) button.dispatchEvent(new MouseEvent("click", {detail: 0}));
        }"""
    )
    speaking.expect_route("speech")
    assert len(assistant.turns) == 1


def test_a_microphone_that_is_unplugged_is_a_sentence(speaking: ChatPage) -> None:
    speaking.page.add_init_script(
        """const ask = MediaDevices.prototype.getUserMedia;
        MediaDevices.prototype.getUserMedia = async function (wanted) {
          window.lent = await ask.call(this, wanted);
          return window.lent;
        };"""
    )
    speaking.reload()
    speaking.start_speaking()
    speaking.page.evaluate("window.lent.getTracks()[0].dispatchEvent(new Event('ended'))")
    expect(speaking.microphone_line).to_contain_text("No microphone was found")
    expect(speaking.microphone_state).to_have_attribute("data-state", "idle")


def test_speech_goes_with_the_attached_picture_and_the_typed_text(
    speaking: ChatPage, assistant: FakeAssistant, tmp_path: Path
) -> None:
    path = tmp_path / "scene.png"
    path.write_bytes(picture_file(picture(64, 48)))
    speaking.attach(path)
    speaking.box.fill("listen:")
    speaking.start_speaking()
    speaking.wait_for_listeners(1.0)
    speaking.stop_speaking()
    speaking.expect_route("vision+speech")
    expect(speaking.badges.last).to_have_attribute(
        "title", "vision adapter, vision audio projector"
    )
    parts = assistant.turns[-1].conversation.messages[-1].parts
    assert [type(part) for part in parts] == [ImagePart, AudioPart, TextPart]
    expect(speaking.box).to_have_value("")


def test_escape_throws_the_recording_away(speaking: ChatPage, assistant: FakeAssistant) -> None:
    speaking.start_speaking()
    speaking.wait_for_listeners(0.6)
    speaking.page.keyboard.press("Escape")
    expect(speaking.microphone_state).to_have_attribute("data-state", "idle")
    speaking.ask("typed instead")
    assert [len(turn.conversation.messages) for turn in assistant.turns] == [1]
    assert assistant.turns[0].conversation.messages[0].parts == (TextPart("typed instead"),)


def test_denied_microphone_is_a_sentence_that_says_what_to_do(
    browser: Browser, contexts: ExitStack, url: str
) -> None:
    context = browser.new_context(permissions=[])
    contexts.callback(context.close)
    chat = ChatPage(context.new_page(), url).open()
    chat.microphone.click()
    expect(chat.microphone_line).to_contain_text("The microphone is blocked: allow it")
    expect(chat.microphone_state).to_have_attribute("data-state", "idle")
    chat.camera.click()
    expect(chat.camera_line).to_contain_text("The camera is blocked: allow it")


def test_page_without_media_devices_says_why(context: BrowserContext, url: str) -> None:
    page = context.new_page()
    page.add_init_script("Object.defineProperty(navigator, 'mediaDevices', {get: () => undefined})")
    chat = ChatPage(page, url).open()
    chat.microphone.click()
    expect(chat.microphone_line).to_contain_text("https: open Triad at http://127.0.0.1")
    chat.camera.click()
    expect(chat.camera_line).to_contain_text("https: open Triad at http://127.0.0.1")


def test_the_history_is_worked_on_while_somebody_speaks(
    speaking: ChatPage, assistant: FakeAssistant
) -> None:
    speaking.ask("Hello")
    assistant.ahead.clear()
    assistant.ahead_modes.clear()
    speaking.start_speaking()
    expect_soon(lambda: assistant.ahead_modes == [InputMode.SPEECH])
    said = [message.text for message in assistant.ahead[0].conversation.messages]
    assert said == ["Hello", "You said: Hello", ""]
