"""SIP messages as the test clients need them: parse, build, read a header, nothing more."""
import hashlib
import os
import re

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
           "c": "content-type", "k": "supported", "o": "event", "u": "allow-events"}


class Message:
    """A request or a response; headers keep their order and their spelling."""

    def __init__(self, first, headers, body=b""):
        self.first = first
        self.headers = headers      # [(name, value)]
        self.body = body

    @classmethod
    def parse(cls, data):
        head, _, body = data.partition(b"\r\n\r\n")
        lines = re.sub(rb"\r\n[ \t]+", b" ", head).decode("utf-8", "replace").split("\r\n")
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.append((name.strip(), value.strip()))
        return cls(lines[0], headers, body)

    @property
    def is_response(self):
        return self.first.startswith("SIP/2.0 ")

    @property
    def status(self):
        return int(self.first.split()[1]) if self.is_response else 0

    @property
    def method(self):
        return self.get("CSeq").split()[-1] if self.is_response else self.first.split()[0]

    @property
    def uri(self):
        return self.first.split()[1]

    def all(self, name):
        want = name.lower()
        return [v for n, v in self.headers if COMPACT.get(n.lower(), n.lower()) == want]

    def get(self, name, default=""):
        values = self.all(name)
        return values[0] if values else default

    def set(self, name, value):
        self.headers = [(n, v) for n, v in self.headers if n.lower() != name.lower()]
        self.headers.append((name, value))

    def encode(self):
        headers = [h for h in self.headers if h[0].lower() != "content-length"]
        headers.append(("Content-Length", str(len(self.body))))
        text = self.first + "\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers) + "\r\n"
        return text.encode() + self.body

    def reply(self, status, phrase, extra=(), body=b"", tag=None):
        """The response to this request; a To tag is added to all but 100."""
        kept = [(n, v) for n, v in self.headers
                if COMPACT.get(n.lower(), n.lower()) in
                ("via", "from", "to", "call-id", "cseq", "record-route")]
        if status > 100 and tag:
            kept = [(n, v + (f";tag={tag}" if n.lower() in ("to", "t") and ";tag=" not in v else ""))
                    for n, v in kept]
        return Message(f"SIP/2.0 {status} {phrase}", kept + list(extra), body)

    def __str__(self):
        return self.encode().decode("utf-8", "replace")


def token(octets=6):
    return os.urandom(octets).hex()


def branch():
    return "z9hG4bK" + token()


def uri_of(value):
    """The URI of a From, To, Contact or Route value."""
    found = re.search(r"<([^>]*)>", value)
    return found.group(1) if found else value.split(";")[0].strip()


def tag_of(value):
    found = re.search(r";tag=([^;,\s]+)", value)
    return found.group(1) if found else ""


def split_list(value):
    """A comma-separated header value, commas inside <> and quotes left alone."""
    return [p.strip() for p in re.findall(r'(?:"[^"]*"|<[^>]*>|[^,])+', value) if p.strip()]


def digest(challenge, method, uri, user, password, nc=1):
    """The Authorization value that answers a WWW-Authenticate: Digest (MD5, qop auth)."""
    part = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))
    def md5(text):
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    cnonce, count = token(), f"{nc:08x}"
    h1 = md5(f"{user}:{part['realm']}:{password}")
    h2 = md5(f"{method}:{uri}")
    answer = md5(f"{h1}:{part['nonce']}:{count}:{cnonce}:auth:{h2}")
    return (f'Digest username="{user}", realm="{part["realm"]}", nonce="{part["nonce"]}", '
            f'uri="{uri}", response="{answer}", algorithm=MD5, qop=auth, nc={count}, '
            f'cnonce="{cnonce}"')
