"""A member of the cluster that has gone mad: it sends letters over its own line as fast as one process can.

    python flooder.py ENDPOINT SERVER_KEY_HEX SECRET_KEY_HEX SIZE

It dials again whenever it is hung up on, and ends with its standard input. Each second it prints how many it sent.
"""

from __future__ import annotations

import os
import select
import sys
import time

import zmq
from nacl.bindings import crypto_scalarmult_base

SIGNATURE = bytes(64)
AT_ONCE = 200


def main() -> None:
    """See the top."""
    endpoint, server, secret, size = sys.argv[1:]
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    letter = os.urandom(int(size))
    sent, said = 0, time.monotonic()
    mouth = dial(context, endpoint, bytes.fromhex(server), bytes.fromhex(secret))
    dialled = time.monotonic()
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            for _ in range(AT_ONCE):
                mouth.send_multipart([letter, SIGNATURE], zmq.DONTWAIT)
                sent += 1
        except zmq.Again:
            mouth.poll(1, zmq.POLLOUT)
            if time.monotonic() > dialled + 1:  # a refusal is final for a socket
                mouth.close(0)
                mouth = dial(context, endpoint, bytes.fromhex(server), bytes.fromhex(secret))
                dialled = time.monotonic()
        else:
            dialled = time.monotonic()
        if time.monotonic() > said + 1:
            print(sent, flush=True)
            said = time.monotonic()


def dial(
    context: zmq.Context[zmq.Socket[bytes]], endpoint: str, server: bytes, secret: bytes
) -> zmq.Socket[bytes]:
    """A connection without any manners."""
    made = context.socket(zmq.DEALER)
    for option, value in (
        (zmq.LINGER, 0),
        (zmq.SNDHWM, 100_000),
        (zmq.RECONNECT_IVL, 1),
        (zmq.CURVE_SERVERKEY, server),
        (zmq.CURVE_SECRETKEY, secret),
        (zmq.CURVE_PUBLICKEY, crypto_scalarmult_base(secret)),
    ):
        made.setsockopt(option, value)
    made.connect(endpoint)
    return made


if __name__ == "__main__":
    main()
