"""Files of runs: those that came with the task, and those that programs left.

Content is kept once per workspace under its SHA-256, in the database: a file is there exactly when
its entry and its step are, in every backup and for every worker, and row-level security keeps it in
its workspace. The type is what the content looks like. A file carries the labels of all that the
run had read when it was left; one that came with the task carries what the requester said of it,
and one that a task takes from an earlier run keeps the labels it has: no request takes them off.

An answer refers to a file as `{"artifact": "plot.png"}`; the host puts the hash beside the name, so
that what is released and signed is this content. Replay compares the hashes.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.conf import settings

from agents.errors import InputsInvalid
from agents.files.sniffing import sniff
from agents.models import Artifact, Run
from agents.sandbox.contract import GivenFile, LeftFile, StepResult
from agents.sandbox.files import clean_name
from audit import wire
from audit.canonical import JSON
from audit.transactions import current_block

MAX_GIVEN = 10
MIB = 1 << 20

LABELS = ("untrusted", "personal", "confidential")
_HANDLE = frozenset({"artifact", "sha256", "bytes"})
_CONTENT = "SELECT content FROM agents_artifactcontent WHERE sha256 = $1"


@dataclass(frozen=True)
class Upload:
    """A file that a requester gives; its name is cleaned, its type looked for."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Given:
    """A file of a task: what the run notes of it, and its content."""

    noted: dict[str, JSON]
    content: bytes = field(repr=False)


# In.


def accepted(files: Sequence[Upload], labels: Collection[str]) -> tuple[Given, ...]:
    """The files that came with a request, by cleaned name.

    Raises:
        InputsInvalid: one too large, or an unknown label; says which.
    """
    unknown = sorted(set(labels) - set(LABELS))
    if unknown:
        raise InputsInvalid(f"{unknown[0]!r} is no label of files: {', '.join(LABELS)}.")
    most: int = settings.COUNTERSIGN_FILE_MB
    for file in files:
        if len(file.content) > most * MIB:
            raise InputsInvalid(f"The file {clean_name(file.name)} has more than {most} MB.")
    return tuple(_given(file, labels) for file in files)


def _given(file: Upload, labels: Collection[str]) -> Given:
    name = clean_name(file.name)
    noted = {
        "name": name,
        "sha256": hashlib.sha256(file.content).hexdigest(),
        "bytes": len(file.content),
        "media_type": sniff(name, file.content),
        "labels": sorted(set(labels)),
    }
    return Given(noted, file.content)


def together(uploads: Sequence[Given], references: Collection[UUID]) -> list[Given]:
    """All files of a task, those of earlier runs fetched in the open workspace.

    Raises:
        InputsInvalid: too many, too large together, two of one name, or a reference to a file
            that is not in this workspace.
    """
    if len(uploads) + len(references) > MAX_GIVEN:
        raise InputsInvalid(f"At most {MAX_GIVEN} files can be given.")
    found = [*uploads, *(_referred(reference) for reference in references)]
    most: int = settings.COUNTERSIGN_FILES_MB
    if sum(each.noted["bytes"] for each in found) > most * MIB:
        raise InputsInvalid(f"The files have more than {most} MB together.")
    names = [each.noted["name"] for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputsInvalid(f"Two files are named {twice[0]}.")
    return found


def _referred(reference: UUID) -> Given:
    """A file of an earlier run, with the labels it has."""
    row = Artifact.objects.filter(id=reference).first()
    content = content_of(row.sha256) if row is not None else None
    if row is None or content is None:
        raise InputsInvalid(f"There is no file {reference} in this workspace.")
    noted = {
        "name": row.name,
        "sha256": row.sha256,
        "bytes": row.size,
        "media_type": row.media_type,
        "labels": sorted(row.labels),
        "artifact": str(row.id),
    }
    return Given(noted, content)


def given(run: Run) -> tuple[GivenFile, ...]:
    """The files of a run's task, for its jail, in the open workspace.

    Raises:
        InputsInvalid: their content is not what was given.
    """
    return fetched(run.files)


def fetched(noted: Iterable[Mapping[str, JSON]]) -> tuple[GivenFile, ...]:
    """Files by name and hash, in the open workspace.

    Raises:
        InputsInvalid: their content is not what was kept.
    """
    found = []
    for each in noted:
        content = content_of(each["sha256"])
        if content is None:
            raise InputsInvalid(f"The file {each['name']} is not what was kept.")
        found.append(GivenFile(each["name"], content))
    return tuple(found)


def content_of(sha256: str) -> bytes | None:
    """The content of this hash, in the open workspace; None where it is not there or not it."""
    # In binary: as Django reads it, a file comes as digits, in several times its size of memory.
    content = wire.call(current_block().connection, _CONTENT, [wire.text(sha256)])
    good = content is not None and hashlib.sha256(content).hexdigest() == sha256
    return content if good else None


# Out.


def listed(files: Iterable[LeftFile]) -> list[dict[str, JSON]]:
    """What a step notes of the files it left; what replay compares."""
    return [
        {"name": file.name, "sha256": file.sha256, "bytes": len(file.content)} for file in files
    ]


def of_tool(files: Iterable[GivenFile]) -> tuple[LeftFile, ...]:
    """The files that a tool gave, with their hashes."""
    return tuple(
        LeftFile(file.name, file.content, hashlib.sha256(file.content).hexdigest())
        for file in files
    )


# In answers.


def resolved(result: StepResult, before: Iterable[Mapping[str, JSON]]) -> StepResult:
    """The result with the hash put beside the name of each file that its answer refers to.

    Args:
        before: what earlier steps noted of the files they left, in order.
    """
    if not is_referring(result.final):
        return result
    known = {each["name"]: each for each in [*before, *listed(result.files)]}
    return replace(result, final=_with_hashes(result.final, known))


def is_referring(value: JSON) -> bool:
    """Whether there is a reference to a file anywhere in the value."""
    return next(references(value), None) is not None


def missing(value: JSON) -> str:
    """Which file a value refers to that no step left, as a sentence; "" if there is none."""
    for reference in references(value):
        if reference.get("sha256") is None:
            return f"There is no file out/{reference['artifact']}: write it before you refer to it."
    return ""


def references(value: JSON) -> Iterator[dict[str, Any]]:
    """Every reference to a file in a value, in its order."""
    if isinstance(value, dict):
        if isinstance(value.get("artifact"), str) and set(value) <= _HANDLE:
            yield value
        else:
            for item in value.values():
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def _with_hashes(value: JSON, known: Mapping[Any, Mapping[str, JSON]]) -> JSON:
    if isinstance(value, list):
        return [_with_hashes(item, known) for item in value]
    if not isinstance(value, dict):
        return value
    if not (isinstance(value.get("artifact"), str) and set(value) <= _HANDLE):
        return {key: _with_hashes(item, known) for key, item in value.items()}
    name = value["artifact"].removeprefix("out/")
    found = known.get(name)
    # A hash that the program wrote itself counts for nothing.
    return {"artifact": name} | (
        {"sha256": found["sha256"], "bytes": found["bytes"]} if found else {}
    )
