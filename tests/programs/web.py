"""A small web application of Python's standard library alone: pages, a form, a database."""

import http.server
import json
import os
import signal
import sqlite3
import sys
import threading
import urllib.parse

DIRECTORY = sys.argv[1]
DATABASE = os.path.join(DIRECTORY, "notes.db")


def database():
    connection = sqlite3.connect(DATABASE)
    connection.execute("create table if not exists notes (id integer primary key, text text)")
    return connection


class Application(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, kind="application/json"):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        if url.path == "/":
            with open(os.path.join(DIRECTORY, "index.html")) as page:
                self.answer(200, page.read(), "text/html")
        elif url.path == "/notes":
            with database() as connection:
                rows = connection.execute("select id, text from notes order by id").fetchall()
            self.answer(200, json.dumps(rows))
        else:
            self.answer(404, json.dumps({"error": "not found"}))

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        text = urllib.parse.parse_qs(self.rfile.read(length).decode()).get("text", [""])[0]
        with database() as connection:
            connection.execute("insert into notes (text) values (?)", (text,))
        self.answer(201, json.dumps({"added": text}))

    def log_message(self, format, *args):
        with open(os.path.join(DIRECTORY, "access.log"), "a") as log:
            log.write(format % args + "\n")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Application)
# From a thread of its own: shutdown waits for the loop that the signal interrupts.
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
with open(os.path.join(DIRECTORY, "server.pid"), "w") as pid:
    pid.write(str(os.getpid()))
server.serve_forever()
server.server_close()
