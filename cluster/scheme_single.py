"""Script leaves with plain keys: each signer answers alone with a BIP 340 signature under its own child key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cluster.scheme import Blame, Signer
from curve import Point, SecretScalar, schnorr_sign, schnorr_verify, tagged_hash, tweaked_secret
from taproot import ExtendedKey, SigningTask, TapLeaf, WalletKey


class SingleNonces:
    """No nonces at all: only the randomness that each signature mixes in, used once."""

    pubnonces: tuple[bytes, ...] = ()

    def __init__(self, secret: SecretScalar, key: WalletKey, entropy: bytes) -> None:
        self._secret = secret
        self._key = key
        self._entropy = entropy

    def sign(self, signers: Sequence[Signer], tasks: Sequence[SigningTask]) -> tuple[bytes, ...]:
        """One whole signature (64 bytes) per task, under this signer's child key in the leaf."""
        del signers
        entropy, self._entropy = self._entropy, b""
        if not entropy:
            raise ValueError("this batch has signed already")
        return tuple(self._sign(task, entropy) for task in tasks)

    def _sign(self, task: SigningTask, entropy: bytes) -> bytes:
        child, tweaks = self._key.child(task.path)
        if child.xonly() not in _leaf(task).keys:
            raise ValueError("this key does not stand in that leaf")
        secret = tweaked_secret(self._secret, tweaks)
        try:
            return schnorr_sign(
                secret, task.sighash, tagged_hash("assent/aux", entropy, task.index.to_bytes(4, "big"))
            )
        finally:
            secret.wipe()

    def wipe(self) -> None:
        """Let go of the randomness."""
        self._entropy = b""


class SingleShare:
    """A node's own signing key, for leaves in which it stands by itself."""

    def __init__(self, secret: SecretScalar, key: ExtendedKey) -> None:
        if secret.point().to_bytes() != key.public_key:
            raise ValueError("the secret key is another participant's")
        self._secret = secret
        self._key = WalletKey(key)

    def nonces(
        self, count: int, tasks: Sequence[SigningTask] | None, extra: bytes, entropy: bytes
    ) -> SingleNonces:
        """Randomness for one order; nothing is committed to."""
        del count, tasks
        return SingleNonces(self._secret, self._key, tagged_hash("assent/single", extra, entropy))


class SingleGroup:
    """The keys of one leaf, by participant."""

    gives_nonces = False

    def __init__(self, keys: Mapping[int, ExtendedKey]) -> None:
        self._keys = {participant: WalletKey(key) for participant, key in keys.items()}

    def point(self, participants: Sequence[int]) -> Point:
        """There is no one key: each signs with its own."""
        raise ValueError(f"participants {list(participants)} sign with a key each")

    def takes_nonces(self, pubnonces: Sequence[bytes]) -> bool:
        """There are to be none."""
        return not pubnonces

    def check(
        self, signers: Sequence[Signer], psigs: Mapping[int, Sequence[bytes]], tasks: Sequence[SigningTask]
    ) -> None:
        """Verify each signature that is here under its maker's own key. Raises Blame."""
        del signers
        wrong = tuple(
            participant
            for participant, parts in sorted(psigs.items())
            if not all(self._signed(participant, task, part) for task, part in zip(tasks, parts, strict=True))
        )
        if wrong:
            raise Blame(wrong)

    def _signed(self, participant: int, task: SigningTask, signature: bytes) -> bool:
        key = self._keys[participant].child(task.path)[0].xonly()
        return (
            len(signature) == 64 and key in _leaf(task).keys and schnorr_verify(key, task.sighash, signature)
        )

    def aggregate(
        self, signers: Sequence[Signer], psigs: Mapping[int, Sequence[bytes]], tasks: Sequence[SigningTask]
    ) -> tuple[tuple[bytes, ...], ...]:
        """Everybody's signature in the place of its key, for each task. Raises Blame."""
        self.check(signers, psigs, tasks)
        return tuple(self._placed(psigs, task, i) for i, task in enumerate(tasks))

    def _placed(self, psigs: Mapping[int, Sequence[bytes]], task: SigningTask, i: int) -> tuple[bytes, ...]:
        placed = {self._keys[p].child(task.path)[0].xonly(): parts[i] for p, parts in psigs.items()}
        return tuple(placed.get(key, b"") for key in _leaf(task).keys)


def _leaf(task: SigningTask) -> TapLeaf:
    if task.leaf is None:
        raise ValueError("plain keys sign only in script leaves")
    return task.leaf
