"""TLS 1.3 handshakes with the upgrade to WebSocket, full and resumed, beside a server that does nothing else."""
from stage import check, details, in_turns, rate

KINDS = ("epcscf", "tls")


def measure(options, record):
    def body(stage, record):
        for figure, resume in (("handshakes_full", "off"), ("handshakes_resumed", "on")):
            stage.load.do("resume", resume)
            stage.load.do("churn", 0.5, 16)
            done = check(stage.cost("churn", options.seconds, 16), "churn")
            by_ticket = done["resumed"] / max(1, done["resumed"] + done["full"])
            if resume == "on" and by_ticket < 0.95:
                record.note(f"{stage.kind}: only {100 * by_ticket:.0f} % of the resumed handshakes went by ticket")
            record.add(figure, stage.kind, rate(done), **details(done))
    in_turns(options, record, KINDS, body)
