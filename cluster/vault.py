"""Where the secrets live: host keys, shares, nonces, and a key that is being made.

One narrow door: everything goes in and comes out as plain public values, so that the vault can become a process
of its own. Shares are in no file: they come from the seed and the recovery data each time, and nonces and the
secrets of key generation are only ever in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from cluster.charter import Charter, LeafPlan
from cluster.keys import Secrets
from cluster.outputs import participant_keys
from cluster.routes import other_ids
from cluster.scheme import Dealing, KeygenTrouble, Known, Nonces, Share, Signer
from cluster.scheme_frost import FrostShare
from cluster.scheme_musig2 import Musig2Share
from cluster.scheme_single import SingleShare
from cluster.schemes import Wallet, read_wallet, secret_scheme_of
from curve import schnorr_sign, tagged_hash
from taproot import SigningTask

_SEAL_DOMAIN = b"assent/sealed-record/v1"


class NoncesGone(Exception):
    """The nonces of this request were used, dropped or never given."""


@dataclass(slots=True)
class _Keygen:
    session_id: bytes
    dealing: Dealing


@dataclass(slots=True)
class Vault:
    """The secrets of one node.

    Args:
        secrets: gives the two secret keys of a wallet index; the vault keeps none that it does not need.
        sealing_key: 32 bytes, seals what is private but must be on disk.
    """

    secrets: Callable[[int], Secrets] = field(repr=False)
    sealing_key: bytes = field(repr=False)
    _shares: dict[bytes, dict[str, Share]] = field(default_factory=dict, repr=False)
    _nonces: dict[tuple[bytes, bytes], Nonces] = field(default_factory=dict, repr=False)
    _keygens: dict[bytes, _Keygen] = field(default_factory=dict, repr=False)
    _batches: int = field(default=0, repr=False)

    # Signing.

    def nonces(
        self,
        wallet: Wallet,
        route: str,
        request_id: bytes,
        count: int,
        tasks: Sequence[SigningTask] | None,
        entropy: bytes,
    ) -> tuple[bytes, ...]:
        """Fresh nonces for a request, in the place of any older ones, which are destroyed (66 bytes each).

        Args:
            route: by which way of the wallet it is to be spent; this node must have a part in it.
            count: how many tasks.
            tasks: they themselves, where they do not depend on who signs.
        """
        self.forget(wallet.wallet_id, request_id)
        # BIP 445 asks for this last resort: should the entropy ever repeat itself, the count does not.
        self._batches += 1
        extra = request_id + self._batches.to_bytes(8, "big")
        batch = self._shares[wallet.wallet_id][route].nonces(count, tasks, extra, entropy)
        self._nonces[(wallet.wallet_id, request_id)] = batch
        return batch.pubnonces

    def sign(
        self, wallet: Wallet, request_id: bytes, signers: Sequence[Signer], tasks: Sequence[SigningTask]
    ) -> tuple[bytes, ...]:
        """The partial signatures of one session; the nonces are gone whatever comes of it.

        Raises:
            NoncesGone: there are none for this request, or the order makes no session with them.
        """
        batch = self._nonces.pop((wallet.wallet_id, request_id), None)
        if batch is None:
            raise NoncesGone
        try:
            return batch.sign(signers, tasks)
        except ValueError:
            raise NoncesGone from None

    def forget(self, wallet_id: bytes, request_id: bytes) -> None:
        """Destroy the nonces of a request, if there are any."""
        batch = self._nonces.pop((wallet_id, request_id), None)
        if batch is not None:
            batch.wipe()

    # Making a key.

    def keygen_start(self, charter: Charter, session_id: bytes, entropy: bytes, known: Known) -> bytes:
        """Begin a session, in the place of any older one of this wallet; the participant's first message."""
        self.keygen_drop(charter)
        dealing = secret_scheme_of(charter).deal(charter, self.secrets(charter.index), entropy, known)
        self._keygens[charter.wallet_id] = _Keygen(session_id, dealing)
        return dealing.message1

    def keygen_second(self, charter: Charter, session_id: bytes, message: bytes, entropy: bytes) -> bytes:
        """The participant's second message. Raises KeygenTrouble."""
        return self._running(charter, session_id).second(message, entropy)

    def keygen_runs(self, charter: Charter, session_id: bytes) -> bool:
        """Whether this session's state is still in memory."""
        keygen = self._keygens.get(charter.wallet_id)
        return keygen is not None and keygen.session_id == session_id

    def keygen_finish(self, charter: Charter, session_id: bytes, message: bytes) -> bytes:
        """The recovery data, from the coordinator's certificate. Raises KeygenTrouble."""
        return self._running(charter, session_id).finish(message)

    def keygen_investigate(self, charter: Charter, session_id: bytes, message: bytes) -> KeygenTrouble:
        """Whom an investigation message blames for a failed second step."""
        return self._running(charter, session_id).investigate(message)

    def keygen_drop(self, charter: Charter) -> None:
        """Destroy the secrets of a session."""
        keygen = self._keygens.pop(charter.wallet_id, None)
        if keygen is not None:
            keygen.dealing.wipe()

    def _running(self, charter: Charter, session_id: bytes) -> Dealing:
        keygen = self._keygens.get(charter.wallet_id)
        if keygen is None or keygen.session_id != session_id:
            raise KeygenTrouble("keygen-lost")
        return keygen.dealing

    # A key that exists.

    def recover(self, charter: Charter, recovery_data: bytes, known: Known) -> Wallet:
        """Take this node's share out of recovery data, checked whole against the charter. Raises KeygenTrouble."""
        wallet = read_wallet(charter, recovery_data, known)
        secrets = self.secrets(charter.index)
        me = next(
            (
                i
                for i, m in enumerate(charter.members)
                if m.host_pubkey == secrets.host_key.point().to_bytes()
            ),
            None,
        )
        if me is None:
            raise KeygenTrouble("recovery-data")
        main = secret_scheme_of(charter).recover(charter, secrets, recovery_data)
        shares = {plan.name: self._leaf_share(charter, plan, me, secrets, known) for plan in charter.leaves}
        found = {name: share for name, share in shares.items() if share is not None}
        self._shares[charter.wallet_id] = {"": main} | found
        self.keygen_drop(charter)
        return wallet

    def _leaf_share(
        self, charter: Charter, plan: LeafPlan, me: int, secrets: Secrets, known: Known
    ) -> Share | None:
        """This node's part in a recovery leaf, if it has one."""
        if plan.kind == "frost":
            other = self._shares[plan.wallet][""]
            assert isinstance(other, FrostShare)  # read_wallet found it among the FROST wallets
            return other.under(other_ids(charter, known[plan.wallet]))
        if me not in plan.keys:
            return None
        keys = participant_keys(charter)
        if plan.kind == "musig":
            return Musig2Share(secrets.signing_key, {i: keys[i].public_key for i in plan.keys})
        return SingleShare(secrets.signing_key, keys[me])

    def acknowledge(self, wallet: Wallet, entropy: bytes) -> bytes:
        """This member's acknowledgement that a copy of the recovery data exists (64 or 128 bytes)."""
        scheme, secrets = secret_scheme_of(wallet.charter), self.secrets(wallet.charter.index)
        own = scheme.acknowledge(wallet.charter, secrets, wallet.recovery_data, entropy)
        aux = tagged_hash("assent/aux", entropy)
        return own + schnorr_sign(secrets.host_key, wallet.acknowledgement, aux)

    # Private things on disk.

    def seal(self, wallet_id: bytes, data: bytes, entropy: bytes) -> bytes:
        """Seal data for a record of this wallet: nonce (24 bytes of `entropy`), then XChaCha20-Poly1305."""
        nonce = entropy[:24]
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(
            data, _SEAL_DOMAIN + wallet_id, nonce, self.sealing_key
        )
        return nonce + sealed

    def unseal(self, wallet_id: bytes, sealed: bytes) -> bytes:
        """What was sealed for this wallet; ValueError when it is not what this node sealed."""
        try:
            return crypto_aead_xchacha20poly1305_ietf_decrypt(
                sealed[24:], _SEAL_DOMAIN + wallet_id, sealed[:24], self.sealing_key
            )
        except (CryptoError, ValueError, TypeError):
            raise ValueError("a sealed record does not open: another seed, or it was altered") from None
