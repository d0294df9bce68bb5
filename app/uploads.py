"""The private folder for what the page uploads, gone once the server ends.

Gradio copies uploads and snapshots into a folder of its own, by default a shared one that nobody
empties. Leaves out: emptying it meanwhile (pages/chat.py sets that), and the chats (history.py).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

VARIABLE: Final = "GRADIO_TEMP_DIR"


@contextmanager
def private_uploads() -> Iterator[Path]:
    """Have Gradio put uploads into a fresh folder that only this account may read.

    Gradio reads the variable while it is imported, so the block begins before that.
    """
    before = os.environ.get(VARIABLE)
    folder = tempfile.mkdtemp(prefix="triad-uploads-")  # mode 0700
    os.environ[VARIABLE] = folder
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before
