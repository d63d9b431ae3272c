"""The peers, each a process of its own with one command line and one line of JSON as its answer."""


class AbsentError(Exception):
    """Why a peer cannot run on this machine."""
