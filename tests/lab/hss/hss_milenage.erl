%% Milenage (TS 35.206): the vectors that the HSS gives to the S-CSCF, and what a USIM says in AUTS.
-module(hss_milenage).
-export([vector/5, resync/4]).

%% RAND || AUTN, XRES, CK, IK for one challenge (TS 33.102 6.3.2).
-spec vector(K :: <<_:128>>, OPc :: <<_:128>>, Rand :: <<_:128>>, Sqn :: <<_:48>>,
             Amf :: <<_:16>>) -> {binary(), binary(), binary(), binary()}.
vector(K, OPc, Rand, Sqn, Amf) ->
    {MacA, _} = f1(K, OPc, Rand, Sqn, Amf),
    <<Ak:6/binary, _:16, Xres:8/binary>> = out(K, OPc, Rand, 0, 1),
    Ck = out(K, OPc, Rand, 32, 2),
    Ik = out(K, OPc, Rand, 64, 4),
    Autn = <<(crypto:exor(Sqn, Ak))/binary, Amf/binary, MacA/binary>>,
    {<<Rand/binary, Autn/binary>>, Xres, Ck, Ik}.

%% The USIM's sequence number out of AUTS, or false when its MAC-S is wrong (TS 33.102 6.3.3, 6.3.5).
-spec resync(<<_:128>>, <<_:128>>, <<_:128>>, <<_:112>>) -> {ok, <<_:48>>} | false.
resync(K, OPc, Rand, <<Hidden:6/binary, MacS:8/binary>>) ->
    <<AkS:6/binary, _/binary>> = out(K, OPc, Rand, 96, 8),
    Sqn = crypto:exor(Hidden, AkS),
    case f1(K, OPc, Rand, Sqn, <<0, 0>>) of
        {_, MacS} -> {ok, Sqn};
        _ -> false
    end.

%% f1 and f1*.
f1(K, OPc, Rand, Sqn, Amf) ->
    In = <<Sqn/binary, Amf/binary, Sqn/binary, Amf/binary>>,
    Mixed = crypto:exor(temp(K, OPc, Rand), rotate(crypto:exor(In, OPc), 64)),
    <<A:8/binary, S:8/binary>> = crypto:exor(block(K, Mixed), OPc),
    {A, S}.

%% OUT2 to OUT5: rotation in bits, constant in the last octet.
out(K, OPc, Rand, Bits, C) ->
    Rotated = rotate(crypto:exor(temp(K, OPc, Rand), OPc), Bits),
    crypto:exor(block(K, crypto:exor(Rotated, <<C:128>>)), OPc).

temp(K, OPc, Rand) ->
    block(K, crypto:exor(Rand, OPc)).

rotate(Value, Bits) ->
    <<Front:Bits/bitstring, Rest/bitstring>> = Value,
    <<Rest/bitstring, Front/bitstring>>.

block(K, Data) ->
    crypto:crypto_one_time(aes_128_ecb, K, Data, true).
