"""What a task's process gives up before it runs a tool, from strongest to weakest.

By the kernel: CPU time, memory, file size and open files (rlimits), capabilities, new processes and sockets and other
processes (seccomp, required), writes outside the scratch folder (Landlock, Linux 5.13 and later: `landlock_version`).
By Python: an audit hook that refuses the same operations with a message that says why. It is a second line, and for
writes the only one where Landlock is missing; native code does not pass it.

Not covered: reading files (but /proc of other processes), and the tool's own trusted code.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from collections.abc import Callable

from reward_models.sandbox import seccomp

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every machine
_RULE_PATH_BENEATH = 1
# LANDLOCK_ACCESS_FS_*: execute, write, remove and make of every kind, by the version that knows them.
_ACCESS = {1: 0b1_1111_1111_0011, 2: 1 << 13, 3: 1 << 14}
_WRITE_FILE = 1 << 1

# No socket.__new__: asyncio needs a pair of them, and seccomp refuses any other.
_REFUSED_EVENTS = frozenset(
    [
        *(
            "os.system",
            "os.exec",
            "os.posix_spawn",
            "os.spawn",
            "os.fork",
            "os.forkpty",
            "subprocess.Popen",
            "pty.spawn",
        ),
        *("os.kill", "os.killpg", "os.chmod", "os.chown", "os.setxattr", "os.removexattr", "os.utime", "os.chflags"),
        *("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname"),
    ]
)
# Event -> which of its arguments are paths that it changes, each with the place of the folder that it is relative to.
_WRITING_EVENTS = {
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.mkdir": ((0, 2),),
    "os.rmdir": ((0, 1),),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
}
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def die_with_parent(parent: int) -> None:
    """SIGKILL for this process when its parent ends; exits at once where the parent has ended already."""
    _libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def lock_down(scratch: str, cpu_seconds: int, memory_bytes: int, file_bytes: int) -> None:
    """Give up everything that a tool does not need; OSError where a required layer is not available.

    `scratch` is an absolute path, the only folder that stays writable. `memory_bytes` come on top of the address space
    that the process has now.
    """
    _limit(cpu_seconds, memory_bytes, file_bytes)
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _drop_capabilities()
    _forbid_writes(scratch)
    sys.addaudithook(_audit_hook(scratch))
    seccomp.install()


def landlock_version() -> int:
    """The kernel's Landlock version, 0 where it has none or the container forbids it."""
    return max(0, _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1))


def confinement() -> str:
    """In words, what this machine offers of the layers that not every machine has."""
    if not seccomp.supported():
        return "not available: needs Linux on x86_64 or aarch64"
    version = landlock_version()
    if version == 0:
        return "seccomp, no Landlock: the verifiers exec and state refuse to run unless sandbox.require_landlock=false"
    return f"seccomp and Landlock (version {version})"


def _limit(cpu_seconds: int, memory_bytes: int, file_bytes: int) -> None:
    with open("/proc/self/statm") as file:
        address_space = int(file.read().split()[0]) * resource.getpagesize()
    # At the soft limit SIGXCPU, a second later SIGKILL for who ignores it.
    _lower(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)
    _lower(resource.RLIMIT_AS, address_space + memory_bytes)
    _lower(resource.RLIMIT_FSIZE, file_bytes)
    _lower(resource.RLIMIT_NOFILE, 256)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(limit: int, soft: int, hard: int | None = None) -> None:
    ceiling = resource.getrlimit(limit)[1]
    hard = soft if hard is None else hard
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(limit, (soft, hard))


def _drop_capabilities() -> None:
    # As root, capabilities would raise the limits again and undo file permissions.
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    _check(_libc.syscall(_CAPSET[os.uname().machine], header, ctypes.create_string_buffer(24)), "capset")


def _forbid_writes(scratch: str) -> None:
    version = landlock_version()
    if version == 0:
        return
    handled = sum(bits for since, bits in _ACCESS.items() if since <= version)
    ruleset = _check(
        _libc.syscall(_CREATE_RULESET, ctypes.create_string_buffer(struct.pack("Q", handled)), ctypes.c_size_t(8), 0),
        "landlock",
    )
    for path, access in ((scratch, handled & ~1), ("/dev/null", _WRITE_FILE | (handled & _ACCESS[3]))):
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", access, folder))
        _check(_libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0), "landlock")
        os.close(folder)
    _check(_libc.syscall(_RESTRICT_SELF, ruleset, 0), "landlock")
    os.close(ruleset)


def _check(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what} is not available")
    return result


def _audit_hook(scratch: str) -> Callable[[str, tuple], None]:
    inside = scratch + os.sep

    def writable(path: object, relative_to: int = -1) -> bool:
        if isinstance(path, int):  # an open file: it was checked when it was opened
            return True
        folder = os.readlink(f"/proc/self/fd/{relative_to}") if relative_to >= 0 else ""
        real = os.path.realpath(os.path.join(folder, os.fsdecode(path)))  # type: ignore[arg-type]
        return real == os.devnull or real.startswith(inside)

    def hook(event: str, arguments: tuple) -> None:
        if event in _REFUSED_EVENTS:
            raise PermissionError(f"{event} is not allowed in the sandbox")
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITE_FLAGS and path is not None and not writable(path):
                raise PermissionError(f"writing {path!r}: only the current folder is writable in the sandbox")
            if isinstance(path, (str, bytes)) and _of_other_process(os.fsdecode(path)):
                raise PermissionError(f"reading {path!r} is not allowed in the sandbox")
        elif event in _WRITING_EVENTS:
            for index, folder in _WRITING_EVENTS[event]:
                if not writable(arguments[index], -1 if folder is None else arguments[folder]):
                    raise PermissionError(f"{event} of {arguments[index]!r}: only the current folder is writable")

    return hook


def _of_other_process(path: str) -> bool:
    if os.path.isabs(path) and "proc" not in path:  # the usual case, without looking at the file system
        return False
    parts = os.path.realpath(path).split(os.sep)
    return parts[1] == "proc" and len(parts) > 2 and parts[2].isdigit() and parts[2] != str(os.getpid())
