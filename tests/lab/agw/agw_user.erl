%% The user of megaco: requests of the eP-CSCF go to the contexts, all else is noted. Extra is the rule that
%% agw_link found for the message.
-module(agw_user).
-export([handle_connect/2, handle_connect/3, handle_disconnect/3, handle_syntax_error/3, handle_syntax_error/4,
         handle_message_error/3, handle_message_error/4, handle_trans_request/3, handle_trans_request/4,
         handle_trans_long_request/3, handle_trans_long_request/4, handle_trans_reply/4, handle_trans_reply/5,
         handle_trans_ack/4, handle_trans_ack/5, handle_unexpected_trans/3, handle_unexpected_trans/4,
         handle_trans_request_abort/4, handle_trans_request_abort/5]).

-include_lib("megaco/include/megaco.hrl").
-include_lib("megaco/include/megaco_message_v2.hrl").

handle_connect(_, _) -> ok.
handle_connect(_, _, _) -> ok.

handle_disconnect(_, _, Reason) ->
    agw_assoc:disconnected(Reason),
    ok.

handle_syntax_error(RH, Version, Error) -> handle_syntax_error(RH, Version, Error, #{}).
handle_syntax_error(_, _, #'ErrorDescriptor'{errorCode = Code, errorText = Text}, _) ->
    agw:fault(lists:flatten(io_lib:format("syntax error ~w ~0p", [Code, Text]))),
    reply.

handle_message_error(CH, Version, Error) -> handle_message_error(CH, Version, Error, #{}).
handle_message_error(_, _, Error, _) ->
    agw:fault(lists:flatten(io_lib:format("the eP-CSCF found an error in a message: ~0p", [Error]))),
    no_reply.

handle_trans_request(CH, Version, Actions) -> handle_trans_request(CH, Version, Actions, #{}).
handle_trans_request(_, Version, Actions, #{pendings := N} = Rule) when N > 0 ->
    {pending, {Version, Actions, Rule}};
handle_trans_request(_, Version, Actions, Rule) ->
    timer:sleep(maps:get(delay_ms, Rule, 0)),
    {discard_ack, agw:transaction(Actions, Version, Rule)}.

handle_trans_long_request(CH, Version, Data) -> handle_trans_long_request(CH, Version, Data, #{}).
%% The first TransactionPending has been sent; more come, evenly spread over the delay.
handle_trans_long_request(_, _, {Version, Actions, #{pendings := N, id := Id, link := Link} = Rule}, _) ->
    Step = maps:get(delay_ms, Rule, 0) div N,
    timer:sleep(Step),
    [begin
         agw_link:raw(Link, io_lib:format("MEGACO/~w ~s\nPending = ~w { }\n",
                                          [Version, agw_link:mid_text(agw:config(mid)), Id])),
         timer:sleep(Step)
     end || _ <- lists:seq(2, N)],
    {discard_ack, agw:transaction(Actions, Version, Rule)}.

handle_trans_reply(_, _, _, _) -> ok.
handle_trans_reply(_, _, _, _, _) -> ok.
handle_trans_ack(_, _, _, _) -> ok.
handle_trans_ack(_, _, _, _, _) -> ok.

handle_unexpected_trans(CH, Version, Trans) -> handle_unexpected_trans(CH, Version, Trans, #{}).
handle_unexpected_trans(_, _, Trans, _) ->
    io:format("event=unexpected-transaction what=~0p~n", [Trans]),
    ok.

handle_trans_request_abort(_, _, _, _) -> ok.
handle_trans_request_abort(_, _, _, _, _) -> ok.
