"""A wallet whose key one test holds alone, so that Bitcoin's side can be tested without a quorum."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from curve import SecretScalar, TweakContext, schnorr_sign
from taproot import Coin, Network, OutPoint, PublicWallet, SigningTask, WalletPath, wallet_chain_code


@dataclass
class LoneSigner:
    """A single key in the place of the threshold key."""

    label: str = "lone"
    network: Network = Network.REGTEST
    gap_limit: int = 20
    secret: SecretScalar = field(init=False, repr=False)
    wallet: PublicWallet = field(init=False)

    def __post_init__(self) -> None:
        self.secret = SecretScalar.from_bytes(sha256(self.label.encode()).digest())
        thresh_pk = self.secret.point().to_bytes()
        chain_code = wallet_chain_code(thresh_pk, self.label.encode())
        self.wallet = PublicWallet.of_key(self.network, thresh_pk, chain_code, self.gap_limit)

    def sign(self, tasks: tuple[SigningTask, ...]) -> tuple[tuple[bytes, ...], ...]:
        """BIP 340 signatures with the same tweaks that a quorum would use."""
        return tuple((self._sign(task),) for task in tasks)

    def _sign(self, task: SigningTask) -> bytes:
        tweaked = TweakContext.start(self.secret.point()).apply_all(task.tweaks)
        secret = self.secret.mul(tweaked.gacc).add(tweaked.tacc)
        assert secret.point() == tweaked.Q
        return schnorr_sign(secret, task.sighash, bytes(32))

    def coins(self, count: int, *, amount_sats: int = 100_000, with_previous: bool = True) -> list[Coin]:
        """Made-up coins at the first addresses (again from the start where the gap ends)."""
        return [self._coin(i, amount_sats + i, with_previous) for i in range(count)]

    def _coin(self, i: int, amount_sats: int, with_previous: bool) -> Coin:
        path = WalletPath(i % 2, i % self.gap_limit)
        previous = funding_tx(i, amount_sats, self.wallet.script(path))
        txid = sha256(sha256(previous).digest()).digest()
        return Coin(OutPoint(txid, 0), amount_sats, path, previous if with_previous else None)


def funding_tx(nonce: int, amount_sats: int, script: bytes) -> bytes:
    """A transaction without witness that pays one script, different for each nonce."""
    spent = nonce.to_bytes(32, "little") + bytes(4) + b"\x00" + b"\xff" * 4
    paid = amount_sats.to_bytes(8, "little") + bytes([len(script)]) + script
    return (2).to_bytes(4, "little") + b"\x01" + spent + b"\x01" + paid + bytes(4)
