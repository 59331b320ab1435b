"""Errors of the audit room, by what the caller can do about them."""


class AuditError(Exception):
    """Base of every error this room raises."""


class CanonicalError(AuditError):
    """The value lies outside the canonical profile; the caller must change it."""


class EntryTooLarge(AuditError):
    """The leaf exceeds 65,535 bytes; the caller must move content to payloads."""


class NotInTransaction(AuditError):
    """An entry must share the transaction of what it records; open `in_workspace`."""


class WrongWorkspace(AuditError):
    """The transaction belongs to another workspace; finish it first."""


class ChainBroken(AuditError):
    """Another writer advanced the run's chain; the caller lost its lease."""


class KeyUnavailable(AuditError):
    """A key cannot be read or unwrapped; an operator must restore it."""


class PayloadGone(AuditError):
    """The payload was erased or has expired; nothing brings it back."""


class PayloadDamaged(AuditError):
    """The payload does not open to what its entry commits to; investigate."""


class UnderHold(AuditError):
    """A legal hold forbids the erasure; lift the hold first."""


class RetentionTooShort(AuditError):
    """The law asks for at least 183 days; choose a longer period."""


class ProofUnavailable(AuditError):
    """The entry or size is not in the tree yet; wait for the sequencer."""


class SequencerBusy(AuditError):
    """Another sequencer holds the lock; this one may wait to take over."""


class HistoryConflict(AuditError):
    """A witness or a signed head contradicts the database; stop and investigate."""


class AnchorUnavailable(AuditError):
    """The anchor did not answer; it is tried again later."""


class AnchorRefused(AuditError):
    """The anchor answered and refused; retrying does not help."""


class ExportFailed(AuditError):
    """The export cannot be made; the message says what to change."""


class UnknownWorkspace(AuditError):
    """No workspace has this name; the message lists those there are."""


class UnknownPerson(AuditError):
    """No active person has this address."""
