"""Our own libsecp256k1 context, whose complaints become Python exceptions instead of ending the process.

The library's default context calls `abort()` on an illegal argument, for example a zeroed secret nonce. A
signer that a wrong byte can kill is a signer that an attacker can switch off, so ours records the complaint
in a callback and raises it once the C call has returned. (A Python exception cannot travel through C frames.)

Only the modules of `curve` import this one. Everything else uses the types they offer.
"""

from typing import Any

# The extension ships no stubs: this is the one border at which its objects are untyped.
from coincurve import _libsecp256k1

ffi: Any = _libsecp256k1.ffi
lib: Any = _libsecp256k1.lib

BYTES32 = ffi.typeof("unsigned char[32]")
BYTES33 = ffi.typeof("unsigned char[33]")
BYTES64 = ffi.typeof("unsigned char[64]")
PUBKEY = ffi.typeof("secp256k1_pubkey *")
PUBKEY_LIST = ffi.typeof("secp256k1_pubkey *[]")
BYTES = ffi.typeof("unsigned char[]")
SIZE = ffi.typeof("size_t *")

CONTEXT_NONE = 1
COMPRESSED = 258


class IllegalCall(ValueError):
    """libsecp256k1 was given an argument that it never accepts; the call had no effect."""


class InternalFault(RuntimeError):
    """libsecp256k1 found itself broken (memory or hardware); nothing it computed may be used."""


_illegal: list[str] = []
_broken: list[str] = []
_faults: list[list[str]] = []


def _record_in(faults: list[str]) -> Any:
    def record(text: Any, _data: Any) -> None:
        faults.append(ffi.string(text).decode("ascii", "replace"))
        _faults.append(faults)

    return ffi.callback("void(char *, void *)", record)


# Both callbacks must live as long as the context that points at them.
_on_illegal = _record_in(_illegal)
_on_broken = _record_in(_broken)


def _create() -> Any:
    context = lib.secp256k1_context_create(CONTEXT_NONE)
    lib.secp256k1_context_set_illegal_callback(context, _on_illegal, ffi.NULL)
    lib.secp256k1_context_set_error_callback(context, _on_broken, ffi.NULL)
    return context


context = _create()


def _raise_fault() -> None:
    illegal = "; ".join(_illegal)
    _illegal.clear()
    _faults.clear()
    if _broken:
        # After this callback the library promises nothing, so the fault stays and every later call fails too.
        _faults.append(_broken)
        raise InternalFault(_broken[0])
    raise IllegalCall(illegal)


def succeeded(returned: int) -> bool:
    """Whether a C call that is allowed to fail returned 1.

    Raises:
        IllegalCall, InternalFault: the library complained while it ran.
    """
    if _faults:
        _raise_fault()
    return returned == 1


def require(returned: int) -> None:
    """Demand that a C call which cannot fail on checked values returned 1.

    Raises:
        IllegalCall, InternalFault: it did not.
    """
    if _faults:
        _raise_fault()
    if returned != 1:
        raise InternalFault("a libsecp256k1 call failed on checked arguments")


def blind(entropy: bytes) -> None:
    """Mix 32 fresh random bytes into the context, which blinds secret multiplications against side channels.

    Signers call it at start-up, and again whenever no other thread computes; results never depend on it.

    Raises:
        ValueError: `entropy` is not 32 bytes.
    """
    if len(entropy) != 32:
        raise ValueError("blinding entropy must be 32 bytes")
    require(lib.secp256k1_context_randomize(context, entropy))
