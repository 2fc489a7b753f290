"""What the tests with real processes share: five parties with one roster, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from crash_cluster import CrashCluster, profiles


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nodes, a coordinator and a client who accepted one roster, and nothing else: to be copied."""
    root = tmp_path_factory.mktemp("enrolled") / "c"
    cluster = CrashCluster(root, profiles(), kdf_memory_mib=19)
    cluster.create()
    cluster.accept_roster()
    for left in (*root.glob("*.trace"), *root.glob("*.log")):
        left.unlink()
    return root
