"""The approval card: what a request binds and shows, and what has become of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agents.selectors import CallView, RunDetail, StepView
from audit import canonical
from countersign.console import code, comparison, effects, replacement, timeline, words
from countersign.console.words import Word
from policies import masks
from policies.models import ApprovalRequest, Kind
from policies.remarks import Remark, notes
from policies.selectors import RequestDetail

_STALE = "because what it builds on has changed since it was asked for; propose it again"


@dataclass(frozen=True)
class Field:
    """One column of a version, or one role of a person, before and after; or line by line."""

    name: str
    before: str
    after: str
    lines: tuple[code.Row, ...] = ()


@dataclass(frozen=True)
class Change:
    """What a request for a change would make of one thing; `old` is empty where it is new."""

    what: str
    old: str
    new: str
    fields: tuple[Field, ...]

    @property
    def short(self) -> tuple[Field, ...]:
        """What fits a table."""
        return tuple(field for field in self.fields if not field.lines)

    @property
    def long(self) -> tuple[Field, ...]:
        """What is shown line by line."""
        return tuple(field for field in self.fields if field.lines)


@dataclass(frozen=True)
class Card:
    """Everything the page says of one request.

    Attributes:
        digest: SHA-256 over the content shown, computed here from that content; it travels with
            the vote, which is refused if it is not the one that was asked for.
        operation: what has become of it, apart from what was signed.
    """

    sentence: str
    digest: str
    displayed: dict[str, Any]
    verdict: str
    verdict_word: Word
    rows: tuple[effects.Row, ...]
    groups: tuple[effects.Group, ...]
    summary: list[str]
    sources: tuple[effects.Source, ...]
    program: list[code.Row]
    found: tuple[Remark, ...]
    difference: list[code.Row]
    compared: comparison.Comparison | None
    edited: replacement.Replacement | None
    changes: tuple[Change, ...]
    approval: str
    approval_word: Word
    operation: str
    operation_word: Word
    final: bool

    @property
    def masked(self) -> bool:
        """Whether anything here is hidden until whoever reads asks for it."""
        parts = (part for row in self.rows for cell in row.cells for part in cell.parts)
        beside = [each for each in (self.compared, self.edited) if each is not None]
        return any(part.masked for part in parts) or any(each.masked for each in beside)


def build(
    detail: RequestDetail,
    run: RunDetail | None,
    step: StepView | None,
    calls: Sequence[CallView],
    *,
    unmasked: bool = False,
) -> Card:
    """The card of a request as it stands now; `unmasked`: with what rules mask."""
    request = detail.request
    shown: dict[str, Any] = request.displayed
    states = {call.position: call.state.value for call in calls if call.position is not None}
    hidden = frozenset() if unmasked else masks.masked(shown.get("rules", ()))
    rows = effects.rows(
        shown.get("effects", ()),
        effects.labels_of(shown),
        states,
        hidden,
        shown.get("seen", ()),
    )
    done, done_word, final = _operation(detail, run, step, calls)
    return Card(
        sentence=request.title,
        digest=canonical.digest(shown),
        displayed=shown,
        verdict=_verdict(detail),
        verdict_word=words.word("approval", request.state),
        rows=rows,
        groups=effects.groups(rows),
        summary=effects.summary(rows, shown) if rows else [],
        sources=effects.sources(shown),
        program=_program(shown, step, rows),
        found=timeline.found(step),
        difference=_difference(shown),
        compared=comparison.build(shown, unmasked=unmasked),
        edited=replacement.build(shown, hidden),
        changes=changes(shown),
        approval=_approval(detail),
        approval_word=words.word("approval", request.state),
        operation=done,
        operation_word=done_word,
        final=final,
    )


def changes(shown: Mapping[str, Any]) -> tuple[Change, ...]:
    """What a request for a change displays, version by version."""
    return tuple(
        Change(
            what=f"{each['kind'].capitalize()} {each['name']}",
            old=f"v{each['from']}" if each.get("from") else "",
            new=f"v{each['to']}" if each.get("to") else "",
            fields=tuple(
                Field(
                    name=words.humanise(part["field"]),
                    before=part.get("before", ""),
                    after=part.get("after", ""),
                    lines=tuple(code.from_unified(line) for line in part.get("lines", ())),
                )
                for part in each["fields"]
            ),
        )
        for each in shown.get("changes", ())
    )


def _verdict(detail: RequestDetail) -> str:
    parts = [
        f"{_number(seat.count)} {words.role(seat.role).removeprefix('reviewer: ')} "
        f"{'signature' if seat.count == 1 else 'signatures'}"
        for seat in detail.requirement
    ]
    code = ", with a code" if detail.request.factor else ""
    return f"Needs {words.names(parts)}{code}"


def _number(count: int) -> str:
    small = ("no", "one", "two", "three", "four", "five", "six")
    return small[count] if count < len(small) else str(count)


def _approval(detail: RequestDetail) -> str:
    request = detail.request
    signed = f"{detail.signed} of {detail.needed} signed"
    match request.state:
        case "waiting" | "info_requested":
            return f"{signed}, sign by {_clock(request, request.sign_by)}"
        case "approved":
            approval = detail.approval
            if approval is not None and approval.consumed_at is not None:
                return f"{signed}, used {approval.consumed_at:%H:%M}; it allows nothing more"
            return f"{signed}, valid to {_clock(request, request.execute_by)}"
        case "rejected":
            vote = next((v.vote for v in detail.votes if v.vote.answer == "reject"), None)
            return f"rejected by {vote.user_name} {vote.created:%H:%M}" if vote else "rejected"
    return words.word("approval", request.state).text


def _clock(request: ApprovalRequest, moment: datetime) -> str:
    """A time of the day the request was made; with its date where that is another day."""
    same = moment.date() == request.created.date()
    return f"{moment:%H:%M}" if same else f"{moment:%-d %b %H:%M}"


def _operation(
    detail: RequestDetail,
    run: RunDetail | None,
    step: StepView | None,
    calls: Sequence[CallView],
) -> tuple[str, Word, bool]:
    """What has become of it: words, sign, and whether nothing more will change."""
    request = detail.request
    over = request.state in timeline.CLOSED_UNSIGNED
    ended = run is not None and run.state.final
    if calls:
        text, word = timeline.operation(calls, request.state)
        settled = all(call.state in {"succeeded", "failed", "void"} for call in calls)
        return text, word, settled or ended or over
    if request.state == "superseded" and request.kind == Kind.CHANGE and not detail.superseded_by:
        return f"not made, {_STALE}", words.CALL["void"], True
    if over:
        return "nothing happened and nothing will", words.CALL["void"], True
    if request.state != "approved":
        return "waiting, nothing has happened", words.CALL["planned"], False
    if request.kind == Kind.CHANGE:
        if detail.approval is not None and detail.approval.consumed_at is not None:
            return "in force", words.CALL["succeeded"], True
        return "waiting to be put into force", words.CALL["planned"], False
    if request.kind == Kind.ANSWER and ended:
        return "the answer was released", words.CALL["succeeded"], True
    if step is not None and step.state == "executed":
        return "the program ran, once", words.CALL["succeeded"], True
    return "waiting for the worker, nothing has happened yet", words.CALL["planned"], ended


def _program(
    shown: dict[str, Any], step: StepView | None, rows: Sequence[effects.Row]
) -> list[code.Row]:
    sites = step.decision.facts.get("calls", ()) if step and step.decision else ()
    marked = code.effect_lines(sites, effects.numbers(rows))
    return code.rows(shown.get("code", ""), effects=marked, found=notes(timeline.found(step)))


def _difference(shown: dict[str, Any]) -> list[code.Row]:
    if shown.get("previous_code") and shown.get("code"):
        return code.difference(shown["previous_code"], shown["code"])
    if "from" in shown and "text" in shown:
        return [code.from_unified(line) for line in shown.get("difference", ())]
    return []
