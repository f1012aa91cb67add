"""How a case of `cargo xtask bench --peers` is timed, and what is printed of it; for every Python side."""

import json
import os
import statistics
import time

WARM_UP = 3


def arguments(parser, cases, dtypes):
    """What is asked for; as many threads as there are processors unless told otherwise."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser.add_argument("case", choices=cases)
    parser.add_argument("--dtype", choices=dtypes, default="f32")
    parser.add_argument("--threads", type=int, metavar="N", default=processors, help="threads it may use [all]")
    parser.add_argument("--repeat", type=int, metavar="N", default=7, help="timed runs, after three to warm up [7]")
    return parser.parse_args()


def peak_rss_mib():
    """The most memory that the process has had; nothing where there is no /proc."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM:"))
    except OSError:
        return None


def measure(library, name, n_tokens, run, arguments):
    """Prints a line of JSON about `run`, in which `library` handles `n_tokens`."""
    milliseconds = []
    for turn in range(WARM_UP + arguments.repeat):
        start = time.perf_counter()
        run()
        if turn >= WARM_UP:  # The first turns warm up, and compile.
            milliseconds.append((time.perf_counter() - start) * 1e3)
    median = statistics.median(milliseconds)
    line = {
        "peer": library.__name__,
        "version": library.__version__,
        "case": name,
        "dtype": arguments.dtype,
        "ms": round(median, 2),
        "min": round(min(milliseconds), 2),
        "max": round(max(milliseconds), 2),
        "tokens_per_s": round(n_tokens / median * 1e3),
        "peak_rss_mib": peak_rss_mib(),
        "threads": arguments.threads,
    }
    print(json.dumps(line), flush=True)
