%% What a PCRF asks of an AAR beyond its syntax (TS 29.214 4.4 and 5.3): numbers that keep their meaning,
%% filters of the restricted grammar, one component for one IP flow, updates that say what changed.
-module(pcrf_check).
-export([initial/2, update/3]).

-define(INVALID_VALUE, 5004).
-define(MISSING, 5005).
-define(INVALID_SERVICE_INFORMATION, {experimental, 5061}).
-define(FILTER_RESTRICTIONS, {experimental, 5062}).
-define(REMOVED, 4).
-define(AF_SIGNALLING, 2).
-define(CONTROL, 4).

%% initial(Avps, Options) -> {Session, Faults}; update(Session, Avps, Options) -> {Session, Faults}.
%% Faults are {Code, Text}; Session is what holds if there are none.
initial(Avps, Options) ->
    {Ue, UeFaults} = ue(Avps),
    Empty = #{ue => Ue, components => #{}, icid => first('AF-Charging-Identifier', Avps),
              state => opened},
    {Session, Faults} = components(Empty, Avps),
    Signalling = maps:is_key(0, maps:get(components, Session)),
    {Session#{signalling => Signalling},
     UeFaults ++ actions(Avps) ++ subscriptions(Avps) ++ webrtc(Avps, Options)
     ++ [fault(?INVALID_VALUE, "an initial request with Rx-Request-Type ~p", [T])
         || [T] <- [maps:get('Rx-Request-Type', Avps, [])], T =/= 0]
     ++ [fault(?MISSING, "an initial request without service information", [])
         || not maps:is_key('Media-Component-Description', Avps)]
     ++ [fault(?INVALID_VALUE, "a signalling session with other components", [])
         || Signalling, maps:size(maps:get(components, Session)) > 1]
     ++ Faults}.

update(#{icid := Icid, ue := Ue} = Session0, Avps, Options) ->
    {Session, Faults} = components(Session0, Avps),
    Again = case first('AF-Charging-Identifier', Avps) of
                none -> [];
                Icid -> [];
                Other -> [fault(?INVALID_VALUE, "AF-Charging-Identifier ~s became ~s", [Icid, Other])]
            end,
    Where = case maps:is_key('Framed-IP-Address', Avps) orelse maps:is_key('Framed-IPv6-Prefix', Avps) of
                true -> case ue(Avps) of
                            {Ue, _} -> [];
                            {Moved, _} -> [fault(?INVALID_VALUE, "the UE moved to ~s within a session",
                                                 [shown(Moved)])]
                        end;
                false -> []
            end,
    Late = [A || A <- maps:get('Specific-Action', Avps, []), A =/= 12],
    {Session,
     Again ++ Where ++ webrtc(Avps, Options)
     ++ [fault(?INVALID_VALUE, "Specific-Action ~w in an update", [Late]) || Late =/= []]
     ++ [fault(?INVALID_VALUE, "Supported-Features in an update", [])
         || maps:is_key('Supported-Features', Avps)]
     ++ Faults}.

fault(Code, Format, Args) -> {Code, lists:flatten(io_lib:format(Format, Args))}.

first(Key, Map) ->
    case maps:get(Key, Map, []) of
        [Value | _] -> Value;
        [] -> none
    end.

%% -- of the request as a whole ------------------------------------------------------------------------

ue(#{'Framed-IP-Address' := [<<A, B, C, D>>]}) -> {{A, B, C, D}, []};
ue(#{'Framed-IP-Address' := _}) -> {none, [fault(?INVALID_VALUE, "Framed-IP-Address of a wrong size", [])]};
ue(#{'Framed-IPv6-Prefix' := [<<0, 128, Prefix:16/binary>>]}) ->
    {list_to_tuple([N || <<N:16>> <= Prefix]), []};
ue(#{'Framed-IPv6-Prefix' := _}) -> {none, [fault(?INVALID_VALUE, "Framed-IPv6-Prefix is no whole address", [])]};
ue(_) -> {none, [fault(?MISSING, "neither Framed-IP-Address nor Framed-IPv6-Prefix", [])]}.

%% 5.3.13: 14 and 15 are never asked for, nothing is asked for twice.
actions(Avps) ->
    Wanted = maps:get('Specific-Action', Avps, []),
    [fault(?INVALID_VALUE, "Specific-Action ~w is not for subscription", [A]) || A <- Wanted, A =:= 14 orelse A =:= 15]
        ++ [fault(?INVALID_VALUE, "a Specific-Action twice: ~w", [Wanted])
            || length(lists:usort(Wanted)) =/= length(Wanted)]
        ++ [fault(?INVALID_VALUE, "Specific-Action 12 without Required-Access-Info", [])
            || lists:member(12, Wanted), not maps:is_key('Required-Access-Info', Avps)].

subscriptions(Avps) ->
    lists:flatmap(fun(#{'Subscription-Id-Type' := Type, 'Subscription-Id-Data' := Data}) ->
        Pattern = case Type of
                      0 -> "^[0-9]{1,15}$";
                      1 -> "^[0-9]{6,15}$";
                      2 -> "^sips?:[^<> ]+$";
                      _ -> "."
                  end,
        [fault(?INVALID_VALUE, "Subscription-Id of type ~w with ~s", [Type, Data])
         || re:run(Data, Pattern, [{capture, none}]) =/= match]
    end, maps:get('Subscription-Id', Avps, [])).

webrtc(Avps, #{webrtc := false}) ->
    Sent = maps:is_key('WebRTC-Session-Info', Avps) orelse
        lists:any(fun(C) -> lists:any(fun(K) -> maps:is_key(K, C) end,
                                      ['WebRTC-Media-Info', 'Data-Channel-Info', 'Bundle-Tag-Component'])
                  end, maps:get('Media-Component-Description', Avps, [])),
    [fault(?INVALID_VALUE, "WebRTC information that was never asked for", []) || Sent];
webrtc(_, _) ->
    [].

%% -- components ---------------------------------------------------------------------------------------

components(#{components := Known, ue := Ue} = Session, Avps) ->
    Sent = maps:get('Media-Component-Description', Avps, []),
    Numbers = [N || #{'Media-Component-Number' := N} <- Sent],
    Twice = [fault(?INVALID_SERVICE_INFORMATION, "Media-Component-Number twice in one message: ~w", [Numbers])
             || length(lists:usort(Numbers)) =/= length(Numbers)],
    {Now, Faults} = lists:foldl(fun(C, {Held, F}) ->
                                    {Next, More} = component(C, Held, Ue),
                                    {Next, F ++ More}
                                end, {Known, []}, Sent),
    {Session#{components := Now}, Twice ++ Faults ++ shared_flows(Now)}.

component(#{'Media-Component-Number' := N, 'Flow-Status' := [?REMOVED]} = C, Held, _) ->
    More = maps:keys(maps:without(['Media-Component-Number', 'Flow-Status'], C)),
    {maps:remove(N, Held),
     [fault(?INVALID_SERVICE_INFORMATION, "component ~w is removed and was never there", [N])
      || not maps:is_key(N, Held)]
     ++ [fault(?INVALID_SERVICE_INFORMATION, "component ~w is removed and also has ~w", [N, More])
         || More =/= []]};
component(#{'Media-Component-Number' := N} = C, Held, Ue) ->
    Old = maps:get(N, Held, #{}),
    {Flows, FlowFaults} = flows(N, maps:get('Media-Sub-Component', C, []), maps:get(flows, Old, #{}), Ue),
    Plain = maps:remove('Media-Sub-Component', C),
    New = maps:merge(Old, Plain#{flows => Flows}),
    {Held#{N => New},
     [fault(?INVALID_SERVICE_INFORMATION, "component ~w is told again unchanged", [N]) || New =:= Old]
     ++ [fault(?INVALID_SERVICE_INFORMATION, "component ~w is new and has no Media-Type", [N])
         || Old =:= #{}, not maps:is_key('Media-Type', C)]
     ++ [fault(?INVALID_SERVICE_INFORMATION, "component ~w changes Media-Type", [N])
         || maps:is_key('Media-Type', Old), maps:get('Media-Type', New) =/= maps:get('Media-Type', Old)]
     ++ [fault(?INVALID_VALUE, "Media-Type ~w", [T])
         || [T] <- [maps:get('Media-Type', C, [])], T > 6, T =/= 16#FFFFFFFF]
     ++ signalling(N, C) ++ codec_data(N, maps:get('Codec-Data', C, [])) ++ FlowFaults}.

%% 4.4.5: component 0 is the signalling path, and nothing else is.
signalling(0, C) ->
    Flows = maps:get('Media-Sub-Component', C, []),
    [fault(?INVALID_SERVICE_INFORMATION, "component 0 is not of type CONTROL", [])
     || first('Media-Type', C) =/= ?CONTROL]
        ++ [fault(?INVALID_SERVICE_INFORMATION, "a flow of component 0 is not AF_SIGNALLING", [])
            || F <- Flows, first('Flow-Usage', F) =/= ?AF_SIGNALLING]
        ++ [fault(?INVALID_SERVICE_INFORMATION, "component 0 without a flow", []) || Flows =:= []];
signalling(N, C) ->
    [fault(?INVALID_SERVICE_INFORMATION, "component ~w carries AF_SIGNALLING", [N])
     || F <- maps:get('Media-Sub-Component', C, []), first('Flow-Usage', F) =:= ?AF_SIGNALLING].

%% 5.3.7: two lines that say whose and which, then the lines of the SDP; nothing that is secret.
codec_data(N, Texts) ->
    Kinds = [binary:split(T, <<"\n">>, [global]) || T <- Texts],
    [fault(?INVALID_VALUE, "Codec-Data of component ~w begins ~0p", [N, lists:sublist(K, 3)])
     || K <- Kinds, not codec_head(K)]
        ++ [fault(?INVALID_VALUE, "two Codec-Data of component ~w of the same side", [N])
            || [[Side | _], [Side | _]] <- [Kinds]]
        ++ [fault(?INVALID_VALUE, "Codec-Data of component ~w holds what must not leave the edge: ~s", [N, hd(Hit)])
            || T <- Texts, {match, Hit} <- [re:run(T, "a=(ice-|candidate|fingerprint|crypto|ssrc|msid)[^\n]*|\\x00",
                                                   [{capture, first, list}])]].

codec_head([Side, Kind, <<"m=", _/binary>> | _]) ->
    lists:member(Side, [<<"uplink">>, <<"downlink">>])
        andalso lists:member(Kind, [<<"offer">>, <<"answer">>, <<"description">>]);
codec_head(_) ->
    false.

%% -- sub-components (5.3.17, Annex B) ------------------------------------------------------------------

flows(N, Sent, Known, Ue) ->
    Numbers = [F || #{'Flow-Number' := F} <- Sent],
    lists:foldl(fun(F, {Held, Faults}) ->
                    {Next, More} = flow(N, F, Held, Ue),
                    {Next, Faults ++ More}
                end,
                {Known, [fault(?INVALID_SERVICE_INFORMATION, "Flow-Number twice in component ~w: ~w", [N, Numbers])
                         || length(lists:usort(Numbers)) =/= length(Numbers)]}, Sent).

flow(_, #{'Flow-Number' := F, 'Flow-Status' := [?REMOVED]}, Held, _) ->
    {maps:remove(F, Held), []};
flow(N, #{'Flow-Number' := F} = Flow, Held, Ue) ->
    Old = maps:get(F, Held, #{}),
    Rules = [rule(D, Ue) || D <- maps:get('Flow-Description', Flow, [])],
    Usage = first('Flow-Usage', Flow),
    %% 5.3.8: filters that come replace all that were there.
    {Held#{F => maps:merge(Old, Flow)},
     [fault(?INVALID_VALUE, "Flow-Number 0 in component ~w", [N]) || F =:= 0, N =/= 0]
     ++ [fault(?INVALID_SERVICE_INFORMATION, "flow ~w.~w changes its Flow-Usage", [N, F])
         || Old =/= #{}, Usage =/= none, Usage =/= first('Flow-Usage', maps:merge(#{'Flow-Usage' => [0]}, Old))]
     ++ [fault(?FILTER_RESTRICTIONS, "flow ~w.~w: ~s", [N, F, Why]) || {error, Why} <- Rules]
     ++ [fault(?FILTER_RESTRICTIONS, "flow ~w.~w has two filters of one direction", [N, F])
         || [{ok, D, _}, {ok, D, _}] <- [Rules]]
     ++ [fault(?FILTER_RESTRICTIONS, "flow ~w.~w has filters of two flows", [N, F])
         || [{ok, _, {P1, R1}}, {ok, _, {P2, R2}}] <- [Rules], P1 =/= P2 orelse R1 =/= R2]}.

%% 5.3.8: "permit", a direction, a protocol, two addresses, no list or range of ports, no option.
%% {ok, in | out, {Protocol, RemoteAddress}} or {error, Why}.
rule(Text, Ue) ->
    case re:run(Text, "^permit (in|out) (ip|[0-9]{1,3}) from ([^ ]+)(?: ([0-9]+))? to ([^ ]+)(?: ([0-9]+))?$",
                [{capture, all_but_first, list}]) of
        {match, [Direction, Proto, From, FromPort, To | Rest]} ->
            ToPort = case Rest of [P] -> P; [] -> "" end,
            ends(Text, list_to_atom(Direction), Proto, {From, FromPort}, {To, ToPort}, Ue);
        nomatch -> {error, io_lib:format("not in the grammar: ~s", [Text])}
    end.

ends(Text, Direction, Proto, {From, FromPort}, {To, ToPort}, Ue) ->
    {Mine, Remote} = case Direction of in -> {From, To}; out -> {To, From} end,
    Bad = [Why || {true, Why} <- [
        {address(From) =:= none, "a source that is no address"},
        {address(To) =:= none, "a destination that is no address"},
        {address(Mine) =/= none andalso not within(Ue, Mine), "the UE's end is not the UE"},
        {wrong(FromPort) orelse wrong(ToPort), "a port that cannot be"},
        {ToPort =:= "" andalso Proto =/= "6", "a destination without a port"},
        {Proto =/= "ip" andalso list_to_integer(Proto) > 255, "a protocol that cannot be"}]],
    case Bad of
        [] -> {ok, Direction, {Proto, address(Remote)}};
        [Why | _] -> {error, io_lib:format("~s: ~s", [Why, Text])}
    end.

address(Text) ->
    Host = hd(string:split(Text, "/")),
    case inet:parse_strict_address(Host) of
        {ok, Address} when Address =/= {0, 0, 0, 0}, Address =/= {0, 0, 0, 0, 0, 0, 0, 0} -> Address;
        _ -> none
    end.

%% An IPv6 UE may stand for its prefix (TS 29.213 6.2).
within(Ue, Text) ->
    case string:split(Text, "/") of
        [Host, "64"] when tuple_size(Ue) =:= 8 ->
            lists:sublist(tuple_to_list(address(Host)), 4) =:= lists:sublist(tuple_to_list(Ue), 4);
        [Host, "32"] -> address(Host) =:= Ue;
        [Host] -> address(Host) =:= Ue;
        _ -> false
    end.

wrong("") -> false;
%% 9 is what browsers write while they do not know.
wrong(Port) -> lists:member(list_to_integer(Port), [0, 9]) orelse list_to_integer(Port) > 65535.

%% 5.3.16: one IP flow belongs to one component alone.
shared_flows(Components) ->
    All = lists:usort([{Rule, N} || {N, #{flows := Flows}} <- maps:to_list(Components),
                                    F <- maps:values(Flows), Rule <- maps:get('Flow-Description', F, [])]),
    [fault(?INVALID_SERVICE_INFORMATION, "components ~w and ~w describe one IP flow: ~s", [N, M, Rule])
     || {Rule, N} <- All, {Same, M} <- All, Same =:= Rule, N < M].

shown(none) -> "nowhere";
shown(Address) -> inet:ntoa(Address).
