%% rtpengine behind the gateway: the NG protocol (bencode over UDP), one request at a time.
-module(agw_rtp).
-export([open/2, request/2, ok/1, side_stats/2, endpoints/2, secured/2, packets/1]).

-define(TRIES, 4).
-define(WAIT_MS, 700).
%% A port that was not told (agw_sdp:session/3).
-define(NO_PORT, 9).

open(Ip, Port) ->
    {ok, Socket} = gen_udp:open(0, [binary, {active, false}]),
    ok = gen_udp:connect(Socket, Ip, Port),
    put(ng, {Socket, 0}),
    ok.

%% A map with atoms, text and numbers -> the reply, a map with binaries as keys; {error, Reason}.
request(Command, Members) ->
    {Socket, N} = get(ng),
    put(ng, {Socket, N + 1}),
    Cookie = iolist_to_binary(io_lib:format("agw~s-~w", [os:getpid(), N])),
    send(Socket, Cookie, iolist_to_binary([Cookie, " ", encode(Members#{command => Command})]), ?TRIES).

send(_, _, _, 0) -> {error, no_answer};
send(Socket, Cookie, Packet, Tries) ->
    _ = gen_udp:send(Socket, Packet),
    case await(Socket, Cookie) of
        {ok, Reply} -> Reply;
        none -> send(Socket, Cookie, Packet, Tries - 1)
    end.

await(Socket, Cookie) ->
    Size = byte_size(Cookie),
    case gen_udp:recv(Socket, 0, ?WAIT_MS) of
        {ok, {_, _, <<Cookie:Size/binary, " ", Rest/binary>>}} ->
            {Reply, _} = decode(Rest),
            {ok, Reply};
        {ok, _} -> await(Socket, Cookie);
        {error, _} -> none
    end.

ok(#{<<"result">> := <<"ok">>}) -> true;
ok(_) -> false.

encode(M) when is_map(M) ->
    ["d", [[encode(K), encode(V)] || {K, V} <- lists:sort([{text(K), V} || {K, V} <- maps:to_list(M)])], "e"];
encode(N) when is_integer(N) -> ["i", integer_to_list(N), "e"];
encode({list, L}) -> ["l", [encode(E) || E <- L], "e"];
encode(T) ->
    B = text(T),
    [integer_to_list(byte_size(B)), ":", B].

text(A) when is_atom(A) -> atom_to_binary(A);
text(T) -> iolist_to_binary(T).

decode(<<"d", Rest/binary>>) -> decode_map(Rest, #{});
decode(<<"l", Rest/binary>>) -> decode_list(Rest, []);
decode(<<"i", Rest/binary>>) ->
    [N, More] = binary:split(Rest, <<"e">>),
    {binary_to_integer(N), More};
decode(B) ->
    [N, More] = binary:split(B, <<":">>),
    Size = binary_to_integer(N),
    <<Text:Size/binary, Left/binary>> = More,
    {Text, Left}.

decode_map(<<"e", Rest/binary>>, M) -> {M, Rest};
decode_map(B, M) ->
    {K, B1} = decode(B),
    {V, B2} = decode(B1),
    decode_map(B2, M#{K => V}).

decode_list(<<"e", Rest/binary>>, L) -> {lists:reverse(L), Rest};
decode_list(B, L) ->
    {V, Rest} = decode(B),
    decode_list(Rest, [V | L]).

%% -- what a query says ---------------------------------------------------------------------------------

medias(Query, Tag) ->
    maps:get(<<"medias">>, maps:get(Tag, maps:get(<<"tags">>, Query, #{}), #{}), []).

streams(Media) -> maps:get(<<"streams">>, Media, []).

%% {Packets, Octets, Errors} that came in on a side.
side_stats(Query, Tag) ->
    lists:foldl(fun(Stream, {P, B, E}) ->
                        S = maps:get(<<"stats">>, Stream, #{}),
                        {P + maps:get(<<"packets">>, S, 0), B + maps:get(<<"bytes">>, S, 0),
                         E + maps:get(<<"errors">>, S, 0)}
                end, {0, 0, 0}, [S || M <- medias(Query, Tag), S <- streams(M)]).

packets(Query) ->
    lists:sum([element(1, side_stats(Query, T)) || T <- maps:keys(maps:get(<<"tags">>, Query, #{}))]).

%% [{Ip, Port} | none] of a side's m-lines: where packets come from, once that is known.
endpoints(Query, Tag) ->
    [case streams(M) of
         [#{<<"endpoint">> := #{<<"address">> := Ip, <<"port">> := Port}} | _]
           when Port =/= ?NO_PORT, Port =/= 0 -> {binary_to_list(Ip), Port};
         _ -> none
     end || M <- medias(Query, Tag)].

%% [boolean()]: SRTP keys are there.
secured(Query, Tag) ->
    [lists:any(fun(S) -> maps:is_key(<<"crypto suite">>, S) end, streams(M)) || M <- medias(Query, Tag)].
