"""Files of runs, as doors read them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agents.errors import NotFound
from agents.files import artifacts as files
from agents.files.sniffing import IMAGES, TABLE, TEXT
from agents.models import Artifact, Run
from audit.transactions import in_workspace

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class ArtifactView:
    """One file of a run; `step` is 0 for one that came with the task."""

    id: UUID
    run_id: UUID
    step: int
    name: str
    sha256: str
    size: int
    media_type: str
    labels: tuple[str, ...]
    created: datetime

    @property
    def is_image(self) -> bool:
        return self.media_type in IMAGES

    @property
    def is_table(self) -> bool:
        return self.media_type == TABLE

    @property
    def is_text(self) -> bool:
        return self.media_type in (TEXT, TABLE)


def artifacts(workspace_id: UUID, run_id: UUID) -> tuple[ArtifactView, ...]:
    """The files of a run: those of its task first, then by step.

    Raises:
        NotFound: no such run in this workspace.
    """
    with in_workspace(workspace_id):
        if not Run.objects.filter(workspace_id=workspace_id, id=run_id).exists():
            raise NotFound(f"no run {run_id}")
        found = Artifact.objects.filter(workspace_id=workspace_id, run_id=run_id)
        views = [_view(row) for row in found.select_related("step")]
    return tuple(sorted(views, key=lambda view: (view.step, view.name)))


def artifact(workspace_id: UUID, run_id: UUID, artifact_id: UUID) -> tuple[ArtifactView, bytes]:
    """One file of a run with its content.

    Raises:
        NotFound: no such file in this run of this workspace, or its content is not what was kept.
    """
    with in_workspace(workspace_id):
        found = Artifact.objects.filter(workspace_id=workspace_id, run_id=run_id, id=artifact_id)
        row = found.select_related("step").first()
        content = files.content_of(row.sha256) if row is not None else None
    if row is None or content is None:
        raise NotFound(f"no file {artifact_id}")
    return _view(row), content


def artifacts_named(workspace_id: UUID, ids: Sequence[str]) -> tuple[ArtifactView, ...]:
    """The files of these ids, of any run of this workspace; what is no such id is left out."""
    wanted = [UUID(text) for text in ids if _UUID.fullmatch(text)]
    with in_workspace(workspace_id):
        found = Artifact.objects.filter(workspace_id=workspace_id, id__in=wanted)
        views = {row.id: _view(row) for row in found.select_related("step")}
    return tuple(views[each] for each in dict.fromkeys(wanted) if each in views)


def artifacts_of_answer(
    answer: Any,  # noqa: ANN401 - JSON
    found: Sequence[ArtifactView],
) -> tuple[ArtifactView, ...]:
    """The files that an answer refers to, in its order."""
    known = {(view.name, view.sha256): view for view in found if view.step}
    named = [(each["artifact"], each.get("sha256", "")) for each in files.references(answer)]
    return tuple(known[key] for key in dict.fromkeys(named) if key in known)


def _view(row: Artifact) -> ArtifactView:
    return ArtifactView(
        id=row.id,
        run_id=row.run_id,
        step=row.step.number if row.step is not None else 0,
        name=row.name,
        sha256=row.sha256,
        size=row.size,
        media_type=row.media_type,
        labels=tuple(row.labels),
        created=row.created,
    )
