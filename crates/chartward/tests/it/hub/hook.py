# Takes notices after having refused the first one, and keeps them in a file.
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

kept, port, refused = sys.argv[1], int(sys.argv[2]), []


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not refused:
            refused.append(body)
            self.send_response(500)
            self.end_headers()
            return
        with open(kept, "ab") as file:
            file.write(body + b"\n")
        self.send_response(202)
        self.end_headers()
        self.wfile.write(b"taken 4711")


HTTPServer(("127.0.0.1", port), Handler).serve_forever()
