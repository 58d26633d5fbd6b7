"""A Celery application as its users write them, for test_sqs_celery.py: SQS the broker, S3 results."""

from __future__ import annotations

import os
import urllib.parse
from typing import Any

from celery import Celery

ENDPOINT = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]

app = Celery("shop", broker=f"sqs://{KEY}:{SECRET}@{ENDPOINT.netloc}")
app.conf.update(
    broker_transport_options={
        "is_secure": False,
        "region": "us-east-1",
        "wait_time_seconds": 5,
    },
    task_default_queue="celery-jobs",
    task_acks_late=True,
    result_backend="s3",
    s3_endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    s3_access_key_id=KEY,
    s3_secret_access_key=SECRET,
    s3_bucket="celery-results",
    s3_region="us-east-1",
    worker_send_task_events=False,
)


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task(bind=True, max_retries=3)
def third_time_lucky(self: Any, word: str) -> str:
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return f"{word} after {self.request.retries} retries"


@app.task
def fails() -> None:
    raise ValueError("as it should")
