"""People, workspaces and the accounts of programs.

These tables are the platform's, not a workspace's: a login reads them before any workspace is
known, so row-level security does not cover them. What belongs to a workspace points at it.
"""

import uuid
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Now
from guardian.models import GroupObjectPermissionBase

from countersign.accounts.roles import Permission


class UserManager(BaseUserManager["User"]):
    """Finds people by name, in any spelling of upper and lower case; creating is a service."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(username__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """One person. Rights come from memberships only.

    Django's two flags that walk around every permission stay in the table, since
    ``PermissionsMixin`` and libraries read them, and can never be true.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField(max_length=80, unique=True, validators=[UnicodeUsernameValidator()])
    email = models.EmailField(max_length=254)
    name = models.CharField(max_length=120)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, editable=False)
    must_change_password = models.BooleanField(default=False)
    created = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["email", "name"]

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("username"), name="accounts_user_username_any_case"),
            models.UniqueConstraint(Lower("email"), name="accounts_user_email_any_case"),
            models.CheckConstraint(
                condition=models.Q(is_superuser=False), name="accounts_user_no_superuser"
            ),
            models.CheckConstraint(
                condition=models.Q(is_staff=False), name="accounts_user_no_staff"
            ),
        ]

    def __str__(self) -> str:
        return self.username

    def get_full_name(self) -> str:
        return self.name


class Workspace(models.Model):
    """The tenant; nothing crosses it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=120)
    created = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        permissions = [
            (Permission.OPERATE.value, "Register and run agents"),
            (Permission.SET_POLICY.value, "Draft and approve policies"),
            (Permission.AUDIT.value, "Read and export the log"),
            (Permission.ADMINISTER.value, "Manage people and service accounts"),
            (Permission.REVIEW.value, "Countersign requests of a reviewer group"),
        ]

    def __str__(self) -> str:
        return self.slug


class WorkspaceGrant(GroupObjectPermissionBase):
    """One group's object permission on one workspace (django-guardian, with real foreign keys)."""

    content_object = models.ForeignKey(Workspace, on_delete=models.PROTECT)

    class Meta(GroupObjectPermissionBase.Meta):
        pass


class Membership(models.Model):
    """One person's roles in one workspace; at least one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="memberships")
    user = models.ForeignKey(User, models.PROTECT, related_name="memberships")
    roles = ArrayField(models.CharField(max_length=80))
    created = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "workspace"], name="accounts_membership_once"),
            models.CheckConstraint(
                condition=models.Q(roles__len__gt=0), name="accounts_membership_has_role"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.workspace_id}"


class Appointment(models.Model):
    """Who holds which roles from here on; a membership never holds more than the newest says.

    ``people``: list of ``{"user": id, "roles": [role, …]}``, all that each of them holds now.
    ``request`` is empty for the set-up of a workspace, when there is nobody yet to ask, and where
    roles are only taken away. Triggers (migration 0002) hold both.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    people = models.JSONField()
    request = models.OneToOneField(
        "policies.ApprovalRequest", models.PROTECT, null=True, related_name="appointment"
    )
    appointed_by = models.CharField(max_length=120)
    created = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "number"], name="accounts_appointment_once"
            ),
        ]

    def __str__(self) -> str:
        return f"appointment {self.number}"


class ServiceAccount(models.Model):
    """A program that calls the API; it belongs to exactly one workspace and never votes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="service_accounts")
    name = models.CharField(max_length=80)
    created = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    disabled = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "name"], name="accounts_serviceaccount_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Token(models.Model):
    """One bearer token of a service account. The secret is shown once and never stored.

    ``digest`` is the SHA-256 hex of the whole token text. No slow hash is needed: the secret
    is 256 random bits, not a word that someone could guess.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    service_account = models.ForeignKey(ServiceAccount, models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=16, unique=True)
    digest = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=40))
    created = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    expires = models.DateTimeField()
    revoked = models.DateTimeField(null=True)
    last_used = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(expires__gt=models.F("created")),
                name="accounts_token_expires_after_created",
            ),
            models.CheckConstraint(
                condition=models.Q(scopes__len__gt=0), name="accounts_token_has_scope"
            ),
        ]

    def __str__(self) -> str:
        return self.prefix


class Factor(models.Model):
    """One person's authenticator, which makes the codes of RFC 6238.

    It begins unconfirmed, counts from ``confirmed`` to ``removed``, and the row stays as evidence:
    what is removed keeps no secret. ``sealed``: 32 bytes under the installation's wrapping key,
    bound to this row and person. ``failures``: wrong codes since the last right one; none is looked
    at before ``wait_until``.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="factors")
    sealed = models.BinaryField()
    wrapping_key = models.CharField(max_length=200)
    created = models.DateTimeField(editable=False)
    confirmed = models.DateTimeField(null=True)
    removed = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    wait_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=models.Q(confirmed__isnull=False, removed__isnull=True),
                name="accounts_factor_one_in_force",
            ),
            models.CheckConstraint(
                condition=models.Q(removed__isnull=True) | models.Q(sealed=b""),
                name="accounts_factor_removed_keeps_no_secret",
            ),
        ]

    def __str__(self) -> str:
        return f"authenticator of {self.user_id}"


class CodeUse(models.Model):
    """A right code was given: once for each step of thirty seconds, for one purpose.

    ``step``: seconds since 1970, divided by 30. ``purpose``: the id of the request it signs, or a
    word such as ``enrolment``. Rows are only ever added.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="+")
    factor = models.ForeignKey(Factor, models.PROTECT, related_name="uses")
    step = models.BigIntegerField()
    purpose = models.CharField(max_length=80)
    created = models.DateTimeField(editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["factor", "step"], name="accounts_codeuse_once"),
        ]
        indexes = [models.Index(fields=["user", "purpose"], name="accounts_codeuse_purpose")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.purpose}"


class RecoveryCode(models.Model):
    """In place of a lost authenticator, once; shown once and never stored.

    ``digest``: SHA-256 hex of the authenticator's id and the code. No slow hash is needed: a code
    has 79 random bits.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    factor = models.ForeignKey(Factor, models.PROTECT, related_name="recovery_codes")
    digest = models.CharField(max_length=64, unique=True)
    used = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"recovery code of {self.factor_id}"


class Notice(models.Model):
    """A mail to a person about their account. ``about``: a word of ``services.notice.About``.

    ``sent`` is empty until a mail server has taken it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="+")
    about = models.CharField(max_length=40)
    created = models.DateTimeField(editable=False)
    sent = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["created"],
                condition=models.Q(sent__isnull=True),
                name="accounts_notice_waiting",
            )
        ]

    def __str__(self) -> str:
        return f"{self.about} to {self.user_id}"


class RateWindow(models.Model):
    """How often ``key`` was used in the window that began at ``starts``.

    Counted in the database, so that many web processes share one limit. Keys hold digests,
    never a name or an address: people type passwords into the wrong field.
    """

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=100)
    starts = models.DateTimeField()
    count = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "starts"], name="accounts_ratewindow_once"),
        ]
        indexes = [models.Index(fields=["starts"], name="accounts_ratewindow_starts")]

    def __str__(self) -> str:
        return self.key
