%% The association with the eP-CSCF: connection, registration by ServiceChange, and how it ends.
-module(agw_assoc).
-export([start/0, registered/0, disconnected/1, cut/1, restart/2, leave/3, back/0, call/1, send_raw/1, registrations/0,
         service_change/1]).

-include_lib("megaco/include/megaco.hrl").
-include_lib("megaco/include/megaco_message_v2.hrl").

-define(AGAIN_MS, 300).

start() ->
    Mid = mid(),
    ok = megaco:start(),
    Timer = case agw:config(transport) of
                udp -> #megaco_incr_timer{wait_for = 500, factor = 2, max_retries = 4};
                tcp -> 5000
            end,
    ok = megaco:start_user(Mid, [
        {user_mod, agw_user}, {send_mod, agw_link}, {encoding_mod, agw:config(codec)}, {encoding_config, []},
        {strict_version, false}, {protocol_version, 1}, {request_timer, Timer}, {long_request_timer, 10000},
        {pending_timer, agw:config(pending_ms, 2000)}]),
    Transport = case agw:config(transport) of
                    tcp -> {ok, S} = megaco_tcp:start_transport(), S;
                    udp -> {ok, S} = megaco_udp:start_transport(), S
                end,
    Pid = spawn_link(fun() -> loop(#{transport => Transport, state => down, times => 0}) end),
    register(?MODULE, Pid),
    Pid ! {register, restart, "901 Cold Boot"},
    Pid ! watch,
    ok.

mid() ->
    {Ip, Port} = agw:config(mid),
    {ip4Address, #'IP4Address'{address = tuple_to_list(Ip), portNumber = Port}}.

ask(What) ->
    Ref = make_ref(),
    ?MODULE ! {ask, self(), Ref, What},
    receive {Ref, Answer} -> Answer after 10000 -> timeout end.

registered() -> ask(registered).
registrations() -> ask(registrations).
disconnected(Reason) -> ?MODULE ! {disconnected, Reason}.
%% The connection is cut, and comes again (`away_ms`) with Disconnected, or with the method that the rule says.
cut(Rule) -> ?MODULE ! {cut, maps:get(away_ms, Rule, ?AGAIN_MS)}, ok.
%% cold: nothing survives; warm: contexts do; lost: they do not, but it does not say so.
restart(Kind, Away) -> ?MODULE ! {restart, Kind, Away}, ok.
leave(Method, Reason, Delay) -> ask({leave, Method, Reason, Delay}).
back() -> ?MODULE ! back, ok.
send_raw(Bin) -> ask({raw, Bin}).
%% ServiceChange that the eP-CSCF sent to ROOT.
service_change(P) -> ?MODULE ! {told, P}, ok.

%% A request of the gateway's own: -> {ok, [ActionReply]} | {error, Reason}.
call(Actions) ->
    case connection() of
        none -> {error, not_connected};
        CH ->
            case megaco:call(CH, Actions, [{protocol_version, ask(version)}]) of
                {_, {ok, Replies}} -> {ok, Replies};
                {_, {error, _} = E} -> E;
                {_, {error, _, Reason}} -> {error, Reason};
                Other -> {error, Other}
            end
    end.

connection() ->
    case megaco:user_info(mid(), connections) of [CH | _] -> CH; _ -> none end.

loop(State) ->
    receive
        {ask, From, Ref, What} ->
            {Answer, State1} = answer(What, State),
            From ! {Ref, Answer},
            loop(State1);
        Event -> loop(event(Event, State))
    end.

answer(registered, #{state := S} = State) -> {S =:= up, State};
answer(registrations, #{times := N} = State) -> {N, State};
answer(version, State) -> {maps:get(version, State, 1), State};
answer({raw, Bin}, #{handle := H} = State) -> {agw_link:raw(H, Bin), State};
answer({leave, Method, Reason, Delay}, #{state := up} = State) ->
    {sc(Method, Reason, State#{delay => Delay}), case Method of graceful -> State; _ -> State#{state := left} end};
answer(_, State) -> {failed, State}.

event({register, Method, Reason}, #{state := down} = State) ->
    case connect(State) of
        {ok, State1} -> registered(sc(Method, Reason, State1), Method, Reason, State1);
        Error ->
            io:format("event=not-connected why=~0p~n", [Error]),
            later({register, Method, Reason}, ?AGAIN_MS, State)
    end;
event({disconnected, _}, #{state := up} = State) ->
    io:format("event=disconnected~n"),
    later({register, disconnected, "900 Service Restored"}, ?AGAIN_MS, close(State));
event({cut, Away}, State) ->
    io:format("event=cut~n"),
    away({register, disconnected, "900 Service Restored"}, Away, close(State));
event({restart, Kind, Away}, State) ->
    State1 = close(State),
    Kind =:= warm orelse agw:forget(),
    away(case Kind of
             cold -> {register, restart, "901 Cold Boot"};
             warm -> {register, restart, "902 Warm Boot"};
             lost -> {register, disconnected, "900 Service Restored"}
         end, Away, State1);
%% As the Inactivity Timeout package would have it: who hears nothing for long comes again.
event(watch, State) ->
    erlang:send_after(1000, self(), watch),
    Quiet = erlang:monotonic_time(millisecond) - agw:config(heard, 0) > agw:config(silence_ms, 60000),
    case State of
        #{state := up} when Quiet ->
            case agw:deaf() of true -> State; false -> event({disconnected, silence}, State) end;
        _ -> State
    end;
event(back, #{state := up} = State) -> State;
event(back, State) -> event({register, restart, "901 Cold Boot"}, (close(State))#{state := down});
event({told, #'ServiceChangeParm'{serviceChangeMethod = Method}}, State) ->
    io:format("event=told-to method=~w~n", [Method]),
    told(Method, State);
event(_, State) -> State.

%% TS 23.334: register again, drop what there is, or nothing (the eP-CSCF drains).
told(handOff, State) -> later({register, restart, "902 Warm Boot"}, 0, close(State));
told(restart, State) -> agw:forget(), State;
told(forced, State) -> agw:forget(), State;
told(_, State) -> State.

later(Event, Ms, State) -> away(Event, Ms, State).

away(_, infinity, State) -> State#{state := left};
away(Event, Ms, State) ->
    erlang:send_after(Ms, self(), Event),
    State#{state := down}.

%% -- connection -----------------------------------------------------------------------------------------------

connect(#{transport := Sup} = State) ->
    RH = megaco:user_info(mid(), receive_handle),
    {Host, Port} = agw:config(mgc),
    {Ip, Own} = agw:config(mid),
    case agw:config(transport) of
        tcp ->
            case megaco_tcp:connect(Sup, [{host, Host}, {port, Port}, {receive_handle, RH}, {module, agw_link},
                                          {tcp_options, [{ip, Ip}, {nodelay, true}]}]) of
                {ok, Socket, Pid} -> attach(RH, agw_link:wrap(megaco_tcp, Socket), Pid, State#{socket => Socket});
                Error -> Error
            end;
        udp ->
            case megaco_udp:open(Sup, [{port, Own}, {receive_handle, RH}, {module, agw_link}, {udp_options, [{ip, Ip}]}]) of
                {ok, Socket, Pid} ->
                    Handle = megaco_udp:create_send_handle(Socket, Host, Port),
                    attach(RH, agw_link:wrap(megaco_udp, Handle), Pid, State#{socket => Handle});
                Error -> Error
            end
    end.

attach(RH, Handle, Pid, State) ->
    case megaco:connect(RH, preliminary_mid, Handle, Pid) of
        {ok, CH} -> {ok, State#{handle => Handle, pid => Pid, ch => CH}};
        Error -> Error
    end.

close(#{pid := Pid, socket := Socket} = State) ->
    [megaco:disconnect(CH, gone) || CH <- megaco:user_info(mid(), connections)],
    catch case agw:config(transport) of tcp -> megaco_tcp:close(Socket); udp -> megaco_udp:close(Socket) end,
    exit(Pid, shutdown),
    maps:without([pid, socket, handle, ch], State#{state := down});
close(State) -> State#{state := down}.

%% -- ServiceChange on ROOT ----------------------------------------------------------------------------------------

registered({ok, [#'ActionReply'{commandReply = [{serviceChangeReply, #'ServiceChangeReply'{
               serviceChangeResult = {serviceChangeResParms, P}}}]}]}, _, _, #{times := N} = State) ->
    Version = case P#'ServiceChangeResParm'.serviceChangeVersion of asn1_NOVALUE -> 1; V -> V end,
    io:format("event=registered version=~w profile=~0p~n", [Version, P#'ServiceChangeResParm'.serviceChangeProfile]),
    State#{state := up, version => Version, times := N + 1};
registered(Other, Method, Reason, State) ->
    io:format("event=not-registered why=~0p~n", [Other]),
    later({register, Method, Reason}, 1000, close(State)).

%% The first message is of version 1 always (H.248.1 11.3), whose record has no ServiceChangeInfo.
sc(Method, Reason, #{ch := CH0} = State) ->
    {CH, Version} = case connection() of
                        C when C =/= none, map_get(state, State) =:= up -> {C, maps:get(version, State)};
                        _ -> {CH0, 1}
                    end,
    P = #'ServiceChangeParm'{
            serviceChangeMethod = Method, serviceChangeReason = [Reason],
            serviceChangeDelay = case maps:get(delay, State, 0) of 0 -> asn1_NOVALUE; D -> D end,
            serviceChangeVersion = agw:config(version, 2),
            serviceChangeProfile = #'ServiceChangeProfile'{profileName = "threegiq", version = 4}},
    Command = #'CommandRequest'{command = {serviceChangeReq, #'ServiceChangeRequest'{
        terminationID = [?megaco_root_termination_id],
        serviceChangeParms = case Version of 1 -> erlang:delete_element(11, P); _ -> P end}}},
    Action = #'ActionRequest'{contextId = ?megaco_null_context_id, commandRequests = [Command]},
    case megaco:call(CH, [Action], [{protocol_version, Version}]) of
        {_, Result} -> Result;
        Other -> Other
    end.
