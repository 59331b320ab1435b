"""What can go wrong with a model, by what the caller can do about it."""

from agents.llm.chat import Usage

NOTHING_SPENT = Usage(input_tokens=0, output_tokens=0, estimated=False)


class ModelError(Exception):
    """The model gave no answer.

    Attributes:
        sentence: what happened and what to do, for a person; never holds the key.
        detail: what the endpoint itself said, bounded; untrusted text, for the operator only.
        attempts: requests sent, at least 0.
        usage: tokens of attempts that broke off half-way; budgets count them.
    """

    def __init__(
        self,
        sentence: str,
        *,
        detail: str = "",
        attempts: int = 0,
        usage: Usage = NOTHING_SPENT,
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail
        self.attempts = attempts
        self.usage = usage


class ModelUnavailable(ModelError):
    """For now: too busy, out of reach, or broken off. The run can wait and ask again.

    Attributes:
        retry_after_s: seconds to wait before the next try, positive; the endpoint's own
            wish where it gave one.
    """

    def __init__(
        self,
        sentence: str,
        *,
        retry_after_s: float,
        detail: str = "",
        attempts: int = 0,
        usage: Usage = NOTHING_SPENT,
    ) -> None:
        super().__init__(sentence, detail=detail, attempts=attempts, usage=usage)
        self.retry_after_s = retry_after_s


class ModelRefused(ModelError):
    """For good: the same request will be refused again until a person changes something."""


class ModelCancelled(ModelError):
    """The caller's cancellation hook said stop; nothing is wrong with the model."""
