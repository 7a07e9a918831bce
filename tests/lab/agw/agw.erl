%% An eIMS-AGW for tests (TS 29.334) on Erlang's megaco, with rtpengine behind it (see README). This module has
%% its configuration, the rules, the one process that holds the contexts, and the commands of a scenario.
-module(agw).
-export([main/1, config/1, config/2, deaf/0, fault/1, rule_for/1, command_name/1, transaction/3, forget/0]).

-include_lib("megaco/include/megaco.hrl").
-include_lib("megaco/include/megaco_message_v2.hrl").

%% main([File]): terms {key, Value} of the configuration file. Returns only on a fault.
main([File]) ->
    {ok, Config} = file:consult(File),
    agw_config = ets:new(agw_config, [named_table, public]),
    ets:insert(agw_config, [{rules, []}, {faults, 0}, {deaf, false} | Config]),
    %% Connections end here as a matter of course: no reports of supervisors.
    ok = logger:add_primary_filter(quiet, {fun logger_filters:domain/2, {stop, sub, [otp, sasl]}}),
    agw_link:start(config(record)),
    Core = spawn_link(fun() ->
        {Ip, Port} = config(rtpengine),
        ok = agw_rtp:open(Ip, Port),
        erlang:send_after(500, self(), tick),
        core(agw_ctx:new(maps:from_list(Config)))
    end),
    register(agw_core, Core),
    register(agw_rules, spawn_link(fun rules/0)),
    ok = agw_assoc:start(),
    {ControlIp, ControlPort} = config(control),
    hss_control:serve(ControlIp, ControlPort, fun command/1).

config(Key) ->
    [{_, Value}] = ets:lookup(agw_config, Key),
    Value.

config(Key, Default) ->
    case ets:lookup(agw_config, Key) of [{_, Value}] -> Value; [] -> Default end.

deaf() -> config(deaf).

%% Something that the eP-CSCF should not have sent.
fault(Text) ->
    io:format("event=fault text=~0p~n", [Text]),
    ets:update_counter(agw_config, faults, 1),
    ok.

%% -- the contexts ---------------------------------------------------------------------------------------------

ask(What) ->
    Ref = make_ref(),
    agw_core ! {ask, self(), Ref, What},
    receive {Ref, Answer} -> Answer after 20000 -> timeout end.

%% -> [ActionReply] or an ErrorDescriptor.
transaction(_, _, #{error := Code, level := transaction} = Rule) ->
    #'ErrorDescriptor'{errorCode = Code, errorText = maps:get(text, Rule, "refused by a rule")};
transaction(Actions, Version, Rule) ->
    case ask({transaction, Actions, Rule}) of
        Replies when is_list(Replies) -> Replies;
        Other ->
            fault(lists:flatten(io_lib:format("version ~w: ~0p", [Version, Other]))),
            #'ErrorDescriptor'{errorCode = 500, errorText = "Internal software failure in the MG"}
    end.

%% All contexts go, and rtpengine's calls with them; nobody is told.
forget() -> ask(forget).

core(State) ->
    receive
        {ask, From, Ref, What} ->
            {Answer, State1} = try answer(What, State)
                               catch Class:Reason:Stack -> {{Class, Reason, Stack}, State}
                               end,
            From ! {Ref, Answer},
            core(counted(State1));
        {service_change, P} ->
            agw_assoc:service_change(P),
            core(State);
        tick ->
            erlang:send_after(500, self(), tick),
            core(agw_event:look(State));
        {notified, _, 505} -> %% it has given us up
            agw_assoc:disconnected(not_registered),
            core(State);
        {notified, Id, Error} when Error =:= 411; Error =:= 430 ->
            %% The eP-CSCF does not know it any more: a hanging context.
            io:format("event=hanging-context-dropped context=~w~n", [Id]),
            case State of
                #{contexts := #{Id := _}} -> core(agw_ctx:drop(Id, State));
                _ -> core(State)
            end;
        _ -> core(State)
    end.

counted(#{faults := []} = State) -> State;
counted(#{faults := Faults} = State) ->
    [fault(lists:flatten(io_lib:format("~w ~s", [Code, Text]))) || {Code, Text} <- Faults],
    State#{faults := []}.

answer({transaction, Actions, #{error := Code} = Rule}, State) ->
    Refuse = {maps:get(at, Rule, 1), Code, maps:get(text, Rule, "refused by a rule"), maps:get(level, Rule, command)},
    {Replies, State1} = agw_ctx:transaction(Actions, State#{refuse => Refuse}),
    {Replies, maps:remove(refuse, State1)};
answer({transaction, Actions, _}, State) -> agw_ctx:transaction(Actions, State);
answer(forget, State) -> {ok, agw_ctx:drop_all(State)};
answer({drop, Id}, State) -> {ok, agw_ctx:drop(Id, State)};
answer(state, State) -> {State, State}.

%% -- rules -------------------------------------------------------------------------------------------------------

%% The first rule that matches; `skip` and `times` count down.
rule_for(Actions) ->
    Ref = make_ref(),
    agw_rules ! {find, self(), Ref, Actions},
    receive {Ref, Rule} -> Rule end.

rules() ->
    receive
        {find, From, Ref, Actions} ->
            From ! {Ref, find(Actions, config(rules), [])};
        {set, From, Ref, Rules} ->
            ets:insert(agw_config, {rules, Rules}),
            From ! {Ref, ok}
    end,
    rules().

find(_, [], _) -> #{};
find(Actions, [Rule | Rest], Before) ->
    case matches(maps:get(match, Rule, #{}), Actions) of
        false -> find(Actions, Rest, [Rule | Before]);
        true ->
            case Rule of
                #{skip := N} when N > 0 ->
                    ets:insert(agw_config, {rules, lists:reverse(Before) ++ [Rule#{skip := N - 1} | Rest]}),
                    #{};
                _ ->
                    Left = case Rule of
                               #{times := 1} -> [];
                               #{times := N} -> [Rule#{times := N - 1}];
                               _ -> [Rule]
                           end,
                    ets:insert(agw_config, {rules, lists:reverse(Before) ++ Left ++ Rest}),
                    io:format("event=rule ~0p~n", [Rule]),
                    Rule
            end
    end.

%% Without a command a rule is for what makes and changes contexts: audits pass.
matches(Match, Actions) ->
    Commands = [C || #'ActionRequest'{commandRequests = Cs} <- Actions, C <- Cs],
    Names = [list_to_atom(command_name(C)) || C <- Commands],
    Command = case Match of
                  #{command := any} -> true;
                  #{command := Name} -> lists:member(Name, Names);
                  _ -> [N || N <- Names, lists:member(N, ['Add', 'Modify', 'Subtract'])] =/= []
              end,
    Text = lists:flatten(io_lib:format("~0p", [Actions])),
    Command andalso string:find(Text, maps:get(text, Match, "")) =/= nomatch.

command_name(#'CommandRequest'{command = {Tag, _}}) ->
    case Tag of
        addReq -> "Add";
        modReq -> "Modify";
        moveReq -> "Move";
        subtractReq -> "Subtract";
        auditValueRequest -> "AuditValue";
        auditCapRequest -> "AuditCapability";
        serviceChangeReq -> "ServiceChange";
        notifyReq -> "Notify"
    end.

%% -- commands (see README) -----------------------------------------------------------------------------------------

command(["ping"]) -> "ok";
command(["rules" | Words]) ->
    {ok, Tokens, _} = erl_scan:string(lists:flatten(lists:join(" ", Words)) ++ "."),
    {ok, Rules} = erl_parse:parse_term(Tokens),
    Ref = make_ref(),
    agw_rules ! {set, self(), Ref, Rules},
    receive {Ref, ok} -> "ok" end;
command(["registered"]) -> atom_to_list(agw_assoc:registered());
command(["registrations"]) -> integer_to_list(agw_assoc:registrations());
command(["contexts"]) -> integer_to_list(maps:size(contexts()));
command(["terminations"]) -> integer_to_list(lists:sum([maps:size(T) || #{terms := T} <- maps:values(contexts())]));
command(["held"]) ->
    lists:join(" ", [[integer_to_list(Id), ":", lists:join(",", lists:sort(maps:keys(T)))]
                     || {Id, #{terms := T}} <- lists:sort(maps:to_list(contexts()))]);
command(["modes"]) -> %% context:side/stream=mode
    lists:join(" ", [io_lib:format("~w:~s/~w=~s", [Id, Side, N, maps:get(mode, S, inactive)])
                     || {Id, #{terms := T}} <- lists:sort(maps:to_list(contexts())),
                        #{side := Side, streams := Ss} <- maps:values(T), {N, S} <- lists:sort(maps:to_list(Ss))]);
command(["opened"]) -> integer_to_list(maps:get(opened, ask(state)));
command(["faults"]) -> integer_to_list(config(faults));
command(["cut" | Ms]) -> said(agw_assoc:cut(#{away_ms => away(Ms)}));
command(["restart", Kind | Ms]) -> said(agw_assoc:restart(list_to_atom(Kind), away(Ms)));
command(["back"]) -> said(agw_assoc:back());
command(["leave", Method, Delay | Reason]) ->
    case agw_assoc:leave(list_to_atom(Method), lists:flatten(lists:join(" ", Reason)), list_to_integer(Delay)) of
        {ok, _} -> "ok";
        Other -> io_lib:format("~0p", [Other])
    end;
command(["deaf", OnOff]) ->
    ets:insert(agw_config, {deaf, OnOff =:= "on"}),
    "ok";
command(["forget"]) -> said(forget());
command(["drop", Id]) -> said(ask({drop, list_to_integer(Id)}));
command(["raw", Hex]) -> said(agw_assoc:send_raw(<<<<(list_to_integer([A, B], 16))>> || <<A, B>> <= list_to_binary(Hex)>>));
command(["notify", Context, Side, Event | Parameters]) ->
    said(agw_event:notify(context(Context), list_to_atom(Side), Event,
                          [list_to_tuple(string:split(P, "=")) || P <- Parameters]));
command(["service", Context, Termination, Method | Reason]) ->
    said(agw_event:service_change(Context, Termination, list_to_atom(Method), lists:flatten(lists:join(" ", Reason))));
command(_) -> "what".

contexts() -> maps:get(contexts, ask(state)).

context("any") -> hd(maps:values(contexts()));
context(Id) -> maps:get(list_to_integer(Id), contexts()).

away([]) -> 300;
away(["for", "good"]) -> infinity;
away([Ms]) -> list_to_integer(Ms).

said(ok) -> "ok";
said(Code) when is_integer(Code) -> integer_to_list(Code);
said(Other) -> io_lib:format("~0p", [Other]).
