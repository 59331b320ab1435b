"""The Celery application: messages wake workers up; the database says what is to be done."""

from celery import Celery, bootsteps

from countersign import heap, telemetry

app = Celery("countersign")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["agents", "policies", "audit", "countersign.accounts"])
app.set_default()


class Telemetry(bootsteps.Step):
    """Sets telemetry up in the worker process before it takes messages."""

    def __init__(self, worker: object, **options: object) -> None:
        super().__init__(worker, **options)
        telemetry.start("worker")


class Heap(bootsteps.Step):
    """Settles the heap once the tasks and all that they need are loaded."""

    requires = (Telemetry,)

    def __init__(self, worker: object, **options: object) -> None:
        super().__init__(worker, **options)
        heap.settle()


app.steps["worker"].update({Telemetry, Heap})
