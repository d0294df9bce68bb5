"""Sample pictures, clips and questions to click, read from assets/samples/samples.json.

The file lists {"title", "text"?, "image"?, "second_image"?, "audio"?}, media files lying beside
it. Without the file there are a few plain questions.
Leaves out: how they look (widgets/samples.py).
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.media import in_turn_order, part_from_file
from core.errors import BadMediaError
from core.messages import Part

LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """One thing to try.

    Args:
        title: what its button says.
        text: the question, "" when the clip asks it.
        image, second_image, audio: media files, None without.
    """

    title: str
    text: str = ""
    image: Path | None = None
    second_image: Path | None = None
    audio: Path | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The message it sends."""
        files = (self.image, self.second_image, self.audio)
        media = [part_from_file(path) for path in files if path is not None]
        return in_turn_order(media, self.text)


FALLBACK: Final = (
    Sample("Say hello", "Hello! What can you do?"),
    Sample("Ask a small question", "How many sides does a triangle have?"),
)


def load_samples(folder: Path) -> tuple[Sample, ...]:
    """The samples of a folder that can be used; a few plain questions when there are none."""
    listing = folder / "samples.json"
    if not listing.is_file():
        return FALLBACK
    try:
        entries = json.loads(listing.read_text(encoding="utf-8"))
    except ValueError:
        LOG.warning("%s is not JSON: the samples are left out.", listing)
        return FALLBACK
    samples = [sample for entry in entries if (sample := _sample(entry, folder)) is not None]
    return tuple(samples) or FALLBACK


def _sample(entry: dict[str, Any], folder: Path) -> Sample | None:
    files = {
        key: folder / entry[key] for key in ("image", "second_image", "audio") if entry.get(key)
    }
    sample = Sample(entry.get("title", ""), entry.get("text", ""), **files)
    try:
        is_usable = bool(sample.title and sample.parts)
    except (OSError, BadMediaError) as error:
        LOG.warning("The sample %r is left out: %s", sample.title, error)
        return None
    return sample if is_usable else None
