"""`python -m conformance DIR`, with `tests` and the root on the path (see the Makefile)."""

import sys

from conformance.runner import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
