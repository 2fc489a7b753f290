"""Our own libsecp256k1 context, whose complaints become Python exceptions instead of ending the process.

The library's default context calls `abort()` on an illegal argument, for example a zeroed secret nonce. A
signer that a wrong byte can kill is a signer that an attacker can switch off, so ours records the complaint
in a callback and raises it once the C call has returned. (A Python exception cannot travel through C frames.)

Only the modules of `curve` import this one. Everything else uses the types they offer.
"""

from contextvars import ContextVar
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


# A ContextVar is a thread's own, and the library calls back in the thread that called it: two threads never
# see each other's illegal arguments. A broken library is broken for all of them.
_illegal: ContextVar[tuple[str, ...]] = ContextVar("_illegal", default=())
_broken: list[str] = []


def _record_illegal(text: Any, _data: Any) -> None:
    _illegal.set((*_illegal.get(), _read(text)))


def _record_broken(text: Any, _data: Any) -> None:
    _broken.append(_read(text))


def _read(text: Any) -> str:
    return str(ffi.string(text).decode("ascii", "replace"))


# Both callbacks must live as long as the context that points at them.
_on_illegal = ffi.callback("void(char *, void *)", _record_illegal)
_on_broken = ffi.callback("void(char *, void *)", _record_broken)


def _create() -> Any:
    context = lib.secp256k1_context_create(CONTEXT_NONE)
    lib.secp256k1_context_set_illegal_callback(context, _on_illegal, ffi.NULL)
    lib.secp256k1_context_set_error_callback(context, _on_broken, ffi.NULL)
    return context


context = _create()


def _raise_fault() -> None:
    illegal = "; ".join(_illegal.get())
    _illegal.set(())
    if _broken:
        # After this callback the library promises nothing, so the fault stays and every later call fails too.
        raise InternalFault(_broken[0])
    raise IllegalCall(illegal)


def succeeded(returned: int) -> bool:
    """Whether a C call that is allowed to fail returned 1.

    Raises:
        IllegalCall, InternalFault: the library complained while it ran.
    """
    if _broken or _illegal.get():
        _raise_fault()
    return returned == 1


def require(returned: int) -> None:
    """Demand that a C call which cannot fail on checked values returned 1.

    Raises:
        IllegalCall, InternalFault: it did not.
    """
    if _broken or _illegal.get():
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
