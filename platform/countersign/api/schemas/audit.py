"""The log, as the API says it."""

from datetime import datetime
from uuid import UUID

from ninja import Field, Schema

from countersign.api.schemas.base import Paged, PageOut, Text


class EntryFilters(Paged):
    action: list[Text] = Field(default_factory=list, description="Such as `run.started`.")
    actor: Text = Field("", max_length=100, description="Id of whoever did it.")
    subject: Text = Field("", max_length=100, description="Id of what it was done to.")
    run: UUID | None = None


class EntryOut(Schema):
    """One entry of the audit log; `leaf` is the exact canonical text that is hashed."""

    id: UUID
    time: datetime
    action: str
    actor_type: str
    actor_id: str
    actor_name: str
    subject_type: str
    subject_id: str
    run_id: UUID | None
    run_seq: int | None
    leaf: str
    leaf_hash: str


class EntryPage(PageOut[EntryOut]):
    pass
