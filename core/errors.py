"""The exceptions people can cause, each with a sentence that says what to do.

TriadError
+-- BadInputError            the request is at fault; exit code 2, HTTP 400
|   +-- BadMediaError        a picture or a sound cannot be used
|   +-- PromptTooLongError   the conversation does not fit the context
|   +-- BadModelError        a model folder is missing, half-written or of another kind
|   +-- BadOptionError       an option's value makes no sense
+-- QueueFullError           too many turns are waiting; HTTP 503
+-- OutOfMemoryError         the turn needs more memory than there is
+-- EngineClosedError        the engine is shut down
"""

from __future__ import annotations


class TriadError(Exception):
    """Every error of ours. `str(error)` is one sentence for people."""


class BadInputError(TriadError):
    """The request is at fault; the next one works."""


class BadMediaError(BadInputError):
    """A picture or a sound cannot be used."""


class PromptTooLongError(BadInputError):
    """The conversation does not fit the model's context."""


class BadModelError(BadInputError):
    """A model folder is missing, half-written or of another kind."""


class BadOptionError(BadInputError):
    """An option's value makes no sense."""


class QueueFullError(TriadError):
    """Too many turns are waiting."""


class OutOfMemoryError(TriadError):
    """The turn needs more memory than there is."""


class EngineClosedError(TriadError):
    """The engine is shut down."""
