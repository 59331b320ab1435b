"""Service accounts and their bearer tokens.

A token is ``cs_<prefix>_<secret>``: 48 random bits to find the row, 256 to prove it. It is shown
once; the row keeps SHA-256 of the whole text. Compared in constant time.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from countersign.accounts import rates
from countersign.accounts.errors import InvalidPerson, UnknownAccount
from countersign.accounts.models import ServiceAccount, Token
from countersign.accounts.scopes import Scope, parse_scopes
from countersign.accounts.services.member import not_admin
from policies.errors import Reason, Refusal

LONGEST = timedelta(days=366)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
REQUESTS_A_MINUTE = 600
_FORM = re.compile(r"cs_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class IssuedToken:
    """A new token. ``secret`` is its whole text and exists nowhere else."""

    token: Token
    secret: str


@dataclass(frozen=True)
class TokenContext:
    """Who calls, where, and what for."""

    token_id: UUID
    service_account_id: UUID
    name: str
    workspace_id: UUID
    workspace_slug: str
    scopes: frozenset[Scope]

    @property
    def actor(self) -> Actor:
        return Actor("service", str(self.service_account_id), self.name)

    def require(self, scope: Scope) -> Refusal | None:
        """Why this token may not be used for ``scope``; None if it may."""
        if scope in self.scopes:
            return None
        return Refusal(Reason.SCOPE, f"This token lacks the scope {scope.value}.")


def service_account_create(
    *, workspace_id: UUID, actor: Actor, name: str
) -> ServiceAccount | Refusal:
    """Make an account for a program. Whoever makes it may not countersign what it asks for.

    Raises:
        InvalidPerson: the name is empty, too long, or taken.
    """
    name = name.strip()
    with in_workspace(workspace_id):
        refusal = not_admin(workspace_id, actor)
        if refusal is not None:
            return _refuse(workspace_id, actor, "create", refusal)
        if not 0 < len(name) <= 80:
            raise InvalidPerson("Give the service account a name of at most 80 characters.")
        if ServiceAccount.objects.filter(workspace_id=workspace_id, name=name).exists():
            raise InvalidPerson(f"There is a service account {name!r} already.")
        account = ServiceAccount.objects.create(
            workspace_id=workspace_id, name=name, created_by_id=_user_id(actor)
        )
        record(workspace_id, [_entry("service_account.created", actor, account)])
        return account


def service_account_disable(
    *, workspace_id: UUID, actor: Actor, service_account_id: UUID, now: datetime
) -> ServiceAccount | Refusal:
    """Stop an account and all its tokens for good.

    Raises:
        UnknownAccount: no such account in this workspace.
    """
    with in_workspace(workspace_id):
        refusal = not_admin(workspace_id, actor)
        if refusal is not None:
            return _refuse(workspace_id, actor, "disable", refusal)
        account = _account(workspace_id, service_account_id)
        if account.disabled is None:
            account.disabled = now
            account.save(update_fields=["disabled"])
            record(workspace_id, [_entry("service_account.disabled", actor, account)])
        return account


def token_issue(
    *,
    workspace_id: UUID,
    actor: Actor,
    service_account_id: UUID,
    name: str,
    scopes: Iterable[str],
    expires: datetime,
    now: datetime,
) -> IssuedToken | Refusal:
    """Make a token; its text is returned here and never again.

    Raises:
        UnknownAccount: no such account in this workspace, or it is disabled.
        InvalidScope, InvalidPerson: scopes, name or expiry cannot be used; the message says why.
    """
    wanted = parse_scopes(scopes)
    if not now < expires <= now + LONGEST:
        raise InvalidPerson("A token expires in the future, at most a year from now.")
    if not 0 < len(name.strip()) <= 80:
        raise InvalidPerson("Give the token a name of at most 80 characters.")
    with in_workspace(workspace_id):
        refusal = not_admin(workspace_id, actor)
        if refusal is not None:
            return _refuse(workspace_id, actor, "issue", refusal)
        account = _account(workspace_id, service_account_id)
        if account.disabled is not None:
            raise UnknownAccount("This service account is disabled.")
        prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        text = f"cs_{prefix}_{secret}"
        token = Token.objects.create(
            service_account=account,
            name=name.strip(),
            prefix=prefix,
            digest=_digest(text),
            scopes=sorted(scope.value for scope in wanted),
            created_by_id=_user_id(actor),
            expires=expires,
        )
        detail = {
            "token": str(token.id),
            "scopes": token.scopes,
            "expires": expires.isoformat(),
        }
        record(workspace_id, [_entry("token.issued", actor, account, detail)])
        return IssuedToken(token, text)


def token_revoke(
    *, workspace_id: UUID, actor: Actor, token_id: UUID, now: datetime
) -> Token | Refusal:
    """End a token at once.

    Raises:
        UnknownAccount: no such token in this workspace.
    """
    with in_workspace(workspace_id):
        refusal = not_admin(workspace_id, actor)
        if refusal is not None:
            return _refuse(workspace_id, actor, "revoke", refusal)
        tokens = Token.objects.filter(id=token_id, service_account__workspace_id=workspace_id)
        token = tokens.select_related("service_account").first()
        if token is None:
            raise UnknownAccount("There is no such token in this workspace.")
        if token.revoked is None:
            token.revoked = now
            token.save(update_fields=["revoked"])
            detail = {"token": str(token.id)}
            record(workspace_id, [_entry("token.revoked", actor, token.service_account, detail)])
        return token


def token_authenticate(*, raw: str, now: datetime) -> TokenContext | Refusal:
    """Who this bearer token speaks for. Counts the use; the first of an hour is in the log.

    Call it outside ``in_workspace``: only the token says which workspace.
    """
    match = _FORM.fullmatch(raw)
    token = None
    if match is not None:
        tokens = Token.objects.filter(prefix=match[1])
        token = tokens.select_related("service_account__workspace").first()
    if token is None or not hmac.compare_digest(token.digest, _digest(raw)):
        return _unknown(now)
    refusal = _ended(token, now)
    with in_workspace(token.service_account.workspace_id):
        count = rates.tick(rates.key("token", str(token.id)), MINUTE, now)
        if refusal is None and count > REQUESTS_A_MINUTE:
            refusal = Refusal(
                Reason.RATE_LIMITED,
                f"At most {REQUESTS_A_MINUTE} requests a minute.",
                rates.left(MINUTE, now),
            )
        if refusal is not None:
            return _refuse_use(token, refusal, count)
        if count == 1:
            _used(token, now)
    return _context(token)


def _ended(token: Token, now: datetime) -> Refusal | None:
    if token.revoked is not None or token.service_account.disabled is not None:
        return Refusal(Reason.REVOKED_TOKEN, "This token was revoked.")
    if now >= token.expires:
        return Refusal(Reason.EXPIRED_TOKEN, "This token has expired; ask for a new one.")
    return None


def _unknown(now: datetime) -> Refusal:
    with in_workspace(None):
        count = rates.tick(rates.key("token", "unknown"), HOUR, now)
        if rates.is_milestone(count):
            actor = Actor("service", "unknown", "Unknown token")
            detail = {"reason": Reason.UNKNOWN_TOKEN.value, "this_hour": count}
            draft = Draft("token.refused", actor, Subject("token", "unknown"), detail=detail)
            record(None, [draft])
    return Refusal(Reason.UNKNOWN_TOKEN, "This token is not known here.")


def _refuse_use(token: Token, refusal: Refusal, count: int) -> Refusal:
    if rates.is_milestone(count) or count == REQUESTS_A_MINUTE + 1:
        account = token.service_account
        detail = {
            "token": str(token.id),
            "reason": refusal.reason.value,
            "this_minute": count,
        }
        record(account.workspace_id, [_entry("token.refused", _actor(account), account, detail)])
    return refusal


def _used(token: Token, now: datetime) -> None:
    account, before = token.service_account, token.last_used
    Token.objects.filter(id=token.id).update(last_used=now)
    if before is None or now - before >= HOUR:
        detail = {"token": str(token.id)}
        record(account.workspace_id, [_entry("token.used", _actor(account), account, detail)])


def _context(token: Token) -> TokenContext:
    account = token.service_account
    return TokenContext(
        token_id=token.id,
        service_account_id=account.id,
        name=account.name,
        workspace_id=account.workspace_id,
        workspace_slug=account.workspace.slug,
        scopes=frozenset(Scope(scope) for scope in token.scopes if scope in set(Scope)),
    )


def _account(workspace_id: UUID, account_id: UUID) -> ServiceAccount:
    accounts = ServiceAccount.objects.select_for_update()
    account = accounts.filter(id=account_id, workspace_id=workspace_id).first()
    if account is None:
        raise UnknownAccount("There is no such service account in this workspace.")
    return account


def _actor(account: ServiceAccount) -> Actor:
    return Actor("service", str(account.id), account.name)


def _user_id(actor: Actor) -> UUID | None:
    return UUID(actor.id) if actor.type == "user" else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _entry(
    action: str, actor: Actor, account: ServiceAccount, detail: dict[str, JSON] | None = None
) -> Draft:
    subject = Subject("service_account", str(account.id))
    return Draft(action, actor, subject, detail=detail or {})


def _refuse(workspace_id: UUID, actor: Actor, attempt: str, refusal: Refusal) -> Refusal:
    detail = {"reason": refusal.reason.value, "attempt": attempt}
    subject = Subject("workspace", str(workspace_id))
    record(workspace_id, [Draft("service_account.refused", actor, subject, detail=detail)])
    return refusal
