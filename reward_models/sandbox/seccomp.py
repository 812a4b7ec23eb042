"""A seccomp filter that no instruction of the process can lift: no new process, no socket, no reach into another process.

It is a list of refused system calls, not of allowed ones: tools may use any library. Holds for root as well. Known for
Linux on x86_64 and aarch64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import socket
import struct

# Numbers on (x86_64, aarch64); None where the machine lacks the call. From the kernel's unistd headers.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # processes: no child, no other program (threads stay possible, see _CLONE)
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    # network: none, and no socket in the file system either; a pair of streams stays for asyncio, see `_program`
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    # other processes: no signal, also not by a timer (tgkill to oneself stays), no look at memory or files, no new group
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "timer_create": (222, 107),
    "kcmp": (312, 272),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "setpriority": (141, 140),
    "sched_setaffinity": (203, 122),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    # what Landlock does not cover of files: modes, owners, times, attributes
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "file_setattr": (469, 469),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "utime": (132, None),
    "utimes": (235, None),
    "utimensat": (280, 88),
    "futimesat": (261, None),
    "open_by_handle_at": (304, 265),
    # limits and identity stay as they are: a change of identity would undo the signal at the parent's death
    "setrlimit": (160, 164),
    "setuid": (105, 146),
    "setgid": (106, 144),
    "setreuid": (113, 145),
    "setregid": (114, 143),
    "setgroups": (116, 159),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "setfsuid": (122, 151),
    "setfsgid": (123, 152),
    # memory that no limit counts
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # state that outlives the process or is shared by all, and ways around this filter
    "io_setup": (206, 0),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "mount_setattr": (442, 442),
}
# Calls that depend on their arguments, see `_program`.
_ASKED: dict[str, tuple[int, int]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "tgkill": (234, 131),
    "prlimit64": (302, 261),
    "prctl": (157, 167),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    "socketpair": (53, 199),
}
# Asking for signals (F_SETOWN, F_SETSIG, F_SETOWN_EX, F_NOTIFY), stopping others at a file (F_SETLEASE), larger pipes.
_REFUSED_FCNTL = (8, 10, 15, 1026, 1024, 1031)
# All others are refused: they change files that are open for reading, or send signals. TCGETS, TCGETS2, TIOCGWINSZ,
# FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, FICLONE.
_ALLOWED_IOCTL = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x40049409)
_PR_SET_PDEATHSIG = 1
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the table, AUDIT_ARCH_*

_CLONE_THREAD = 0x00010000
_X32_BIT = 0x40000000
_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

Instruction = tuple[int, int, int, int]
_PERMIT: Instruction = (_RETURN, 0, 0, _ALLOW)
_REFUSE: Instruction = (_RETURN, 0, 0, _ERRNO | errno.EPERM)


def supported() -> bool:
    """Whether the filter is known for this machine."""
    return platform.system() == "Linux" and platform.machine() in _MACHINES


def install() -> None:
    """Filter this process from now on; OSError where the kernel refuses. Needs no_new_privs, see `lockdown`."""
    program = _program()
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    filter_ = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.c_void_p(ctypes.addressof(filter_)), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp filters are not available")


def _program() -> list[Instruction]:
    column, arch = _MACHINES[platform.machine()]
    program = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    program += [(_AT_LEAST, 0, 1, _X32_BIT), _REFUSE]
    for numbers in _REFUSED.values():
        if (refused := numbers[column]) is not None:
            program += [(_EQUAL, 0, 1, refused), _REFUSE]
    for name, rule in _rules().items():
        program += [(_EQUAL, 0, len(rule), _ASKED[name][column]), *rule]
    return [*program, _PERMIT]


def _rules() -> dict[str, list[Instruction]]:
    """What each call of _ASKED comes to; every rule ends with a return."""
    return {
        # The C library falls back to clone, whose flags can be seen here.
        "clone3": [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)],
        "clone": [_argument(0), (_ANY_BIT, 1, 0, _CLONE_THREAD), _REFUSE, _PERMIT],
        # abort() and raise() signal oneself. SIGKILL is left to the limits and the parent, so that its cause is known.
        "tgkill": [*_must_be(0, os.getpid()), *_one_of(2, (signal.SIGKILL,), _REFUSE, _PERMIT)],
        # Limits of oneself may be read: no new ones, a null pointer.
        "prlimit64": [*_must_be(0, 0), *_must_be(2, 0), *_must_be(2, 0, upper_half=True), _PERMIT],
        "prctl": _one_of(0, (_PR_SET_PDEATHSIG,), _REFUSE, _PERMIT),
        "fcntl": _one_of(1, _REFUSED_FCNTL, _REFUSE, _PERMIT),
        "ioctl": _one_of(1, _ALLOWED_IOCTL, _PERMIT, _REFUSE),
        # Only streams: a datagram may be sent to any address. The type's upper bits are flags.
        "socketpair": [*_must_be(0, socket.AF_UNIX), *_must_be(1, socket.SOCK_STREAM, mask=0xF), _PERMIT],
    }


def _argument(index: int, upper_half: bool = False) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENT + 8 * index + 4 * upper_half)


def _must_be(index: int, value: int, mask: int = 0xFFFFFFFF, upper_half: bool = False) -> list[Instruction]:
    return [_argument(index, upper_half), (_AND, 0, 0, mask), (_EQUAL, 1, 0, value), _REFUSE]


def _one_of(index: int, values: tuple[int, ...], then: Instruction, otherwise: Instruction) -> list[Instruction]:
    tests = [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [_argument(index), *tests, otherwise, then]
