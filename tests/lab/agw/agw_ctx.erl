%% Contexts and terminations (H.248.1 6, 7.2): the commands of an action carried out on them. Pure but for
%% what agw_media asks of rtpengine. A state is #{contexts, next, config}.
-module(agw_ctx).
-export([new/1, transaction/2, drop/2, drop_all/1, name/1, term_id/1]).

-include_lib("megaco/include/megaco.hrl").
-include_lib("megaco/include/megaco_message_v2.hrl").

new(Config) -> #{contexts => #{}, next => 5001, opened => 0, faults => [], config => Config}.

name(#megaco_term_id{id = Id}) -> lists:flatten(lists:join("/", Id)).
term_id(Name) ->
    #megaco_term_id{contains_wildcards = lists:any(fun(C) -> C =:= $* orelse C =:= $$ end, Name),
                    id = string:split(Name, "/", all)}.

%% -> {[ActionReply], State}. The first error ends the transaction (H.248.1 8).
transaction([], State) -> {[], State};
transaction([Action | Rest], State) ->
    case action(Action, State) of
        {ok, Replies, State1} ->
            {More, State2} = transaction(Rest, State1),
            {Replies ++ More, State2};
        {failed, Replies, State1} -> {Replies, State1}
    end.

%% -- actions -----------------------------------------------------------------------------------------------

action(#'ActionRequest'{contextId = ?megaco_null_context_id, commandRequests = Commands}, State) ->
    run(?megaco_null_context_id, Commands, root, State);
action(#'ActionRequest'{contextId = ?megaco_all_context_id, commandRequests = Commands}, State) ->
    all(Commands, State);
action(#'ActionRequest'{contextId = ?megaco_choose_context_id, commandRequests = Commands} = A, State) ->
    #{contexts := Contexts, next := Id, config := Config} = State,
    case maps:size(Contexts) >= maps:get(max_contexts, Config, 1000) of
        true -> {failed, [refused(?megaco_choose_context_id, 412, "No more ContextIDs")], State};
        false ->
            Ctx = maps:merge(attributes(A), #{
                id => Id, terms => #{}, types => #{}, version => 1, born => now_ms(),
                call => iolist_to_binary(io_lib:format("agw-~s-~w-~s", [os:getpid(), Id, unique()]))}),
            case run(Id, Commands, Ctx, State#{next := Id + 1}) of
                {failed, Replies, #{contexts := #{Id := _}} = Left} -> {failed, Replies, Left};
                {failed, Replies, Left} -> %% nothing came of it
                    {failed, [R#'ActionReply'{contextId = ?megaco_choose_context_id} || R <- Replies], Left};
                Other -> opened(Other)
            end
    end;
action(#'ActionRequest'{contextId = Id, commandRequests = Commands}, #{contexts := Contexts} = State) ->
    case Contexts of
        #{Id := Ctx} -> run(Id, Commands, Ctx, State);
        _ -> {failed, [refused(Id, 411, "The transaction refers to an unknown ContextID")], State}
    end.

opened({ok, R, #{opened := N} = State}) -> {ok, R, State#{opened := N + 1}};
opened(Other) -> Other.

unique() -> integer_to_list(erlang:unique_integer([positive]) + erlang:system_time(microsecond) rem 100000000).
now_ms() -> erlang:monotonic_time(millisecond).

attributes(#'ActionRequest'{contextRequest = #'ContextRequest'{priority = P, emergency = E}}) ->
    #{priority => case P of asn1_NOVALUE -> 0; _ -> P end, emergency => E =:= true};
attributes(_) -> #{priority => 0, emergency => false}.

refused(Id, Code, Text) ->
    #'ActionReply'{contextId = Id, errorDescriptor = #'ErrorDescriptor'{errorCode = Code, errorText = Text}}.

%% Context ALL: its ROOT lists the contexts, `*` is subtracted from each.
all([#'CommandRequest'{command = {auditValueRequest, #'AuditRequest'{terminationID = T}}}], #{contexts := Cs} = State) ->
    Ids = case maps:keys(Cs) of [] -> [?megaco_all_context_id]; Keys -> lists:sort(Keys) end,
    "root" = string:lowercase(name(T)),
    {ok, [#'ActionReply'{contextId = Id, commandReply =
             [{auditValueReply, {auditResult, #'AuditResult'{terminationID = T}}}]} || Id <- Ids], State};
all([#'CommandRequest'{command = {subtractReq, #'SubtractRequest'{terminationID = Ts}}}], State) ->
    {ok, [#'ActionReply'{contextId = ?megaco_all_context_id,
                         commandReply = [{subtractReply, #'AmmsReply'{terminationID = Ts}}]}], drop_all(State)};
all(_, State) ->
    {failed, [refused(?megaco_all_context_id, 442, "Syntax error in command")], State}.

drop_all(#{contexts := Cs} = State) ->
    lists:foldl(fun drop/2, State, maps:keys(Cs)).

drop(Id, #{contexts := Cs} = State) ->
    _ = agw_media:delete(maps:get(Id, Cs)),
    State#{contexts := maps:remove(Id, Cs)}.

%% -- commands of one action ---------------------------------------------------------------------------------

%% A step gives {Reply | {media, Kind, Name, Asked}, Target}; then the media are set up, and what they are goes
%% into the replies.
run(Id, Commands, Target, State) ->
    {Steps, Target1, Error, State1} = steps(Commands, Target, State, []),
    case settle(Steps, Target, Target1, State1) of
        {ok, Target2} ->
            Replies = [reply(S, Target2) || S <- Steps] ++ error_reply(Error),
            Outcome = case Error of none -> ok; _ -> failed end,
            {Outcome, [whole(Id, Replies)], store(Target2, State1)};
        {error, Code, Text} -> {failed, [refused(Id, Code, Text)], store(back(Target), State1)}
    end.

whole(Id, Replies) ->
    #'ActionReply'{contextId = Id, commandReply = [R || R <- Replies, element(1, R) =/= error],
                   errorDescriptor = error_of(Replies)}.

error_of(Replies) ->
    case lists:keyfind(error, 1, Replies) of
        {error, Code, Text} -> #'ErrorDescriptor'{errorCode = Code, errorText = Text};
        false -> asn1_NOVALUE
    end.

error_reply(none) -> [];
error_reply({Code, Text, {amm, Kind, T}}) ->
    [{Kind, #'AmmsReply'{terminationID = T, terminationAudit =
          [{errorDescriptor, #'ErrorDescriptor'{errorCode = Code, errorText = Text}}]}}];
error_reply({Code, Text, {audit, Kind, T}}) ->
    [{Kind, {auditResult, #'AuditResult'{terminationID = T, terminationAuditResult =
          [{errorDescriptor, #'ErrorDescriptor'{errorCode = Code, errorText = Text}}]}}}];
error_reply({Code, Text, action}) -> [{error, Code, Text}].

store(root, State) -> State;
store(#{terms := T} = Ctx, State) when map_size(T) =:= 0 -> gone(Ctx, State);
store(#{id := Id} = Ctx, #{contexts := Cs} = State) -> State#{contexts := Cs#{Id => Ctx}}.

gone(#{id := Id} = Ctx, #{contexts := Cs} = State) ->
    _ = agw_media:delete(Ctx),
    State#{contexts := maps:remove(Id, Cs)}.

%% As it was; rtpengine is told all of it with the next change.
back(root) -> root;
back(Ctx) -> maps:without([told, open], Ctx).

settle(Steps, Before, #{terms := T} = Ctx, #{config := Config}) when map_size(T) > 0 ->
    case [S || {media, _, _, _} = S <- Steps] of
        [] -> {ok, Ctx};
        _ ->
            case agw_media:sync(Ctx, Config) of
                {ok, Ctx1} -> {ok, told(Ctx1)};
                {error, Code, Text, Ctx1} ->
                    _ = [agw_media:delete(Ctx1) || not maps:is_key(exists, Before)],
                    {error, Code, Text}
            end
    end;
settle(_, _, Target, _) -> {ok, Target}.

%% What the gateway chose becomes the Local of each stream.
told(#{terms := Terms} = Ctx) ->
    Has = maps:get(has, Ctx, #{}),
    Ctx#{terms := maps:map(fun(_, #{side := Side, streams := Ss} = T) ->
        T#{streams := maps:map(fun(N, S) ->
            case {maps:get(wish, S, absent), Has} of
                {W, #{Side := #{N := Part}}} when is_list(W), W =/= [] ->
                    case agw_sdp:media(Part) of
                        [_, "0" | _] -> S;
                        _ -> S#{local => agw_sdp:fill(W, Part)}
                    end;
                _ -> S
            end
        end, Ss)}
    end, Terms)}.

steps([], Target, State, Done) -> {lists:reverse(Done), Target, none, State};
steps([#'CommandRequest'{command = C} | _], Target, #{refuse := {1, Code, Text, Level}} = State, Done) ->
    Where = case Level of command -> where(C); action -> action end,
    {lists:reverse(Done), Target, {Code, Text, Where}, State};
steps(Commands, Target, #{refuse := {N, Code, Text, Level}} = State, Done) when N > 1 ->
    {One, Rest} = lists:split(1, Commands),
    {Did, Target1, none, State1} = steps(One, Target, maps:remove(refuse, State), []),
    steps(Rest, Target1, State1#{refuse => {N - 1, Code, Text, Level}}, lists:reverse(Did) ++ Done);
steps([#'CommandRequest'{command = C, wildcardReturn = W} | Rest], Target, State, Done) ->
    try command(C, W, Target, State) of
        {Steps, Target1, State1} -> steps(Rest, Target1, State1, lists:reverse(Steps) ++ Done)
    catch
        throw:{refuse, Code, Text, Where} ->
            {lists:reverse(Done), Target, {Code, Text, Where}, note(Code, Text, State)}
    end.

where({addReq, #'AmmRequest'{terminationID = T}}) -> {amm, addReply, T};
where({modReq, #'AmmRequest'{terminationID = T}}) -> {amm, modReply, T};
where({subtractReq, #'SubtractRequest'{terminationID = T}}) -> {amm, subtractReply, T};
where({auditValueRequest, #'AuditRequest'{terminationID = T}}) -> {audit, auditValueReply, T};
where(_) -> action.

%% What a gateway refuses by its own judgement is a fault of who asked (commands count it).
note(Code, Text, #{faults := F} = State) when Code =/= 411 -> State#{faults := [{Code, Text} | F]};
note(_, _, State) -> State.

refuse(Code, Text, Where) -> throw({refuse, Code, Text, Where}).

%% -- the commands -----------------------------------------------------------------------------------------------

command({addReq, #'AmmRequest'{terminationID = [T], descriptors = Ds}}, _, #{terms := Terms} = Ctx, State) ->
    Where = {amm, addReply, [T]},
    map_size(Terms) >= 2 andalso refuse(434, "Max number of Terminations in a Context exceeded", Where),
    {Name, State1} = choose(name(T), Where, State),
    maps:is_key(Name, Terms) andalso refuse(433, "TerminationID is already in a Context", Where),
    Fresh = #{name => Name, side => side(Name, Ds, Ctx), streams => #{}, events => none, born => now_ms()},
    {Term, Asked} = describe(Ds, Fresh, Where, State),
    {[{media, addReply, Name, Asked}], Ctx#{terms := Terms#{Name => Term}}, State1};
command({modReq, #'AmmRequest'{terminationID = [T], descriptors = Ds}}, _, #{terms := Terms} = Ctx, State) ->
    Where = {amm, modReply, [T]},
    Name = known(name(T), Terms, Where, State),
    {Term, Asked} = describe(Ds, maps:get(Name, Terms), Where, State),
    {[{media, modReply, Name, Asked}], Ctx#{terms := Terms#{Name := Term}}, State};
command({subtractReq, #'SubtractRequest'{terminationID = [T], auditDescriptor = A}}, W, #{terms := Terms} = Ctx, State) ->
    Names = case name(T) of
                "*" -> lists:sort(maps:keys(Terms));
                N -> [known(N, Terms, {amm, subtractReply, [T]}, State)]
            end,
    Ctx1 = case Ctx of #{figures := _} -> Ctx; _ -> Ctx#{figures => agw_media:statistics(Ctx)} end,
    Replies = case W of
                  'NULL' -> [{done, {subtractReply, #'AmmsReply'{terminationID = [T]}}}];
                  _ -> [{done, subtracted(maps:get(N, Terms), A, Ctx1)} || N <- Names]
              end,
    {Replies, agw_media:delete(Ctx1#{terms := maps:without(Names, Terms)}), State};
command({auditValueRequest, R}, _, Target, State) -> {[{done, audit(auditValueReply, R, Target, State)}], Target, State};
command({auditCapRequest, R}, _, Target, State) -> {[{done, audit(auditCapReply, R, Target, State)}], Target, State};
command({serviceChangeReq, #'ServiceChangeRequest'{terminationID = [T], serviceChangeParms = P}}, _, Target, State) ->
    string:lowercase(name(T)) =:= "root" andalso (self() ! {service_change, P}),
    {[{done, {serviceChangeReply, #'ServiceChangeReply'{terminationID = [T],
                 serviceChangeResult = {serviceChangeResParms, #'ServiceChangeResParm'{}}}}}], Target, State};
command({moveReq, #'AmmRequest'{terminationID = T}}, _, _, _) ->
    refuse(443, "Unsupported or unknown command", {amm, moveReply, T});
command({_, #'AmmRequest'{}}, _, root, _) ->
    refuse(422, "Syntax error in action", action);
command(_, _, _, _) ->
    refuse(442, "Syntax error in command", action).

choose(Name, Where, #{next := N} = State) ->
    case lists:reverse(Name) of
        [$$ | Prefix] -> {lists:reverse(Prefix) ++ integer_to_list(N), State#{next := N + 1}};
        _ ->
            lists:member($*, Name) andalso refuse(430, "Unknown TerminationID", Where),
            {Name, State}
    end.

known(Name, Terms, Where, #{contexts := Cs}) ->
    case Terms of
        #{Name := _} -> Name;
        _ ->
            Elsewhere = lists:any(fun(#{terms := T}) -> maps:is_key(Name, T) end, maps:values(Cs)),
            case Elsewhere of
                true -> refuse(435, "Termination ID is not in specified Context", Where);
                false -> refuse(430, "Unknown TerminationID", Where)
            end
    end.

%% By the name, else by the realm, else what is left.
side(Name, Ds, Ctx) ->
    Realms = [V || {mediaDescriptor, M} <- Ds, {_, P} <- streams(M), #{"ipdc/realm" := V} <- [properties(P)]],
    Taken = maps:keys(agw_media:sides(Ctx)),
    Said = [S || S <- [access, core], Text <- [Name | Realms], string:find(Text, atom_to_list(S)) =/= nomatch],
    case [S || S <- Said ++ [access, core], not lists:member(S, Taken)] of
        [Side | _] -> Side;
        [] -> access
    end.

subtracted(#{name := Name, side := Side}, A, #{figures := Figures}) ->
    Wanted = case A of
                 asn1_NOVALUE -> true;
                 #'AuditDescriptor'{auditToken = Tokens} -> is_list(Tokens) andalso lists:member(statsToken, Tokens)
             end,
    {subtractReply, #'AmmsReply'{terminationID = [term_id(Name)],
                                 terminationAudit = case Wanted of
                                                        true -> [figures(maps:get(Side, Figures))];
                                                        false -> asn1_NOVALUE
                                                    end}}.

figures(Figures) ->
    {statisticsDescriptor, [#'StatisticsParameter'{statName = N, statValue = [integer_to_list(V)]} || {N, V} <- Figures]}.

%% -- descriptors of Add and Modify ---------------------------------------------------------------------------------

%% -> {Term, [StreamID whose Local asks for something]}
describe(Ds, Term, Where, State) ->
    lists:foldl(fun(D, Acc) -> descriptor(D, Acc, Where, State) end, {Term, []}, Ds).

descriptor({mediaDescriptor, M}, Acc, Where, State) ->
    lists:foldl(fun({N, P}, {#{streams := Ss} = Term, Asked}) ->
                        has_packages(maps:keys(properties(P)), 445, Where, State),
                        S = stream(P, maps:get(N, Ss, #{})),
                        Asks = case wish(P) of absent -> false; W -> agw_sdp:chosen(W) end,
                        {Term#{streams := Ss#{N => S}}, [N || Asks] ++ Asked}
                end, Acc, streams(M));
descriptor({eventsDescriptor, #'EventsDescriptor'{requestID = Id, eventList = List}}, {Term, Asked}, Where, State) ->
    List1 = case List of asn1_NOVALUE -> []; _ -> List end,
    has_packages([E#'RequestedEvent'.pkgdName || E <- List1], 446, Where, State),
    Events = [{Name, [{P, lists:append(V)} || #'EventParameter'{eventParameterName = P, value = V} <- Ps]}
              || #'RequestedEvent'{pkgdName = Name, evParList = Ps} <- List1],
    {Term#{events := {Id, Events}, begun => now_ms()}, Asked};
descriptor({signalsDescriptor, Signals}, {Term, Asked}, Where, State) when is_list(Signals) ->
    has_packages([N || {signal, #'Signal'{signalName = N}} <- Signals], 447, Where, State),
    {Term#{signals => [N || {signal, #'Signal'{signalName = N}} <- Signals]}, Asked};
descriptor({auditDescriptor, _}, Acc, _, _) -> Acc;
descriptor(_, Acc, _, _) -> Acc.

has_packages(Names, _, Where, #{config := #{packages := Packages}}) ->
    Have = [P || {P, _} <- Packages],
    [refuse(440, "Unsupported or unknown Package: " ++ N, Where)
     || N <- Names, not lists:member(hd(string:split(N, "/")), Have)].

streams(#'MediaDescriptor'{streams = asn1_NOVALUE}) -> [];
streams(#'MediaDescriptor'{streams = {oneStream, P}}) -> [{1, P}];
streams(#'MediaDescriptor'{streams = {multiStream, L}}) -> [{N, P} || #'StreamDescriptor'{streamID = N, streamParms = P} <- L].

properties(#'StreamParms'{localControlDescriptor = #'LocalControlDescriptor'{propertyParms = Ps}}) when is_list(Ps) ->
    maps:from_list([{N, lists:append(V)} || #'PropertyParm'{name = N, value = V} <- Ps]);
properties(_) -> #{}.

wish(#'StreamParms'{localDescriptor = L}) -> agw_sdp:from(L).

stream(#'StreamParms'{localControlDescriptor = C, remoteDescriptor = R} = P, S) ->
    Mode = case C of
               #'LocalControlDescriptor'{streamMode = M} when M =/= asn1_NOVALUE -> #{mode => M};
               _ -> #{}
           end,
    Wish = case wish(P) of absent -> #{}; W -> #{wish => W} end,
    Remote = case agw_sdp:from(R) of absent -> #{}; L -> #{remote => L} end,
    All = maps:merge(maps:merge(maps:merge(S, Mode), Wish), Remote),
    All#{props => maps:merge(maps:get(props, S, #{}), properties(P))}.

%% -- replies ----------------------------------------------------------------------------------------------------------

reply({done, Reply}, _) -> Reply;
reply({media, Kind, Name, Asked}, #{terms := Terms}) ->
    #{Name := #{streams := Ss}} = Terms,
    Told = [#'StreamDescriptor'{streamID = N, streamParms = #'StreamParms'{localDescriptor = agw_sdp:to(L)}}
            || N <- lists:sort(Asked), #{N := #{local := L}} <- [Ss]],
    {Kind, #'AmmsReply'{terminationID = [term_id(Name)],
                        terminationAudit = case Told of
                                               [] -> asn1_NOVALUE;
                                               _ -> [{mediaDescriptor, #'MediaDescriptor'{streams = {multiStream, Told}}}]
                                           end}}.

%% -- audits -------------------------------------------------------------------------------------------------------------

audit(Kind, #'AuditRequest'{terminationID = T, auditDescriptor = #'AuditDescriptor'{auditToken = Tokens0}}, Target, State) ->
    Tokens = case Tokens0 of asn1_NOVALUE -> []; _ -> Tokens0 end,
    Result = case {string:lowercase(name(T)), Target} of
                 {"root", _} -> [D || Token <- Tokens, D <- root(Token, State)];
                 {_, root} -> refuse(430, "Unknown TerminationID", {audit, Kind, T});
                 {Name, #{terms := Terms}} ->
                     Term = maps:get(known(Name, Terms, {audit, Kind, T}, State), Terms),
                     [D || Token <- Tokens, D <- termination(Token, Term, Target, State)]
             end,
    {Kind, {auditResult, #'AuditResult'{terminationID = T, terminationAuditResult = Result}}}.

root(packagesToken, #{config := #{packages := Packages}}) ->
    [{packagesDescriptor, [#'PackagesItem'{packageName = N, packageVersion = V} || {N, V} <- Packages]}];
root(mediaToken, #{config := Config}) ->
    Properties = [{"root/maxNumberOfContexts", maps:get(max_contexts, Config, 1000)},
                  {"root/maxTerminationsPerContext", 2},
                  {"root/normalMGExecutionTime", 500},
                  {"root/MGProvisionalResponseTimerValue", maps:get(pending_ms, Config, 2000)},
                  {"root/MGOriginatedPendingLimit", maps:get(pending_limit, Config, 5)}],
    [{mediaDescriptor, #'MediaDescriptor'{termStateDescr = #'TerminationStateDescriptor'{propertyParms =
        [#'PropertyParm'{name = N, value = [integer_to_list(V)]} || {N, V} <- Properties]}}}];
root(_, _) -> [].

termination(mediaToken, #{streams := Ss, side := Side}, Ctx, _) ->
    Ends = case Side of
               access -> agw_rtp:endpoints(agw_media:query(Ctx), <<"access">>);
               core -> []
           end,
    Running = agw_media:running(Ctx),
    [{mediaDescriptor, #'MediaDescriptor'{streams = {multiStream,
        [#'StreamDescriptor'{streamID = N, streamParms = #'StreamParms'{
             localControlDescriptor = #'LocalControlDescriptor'{streamMode = maps:get(mode, S, inactive), propertyParms =
                 [#'PropertyParm'{name = P, value = [V]} || {P, V} <- maps:to_list(maps:get(props, S, #{}))]},
             localDescriptor = shown(maps:get(local, S, [])),
             remoteDescriptor = shown(seen(maps:get(remote, S, []), N, Ends))}}
         || {N, S} <- lists:sort(maps:to_list(Ss)), lists:member(N, Running)]}}}];
termination(statsToken, #{side := Side}, Ctx, _) -> [figures(maps:get(Side, agw_media:statistics(Ctx)))];
termination(packagesToken, _, _, State) -> root(packagesToken, State);
termination(eventsToken, #{events := {Id, Events}}, _, _) ->
    [{eventsDescriptor, #'EventsDescriptor'{requestID = Id, eventList = [#'RequestedEvent'{pkgdName = N} || {N, _} <- Events]}}];
termination(_, _, _, _) -> [].

shown([]) -> asn1_NOVALUE;
shown(Lines) -> agw_sdp:to(Lines).

%% Where media really go is what Remote shows.
seen([], _, _) -> [];
seen(Remote, N, Ends) when N =< length(Ends) ->
    case lists:nth(N, Ends) of none -> Remote; End -> agw_sdp:at(Remote, End) end;
seen(Remote, _, _) -> Remote.
