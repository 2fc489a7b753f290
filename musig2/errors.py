"""What goes wrong in a session because a peer misbehaved, or because a step came out of turn."""


class ProtocolError(Exception):
    """A peer's contribution broke the protocol; nothing secret has left.

    Attributes:
        culprits: the places in the aggregate key that are blamed, in ascending order.
        coordinator: whether the coordinator is (also) a suspect.
    """

    def __init__(self, text: str, *, culprits: tuple[int, ...] = (), coordinator: bool = False) -> None:
        """Name the suspects; the text never holds a key, nonce or seed."""
        super().__init__(text)
        self.culprits = tuple(sorted(culprits))
        self.coordinator = coordinator

    @property
    def unsure(self) -> bool:
        """Whether the blame falls on the participants or on the coordinator, but not certainly on either."""
        return self.coordinator and bool(self.culprits)


class InvalidContributionError(ProtocolError):
    """One kind of contribution is invalid, and it is known who made it.

    Attributes:
        contrib: "pubkey", "pubnonce", "psig" or "aggnonce", as in BIP 327.
    """

    def __init__(self, contrib: str, *, culprits: tuple[int, ...] = (), coordinator: bool = False) -> None:
        """Blame the signers at these places, or the coordinator, for an invalid `contrib`."""
        who = "the coordinator" if coordinator else "signer " + ", ".join(map(str, sorted(culprits)))
        super().__init__(f"invalid {contrib} from {who}", culprits=culprits, coordinator=coordinator)
        self.contrib = contrib


class SessionStateError(ValueError):
    """A step of a session was called out of turn, or a single-use nonce a second time."""
