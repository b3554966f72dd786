# Runs inside a network namespace: echoes TCP and UDP on the ports that its arguments name, and opens connections as its input says.
import socket, sys, threading

def echo(connection):
    with connection:
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
        except OSError:
            pass  # The other side was cut off, or gave up.

def serve(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()

def answer(datagrams):
    while True:
        try:
            data, sender = datagrams.recvfrom(4096)
            datagrams.sendto(data, sender)
        except OSError:
            pass  # What is refused comes back as an error of the next call.

for port in map(int, sys.argv[1:]):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    datagrams.bind(("::", port))
    threading.Thread(target=answer, args=(datagrams,), daemon=True).start()

def talk(connection, word, seconds):
    connection.settimeout(seconds)
    connection.sendall(word)
    heard = b""
    while word not in heard:
        data = connection.recv(4096)
        if not data:
            return False
        heard += data
    return True

def datagram(address, port, word, seconds):
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(kind, socket.SOCK_DGRAM) as asked:
        asked.connect((address, port))
        # A first datagram may be lost while neighbours are looked for.
        for _ in range(2):
            if talk_once(asked, word, seconds / 2):
                return True
    return False

def talk_once(asked, word, seconds):
    asked.settimeout(seconds)
    try:
        asked.send(word)
        return asked.recv(4096) == word
    except OSError:
        return False

# A transfer that goes on: numbered blocks there and back, until it is asked how many there were.
class Transfer:
    def __init__(self, address, port):
        self.connection = socket.create_connection((address, port), 3)
        self.connection.settimeout(20)
        self.rounds, self.stop, self.failed = 0, False, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stop:
                block = (b"%08d" % self.rounds) * 1024
                self.connection.sendall(block)
                heard = b""
                while len(heard) < len(block):
                    data = self.connection.recv(65536)
                    if not data:
                        raise OSError("closed")
                    heard += data
                if heard != block:
                    raise OSError("another block")
                self.rounds += 1
        except OSError as error:
            self.failed = error

print("ready", flush=True)
kept, transfers, count = {}, {}, 0
for line in sys.stdin:
    verb, address, port, seconds = line.split()
    port, seconds, count = int(port), float(seconds), count + 1
    word = b"<%d>" % count
    try:
        if verb == "open":
            kept[address, port] = socket.create_connection((address, port), seconds)
        if verb in ("open", "talk"):
            heard = talk(kept[address, port], word, seconds)
        elif verb == "udp":
            heard = datagram(address, port, word, seconds)
        elif verb == "transfer":
            transfers[address, port] = Transfer(address, port)
            heard = True
        elif verb == "rounds":
            transfer = transfers[address, port]
            print(transfer.rounds if transfer.failed is None else "no", flush=True)
            continue
        else:
            with socket.create_connection((address, port), seconds) as connection:
                heard = talk(connection, word, seconds)
        print("yes" if heard else "no", flush=True)
    except OSError:
        print("no", flush=True)
