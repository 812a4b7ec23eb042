"""Run tools on a model's arguments in worker processes that can be killed and are bounded.

The tools are the user's own code and trusted; the arguments are not. A job is a function of JSON data, run in a forked
process of its own, so that neither modules nor files nor limits are shared with the next.

| bound | by what | holds for native code, and as root |
|---|---|---|
| time | the worker kills the task; the parent kills a worker that hangs | yes |
| CPU time, memory, file size, open files | rlimits; seccomp keeps them | yes (capabilities are dropped first) |
| memory that no rlimit counts (memfd, larger pipes) | seccomp | yes |
| no new process, no other program | seccomp (required: without it nothing runs) | yes |
| threads | memory: each has a stack | yes |
| no socket but a connected pair of streams | seccomp | yes |
| no signal to, and no look into, another process | seccomp; /proc by Landlock | yes |
| no write outside the scratch folder | Landlock (Linux 5.13+, required by default) | yes |
| no change of modes, owners, times and flags | seccomp | yes |
| all of these again, with a message | a Python audit hook | no: a second line; the only one for writes without Landlock |
| environment | the worker starts with an empty one, or what `SandboxConfig.environment` names | yes |
| result size | the worker stops reading and kills the task | yes |
| what a result can be | a narrow form (`replies`): anything else is a crash of the task | yes |

Time is the task's own: while it was ready to run and no core was free, its clock stops (`clock`). What a task
leaves in its folder is removed whatever it is (`folders`); a worker that cannot do so is replaced.

RLIMIT_NPROC is not used: it counts all threads of the user on the machine, and does not hold for root.

Not bounded: reading files that the user may read, the number of files in the scratch folder (removed after the task),
and what a tools module does when it is imported.
"""

from reward_models.sandbox.pool import Sandbox
from reward_models.sandbox.tools import tool
from reward_models.sandbox.types import PayloadTooLarge, SandboxConfig, SandboxUnavailable, TaskResult, TaskStatus

__all__ = [
    "PayloadTooLarge",
    "Sandbox",
    "SandboxConfig",
    "SandboxUnavailable",
    "TaskResult",
    "TaskStatus",
    "tool",
]
