%% What the gateway reports by itself: observed events that the eP-CSCF subscribed to, seen in rtpengine's
%% figures every half second, and terminations that change service.
-module(agw_event).
-export([look/1, notify/4, service_change/4]).

-include_lib("megaco/include/megaco.hrl").
-include_lib("megaco/include/megaco_message_v2.hrl").

%% A walk through all contexts that have something to watch.
look(#{contexts := Cs, config := Config} = State) ->
    State#{contexts := maps:map(fun(_, Ctx) -> beat(watch(Ctx, Config)) end, Cs)}.

subscribed(Ctx, Side, Event) ->
    case agw_media:sides(Ctx) of
        #{Side := #{events := {_, Events}}} -> lists:keyfind(Event, 1, Events);
        _ -> false
    end.

now_ms() -> erlang:monotonic_time(millisecond).

%% hangterm/thb: every so often, from each termination.
beat(#{terms := Terms} = Ctx) ->
    Ctx#{terms := maps:map(fun(_, #{side := Side} = T) ->
        case subscribed(Ctx, Side, "hangterm/thb") of
            {_, Ps} ->
                Every = 1000 * list_to_integer(proplists:get_value("timerx", Ps, "3600")),
                Last = maps:get(beat, T, maps:get(begun, T, now_ms())),
                case now_ms() - Last >= Every of
                    true -> send(Ctx, Side, "hangterm/thb", []), T#{beat => now_ms()};
                    false -> T
                end;
            false -> T
        end
    end, Terms)}.

%% Once there has been an answer.
watch(#{tags := true, open := none} = Ctx, Config) ->
    Query = agw_media:query(Ctx),
    Ctx1 = case Ctx of #{answered := _} -> Ctx; _ -> Ctx#{answered => now_ms()} end,
    Ends = agw_rtp:endpoints(Query, <<"access">>),
    Keys = agw_rtp:secured(Query, <<"access">>),
    silence(lists:foldl(fun(N, C) when N =< length(Ends) -> stream(C, N, lists:nth(N, Ends), lists:nth(N, Keys), Config);
                           (_, C) -> C
                        end, Ctx1, both_known(Ctx1)), Query);
watch(Ctx, _) -> Ctx.

both_known(Ctx) ->
    [N || N <- agw_media:running(Ctx),
          lists:all(fun(S) -> maps:get(remote, agw_media:stream(Ctx, S, N), []) =/= [] end, [access, core])].

stream(#{answered := Since} = Ctx, N, none, _, Config) ->
    late(Ctx, {ice, N}, Since, maps:get(ice_ms, Config, 30000), fun() ->
        failed(Ctx, N, "ICE connectivity check failure")
    end);
stream(Ctx, N, {Ip, Port} = End, Secured, Config) ->
    Found = {found, N},
    Ctx1 = case Ctx of
               #{Found := {End, _}} -> Ctx;
               _ ->
                   result(Ctx, N),
                   peer(Ctx, N, Ip, Port),
                   Ctx#{Found => {End, now_ms()}}
           end,
    {_, Since} = maps:get(Found, Ctx1),
    case Secured of
        true -> Ctx1;
        false -> late(Ctx1, {dtls, N}, Since, maps:get(dtls_ms, Config, 15000), fun() ->
                     failed(Ctx1, N, "DTLS session establishment failure")
                 end)
    end.

late(Ctx, Key, Since, Limit, Tell) ->
    case {Ctx, now_ms() - Since >= Limit} of
        {#{Key := told}, _} -> Ctx;
        {_, true} -> Tell(), Ctx#{Key => told};
        _ -> Ctx
    end.

failed(Ctx, N, Text) ->
    subscribed(Ctx, access, "g/cause") =/= false
        andalso send(Ctx, access, "g/cause", [{"stream", integer_to_list(N)}, {"Generalcause", "FT"}, {"Failurecause", Text}]).

%% What a full agent would report (its checks are rtpengine's).
result(Ctx, N) ->
    subscribed(Ctx, access, "ostuncc/ccr") =/= false
        andalso send(Ctx, access, "ostuncc/ccr", [{"stream", integer_to_list(N)}, {"Result", "Success"}]).

peer(Ctx, N, Ip, Port) ->
    News = not agw_sdp:shows(maps:get(remote, agw_media:stream(Ctx, access, N)), {Ip, Port}),
    News andalso subscribed(Ctx, access, "ostuncc/nprc") =/= false
        andalso send(Ctx, access, "ostuncc/nprc", [{"stream", integer_to_list(N)}, {"address", Ip},
                                                   {"port", integer_to_list(Port)}]).

%% adid/ipstop: no packet from either side for dt seconds, though media are meant to flow.
silence(Ctx, Query) ->
    Packets = agw_rtp:packets(Query),
    Flows = lists:any(fun(N) -> maps:get(mode, agw_media:stream(Ctx, core, N), inactive) =/= inactive end,
                      agw_media:running(Ctx)),
    case {Ctx, subscribed(Ctx, access, "adid/ipstop")} of
        {_, false} -> Ctx;
        {#{packets := {Packets, Since}}, {_, Ps}} when Flows ->
            late(Ctx, {silent, Packets}, Since, 1000 * list_to_integer(proplists:get_value("dt", Ps, "60")), fun() ->
                send(Ctx, access, "adid/ipstop", [{"stream", "1"}])
            end);
        _ -> Ctx#{packets => {Packets, now_ms()}}
    end.

%% -- sending ---------------------------------------------------------------------------------------------------------

send(#{id := Id} = Ctx, Side, Event, Parameters) ->
    spawn(fun() ->
        Code = notify(Ctx, Side, Event, Parameters),
        io:format("event=notified context=~w what=~s answer=~0p~n", [Id, Event, Code]),
        agw_core ! {notified, Id, Code}
    end).

%% One event of a side's termination: ok, or the error code of the answer. "stream" is the stream's number.
notify(#{id := Id} = Ctx, Side, Event, Parameters) ->
    #{Side := #{name := Name, events := Events}} = agw_media:sides(Ctx),
    Request = case Events of none -> 0; {R, _} -> R end,
    {{Y, Mo, D}, {H, Mi, S}} = calendar:universal_time(),
    Observed = #'ObservedEvent'{
        eventName = Event,
        streamID = case proplists:get_value("stream", Parameters) of undefined -> asn1_NOVALUE; N -> list_to_integer(N) end,
        eventParList = [#'EventParameter'{eventParameterName = P, value = [V]}
                        || {P, V} <- Parameters, P =/= "stream"],
        timeNotation = #'TimeNotation'{date = lists:flatten(io_lib:format("~4..0w~2..0w~2..0w", [Y, Mo, D])),
                                       time = lists:flatten(io_lib:format("~2..0w~2..0w~2..0w00", [H, Mi, S]))}},
    call(Id, {notifyReq, #'NotifyRequest'{terminationID = [agw_ctx:term_id(Name)],
                                          observedEventsDescriptor = #'ObservedEventsDescriptor'{
                                              requestId = Request, observedEventLst = [Observed]}}}).

%% Context is a number, "-" or "*".
service_change(Context, Termination, Method, Reason) ->
    Id = case Context of
             "-" -> ?megaco_null_context_id;
             "*" -> ?megaco_all_context_id;
             _ -> list_to_integer(Context)
         end,
    call(Id, {serviceChangeReq, #'ServiceChangeRequest'{
        terminationID = [agw_ctx:term_id(Termination)],
        serviceChangeParms = #'ServiceChangeParm'{serviceChangeMethod = Method, serviceChangeReason = [Reason]}}}).

call(Id, Command) ->
    case agw_assoc:call([#'ActionRequest'{contextId = Id, commandRequests = [#'CommandRequest'{command = Command}]}]) of
        {ok, [#'ActionReply'{errorDescriptor = #'ErrorDescriptor'{errorCode = Code}} | _]} -> Code;
        {ok, [#'ActionReply'{commandReply = [{notifyReply, #'NotifyReply'{errorDescriptor = E}} | _]} | _]}
          when E =/= asn1_NOVALUE -> E#'ErrorDescriptor'.errorCode;
        {ok, _} -> ok;
        {error, #'ErrorDescriptor'{errorCode = Code}} -> Code;
        {error, Reason} -> Reason
    end.
