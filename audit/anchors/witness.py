"""Ask a C2SP witness for its cosignature (c2sp.org/tlog-witness v1.0.0)."""

import base64

from audit import notes
from audit.anchors.base import Submission
from audit.anchors.http import Answer, address, post
from audit.errors import AnchorRefused, AnchorUnavailable

SIZE_MEDIA = "text/x.tlog.size"


class WitnessAnchor:
    """A witness at `url` whose cosignatures verify under `key`."""

    kind = "witness"

    def __init__(self, name: str, url: str, vkey: str, every_s: float = 0.0) -> None:
        self.name = name
        self.every_s = every_s
        self.key = notes.VerifierKey.parse(vkey)
        self.where = f"{address(url)} {self.key}"
        self._url = f"{url.rstrip('/')}/add-checkpoint"

    def submit(self, submission: Submission) -> bytes:
        """Return the witness's signature lines, verified.

        When the witness remembers another size than we thought, that size is in its
        answer and is tried once; a size above ours means that our database is older
        than what the witness has already signed.
        """
        answer = self._post(submission, submission.seen)
        size = submission.note.head.size
        if answer.status == 409 and answer.media == SIZE_MEDIA:
            seen = _size(answer.body)
            if seen > size:
                raise AnchorRefused(f"{self.name} has seen {seen} entries, here are {size}")
            answer = self._post(submission, seen)
        return self._receipt(submission, answer)

    def _post(self, submission: Submission, seen: int) -> Answer:
        path = submission.consistency(seen)
        lines = "".join(f"{base64.b64encode(node).decode()}\n" for node in path)
        body = f"old {seen}\n{lines}\n{submission.note}"
        return post(self._url, body.encode(), "text/plain")

    def _receipt(self, submission: Submission, answer: Answer) -> bytes:
        if answer.status in (400, 403, 404, 409, 422):
            raise AnchorRefused(f"{self.name} refused: {_reason(answer)}")
        if answer.status != 200:
            raise AnchorUnavailable(f"{self.name} answered {answer.status}")
        try:
            lines = notes.parse_signatures(answer.body.decode())
        except (notes.NoteError, UnicodeDecodeError) as error:
            raise AnchorRefused(f"{self.name} answered no signature: {error}") from error
        note = submission.note.with_signatures(lines)
        if notes.cosigned_at(note, self.key) is None:
            raise AnchorRefused(f"{self.name} did not sign with the key we know")
        kept = [line for line in lines if line.key_id == self.key.id]
        return "".join(map(str, kept)).encode()


def _size(body: bytes) -> int:
    text = body.decode("ascii", "replace").strip()
    if not text.isdecimal():
        raise AnchorRefused(f"not a size: {text[:40]!r}")
    return int(text)


def _reason(answer: Answer) -> str:
    return f"{answer.status} {answer.body[:200].decode(errors='replace').strip()}"
