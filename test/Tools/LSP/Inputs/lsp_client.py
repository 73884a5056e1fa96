"""A client of the Language Server Protocol: enough of one to test a server.

Speaks JSON-RPC with Content-Length headers over the pipes of a process, as an editor
does. Every wait ends: the server's death closes the pipe, and a timer kills it.
"""

import json
import subprocess
import threading


class Client:
    def __init__(self, command, seconds=120):
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.timer = threading.Timer(seconds, self.server.kill)
        self.timer.start()
        self.last_id = 0
        self.notifications = []

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.server.stdin.flush()

    def receive(self):
        size = None
        while True:
            line = self.server.stdout.readline()
            if not line:
                raise EOFError("the server closed its output")
            if line == b"\r\n":
                break
            name, value = line.split(b":", 1)
            if name.lower() == b"content-length":
                size = int(value)
        return json.loads(self.server.stdout.read(size))

    def request(self, method, params):
        """The result of a request; what arrives before it is kept."""
        self.last_id += 1
        self.send({"id": self.last_id, "method": method, "params": params})
        while True:
            message = self.receive()
            if message.get("id") == self.last_id:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.notifications.append(message)

    def notify(self, method, params):
        self.send({"method": method, "params": params})

    def next_notification(self, method):
        while True:
            for message in self.notifications:
                if message.get("method") == method:
                    self.notifications.remove(message)
                    return message["params"]
            self.notifications.append(self.receive())

    def close(self):
        """Ends the session as the protocol asks; the server's exit status."""
        self.request("shutdown", None)
        self.notify("exit", None)
        self.server.stdin.close()
        status = self.server.wait()
        self.timer.cancel()
        return status
