%% Our H.248 codec and Erlang's, each reading what the other writes. Messages are made here at random from a
%% seed, written by megaco in long and short tokens, read and written again by ours (h248_cross.c), and what
%% that wrote must mean the same to megaco as the first did, with both of its scanners. In every version: the
%% text of version 2 is also taken as one of version 1 and 3, where megaco reads it so. Then the files, as they
%% are.
%%
%% main([Tool, Seed, Count, File...])
-module(h248_cross).
-export([main/1]).

-include_lib("megaco/include/megaco.hrl").
-include_lib("megaco/include/megaco_message_v2.hrl").

-define(PRETTY, megaco_pretty_text_encoder).
-define(COMPACT, megaco_compact_text_encoder).

main([Tool, Seed, Count | Files]) ->
    rand:seed(exsss, list_to_integer(Seed)),
    Port = open_port({spawn_executable, Tool}, [{packet, 4}, binary, exit_status, use_stdio]),
    Flex = flex(),
    Made = [made(N) || N <- lists:seq(1, list_to_integer(Count))],
    Read = [{filename:basename(F), element(2, file:read_file(F)), as_it_is} || F <- Files],
    Results = [cross(Port, Flex, M) || M <- Made ++ Read ++ more()],
    Bad = length([1 || bad <- Results]),
    io:format("~w messages, ~w with another version~nscanners: plain~s~n",
              [length(Results), lists:sum([N || {ok, N} <- Results]), case Flex of [] -> ""; _ -> " flex" end]),
    io:format("~w passed, ~w failed~n", [length(Results) - Bad, Bad]),
    halt(case Bad of 0 when Results =/= [] -> 0; _ -> 1 end).

%% The other scanner, where this Erlang has it.
flex() ->
    case catch megaco_flex_scanner:start() of
        {ok, Ports} -> [{flex, Ports}];
        _ -> []
    end.

%% {Name, Text, Version}. What megaco writes and cannot read itself (some Mux and Audit) is made again.
made(N) ->
    Mod = one([?PRETTY, ?COMPACT]),
    {ok, Bin} = Mod:encode_message([], 2, message()),
    case decode([], Bin) of
        {ok, _} -> {io_lib:format("message ~w", [N]), Bin, 2};
        _ -> made(N)
    end.

cross(Port, Flex, {Name, Bin, as_it_is}) -> verdict(Name, try_one(Port, Flex, Name, Bin), 0);
cross(Port, Flex, {Name, Bin, 2}) ->
    Others = [B || V <- ["1", "3"], B <- [re:replace(Bin, "/2", "/" ++ V, [{return, binary}])],
                   element(1, decode([], B)) =:= ok],
    verdict(Name, lists:all(fun(B) -> try_one(Port, Flex, Name, B) end, [Bin | Others]), length(Others)).

verdict(_, true, N) -> {ok, N};
verdict(_, false, _) -> bad.

try_one(Port, Flex, Name, Bin) ->
    case decode([], Bin) of
        {ok, Meaning} ->
            port_command(Port, Bin),
            [Why, Long, Short] = [receive {Port, {data, D}} -> D after 20000 -> <<"no answer">> end || _ <- [1, 2, 3]],
            case Why of
                <<>> -> same(Name, Bin, Meaning, Flex, Long) andalso same(Name, Bin, Meaning, Flex, Short);
                _ -> complain(Name, Bin, "ours: " ++ binary_to_list(Why))
            end;
        Error -> complain(Name, Bin, io_lib:format("megaco: ~0p", [Error]))
    end.

same(Name, Bin, Meaning, Flex, Printed) ->
    case decode([], Printed) of
        {ok, Meaning} ->
            %% The flex scanner cannot read all that the plain one can.
            case Flex =/= [] andalso decode(Flex, Bin) of
                {ok, _} = Wanted ->
                    trimmed(decode(Flex, Printed)) =:= trimmed(Wanted)
                        orelse complain(Name, Bin, ["the flex scanner reads another message from\n", Printed]);
                _ -> true
            end;
        {ok, Other} -> complain(Name, Bin, io_lib:format("another meaning: ~s~n~0p~n~0p", [Printed, Meaning, Other]));
        Error -> complain(Name, Bin, io_lib:format("megaco cannot read ~s: ~0p", [Printed, Error]))
    end.

%% The flex scanner leaves the blanks after a digit map.
trimmed(V) when is_tuple(V), element(1, V) =:= 'DigitMapValue' -> setelement(5, V, string:trim(element(5, V)));
trimmed(T) when is_tuple(T) -> list_to_tuple(trimmed(tuple_to_list(T)));
trimmed(L) when is_list(L) -> [trimmed(E) || E <- L];
trimmed(T) -> T.

complain(Name, Bin, Why) ->
    io:format("FAIL ~s: ~s~n~s~n", [Name, Why, Bin]),
    false.

decode(Config, Bin) ->
    case catch ?PRETTY:decode_message(Config, dynamic, Bin) of
        {ok, M} -> {ok, M};
        Error -> {error, Error}
    end.

%% -- what only version 3 has, and what megaco does not write -----------------------------------------------

more() ->
    [{"v3 " ++ integer_to_list(N), list_to_binary(["MEGACO/3 [10.0.0.10]:2944\n", T]), as_it_is}
     || {N, T} <- lists:zip(lists:seq(1, length(versions())), versions())].

versions() ->
    ["Transaction = 1 { Context = 7 { IEPSCall = ON, Modify = a/1 { Media { Stream = 1 { Statistics { nt/os } } } } } }",
     "Transaction = 2 { Context = 7 { Topology { a/1, a/2, Bothway, Stream = 2 } } }",
     "Reply = 3/1/END { Context = 7 { Add = a/1 } }",
     "Reply = 3/2 { ImmAckRequired, Context = 7 { Add = a/1 } }",
     "Transaction = 4 { Context = - { ServiceChange = ROOT { Services { Method = Restart, Reason = \"901 Cold Boot\","
     " Version = 3, Profile = threegiq/4, 20260101T01020304 } } } }",
     "Transaction = 5 { Context = 7 { Modify = a/1 { Signals { cg/rt { Stream = 1, Duration = 20, NotifyCompletion ="
     " { TimeOut } } } } } }",
     "Transaction = 6 { Context = * { O-W-AuditValue = * { Audit { Media, Packages, Statistics } } } }",
     "Transaction = 7 { Context = 7 { Notify = a/1 { ObservedEvents = 3 { 20260822T10111213:g/cause { Stream = 1,"
     " Generalcause = FT, Failurecause = \"DTLS, session; { lost }\" } } } } }",
     "Pending = 9 { } Reply = 10 { Error = 500 { \"x\" } }",
     "Error = 400 { \"nothing of it\" }"].

%% -- messages at random --------------------------------------------------------------------------------------

one(L) -> lists:nth(rand:uniform(length(L)), L).
some(Make, Max) -> [Make() || _ <- lists:seq(1, rand:uniform(Max + 1) - 1)].
many(Make, Max) -> [Make() || _ <- lists:seq(1, rand:uniform(Max))].
perhaps(Make) -> case rand:uniform(2) of 1 -> Make(); 2 -> asn1_NOVALUE end.
flag() -> perhaps(fun() -> 'NULL' end).
number(Max) -> rand:uniform(Max).

%% No keyword, be it a short one, begins so.
word() -> [$x | some(fun() -> one("abcdefghijklmnopqrstuvwxyz0123456789") end, 8)].
package() -> one(["g", "gm", "ipdc", "tman", "nt", "adid", word()]) ++ "/" ++ word().
%% megaco puts quotes where they must be, and leaves those that are there.
text() -> pick([fun() -> some(fun() -> one("abcXYZ 019,;:{}=[]()<>.-") end, 20) end,
                fun() -> "\"" ++ word() ++ "\"" end]).
value() -> one([fun word/0, fun text/0, fun() -> integer_to_list(number(100000)) end,
                fun() -> one(["192.0.2.1", "+1-555", "a_b", "50%", "x.y@z"]) end]).
pick(Funs) -> (one(Funs))().
v() -> (value())().

message() ->
    #'MegacoMessage'{mess = #'Message'{version = 2, mId = mid(), messageBody = pick([
        fun() -> {transactions, many(fun transaction/0, 2)} end,
        fun() -> {transactions, many(fun transaction/0, 1)} end,
        fun() -> {transactions, many(fun request/0, 1)} end,
        fun() -> {transactions, many(fun reply/0, 1)} end,
        fun() -> {messageError, error_descriptor()} end])}}.

mid() ->
    Port = perhaps(fun() -> number(65535) end),
    pick([fun() -> {ip4Address, #'IP4Address'{address = [10, 0, number(255), number(255)], portNumber = Port}} end,
          fun() -> {ip6Address, #'IP6Address'{address = [16#20, 1, 16#d, 16#b8] ++ [number(256) - 1 || _ <- lists:seq(1, 12)],
                                              portNumber = Port}} end,
          fun() -> {domainName, #'DomainName'{name = word() ++ ".example", portNumber = Port}} end,
          fun() -> {deviceName, [word() ++ "/" ++ word() ++ "@example"]} end]).

transaction() -> pick([fun request/0, fun reply/0, fun pending/0, fun ack/0]).
request() -> {transactionRequest, #'TransactionRequest'{transactionId = number(4294967295), actions = many(fun action/0, 3)}}.
pending() -> {transactionPending, #'TransactionPending'{transactionId = number(4294967295)}}.
ack() ->
    First = number(100000),
    {transactionResponseAck, [#'TransactionAck'{firstAck = First, lastAck = perhaps(fun() -> First + number(50) end)}
                              || _ <- lists:seq(1, number(3))]}.
reply() ->
    Result = pick([fun() -> {transactionError, error_descriptor()} end,
                   fun() -> {actionReplies, many(fun action_reply/0, 2)} end,
                   fun() -> {actionReplies, many(fun action_reply/0, 2)} end]),
    {transactionReply, #'TransactionReply'{transactionId = number(4294967295), immAckRequired = flag(),
                                           transactionResult = Result}}.

context() -> pick([fun() -> 0 end, fun() -> ?megaco_choose_context_id end, fun() -> ?megaco_all_context_id end,
                   fun() -> number(4000000000) end, fun() -> number(9999) end]).

action() ->
    #'ActionRequest'{contextId = context(), contextRequest = perhaps(fun context_request/0),
                     commandRequests = many(fun command/0, 3)}.

context_request() ->
    #'ContextRequest'{priority = number(15), emergency = perhaps(fun() -> true end),
                      topologyReq = perhaps(fun() -> many(fun topology/0, 2) end)}.

topology() ->
    #'TopologyRequest'{terminationFrom = termination(), terminationTo = termination(),
                       topologyDirection = one([bothway, isolate, oneway])}.

termination() ->
    pick([fun() -> ?megaco_root_termination_id end,
          fun() -> #megaco_term_id{contains_wildcards = true, id = [one(["*", "$"])]} end,
          fun() -> #megaco_term_id{contains_wildcards = true, id = ["ip", "1", word(), one(["*", "$"])]} end,
          fun() -> #megaco_term_id{id = ["ip", "1", word(), integer_to_list(number(99))]} end]).

command() ->
    #'CommandRequest'{optional = flag(), wildcardReturn = flag(), command = pick([
        fun() -> {one([addReq, modReq, moveReq]),
                  #'AmmRequest'{terminationID = [termination()], descriptors = descriptors()}} end,
        fun() -> {one([addReq, modReq]), #'AmmRequest'{terminationID = [termination()], descriptors = descriptors()}} end,
        fun() -> {subtractReq, #'SubtractRequest'{terminationID = [termination()],
                                                  auditDescriptor = perhaps(fun audit/0)}} end,
        fun() -> {one([auditValueRequest, auditCapRequest]),
                  #'AuditRequest'{terminationID = termination(), auditDescriptor = audit()}} end,
        fun() -> {notifyReq, #'NotifyRequest'{terminationID = [termination()], observedEventsDescriptor = observed()}} end,
        fun() -> {serviceChangeReq, #'ServiceChangeRequest'{terminationID = [termination()],
                                                            serviceChangeParms = service_change()}} end])}.

%% Each descriptor once at most.
descriptors() ->
    [{mediaDescriptor, media()}] ++ [pick([D]) || D <- [fun() -> {eventsDescriptor, events()} end,
                                                  fun() -> {signalsDescriptor, many(fun signal/0, 3)} end,
                                                  fun() -> {eventBufferDescriptor, many(fun event_spec/0, 2)} end,
                                                  fun() -> {auditDescriptor, audit()} end,
                                                  fun() -> {muxDescriptor, mux()} end,
                                                  fun() -> {digitMapDescriptor, digit_map()} end],
                                                  rand:uniform(3) =:= 1].

audit() ->
    #'AuditDescriptor'{auditToken = pick([fun() -> asn1_NOVALUE end, fun() ->
        lists:usort(many(fun() -> one([mediaToken, packagesToken, statsToken, eventsToken, signalsToken, digitMapToken,
                                       observedEventsToken, eventBufferToken, muxToken, modemToken]) end, 5)) end])}.

media() ->
    Streams = [#'StreamDescriptor'{streamID = N, streamParms = parameters()} || N <- lists:seq(1, number(3))],
    #'MediaDescriptor'{
        termStateDescr = perhaps(fun() -> #'TerminationStateDescriptor'{
            propertyParms = many(fun property/0, 2), eventBufferControl = perhaps(fun() -> one([off, lockStep]) end),
            serviceState = perhaps(fun() -> one([test, outOfSvc, inSvc]) end)} end),
        streams = pick([fun() -> {multiStream, Streams} end, fun() -> {multiStream, Streams} end,
                        fun() -> {oneStream, parameters()} end])}.

parameters() ->
    #'StreamParms'{
        localControlDescriptor = #'LocalControlDescriptor'{
            streamMode = one([sendOnly, recvOnly, sendRecv, inactive, loopBack]),
            reserveValue = perhaps(fun() -> one([true, false]) end),
            reserveGroup = perhaps(fun() -> one([true, false]) end), propertyParms = some(fun property/0, 4)},
        localDescriptor = perhaps(fun description/0), remoteDescriptor = perhaps(fun description/0)}.

property() ->
    {Value, Extra} = pick([fun() -> {[v()], asn1_NOVALUE} end, fun() -> {[v()], asn1_NOVALUE} end,
                           fun() -> {[v()], {relation, one([greaterThan, smallerThan, unequalTo])}} end,
                           fun() -> {[integer_to_list(number(9)), integer_to_list(10 + number(9))], {range, true}} end,
                           fun() -> {[v() | many(fun v/0, 2)], {sublist, one([true, false])}} end]),
    #'PropertyParm'{name = package(), value = Value, extraInfo = Extra}.

%% Local and Remote: one or more groups of lines.
description() ->
    #'LocalRemoteDescriptor'{propGrps = some(fun() ->
        [sdp("v", "0"), sdp("c", "IN IP4 " ++ one(["$", "192.0.2.7"])),
         sdp("m", "audio " ++ one(["$", "40000"]) ++ " RTP/AVP 0 8")] ++ some(fun() ->
            sdp("a", one(["rtpmap:111 opus/48000/2", "fmtp:111 useinbandfec=1;minptime=10", "ice-ufrag:$", "rtcp-mux",
                          "candidate:1 1 udp 2130706431 192.0.2.1 54321 typ host", "X-Case:MiXeD"]))
        end, 5)
    end, 2)}.

sdp(Name, Value) -> #'PropertyParm'{name = Name, value = [Value]}.

events() -> #'EventsDescriptor'{requestID = number(4294967294), eventList = many(fun event/0, 3)}.
event() ->
    #'RequestedEvent'{pkgdName = package(), streamID = perhaps(fun() -> number(9) end),
                      eventAction = perhaps(fun() -> #'RequestedActions'{keepActive = true} end),
                      evParList = some(fun event_parameter/0, 3)}.
event_parameter() ->
    #'PropertyParm'{value = V, extraInfo = X} = property(),
    #'EventParameter'{eventParameterName = word(), value = V, extraInfo = X}.
event_spec() -> #'EventSpec'{eventName = package(), streamID = perhaps(fun() -> number(9) end),
                             eventParList = some(fun event_parameter/0, 2)}.

signal() -> pick([fun single/0, fun single/0, fun() ->
    {seqSigList, #'SeqSigList'{id = number(9), signalList = many(fun() -> element(2, single()) end, 2)}} end]).
single() ->
    {signal, #'Signal'{signalName = package(), streamID = perhaps(fun() -> number(9) end),
                       sigType = perhaps(fun() -> one([brief, onOff, timeOut]) end),
                       duration = perhaps(fun() -> number(65535) end),
                       notifyCompletion = perhaps(fun() -> lists:usort(many(fun() ->
                           one([onTimeOut, onInterruptByEvent, onInterruptByNewSignalDescr, otherReason]) end, 3)) end),
                       keepActive = perhaps(fun() -> true end),
                       sigParList = some(fun() ->
                           #'PropertyParm'{value = V, extraInfo = X} = property(),
                           #'SigParameter'{sigParameterName = word(), value = V, extraInfo = X}
                       end, 2)}}.

mux() -> #'MuxDescriptor'{muxType = one([h221, h223, h226, v76]), termList = many(fun termination/0, 2)}.
digit_map() ->
    #'DigitMapDescriptor'{digitMapName = word(), digitMapValue = perhaps(fun() ->
        #'DigitMapValue'{startTimer = perhaps(fun() -> number(99) end), longTimer = perhaps(fun() -> number(99) end),
                         digitMapBody = one(["(0|00[1-7]xxx|8xxxxxxx)", "([0-9].L)"])} end)}.

observed() ->
    #'ObservedEventsDescriptor'{requestId = number(4294967294), observedEventLst = many(fun() ->
        #'ObservedEvent'{eventName = package(), streamID = perhaps(fun() -> number(9) end),
                         eventParList = some(fun event_parameter/0, 3), timeNotation = perhaps(fun time/0)} end, 3)}.
time() -> #'TimeNotation'{date = "20261123", time = "1011" ++ integer_to_list(1000 + number(8999))}.

service_change() ->
    #'ServiceChangeParm'{
        serviceChangeMethod = one([restart, forced, graceful, disconnected, handOff, failover]),
        serviceChangeReason = [one(["901 Cold Boot", "900", "908 MG Impending Failure"])],
        serviceChangeDelay = perhaps(fun() -> number(600) end), serviceChangeVersion = perhaps(fun() -> number(3) end),
        serviceChangeProfile = perhaps(fun profile/0),
        serviceChangeMgcId = perhaps(fun mid/0),
        serviceChangeAddress = asn1_NOVALUE, timeStamp = perhaps(fun time/0)}.
profile() -> #'ServiceChangeProfile'{profileName = word(), version = number(9)}.

error_descriptor() ->
    #'ErrorDescriptor'{errorCode = one([400, 411, 430, 442, 500, 510, 526]),
                       errorText = perhaps(fun() -> "text " ++ word() end)}.

action_reply() ->
    #'ActionReply'{contextId = context(), errorDescriptor = perhaps(fun error_descriptor/0),
                   commandReply = many(fun command_reply/0, 3)}.

command_reply() ->
    pick([fun() -> {one([addReply, modReply, moveReply, subtractReply]),
                    #'AmmsReply'{terminationID = [termination()], terminationAudit = perhaps(fun results/0)}} end,
          fun() -> {one([auditValueReply, auditCapReply]),
                    {auditResult, #'AuditResult'{terminationID = termination(), terminationAuditResult = results()}}} end,
          fun() -> {auditValueReply, {contextAuditResult, many(fun termination/0, 2)}} end,
          fun() -> {notifyReply, #'NotifyReply'{terminationID = [termination()],
                                                errorDescriptor = perhaps(fun error_descriptor/0)}} end,
          fun() -> {serviceChangeReply, #'ServiceChangeReply'{terminationID = [termination()], serviceChangeResult =
              pick([fun() -> {errorDescriptor, error_descriptor()} end,
                    fun() -> {serviceChangeResParms, #'ServiceChangeResParm'{
                        serviceChangeVersion = number(3), serviceChangeProfile = perhaps(fun profile/0),
                        serviceChangeMgcId = perhaps(fun mid/0), timeStamp = perhaps(fun time/0)}} end])}} end]).

results() ->
    many(fun() -> pick([
        fun() -> {mediaDescriptor, media()} end,
        fun() -> {statisticsDescriptor, many(fun() ->
            #'StatisticsParameter'{statName = package(),
                                   statValue = perhaps(fun() -> [integer_to_list(number(1000000000))] end)} end, 4)} end,
        fun() -> {packagesDescriptor, many(fun() -> #'PackagesItem'{packageName = word(), packageVersion = number(9)} end, 4)} end,
        fun() -> {observedEventsDescriptor, observed()} end,
        fun() -> {errorDescriptor, error_descriptor()} end,
        fun() -> {eventsDescriptor, events()} end]) end, 2).
