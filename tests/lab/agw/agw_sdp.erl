%% Descriptions between megaco's form (a list of PropertyParm a group) and text lines. A description is a
%% list of {"a", "rtcp-mux"}; megaco has read it, nothing is parsed here but single lines.
-module(agw_sdp).
-export([from/1, to/1, empty/1, chosen/1, media/1, type/1, setup/1, codecs/1, session/3, parts/1, fill/2,
         at/2, shows/2]).

-include_lib("megaco/include/megaco.hrl").
-include_lib("megaco/include/megaco_message_v2.hrl").

%% LocalRemoteDescriptor -> lines of its first group; absent -> absent.
from(asn1_NOVALUE) -> absent;
from(#'LocalRemoteDescriptor'{propGrps = []}) -> [];
from(#'LocalRemoteDescriptor'{propGrps = [Group | _]}) ->
    [{N, lists:append(V)} || #'PropertyParm'{name = N, value = V} <- Group].

to([]) -> #'LocalRemoteDescriptor'{propGrps = []};
to(Lines) -> #'LocalRemoteDescriptor'{propGrps = [[#'PropertyParm'{name = N, value = [V]} || {N, V} <- Lines]]}.

empty(Lines) -> not lists:keymember("m", 1, Lines).

%% Is the gateway asked to choose something?
chosen(Lines) -> lists:any(fun({_, V}) -> lists:member($$, V) end, Lines).

media(Lines) ->
    {_, M} = lists:keyfind("m", 1, Lines),
    string:lexemes(M, " ").

type(Lines) -> hd(media(Lines)).

attribute(Name, Lines) ->
    case [string:slice(V, length(Name) + 1) || {"a", V} <- Lines, lists:prefix(Name ++ ":", V)] of
        [Value | _] -> Value;
        [] -> none
    end.

setup(Lines) -> attribute("setup", Lines).

%% Audio codecs as rtpengine names them, in order.
codecs(Lines) ->
    [_, _, _ | Formats] = media(Lines),
    Map = maps:from_list([{Pt, string:trim(Name)} || {"a", "rtpmap:" ++ Rest} <- Lines,
                                         [Pt, Name] <- [string:split(Rest, " ")]]),
    Static = #{"0" => "PCMU/8000", "8" => "PCMA/8000", "9" => "G722/8000"},
    [N || F <- Formats, N <- [maps:get(F, maps:merge(Static, Map), "")], N =/= "", real(string:lowercase(N))].

real("telephone-event" ++ _) -> false;
real("cn/" ++ _) -> false;
real(_) -> true.

%% A whole session of the streams' descriptions, in their order: `Streams` has {Type, Lines | off}. With
%% `hide` a port that ICE will find is not told (9, discard): so a query shows when it has been found.
session(Version, Streams, Hide) ->
    Lite = lists:any(fun({_, off}) -> false; ({_, L}) -> lists:member({"a", "ice-lite"}, L) end, Streams),
    iolist_to_binary([
        "v=0\r\no=- 1 ", integer_to_list(Version), " IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 192.0.0.8\r\nt=0 0\r\n",
        [ "a=ice-lite\r\n" || Lite ], [part(T, L, Hide) || {T, L} <- Streams]]).

part(Type, off, _) -> ["m=", Type, " 0 RTP/AVP 0\r\n"];
part(_, Lines, Hide) ->
    [Type, Port | Rest] = media(Lines),
    Shown = case Hide andalso attribute("ice-ufrag", Lines) =/= none of true -> "9"; false -> Port end,
    ["m=", lists:join(" ", [Type, Shown | Rest]), "\r\n",
     [["c=", V, "\r\n"] || {"c", V} <- Lines],
     [[N, "=", V, "\r\n"] || {N, V} <- Lines, N =:= "a" orelse N =:= "b", V =/= "ice-lite"]].

%% rtpengine's session -> [Lines of an m-line, with the session's address and attributes before them].
parts(Sdp) ->
    Lines = [{[C], V} || <<C, $=, V0/binary>> <- binary:split(Sdp, [<<"\r\n">>, <<"\n">>], [global, trim_all]),
                         V <- [binary_to_list(V0)]],
    {Head, Medias} = split(Lines),
    Common = [{"a", V} || {"a", V} <- Head, common(V)],
    [case lists:keymember("c", 1, M) of
         true -> M ++ Common;
         false -> M ++ [L || {"c", _} = L <- Head] ++ Common
     end || M <- Medias].

common("ice-lite") -> true;
common("ice-ufrag:" ++ _) -> true;
common("ice-pwd:" ++ _) -> true;
common("fingerprint:" ++ _) -> true;
common("setup:" ++ _) -> true;
common(_) -> false.

split(Lines) ->
    {Head, Rest} = lists:splitwith(fun({N, _}) -> N =/= "m" end, Lines),
    {Head, split_media(Rest)}.

split_media([]) -> [];
split_media([M | Rest]) ->
    {Mine, More} = lists:splitwith(fun({N, _}) -> N =/= "m" end, Rest),
    [[M | Mine] | split_media(More)].

%% A wish with `$` and what rtpengine has -> the description as it is. The formats stay those of the wish.
fill(Wish, Has) ->
    [_, Port | _] = media(Has),
    {"c", Address} = lists:keyfind("c", 1, Has),
    Filled = lists:flatmap(fun(Line) -> fill_line(Line, Address, Port, Has) end, Wish),
    {Before, [M | After]} = lists:splitwith(fun({N, _}) -> N =/= "m" end, Filled),
    Before ++ [{"a", "ice-lite"} || lists:member({"a", "ice-lite"}, Has)] ++ [M | After]
        ++ [{"a", "rtcp:" ++ V} || attribute("rtcp-mux", Wish) =:= none, not lists:member({"a", "rtcp-mux"}, Wish),
                                   V <- [attribute("rtcp", Has)], V =/= none].

fill_line({"c", _}, Address, _, _) -> [{"c", Address}];
fill_line({"m", V}, _, Port, _) ->
    [Type, _ | Rest] = string:lexemes(V, " "),
    [{"m", lists:flatten(lists:join(" ", [Type, Port | Rest]))}];
fill_line({"a", "candidate:$"}, _, _, Has) -> [L || {"a", "candidate:" ++ _} = L <- Has];
fill_line({"a", V}, _, _, Has) ->
    case string:split(V, ":") of
        [Name, Value] when Name =:= "ice-ufrag"; Name =:= "ice-pwd"; Name =:= "setup" ->
            [{"a", Name ++ ":" ++ case attribute(Name, Has) of none -> Value; Real -> Real end}];
        ["fingerprint", Value] ->
            case lists:member($$, Value) of
                true -> [L || {"a", "fingerprint:" ++ _} = L <- Has];
                false -> [{"a", V}]
            end;
        _ -> [{"a", V}]
    end;
fill_line(Line, _, _, _) -> [Line].

%% A description with another address: where the peer really is.
at(Lines, {Ip, Port}) ->
    lists:map(fun({"c", "IN IP6" ++ _}) -> {"c", "IN IP6 " ++ Ip};
                 ({"c", _}) -> {"c", "IN IP4 " ++ Ip};
                 ({"m", V}) ->
                      [Type, _ | Rest] = string:lexemes(V, " "),
                      {"m", lists:flatten(lists:join(" ", [Type, integer_to_list(Port) | Rest]))};
                 (Line) -> Line
              end, Lines).

%% Does the description say this address already, by c= and m= or as a candidate?
shows(Lines, {Ip, Port}) ->
    Text = " " ++ Ip ++ " " ++ integer_to_list(Port) ++ " ",
    [_, P | _] = media(Lines),
    {"c", C} = lists:keyfind("c", 1, Lines),
    (P =:= integer_to_list(Port) andalso lists:suffix(" " ++ Ip, C))
        orelse lists:any(fun({"a", "candidate:" ++ V}) -> string:find(V, Text) =/= nomatch; (_) -> false end, Lines).
