"""One HTTP POST with a time limit and a size limit, for anchors."""

import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

from audit.errors import AnchorRefused, AnchorUnavailable

TIMEOUT_S = 10
MAX_ANSWER = 1 << 20


@dataclass(frozen=True)
class Answer:
    status: int
    media: str
    body: bytes


def address(url: str) -> str:
    """Return scheme, host and path of an address: what may be told of it, no credentials."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def post(url: str, body: bytes, media: str) -> Answer:
    """Send `body`; every HTTP status is an answer.

    Raises:
        AnchorUnavailable: No connection, no answer in time, or one that is too long.
        AnchorRefused: The address is not HTTP (a mistake of configuration).
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise AnchorRefused(f"not an HTTP address: {url}")
    request = urllib.request.Request(url, data=body, headers={"Content-Type": media})  # noqa: S310
    try:
        # No redirects: a witness that moved is a matter of configuration.
        with _opener.open(request, timeout=TIMEOUT_S) as response:
            return _answer(response.status, response.headers, response.read(MAX_ANSWER + 1))
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers, error.read(MAX_ANSWER + 1))
    except (OSError, ValueError) as error:
        raise AnchorUnavailable(f"{url}: {error}") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def _answer(status: int, headers: object, body: bytes) -> Answer:
    if len(body) > MAX_ANSWER:
        raise AnchorUnavailable("the answer is too long")
    media = headers.get("Content-Type", "") if hasattr(headers, "get") else ""
    return Answer(status, str(media).split(";")[0].strip(), body)
