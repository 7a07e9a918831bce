%% What the descriptors of a context mean to rtpengine. H.248 says how things shall be; rtpengine wants an
%% offer and an answer. So the state is put into such a pair whenever it has changed:
%%
%%   the offerer   is the side whose Remote is an offer: the access side with a=setup:actpass, or who alone
%%                 has a Remote, or who has one of a stream that the other side knows nothing of yet
%%   a stand-in    answers for a core side that has no Remote yet: so the access side's addresses are known
%%                 at once. Not for the access side: rtpengine would take it for one without DTLS.
-module(agw_media).
-export([sync/2, sides/1, stream/3, running/1, statistics/1, query/1, delete/1, other/1]).

other(access) -> core;
other(core) -> access.

%% The termination of a side, or none.
sides(#{terms := Terms}) ->
    maps:from_list([{Side, T} || T = #{side := Side} <- maps:values(Terms)]).

stream(Ctx, Side, N) ->
    case sides(Ctx) of
        #{Side := #{streams := #{N := S}}} -> S;
        _ -> #{}
    end.

%% The lines of a descriptor that says something.
lines(Ctx, Side, N, What) ->
    case maps:get(What, stream(Ctx, Side, N), absent) of
        absent -> off;
        L -> case agw_sdp:empty(L) of true -> off; false -> L end
    end.

running(#{types := Types} = Ctx) ->
    [N || N <- lists:sort(maps:keys(Types)),
          lists:any(fun({S, W}) -> lines(Ctx, S, N, W) =/= off end,
                    [{S, W} || S <- [access, core], W <- [wish, remote]])].

%% -> {ok, Ctx} | {error, Code, Text, Ctx}
sync(Ctx0, Config) ->
    Ctx = note_types(Ctx0),
    case need(Ctx) of
        {Offerer, Answer} -> exchange(Ctx, Offerer, Answer, Config);
        nothing -> {ok, gate(Ctx)}
    end.

note_types(#{types := Types} = Ctx) ->
    New = [{N, agw_sdp:type(L)} || {_, #{streams := Ss}} <- maps:to_list(maps:get(terms, Ctx)), {N, S} <- maps:to_list(Ss),
                                   W <- [wish, remote], L <- [maps:get(W, S, absent)], is_list(L), not agw_sdp:empty(L)],
    Ctx#{types := maps:merge(maps:from_list(New), Types)}.

remotes(Ctx, Side) -> [{N, L} || N <- running(Ctx), L <- [lines(Ctx, Side, N, remote)], L =/= off].
wishes(Ctx, Side) -> [{N, L} || N <- running(Ctx), L <- [lines(Ctx, Side, N, wish)], L =/= off].

%% {Offerer, AnswerToo} | nothing
need(Ctx) ->
    Key = [{S, remotes(Ctx, S), wishes(Ctx, S)} || S <- [access, core]],
    case {Ctx, [S || {S, [_ | _], _} <- Key]} of
        {#{told := Key}, _} -> nothing;
        {_, []} -> nothing;
        {_, Speaking} -> offerer(Ctx, Speaking)
    end.

offerer(_, [access]) -> {access, stand_in};
offerer(_, [core]) -> {core, false};
offerer(Ctx, _) ->
    Access = remotes(Ctx, access),
    Unknown = [N || {N, _} <- remotes(Ctx, core), not lists:keymember(N, 1, Access)],
    Answered = told(Ctx, access) =/= Access,
    case {Unknown, agw_sdp:setup(element(2, hd(Access)))} of
        {[_ | _], _} when not Answered -> {core, false};
        {[], "actpass"} -> {access, true};
        {_, none} -> {maps:get(offerer, Ctx, access), true};
        {_, "actpass"} -> {access, true};
        _ -> {core, true}
    end.

told(#{told := Key}, Side) -> element(2, lists:keyfind(Side, 1, Key));
told(_, _) -> [].

exchange(Ctx, Offerer, Answer, Config) ->
    Other = other(Offerer),
    Part = {remotes(Ctx, Offerer), [{N, agw_sdp:codecs(L)} || {N, L} <- wishes(Ctx, Other)]},
    Key = [{S, remotes(Ctx, S), wishes(Ctx, S)} || S <- [access, core]],
    Offered = case Ctx of
                  #{open := {Offerer, Part}} -> {ok, Ctx};
                  _ -> offer(Ctx, Offerer, Config)
              end,
    Eager = maps:get(eager, Config, true),
    case Offered of
        {ok, Ctx1} when Answer =:= true; Answer =:= stand_in, Eager ->
            %% An answer of a stand-in is not the last word, but the offer is used up.
            finish(answer(Ctx1, Offerer), Key, none);
        {ok, Ctx1} -> finish({ok, Ctx1}, Key, {Offerer, Part});
        Error -> Error
    end.

finish({ok, Ctx}, Key, Open) -> {ok, gate(Ctx#{told => Key, open => Open})};
finish(Error, _, _) -> Error.

%% -- offer and answer ------------------------------------------------------------------------------------

offer(Ctx, From, Config) ->
    To = other(From),
    Members = maps:merge(shape(webrtc(Ctx, To)), #{
        'from-tag' => From, sdp => session(Ctx, From, fun(_) -> off end),
        direction => {list, [interface(Ctx, From, Config), interface(Ctx, To, Config)]},
        'DTLS-fingerprint' => "sha-256"}),
    Known = case Ctx of #{tags := true} -> Members#{'to-tag' => To}; _ -> Members end,
    case ask(Ctx, offer, maps:merge(Known, codec(Ctx, From))) of
        {ok, Parts, Ctx1} -> {ok, has(Ctx1#{offerer => From, exists => true}, To, Parts)};
        Error -> Error
    end.

answer(Ctx, Offerer) ->
    From = other(Offerer),
    StandIn = fun(N) when From =:= core -> stand_in(lines(Ctx, core, N, wish)); (_) -> off end,
    Members = #{'from-tag' => Offerer, 'to-tag' => From, sdp => session(Ctx, From, StandIn)},
    Shaped = case Offerer of core -> Members#{'ICE' => "remove"}; access -> Members end,
    case ask(Ctx, answer, Shaped) of
        {ok, Parts, Ctx1} -> {ok, has(Ctx1#{tags => true}, Offerer, Parts)};
        Error -> Error
    end.

%% Which of the two a side is to be, by the transport that its Local asks for.
webrtc(Ctx, Side) ->
    lists:any(fun({_, L}) -> string:find(lists:nth(3, agw_sdp:media(L)), "TLS") =/= nomatch end, wishes(Ctx, Side)).

%% What each kind of side asks of rtpengine; ICE lite, as the profile has it.
shape(false) ->
    #{'ICE' => "remove", 'transport-protocol' => "RTP/AVP", 'rtcp-mux' => {list, ["demux"]}, 'ICE-lite' => "backward"};
shape(true) ->
    #{'ICE' => "force", 'transport-protocol' => "UDP/TLS/RTP/SAVPF", 'rtcp-mux' => {list, ["offer", "require"]},
      'ICE-lite' => "forward"}.

ask(#{call := Call, version := V} = Ctx, Command, Members) ->
    Common = #{'call-id' => Call, replace => {list, ["origin", "session-connection"]},
               flags => {list, ["trust-address"]}, 'SDES' => {list, ["off"]}, 'DTLS' => "passive"},
    Dscp = case dscp(Ctx) of none -> #{}; D -> #{'TOS' => D bsl 2} end,
    case agw_rtp:request(Command, maps:merge(maps:merge(Common, Dscp), Members)) of
        #{<<"result">> := <<"ok">>, <<"sdp">> := Sdp} -> {ok, agw_sdp:parts(Sdp), Ctx#{version := V + 1}};
        #{<<"error-reason">> := Why} -> {error, code(Why), binary_to_list(Why), Ctx};
        Other -> {error, 500, lists:flatten(io_lib:format("~0p", [Other])), Ctx}
    end.

code(Why) ->
    case binary:match(Why, [<<"limit">>, <<"Ran out of ports">>]) of nomatch -> 500; _ -> 510 end.

session(#{types := Types, version := V} = Ctx, Side, StandIn) ->
    Run = running(Ctx),
    Streams = [{maps:get(N, Types, "audio"),
                case lines(Ctx, Side, N, remote) of
                    off -> case lists:member(N, Run) of true -> StandIn(N); false -> off end;
                    L -> L
                end} || N <- lists:seq(1, lists:max(maps:keys(Types)))],
    agw_sdp:session(V, Streams, Side =:= access).

stand_in(off) -> off;
stand_in(Wish) ->
    agw_sdp:at(Wish, {"192.0.0.8", 9}) ++ [{"a", "inactive"}].

has(Ctx, Side, Parts) ->
    Had = maps:get(has, Ctx, #{}),
    Ctx#{has => Had#{Side => maps:from_list(lists:zip(lists:seq(1, length(Parts)), Parts))}}.

property(Ctx, Side, Name) ->
    case [V || N <- running(Ctx), #{props := #{Name := V}} <- [stream(Ctx, Side, N)]] of
        [V | _] -> V;
        [] -> none
    end.

interface(Ctx, Side, Config) ->
    case property(Ctx, Side, "ipdc/realm") of
        none -> Side;
        Realm -> proplists:get_value(Realm, maps:get(realms, Config, []), Realm)
    end.

dscp(Ctx) ->
    case property(Ctx, access, "ds/dscp") of
        none -> none;
        Hex -> list_to_integer(Hex, 16)
    end.

%% Formats of the other side's Local that the offerer does not have are to be transcoded to.
codec(Ctx, From) ->
    To = other(From),
    Pairs = [{agw_sdp:codecs(R), agw_sdp:codecs(W)} || {N, R} <- remotes(Ctx, From), agw_sdp:type(R) =:= "audio",
                                                      W <- [lines(Ctx, To, N, wish)], W =/= off],
    Make = lists:usort([C || {R, W} <- Pairs, C <- W -- R]),
    Mask = lists:usort([C || {R, W} <- Pairs, C <- R -- W]),
    case Make of
        [] -> #{};
        _ -> #{codec => maps:from_list([{transcode, {list, Make}} | [{mask, {list, Mask}} || Mask =/= []]])}
    end.

%% -- gate ----------------------------------------------------------------------------------------------------

%% Modes are seen from the termination. rtpengine knows a side only once it has answered; before that a gate
%% that is to be closed at all is closed for the whole call. Closing goes before opening.
gate(#{exists := true} = Ctx) ->
    Shut = [S || S <- [access, core], not passes(Ctx, S)],
    Want = case Ctx of #{tags := true} -> Shut; _ -> [call || Shut =/= []] end,
    Now = maps:get(blocked, Ctx, []),
    [block(Ctx, 'block media', S) || S <- Want -- Now],
    [block(Ctx, 'unblock media', S) || S <- Now -- Want],
    Ctx#{blocked => Want};
gate(Ctx) -> Ctx.

block(#{call := Call}, Command, call) -> agw_rtp:request(Command, #{'call-id' => Call});
block(#{call := Call}, Command, Side) -> agw_rtp:request(Command, #{'call-id' => Call, 'from-tag' => Side}).

%% Does any stream let media in on this side and out on the other?
passes(Ctx, From) ->
    lists:any(fun(N) ->
                  In = maps:get(mode, stream(Ctx, From, N), inactive),
                  Out = maps:get(mode, stream(Ctx, other(From), N), inactive),
                  lists:member(In, [sendRecv, recvOnly]) andalso lists:member(Out, [sendRecv, sendOnly])
              end, running(Ctx)).

%% -- the rest --------------------------------------------------------------------------------------------------

query(#{exists := true, call := Call}) -> agw_rtp:request(query, #{'call-id' => Call});
query(_) -> #{}.

delete(#{exists := true, call := Call} = Ctx) ->
    _ = agw_rtp:request(delete, #{'call-id' => Call, 'delete-delay' => 0}),
    maps:without([exists, tags], Ctx);
delete(Ctx) -> Ctx.

%% #{Side => [{Name, Value}]}
statistics(#{born := Born} = Ctx) ->
    Query = query(Ctx),
    {Ap, Ab, Ae} = agw_rtp:side_stats(Query, <<"access">>),
    {Cp, Cb, Ce} = agw_rtp:side_stats(Query, <<"core">>),
    Duration = erlang:monotonic_time(millisecond) - Born,
    Of = fun(InP, InB, OutP, OutB, Bad) ->
             [{"nt/dur", Duration}, {"nt/os", OutB}, {"nt/or", InB}, {"rtp/ps", OutP}, {"rtp/pr", InP}, {"gm/dp", Bad}]
         end,
    #{access => Of(Ap, Ab, Cp, Cb, Ae), core => Of(Cp, Cb, Ap, Ab, Ce)}.
