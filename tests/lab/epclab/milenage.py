"""Milenage (TS 35.206) with AES-128 (FIPS 197), for a WIC that holds a USIM's key. The standard
library has no block cipher; speed does not matter here."""


def _tables():
    """The S-box: inverse in GF(2^8), then the affine map."""
    exp, log, x = [0] * 256, [0] * 256, 1
    for i in range(255):
        exp[i], log[x] = x, i
        x ^= (x << 1) ^ (0x11B if x & 0x80 else 0)  # times 3
        x &= 0xFF
    box = []
    for value in range(256):
        inverse = exp[(255 - log[value]) % 255] if value else 0
        out = 0x63
        for shift in range(5):
            out ^= ((inverse << shift) | (inverse >> (8 - shift))) & 0xFF
        box.append(out)
    return box


SBOX = _tables()


def _double(x):
    return ((x << 1) ^ (0x1B if x & 0x80 else 0)) & 0xFF


def _schedule(key):
    words, rcon = [list(key[i:i + 4]) for i in range(0, 16, 4)], 1
    for i in range(4, 44):
        word = list(words[-1])
        if i % 4 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = _double(rcon)
        words.append([x ^ y for x, y in zip(words[i - 4], word)])
    return [sum(words[i:i + 4], []) for i in range(0, 44, 4)]


def aes128(key, block):
    """One block, encrypted."""
    keys = _schedule(key)
    state = [x ^ y for x, y in zip(block, keys[0])]
    for number in range(1, 11):
        state = [SBOX[x] for x in state]
        state = [state[(i + 4 * (i % 4)) % 16] for i in range(16)]  # ShiftRows, column by column
        if number < 10:
            mixed = []
            for c in range(0, 16, 4):
                column = state[c:c + 4]
                whole = column[0] ^ column[1] ^ column[2] ^ column[3]
                mixed += [column[i] ^ whole ^ _double(column[i] ^ column[(i + 1) % 4])
                          for i in range(4)]
            state = mixed
        state = [x ^ y for x, y in zip(state, keys[number])]
    return bytes(state)


def _xor(left, right):
    return bytes(x ^ y for x, y in zip(left, right))


class Milenage:
    """The functions of one subscriber key; rand, sqn and amf are octet strings of 16, 6 and 2."""

    def __init__(self, k, opc):
        self.k, self.opc = k, opc

    @classmethod
    def of_op(cls, k, op):
        return cls(k, _xor(aes128(k, op), op))

    def _temp(self, rand):
        return aes128(self.k, _xor(rand, self.opc))

    def _out(self, rand, octets, constant):
        mixed = _xor(self._temp(rand), self.opc)
        mixed = mixed[octets:] + mixed[:octets]
        mixed = mixed[:15] + bytes([mixed[15] ^ constant])
        return _xor(aes128(self.k, mixed), self.opc)

    def _macs(self, rand, sqn, amf):
        block = _xor((sqn + amf) * 2, self.opc)
        mixed = _xor(self._temp(rand), block[8:] + block[:8])
        return _xor(aes128(self.k, mixed), self.opc)

    def f1(self, rand, sqn, amf):
        return self._macs(rand, sqn, amf)[:8]

    def f1star(self, rand, sqn, amf):
        return self._macs(rand, sqn, amf)[8:]

    def f2(self, rand):
        return self._out(rand, 0, 1)[8:]

    def f3(self, rand):
        return self._out(rand, 4, 2)

    def f4(self, rand):
        return self._out(rand, 8, 4)

    def f5(self, rand):
        return self._out(rand, 0, 1)[:6]

    def f5star(self, rand):
        return self._out(rand, 12, 8)[:6]


class Usim:
    """What a USIM does with a challenge (TS 33.102 6.3.3): it keeps the highest sequence number."""

    def __init__(self, k, opc, sqn=0):
        self.milenage, self.sqn = Milenage(k, opc), sqn

    def answer(self, rand, autn):
        """("ok", RES, CK, IK), ("auts", AUTS) or ("mac",) for a network that is not ours."""
        hidden, amf, mac = autn[:6], autn[6:8], autn[8:16]
        sqn = _xor(hidden, self.milenage.f5(rand))
        if mac != self.milenage.f1(rand, sqn, amf):
            return ("mac",)
        if int.from_bytes(sqn, "big") <= self.sqn:
            mine = self.sqn.to_bytes(6, "big")
            return ("auts", _xor(mine, self.milenage.f5star(rand))
                    + self.milenage.f1star(rand, mine, b"\0\0"))
        self.sqn = int.from_bytes(sqn, "big")
        return ("ok", self.milenage.f2(rand), self.milenage.f3(rand), self.milenage.f4(rand))

    def vector(self, rand, sqn, amf=b"\x80\0"):
        """The network's side: RAND || AUTN, XRES, CK, IK."""
        m = self.milenage
        autn = _xor(sqn, m.f5(rand)) + amf + m.f1(rand, sqn, amf)
        return rand + autn, m.f2(rand), m.f3(rand), m.f4(rand)
