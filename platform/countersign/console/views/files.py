"""Files of runs: looked at as what they are, taken away, never executed.

A picture is one by its first bytes and is sent as that; everything else is sent as octets to be
saved. Tables and texts are shown by us, from escaped text. What is sent says that it is no page:
a sandbox without script, `nosniff`, an attachment.
"""

import csv
import io
from itertools import zip_longest
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from agents import selectors as agents
from countersign import downloads
from countersign.console import guards
from countersign.console.pages import render

ROWS, COLUMNS, CHARS = 100, 30, 40_000


@require_safe
@guards.page
def run_file(request: HttpRequest, slug: str, run_id: UUID, artifact_id: UUID) -> HttpResponse:
    member = guards.member(request, slug)
    file, content = agents.artifact(member.id, run_id, artifact_id)
    text = content.decode("utf-8", "replace") if file.is_text else ""
    table = rows(text, "\t" if file.name.lower().endswith(".tsv") else "") if file.is_table else []
    context = {
        "nav": "runs",
        "run": agents.run(member.id, run_id),
        "file": file,
        "head": table[0][:COLUMNS] if table else [],
        "table": [
            list(zip_longest(table[0][:COLUMNS], row[:COLUMNS], fillvalue=""))
            for row in table[1 : ROWS + 1]
        ],
        "text": "" if table else text[:CHARS],
        "cut": len(table) > ROWS + 1 or (not table and len(text) > CHARS),
    }
    return render(request, member, "console/run_file.html", context)


@require_safe
@guards.page
def run_file_image(
    request: HttpRequest, slug: str, run_id: UUID, artifact_id: UUID
) -> HttpResponse:
    """A picture, for the page that shows it."""
    member = guards.member(request, slug)
    file, content = agents.artifact(member.id, run_id, artifact_id)
    if not file.is_image:
        raise Http404("no picture")
    return downloads.of_image(content, file.media_type)


@require_safe
@guards.page
def run_file_download(
    request: HttpRequest, slug: str, run_id: UUID, artifact_id: UUID
) -> HttpResponse:
    member = guards.member(request, slug)
    file, content = agents.artifact(member.id, run_id, artifact_id)
    return downloads.of_artifact(file, content)


def rows(text: str, delimiter: str = "") -> list[list[str]]:
    """A table's rows, one more than are shown; nothing where it cannot be read as one."""
    head = text[:CHARS]
    first = head.partition("\n")[0]
    delimiter = delimiter or max(",;\t", key=first.count)
    try:
        reader = csv.reader(io.StringIO(head), delimiter=delimiter, strict=True)
        return [row for row, _ in zip(reader, range(ROWS + 2), strict=False)]
    except csv.Error:
        return []
