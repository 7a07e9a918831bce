%% A PCRF for tests on Erlang's diameter: the Rx side of TS 29.214, strict, over TCP (see README).
%% What it grants, refuses, holds and says by itself; the wire is in pcrf_wire.erl, what a request must
%% be like in pcrf_check.erl.
-module(pcrf).
-export([main/1]).
%% callbacks of diameter
-export([peer_up/3, peer_down/3, pick_peer/4, prepare_request/3, prepare_retransmit/3,
         handle_answer/4, handle_error/4, handle_request/3]).

-include_lib("diameter/include/diameter.hrl").
-include_lib("diameter/include/diameter_gen_base_rfc6733.hrl").

-define(SERVICE, pcrf).
-define(RX, 16777236).
-define(TGPP, 10415).
-define(WEBRTC, 32473).
%% Rel8, Rel9, ProvAFsignalFlow, Rel10, NetLoc (TS 29.214 5.4.1)
-define(FEATURES, 16#37).

%% main([Config]): terms {key, Value} of the configuration file. Returns only on a fault.
main([File]) ->
    {ok, Config} = file:consult(File),
    Get = fun(Key) -> proplists:get_value(Key, Config) end,
    [ets:new(T, [named_table, public]) || T <- [sessions, config, seen]],
    ets:insert(config, [{rules, []}, {opened, 0}, {faults, 0}, {webrtc, false},
                        {state_id, os:system_time(second)} | Config]),
    register(pcrf_serial, spawn_link(fun() ->
        {ok, Record} = file:open(Get(record), [append, raw]),
        serial(Record)
    end)),
    ok = diameter:start(),
    ok = diameter:start_service(?SERVICE, service(Get)),
    listen(),
    hss_control:serve(Get(ip), Get(control_port), fun command/1).

listen() ->
    {ok, Ref} = diameter:add_transport(?SERVICE, {listen, [
        {transport_module, diameter_tcp},
        %% A peer that comes back is taken at once (RFC 3539 would have three watchdogs first).
        {watchdog_timer, 6000}, {watchdog_config, [{okay, 0}]},
        {disconnect_cb, fun(_, _, _) -> {dpr, [{cause, rebooting}]} end},
        {transport_config, [{ip, config(ip)}, {port, config(port)}, {reuseaddr, true}]}]}),
    ets:insert(config, {transport, Ref}).

service(Get) ->
    [{'Origin-Host', Get(host)}, {'Origin-Realm', Get(realm)}, {'Host-IP-Address', [Get(ip)]},
     {'Vendor-Id', ?TGPP}, {'Product-Name', "lab PCRF"}, {'Supported-Vendor-Id', [?TGPP]},
     {'Origin-State-Id', config(state_id)},
     {'Vendor-Specific-Application-Id',
      [#'diameter_base_Vendor-Specific-Application-Id'{'Vendor-Id' = ?TGPP,
                                                       'Auth-Application-Id' = [?RX]}]},
     {string_decode, false}, {decode_format, map}, {strict_mbit, true}, {strict_arities, true},
     {restrict_connections, false},
     {application, [{alias, rx}, {dictionary, pcrf_rx}, {module, ?MODULE},
                    {answer_errors, callback}, {request_errors, callback}]}].

%% One at a time: judgements, and lines of the record.
serial(Record) ->
    receive
        {do, From, Ref, Fun} -> From ! {Ref, Fun()};
        {write, Line} -> ok = file:write(Record, Line)
    end,
    serial(Record).

one_at_a_time(Fun) ->
    Ref = make_ref(),
    pcrf_serial ! {do, self(), Ref, Fun},
    receive {Ref, Result} -> Result end.

record(Direction, Command, Bin, Faults) ->
    ets:update_counter(config, faults, length(Faults)),
    [log("fault ~s ~s", [Command, F]) || F <- Faults],
    pcrf_serial ! {write, pcrf_wire:json(Direction, Command, pcrf_wire:tree(Bin), Faults)}.

%% -- diameter ---------------------------------------------------------------------------------------

peer_up(_, {_, Caps}, State) ->
    #diameter_caps{origin_host = {_, Host}} = Caps,
    log("peer-up host=~s", [Host]),
    ets:insert(config, {{peer, Host}, up}),
    State.

peer_down(_, {_, Caps}, State) ->
    #diameter_caps{origin_host = {_, Host}} = Caps,
    log("peer-down host=~s", [Host]),
    ets:delete(config, {peer, Host}),
    State.

pick_peer([Peer | _], _, _, _) -> {ok, Peer};
pick_peer([], _, _, _) -> false.

prepare_request(#diameter_packet{msg = [Name | Avps]}, _, {_, Caps}) ->
    #diameter_caps{origin_host = {Host, Peer}, origin_realm = {Realm, PeerRealm}} = Caps,
    Msg = [Name | Avps#{'Origin-Host' => Host, 'Origin-Realm' => Realm, 'Destination-Host' => Peer,
                        'Destination-Realm' => PeerRealm, 'Auth-Application-Id' => ?RX,
                        'Origin-State-Id' => [config(state_id)]}],
    #diameter_packet{bin = Bin} = diameter_codec:encode(pcrf_rx, Msg),
    record(out, Name, Bin, []),
    {send, Msg}.

prepare_retransmit(Packet, _, _) -> {send, Packet}.

handle_answer(#diameter_packet{msg = [_ | Avps], bin = Bin, errors = Errors}, [Name | _], _, _) ->
    {_, Tree} = pcrf_wire:tree(Bin),
    record(in, answer_name(Name), Bin, texts(strict(Errors) ++ pcrf_wire:flag_faults(Tree)
                                             ++ result_faults(Avps))),
    {ok, result_of(Avps)};
handle_answer(#diameter_packet{bin = Bin, errors = Errors}, [Name | _], _, _) ->
    record(in, answer_name(Name), Bin, texts(strict(Errors))),
    {error, undecodable}.

handle_error(Reason, _, _, _) -> {error, Reason}.

%% RFC 6733 7.6: one of the two, and one only.
result_faults(#{'Result-Code' := [_], 'Experimental-Result' := [_]}) ->
    [{5004, "an answer with Result-Code and Experimental-Result"}];
result_faults(#{'Result-Code' := _}) -> [];
result_faults(#{'Experimental-Result' := [_]}) -> [];
result_faults(_) -> [{5005, "an answer without a result"}].

result_of(#{'Result-Code' := [Code]}) -> Code;
result_of(#{'Result-Code' := Code}) -> Code;
result_of(#{'Experimental-Result' := [#{'Experimental-Result-Code' := Code}]}) -> Code;
result_of(_) -> none.

%% Answers go out as octets: then they can also be late, twice or wrong.
handle_request(#diameter_packet{header = H, bin = Bin, msg = Msg, errors = Errors}, _, {Transport, _}) ->
    Name = command_name(H),
    {_, Tree} = pcrf_wire:tree(Bin),
    Syntax = strict(Errors) ++ pcrf_wire:flag_faults(Tree) ++ first_avp(Tree) ++ unknown(Tree),
    Avps = case Msg of [_ | Map] when is_map(Map) -> Map; _ -> #{} end,
    Rule = rule_for(Name, Avps),
    case ets:lookup(seen, H#diameter_header.end_to_end_id) of
        [{_, Sent}] when H#diameter_header.is_retransmitted ->
            record(in, Name, Bin, []),
            Transport ! {send, again(Sent, H)};
        _ ->
            {Outcome, More, Faults} = one_at_a_time(fun() -> judge(Name, Avps, Syntax, Rule) end),
            record(in, Name, Bin, texts(Faults)),
            push(Rule, Avps, now),
            act(Rule, Name, Avps, H, Bin, Transport, {Outcome, More, Errors}),
            push(Rule, Avps, later)
    end,
    discard.

%% The same answer to the same request, which came by another connection.
again(<<Head:12/binary, _:32, Rest/binary>>, #diameter_header{hop_by_hop_id = Hop}) ->
    <<Head/binary, Hop:32, Rest/binary>>.

act(#{drop := true}, _, _, _, _, _, _) ->
    ok;
act(#{garbage := Kind}, _, _, _, Bin, Transport, _) ->
    {_, Tree} = T = pcrf_wire:tree(Bin),
    log("garbage kind=~s session=~s", [Kind, pcrf_wire:find('Session-Id', Tree)]),
    Transport ! {send, pcrf_wire:garbage(Kind, T, Bin)};
act(Rule, Name, Avps, H, _, Transport, Outcome) ->
    timer:sleep(maps:get(delay_ms, Rule, 0)),
    Answer = encode(Name, Avps, H, Outcome, Rule),
    ets:insert(seen, {H#diameter_header.end_to_end_id, Answer}),
    record(out, answer_name(Name), Answer, []),
    Transport ! {send, Answer},
    [Transport ! {send, Answer} || maps:get(twice, Rule, false)].

%% -- answers ------------------------------------------------------------------------------------------

encode(Name, Avps, H, {Outcome, More, Errors}, Rule) ->
    Head = #diameter_header{version = 1, end_to_end_id = H#diameter_header.end_to_end_id,
                            hop_by_hop_id = H#diameter_header.hop_by_hop_id,
                            is_error = is_error(Outcome, Rule)},
    Base = #{'Session-Id' => maps:get('Session-Id', Avps, <<"unknown">>), 'Origin-Host' => config(host),
             'Origin-Realm' => config(realm), 'Origin-State-Id' => [config(state_id)]},
    Msg = maps:merge(maps:merge(Base, application(Name)), maps:merge(result(Outcome), More)),
    Failed = [#{'AVP' => [A]} || {_, #diameter_avp{data = D} = A} <- lists:sublist(Errors, 1), is_binary(D)],
    Whole = [answer_name(Name) | if Failed =:= [] -> Msg; true -> Msg#{'Failed-AVP' => Failed} end],
    #diameter_packet{bin = Bin} =
        diameter_codec:encode(pcrf_rx, #diameter_packet{header = Head, msg = Whole}),
    Bin.

is_error({result, Code}, _) when Code div 1000 =:= 3 -> true;
is_error(_, Rule) -> maps:get(error_bit, Rule, false).

application('AAR') -> #{'Auth-Application-Id' => ?RX};
application(_) -> #{}.

result({result, Code}) -> #{'Result-Code' => [Code]};
result({experimental, Code}) ->
    #{'Experimental-Result' => [#{'Vendor-Id' => ?TGPP, 'Experimental-Result-Code' => Code}]}.

command_name(#diameter_header{cmd_code = 265}) -> 'AAR';
command_name(#diameter_header{cmd_code = 275}) -> 'STR';
command_name(#diameter_header{cmd_code = 258}) -> 'RAR';
command_name(#diameter_header{cmd_code = 274}) -> 'ASR'.

answer_name('AAR') -> 'AAA';
answer_name('STR') -> 'STA';
answer_name('RAR') -> 'RAA';
answer_name('ASR') -> 'ASA'.

%% -- judgement ----------------------------------------------------------------------------------------

%% What the codec found: missing, too many, unknown with M, wrong size, value out of range.
strict(Errors) ->
    [case E of
         {Code, #diameter_avp{code = C, vendor_id = V, name = N}} ->
             {Code, io_lib:format("the codec says ~w of AVP ~w (~w, vendor ~w)", [Code, N, C, V])};
         Code -> {Code, io_lib:format("the codec says ~w", [Code])}
     end || E <- Errors].

first_avp([{263, 0, _, _, _, _} | _]) -> [];
first_avp(_) -> [{5004, "Session-Id is not the first AVP"}].

%% Allowed by *[AVP]; but what we send is what we know.
unknown(Tree) ->
    lists:flatmap(fun({Code, Vendor, _, '?', _, _}) ->
                          [{noted, io_lib:format("unknown AVP ~w of vendor ~w", [Code, Vendor])}];
                     ({_, _, _, _, 'Grouped', Inner}) -> unknown(Inner);
                     (_) -> []
                  end, Tree).

texts(Faults) -> [lists:flatten(Text) || {_, Text} <- Faults, is_list(Text)].

%% {Outcome, AVPs of the answer, Faults}; a session that is granted is held from here on.
judge(Name, Avps, Syntax, Rule) ->
    {Next, More, Faults} = try judged(Name, Avps)
                           catch Class:Reason:Stack ->
                               log("judge failed ~0p", [{Class, Reason, Stack}]),
                               {none, #{}, [{5012, io_lib:format("cannot be judged: ~0p", [Reason])}]}
                           end,
    All = Syntax ++ Faults,
    %% `answered`: no fault of the request's making, yet it is not granted.
    case {[C || {C, _} <- All, C =/= noted, C =/= answered], [C || {answered, C} <- All]} of
        {[{experimental, Code} | _], _} -> {{experimental, Code}, #{}, All};
        {[Code | _], _} -> {{result, Code}, #{}, All};
        {[], [Code | _]} -> {{result, Code}, #{}, Syntax};
        {[], []} -> granted(Name, Avps, Next, More, All, Rule)
    end.

granted(_, _, _, _, Faults, #{experimental := Code} = Rule) -> {{experimental, Code}, extra(Rule), Faults};
granted(_, _, _, _, Faults, #{result := Code} = Rule) when Code =/= 2001 ->
    {{result, Code}, extra(Rule), Faults};
granted(_, _, _, _, Faults, #{drop := true}) -> {{result, 2001}, #{}, Faults};
granted(_, _, _, _, Faults, #{garbage := _}) -> {{result, 2001}, #{}, Faults};
granted(Name, Avps, Next, More, Faults, _) ->
    hold(Name, maps:get('Session-Id', Avps), Next),
    {{result, 2001}, More, Faults}.

hold('AAR', Sid, Session) ->
    ets:member(sessions, Sid) orelse ets:update_counter(config, opened, 1),
    ets:insert(sessions, {Sid, Session});
hold('STR', Sid, _) ->
    ets:delete(sessions, Sid).

judged('AAR', #{'Session-Id' := Sid} = Avps) ->
    Options = #{webrtc => config(webrtc)},
    Update = maps:get('Rx-Request-Type', Avps, []) =:= [1],
    case ets:lookup(sessions, Sid) of
        [] when Update -> {none, #{}, [{answered, 5002}]};
        [] ->
            {Session, Faults} = pcrf_check:initial(Avps, Options),
            {Session, first_answer(Sid, Avps), addressed(Avps) ++ Faults};
        [{_, Session}] ->
            {Next, Faults} = pcrf_check:update(Session, Avps, Options),
            {Next, #{}, addressed(Avps) ++ class(Sid, Avps) ++ Faults
             ++ [{5004, "an initial request for a session that is open"} || not Update]}
    end;
judged('STR', #{'Session-Id' := Sid, 'Termination-Cause' := Cause} = Avps) ->
    case ets:lookup(sessions, Sid) of
        [] -> {none, #{}, [{answered, 5002}]};
        [{_, Session}] -> {Session, #{}, addressed(Avps) ++ class(Sid, Avps)
                           ++ [{5004, io_lib:format("Termination-Cause ~w", [Cause])}
                               || not lists:member(Cause, [1, 4, 5, 8])]}
    end;
judged(_, Avps) when not is_map_key('Session-Id', Avps) ->
    {none, #{}, []};
judged(_, _) ->
    {none, #{}, [{3001, "a request that a PCRF does not take"}]}.

addressed(Avps) ->
    Here = list_to_binary(config(host)),
    [{5004, io_lib:format("Destination-Host ~s", [H])}
     || H <- maps:get('Destination-Host', Avps, []), H =/= Here]
        ++ [{5004, "Auth-Session-State that keeps no state"} || [1] =:= maps:get('Auth-Session-State', Avps, [])].

%% RFC 6733 8.20: what we gave comes back.
class(Sid, Avps) ->
    Wanted = [class_of(Sid)],
    [{noted, "Class is not what the AAA gave"} || maps:get('Class', Avps, []) =/= Wanted].

class_of(Sid) -> list_to_binary(io_lib:format("lab-~8.16.0b", [erlang:phash2(Sid)])).

first_answer(Sid, Avps) ->
    Asked = maps:get('Supported-Features', Avps, []),
    Ours = [#{'Vendor-Id' => ?TGPP, 'Feature-List-ID' => 1, 'Feature-List' => Bits band ?FEATURES}
            || #{'Vendor-Id' := ?TGPP, 'Feature-List-ID' := 1, 'Feature-List' := Bits} <- Asked],
    WebRtc = [#{'Vendor-Id' => ?WEBRTC, 'Feature-List-ID' => 1, 'Feature-List' => 1} || config(webrtc)],
    #{'Class' => [class_of(Sid)], 'IP-CAN-Type' => [5], 'RAT-Type' => [1004],
      'Supported-Features' => Ours ++ WebRtc}.

%% -- rules (see README) -------------------------------------------------------------------------------

rule_for(Name, Avps) ->
    one_at_a_time(fun() -> take(config(rules), Name, Avps, []) end).

take([], _, _, _) -> #{};
take([Rule | Rest], Name, Avps, Before) ->
    case matches(maps:to_list(maps:get(match, Rule, #{})), Name, Avps) of
        false -> take(Rest, Name, Avps, [Rule | Before]);
        true ->
            Left = case maps:get(times, Rule, 0) of
                       0 -> [Rule];
                       1 -> [];
                       N -> [Rule#{times := N - 1}]
                   end,
            ets:insert(config, {rules, lists:reverse(Before) ++ Left ++ Rest}),
            Rule
    end.

matches(Wanted, Name, Avps) ->
    %% Without a command a rule is for AARs.
    (lists:keymember(command, 1, Wanted) orelse Name =:= 'AAR')
        andalso lists:all(fun(W) -> match(W, Name, Avps) end, Wanted).

match({command, Command}, Name, _) -> Command =:= Name;
match({subscription, Part}, _, Avps) ->
    lists:any(fun(#{'Subscription-Id-Data' := D}) -> binary:match(D, list_to_binary(Part)) =/= nomatch end,
              maps:get('Subscription-Id', Avps, []));
match({media_type, Type}, _, Avps) ->
    lists:any(fun(C) -> maps:get('Media-Type', C, []) =:= [Type] end,
              maps:get('Media-Component-Description', Avps, []));
match({request_type, Type}, _, Avps) ->
    maps:get('Rx-Request-Type', Avps, [0]) =:= [Type].

extra(Rule) ->
    Retry = case Rule of
                #{retry_interval := S} -> #{'Retry-Interval' => [S]};
                _ -> #{}
            end,
    case maps:get(acceptable, Rule, []) of
        [] -> Retry;
        All -> Retry#{'Acceptable-Service-Info' => [lists:foldl(fun acceptable/2, #{}, All)]}
    end.

acceptable(#{ul := Ul, dl := Dl} = A, Info) ->
    Widths = #{'Max-Requested-Bandwidth-UL' => [Ul], 'Max-Requested-Bandwidth-DL' => [Dl]},
    case A of
        #{component := N} ->
            Info#{'Media-Component-Description' =>
                      maps:get('Media-Component-Description', Info, [])
                      ++ [Widths#{'Media-Component-Number' => N}]};
        _ -> maps:merge(Info, Widths)
    end.

%% -- requests of our own --------------------------------------------------------------------------------

%% `push_asr` and `push_rar` go out before the answer, the others so long after it.
push(Rule, #{'Session-Id' := Sid}, now) ->
    [spawn(fun() -> abort(Sid, Cause) end) || Cause <- [maps:get(push_asr, Rule, none)], Cause =/= none],
    [spawn(fun() -> report(Sid, Actions, []) end) || Actions <- [maps:get(push_rar, Rule, [])], Actions =/= []],
    ok;
push(Rule, #{'Session-Id' := Sid}, later) ->
    Open = ets:member(sessions, Sid),
    [spawn(fun() -> timer:sleep(Ms), abort(Sid, maps:get(abort_cause, Rule, 0)) end)
     || #{abort_after_ms := Ms} <- [Rule], Open],
    [spawn(fun() ->
               timer:sleep(Ms),
               report(Sid, maps:get(specific_action, Rule, [4]), maps:get(lost, Rule, []))
           end) || #{rar_after_ms := Ms} <- [Rule], Open],
    ok;
push(_, _, _) ->
    ok.

abort(Sid, Cause) ->
    call('ASR', #{'Session-Id' => Sid, 'Abort-Cause' => Cause}).

report(Sid, Actions, Lost) ->
    call('RAR', #{'Session-Id' => Sid, 'Specific-Action' => Actions,
                  'Flows' => [#{'Media-Component-Number' => N} || N <- Lost]}).

call(Name, Avps) ->
    Result = diameter:call(?SERVICE, rx, [Name | Avps], [{timeout, 8000}]),
    log("~s session=~s result=~0p", [Name, maps:get('Session-Id', Avps), Result]),
    Result.

%% -- commands (see README) --------------------------------------------------------------------------------

command(["ping"]) -> "ok";
command(["rules" | Words]) ->
    {ok, Tokens, _} = erl_scan:string(lists:flatten(lists:join(" ", Words)) ++ "."),
    {ok, Rules} = erl_parse:parse_term(Tokens),
    ets:insert(config, {rules, Rules}),
    "ok";
command(["sessions"]) -> integer_to_list(ets:info(sessions, size));
command(["ids"]) -> lists:join(" ", [binary_to_list(S) || {S, _} <- ets:tab2list(sessions)]);
command(["opened"]) -> integer_to_list(config(opened));
command(["faults"]) -> integer_to_list(config(faults));
command(["peer", Host]) ->
    case ets:member(config, {peer, list_to_binary(Host)}) of true -> "up"; false -> "down" end;
command(["webrtc", OnOff]) ->
    ets:insert(config, {webrtc, OnOff =:= "on"}),
    "ok";
command(["rar", Sid, Actions | Lost]) ->
    said(report(named(Sid), numbers(Actions), [list_to_integer(N) || N <- Lost]));
command(["asr", Sid, Cause]) -> said(abort(named(Sid), list_to_integer(Cause)));
command(["lose"]) -> %% all sessions, as after a restart that nobody saw
    ets:delete_all_objects(sessions),
    ets:update_counter(config, state_id, 1),
    "ok";
command(["flap"]) -> %% DPR, close, listen again
    ok = diameter:remove_transport(?SERVICE, config(transport)),
    listen(),
    "ok";
command(_) -> "what".

%% The call's session, or an Id that nobody has.
named("call") ->
    [Sid | _] = [S || {S, #{signalling := false}} <- ets:tab2list(sessions)],
    Sid;
named("signalling") ->
    [Sid | _] = [S || {S, #{signalling := true}} <- ets:tab2list(sessions)],
    Sid;
named(Sid) -> list_to_binary(Sid).

numbers(Text) -> [list_to_integer(N) || N <- string:lexemes(Text, ",")].

said({ok, Code}) -> io_lib:format("~w", [Code]);
said(Code) when is_integer(Code) -> integer_to_list(Code);
said(Other) -> io_lib:format("failed ~0p", [Other]).

config(Key) ->
    [{_, Value}] = ets:lookup(config, Key),
    Value.

log(Format, Args) ->
    io:format("event=" ++ Format ++ "~n", Args).
