"""What can go wrong with a tool, by whether it may have acted."""

from enum import StrEnum


class Acted(StrEnum):
    """Whether the tool's effect may have happened."""

    NO = "no"
    """It never began: the call may be repeated."""
    FAILED = "failed"
    """It began and said itself that it failed."""
    YES = "yes"
    """It finished; only its result is unusable."""
    UNKNOWN = "unknown"
    """Nobody can tell: a write goes to a person, or is repeated with its key."""


class ToolError(Exception):
    """A call gave no result.

    Attributes:
        kind: the exception's name as the agent's program sees it.
        acted: whether the effect may have happened.
    """

    kind = "ToolError"
    acted = Acted.NO


class ToolDefinitionError(Exception):
    """A function cannot be a tool as it is written; the sentence says what to change."""


class ToolImportError(Exception):
    """No tool can be loaded from an import path; the sentence says why."""


class ToolArgumentError(ToolError):
    """The arguments do not fit the schema; the tool did not begin. The caller's fault."""

    kind = "ToolArgumentError"


class ToolBusy(ToolError):
    """No place was free to run the tool; it did not begin."""

    kind = "ToolBusy"


class ToolUnavailable(ToolError):
    """The tool broke several times in a row and is left alone for a while; it did not begin."""

    kind = "ToolUnavailable"


class ToolFailed(ToolError):
    """The tool said that it failed. Tools raise it themselves; other exceptions become it.

    Args:
        kind: a name for the failure, such as `PaymentRefused`, for programs to tell by.
        message: what went wrong and what to do, for the agent and its reviewer.
    """

    acted = Acted.FAILED

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ToolUnreachable(ToolError):
    """The tool's service could not be reached or is out of order; nothing was done there.

    Unlike `ToolFailed`, it counts against the tool: after some of them it is left alone.
    """

    kind = "ToolUnreachable"
    acted = Acted.FAILED


class ToolTimeout(ToolError):
    """The tool did not answer in time, or lost its connection: it may have acted.

    Tools raise it themselves when a request has left and its answer is missing.
    """

    kind = "ToolTimeout"
    acted = Acted.UNKNOWN


class ToolResultError(ToolError):
    """The tool finished with a result that its own schema forbids. The tool's fault."""

    kind = "ToolResultError"
    acted = Acted.YES
