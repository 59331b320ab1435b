"""What accounts do by the clock."""

from celery import shared_task
from django.utils import timezone

from countersign.accounts import rates


@shared_task(name="accounts.purge", ignore_result=True)
def purge() -> None:
    """Forget counters that no limit looks at any more."""
    rates.purge(timezone.now())
