"""The measures, a file each. A measure is a function of the options and the record that it fills."""
from . import calls, curves, handshakes, idle, latency, overload, refresh, rx

MEASURES = {
    "refresh": refresh.measure,
    "calls": calls.measure,
    "handshakes": handshakes.measure,
    "latency": latency.measure,
    "idle": idle.measure,
    "curves": curves.measure,
    "overload": overload.measure,
    "rx": rx.measure,
}
