"""What the chat page says by itself. Leaves out: what an adapter or a failed turn says."""

from __future__ import annotations

from typing import Final

PLACEHOLDER: Final = "Ask anything"
EMPTY_CHAT: Final = (
    "<div class='triad-hello'><h1>What would you like to know?</h1>"
    "<p>Write, speak or show a picture. Everything stays on this machine.</p></div>"
)
CLIP_LOST: Final = "The recording got lost on its way: please say it again."
NOT_SAVED: Final = "Nothing was sent: make room on the disk with your chats, then send it again."
CHANGED_ELSEWHERE: Final = "This chat was changed in another tab: look at it, then edit again."
