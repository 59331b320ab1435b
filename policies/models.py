"""Policy versions, decisions and approvals.

Rows here are evidence. Versions, activations, decisions, votes and events are insert-only;
of a request only its progress may change, of an approval only its single use may be marked.
Triggers (migration 0002) refuse anything else, whoever asks.
"""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from audit.ordered import OrderedJSONField
from policies.approvals import PASSWORD, TOTP

_DIGEST = 64  # SHA-256 in hexadecimal


def _password_only() -> list[str]:
    return [PASSWORD]


class PolicySet(models.Model):
    """A workspace's policies through time; the row that activation and use lock."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.OneToOneField("accounts.Workspace", models.PROTECT, related_name="+")
    created = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return str(self.workspace_id)


class PolicyVersion(models.Model):
    """One immutable text with its required tests and the invariants that it keeps.

    ``digest``: SHA-256 hex over the canonical JSON of ``{"text", "tests"}``, and of
    ``"invariants"`` where there are any. ``parent``: the version it was edited from; whoever wrote
    a version between the last one in force and this one is an author of this one too.
    ``author_account``: id of the service account that wrote it, where no person did.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    policy_set = models.ForeignKey(PolicySet, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    tests = models.JSONField(default=list)
    invariants = models.JSONField(default=list)
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="+")
    digest = models.CharField(max_length=_DIGEST)
    note = models.CharField(max_length=200, blank=True)
    author = models.ForeignKey("accounts.User", models.PROTECT, null=True, related_name="+")
    author_account = models.CharField(max_length=64, blank=True)
    author_name = models.CharField(max_length=120)
    created = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy_set", "number"], name="policies_policyversion_number"
            ),
        ]

    def __str__(self) -> str:
        return f"policy version {self.number}"


class PolicyActivation(models.Model):
    """A version became the active one. The highest ``sequence`` is in force.

    Exactly one version is active because exactly one activation is the last: nothing has to be
    switched off. ``request`` is empty for the first one only, made with the workspace.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    policy_set = models.ForeignKey(PolicySet, models.PROTECT, related_name="activations")
    sequence = models.PositiveIntegerField()
    version = models.ForeignKey(PolicyVersion, models.PROTECT, related_name="activations")
    request = models.OneToOneField(
        "ApprovalRequest", models.PROTECT, null=True, related_name="activation"
    )
    actor_name = models.CharField(max_length=120)
    created = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy_set", "sequence"], name="policies_policyactivation_sequence"
            ),
            models.CheckConstraint(
                condition=models.Q(sequence=1) | models.Q(request__isnull=False),
                name="policies_policyactivation_approved",
            ),
        ]

    def __str__(self) -> str:
        return f"activation {self.sequence}"


class PolicySimulation(models.Model):
    """A version tried on past decisions: how far it is, then what would have been different.

    ``counts``: decisions by ``"<then> -> <now>"``. ``changes``: the newest that differ, each
    ``{decision, run, step, action, then, now, sentence, rules}``.
    ``attempt``: how often a worker took it; each write of a worker checks it. ``touched``: when it
    was last sent, or a worker last wrote.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    version = models.ForeignKey(PolicyVersion, models.PROTECT, related_name="+")
    days = models.PositiveSmallIntegerField()
    requester_id = models.CharField(max_length=64)
    requester_name = models.CharField(max_length=120)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict)
    changes = models.JSONField(default=list)
    problem = models.TextField(blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    touched = models.DateTimeField(null=True)
    requested = models.DateTimeField(editable=False)
    finished = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "requested"], name="policies_simulation_list"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "running", "done"]),
                name="policies_simulation_state",
            ),
        ]

    def __str__(self) -> str:
        return f"simulation of {self.version_id}: {self.state}"


class Outcome(models.TextChoices):
    ALLOW = "allow"
    DENY = "deny"
    REVIEW = "review"


class DecisionRecord(models.Model):
    """One decision as it was made: request, facts, rules and the version that decided.

    ``rules``: list of ``{id, sentence, reason, roles, quorum, shadow}``. ``request``: what the
    engine was asked, enough to decide again. ``call_seq`` is set for decisions on one tool call.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    run_id = models.UUIDField(null=True)
    step = models.PositiveIntegerField(null=True)
    call_seq = models.PositiveIntegerField(null=True)
    action = models.CharField(max_length=40)
    outcome = models.CharField(max_length=10, choices=Outcome)
    rules = models.JSONField(default=list)
    errors = models.JSONField(default=list)
    sentence = models.TextField()
    facts = models.JSONField(null=True)
    facts_digest = models.CharField(max_length=_DIGEST, blank=True)
    request = models.JSONField()
    request_digest = models.CharField(max_length=_DIGEST)
    policy_version = models.ForeignKey(PolicyVersion, models.PROTECT, related_name="+")
    created = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["run_id", "step", "call_seq"], name="policies_decision_run"),
            models.Index(fields=["workspace", "created"], name="policies_decision_time"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome__in=Outcome.values), name="policies_decision_outcome"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action}: {self.outcome}"


class Kind(models.TextChoices):
    """What a signature allows."""

    CODE = "code", "to run a program"
    MANIFEST = "manifest", "to apply a list of effects"
    ANSWER = "answer", "to release an answer"
    CHANGE = "change", "to change what governs"


class ApprovalState(models.TextChoices):
    """Progress of a request. Whether the operation happened is another field, elsewhere."""

    WAITING = "waiting"
    INFO_REQUESTED = "info_requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


OPEN_STATES = frozenset({ApprovalState.WAITING, ApprovalState.INFO_REQUESTED})


class ApprovalRequest(models.Model):
    """What is to be signed.

    ``binding``: what the caller derives again just before execution (code, manifest, versions).
    ``binding_digest`` covers it *and* the terms of this row: see ``approvals.bind``.
    ``requirement``: list of ``{role, count}``. ``factor``: what each signature needs beside the
    password: ``totp`` or nothing. ``barred``: ids of authors and editors.
    ``displayed``: all that the card shows, prepared by the caller; ``displayed_digest`` its hash.
    ``notice``: the sentence that may leave by e-mail, so without personal data.
    ``likeness``: a digest that requests share which a reviewer would hold side by side; empty where
    there is nothing to compare. ``assignee`` or ``assignee_role``: who was asked by name or group.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    run_id = models.UUIDField(null=True)
    step = models.PositiveIntegerField(null=True)
    kind = models.CharField(max_length=10, choices=Kind)
    title = models.TextField()
    notice = models.CharField(max_length=200)
    tier = models.PositiveSmallIntegerField()
    agent_name = models.CharField(max_length=120)
    binding = models.JSONField()
    binding_digest = models.CharField(max_length=_DIGEST)
    requirement = models.JSONField()
    factor = models.CharField(max_length=8, blank=True, default="", db_default="")
    requester_type = models.CharField(max_length=10)
    requester_id = models.CharField(max_length=64)
    requester_name = models.CharField(max_length=120)
    barred = ArrayField(models.CharField(max_length=64), default=list)
    displayed = OrderedJSONField()
    displayed_digest = models.CharField(max_length=_DIGEST)
    likeness = models.CharField(max_length=_DIGEST, blank=True)
    policy_version = models.ForeignKey(PolicyVersion, models.PROTECT, related_name="+")
    decision = models.ForeignKey(DecisionRecord, models.PROTECT, null=True, related_name="+")
    supersedes = models.OneToOneField(
        "self", models.PROTECT, null=True, related_name="superseded_by"
    )
    sign_by = models.DateTimeField()
    execute_by = models.DateTimeField()
    created = models.DateTimeField(editable=False)

    state = models.CharField(max_length=16, choices=ApprovalState, default=ApprovalState.WAITING)
    closed = models.DateTimeField(null=True)
    assignee = models.ForeignKey("accounts.User", models.PROTECT, null=True, related_name="+")
    assignee_role = models.CharField(max_length=80, blank=True)
    notified = models.DateTimeField(null=True)
    reminded = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["workspace", "tier", "sign_by"],
                condition=models.Q(state__in=["waiting", "info_requested"]),
                name="policies_request_open",
            ),
            models.Index(fields=["run_id", "step"], name="policies_request_run"),
            models.Index(
                fields=["workspace", "likeness", "-created"],
                condition=models.Q(state="approved") & ~models.Q(likeness=""),
                name="policies_request_alike",
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(tier__lte=4), name="policies_request_tier"),
            models.CheckConstraint(
                condition=models.Q(sign_by__gt=models.F("created"))
                & models.Q(execute_by__gte=models.F("sign_by")),
                name="policies_request_clocks",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=Kind.values), name="policies_request_kind"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=ApprovalState.values), name="policies_request_state"
            ),
            models.CheckConstraint(
                condition=models.Q(kind=Kind.CHANGE) | models.Q(run_id__isnull=False),
                name="policies_request_has_run",
            ),
            models.CheckConstraint(
                condition=models.Q(assignee__isnull=True) | models.Q(assignee_role=""),
                name="policies_request_asked_one",
            ),
            models.CheckConstraint(
                condition=models.Q(factor__in=["", TOTP]),
                name="policies_request_factor",
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Answer(models.TextChoices):
    SIGN = "sign"
    REJECT = "reject"


class Meaning(models.TextChoices):
    """What a signature says."""

    REVIEWED = "reviewed", "I reviewed it"
    APPROVED = "approved", "I approve it"
    RESPONSIBLE = "responsible", "I take responsibility for it"


class Vote(models.Model):
    """One person's answer, once.

    ``roles``: what the person held when answering. ``binding_digest`` and ``displayed_digest``
    say what was answered to, and what was on the screen. ``factors``: what the person gave:
    ``password``, and ``totp`` where it was asked for.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    request = models.ForeignKey(ApprovalRequest, models.PROTECT, related_name="votes")
    user = models.ForeignKey("accounts.User", models.PROTECT, related_name="+")
    user_name = models.CharField(max_length=120)
    answer = models.CharField(max_length=10, choices=Answer)
    meaning = models.CharField(max_length=12, choices=Meaning)
    comment = models.TextField(blank=True)
    binding_digest = models.CharField(max_length=_DIGEST)
    displayed_digest = models.CharField(max_length=_DIGEST)
    reauthenticated_at = models.DateTimeField()
    factors = ArrayField(
        models.CharField(max_length=8), default=_password_only, db_default=[PASSWORD]
    )
    roles = ArrayField(models.CharField(max_length=80))
    created = models.DateTimeField(editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "user"], name="policies_vote_once"),
            models.CheckConstraint(
                condition=models.Q(answer__in=Answer.values), name="policies_vote_answer"
            ),
            models.CheckConstraint(
                condition=models.Q(meaning__in=Meaning.values), name="policies_vote_meaning"
            ),
            models.CheckConstraint(
                condition=models.Q(answer=Answer.SIGN) | ~models.Q(comment=""),
                name="policies_vote_reject_says_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_name}: {self.answer}"


class EventKind(models.TextChoices):
    """What happened to a request beside votes."""

    INFO_REQUESTED = "info_requested", "asked"
    INFO_GIVEN = "info_given", "answered"
    REASSIGNED = "reassigned"
    EDITED = "edited"


class ApprovalEvent(models.Model):
    """A question, an answer, a reassignment or an edit. Whoever edits may no longer sign.

    ``number``: 1, 2, … within its request.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    request = models.ForeignKey(ApprovalRequest, models.PROTECT, related_name="events")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=16, choices=EventKind)
    user = models.ForeignKey("accounts.User", models.PROTECT, null=True, related_name="+")
    user_name = models.CharField(max_length=120)
    text = models.TextField(blank=True)
    created = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "number"], name="policies_approvalevent_number"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_name}: {self.kind}"


class Approval(models.Model):
    """The completed right to execute exactly what was bound, once.

    ``consumed_by`` names who used it, for example a worker's lease.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    request = models.OneToOneField(ApprovalRequest, models.PROTECT, related_name="approval")
    completed_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True)
    consumed_by = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(consumed_at__isnull=True, consumed_by="")
                | models.Q(consumed_at__isnull=False) & ~models.Q(consumed_by=""),
                name="policies_approval_consumed_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"approval of {self.request_id}"


class ProposalKey(models.Model):
    """A caller's own name for a proposal, so that sending it again proposes nothing twice.

    ``content_digest``: SHA-256 hex over the canonical JSON of what was sent. It became a request or
    a version.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    requester_id = models.CharField(max_length=64)
    key = models.CharField(max_length=200)
    content_digest = models.CharField(max_length=_DIGEST)
    request = models.ForeignKey(ApprovalRequest, models.PROTECT, null=True, related_name="+")
    version = models.ForeignKey(PolicyVersion, models.PROTECT, null=True, related_name="+")
    created = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "requester_id", "key"], name="policies_proposalkey_once"
            ),
            models.CheckConstraint(
                condition=models.Q(request__isnull=False, version__isnull=True)
                | models.Q(request__isnull=True, version__isnull=False),
                name="policies_proposalkey_one",
            ),
        ]

    def __str__(self) -> str:
        return self.key
