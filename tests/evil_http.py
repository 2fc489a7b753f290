"""A server on the loopback that answers each request with whatever bytes a test wants, as slowly as it wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def evil_http(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """`answer` is given each connection once its request's header has come; it is closed afterwards."""
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        while not stop.is_set():
            with suppress(OSError):
                line, _ = listener.accept()
                with line, suppress(OSError):
                    line.settimeout(5)
                    request = b""
                    while b"\r\n\r\n" not in request:
                        piece = line.recv(65536)
                        if not piece:
                            break
                        request += piece
                    answer(line)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/vss"
        finally:
            stop.set()
            thread.join(10)
