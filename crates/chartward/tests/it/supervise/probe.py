# Tries from inside what a watcher must not do, and prints the error number of each attempt, 0 for success.
import ctypes, json, os, platform, resource, signal, socket, subprocess, sys

told = json.loads(sys.argv[1])
out = {}


def attempt(name, act):
    try:
        act()
        out[name] = 0
    except OSError as error:
        out[name] = error.errno
    except MemoryError:
        out[name] = 12


def listen():
    with socket.socket(socket.AF_INET) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()


def connect():
    with socket.socket(socket.AF_INET) as client:
        client.connect(("127.0.0.1", told["port"]))


def run_own():
    with open("own.sh", "w") as script:
        script.write("#!/bin/sh\n")
    os.chmod("own.sh", 0o700)
    os.execv("./own.sh", ["own.sh"])


attempt("read shadow", lambda: open("/etc/shadow").read())
attempt("read the system", lambda: open("/usr/bin/env", "rb").read(16))
attempt("write elsewhere", lambda: open(told["elsewhere"] + "/made", "w"))
attempt("read elsewhere", lambda: os.listdir(told["elsewhere"]))
attempt("write its folder", lambda: open("made", "w").write("x"))
attempt("write what is given", lambda: open(told["rw"] + "/made", "w"))
attempt("read what is given", lambda: open(told["ro"] + "/there").read())
attempt("write what is given to read", lambda: open(told["ro"] + "/there", "w"))
attempt("run what it wrote", run_own)
attempt("internet socket", lambda: socket.socket(socket.AF_INET).close())
attempt("packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close())
attempt("unix socket", lambda: socket.socket(socket.AF_UNIX).close())
attempt("pair of sockets", lambda: [end.close() for end in socket.socketpair()])
attempt("listen", listen)
attempt("connect", connect)
attempt("signal a stranger", lambda: os.kill(told["stranger"], 0))
attempt("signal the keeper", lambda: os.kill(os.getppid(), 0))
attempt("become root", lambda: os.setuid(0))
attempt("make a device", lambda: os.mknod("device", 0o20600, os.makedev(1, 1)))
attempt("clock", lambda: __import__("time").clock_settime(0, 0))

libc = ctypes.CDLL(None, use_errno=True)
nothing = [ctypes.c_long(0)] * 6


def call(name, *args):
    ctypes.set_errno(0)
    out[name] = ctypes.get_errno() if getattr(libc, name)(*(args or nothing)) < 0 else 0


for name in ["mount", "umount2", "ptrace", "init_module", "delete_module", "process_vm_readv", "setns", "swapon", "chroot", "acct",
             "sethostname", "adjtimex", "fanotify_init", "open_by_handle_at", "personality"]:
    call(name)
call("unshare", ctypes.c_long(0x10000000))
if platform.machine() == "x86_64":
    numbers = {"bpf": 321, "keyctl": 250, "io_uring_setup": 425, "userfaultfd": 323, "perf_event_open": 298, "kexec_load": 246,
               "finit_module": 313, "pivot_root": 155, "reboot": 169, "clone into a namespace": (56, 0x10000000 | 17), "clone3": 435,
               "ptrace of x32": 0x40000000 | 521}
    for name, number in numbers.items():
        number, *args = number if isinstance(number, tuple) else (number,)
        ctypes.set_errno(0)
        args = [ctypes.c_long(arg) for arg in args] + nothing
        out[name] = ctypes.get_errno() if libc.syscall(ctypes.c_long(number), *args[:6]) < 0 else 0

files = []
try:
    while len(files) < 10_000:
        files.append(open("/dev/null"))
except OSError:
    pass
out["files"] = len(files)
for file in files:
    file.close()

attempt("much memory", lambda: bytearray(4 << 30))
with open("/proc/self/status") as status:
    wanted = ("CapEff", "CapBnd", "CapPrm", "NoNewPrivs", "Uid", "Groups")
    out["status"] = {key: value.split() for key, value in (line.split(":", 1) for line in status) if key in wanted}
out["environment"] = sorted(os.environ)
out["core"] = resource.getrlimit(resource.RLIMIT_CORE)[1]
out["session"] = os.getsid(0) == os.getpid()

forks = 0
try:
    while forks < 2_000:
        if os.fork() == 0:
            signal.pause()
            os._exit(0)
        forks += 1
except OSError:
    pass
out["forks"] = forks
print(json.dumps({"type": "ready", **out}), flush=True)
# What it forked is left behind: somebody else has to end it.
