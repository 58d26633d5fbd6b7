"""The compiled module: signed requests over blocking sockets, and leases."""

version: str

class Unavailable(ConnectionError): ...
class Timeout(TimeoutError): ...

class Client:
    def __new__(
        cls, endpoint: str, access_key: str, secret: str, session_token: str, region: str
    ) -> Client: ...
    def request(
        self,
        service: str,
        method: str,
        path: str,
        query: str,
        headers: list[tuple[str, str]],
        body: bytes | bytearray | memoryview,
        timeout: float,
        /,
    ) -> tuple[int, list[tuple[str, str]], bytes]: ...

def watch_lease(fd: int, /) -> None: ...
def boottime_ns() -> int: ...
