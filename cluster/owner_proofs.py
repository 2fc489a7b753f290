"""How a command shows that it is the owner's: a signature by the node's identity key over a fresh challenge."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from cluster.effects import Now
from cluster.errors import AuthenticationError
from curve import tagged_hash

__all__ = ["Challenges", "proof_message", "proof_of"]

Request = Mapping[str, object]
Facts = dict[str, object]

PROOF_DOMAIN = b"assent/owner/v1\x00"

CHALLENGE_LIFE_MS = 120_000
"""How long a challenge is good for: the key derivation of a slow machine, and no more."""

MAX_CHALLENGES = 16
"""How many may be out at once; the oldest is forgotten first."""


def proof_message(request: Request) -> bytes:
    """What a proof signs: the domain and the request whole, the proof itself left out."""
    body = {key: value for key, value in request.items() if key != "proof"}
    return PROOF_DOMAIN + json.dumps(body, sort_keys=True, ensure_ascii=True).encode()


def proof_of(request: Request, sign: Callable[[bytes], bytes]) -> Facts:
    """The request with its proof; it must hold the challenge already."""
    return {**request, "proof": sign(proof_message(request)).hex()}


class Challenges:
    """Each is good once, and not for long."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._until: dict[str, int] = {}

    def fresh(self, now: Now, entropy: bytes) -> str:
        """Another challenge."""
        challenge = tagged_hash("assent/owner/challenge", entropy).hex()
        self._until[challenge] = now.monotonic_ms + CHALLENGE_LIFE_MS
        while len(self._until) > MAX_CHALLENGES:
            self._until.pop(next(iter(self._until)))
        return challenge

    def check(self, request: Request, now: Now) -> None:
        """AuthenticationError unless the request carries a proof over a challenge of ours that is still good."""
        until = self._until.pop(str(request.get("challenge", "")), 0)
        if until < now.monotonic_ms:
            raise AuthenticationError("the challenge has expired; give the command again")
        try:
            VerifyKey(self._key).verify(proof_message(request), bytes.fromhex(str(request.get("proof", ""))))
        except (BadSignatureError, ValueError):
            raise AuthenticationError("the proof is not this node's owner's") from None
