"""Tools, models, agents and the runs they make.

Versions (`ToolVersion`, `ModelEndpoint`, `AgentVersion`) are immutable: the application role may
insert and read them, never change them. A `Run` is the mutable record a worker leases; its `Step`
and `Call` rows are the journal from which the run is restored by replay, on any worker.
"""

import uuid

from django.db import models
from django.db.models import Q

from agents.sandbox.files import LeftFile
from audit.ordered import OrderedJSONField


class RunState(models.TextChoices):
    """Where a run stands; the last five are final."""

    QUEUED = "queued"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    AWAITING_INPUT = "awaiting_input"
    AWAITING_CHILD = "awaiting_child"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        return self in FINAL_STATES


FINAL_STATES = frozenset(
    {
        RunState.SUCCEEDED,
        RunState.FAILED,
        RunState.DENIED,
        RunState.CANCELLED,
        RunState.EXPIRED,
    }
)


class StepState(models.TextChoices):
    """How far one turn of the loop has come."""

    UNPARSED = "unparsed", "reply held no program"
    DENIED = "denied", "refused by policy before it ran"
    REJECTED = "rejected", "refused by a reviewer before it ran"
    AWAITING_APPROVAL = "awaiting_approval", "waits for a countersignature"
    READY = "ready", "may run"
    EXECUTED = "executed", "ran to its end"


class CallState(models.TextChoices):
    """What became of one tool call; whether it was approved is kept apart from this."""

    PLANNED = "planned", "deferred, not run"
    INTENDED = "intended", "committed before the effect"
    SUCCEEDED = "succeeded", "done"
    FAILED = "failed", "failed, did not happen"
    UNKNOWN = "unknown", "in doubt, a person must say"
    CLEARED = "cleared", "did not happen, may be made now"
    VOID = "void", "planned, will not run"


class Effect(models.TextChoices):
    READ = "read"
    WRITE = "write"


class Registration(models.Model):
    """What took effect together: the versions that one file made, signed as one change.

    `versions`: list of `{kind, name, number, digest, before, content, uses}`. `request` is empty
    for the first one only, made by the command line when there is nobody yet to ask. Triggers
    (migration 0004) let in only the versions it lists, and lists only what was signed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    request = models.OneToOneField(
        "policies.ApprovalRequest", models.PROTECT, null=True, related_name="registration"
    )
    versions = models.JSONField()
    registered_by = models.CharField(max_length=200)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "number"], name="registration_once"),
            models.CheckConstraint(
                condition=Q(number=1) | Q(request__isnull=False), name="registration_approved"
            ),
        ]

    def __str__(self) -> str:
        return f"registration {self.number}"


class Tool(models.Model):
    """A name in one workspace that agents may call; what it is stands in its versions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="tools")
    name = models.CharField(max_length=100)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="tool_name_once")]

    def __str__(self) -> str:
        return self.name


class ToolVersion(models.Model):
    """One immutable definition of a tool, pinned by the hash of its content."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    tool = models.ForeignKey(Tool, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    kind = models.CharField(max_length=20, default="python")
    target = models.CharField(max_length=300)
    operation = models.JSONField(
        default=dict, help_text="Of a tool over HTTP: where its calls go; see agents.tools.http."
    )
    description = models.TextField()
    parameters = models.JSONField()
    result = models.JSONField()
    effect = models.CharField(max_length=10, choices=Effect)
    tier = models.PositiveSmallIntegerField()
    labels = models.JSONField(default=list)
    roles = models.JSONField(default=dict)
    idempotent = models.BooleanField()
    timeout_s = models.FloatField()
    max_result_bytes = models.PositiveIntegerField()
    author_id = models.CharField(max_length=64, blank=True)
    registration = models.ForeignKey(
        Registration, models.PROTECT, null=True, blank=True, related_name="+"
    )
    registered_by = models.CharField(max_length=200)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["tool", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["tool", "number"], name="tool_version_number_once"),
            models.CheckConstraint(condition=Q(tier__lte=4), name="tool_tier_0_to_4"),
            models.CheckConstraint(condition=Q(timeout_s__gt=0), name="tool_timeout_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.tool.name} v{self.number}"


class ModelEndpoint(models.Model):
    """One immutable version of an OpenAI-compatible endpoint; its key is a reference only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(
        "accounts.Workspace", models.PROTECT, related_name="model_endpoints"
    )
    name = models.CharField(max_length=100)
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    kind = models.CharField(max_length=20)
    base_url = models.CharField(max_length=500)
    model = models.CharField(max_length=200)
    api_key_ref = models.CharField(max_length=300, blank=True)
    settings = models.JSONField(default=dict)
    labels = models.JSONField(default=list)
    registration = models.ForeignKey(
        Registration, models.PROTECT, null=True, blank=True, related_name="+"
    )
    registered_by = models.CharField(max_length=200)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "name", "number"], name="endpoint_number_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.number}"

    @property
    def scripted(self) -> bool:
        return self.model.startswith("scripted")


class Agent(models.Model):
    """A name in one workspace under which versions of an agent are kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="agents")
    name = models.CharField(max_length=100)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "name"], name="agent_name_once")
        ]

    def __str__(self) -> str:
        return self.name


class AgentVersion(models.Model):
    """One immutable version of an agent: instructions, model, tools, limits, inputs, checks."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    description = models.TextField(blank=True)
    instructions = models.TextField()
    goal = models.TextField(
        blank=True,
        help_text="The goal a new run starts with; the requester may change it.",
    )
    mode = models.CharField(max_length=20, default="code")
    agency = models.PositiveSmallIntegerField(default=3)
    endpoint = models.ForeignKey(ModelEndpoint, models.PROTECT, related_name="+")
    tools = models.ManyToManyField(ToolVersion, through="AgentTool", related_name="+")
    limits = models.JSONField()
    inputs = OrderedJSONField(
        default=dict, help_text="JSON Schema of the inputs; the form is made from it."
    )
    budgets = models.JSONField(
        default=dict, help_text="What the effects of a day may add up to; see agents.budgets."
    )
    checks = models.JSONField(default=list)
    imports = models.JSONField(default=list)
    runtime = models.CharField(max_length=100, default="stdlib")
    author_id = models.CharField(max_length=64, blank=True)
    registration = models.ForeignKey(
        Registration, models.PROTECT, null=True, blank=True, related_name="+"
    )
    registered_by = models.CharField(max_length=200)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["agent", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "number"], name="agent_version_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.agent.name} v{self.number}"


class AgentTool(models.Model):
    """That an agent version may call a tool version."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    agent_version = models.ForeignKey(AgentVersion, models.PROTECT)
    tool_version = models.ForeignKey(ToolVersion, models.PROTECT)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["agent_version", "tool_version"], name="agent_tool_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.agent_version_id} may call {self.tool_version_id}"


class Run(models.Model):
    """One task given to an agent version.

    `epoch` is the fencing number: it grows with every claim and every stop, and each write of a
    worker checks it. Costs are millionths of the endpoint's currency unit.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="runs")
    agent_version = models.ForeignKey(AgentVersion, models.PROTECT, related_name="runs")
    goal = models.TextField()
    inputs = OrderedJSONField(default=dict)
    requester_type = models.CharField(max_length=20)
    requester_id = models.CharField(max_length=64)
    requester_name = models.CharField(max_length=200)
    idempotency_key = models.CharField(max_length=200, blank=True)
    request_digest = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=20, choices=RunState, default=RunState.QUEUED)
    reason = models.TextField(blank=True)
    answer = OrderedJSONField(null=True, blank=True)
    files = models.JSONField(
        default=list, help_text="Files that came with the task: name, hash, type, labels."
    )
    seed = models.CharField(max_length=64)
    trace_parent = models.CharField(max_length=100, blank=True)

    steps_taken = models.PositiveIntegerField(default=0)
    calls_made = models.PositiveIntegerField(default=0)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    cost_micros = models.PositiveBigIntegerField(default=0)
    working_ms = models.PositiveBigIntegerField(default=0)
    model_failures = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(
        default=0, help_text="Claims since the run last made progress."
    )
    control_labels = models.JSONField(default=list)

    epoch = models.PositiveIntegerField(default=0)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    wake_at = models.DateTimeField(null=True, blank=True)
    stopped_by = models.ForeignKey(
        "agents.KillSwitch",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="runs",
        help_text="The kill switch that keeps the run from going on.",
    )
    created = models.DateTimeField(auto_now_add=True)
    started = models.DateTimeField(null=True, blank=True)
    ended = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "requester_id", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="run_idempotency_key_once",
            ),
            models.CheckConstraint(
                condition=Q(
                    ended__isnull=True,
                    state__in=[s for s in RunState if s not in FINAL_STATES],
                )
                | Q(ended__isnull=False, state__in=sorted(FINAL_STATES)),
                name="run_ended_iff_final",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "-created"], name="run_newest"),
            models.Index(fields=["workspace", "state", "-created"], name="run_by_state"),
            models.Index(
                fields=["wake_at", "lease_until"],
                condition=Q(state__in=["queued", "running"]),
                name="run_due",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)[:8]


class Step(models.Model):
    """One turn of the loop: model reply, program, decision, execution, observation.

    `time_us` is the journaled step time (Unix µs) at which the jail's virtual clock starts.
    `variables` holds the origins of the program's top-level names after the step, which the
    next step's facts build on.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    run = models.ForeignKey(Run, models.PROTECT, related_name="steps")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=StepState)
    time_us = models.BigIntegerField()
    reply = models.TextField()
    thought = models.TextField(blank=True)
    code = models.TextField(blank=True)
    code_digest = models.CharField(max_length=64, blank=True)
    facts_digest = models.CharField(max_length=64, blank=True)
    decision = models.ForeignKey(
        "policies.DecisionRecord", models.PROTECT, null=True, related_name="+"
    )
    approval_request = models.ForeignKey(
        "policies.ApprovalRequest", models.PROTECT, null=True, related_name="+"
    )
    applying = models.PositiveIntegerField(
        null=True, help_text="Number of the signed manifest whose effects may happen now."
    )
    variables = models.JSONField(default=dict)
    edit = models.JSONField(
        null=True,
        help_text="What a reviewer put in place of this step's program; see agents.editing.",
    )

    runtime = models.CharField(max_length=64, blank=True, help_text="Hash of the jail's runtime.")
    status = models.CharField(
        max_length=20, blank=True, help_text="How the jail ended the program."
    )
    stdout = models.TextField(blank=True)
    stdout_bytes = models.PositiveBigIntegerField(default=0)
    stdout_digest = models.CharField(max_length=64, blank=True)
    value = OrderedJSONField(null=True)
    error = models.JSONField(null=True)
    final = OrderedJSONField(null=True)
    files = models.JSONField(
        default=list, help_text="Files that the program left, new or changed: name, hash, size."
    )
    observation = models.TextField(blank=True)

    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    tokens_estimated = models.BooleanField(default=False)
    cost_micros = models.PositiveBigIntegerField(default=0)
    model_ms = models.PositiveIntegerField(default=0)
    jail_ms = models.PositiveIntegerField(default=0)
    created = models.DateTimeField(auto_now_add=True)
    ended = models.DateTimeField(null=True)

    class Meta:
        ordering = ["run", "number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="step_number_once")]

    def __str__(self) -> str:
        return f"step {self.number}"


class Call(models.Model):
    """One tool call in the journal, at its place `seq` in the step.

    A planned call is entry `position` of the step's manifest number `manifest`; its `arguments`
    are a template in which the results of earlier entries stand as placeholders, and `token`
    is how the program refers to the result of this one.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    run = models.ForeignKey(Run, models.PROTECT, related_name="calls")
    step = models.ForeignKey(Step, models.PROTECT, related_name="calls")
    seq = models.PositiveIntegerField()
    tool_version = models.ForeignKey(ToolVersion, models.PROTECT, related_name="+")
    arguments = OrderedJSONField()
    arguments_digest = models.CharField(max_length=64)
    origins = models.JSONField(default=dict)
    decision = models.ForeignKey(
        "policies.DecisionRecord", models.PROTECT, null=True, related_name="+"
    )
    approval_request = models.ForeignKey(
        "policies.ApprovalRequest", models.PROTECT, null=True, related_name="+"
    )
    manifest = models.PositiveIntegerField(null=True)
    position = models.PositiveIntegerField(null=True)
    token = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=20, choices=CallState)
    epoch = models.PositiveIntegerField(default=0)
    result = OrderedJSONField(null=True)
    files = models.JSONField(default=list, help_text="Files that the tool gave: name, hash, size.")
    error = models.JSONField(null=True)
    duration_ms = models.PositiveIntegerField(default=0)
    created = models.DateTimeField(auto_now_add=True)
    ended = models.DateTimeField(null=True)

    class Meta:
        ordering = ["step", "seq"]
        constraints = [
            models.UniqueConstraint(fields=["step", "seq"], name="call_seq_once"),
            models.CheckConstraint(
                condition=~Q(state=CallState.PLANNED) | Q(position__isnull=False),
                name="planned_call_has_position",
            ),
        ]
        indexes = [
            models.Index(fields=["run", "step", "seq"], name="call_by_run"),
            models.Index(fields=["workspace"], condition=Q(state="unknown"), name="call_in_doubt"),
        ]

    def __str__(self) -> str:
        return f"call {self.seq}"

    # Content of `files` between the tool's answer and the commit that keeps it.
    left: tuple[LeftFile, ...] = ()

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt at this call, so that the other side knows a repeat."""
        return f"countersign-{self.id}"


class ArtifactContent(models.Model):
    """What files hold, once per workspace under its SHA-256 (hex); never changed.

    The database recomputes the hash of what comes in.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    sha256 = models.CharField(max_length=64)
    content = models.BinaryField()
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "sha256"], name="artifact_content_once"),
        ]

    def __str__(self) -> str:
        return self.sha256[:12]


class Artifact(models.Model):
    """A file of a run: one that a step left, or, without a step, one that came with the task."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    run = models.ForeignKey(Run, models.PROTECT, related_name="artifacts")
    step = models.ForeignKey(Step, models.PROTECT, null=True, related_name="artifacts")
    name = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    media_type = models.CharField(max_length=100)
    labels = models.JSONField(default=list)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "step", "name"], nulls_distinct=False, name="artifact_name_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class EffectSpend(models.Model):
    """What one effect counts for against the budgets of its day (UTC), from its intent on.

    `amount_minor` are hundredths of `currency`. Released: the tool said that nothing happened.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="+")
    call = models.ForeignKey(Call, models.PROTECT, related_name="spends")
    day = models.DateField()
    currency = models.CharField(max_length=100)
    amount_minor = models.BigIntegerField()
    recipients = models.JSONField(default=list)
    created = models.DateTimeField(auto_now_add=True)
    released = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created"]
        constraints = [
            models.UniqueConstraint(
                fields=["call"], condition=Q(released__isnull=True), name="effect_spent_once"
            ),
            models.CheckConstraint(condition=Q(amount_minor__gte=0), name="effect_amount_counts"),
        ]
        indexes = [
            models.Index(
                fields=["workspace", "day", "agent"],
                condition=Q(released__isnull=True),
                name="effect_spend_of_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.currency} on {self.day}"


class ReplayState(models.TextChoices):
    """How far a replay is."""

    WAITING = "waiting", "waits for a worker"
    RUNNING = "running", "under way"
    DONE = "done"
    FAILED = "failed", "could not be made"


class Replay(models.Model):
    """A replay of a run that somebody asked for; `steps` is what came of each, in order."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    run = models.ForeignKey(Run, models.PROTECT, related_name="replays")
    state = models.CharField(max_length=20, choices=ReplayState, default=ReplayState.WAITING)
    requester_id = models.CharField(max_length=64)
    requester_name = models.CharField(max_length=200)
    steps = models.JSONField(default=list)
    error = models.TextField(blank=True, help_text="Why it could not be made, for people.")
    requested = models.DateTimeField(auto_now_add=True)
    touched = models.DateTimeField(auto_now_add=True, help_text="The last sign of life.")
    ended = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-requested"]
        indexes = [models.Index(fields=["run", "-requested"], name="replays_of_run")]

    def __str__(self) -> str:
        return f"replay of {self.run_id}: {self.state}"


class KillScope(models.TextChoices):
    """What a kill switch stops; a tool, an agent and a model by name, in all their versions."""

    RUN = "run"
    AGENT = "agent"
    TOOL = "tool"
    MODEL = "model"
    WORKSPACE = "workspace"
    ALL = "all", "everything"


TWO_PERSON_SCOPES = (KillScope.WORKSPACE, KillScope.ALL)
"""Lifted by two people: one asks, another does it."""


class KillSwitch(models.Model):
    """That something has to stand still, from `set_at` until it is lifted; never deleted.

    A switch for everything belongs to no workspace and is seen in each.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(
        "accounts.Workspace", models.PROTECT, null=True, blank=True, related_name="kill_switches"
    )
    scope = models.CharField(max_length=20, choices=KillScope)
    subject = models.CharField(
        max_length=100, blank=True, help_text="Id of the run, or name of the agent, tool or model."
    )
    reason = models.TextField()
    set_by_id = models.CharField(max_length=64)
    set_by_name = models.CharField(max_length=200)
    set_at = models.DateTimeField(auto_now_add=True)
    lift_asked_by_id = models.CharField(max_length=64, blank=True)
    lift_asked_by_name = models.CharField(max_length=200, blank=True)
    lift_asked_at = models.DateTimeField(null=True, blank=True)
    lift_reason = models.TextField(blank=True)
    lifted_by_id = models.CharField(max_length=64, blank=True)
    lifted_by_name = models.CharField(max_length=200, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-set_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "scope", "subject"],
                condition=Q(lifted_at__isnull=True),
                nulls_distinct=False,
                name="kill_switch_in_force_once",
            ),
            models.CheckConstraint(
                condition=Q(scope="all", workspace__isnull=True)
                | ~Q(scope="all") & Q(workspace__isnull=False),
                name="kill_switch_for_all_has_no_workspace",
            ),
            models.CheckConstraint(
                condition=Q(scope__in=["workspace", "all"], subject="")
                | ~Q(scope__in=["workspace", "all"]) & ~Q(subject=""),
                name="kill_switch_names_its_subject",
            ),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True, lifted_by_id="")
                | Q(lifted_at__isnull=False) & ~Q(lifted_by_id="") & ~Q(lift_reason=""),
                name="kill_switch_lifted_by_someone_for_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True)
                | ~Q(scope__in=["workspace", "all"])
                | Q(lift_asked_at__isnull=False)
                & ~Q(lift_asked_by_id="")
                & ~Q(lift_asked_by_id=models.F("lifted_by_id")),
                name="kill_switch_lifted_by_two",
            ),
        ]

    def __str__(self) -> str:
        return f"kill switch for {self.scope} {self.subject}".rstrip()

    @property
    def sentence(self) -> str:
        """Why whatever it holds does not go on."""
        what = {
            KillScope.RUN: "this run",
            KillScope.WORKSPACE: "this workspace",
            KillScope.ALL: "all workspaces",
        }.get(KillScope(self.scope), f"{self.scope} {self.subject}")
        return f"Stopped by the kill switch for {what}, set by {self.set_by_name}: {self.reason}"
