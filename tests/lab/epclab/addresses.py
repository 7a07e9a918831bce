"""The lab's plan of addresses, names and accounts: the one place that knows them."""

DOMAIN = "ims.test"

CORE = ("127.0.0.2", 4060)        # Kamailio: I-CSCF, S-CSCF, registrar
EPCSCF_CORE = ("127.0.0.3", 5060)  # shard i adds i to the port
ACCESS_MEDIA = "127.0.0.1"
CORE_MEDIA = "127.0.0.4"
PCRF = ("127.0.0.5", 3868)
PHONE = ("127.0.0.6", 5070)       # baresip
WSS = ("127.0.0.1", 8443)
WSS_PATH = "/ws"
WWSF = ("127.0.0.1", 8444)
RTPENGINE_NG = ("127.0.0.1", 2223)
METRICS = ("127.0.0.1", 9091)
PHONE_CONTROL = ("127.0.0.6", 5075)  # 5071 is its SIP over TLS

ORIGIN = f"https://{WWSF[0]}:{WWSF[1]}"
WWSF_ID = "lab-wwsf"
ISSUER = ORIGIN
AUDIENCE = "epcscf.ims.test"
EPCSCF_IDENTITY = "epcscf.ims.test"
PCRF_IDENTITY = "pcrf.ims.test"

# user: (password, IMPI, [IMPUs])
USERS = {
    "alice": ("wonderland", "alice@ims.test", ["sip:alice@ims.test", "tel:+15550001"]),
    "bob": ("builder", "bob@ims.test", ["sip:bob@ims.test"]),
}
