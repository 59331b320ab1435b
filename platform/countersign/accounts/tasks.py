"""What accounts do by the clock."""

from celery import shared_task
from django.utils import timezone

from countersign.accounts import rates
from countersign.accounts.services import factor


@shared_task(name="accounts.purge", ignore_result=True)
def purge() -> None:
    """Forget counters that no limit looks at any more, and secrets that nobody confirmed."""
    now = timezone.now()
    rates.purge(now)
    factor.unconfirmed_forget(now)
