"""What can go wrong in this room, by what the caller can do about it."""


class SandboxError(Exception):
    """Base of the room's errors."""


class SandboxUnavailable(SandboxError):
    """The host does not let a jail start; the message says what an operator must do."""


class RuntimeBuildError(SandboxError):
    """A runtime could not be made or found; the message names the part that is missing."""


class ProtocolViolation(SandboxError):
    """The guest sent bytes that no honest guest sends: its jail is ended."""


class FrameTooLarge(ProtocolViolation):
    """The guest announced a frame above the limit."""


class ChannelClosed(SandboxError):
    """The other end of the channel is gone: the guest has ended."""


class JailClosed(SandboxError):
    """A step was asked of a jail that has ended; the caller restores in a fresh one."""
