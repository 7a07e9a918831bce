"""One ladder per call or registration from the daemon's trace and the PCRF's record:
time, the columns WIC | eP-CSCF | core | PCRF | gateway, one line per message, the fields that matter."""
import json
import re

from .pcrf import avp
from .sipmsg import Message, uri_of

COLUMNS = ("WIC", "eP-CSCF", "core", "PCRF", "gateway")
PEER = {"Gm": 0, "Mw": 2, "Rx": 3, "Iq": 4}
GAP = 22
FLOW_STATUS = {0: "uplink", 1: "downlink", 2: "enabled", 3: "disabled", 4: "removed"}
MEDIA_TYPE = {0: "audio", 1: "video", 2: "data", 3: "application", 4: "control", 5: "text",
              6: "message"}
COMMAND = {265: "AA", 275: "ST", 258: "RA", 274: "AS"}


class Line:
    """One message: when, which reference point, direction, label and details."""

    def __init__(self, t_us, point, out, key, label, detail, text=""):
        self.t_us, self.point, self.out = t_us, point, out
        self.key, self.label, self.detail, self.text = key, label, detail, text


def _read(path):
    try:
        with open(path, errors="replace") as f:
            for line in f:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue
    except OSError:
        return


def _sdp(body):
    lines = body.decode("utf-8", "replace").splitlines()
    media = []
    for line in lines:
        if line.startswith("m="):
            part = line[2:].split()
            media.append([f"{part[0]} {part[1]} {part[2]}", "sendrecv"])
        elif line[2:] in ("sendrecv", "sendonly", "recvonly", "inactive") and media:
            media[-1][1] = line[2:]
    return "; ".join(m + ("" if d == "sendrecv" else " " + d) for m, d in media)


def sip_line(item):
    m = Message.parse(item["text"].encode())
    if m.is_response:
        label = f"{m.status} ({m.method})"
    elif m.method in ("INVITE", "MESSAGE", "REGISTER", "SUBSCRIBE"):
        label = m.method
    else:
        label = m.method
    detail = []
    if not m.is_response:
        detail.append(m.uri)
    elif m.status >= 300:
        detail.append(m.first.split(" ", 2)[2])
    for name, short in (("P-Asserted-Identity", "PAI"), ("Path", "Path"), ("Reason", "Reason"),
                        ("Warning", "Warning")):
        value = m.get(name)
        if value:
            detail.append(f"{short} {uri_of(value) if '<' in value else value}")
    found = re.search(r"integrity-protected=\"?([a-z-]+)", m.get("Authorization"))
    if found:
        detail.append(f"integrity-protected={found.group(1)}")
    if m.get("Contact") and m.method == "REGISTER":
        found = re.search(r"expires=(\d+)", m.get("Contact"))
        detail.append(f"expires {found.group(1) if found else m.get('Expires', '?')}")
    sdp = _sdp(m.body)
    if sdp:
        detail.append(sdp)
    return Line(item["t_us"], item["point"], item["dir"] == "out", item.get("key") or m.get("Call-ID"),
                label, ", ".join(detail), item["text"])


IQ = re.compile(r"\s*(?:MEGACO|!)/\d\s+\S+\s+(Transaction|T|Reply|P|Pending|PN|TransactionResponseAck|K)\b[\s={]*(\d+)",
                re.I)
IQ_COMMAND = re.compile(r"\b(?:[OW]-)*(Add|Modify|Move|Subtract|AuditValue|AuditCapability|Notify|ServiceChange|"
                        r"A|MF|MV|S|AV|AC|N|SC)\s*=\s*(ROOT|\*|ip/[^\s{},]+)", re.I)


def iq_line(item, found):
    """H.248: which transaction, the commands and their terminations, an error."""
    text = item["text"]
    detail = [f"{command} {termination}" for command, termination in IQ_COMMAND.findall(text)]
    context = re.search(r"\b(?:Context|C)\s*=\s*([^\s{]+)", text, re.I)
    if context:
        detail.insert(0, f"context {context.group(1)}")
    error = re.search(r"\b(?:Error|ER)\s*=\s*(\d+)", text, re.I)
    if error:
        detail.append(f"error {error.group(1)}")
    kind = {"t": "Transaction", "p": "Reply", "pn": "Pending", "k": "TransactionResponseAck"}
    name = kind.get(found.group(1).lower(), found.group(1))
    return Line(item["t_us"], "Iq", item["dir"] == "out", item.get("key", ""), f"{name} {found.group(2)}",
                ", ".join(detail), text)


def gateway_line(item):
    text = item["text"]
    h248 = IQ.match(text)
    if h248:
        return iq_line(item, h248)
    found = re.search(r'"(?:command|result)"\s*:\s*"([^"]*)"', text)
    detail = []
    for name in ("error-reason", "direction", "transport-protocol", "call-id"):
        hit = re.search(rf'"{name}"\s*:\s*(\[[^\]]*\]|"[^"]*")', text)
        if hit:
            detail.append(hit.group(1).strip('"'))
    return Line(item["t_us"], "Iq", item["dir"] == "out", item.get("key", ""),
                found.group(1) if found else text.split("\r\n")[0][:20], ", ".join(detail), text)


def rx_line(message):
    """A line of the PCRF's record; its `in` is the eP-CSCF's `out`."""
    detail = []
    result = avp(message, "Result-Code")
    experimental = avp(message, "Experimental-Result", "Experimental-Result-Code")
    if result is not None or experimental is not None:
        detail.append(f"result {result if result is not None else experimental}")
    for component in (x for x in message.get("avps", [])
                      if x["name"] == "Media-Component-Description"):
        inner = {x["name"]: x.get("value") for x in component.get("avps", [])}
        status = inner.get("Flow-Status")
        flows = [y.get("value") for x in component.get("avps", [])
                 if x["name"] == "Media-Sub-Component"
                 for y in x.get("avps", []) if y["name"] == "Flow-Description"]
        detail.append(f"{MEDIA_TYPE.get(inner.get('Media-Type'), '?')} "
                      f"{FLOW_STATUS.get(status, status)} {'; '.join(str(f) for f in flows[:2])}")
    cause = avp(message, "Termination-Cause")
    if cause is not None:
        detail.append(f"Termination-Cause {cause}")
    cause = avp(message, "Abort-Cause")
    if cause is not None:
        detail.append(f"Abort-Cause {cause}")
    actions = [x.get("value") for x in message.get("avps", []) if x["name"] == "Specific-Action"]
    if actions:
        detail.append(f"Specific-Action {actions}")
    return Line(message["t_us"], "Rx", message["dir"] == "in", avp(message, "Session-Id") or "",
                message["command"], ", ".join(detail), json.dumps(message))


def read(trace, record):
    """All lines in the order of their time. Rx comes from the PCRF's record if there is one: that is
    what really arrived; else from the daemon's trace."""
    rx = [rx_line(m) for m in _read(record)] if record else []
    lines = list(rx)
    for item in _read(trace):
        if item["point"] in ("Gm", "Mw"):
            lines.append(sip_line(item))
        elif item["point"] == "Iq":
            lines.append(gateway_line(item))
        elif not rx:
            lines.append(Line(item["t_us"], "Rx", item["dir"] == "out", item.get("key", ""),
                              item["text"].split()[0], "", item["text"]))
    return sorted(lines, key=lambda x: x.t_us)


def group(lines):
    """{Call-ID: lines}: SIP by Call-ID; Rx by the charging identifier of the call's messages, else by
    the time in which the call lived; the gateway's by the Call-ID that it was given."""
    calls, icids = {}, {}
    for line in lines:
        if line.point in ("Gm", "Mw"):
            calls.setdefault(line.key, []).append(line)
            found = re.search(r"icid-value=\"?([^;\"\r\n]+)", line.text)
            if found:
                icids[found.group(1)] = line.key
    spans = {key: (v[0].t_us, v[-1].t_us + 1_000_000) for key, v in calls.items()}

    def at(t_us):
        live = [k for k, (first, last) in spans.items() if first <= t_us <= last]
        sessions = [k for k in live if any(x.label == "INVITE" for x in calls[k])]
        return (sessions or live or [""])[-1]

    owner = {}
    for line in lines:
        if line.point in ("Gm", "Mw"):
            continue
        if line.point == "Iq":
            key = next((k for k in spans if k and (k in line.key or k in line.text)), None)
        else:
            key = owner.get(line.key) or next((k for i, k in icids.items() if i in line.text), None)
        key = key or owner.get(line.key) or at(line.t_us)
        if line.key:
            owner[line.key] = key
        calls.setdefault(key, []).append(line)
    for found in calls.values():
        found.sort(key=lambda x: x.t_us)
    return calls


def _arrow(line):
    peer, label = PEER[line.point], line.label
    left, right = min(1, peer), max(1, peer)
    to_right = (peer > 1) == line.out
    row = []
    for column in range(len(COLUMNS)):
        row.append("|")
        if column == len(COLUMNS) - 1:
            break
        inside = left <= column < right
        row.append(("-" if inside else " ") * (GAP - 1))
    text = "".join(row)
    start, end = left * GAP, right * GAP
    body = list(text)
    for column in range(left + 1, right):
        body[column * GAP] = "-"
    label = f" {label[:GAP - 6]} "
    at = start + 3
    body[at:at + len(label)] = label
    if to_right:
        body[end - 1] = ">"
    else:
        body[start + 1] = "<"
    return "".join(body)


def draw(key, lines):
    """The ladder of one call."""
    kinds = {x.label for x in lines}
    what = "call" if "INVITE" in kinds else "registration" if "REGISTER" in kinds else "other"
    head = [" "] * (GAP * (len(COLUMNS) - 1) + 10)
    for i, name in enumerate(COLUMNS):
        at = max(0, i * GAP - (len(name) // 2 if i else 0))
        head[at:at + len(name)] = name
    out = [f"{what} {key}", "     ms  " + "".join(head).rstrip()]
    first = lines[0].t_us
    for line in lines:
        out.append(f"{(line.t_us - first) / 1000:8.1f} {_arrow(line)}  {line.point} {line.detail}".rstrip())
    return "\n".join(out)


def ladders(trace, record=None, only=None):
    calls = group(read(trace, record))
    drawn = [draw(k, v) for k, v in calls.items() if only is None or (k and only in k)]
    return "\n\n".join(drawn)
