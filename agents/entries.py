"""What the log says of a run: audit drafts made from rows, in the words of the product.

Content (replies, programs, arguments, results, answers) goes into payloads, which the entry only
commits to; who, what, which version and which decision stands in the entry itself.
"""

from collections.abc import Mapping
from dataclasses import asdict

from agents.errors import Divergence
from agents.models import Call, Run, RunState, Step
from agents.session import Session
from audit.canonical import JSON
from audit.services import Actor, Draft, Subject


def requester(run: Run) -> Actor:
    return Actor(run.requester_type, run.requester_id, run.requester_name)


def agent(run: Run) -> Actor:
    return Actor("agent", str(run.agent_version_id), str(run.agent_version))


def of_run(run: Run, action: str, actor: Actor | None = None, **detail: JSON) -> Draft:
    """An entry about the run itself."""
    return Draft(
        action=action,
        actor=actor or agent(run),
        subject=Subject("run", str(run.id)),
        run=run.id,
        on_behalf_of=requester(run),
        detail=detail,
    )


def started(run: Run) -> Draft:
    version = run.agent_version
    return Draft(
        action="run.started",
        actor=requester(run),
        subject=Subject("run", str(run.id)),
        run=run.id,
        on_behalf_of=requester(run),
        detail={
            "agent": version.agent.name,
            "agent_version": version.digest,
            "model": version.endpoint.name,
            "model_version": version.endpoint.digest,
            "scripted": version.endpoint.scripted,
        },
        payloads={"goal": run.goal, "inputs": run.inputs},
    )


def ended(run: Run, actor: Actor | None = None) -> Draft:
    """The end of the run; every run has exactly one. After it only its sandbox ends."""
    state = RunState(run.state)
    action = "run.cancelled" if state is RunState.CANCELLED else "run.ended"
    payloads = {"reason": run.reason}
    return Draft(
        action=action,
        actor=actor or agent(run),
        subject=Subject("run", str(run.id)),
        run=run.id,
        on_behalf_of=requester(run),
        detail={
            "outcome": state.value,
            "steps": run.steps_taken,
            "calls": run.calls_made,
            "tokens": run.input_tokens + run.output_tokens,
            "cost_micros": run.cost_micros,
        },
        payloads=payloads,
    )


def of_jails(session: Session, said: int = 0) -> list[Draft]:
    """What became of the run's jails since the log was told; the first `said` it knows."""
    return [
        of_run(session.run, action, session.lease.worker, epoch=session.lease.epoch, **detail)
        for action, detail in session.unsaid[said:]
    ]


def step_proposed(session: Session, step: Step) -> Draft:
    """The first of a run also says what its jails are made of, for a replay from a bundle."""
    detail: dict[str, JSON] = {
        "time_us": step.time_us,
        "code": step.code_digest,
        "facts": step.facts_digest,
        "input_tokens": step.input_tokens,
        "output_tokens": step.output_tokens,
        "cost_micros": step.cost_micros,
    }
    said: dict[str, JSON] = {"reply": step.reply, "code": step.code}
    if step.number == 1:
        said["setting"] = setting(session)
    return _about_step(session, step, "step.proposed", detail, said)


def setting(session: Session) -> dict[str, JSON]:
    """What a run's programs run in, beside their inputs."""
    return {
        "seed": session.run.seed,
        "runtime": session.version.runtime,
        "limits": asdict(session.jail_limits),
        "stubs": [asdict(tool.stub) for tool in session.tools.values()],
        "files": len(session.run.files),
    }


def step_executed(session: Session, step: Step) -> Draft:
    detail: dict[str, JSON] = {
        "status": step.status,
        "stdout": step.stdout_digest,
        "stdout_bytes": step.stdout_bytes,
        "jail_ms": step.jail_ms,
        "runtime": step.runtime,
    }
    said = {"observation": step.observation}
    return _about_step(session, step, "step.executed", detail, said)


def of_step(session: Session, step: Step, action: str, **detail: JSON) -> Draft:
    """An entry about a step beside its proposal and execution."""
    return _about_step(session, step, action, detail, {"observation": step.observation})


def answer_released(session: Session, step: Step) -> Draft:
    return _about_step(session, step, "answer.released", {}, {"answer": step.final})


def _about_step(
    session: Session,
    step: Step,
    action: str,
    detail: Mapping[str, JSON],
    payloads: Mapping[str, JSON],
) -> Draft:
    return Draft(
        action=action,
        actor=agent(session.run),
        subject=Subject("step", str(step.id)),
        run=session.run.id,
        on_behalf_of=requester(session.run),
        detail={"step": step.number, **detail},
        payloads=payloads,
    )


def of_call(session: Session, call: Call, action: str, **detail: JSON) -> Draft:
    """An entry about one tool call, such as `call.intended`."""
    version = call.tool_version
    said: dict[str, JSON] = {
        "step": call.step.number,
        "seq": call.seq,
        "tool": version.tool.name,
        "tool_version": version.digest,
        "effect": version.effect,
        "arguments": call.arguments_digest,
        **detail,
    }
    if call.files:
        said["files"] = len(call.files)
    if call.approval_request_id:
        said["request"] = str(call.approval_request_id)
    if call.decision_id:
        said["decision"] = str(call.decision_id)
    return Draft(
        action=action,
        actor=agent(session.run),
        subject=Subject("call", str(call.id), version.digest),
        run=session.run.id,
        on_behalf_of=requester(session.run),
        detail=said,
        payloads=_call_payloads(call, action),
    )


def drifted(session: Session, call: Call, now: JSON) -> Draft:
    """A read that no longer answers as it did when a manifest was signed; with both answers."""
    version = call.tool_version
    return Draft(
        action="call.drifted",
        actor=Actor("system", "drift", "drift"),
        subject=Subject("call", str(call.id), version.digest),
        run=session.run.id,
        on_behalf_of=requester(session.run),
        detail={"step": call.step.number, "seq": call.seq, "tool": version.tool.name},
        payloads={"journaled": call.result, "now": now},
    )


def _call_payloads(call: Call, action: str) -> dict[str, JSON]:
    match action:
        case "call.intended" | "call.reread":
            return {"arguments": call.arguments}
        case "call.succeeded":
            return {"arguments": call.arguments, "result": call.result}
        case _:
            return {"arguments": call.arguments, "error": call.error}


def diverged(session: Session, divergence: Divergence) -> Draft:
    return Draft(
        action="replay.diverged",
        actor=Actor("system", "replay", "replay"),
        subject=Subject("run", str(session.run.id)),
        run=session.run.id,
        detail={"step": divergence.step, "what": divergence.what},
        payloads={"recorded": divergence.recorded, "replayed": divergence.replayed},
    )
