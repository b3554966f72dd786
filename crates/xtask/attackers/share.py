"""Over SMB, as a workstation that was taken does it: smbclient with a session of its own."""

import os
import select
import subprocess
import time

from deeds import cipher, deed, outside, read, write


class Client:
    """`args.share` is PORT,SHARE,ACCOUNT_FILE."""

    def __init__(self, args):
        port, share, account = args.share.split(",")
        line = ["smbclient", "-p", port, f"//127.0.0.1/{share}", "-A", account]
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.turn = 0

    def do(self, command):
        """Gives a command and waits for the mark that follows it. smbclient polls its input before it looks at what it has read of it already, so a
        line that came together with another waits for the next: empty lines push it on."""
        self.turn += 1
        mark = f"turn-{self.turn}-over".encode()
        self.say(command)
        time.sleep(0.002)
        self.say(f"!echo {mark.decode()}")
        heard, end = b"", time.monotonic() + 30
        while mark not in heard:
            if time.monotonic() > end:
                raise SystemExit("the server does not answer")
            if select.select([self.process.stdout], [], [], 0.02)[0]:
                more = os.read(self.process.stdout.fileno(), 65536)
                if not more:
                    raise SystemExit("the server closed the session")
                heard += more
            else:
                self.say("")
        refusals = [line for line in heard.splitlines() if b"NT_STATUS" in line]
        if refusals:
            raise SystemExit(f"refused by the server: {refusals[0]!r}")

    def say(self, line):
        self.process.stdin.write(line.encode("utf-8", "surrogateescape") + b"\n")
        self.process.stdin.flush()


def theirs(path, args):
    return '"' + os.path.relpath(path, args.tree).replace("/", "\\") + '"'


def fetched(client, path, args):
    client.do(f"get {theirs(path, args)} {outside(path)}")
    return read(outside(path))


def named_simply(files):
    return [path for path in files if not set('"\\*?<>|:\r\n') & set(path)]


def all_smb_overwrite(files, args):
    client = Client(args)
    for path in named_simply(files):
        write(outside(path), cipher(fetched(client, path, args), path))
        deed(path)
        client.do(f"put {outside(path)} {theirs(path, args)}")


def all_smb_new_then_delete(files, args):
    client = Client(args)
    for path in named_simply(files):
        write(outside(path), cipher(fetched(client, path, args), path))
        client.do(f"put {outside(path)} {theirs(path + '.enc', args)}")
        deed(path)
        client.do(f"del {theirs(path, args)}")


def all_smb_rename_over(files, args):
    client = Client(args)
    for path in named_simply(files):
        write(outside(path), cipher(fetched(client, path, args), path))
        client.do(f"put {outside(path)} {theirs(path + '.tmp', args)}")
        deed(path)
        client.do(f"rename {theirs(path + '.tmp', args)} {theirs(path, args)} -f")


def all_smb_session_per_file(files, args):
    """A session for each file, so that the server has another process each time."""
    for path in named_simply(files):
        client = Client(args)
        write(outside(path), cipher(fetched(client, path, args), path))
        deed(path)
        client.do(f"put {outside(path)} {theirs(path, args)}")
        client.process.stdin.close()
        client.process.wait()


def all_smb_split_sessions(files, args):
    """One session reads, a second writes beside, a third deletes."""
    reader, writer, remover = Client(args), Client(args), Client(args)
    for path in named_simply(files):
        write(outside(path), cipher(fetched(reader, path, args), path))
        writer.do(f"put {outside(path)} {theirs(path + '.enc', args)}")
        deed(path)
        remover.do(f"del {theirs(path, args)}")
