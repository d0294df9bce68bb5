"""Which of Debian's packages the recipe's voices and typefaces need and this machine lacks.

Leaves out: installing them (app/checks.py) and what they are for (voices.py, fonts.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.training.fonts import FOLDER, FONT_PACKAGES, SUFFIXES
from core.training.voices import VoiceGroup, missing_synthesizers

Missing = Callable[[], tuple[str, ...]]  # -> the packages that are missing now
Provide = Callable[[Missing], tuple[str, ...]]  # -> those that still are, after trying


def missing_packages(groups: Sequence[VoiceGroup], faces: Sequence[str]) -> tuple[str, ...]:
    """The packages to install before the voices of the groups speak and the faces are printed in.

    Nobody knows here which package brings which face, so that one missing face names them all.
    It looks anew at each call.
    """
    voices = missing_synthesizers(groups) if groups else ()
    return (*voices, *(() if _has_faces(faces) else FONT_PACKAGES))


def _has_faces(faces: Sequence[str]) -> bool:
    if not faces:
        return True
    found = {path.stem for path in FOLDER.rglob("*") if path.suffix in SUFFIXES}
    return found.issuperset(faces)


def provide_nothing(missing: Missing) -> tuple[str, ...]:
    """Looks what is missing and installs nothing."""
    return missing()


def missing_sentence(packages: Sequence[str]) -> str:
    """What to tell a person about packages that are missing."""
    return (
        "Some voices or typefaces are missing; install them with: "
        f"sudo apt-get install {' '.join(packages)}"
    )
