"""Jobs for the tests of the sandbox that go past Python and against its own machinery: one payload each."""

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import signal
import socket
import time

_libc = ctypes.CDLL(None, use_errno=True)
_F_SETSIG, _F_SETOWN_EX, _F_NOTIFY = 10, 15, 1026
_PR_SET_PDEATHSIG = 1
_FS_IOC_SETFLAGS = 0x40086602
_SYSCALLS = {"x86_64": (319, 447, 222, 206, 160), "aarch64": (279, 447, 107, 0, 164)}


def echo(payload):
    return payload


def _refused(attempt):
    try:
        attempt()
    except (OSError, ValueError) as error:
        return getattr(error, "errno", None) in (errno.EPERM, errno.EACCES, None)
    return False


def ask_for_signals(pid):
    """Whether each way to have a file's signals sent to another process, or SIGKILL to oneself, is refused."""
    read_end, _ = os.pipe()
    owner = ctypes.create_string_buffer(16)
    return [
        _refused(lambda: fcntl.fcntl(read_end, fcntl.F_SETOWN, pid)),
        _refused(lambda: fcntl.fcntl(read_end, fcntl.F_SETOWN, -pid)),
        _refused(lambda: fcntl.fcntl(read_end, _F_SETSIG, signal.SIGKILL)),
        _refused(lambda: fcntl.fcntl(read_end, _F_SETOWN_EX, owner.raw)),
        _refused(lambda: fcntl.fcntl(os.open(".", os.O_RDONLY), _F_NOTIFY, 1)),
        _refused(lambda: fcntl.ioctl(read_end, 0x8901, pid.to_bytes(4, "little"))),
        _system_call(2, 0, ctypes.create_string_buffer(64), ctypes.byref(ctypes.c_int())) == errno.EPERM,
    ]


def _system_call(place, *arguments):
    number = _SYSCALLS[os.uname().machine][place]
    return ctypes.get_errno() if _libc.syscall(number, *arguments) < 0 else 0


def take_uncounted_memory(megabytes):
    """The errors of both calls that give memory outside of the address space."""
    errors = [_system_call(0, b"x", 0), _system_call(1, 0)]
    assert errno.EPERM in errors
    return errors


def kill_by_rlimit(payload):
    """A limit of one CPU second whose end is SIGKILL: it looks as if the task was killed from outside."""
    refused = [
        _refused(lambda: resource.setrlimit(resource.RLIMIT_CPU, (0, 0))),
        _refused(lambda: resource.prlimit(0, resource.RLIMIT_CPU, (0, 0))),
        _system_call(4, resource.RLIMIT_CPU, ctypes.create_string_buffer(16)) == errno.EPERM,
    ]
    return [*refused, resource.getrlimit(resource.RLIMIT_CPU)[0] > 0]


def outlive_the_parent(payload):
    errors = [ctypes.get_errno() if _libc.prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0) < 0 else 0]
    return [*errors, ctypes.get_errno() if _libc.setuid(os.getuid()) < 0 else 0]


def send_to_an_address(path):
    """What becomes of a datagram to the socket at `path`."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try:
            left, _ = socket.socketpair(socket.AF_UNIX, kind)
        except PermissionError:
            continue
        left.sendto(b"hello", path)
        return "sent"
    left, right = socket.socketpair()
    left.send(b"streams stay")
    return right.recv(100).decode()


def change_what_is_open_for_reading(path):
    folder = os.open(path, os.O_RDONLY)
    return [
        _refused(lambda: fcntl.ioctl(folder, _FS_IOC_SETFLAGS, (0x40).to_bytes(8, "little"))),
        _refused(lambda: os.mkfifo(os.path.join(path, "fifo"))),
        _refused(lambda: os.mkfifo("fifo", dir_fd=folder)),
        _refused(lambda: os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=folder)),
    ]


def leave_a_deep_tree(levels):
    """Folders in folders in the current one, past Python, whose audit hook would look at every path from the root."""
    top = os.getcwd()
    for _ in range(levels):
        assert _libc.mkdir(b"a" * 40, 0o700) == 0
        os.chdir("a" * 40)
    return top


def leave_closed_folders(count):
    os.umask(0)
    for number in range(count):
        os.mkdir(f"f{number}")
        os.mkdir(f"f{number}/closed", 0)
    return os.getcwd()


def write_as_the_worker(reply):
    """Write `reply` wherever this process can, and end as if all were well."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, reply.encode())
        except OSError:
            continue
    os._exit(0)


def write_too_slowly(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, b" ")
            except OSError:
                continue
        time.sleep(0.01)


def close_everything_and_stay(seconds):
    os.closerange(3, 64)
    time.sleep(seconds)


def work(seconds):
    """Honest work, by the CPU's clock."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return seconds


def map_memory(megabytes):
    mmap.mmap(-1, megabytes << 20)
