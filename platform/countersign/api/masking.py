"""What rules mask, as programs get it: not, or with an entry for each look."""

from collections.abc import Mapping

from audit.services import Subject
from countersign.accounts.scopes import Scope
from countersign.accounts.services import TokenContext
from policies.services import mask_opened


def kept_from(
    who: TokenContext, masked: Mapping[Subject, frozenset[str]]
) -> dict[Subject, frozenset[str]]:
    """What stays hidden from this token, of each request or call; what does not is recorded.

    Called before anything is shown: no entry, no look.

    Args:
        masked: arguments that rules mask of each.
    """
    if who.require(Scope.MASKS_OPEN) is not None:
        return dict(masked)
    for subject, arguments in masked.items():
        if arguments:
            mask_opened(
                workspace_id=who.workspace_id,
                actor=who.actor,
                subject=subject,
                arguments=arguments,
            )
    return dict.fromkeys(masked, frozenset())
