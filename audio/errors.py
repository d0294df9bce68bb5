"""The one error of this package. `core/errors.py` turns it into an error of the request."""

from __future__ import annotations


class AudioError(ValueError):
    """A sound cannot be used. `str(error)` is one sentence: what is wrong and what to do."""


CUT_SHORT = "The sound file is damaged or cut short; export it again and attach the whole file."
NOT_A_SOUND = "The file is not a WAV, FLAC, OGG or MP3 sound; convert it to one and attach that."
EMPTY_FILE = "The sound file is empty; attach one that holds a recording."
