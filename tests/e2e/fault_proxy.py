"""An HTTP proxy on loopback that does to requests what networks and busy services do: it delays them, drops
them before or after they were done, sends them twice, or answers in the service's place."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate


@dataclass
class Request:
    number: int  # from 0, in the order of arrival
    method: str
    path: str
    headers: dict[str, str]  # lower-case names
    body: bytes

    @property
    def action(self) -> str:
        """ "ReceiveMessage" and so on; of S3 the method."""
        target = self.headers.get("x-amz-target", "")
        return target.rpartition(".")[2] or self.method


@dataclass(frozen=True)
class Pass:
    delay: float = 0.0  # seconds


@dataclass(frozen=True)
class Drop:
    done: bool  # whether the service gets it; its answer is never seen


@dataclass(frozen=True)
class Twice:
    """The second answer counts: somebody on the way has repeated it."""


@dataclass(frozen=True)
class Drip:
    """The service's answer, a byte every half second: no single wait for more of it is long."""


@dataclass(frozen=True)
class Answer:
    status: int
    code: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None  # instead of an error's


Fault = Pass | Drop | Twice | Drip | Answer


def error_body(request: Request, answer: Answer) -> bytes:
    if "x-amz-target" in request.headers:
        return f'{{"__type":"com.amazonaws.sqs#{answer.code}","message":"the proxy says so"}}'.encode()
    return f"<Error><Code>{answer.code}</Code><Message>the proxy says so</Message></Error>".encode()


@dataclass
class FaultProxy:
    upstream: tuple[str, int]
    decide: Callable[[Request], Fault] = field(default=lambda request: Pass())
    dropped: Callable[[Request, bytes], None] = field(default=lambda request, answer: None)  # in a thread
    # What the service gets in place of a request's head, and the client in place of its answer.
    rewrite: Callable[[Request, bytes], bytes] = field(default=lambda request, head: head)
    alter: Callable[[Request, bytes], bytes] = field(default=lambda request, answer: answer)
    tls: ssl.SSLContext | None = None
    requests: list[str] = field(default_factory=list)  # their actions
    faults: int = 0
    port: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def start(self) -> FaultProxy:
        listening = threading.Event()

        def run() -> None:
            listen = asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
            server = self._loop.run_until_complete(listen)
            self.port = server.sockets[0].getsockname()[1]
            listening.set()
            self._loop.run_forever()
            server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert listening.wait(30)
        return self

    def stop(self) -> None:
        if self._thread:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(30)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection may carry another request."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, path, _ = first.split(" ")
        request = Request(len(self.requests), method, path, headers, body)
        self.requests.append(request.action)
        fault = self.decide(request)
        self.faults += fault != Pass()
        if isinstance(fault, Answer):
            writer.write(self._answer(request, fault))
        elif isinstance(fault, Drop):
            if fault.done:
                answer = await self._forward(head, request)
                await asyncio.to_thread(self.dropped, request, answer)
            return False
        else:
            if isinstance(fault, Twice):
                await self._forward(head, request)
            if isinstance(fault, Pass) and fault.delay:
                await asyncio.sleep(fault.delay)
            # Whoever hangs up while a long poll waits must not be served messages.
            forwarded = asyncio.ensure_future(self._forward(head, request))
            gone = asyncio.ensure_future(reader.read(1))
            await asyncio.wait({forwarded, gone}, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            if not forwarded.done():
                forwarded.cancel()
                return False
            if isinstance(fault, Drip):
                return await self._drip(forwarded.result(), writer)
            writer.write(forwarded.result())
        await writer.drain()
        return False

    async def _drip(self, answer: bytes, writer: asyncio.StreamWriter) -> bool:
        for byte in answer:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.5)
        return False

    def _answer(self, request: Request, fault: Answer) -> bytes:
        body = b"" if request.method == "HEAD" else fault.body or error_body(request, fault)
        lines = [f"HTTP/1.1 {fault.status} Said", f"content-length: {len(body)}", "connection: close"]
        given = dict(fault.headers)
        given.setdefault("date", formatdate(usegmt=True))
        lines += [f"{name}: {value}" for name, value in given.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    async def _forward(self, head: bytes, request: Request) -> bytes:
        """The service's whole answer, on a connection of its own."""
        reader, writer = await asyncio.open_connection(*self.upstream)
        try:
            lines = [line for line in self.rewrite(request, head).rstrip(b"\r\n").split(b"\r\n")]
            lines = [
                line for line in lines if not line.lower().startswith((b"connection:", b"content-length:"))
            ]
            lines += [b"connection: close", b"content-length: %d" % len(request.body)]
            writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + request.body)
            await writer.drain()
            return self.alter(request, await reader.read())
        finally:
            writer.close()
