"""The Celery application: messages wake workers up; the database says what is to be done."""

from celery import Celery

app = Celery("countersign")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["agents", "policies", "audit", "countersign.accounts"])
app.set_default()
