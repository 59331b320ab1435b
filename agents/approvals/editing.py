"""A reviewer's own version of a program or of a list of effects, put in place of the agent's.

Guarantees: what a reviewer writes is a program like any other. It becomes a new step, whose facts
are extracted and on which the policy decides; it runs in the jail, its effects are decided one by
one, and what needs a signature is asked for anew, under a new binding. The request it came from is
superseded. Whoever edited may sign nothing of the run from then on.

Does not allow: to edit an answer, or a program of which some effect has happened already. The
model is not asked for the step; it is told afterwards what was put in place of its own.
"""

import ast
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from agents.approvals.manifest import REFERENCE, referred
from agents.conversation import observation
from agents.conversation.parsing import Program
from agents.llm.chat import ChatReply, FinishReason, Usage
from agents.models import Call, CallState, Run, Step, StepState
from agents.worker.leases import locked
from audit import canonical
from audit.canonical import JSON
from audit.services import Actor
from audit.transactions import in_workspace
from policies import services as policies
from policies.errors import NotFound, Reason, Refusal
from policies.models import ApprovalRequest, Kind

MAX_CODE_CHARS = 100_000


def approval_edit(
    *, workspace_id: UUID, request_id: UUID, editor: Actor, code: str, reason: str
) -> tuple[Run, Refusal | None]:
    """Put a reviewer's program in place of the one that waits for signatures.

    Returns:
        The run, to be woken where nothing was refused, and why it was refused.

    Raises:
        NotFound: no such request of a run in this workspace.
    """
    with in_workspace(workspace_id):
        request = ApprovalRequest.objects.filter(id=request_id, run_id__isnull=False).first()
        if request is None or request.run_id is None:
            raise NotFound(f"There is no request {request_id} of a run in this workspace.")
        run, now = locked(request.run_id), datetime.now(UTC)
        step = Step.objects.filter(run=run, approval_request=request).first()
        code = canonical.clean(code.replace("\r\n", "\n").strip("\n"))
        refusal = _unfit(request, step, code)
        marked = policies.approval_edited(
            workspace_id=workspace_id,
            request_id=request_id,
            editor=editor,
            text=reason,
            refusal=refusal,
            now=now,
        )
        if marked is not None or step is None:
            return run, marked or refusal
        step.edit = {
            "code": code,
            "editor_id": editor.id,
            "editor_name": editor.name,
            "reason": canonical.clean(reason.strip()),
        }
        step.save(update_fields=["edit"])
        policies.approval_supersede(workspace_id=workspace_id, request_id=request_id, now=now)
        return run, None


def pending(step: Step | None) -> Mapping[str, Any] | None:
    """The edit that takes the place of this step, where the next one is still to be made of it."""
    if step is None or step.state != StepState.REJECTED:
        return None
    return step.edit


def as_reply(edit: Mapping[str, Any]) -> tuple[ChatReply, Program]:
    """An edit in the place of what a model would have said; it costs nothing."""
    thought = f"Written by the reviewer {edit['editor_name']} in place of the program before."
    program = Program(str(edit["code"]), thought)
    reply = ChatReply(
        text=f"{thought}\n<code>\n{edit['code']}\n</code>",
        tool_calls=(),
        usage=Usage(0, 0, estimated=False),
        finish_reason=FinishReason.STOP,
        model="",
        request_id="",
        attempts=1,
        duration_ms=0,
    )
    return reply, program


def told(edit: Mapping[str, Any]) -> str:
    """What the agent is told of it, in the step whose program does not run."""
    return observation.edited(str(edit["editor_name"]), str(edit["reason"]))


def editors(steps: Sequence[Step]) -> set[str]:
    """Ids of the people who wrote a program of this run."""
    return {str(step.edit["editor_id"]) for step in steps if step.edit}


def as_program(effects: Sequence[Mapping[str, Any]]) -> str:
    """The effects of a manifest as a program of plain calls, ready to be changed by hand.

    Args:
        effects: entries as the request displays them; results of earlier ones stand by name.
    """
    names = {str(effect["token"]): f"effect_{index}" for index, effect in enumerate(effects, 1)}
    lines = []
    for effect in effects:
        arguments = ",\n    ".join(
            f"{name}={_expression(value, names)}" for name, value in effect["arguments"].items()
        )
        name = names[str(effect["token"])]
        lines.append(f"{name} = {effect['tool']}(\n    {arguments},\n)" if arguments else
                     f"{name} = {effect['tool']}()")  # fmt: skip
    return "\n".join(lines) + "\n"


def _expression(value: JSON, names: Mapping[str, str]) -> str:
    if isinstance(value, dict):
        if referred(value) in names:
            return names[value["$placeholder"]] + "".join(f"[{part!r}]" for part in value["path"])
        inner = ", ".join(f"{key!r}: {_expression(part, names)}" for key, part in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(_expression(part, names) for part in value)}]"
    if isinstance(value, str):
        return _text(value, names)
    return repr(value)


def _text(value: str, names: Mapping[str, str]) -> str:
    """A text, with references to results as they stand in a program."""
    parts: list[str] = []
    end = 0
    for match in REFERENCE.finditer(value):
        if match[1] not in names:
            continue
        if match.start() > end:
            parts.append(repr(value[end : match.start()]))
        keys = [part.replace("~1", "/").replace("~0", "~") for part in match[2].split("/")[1:]]
        path = "".join(f"[{int(key) if key.isdigit() else key!r}]" for key in keys)
        parts.append(f"str({names[match[1]]}{path})")
        end = match.end()
    if end < len(value) or not parts:
        parts.append(repr(value[end:]))
    return " + ".join(parts)


def _unfit(request: ApprovalRequest, step: Step | None, code: str) -> Refusal | None:
    """Why this request takes no edit, or not this one."""
    if request.kind not in (Kind.CODE, Kind.MANIFEST) or step is None:
        return Refusal(Reason.STATE, "Only a program or a list of effects can be edited.")
    happened = Call.objects.filter(step=step, manifest__isnull=False).exclude(
        state__in=[CallState.PLANNED, CallState.VOID]
    )
    if happened.exists():
        return Refusal(
            Reason.STATE,
            "Some effects of this program have happened already; reject the rest with a reason.",
        )
    if code == step.code.strip("\n"):
        return Refusal(Reason.INCOMPLETE, "This is the program as it was; change something.")
    return _unreadable(code)


def _unreadable(code: str) -> Refusal | None:
    if not code.strip() or len(code) > MAX_CODE_CHARS:
        return Refusal(
            Reason.INCOMPLETE, f"Write a program of at most {MAX_CODE_CHARS:,} characters."
        )
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
        return Refusal(Reason.INCOMPLETE, f"This is not Python, {line}.")
    return None
