# A web server that answers as its path says; /hook verifies the signature, /lamp tells what it was set to.
import hashlib, hmac, json, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = b"a secret of the hospital"

class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/hook")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/lamp"):
            self.answer(200, f"{self.command} {self.path}")
        else:
            self.answer(404, "no such lamp")

    do_PUT = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path == "/hook":
            right = "sha256=" + hmac.new(KEY, body, hashlib.sha256).hexdigest()
            if hmac.compare_digest(right, self.headers.get("X-Chartward-Signature", "")):
                told = json.loads(body)
                self.answer(202, f"taken {told.get('incident')} {told.get('severity_id')} {self.headers.get('X-Team')} {told['text']}")
            else:
                self.answer(401, "bad signature")
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(100_000):
                    self.wfile.write(b"x" * 10_000)
            except OSError:
                pass
        elif self.path == "/slow":
            time.sleep(30)
        elif self.path == "/redirect":
            self.answer(302, "elsewhere")
        else:
            self.answer(500, "out of\r\norder")

server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
