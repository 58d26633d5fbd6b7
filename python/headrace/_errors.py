"""What can go wrong, as types. Messages are sentences that say what to do."""

from __future__ import annotations

from collections.abc import Mapping

from headrace._native import Timeout, Unavailable

__all__ = [
    "Cancelled",
    "Conflict",
    "GiveUp",
    "JobCancelled",
    "NotFound",
    "PartialFailure",
    "ResultTimeout",
    "Retry",
    "ServiceError",
    "SoftTimeLimit",
    "TaskError",
    "Timeout",
    "Unavailable",
]


class Retry(Exception):
    """Raised by a handler: run this job again, after `delay` seconds (else after its task's backoff)."""

    __module__ = "headrace"

    def __init__(self, message: str = "the handler asked for another attempt", *, delay: float | None = None):
        if delay is not None and delay < 0:
            raise ValueError("Retry(delay=) is a number of seconds from now, so not negative")
        super().__init__(message)
        self.delay = delay


class GiveUp(Exception):
    """Raised by a handler: no further attempt helps; the job goes to the dead letters at once."""

    __module__ = "headrace"


class PartialFailure(Exception):
    """Raised by a consumer of batches: these of its messages failed, by their id; the others are done."""

    __module__ = "headrace"

    def __init__(self, errors: Mapping[str, BaseException | str]) -> None:
        super().__init__(f"{len(errors)} messages of the batch failed")
        self.errors = dict(errors)


class JobCancelled(BaseException):
    """Raised in a plain function whose job was cancelled; an async one gets asyncio.CancelledError. As a
    BaseException it passes by `except Exception`. The process is killed if the job does not end soon."""

    __module__ = "headrace"


class SoftTimeLimit(Exception):
    """Raised in a handler whose task's soft_timeout is over: there is time to clean up until the timeout."""

    __module__ = "headrace"


class TaskError(Exception):
    """The job failed for good. `type`, `message` and `traceback` are those of its last exception."""

    __module__ = "headrace"

    def __init__(self, job: str, type: str, message: str, traceback: str) -> None:
        super().__init__(f"job {job} failed: {type}: {message}")
        self.job = job
        self.type = type
        self.message = message
        self.traceback = traceback


class Cancelled(TaskError):
    """The job was cancelled before it had ended."""

    __module__ = "headrace"

    def __init__(self, job: str) -> None:
        super().__init__(job, "Cancelled", "it was cancelled", "")


class ResultTimeout(TimeoutError):
    """The job has not ended within the time that was given to wait; it may still."""

    __module__ = "headrace"


class ServiceError(Exception):
    """SQS or S3 answered with an error. `code` is theirs."""

    __module__ = "headrace"

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(f"{message} ({code}, HTTP {status})")
        self.code = code
        self.status = status
        self.message = message


class NotFound(ServiceError):
    """There is no such object, bucket or queue."""

    __module__ = "headrace"


class Conflict(ServiceError):
    """A condition of the write did not hold, as with if_none_match where the object exists."""

    __module__ = "headrace"
