"""The log, as the API says it."""

from datetime import datetime
from typing import Self
from uuid import UUID

from ninja import Field, Schema
from pydantic import AwareDatetime, model_validator

from audit.export.scope import Kind
from audit.exports import Form
from audit.models import Export, Verification
from audit.removal import kept_until
from audit.search import OUTCOMES, Filters
from countersign.api.schemas.base import Paged, PageOut, Taken, Text

MAX_SIZE = 2**53 - 1
_OUTCOME = "|".join(OUTCOMES)
_EARLIEST = "RFC 3339, with the offset from UTC."


class Search(Schema):
    """What entries to find; all that is given narrows."""

    action: list[Text] = Field(
        default_factory=list, max_length=100, description="Such as `run.started`."
    )
    actor: Text = Field("", max_length=100, description="Id of whoever did it.")
    subject: Text = Field("", max_length=100, description="Id of what it was done to.")
    run: UUID | None = None
    tool: Text = Field("", max_length=100, description="Name of a tool that it is about.")
    outcome: str = Field(
        "", pattern=f"^(|{_OUTCOME})$", description=f"One of: {', '.join(OUTCOMES)}."
    )
    text: Text = Field(
        "", max_length=200, description="An id, its first eight digits or more, or words."
    )
    since: AwareDatetime | None = Field(None, description=f"Not older than this. {_EARLIEST}")
    until: AwareDatetime | None = Field(None, description=f"Older than this. {_EARLIEST}")

    def filters(self) -> Filters:
        return Filters(
            actions=tuple(self.action),
            actors=(self.actor,) if self.actor else (),
            subject=self.subject,
            run=self.run,
            since=self.since,
            until=self.until,
            tool=self.tool,
            outcome=self.outcome,
            text=self.text,
        )


class EntryFilters(Search, Paged):
    pass


class SearchIn(Search, Taken):
    pass


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
    """Entries; where `looked_to` is a time, older ones were not looked at yet: go on by `next`."""

    looked_to: datetime | None


class ProofOut(Schema):
    """The proof of one entry, as `countersign_verify.py` takes it (log-format, §11)."""

    format: str
    leaf: str
    position: int
    path: list[str] = Field(description="Hashes in hex, nearest sibling first (RFC 9162).")
    checkpoint: str = Field(description="A signed note (C2SP tlog-checkpoint) with cosignatures.")
    timestamps: list[str]


class Sizes(Schema):
    old: int = Field(ge=1, le=MAX_SIZE, description="Size of the smaller tree.")
    new: int = Field(ge=1, le=MAX_SIZE, description="Size of the larger one.")


class ConsistencyOut(Schema):
    """Why the tree of `new` entries is that of `old` entries, grown (RFC 9162 §2.1.4)."""

    old: int
    new: int
    path: list[str]


class ReceiptOut(Schema):
    """What an anchor gave for a checkpoint."""

    anchor: str
    kind: str
    received_at: datetime


class CheckpointOut(Schema):
    """A signed tree head; `note` is what is kept and compared."""

    size: int
    root: str
    signed_at: datetime
    note: str
    receipts: list[ReceiptOut]


class CheckpointPage(PageOut[CheckpointOut]):
    pass


class AnchorOut(Schema):
    """How an anchor is doing. `refused`: it contradicts the log, and somebody must look."""

    anchor: str
    kind: str
    size: int
    succeeded_at: datetime | None
    failures: int
    refused: bool


class StatusOut(Schema):
    """How the log stands. `waiting` entries have no position yet, the oldest for `lag_s`."""

    origin: str
    keys: list[str] = Field(description="Verifier keys of the log.")
    size: int
    root: str
    signed: int = Field(description="Entries under the newest checkpoint.")
    waiting: int
    lag_s: float
    sequencing: bool = Field(description="A sequencer is at work.")
    anchors: list[AnchorOut]


class ExportIn(Taken):
    """What an export is to cover."""

    kind: Kind = Kind.WORKSPACE
    first: int = Field(0, ge=0, le=MAX_SIZE, description="`range`: the first position.")
    end: int = Field(0, ge=0, le=MAX_SIZE, description="`range`: the position after the last.")
    since: AwareDatetime | None = Field(
        None, description="`range`: by time, in place of positions."
    )
    until: AwareDatetime | None = None
    run: UUID | None = Field(None, description="`run`: which.")
    search: SearchIn | None = Field(None, description="`search`: what to find.")
    payloads: bool = Field(False, description="Payloads in the clear, not only commitments.")
    sizes: list[int] = Field(
        default_factory=list,
        max_length=100,
        description="Sizes of checkpoints that the auditor kept.",
    )

    @model_validator(mode="after")
    def _says_what_it_covers(self) -> Self:
        ranged = self.first < self.end or self.since is not None or self.until is not None
        if self.kind is Kind.RANGE and not ranged:
            raise ValueError("a range has first and end, or since and until")
        if (self.kind is Kind.RUN) is (self.run is None):
            raise ValueError("name the run for kind run, and only then")
        if (self.kind is Kind.SEARCH) is (self.search is None):
            raise ValueError("say what to search for kind search, and only then")
        if any(not 0 < size <= MAX_SIZE for size in self.sizes):
            raise ValueError("sizes are positive")
        return self


class ExportOut(Schema):
    """An export; once `done` it can be downloaded. `sha256` is that of the bundle.

    Its file goes after `kept_until`; the export is then `removed`.
    """

    id: UUID
    state: Export.State
    scope: dict[str, object]
    payloads: bool
    requested_at: datetime
    requester_name: str
    done: int
    total: int
    finished_at: datetime | None
    kept_until: datetime | None
    sha256: str
    error: str

    @staticmethod
    def resolve_kept_until(job: Export) -> datetime | None:
        return kept_until(job)


class ExportPage(PageOut[ExportOut]):
    pass


class DownloadForm(Schema):
    form: Form = Field(Form.BUNDLE, description="The evidence, a report to print, or a table.")


class FindingOut(Schema):
    """One thing that is not as it must be."""

    check: str
    sentence: str
    position: int | None
    entry: UUID | None


class VerificationOut(Schema):
    """A check of the whole log where it lies: the operator's own, not an outsider's."""

    id: UUID
    state: Verification.State
    done: int
    total: int
    found: int
    findings: list[FindingOut]
    root: str
    requested_at: datetime
    finished_at: datetime | None
