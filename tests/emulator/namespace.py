# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""System calls that Python 3.11 has no names for: network namespaces, and not outliving one's parent."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["die_with_parent", "in_main_thread", "make_namespace", "tcp_socket"]

T = TypeVar("T")
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """For a child between fork and exec: SIGKILL when the parent ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def in_main_thread() -> bool:
    """The kernel sends the parent-death signal when the *thread* that forked ends, so only the main one may ask."""
    return threading.current_thread() is threading.main_thread()


def make_namespace() -> int:
    """A new network namespace, as a file descriptor: it lives as long as that, a process or a socket in it."""

    def make() -> int:
        _check(_LIBC.unshare(_CLONE_NEWNET))
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    return _in_a_thread(make)


def tcp_socket(namespace: str, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """A TCP socket in the namespace of this path (/proc/…); "": in this process's own.

    A socket stays in the namespace of the thread that made it, whoever uses it afterwards.
    """

    def enter() -> socket.socket:
        descriptor = os.open(namespace, os.O_RDONLY)
        try:
            _check(_LIBC.setns(descriptor, _CLONE_NEWNET))
        finally:
            os.close(descriptor)
        return socket.socket(family, socket.SOCK_STREAM)

    return _in_a_thread(enter) if namespace else socket.socket(family, socket.SOCK_STREAM)


def _in_a_thread(call: Callable[[], T]) -> T:
    """A namespace is a thread's own. This one ends right away, so that nothing else is done in a foreign one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
