"""The only writers of this room: policy versions, decisions, approvals.

Each service is keyword-only, opens ``in_workspace`` (nesting in the caller's block of the same
workspace), and records its entries in the same transaction. What concerns a run joins the run's
chain, so the caller holds that run row's lock. A refusal is returned, never raised: the caller
commits, and with it the entry that says who was refused what.
"""

from policies.services.approval import (
    RequestDraft,
    approval_cancel,
    approval_consume,
    approval_expire,
    approval_request,
    approval_supersede,
    approval_verify,
    approvals_expire,
    approvals_renew,
)
from policies.services.change import (
    Change,
    change_apply,
    change_make,
    change_request,
    change_withdraw,
    changes_signed,
)
from policies.services.conversation import (
    approval_ask,
    approval_edited,
    approval_inform,
)
from policies.services.decision import DecisionDraft, decision_record, decision_store
from policies.services.handing_on import approval_reassign
from policies.services.masking import mask_opened
from policies.services.policy import (
    policy_activate,
    policy_apply,
    policy_draft,
    policy_install_starter,
    policy_submit,
)
from policies.services.repeats import propose_once
from policies.services.simulation import (
    policy_simulate,
    policy_simulation_run,
    simulations_again,
)
from policies.services.vote import VoteResult, vote_cast

__all__ = [
    "Change",
    "DecisionDraft",
    "RequestDraft",
    "VoteResult",
    "approval_ask",
    "approval_cancel",
    "approval_consume",
    "approval_edited",
    "approval_expire",
    "approval_inform",
    "approval_reassign",
    "approval_request",
    "approval_supersede",
    "approval_verify",
    "approvals_expire",
    "approvals_renew",
    "change_apply",
    "change_make",
    "change_request",
    "change_withdraw",
    "changes_signed",
    "decision_record",
    "decision_store",
    "mask_opened",
    "policy_activate",
    "policy_apply",
    "policy_draft",
    "policy_install_starter",
    "policy_simulate",
    "policy_simulation_run",
    "policy_submit",
    "propose_once",
    "simulations_again",
    "vote_cast",
]
