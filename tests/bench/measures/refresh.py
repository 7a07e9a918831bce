"""REGISTER refreshes relayed with a verified identity: with the token of before, and with a fresh ES256 token each
time. Kamailio relays them unverified, as a plain edge and with its IMS modules."""
from stage import check, details, in_turns, rate

KINDS = ("epcscf", "kamailio", "kamailio IMS")
SIZES = (100, 1000)


def measure(options, record):
    def body(stage, record):
        for users in SIZES:
            stage.connected(users)
            one(stage, record, f"refresh_{users}", stage.kind, options.seconds)
            if stage.kind == "epcscf":
                stage.load.do("fresh", "on")
                one(stage, record, f"refresh_{users}", "epcscf fresh tokens", options.seconds)
                stage.load.do("fresh", "off")
    in_turns(options, record, KINDS, body)


def one(stage, record, figure, kind, seconds):
    stage.load.do("refresh", 0.5, 32)  # warm
    done = check(stage.cost("refresh", seconds, 32), "refresh")
    record.add(figure, kind, rate(done), **details(done))
