"""The one error of this package. `core/errors.py` turns it into an error of the request."""

from __future__ import annotations


class PictureError(ValueError):
    """A picture cannot be used. `str(error)` is one sentence: what is wrong and what to do."""
