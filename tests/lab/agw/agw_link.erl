%% Between megaco and its transports: each message is recorded, and met by the rules (README). What is wrong on
%% purpose happens here, where transactions still have numbers and replies are octets.
-module(agw_link).
-export([receive_message/4, process_received_message/4, send_message/2, start/1, raw/2, wrap/2, mid_text/1]).

-include_lib("megaco/include/megaco.hrl").
-include_lib("megaco/include/megaco_message_v2.hrl").

%% Replies that shall go out otherwise than megaco wrote them: {TransactionId, Rule}.
start(Record) ->
    agw_mangle = ets:new(agw_mangle, [named_table, public]),
    register(agw_record, spawn_link(fun() ->
        {ok, File} = file:open(Record, [append, raw]),
        write(File)
    end)).

wrap(Mod, Handle) -> {agw_link, Mod, Handle}.

%% -- what comes -------------------------------------------------------------------------------------------

receive_message(RH, Pid, Handle, Bin) -> incoming(receive_message, RH, Pid, Handle, Bin).
process_received_message(RH, Pid, Handle, Bin) -> incoming(process_received_message, RH, Pid, Handle, Bin).

incoming(How, RH, Pid, Handle, Bin) ->
    {Id, Actions} = request_of(RH, Bin),
    record(in, Bin, Id, Actions),
    agw:deaf() orelse ets:insert(agw_config, {heard, erlang:monotonic_time(millisecond)}),
    Rule = case {Id, agw:deaf()} of
               {_, true} -> #{drop => true};
               {none, _} -> #{};
               _ -> agw:rule_for(Actions)
           end,
    Link = wrap(transport(Handle), Handle),
    maps:is_key(cut, Rule) andalso maps:get(cut, Rule) =:= before andalso agw_assoc:cut(Rule),
    maps:is_key(restart, Rule) andalso agw_assoc:restart(maps:get(restart, Rule), maps:get(away_ms, Rule, 300)),
    case Rule of
        #{drop := true} -> ok;
        #{restart := _} -> ok;
        #{cut := before} -> ok;
        _ ->
            [ets:insert(agw_mangle, {Id, Rule}) || K <- [twice, garbage, cut, mute, hold_ms], maps:is_key(K, Rule)],
            case Id of
                none -> megaco:How(RH, Pid, Link, Bin);
                _ -> megaco:How(RH, Pid, Link, Bin, Rule#{id => Id, link => Link})
            end
    end.

transport({send_handle, _, _, _} = _Udp) -> megaco_udp;
transport(Handle) when element(1, Handle) =:= send_handle -> megaco_udp;
transport(_) -> megaco_tcp.

request_of(#megaco_receive_handle{encoding_mod = Mod}, Bin) ->
    case catch Mod:decode_message([], dynamic, Bin) of
        {ok, #'MegacoMessage'{mess = #'Message'{messageBody = {transactions,
             [{transactionRequest, #'TransactionRequest'{transactionId = Id, actions = Actions}} | _]}}}} -> {Id, Actions};
        {ok, _} -> {none, []};
        Error ->
            io:format("event=unreadable why=~0p text=~0p~n", [Error, Bin]),
            agw:fault("a message that megaco cannot read"),
            {none, []}
    end.

%% -- what goes --------------------------------------------------------------------------------------------

send_message({agw_link, Mod, Handle} = Link, Bin) ->
    case agw:deaf() of
        true -> ok;
        false ->
            case mangle(Bin) of
                none -> sent(Mod, Handle, Bin);
                Rule -> wrongly(Rule, Link, Bin)
            end
    end.

mangle(Bin) ->
    case re:run(Bin, <<"\\A[^{]*?(?:Reply|P)\\s*=\\s*([0-9]+)">>, [{capture, all_but_first, list}]) of
        {match, [Id]} ->
            case ets:take(agw_mangle, list_to_integer(Id)) of [{_, Rule}] -> Rule; [] -> none end;
        nomatch -> none
    end.

wrongly(#{cut := _} = Rule, _, _) -> agw_assoc:cut(Rule), ok;
wrongly(#{mute := true}, _, _) -> ok;
wrongly(#{hold_ms := Ms}, Link, Bin) -> spawn(fun() -> timer:sleep(Ms), raw(Link, Bin) end), ok;
wrongly(#{twice := true}, Link, Bin) -> raw(Link, Bin), raw(Link, Bin);
wrongly(#{garbage := Kind}, Link, Bin) -> raw(Link, garbage(Kind, Bin)).

raw({agw_link, Mod, Handle}, Bin) -> sent(Mod, Handle, iolist_to_binary(Bin)).

%% On a connection that is gone nothing crosses.
sent(Mod, Handle, Bin) ->
    case Mod:send_message(Handle, Bin) of
        ok -> record(out, Bin, none, []), ok;
        Error -> Error
    end.

garbage(noise, _) -> crypto_free_noise(200);
garbage(empty, _) -> <<>>;
garbage(truncated, Bin) -> binary:part(Bin, 0, byte_size(Bin) div 2);
garbage(brace, Bin) -> <<Bin/binary, " }">>;
garbage(version, Bin) -> re:replace(Bin, "(MEGACO|!)/[0-9]", "\\1/9", [{return, binary}]);
garbage(mid, Bin) -> re:replace(Bin, "\\[[0-9.]+\\]", "[192.0.2.99]", [{return, binary}]);
garbage(id, Bin) -> re:replace(Bin, "((?:Reply|P)\\s*=\\s*)[0-9]+", "\\g{1}4294967290", [{return, binary}]);
garbage(context, Bin) -> re:replace(Bin, "((?:Context|C)\\s*=\\s*)[0-9]+", "\\g{1}77777", [{return, binary}]);
garbage(termination, Bin) -> re:replace(Bin, "ip/1/access/[0-9]+", "ip/1/nobody/1", [global, {return, binary}]);
garbage(description, Bin) -> re:replace(Bin, "m=audio [0-9]+", "m=audio none", [global, {return, binary}]);
garbage(deep, _) -> ["MEGACO/2 ", mid_text(agw:config(mid)), "\nReply = 1 ", lists:duplicate(5000, "{ Context = 1 ")].

crypto_free_noise(N) -> list_to_binary([rand:uniform(256) - 1 || _ <- lists:seq(1, N)]).

mid_text({{A, B, C, D}, Port}) -> io_lib:format("[~w.~w.~w.~w]:~w", [A, B, C, D, Port]).

%% -- the record: a line of JSON for each message -------------------------------------------------------------

record(Direction, Bin, Id, Actions) ->
    Commands = [["\"", agw:command_name(C), "\""] || #'ActionRequest'{commandRequests = Cs} <- Actions, C <- Cs],
    agw_record ! {line, ["{\"direction\":\"", atom_to_list(Direction), "\",\"id\":",
                         case Id of none -> "null"; _ -> integer_to_list(Id) end,
                         ",\"commands\":[", lists:join(",", Commands), "],\"text\":\"", escaped(Bin), "\"}\n"]}.

escaped(Bin) ->
    [case C of
         $" -> "\\\"";
         $\\ -> "\\\\";
         C when C < 32; C > 126 -> io_lib:format("\\u~4.16.0b", [C]);
         _ -> C
     end || <<C>> <= iolist_to_binary(Bin)].

write(File) ->
    receive {line, Line} -> ok = file:write(File, Line) end,
    write(File).
