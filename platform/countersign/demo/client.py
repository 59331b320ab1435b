"""A program's account in the demo workspace, with a token for trying the REST API."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from countersign.accounts.errors import AccountsError
from countersign.accounts.scopes import Scope
from countersign.accounts.selectors import service_accounts
from countersign.accounts.services import service_account_create, token_issue
from countersign.accounts.services.workspace import COMMAND_LINE
from countersign.demo import setting
from policies.errors import Refusal

T = TypeVar("T")

NAME = "Demo client"
VALID = timedelta(days=30)
SCOPES = (Scope.RUNS_START, Scope.RUNS_READ, Scope.RUNS_CONTROL, Scope.APPROVALS_READ,
          Scope.REGISTRY_READ, Scope.AUDIT_READ)  # fmt: skip


def token_file() -> Path:
    """Where the token's text is kept, readable by us only."""
    return setting.folder() / "token"


def ensure_token(workspace_id: UUID, now: datetime | None = None) -> None:
    """Make account and token unless a token that works is there already."""
    now = now or datetime.now(UTC)
    known = [row for row in service_accounts(workspace_id) if row.account.name == NAME]
    valid = any(t.expires > now and not t.revoked for row in known for t in row.tokens)
    if valid and token_file().exists():
        return
    account = (
        known[0].account
        if known
        else _allowed(
            service_account_create(workspace_id=workspace_id, actor=COMMAND_LINE, name=NAME)
        )
    )
    issued = _allowed(
        token_issue(
            workspace_id=workspace_id,
            actor=COMMAND_LINE,
            service_account_id=account.id,
            name="demo",
            scopes=SCOPES,
            expires=now + VALID,
            now=now,
        )
    )
    setting.write_private(token_file(), issued.secret + "\n")


def _allowed(result: T | Refusal) -> T:
    if isinstance(result, Refusal):
        raise AccountsError(result.sentence)
    return result
