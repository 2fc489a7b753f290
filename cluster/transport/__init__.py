"""Letters over ZeroMQ with CURVE: nodes and clients dial out, only the coordinator listens.

A connection proves a transport key and nothing more; who wrote a letter is shown by its own signature, which
the machines check. Sending never waits, and what does not fit is refused here before libzmq drops it silently.
"""

from cluster.transport.bucket import Allowance, Bucket
from cluster.transport.dialer import NodeEndpoint
from cluster.transport.frames import (
    MAX_LETTER_BYTES,
    SIGNATURE_BYTES,
    Frame,
    Oversize,
    check_size,
)
from cluster.transport.links import Arrived, CoordinatorLinks, Links, NodeLinks
from cluster.transport.listener import CoordinatorEndpoint, Counters
from cluster.transport.profile import DEALER_OPTIONS, ROUTER_OPTIONS, ZAP_DOMAIN, check_endpoint, check_libzmq
from cluster.transport.zap import AllowSet

__all__ = [
    "CoordinatorEndpoint",
    "NodeEndpoint",
    "Links",
    "NodeLinks",
    "CoordinatorLinks",
    "Arrived",
    "Frame",
    "Counters",
    "Oversize",
    "MAX_LETTER_BYTES",
    "SIGNATURE_BYTES",
    "check_size",
    "Bucket",
    "Allowance",
    "AllowSet",
    "ROUTER_OPTIONS",
    "DEALER_OPTIONS",
    "ZAP_DOMAIN",
    "check_endpoint",
    "check_libzmq",
]
