"""Large files on their way out, in constant memory under either kind of server.

Under ASGI Django would gather a synchronous iterator whole before it sends the first byte.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header

from agents.selectors import ArtifactView
from audit.exports import Download, Form
from countersign.middleware import INERT

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


def of_artifact(file: ArtifactView, content: bytes) -> HttpResponse:
    """A file of a run to be saved, whatever it is."""
    response = _inert(HttpResponse(content, content_type="application/octet-stream"))
    response["Content-Disposition"] = content_disposition_header(True, file.name) or "attachment"
    return response


def of_image(content: bytes, media_type: str) -> HttpResponse:
    """A raster picture to be shown by a page of ours."""
    response = _inert(HttpResponse(content, content_type=media_type))
    response["Content-Disposition"] = "inline"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def _inert(response: HttpResponse) -> HttpResponse:
    """Content that others made: to a browser no page, whatever it holds."""
    response[INERT] = "1"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    return response


async def _in_turn(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk
