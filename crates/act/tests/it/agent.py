# Runs inside a network namespace: echoes what comes to TCP port 7000, and opens connections as its standard input says.
import socket, sys, threading

def echo(connection):
    with connection:
        try:
            while data := connection.recv(4096):
                connection.sendall(data)
        except OSError:
            pass  # The other side was cut off, or gave up.

def serve(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()

listener = socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True)
threading.Thread(target=serve, args=(listener,), daemon=True).start()

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

print("ready", flush=True)
kept, count = {}, 0
for line in sys.stdin:
    verb, address, seconds = line.split()
    count += 1
    word = b"<%d>" % count
    try:
        if verb == "open":
            kept[address] = socket.create_connection((address, 7000), float(seconds))
        if verb == "talk" or verb == "open":
            heard = talk(kept[address], word, float(seconds))
        else:
            with socket.create_connection((address, 7000), float(seconds)) as connection:
                heard = talk(connection, word, float(seconds))
        print("yes" if heard else "no", flush=True)
    except OSError:
        print("no", flush=True)
