"""Background work of the log: heads, verification, expiry, exports.

Messages carry ids only; a lost one is made up for by `resume_exports`.
"""

import logging
from uuid import UUID

from celery import shared_task

from audit import checkpoints, erasure, exports, heads, removal, verification
from audit.services import Actor
from audit.transactions import PLATFORM, alias
from audit.verify import trees, verify_log

log = logging.getLogger(__name__)

CLOCK = Actor("system", "scheduler", "Scheduler")


@shared_task(name="audit.append_heads")
def append_heads() -> None:
    """Note every tree that has grown in the file outside the database (each minute)."""
    saved = heads.latest()
    heads.append(
        heads.SavedHead(tree.workspace_id, tree.size, tree.root, tree.now)
        for tree in checkpoints.tree_heads(alias("reader"))
        if tree.workspace_id not in saved or saved[tree.workspace_id].size < tree.size
    )


@shared_task(name="audit.verify_all")
def verify_all() -> None:
    """Verify every tree and record the results (each day)."""
    for workspace_id in trees():
        report = verify_log(workspace_id)
        verification.record_result(report, CLOCK)
        for finding in report.findings[:10]:
            log.critical("audit log %s: %s", workspace_id, finding.sentence)


@shared_task(name="audit.expire_payloads")
def expire_payloads() -> None:
    """Destroy payloads whose retention has ended (each day)."""
    for workspace_id in trees():
        if workspace_id != PLATFORM:
            erasure.expire_payloads(workspace_id)


@shared_task(name="audit.run_verification")
def run_verification(workspace_id: str, verification_id: str) -> None:
    verification.run_verification(UUID(workspace_id), UUID(verification_id))


@shared_task(name="audit.make_export")
def make_export(workspace_id: str, export_id: str) -> None:
    exports.make_export(UUID(workspace_id), UUID(export_id))


@shared_task(name="audit.remove_exports")
def remove_exports() -> None:
    """Remove the files of exports whose time is up (each hour)."""
    removal.remove_due(CLOCK)


@shared_task(name="audit.resume_exports")
def resume_exports() -> None:
    """Take over exports whose maker died or whose message was lost (each minute)."""
    for workspace_id, export_id in exports.unfinished():
        make_export.delay(str(workspace_id), str(export_id))
