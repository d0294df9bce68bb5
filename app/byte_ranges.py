"""Part of a file, as players ask for it: without it a browser cannot move within a sound.

Only one range at a time is answered; to a request for several, or to one that makes no sense, the
answer is the whole file, which HTTP allows.
Source: RFC 9110, section 14.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.responses import Response

RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


def ranged_response(
    data: bytes, media_type: str, wanted: str | None, headers: dict[str, str]
) -> Response:
    """The whole of a file, or what a Range header wants of it.

    Args:
        data: the file.
        media_type: its kind.
        wanted: the header, such as "bytes=0-99", or None.
        headers: of the answer, in any case.
    """
    headers = {**headers, "accept-ranges": "bytes"}
    found = RANGE.fullmatch(wanted.strip()) if wanted else None
    if found is None or not any(found.groups()):
        return Response(data, media_type=media_type, headers=headers)
    first, last = found.groups()
    if first:
        start, stop = int(first), min(int(last) + 1 if last else len(data), len(data))
        if last and int(last) < start:
            return Response(data, media_type=media_type, headers=headers)
    else:  # the last so many bytes
        start, stop = max(0, len(data) - int(last)), len(data)
    if start >= stop:
        headers["content-range"] = f"bytes */{len(data)}"
        return Response(status_code=416, headers=headers)
    headers["content-range"] = f"bytes {start}-{stop - 1}/{len(data)}"
    return Response(data[start:stop], 206, media_type=media_type, headers=headers)
