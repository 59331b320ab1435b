"""Stores files of runs: the only writer of their rows, inside the transaction of run or step.

What a program was given, by its task or by a tool, is also a payload of its entry: a bundle with
payloads then holds all that a replay needs. What a program leaves, a replay makes again.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db.models import Sum

from agents import entries
from agents.files.artifacts import Given
from agents.files.sniffing import sniff
from agents.models import Artifact, ArtifactContent, Call, Run, Step
from agents.sandbox.contract import StepResult
from audit.canonical import JSON
from audit.services import Draft, Subject

if TYPE_CHECKING:
    from agents.journal import Commit

MAX_RUN_BYTES = 200 << 20
"""Of all that a run's programs leave; of more only the hashes are kept."""

MAX_LOGGED_BYTES = 32 << 20
"""Of one file in the log; of a larger one the log holds the hash alone."""


def give(run: Run, files: Iterable[Given]) -> list[Draft]:
    """Store the files of a run's task; returns their entries. Part of a caller's transaction."""
    drafts = []
    for file in files:
        noted = file.noted
        row = _row(run, None, noted["name"], noted["sha256"], file.content, noted["labels"])
        # Where it was taken from, if it was an earlier run's.
        whence = {"artifact": noted["artifact"]} if "artifact" in noted else {}
        drafts.append(_entry(run, row, "artifact.given", file.content, **whence))
    return drafts


def of_calls(run: Run, calls: Iterable[Call]) -> list[Draft]:
    """Store the files that tools gave; returns their entries. Part of a caller's transaction."""
    drafts = []
    for call in calls:
        labels = sorted({*run.control_labels, *call.tool_version.labels})
        for file in call.left:
            row = _row(run, call.step, file.name, file.sha256, file.content, labels)
            whence: dict[str, JSON] = {"step": call.step.number, "call": str(call.id)}
            drafts.append(_entry(run, row, "artifact.kept", file.content, **whence))
    return drafts


def keep(commit: "Commit", step: Step, result: StepResult) -> None:
    """Store what a step left, with an entry for each. Part of a caller's commit."""
    if not result.files:
        return
    run = commit.session.run
    used = Artifact.objects.filter(run=run).aggregate(sum=Sum("size"))["sum"] or 0
    for file in result.files:
        used += len(file.content)
        if used <= MAX_RUN_BYTES:
            labels = list(run.control_labels)
            row = _row(run, step, file.name, file.sha256, file.content, labels)
            commit.say(_entry(run, row, "artifact.kept", None, step=step.number))


def _row(
    run: Run, step: Step | None, name: str, sha256: str, content: bytes, labels: list[str]
) -> Artifact:
    held = ArtifactContent(workspace_id=run.workspace_id, sha256=sha256, content=content)
    if not ArtifactContent.objects.filter(sha256=sha256).exists():
        # Another run may bring the same content at this moment.
        ArtifactContent.objects.bulk_create([held], ignore_conflicts=True)
    return Artifact.objects.create(
        workspace_id=run.workspace_id,
        run=run,
        step=step,
        name=name,
        sha256=sha256,
        size=len(content),
        media_type=sniff(name, content),
        labels=labels,
    )


def _entry(run: Run, row: Artifact, action: str, content: bytes | None, **detail: JSON) -> Draft:
    """An entry about a file, with its content where a program was given it."""
    payloads: dict[str, JSON | bytes] = {"name": row.name}
    if content is not None and len(content) <= MAX_LOGGED_BYTES:
        payloads["content"] = content
    return Draft(
        action=action,
        actor=entries.requester(run) if row.step_id is None else entries.agent(run),
        subject=Subject("artifact", str(row.id), row.sha256),
        run=run.id,
        on_behalf_of=entries.requester(run),
        detail={
            "sha256": row.sha256,
            "bytes": row.size,
            "media_type": row.media_type,
            "labels": sorted(row.labels),
            **detail,
        },
        payloads=payloads,
    )
