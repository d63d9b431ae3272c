"""How many files, connections among them, a process may have open."""

from __future__ import annotations

import resource


def allow_files() -> int:
    """Let this process have as many open files, connections among them, as the system allows; how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)
