"""The system calls that a program in the sandbox is refused, by their numbers on two architectures.

A program that computes needs none of them. Numbers: Linux's tables of x86-64 and of the generic set, which arm64 has;
calls from 424 on have one number everywhere.
"""

from typing import NamedTuple


class System(NamedTuple):
    """What the launcher must know of an architecture."""

    audit: int  # its name in the filter
    column: int  # of the table below
    pivot_root: int


SYSTEMS = {"x86_64": System(0xC000003E, 0, 155), "aarch64": System(0xC00000B7, 1, 41)}

REFUSED: dict[str, tuple[int | None, int | None]] = {
    # processes and threads
    "clone": (56, 220), "fork": (57, None), "vfork": (58, None), "clone3": (435, 435),
    # sockets of every family, and the ring through which they could be had without these calls
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "sendto": (44, 206), "recvfrom": (45, 207),
    "sendmsg": (46, 211), "recvmsg": (47, 212), "bind": (49, 200), "listen": (50, 201), "socketpair": (53, 199),
    "accept4": (288, 242), "recvmmsg": (299, 243), "sendmmsg": (307, 269),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # other processes
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kcmp": (312, 272), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    # memory that no limit counts
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180), "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51), "pivot_root": (155, 41), "mount": (165, 40),
    "umount2": (166, 39), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    # the kernel itself
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "open_by_handle_at": (304, 265),
}  # fmt: skip
"""Name to number on x86-64 and on arm64, None where a system has no such call."""


def refused(machine: str) -> list[int]:
    """The numbers on an architecture of SYSTEMS."""
    column = SYSTEMS[machine].column
    return [number for pair in REFUSED.values() if (number := pair[column]) is not None]
