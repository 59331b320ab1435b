"""Large files on their way out, in constant memory under either kind of server.

Under ASGI Django would gather a synchronous iterator whole before it sends the first byte.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from audit.exports import Download, Form

_MEDIA = {
    Form.BUNDLE: ("zip", "application/zip"),
    Form.REPORT: ("html", "text/html; charset=utf-8"),
    Form.CSV: ("csv", "text/csv; charset=utf-8"),
}


def of_export(request: HttpRequest, found: Download, form: Form) -> StreamingHttpResponse:
    """An export to be saved; its name is made of our own words and its id, never of content."""
    ending, media = _MEDIA[form]
    chunks = found.chunks
    response = StreamingHttpResponse(
        _in_turn(chunks) if isinstance(request, ASGIRequest) else chunks, content_type=media
    )
    name = f"countersign-{found.job.requested_at:%Y-%m-%d}-{str(found.job.id)[:8]}.{ending}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Content-Length"] = str(found.size)
    response["Cache-Control"] = "no-store"
    return response


async def _in_turn(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk
