"""Started as a process of its own: shuts itself in, step by step, then runs `program.py` of its folder.

Python's standard library alone. In order: new user, network, IPC, mount and process namespaces; in the first process
of the new ones, with whose end all in them end, resource limits, every file system read-only but for the folder,
Landlock, a second wall against writing, and a filter of system calls that refuses more processes (a limit on their
number would not hold for the superuser); then Python, isolated, on the program. Whether it came to its end is told
through a pipe, so that an early exit is not taken for success.
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
NAMESPACES = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWPID
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, READ_ONLY = 442, -100, 0x8000, 1
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # the same numbers on every architecture
READ = 0b1101  # execute, read a file, read a folder
MOST_RIGHTS = (1 << 15) - 1  # all that version 3 knows; it was the first to know truncation
DONE = b"done"
NO_SANDBOX = 77
PR_SET_SECCOMP, FILTER = 22, 2
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # classic BPF
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
SYSTEMS = {
    "x86_64": (0xC000003E, (56, 57, 58, 435)),  # clone, fork, vfork, clone3
    "aarch64": (0xC00000B7, (220, 435)),  # clone, clone3
}
FOREIGN_CALLS = 0x40000000  # numbers from here on are those of x32
RUNNER = (
    "import os, sys\n"
    "text = open('program.py', encoding='utf-8').read()\n"
    "end = int(sys.argv[1])\n"
    "exec(compile(text, 'program.py', 'exec'), {'__name__': '__main__'})\n"
    "os.write(end, b'done')\n"
)
"""What Python runs in the sandbox."""


class Missing(Exception):  # noqa: N818 a fact about the machine
    """A part of the sandbox that the machine does not offer."""


def main() -> int:
    """Exit code 0 when the program ran to its last line, 1 when not, 77 when there is no sandbox."""
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    memory_bytes, file_bytes = int(sys.argv[3]), int(sys.argv[4])
    libc = ctypes.CDLL(None, use_errno=True)
    os.chdir(folder)
    try:
        _demand(lambda: libc.unshare(NAMESPACES), "namespaces")
    except (Missing, OSError) as error:
        sys.stderr.write(str(error))
        return NO_SANDBOX
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        _first(libc, folder, seconds, memory_bytes, file_bytes, writes)
    os.close(writes)
    return _wait(child, reads, seconds)


def _wait(child: int, reads: int, seconds: float) -> int:
    def late(*_: object) -> None:
        os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    _, status = os.waitpid(child, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == NO_SANDBOX:
        return NO_SANDBOX
    return 0 if code == 0 and os.read(reads, len(DONE)) == DONE else 1


def _first(libc: ctypes.CDLL, folder: Path, seconds: float, memory_bytes: int, file_bytes: int, end: int) -> None:
    """The first process of the new namespaces; never returns."""
    told = 2
    try:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        _limit(seconds, memory_bytes, file_bytes)
        _read_only(libc, folder)
        _shut(libc, folder)
        _alone(libc)
        told = os.dup(2)  # closed by execve
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.set_inheritable(end, True)
        environment = {"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, "-I", "-B", "-c", RUNNER, str(end)], environment)
    except BaseException as error:  # whatever it is, this copy of the launcher must not go on
        os.write(told, str(error).encode())
        os._exit(NO_SANDBOX)


def _limit(seconds: float, memory_bytes: int, file_bytes: int) -> None:
    processor = int(seconds) + 1
    limits = {
        resource.RLIMIT_CPU: processor,
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
    }
    for name, most in limits.items():
        resource.setrlimit(name, (most, most))


class _Attributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns"))


def _read_only(libc: ctypes.CDLL, folder: Path) -> None:
    """No file system can be changed but the folder, which becomes one of its own: not even a mode or a time."""
    name = os.fsencode(folder)
    _demand(lambda: libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None), "private mounts")
    _demand(lambda: libc.mount(name, name, None, ctypes.c_ulong(MS_BIND), None), "a mount of the folder")
    _demand(lambda: _set(libc, b"/", AT_RECURSIVE, _Attributes(set=READ_ONLY)), "read-only mounts")
    _demand(lambda: _set(libc, name, 0, _Attributes(clear=READ_ONLY)), "a writable folder")
    os.chdir(folder)  # into the mount


def _set(libc: ctypes.CDLL, place: bytes, flags: int, attributes: _Attributes) -> int:
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    return int(libc.syscall(MOUNT_SETATTR, AT_FDCWD, place, ctypes.c_uint(flags), ctypes.byref(attributes), size))


def _shut(libc: ctypes.CDLL, folder: Path) -> None:
    """Landlock: files may be read everywhere, and written in the folder alone; devices may be written, all but new."""
    version = libc.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 3:  # without the right to cut files short, somebody's files could be emptied
        raise Missing(f"Landlock of version 3 is missing (this kernel has {max(version, 0)})")
    handled = ctypes.c_uint64(MOST_RIGHTS)
    rules = libc.syscall(LANDLOCK_CREATE, ctypes.byref(handled), ctypes.c_size_t(8), ctypes.c_uint32(0))
    if rules < 0:
        raise Missing(f"Landlock refuses rules ({os.strerror(ctypes.get_errno())})")
    _allow(libc, rules, Path("/"), READ)
    _allow(libc, rules, folder, MOST_RIGHTS)
    _demand(lambda: libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _demand(lambda: libc.syscall(LANDLOCK_RESTRICT, rules, ctypes.c_uint32(0)), "Landlock")
    os.close(rules)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def _allow(libc: ctypes.CDLL, rules: int, folder: Path, rights: int) -> None:
    place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    rule = _Beneath(rights, place)
    _demand(
        lambda: libc.syscall(LANDLOCK_ADD, rules, ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint32(0)), "Landlock"
    )
    os.close(place)


class _Step(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32))


class _Filter(ctypes.Structure):
    _fields_ = (("count", ctypes.c_uint16), ("steps", ctypes.POINTER(_Step)))


def _alone(libc: ctypes.CDLL) -> None:
    """No process and no thread besides the first, and no system calls of another architecture."""
    if platform.machine() not in SYSTEMS:
        raise Missing(f"a filter of system calls for {platform.machine()}")
    native, makers = SYSTEMS[platform.machine()]
    words = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, native), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    words += [(AT_LEAST, 0, 1, FOREIGN_CALLS), (RETURN, 0, 0, KILL)]
    for call in makers:
        words += [(EQUAL, 0, 1, call), (RETURN, 0, 0, REFUSE)]
    words.append((RETURN, 0, 0, ALLOW))
    steps = (_Step * len(words))(*(_Step(*word) for word in words))
    program = _Filter(len(words), steps)
    _demand(lambda: libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0), "a filter of system calls")


def _demand(call: Callable[[], int], what: str) -> None:
    if call() != 0:
        raise Missing(f"{what} cannot be had ({os.strerror(ctypes.get_errno())})")


if __name__ == "__main__":
    sys.exit(main())
