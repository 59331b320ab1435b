"""What the attacks on approvals share: the cast, and SQL as the application's own role."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID, uuid4

from django.db import connection, connections

from audit.transactions import in_workspace
from policies.models import ApprovalRequest

T = TypeVar("T")


def execute(workspace_id: UUID, statement: str, **values: Any) -> int:
    """Run one statement past every service, as whoever took over the web process could."""
    with in_workspace(workspace_id), connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("countersign_app",)
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def forge_vote(request: ApprovalRequest, user_id: UUID, **changes: Any) -> int:
    """Insert a signature without asking the service."""
    row: Mapping[str, Any] = {
        "id": uuid4(),
        "workspace": request.workspace_id,
        "request": request.id,
        "user": user_id,
        "binding": request.binding_digest,
        "displayed": request.displayed_digest,
        "created": request.created,
        "factors": "{password}",
        **changes,
    }
    return execute(
        request.workspace_id,
        "INSERT INTO policies_vote (id, workspace_id, request_id, user_id, user_name, answer,"
        " meaning, comment, binding_digest, displayed_digest, reauthenticated_at, roles, factors,"
        " created)"
        " VALUES (%(id)s, %(workspace)s, %(request)s, %(user)s, 'Forged', 'sign', 'approved', '',"
        " %(binding)s, %(displayed)s, %(created)s, '{reviewer:finance}', %(factors)s,"
        " %(created)s)",
        **row,
    )


def at_once(*calls: Callable[[], T]) -> list[T]:
    """Run all calls in threads with their own connections, started together; their results."""
    gate = threading.Barrier(len(calls))
    results: list[T | BaseException] = [RuntimeError("did not run")] * len(calls)

    def run(index: int, call: Callable[[], T]) -> None:
        try:
            gate.wait(10)
            results[index] = call()
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            results[index] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    found: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found
