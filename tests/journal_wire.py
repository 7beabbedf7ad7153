"""A wire to a server that can be cut at the worst moment: when the request went through and its
answer has not come back. It can be slow, too, or reset what goes over it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_RESET = struct.pack("ii", 1, 0)  # linger 0: closing sends RST instead of FIN


class Wire:
    """Forwards connections to a port; `cut` loses every answer from then on, `reset` breaks every
    connection and each new one, `slow` delays what is answered; `mend` ends that."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._deaf, self._broken = threading.Event(), threading.Event()
        self._delay = 0.0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """What is sent arrives; what is answered is lost, and the connection with it."""
        self._deaf.set()

    def reset(self) -> None:
        """Every connection ends with RST, also each that is opened from now on."""
        self._broken.set()
        for one in list(self._open):
            _break(one)

    def slow(self, seconds: float) -> None:
        """Each piece of an answer comes so much later."""
        self._delay = seconds

    def mend(self) -> None:
        self._deaf.clear()
        self._broken.clear()
        self._delay = 0.0

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._broken.is_set():
                    _break(near)
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:  # nobody there: as a server that is down
                    _break(near)
                    continue
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    answers = source is far
                    threading.Thread(
                        target=self._pump, args=(source, target, answers), daemon=True
                    ).start()

    def _pump(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if answers and self._deaf.is_set():
                    break
                if answers and self._delay:
                    time.sleep(self._delay)
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _break(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    # A shutdown wakes the thread that reads it; without one, close() would wait for nobody either.
    with suppress(OSError):
        one.shutdown(socket.SHUT_RD)
    one.close()


@contextmanager
def wire_to(port: int) -> Iterator[Wire]:
    """A wire, closed afterwards."""
    wire = Wire(port)
    try:
        yield wire
    finally:
        wire.close()
