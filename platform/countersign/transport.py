"""kombu's pgmq transport, on queues that the migration made.

The stock transport drops and makes a queue's trigger anew whenever anything declares the queue:
two processes that start together fail with "trigger already exists", and every sender takes a
lock that stops all others. Here nobody changes the schema after the migration.
"""

from typing import Any, cast

from kombu.transport import pgmq


class Channel(pgmq.Channel):
    """Listens, and leaves the tables alone."""

    def _new_queue(self, queue: str, **options: Any) -> None:  # noqa: ANN401 - kombu's signature
        self._maybe_enable_notify(queue)

    def _maybe_enable_notify(self, queue: str, queue_name: str | None = None) -> None:
        if self.use_notify:
            transport = cast("Transport", self.connection)
            transport._register_notify_queue(queue_name or self._queue_name(queue))


class Transport(pgmq.Transport):
    """What ``CELERY_BROKER_TRANSPORT`` names."""

    Channel = Channel

    @property
    def default_connection_params(self) -> dict[str, object]:
        """Nothing: the address is in the options; kombu would warn that it takes another host."""
        return {}
