"""Whatever changes the database is recorded: a list of every function that writes, held complete.

A function that writes and calls `record` itself, or says an entry to the commit it is part of,
records. Every other one stands below, with what records it or why nothing has to. A new one
fails here until somebody has thought about it.
"""

import ast
from collections.abc import Collection, Iterator, Mapping

from tests.countersign.test_house_rules import FILES, name_of, tree_of

WRITES = {
    *("create", "bulk_create", "get_or_create", "update_or_create"),
    *("update", "bulk_update", "delete", "_raw_delete", "save"),
}
STATEMENTS = ("INSERT INTO", "UPDATE ", "DELETE FROM")
RECORDS = {"record", "say"}
ACCOUNTS = "platform/countersign/accounts/services/"
"""Written `accounts/` below."""
ROOMS = ("agents", "policies", "audit", "platform/countersign")
OUTSIDE = (
    "agents/sandbox/",  # knows no database
    "audit/verifier/",  # stands alone
    "policies/facts/",  # pure; `save` there is of an analysis
    "platform/countersign/demo/",  # books of the demo, not ours
    "platform/countersign/management/",  # the host's own files
    "platform/countersign/database/",  # roles and rights; migrations record themselves
)

# Part of a change that another function records, in the same transaction.
RECORDED_BY: Mapping[str, str] = {
    "agents/approvals/asking.py::ask": "policies/services/approval.py::approval_request",
    "agents/approvals/answering.py::_ask_again": "policies/services/approval.py::approval_request",
    "agents/approvals/answering.py::_unsigned": "agents/journal.py::flush",
    "agents/approvals/asking.py::ask_for_manifest": (
        "policies/services/approval.py::approval_request"
    ),
    "agents/approvals/editing.py::approval_edit": "policies/services/approval.py::approval_request",
    "agents/files/keeping.py::_row": "agents/files/keeping.py::keep",
    "agents/kill_switches/service.py::_in_force_or_made": (
        "agents/kill_switches/service.py::kill_set"
    ),
    "agents/kill_switches/service.py::_release": "agents/kill_switches/service.py::kill_lift",
    "agents/registry/service.py::agent": "agents/registry/service.py::write",
    "agents/registry/service.py::endpoint": "agents/registry/service.py::write",
    "agents/registry/service.py::tool": "agents/registry/service.py::write",
    "agents/budgets/spending.py::release": "agents/journal.py::_try_outcome",
    "audit/erasure.py::_delete": "audit/erasure.py::erase_subject",
    "audit/exports.py::request_export": "audit/exports.py::_note",
    "audit/exports.py::retry_export": "audit/exports.py::_note",
    "audit/verification.py::run_verification": "audit/verification.py::record_result",
    "accounts/factor.py::_forget": "accounts/factor.py::factor_confirm",
    "accounts/factor.py::_recovery_codes": "accounts/factor.py::factor_confirm",
    "accounts/login.py::password_change": "accounts/attempts.py::note",
    "accounts/member.py::_grant": "accounts/member.py::change_roles",
    "accounts/member.py::appoint": "accounts/member.py::join",
    "accounts/member.py::person_account": "accounts/member.py::join",
    "accounts/notice.py::tell": "accounts/notice.py::_sent",
    "policies/services/approval.py::close": "policies/services/vote.py::_cast",
    "policies/services/conversation.py::_move": "policies/services/conversation.py::note",
    "policies/services/handing_on.py::approval_reassign": "policies/services/conversation.py::note",
    "policies/services/policy.py::policy_install_starter": "policies/services/policy.py::_store",
    "policies/services/vote.py::_complete": "policies/services/vote.py::_cast",
    "policies/tasks.py::_notify": "policies/tasks.py::_record",
    "policies/tasks.py::_remind": "policies/tasks.py::_record",
}

# What says nothing of what anybody did: bookkeeping, or a trace of what is recorded elsewhere.
UNRECORDED: Mapping[str, str] = {
    "agents/worker/leases.py::_stands": "a sign of life; run.claimed says who holds the run",
    "agents/services.py::_requeue": "a run may be claimed again; run.claimed says when it is",
    "agents/replay/service.py::_tell": "progress of a replay; run.replayed says how it ended",
    "agents/replay/service.py::replay_make": "a worker takes a replay; asking and end are told",
    "audit/anchoring.py::_submit": "what an anchor answered: its signature is the evidence",
    "audit/export/bundle.py::stream": "a file of an export in the making, no row",
    "audit/exports.py::_take": "a worker takes an export; asking and end are told",
    "audit/exports.py::_update": "progress of an export",
    "audit/keyring.py::_make": "a key, made with the first payload under it, which an entry names",
    "audit/rows.py::_insert": "how rows are written, for those who record",
    "audit/rows.py::_update": "how rows are written, for those who record",
    "audit/sequencer.py::_append": "the tree itself: checkpoint.signed says what it is",
    "audit/sequencer.py::_insert_tiles": "the tree itself: checkpoint.signed says what it is",
    "audit/verification.py::_update": "progress of a verification; log.verified says how it ended",
    "platform/countersign/accounts/rates.py::purge": "counters of requests whose time is over",
    "platform/countersign/accounts/rates.py::tick": "a counter of requests",
    "platform/countersign/accounts/rates.py::untick": "a counter of requests",
    "accounts/code.py::_failed": "a counter; whoever asked for the code records it",
    "accounts/code.py::_recovery": "a used code; what was done by it is recorded",
    "accounts/code.py::_right": "a counter of wrong codes",
    "accounts/code.py::note_use": "a used code; what was done by it is recorded",
    "accounts/login.py::_matches": "the same password under a newer hash",
    "accounts/login.py::upgrade": "the same password under a newer hash",
    "policies/services/repeats.py::propose_once": "the answer to a request that may come again",
    "policies/services/simulation.py::_again": "a simulation is taken up again; its end is told",
    "policies/services/simulation.py::_save": "progress of a simulation; policy.simulated is told",
    "policies/services/simulation.py::_taken": "a worker takes a simulation; its end is told",
}


def calls(function: ast.AST) -> Iterator[str]:
    """Names of what is called in a function."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node.func.attr
            elif isinstance(node.func, ast.Name):
                yield node.func.id


def chain(node: ast.AST) -> list[str]:
    """`a.b.c()` as its names."""
    names = []
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        if isinstance(node, ast.Attribute):
            names.append(node.attr)
        node = node.func if isinstance(node, ast.Call) else node.value
    return names


def is_statement(node: ast.AST) -> bool:
    said = node.value if isinstance(node, ast.Constant) else ""
    return isinstance(said, str) and any(word in said for word in STATEMENTS)


def named_statements(module: ast.AST) -> set[str]:
    """Names of a module's constants that hold a statement which writes."""
    return {
        target.id
        for node in ast.iter_child_nodes(module)
        if isinstance(node, ast.Assign) and any(map(is_statement, ast.walk(node.value)))
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def writes(function: ast.AST, named: Collection[str] = ()) -> bool:
    for node in ast.walk(function):
        if is_statement(node) or (isinstance(node, ast.Name) and node.id in named):
            return True
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name, names = node.func.attr, chain(node.func)
        rows = "objects" in names or (not node.args and (node.keywords or name == "delete"))
        if name in WRITES and (name in ("save", "_raw_delete") or rows):
            return True
    return False


def functions() -> Iterator[tuple[str, ast.AST, set[str]]]:
    for file in FILES:
        name = name_of(file)
        if name.startswith(tuple(f"{room}/" for room in ROOMS)) and not name.startswith(OUTSIDE):
            named = named_statements(tree_of(file))
            for node in ast.walk(tree_of(file)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{name.replace(ACCOUNTS, 'accounts/')}::{node.name}", node, named


def writers() -> dict[str, bool]:
    """Every function that writes, and whether it records too."""
    found: dict[str, bool] = {}
    for name, node, named in functions():
        if writes(node, named):
            found[name] = found.get(name, True) and bool(RECORDS & set(calls(node)))
    return found


def test_every_writer_is_known() -> None:
    silent = {name for name, records in writers().items() if not records}
    known = RECORDED_BY.keys() | UNRECORDED.keys()
    assert silent - known == set(), "say what records these, or why nothing does"
    assert known - silent == set(), "these write no more, or record themselves: take them out"


def test_what_is_said_to_record_does() -> None:
    records: dict[str, bool] = {}
    for name, node, _ in functions():
        records[name] = records.get(name, False) or bool(RECORDS & set(calls(node)))
    for writer, recorder in RECORDED_BY.items():
        assert records.get(recorder), f"{writer} is recorded by {recorder}, which records nothing"


def test_the_walk_finds_what_it_must() -> None:
    """It would be worth nothing if it saw no writer."""
    found = writers()
    assert found["policies/services/vote.py::_cast"]
    assert not found["audit/exports.py::_update"]
    assert len(found) > 70
