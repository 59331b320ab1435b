"""The only writers of people, workspaces, service accounts and tokens.

Each service records what it did in the same transaction. Refusals are values and leave their
entry too. What concerns a workspace goes into that workspace's log; logins go into the
platform's, since they happen before any workspace is known.
"""

from countersign.accounts.services.appointment import Asked, member_propose, roles_propose
from countersign.accounts.services.code import RECOVERY
from countersign.accounts.services.factor import (
    Enrolment,
    Unconfirmed,
    factor_begin,
    factor_confirm,
    factor_remove,
    recovery_codes_renew,
)
from countersign.accounts.services.factor_reset import factor_reset_propose
from countersign.accounts.services.login import (
    login,
    logout,
    password_change,
    reauthenticate,
)
from countersign.accounts.services.login_code import (
    CODE_WITHIN,
    CodeAtLogin,
    FullLogin,
    HalfLogin,
    code_at_login,
    login_finish,
    login_is_half,
)
from countersign.accounts.services.member import (
    Joined,
    PersonDraft,
    member_remove,
    member_set_roles,
)
from countersign.accounts.services.password import password_reset
from countersign.accounts.services.token import (
    IssuedToken,
    TokenContext,
    service_account_create,
    service_account_disable,
    token_authenticate,
    token_issue,
    token_revoke,
)
from countersign.accounts.services.workspace import Prepared, workspace_create, workspace_prepare

__all__ = [
    "CODE_WITHIN",
    "RECOVERY",
    "Asked",
    "CodeAtLogin",
    "Enrolment",
    "FullLogin",
    "HalfLogin",
    "IssuedToken",
    "Joined",
    "PersonDraft",
    "Prepared",
    "TokenContext",
    "Unconfirmed",
    "code_at_login",
    "factor_begin",
    "factor_confirm",
    "factor_remove",
    "factor_reset_propose",
    "login",
    "login_finish",
    "login_is_half",
    "logout",
    "member_propose",
    "member_remove",
    "member_set_roles",
    "password_change",
    "password_reset",
    "reauthenticate",
    "recovery_codes_renew",
    "roles_propose",
    "service_account_create",
    "service_account_disable",
    "token_authenticate",
    "token_issue",
    "token_revoke",
    "workspace_create",
    "workspace_prepare",
]
