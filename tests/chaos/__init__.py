"""The fault laboratory: a whole hub under real faults, judged by sets. `python -m tests.chaos --help`."""
