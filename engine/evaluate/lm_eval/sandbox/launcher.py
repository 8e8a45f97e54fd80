"""Started as a process of its own: shuts itself in, step by step, then lets a judge test a candidate.

In order: new user, network, IPC and mount namespaces; a root folder of its own, in memory and read-only, that holds
Python, the system's libraries and a small scratch folder; then two processes, candidate and judge (`inmates.py`), each
the first of a process namespace of its own, under resource limits, Landlock where the kernel has it, and a filter of
system calls that refuses processes, sockets and whatever else reaches outside. The exit of the judge is the verdict;
the candidate has no part in it but its answers.
"""

import ctypes
import errno
import json
import os
import platform
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

from engine.evaluate.lm_eval.sandbox.calls import SYSTEMS, refused

INMATES = "engine.evaluate.lm_eval.sandbox.inmates"
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
NAMESPACES = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x2, 0x4, 0x1000, 0x4000, 0x40000, 2
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, READ_ONLY = 442, -100, 0x8000, 1
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # the same numbers on every architecture
READ, READ_AND_WRITE_FILE = 0b1101, 0b0110  # execute, read a file, read a folder; read and write a file
RIGHTS = (0, (1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1)  # all that a version knows, up to 3
NO_SANDBOX = 77
PR_SET_SECCOMP, FILTER = 22, 2
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # classic BPF
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
FOREIGN_CALLS = 0x40000000  # numbers from here on are those of x32
SCRATCH = Path("/work")
LIBRARIES = tuple(map(Path, ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")))
DEVICES = tuple(map(Path, ("/dev/null", "/dev/zero", "/dev/urandom")))
USER = 1000  # within; no superuser, so that starting Python gives up every capability


class Missing(Exception):  # noqa: N818 a fact about the machine
    """A part of the sandbox that the machine does not offer."""


class Limits(NamedTuple):
    """Of a process, but `disk_bytes`: of the scratch folder."""

    seconds: float
    memory_bytes: int
    file_bytes: int
    disk_bytes: int


class Inmate(NamedTuple):
    """A process that is shut in."""

    keeper: int  # the process that waits for it; ending it ends the inmate
    request: int  # where it reads what to run
    trouble: int  # says why it could not be shut in, and nothing when it was


def main() -> int:
    """Exit code 0 when the test came to its end, 1 when not, 77 when there is no sandbox; prints the walls."""
    folder, limits = Path(sys.argv[1]), Limits(float(sys.argv[2]), *map(int, sys.argv[3:6]))
    request = json.loads(sys.stdin.buffer.read())
    text = Path(__file__).with_name(f"{INMATES.rpartition('.')[2]}.py").read_text(encoding="utf-8")
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        version = shut_in(libc, folder, limits)
        return trial(libc, text, request, limits, version)
    except (Missing, OSError) as error:
        sys.stderr.write(str(error))
        return NO_SANDBOX


def shut_in(libc: ctypes.CDLL, folder: Path, limits: Limits) -> int:
    """Namespaces and a root of its own; gives Landlock's version, 0 where there is none. Prints the walls."""
    if platform.machine() not in SYSTEMS:
        raise Missing(f"a filter of system calls for {platform.machine()} is not written")
    user, group = os.geteuid(), os.getegid()
    _demand(lambda: libc.unshare(NAMESPACES), "namespaces")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{USER} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{USER} {group} 1")
    _own_root(libc, folder, limits)
    found = int(libc.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
    version = min(max(found, 0), len(RIGHTS) - 1)
    walls = ["namespaces", "own root", "limits", "system calls", *["landlock"][: version > 0]]
    sys.stdout.write(json.dumps(walls))
    return version


def _own_root(libc: ctypes.CDLL, folder: Path, limits: Limits) -> None:
    """A file system in memory with Python and the libraries, read-only; within it another one to write in."""
    _demand(lambda: _mount(libc, None, Path("/"), MS_REC | MS_PRIVATE), "private mounts")
    _demand(lambda: _mount(libc, b"tmpfs", folder, MS_NOSUID, f"size={1 << 20},mode=755"), "a root folder")
    for place in sorted({*LIBRARIES, *DEVICES, *_pythons()}, key=lambda place: len(place.parts)):
        _show(libc, place, folder)
    (folder / "proc").mkdir()
    scratch = folder / SCRATCH.relative_to("/")
    scratch.mkdir()
    attributes = _Attributes(set=READ_ONLY)
    _demand(lambda: _set(libc, folder, AT_RECURSIVE, attributes), "read-only mounts")
    room = f"size={limits.disk_bytes},nr_inodes=1024,mode=755"
    _demand(lambda: _mount(libc, b"tmpfs", scratch, MS_NOSUID | MS_NODEV, room), "a scratch folder")
    os.chdir(folder)
    pivot = SYSTEMS[platform.machine()].pivot_root
    _demand(lambda: libc.syscall(pivot, b".", b"."), "a root of its own")
    _demand(lambda: libc.umount2(b".", MNT_DETACH), "leaving the old root")
    os.chdir(SCRATCH)


def _pythons() -> set[Path]:
    """Where this Python lives: the environment, the installation below it, and what links lead to."""
    executable = Path(sys.executable)
    found = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_exec_prefix), executable.resolve().parents[1]}
    return found | {place.resolve() for place in found}


def _show(libc: ctypes.CDLL, place: Path, root: Path) -> None:
    """Makes a file or folder of the machine visible below the root, where it is not yet."""
    if place == Path("/"):
        raise Missing("a Python in the root folder, which would show all of the machine, is not taken")
    inner = root / place.relative_to("/")
    if not place.exists() or inner.exists() or inner.is_symlink():
        return
    inner.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        inner.symlink_to(place.readlink())
        return
    inner.mkdir() if place.is_dir() else inner.touch()
    _demand(lambda: _mount(libc, os.fsencode(place), inner, MS_BIND | MS_REC), f"a view of {place}")


def _mount(libc: ctypes.CDLL, what: bytes | None, where: Path, flags: int, options: str | None = None) -> int:
    data = None if options is None else options.encode()
    return int(libc.mount(what, os.fsencode(where), what, ctypes.c_ulong(flags), data))


class _Attributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns"))


def _set(libc: ctypes.CDLL, place: Path, flags: int, attributes: _Attributes) -> int:
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    name = os.fsencode(place)
    return int(libc.syscall(MOUNT_SETATTR, AT_FDCWD, name, ctypes.c_uint(flags), ctypes.byref(attributes), size))


def trial(libc: ctypes.CDLL, text: str, request: Mapping[str, str], limits: Limits, version: int) -> int:
    """Lets the judge test the candidate, and ends both when the judge has ended or their time is over."""
    answers, asks = os.pipe(), os.pipe()
    candidate = _inmate(libc, ["-c", text, "candidate"], (asks[0], answers[1]), limits, version)
    judge = _inmate(libc, ["-c", text, "judge"], (answers[0], asks[1]), limits, version)
    for pipe_end in (*answers, *asks):
        os.close(pipe_end)
    for inmate in (candidate, judge):
        if trouble := os.read(inmate.trouble, 1000):
            raise Missing(trouble.decode("utf-8", "replace"))

    def end(*_: object) -> None:
        for inmate in (candidate, judge):
            os.kill(inmate.keeper, signal.SIGKILL)  # neither is waited for before the last use of its number

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limits.seconds)
    _tell(candidate.request, {name: request[name] for name in ("program", "entry")})
    _tell(judge.request, {name: request[name] for name in ("prelude", "test", "entry")})
    found = os.waitid(os.P_PID, judge.keeper, os.WEXITED | os.WNOWAIT)
    signal.setitimer(signal.ITIMER_REAL, 0)
    end()
    passed = found is not None and (found.si_code, found.si_status) == (os.CLD_EXITED, 0)
    for inmate in (candidate, judge):
        os.waitpid(inmate.keeper, 0)
    return 0 if passed else 1


def _tell(end: int, request: Mapping[str, str]) -> None:
    try:
        with os.fdopen(end, "wb") as stream:
            stream.write(json.dumps(request).encode())
    except BrokenPipeError:
        pass  # it has ended, and that will be seen


def _inmate(libc: ctypes.CDLL, words: list[str], calls: tuple[int, int], limits: Limits, version: int) -> Inmate:
    """Starts Python in a process namespace of its own, below a process that waits for it."""
    (reads, request), (trouble, told) = os.pipe(), os.pipe()
    keeper = os.fork()
    if keeper == 0:
        try:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            _demand(lambda: libc.unshare(CLONE_NEWPID), "a process namespace")
            first = os.fork()
            if first == 0:
                _first(libc, words, (reads, *calls), limits, version)
            os.closerange(3, 1024)  # every end of a pipe, those of the other inmate too
            _, status = os.waitpid(first, 0)
            os._exit(0 if status == 0 else 1)
        except BaseException as error:  # whatever it is, this copy of the launcher must not go on
            with suppress(OSError):
                os.write(told, str(error).encode() or b"unknown trouble")
        finally:
            os._exit(1)
    os.close(reads)
    os.close(told)
    return Inmate(keeper, request, trouble)


def _first(libc: ctypes.CDLL, words: list[str], ends: tuple[int, ...], limits: Limits, version: int) -> NoReturn:
    """The first process of the new namespace becomes Python, which holds its three ends of pipes and nothing else."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    request, reads, writes = ends
    for stream, source in enumerate((request, nothing, nothing)):
        os.dup2(source, stream)
    for end in (reads, writes):
        os.set_inheritable(end, True)
    _limit(limits)
    _demand(lambda: libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    if version:
        _landlock(libc, RIGHTS[version])
    _filter(libc)
    command = [sys.executable, "-I", "-B", *words, str(reads), str(writes)]
    environment = {"PATH": os.defpath, "HOME": str(SCRATCH), "TMPDIR": str(SCRATCH), "OMP_NUM_THREADS": "1"}
    os.execve(sys.executable, command, environment)


def _limit(limits: Limits) -> None:
    processor = int(limits.seconds) + 1
    found = {
        resource.RLIMIT_CPU: processor,
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
    }
    for name, most in found.items():
        resource.setrlimit(name, (most, most))


def _landlock(libc: ctypes.CDLL, rights: int) -> None:
    """A second wall: what the root holds may be read, and the scratch folder and /dev/null alone written."""
    handled = ctypes.c_uint64(rights)
    rules = libc.syscall(LANDLOCK_CREATE, ctypes.byref(handled), ctypes.c_size_t(8), ctypes.c_uint32(0))
    if rules < 0:
        raise Missing(f"Landlock refuses rules ({os.strerror(ctypes.get_errno())})")
    for place, allowed in ((Path("/"), READ), (SCRATCH, rights), (Path(os.devnull), READ_AND_WRITE_FILE)):
        _allow(libc, rules, place, allowed)
    _demand(lambda: libc.syscall(LANDLOCK_RESTRICT, rules, ctypes.c_uint32(0)), "Landlock")
    os.close(rules)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def _allow(libc: ctypes.CDLL, rules: int, place: Path, rights: int) -> None:
    opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
    rule = _Beneath(rights, opened)
    _demand(
        lambda: libc.syscall(LANDLOCK_ADD, rules, ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint32(0)), "Landlock"
    )
    os.close(opened)


class _Step(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32))


class _Filter(ctypes.Structure):
    _fields_ = (("count", ctypes.c_uint16), ("steps", ctypes.POINTER(_Step)))


def _filter(libc: ctypes.CDLL) -> None:
    """Refuses the calls of `calls.py`, and ends a process that speaks as another architecture does."""
    machine = platform.machine()
    words = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, SYSTEMS[machine].audit), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    words += [(AT_LEAST, 0, 1, FOREIGN_CALLS), (RETURN, 0, 0, KILL)]
    for call in refused(machine):
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
