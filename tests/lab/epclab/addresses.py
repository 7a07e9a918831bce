"""The lab's plan of addresses, names and accounts: the one place that knows them."""

DOMAIN = "ims.test"

CORE = ("127.0.0.2", 4060)        # Kamailio: I-CSCF, S-CSCF, registrar
SCSCF = ("127.0.0.2", 4061)       # of the second core; its I-CSCF is at CORE
CDP = ("127.0.0.2", 3868)         # its Diameter side
HSS = ("127.0.0.7", 3868)
HSS_CONTROL = ("127.0.0.7", 3869)
EPCSCF_CORE = ("127.0.0.3", 5060)  # shard i adds i to the port
ACCESS_MEDIA = "127.0.0.1"
CORE_MEDIA = "127.0.0.4"
PCRF = ("127.0.0.5", 3868)
PCRF_CONTROL = ("127.0.0.5", 3869)  # of the one on Erlang
PHONE = ("127.0.0.6", 5070)       # baresip
WSS = ("127.0.0.1", 8443)
WSS_PATH = "/ws"
WWSF = ("127.0.0.1", 8444)
RTPENGINE_NG = ("127.0.0.1", 2223)
IQ = ("127.0.0.3", 2944)          # where gateways come to the eP-CSCF
AGW = ("127.0.0.10", 2944)        # the H.248 gateway
AGW_CONTROL = ("127.0.0.10", 2945)
AGW2 = ("127.0.0.11", 2944)       # a second one
AGW2_CONTROL = ("127.0.0.11", 2945)
AGWS = "127.0.0.10/31"
METRICS = ("127.0.0.1", 9091)
PHONE_CONTROL = ("127.0.0.6", 5075)  # 5071 is its SIP over TLS

THIRD = ("127.0.0.8", 8446)       # a third party's WWSF

ORIGIN = f"https://{WWSF[0]}:{WWSF[1]}"
WWSF_ID = "lab-wwsf"
ISSUER = ORIGIN
AUDIENCE = "epcscf.ims.test"
THIRD_ORIGIN = f"https://{THIRD[0]}:{THIRD[1]}"
THIRD_ID = "third-wwsf"
EPCSCF_IDENTITY = "epcscf.ims.test"
PCRF_IDENTITY = "pcrf.ims.test"

# user: (password, IMPI, [IMPUs])
USERS = {
    "alice": ("wonderland", "alice@ims.test", ["sip:alice@ims.test", "tel:+15550001"]),
    "bob": ("builder", "bob@ims.test", ["sip:bob@ims.test"]),
}

# Subscribers of the HSS (the second core): IMPI: scheme, secret and the identities of the implicit
# registration set. "!" marks a barred one, a regular expression between "!" a wildcarded one.
SUBSCRIBERS = {
    "alice@ims.test": {"password": "wonderland",
                       "impus": ["sip:alice@ims.test", "tel:+15550001"],
                       "barred": ["sip:wonder@ims.test"],
                       "wildcarded": ["sip:alice-!.*!@ims.test"]},
    "bob@ims.test": {"password": "builder", "impus": ["sip:bob@ims.test"]},
    "carol@ims.test": {"k": "465b5ce8b199b49faa5f0a2ee238a6bc",
                       "opc": "cd63cb71954a9f4e48a5994e37a02baf",
                       "impus": ["sip:carol@ims.test"]},
}

# IMPI: IMPU of the pools that the two WWSFs lend.
POOL = {f"guest{i}@ims.test": f"sip:guest{i}@ims.test" for i in range(1, 9)}
THIRD_POOL = {f"third{i}@ims.test": f"sip:third{i}@ims.test" for i in range(1, 3)}
